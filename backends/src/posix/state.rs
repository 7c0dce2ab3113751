//! What an export keeps for itself, in a directory outside of the exported tree: the key of its handles, the places of its objects
//! where those are needed, and a lock against a second server.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::PosixError;
use crate::lock_file;

const LOCK: &str = "LOCK";
const KEY: &str = "handle-key";
const PLACES: &str = "places";

/// The state directory of an export, locked.
pub(super) struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    pub(super) fn open(path: &Path) -> Result<Self, PosixError> {
        let failed = |source| PosixError::State { path: path.to_owned(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let mut options = OpenOptions::new();
        let lock = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let lock = lock.open(path.join(LOCK)).map_err(failed)?;
        match lock_file::lock(&lock) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(PosixError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The key of the export's handles, made when it is asked for first.
    pub(super) fn key(&self) -> Result<[u8; 16], PosixError> {
        let path = self.path.join(KEY);
        let failed = |source| PosixError::State { path: path.clone(), source };
        match std::fs::read(&path) {
            Ok(bytes) => bytes
                .try_into()
                .map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidData, "not a key of 16 bytes"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = [0; 16];
                getrandom::fill(&mut key).map_err(|error| failed(io::Error::other(error.to_string())))?;
                let new = path.with_extension("new");
                write_durably(&new, &key).map_err(failed)?;
                std::fs::rename(&new, &path).map_err(failed)?;
                sync_parent(&path).map_err(failed)?;
                Ok(key)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Where the map of places is kept.
    pub(super) fn places(&self) -> PathBuf {
        self.path.join(PLACES)
    }
}

/// Writes a file that nobody else may read, and waits until it would survive a crash.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Waits until the entry of a file would survive a crash.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
