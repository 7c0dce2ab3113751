use std::path::PathBuf;
use std::sync::Arc;

use dittofs_backends::posix::{PosixFileSystem, PosixOptions};
use dittofs_framework::export::ExportId;

use super::{DirectoryExport, Export, ShareName, StorageError, fsid};
use crate::data_dir::{DataDir, ExportKey};

/// A directory of the machine that is to be exported.
pub(super) struct Directory {
    name: ShareName,
    /// Absolute, without symbolic links.
    path: PathBuf,
}

impl Directory {
    /// Finds it. In the data directory nothing is exported: clients would reach into shares past their file systems, and to the key of
    /// the filehandles.
    pub(super) fn find(wanted: &DirectoryExport, dir: &DataDir) -> Result<Self, StorageError> {
        let DirectoryExport { name, path } = wanted.clone();
        let failed = |path: PathBuf, error| StorageError::Directory { name: name.clone(), path, error };
        let found = path.canonicalize().map_err(|error| failed(path, error))?;
        let data = dir.path().canonicalize().map_err(|error| failed(dir.path().to_owned(), error))?;
        if found.starts_with(&data) {
            return Err(StorageError::InDataDir { name, path: found, dir: data });
        }
        Ok(Self { name, path: found })
    }

    pub(super) fn key(&self) -> ExportKey {
        ExportKey::directory(self.name.as_str(), &self.path)
    }

    pub(super) fn open(self, dir: &DataDir, id: ExportId) -> Result<Export, StorageError> {
        let state = dir.directory(id)?;
        let what = format!("directory {}", self.path.display());
        let options = PosixOptions { fsid: fsid(id), ..PosixOptions::new(self.path, state) };
        let name = self.name;
        let fs = PosixFileSystem::open(options)
            .map_err(|error| StorageError::Posix { name: name.clone(), error })?;
        Ok(Export { id, path: name.path(), what, fs: Arc::new(fs) })
    }
}
