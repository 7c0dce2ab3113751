use std::path::Path;
use std::sync::Arc;

use dittofs_framework::storage::{ContentStore, MetadataStore, StorageError};

use super::{EmbeddedMetadataStore, OpenError, ShareDirectory};
use crate::content::{LocalContentStore, LocalOptions};
use crate::store::{StoreFileSystem, StoreOptions};

/// The two stores of a share. The directory is locked until the metadata store is dropped.
#[derive(Clone)]
pub struct Stores {
    /// What the share knows of its files.
    pub metadata: Arc<dyn MetadataStore>,
    /// What the files hold.
    pub content: Arc<dyn ContentStore>,
}

impl Stores {
    /// Opens the stores in the directory of a share, or makes them. Blocks.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Store { path: path.to_owned(), error };
        let share = ShareDirectory::open(path)?;
        let content = LocalContentStore::open(&share.contents(), &LocalOptions::default());
        let content = content.map_err(|error| OpenError::Io { path: share.contents(), error })?;
        let metadata = EmbeddedMetadataStore::open(Arc::new(share)).map_err(failed)?;
        Ok(Self { metadata: Arc::new(metadata), content: Arc::new(content) })
    }
}

/// Opens the share in a directory, or makes it. It takes as long with many files as with few.
///
/// # Errors
/// See [`OpenError`].
pub async fn open(path: &Path, options: StoreOptions) -> Result<StoreFileSystem, OpenError> {
    let failed = |error| OpenError::Store { path: path.to_owned(), error };
    let place = path.to_owned();
    let stores = tokio::task::spawn_blocking(move || Stores::open(&place));
    let stores = stores.await.map_err(|error| failed(StorageError::failed(error)))??;
    StoreFileSystem::open(stores.metadata, stores.content, options).await.map_err(failed)
}
