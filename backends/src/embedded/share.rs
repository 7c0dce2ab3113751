use std::path::Path;
use std::sync::Arc;

use dittofs_framework::storage::{ContentStore, MetadataStore, StorageError};

use super::{EmbeddedMetadataStore, OpenError, ShareDirectory, directory};
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
        Self::of(ShareDirectory::open(path)?)
    }

    /// Opens the stores of a share that was opened with its file system before: what is not there is lost, and not made anew.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::Missing`] says what is lost.
    pub async fn find(path: &Path) -> Result<Self, OpenError> {
        let stores = blocking(path, |path| {
            let share = ShareDirectory::find(path)?;
            // It was made, durably, with the metadata.
            if !share.contents().is_dir() {
                return Err(OpenError::Missing { path: share.contents() });
            }
            Self::of(share)
        });
        let stores = stores.await?;
        let volume = stores.metadata.volume().await.map_err(failed(path))?;
        volume.ok_or_else(|| OpenError::Missing { path: path.join(directory::METADATA) })?;
        Ok(stores)
    }

    fn of(share: ShareDirectory) -> Result<Self, OpenError> {
        let path = share.path().to_owned();
        let content = LocalContentStore::open(&share.contents(), &LocalOptions::default());
        let content = content.map_err(|error| OpenError::Io { path: share.contents(), error })?;
        let metadata = EmbeddedMetadataStore::open(Arc::new(share)).map_err(failed(&path))?;
        Ok(Self { metadata: Arc::new(metadata), content: Arc::new(content) })
    }
}

/// Opens the share in a directory, or makes it. It takes as long with many files as with few.
///
/// # Errors
/// See [`OpenError`].
pub async fn open(path: &Path, options: StoreOptions) -> Result<StoreFileSystem, OpenError> {
    let stores = blocking(path, Stores::open).await?;
    StoreFileSystem::open(stores.metadata, stores.content, options).await.map_err(failed(path))
}

/// As [`open`], for a share that it has opened before: what is not there is lost, and not made anew.
///
/// # Errors
/// See [`OpenError`]; [`OpenError::Missing`] says what is lost.
pub async fn open_again(path: &Path, options: StoreOptions) -> Result<StoreFileSystem, OpenError> {
    let stores = Stores::find(path).await?;
    StoreFileSystem::open(stores.metadata, stores.content, options).await.map_err(failed(path))
}

async fn blocking(
    path: &Path,
    call: impl FnOnce(&Path) -> Result<Stores, OpenError> + Send + 'static,
) -> Result<Stores, OpenError> {
    let place = path.to_owned();
    let stores = tokio::task::spawn_blocking(move || call(&place));
    stores.await.map_err(|error| failed(path)(StorageError::failed(error)))?
}

fn failed(path: &Path) -> impl Fn(StorageError) -> OpenError {
    let path = path.to_owned();
    move |error| OpenError::Store { path: path.clone(), error }
}
