use std::error::Error;
use std::sync::Arc;

use thiserror::Error;

use crate::fs::FsError;

/// What a call to a store gives back.
pub type StorageResult<T> = Result<T, StorageError>;

/// Why a store did not do what it was asked for.
#[derive(Debug, Clone, Error)]
pub enum StorageError {
    /// There is no room left. Nothing was changed, and the store goes on working: what needs no room is still done.
    #[error("no space left in the store")]
    NoSpace,
    /// The store cannot do this at all.
    #[error("the store cannot do this")]
    NotSupported,
    /// An offset or a size is beyond what the store can keep.
    #[error("too large for the store")]
    TooLarge,
    /// What is in the store was not written so.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// What is below the store failed.
    #[error("the store failed: {0}")]
    Failed(#[source] Arc<dyn Error + Send + Sync>),
}

impl StorageError {
    /// A failure of what is below the store.
    pub fn failed(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Failed(Arc::new(error))
    }
}

impl From<StorageError> for FsError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NoSpace => Self::NoSpace,
            StorageError::NotSupported => Self::NotSupported,
            StorageError::TooLarge => Self::FileTooBig,
            StorageError::Damaged(_) | StorageError::Failed(_) => Self::Io,
        }
    }
}
