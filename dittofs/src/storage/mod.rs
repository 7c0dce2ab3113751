//! What is served: shares in the data directory, directories of the machine, or a share in memory.

mod directory;
mod durable;
mod names;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dittofs_backends::embedded::OpenError;
use dittofs_backends::posix::PosixError;
use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::export::{ExportId, Namespace, NamespaceError};
use dittofs_framework::fs::{FileSystem, FsError};
use dittofs_framework::proto::Fsid;
use thiserror::Error;

pub(crate) use names::{DirectoryExport, ShareName};

use crate::data_dir::{DataDir, DataDirError};

/// The share that is there if nobody says which.
const DEFAULT_SHARE: &str = "export";

/// What is to be served.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) shares: Vec<ShareName>,
    pub(crate) directories: Vec<DirectoryExport>,
}

impl Wanted {
    /// What was asked for; the default share if nothing was.
    pub(crate) fn new(shares: &[ShareName], directories: &[DirectoryExport]) -> Self {
        let mut shares = shares.to_vec();
        if shares.is_empty() && directories.is_empty() {
            shares.push(ShareName::of_default());
        }
        Self { shares, directories: directories.to_vec() }
    }
}

/// Why something cannot be served.
#[derive(Debug, Error)]
pub(crate) enum StorageError {
    #[error("two exports have the name {0}")]
    SameName(ShareName),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("cannot open the share {name}: {error}")]
    Share { name: ShareName, error: OpenError },
    #[error(
        "the share {name} was made earlier, and {} is missing or empty: mount its disk, bring it back from a backup, or give a new share another name",
        .path.display()
    )]
    LostShare { name: ShareName, path: PathBuf },
    #[error("cannot export {} as {name}: {error}", .path.display())]
    Directory { name: ShareName, path: PathBuf, error: io::Error },
    #[error("cannot export {} as {name}: it is in the data directory {}", .path.display(), .dir.display())]
    InDataDir { name: ShareName, path: PathBuf, dir: PathBuf },
    #[error("cannot export {name}: {error}")]
    Posix { name: ShareName, error: PosixError },
    #[error("cannot make a share in memory: {0}")]
    Memory(dittofs_framework::storage::StorageError),
    #[error("cannot flush the share {0}: {1}")]
    Flush(String, FsError),
}

/// File systems in their places.
#[derive(Default)]
pub(crate) struct Storage {
    exports: Vec<Export>,
    /// Those of them that have something to flush at the end.
    shares: Vec<(String, Arc<StoreFileSystem>)>,
    /// Nobody else may use it meanwhile.
    _dir: Option<Arc<DataDir>>,
}

struct Export {
    id: ExportId,
    path: String,
    /// What it is, for people.
    what: String,
    fs: Arc<dyn FileSystem>,
}

impl Storage {
    /// One share in memory, of so many bytes.
    pub(crate) fn in_memory(capacity: u64) -> Result<Self, StorageError> {
        let options = MemoryOptions { capacity, ..MemoryOptions::default() };
        let fs = Arc::new(StoreFileSystem::in_memory(options).map_err(StorageError::Memory)?);
        let path = format!("/{DEFAULT_SHARE}");
        let what = "memory share".to_owned();
        Ok(Self { exports: vec![Export { id: ExportId(1), path, what, fs }], ..Self::default() })
    }

    /// What is wanted, all of it or nothing. What clients had open before is kept for this long.
    pub(crate) async fn open(
        dir: Arc<DataDir>,
        wanted: &Wanted,
        grace: Duration,
    ) -> Result<Self, StorageError> {
        let storage = durable::open(&dir, wanted, grace).await?;
        Ok(Self { _dir: Some(dir), ..storage })
    }

    /// The tree of all exports.
    pub(crate) fn namespace(&self) -> Result<Namespace, NamespaceError> {
        let exports = self.exports.iter();
        exports
            .fold(Namespace::builder(), |tree, export| {
                tree.export(export.id, &export.path, export.fs.clone())
            })
            .build()
    }

    /// Each export as people know it, and its path.
    pub(crate) fn announced(&self) -> impl Iterator<Item = (&str, &str)> {
        self.exports.iter().map(|export| (export.what.as_str(), export.path.as_str()))
    }

    /// Makes everything durable, at the end. One that fails does not keep the others from it.
    pub(crate) async fn flush(&self) -> Result<(), StorageError> {
        let mut outcome = Ok(());
        for (name, share) in &self.shares {
            if let Err(error) = share.flush().await {
                outcome = Err(StorageError::Flush(name.clone(), error));
            }
        }
        outcome
    }
}

/// The identity of an export's file system, as clients see it: another one for each export, the same from start to start.
fn fsid(id: ExportId) -> Fsid {
    Fsid { major: 1, minor: id.0.into() }
}
