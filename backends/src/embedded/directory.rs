use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use dittofs_framework::storage::StorageError;
use thiserror::Error;

use crate::lock_file;

/// The layout that is made, and the only one that is read.
const VERSION: u32 = 1;
const NAME: &str = "dittofs share";
const LOCK: &str = "LOCK";
const FORMAT: &str = "FORMAT";
pub(super) const METADATA: &str = "metadata";
/// What `FORMAT` is called until it is whole.
const FORMAT_NEW: &str = "FORMAT.new";
/// What a directory may hold that is to become a share: what a crash left of making it, and what file systems put into their roots.
const BEFORE: [&str; 3] = [LOCK, FORMAT_NEW, "lost+found"];

/// Why a share cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process, or another value in this one, has it open.
    #[error("{} is in use by another server", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// There are files in it that are no share.
    #[error("{} is not empty and is not a share", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// What is to be a share that was made earlier has lost all, or a part.
    #[error("{} is missing or empty", path.display())]
    Missing {
        /// What there should be.
        path: PathBuf,
    },
    /// Another version of the program made it.
    #[error("{} has format version {found}, and this program reads version {supported}", path.display())]
    Version {
        /// The directory.
        path: PathBuf,
        /// What was found.
        found: u32,
        /// What can be read.
        supported: u32,
    },
    /// One of its stores cannot be opened.
    #[error("{}: {error}", path.display())]
    Store {
        /// The directory.
        path: PathBuf,
        /// What the store says.
        #[source]
        error: StorageError,
    },
    /// The file system below failed.
    #[error("{}: {error}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What it says.
        #[source]
        error: io::Error,
    },
}

/// The directory of a share, locked against others until the value is dropped.
#[derive(Debug)]
pub struct ShareDirectory {
    path: PathBuf,
    _lock: File,
}

impl ShareDirectory {
    /// Opens the directory of a share and locks it. If it is not there, or empty, it is made, durably, and its parents too. Blocks.
    ///
    /// # Errors
    /// See [`OpenError`]. In a directory that is no share nothing is changed.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let io = |error| OpenError::Io { path: path.to_owned(), error };
        make_directory(path).map_err(io)?;
        // A lock file in somebody else's directory would be a change.
        let is_made = look(path)?;
        let lock = lock(path)?;
        // Somebody else may have made it since.
        if !is_made && !look(path)? {
            make_format(path).map_err(io)?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// As [`open`](Self::open), for a share that was made earlier: nothing is made. Blocks.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::Missing`] if the directory is not there, or could become a share.
    pub fn find(path: &Path) -> Result<Self, OpenError> {
        let missing = || OpenError::Missing { path: path.to_owned() };
        match look(path) {
            Ok(true) => Ok(Self { path: path.to_owned(), _lock: lock(path)? }),
            Ok(false) => Err(missing()),
            Err(OpenError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
            Err(error) => Err(error),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of its metadata. It may have to be made.
    pub fn metadata(&self) -> PathBuf {
        self.path.join(METADATA)
    }

    /// The directory of what its files hold. It may have to be made.
    pub fn contents(&self) -> PathBuf {
        self.path.join("contents")
    }
}

/// Whether this is a share. An error if it is something else, but for an empty directory.
fn look(path: &Path) -> Result<bool, OpenError> {
    let io = |error| OpenError::Io { path: path.to_owned(), error };
    let foreign = || OpenError::Foreign { path: path.to_owned() };
    match std::fs::read(path.join(FORMAT)) {
        Ok(bytes) => match version_of(&bytes).ok_or_else(foreign)? {
            VERSION => Ok(true),
            found => Err(OpenError::Version { path: path.to_owned(), found, supported: VERSION }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            for entry in std::fs::read_dir(path).map_err(io)? {
                let name = entry.map_err(io)?.file_name();
                if !BEFORE.iter().any(|known| name == OsStr::new(known)) {
                    return Err(foreign());
                }
            }
            Ok(false)
        }
        Err(error) => Err(io(error)),
    }
}

fn version_of(format: &[u8]) -> Option<u32> {
    let text = str::from_utf8(format).ok()?;
    text.strip_prefix(NAME)?.trim().parse().ok()
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let io = |error| OpenError::Io { path: path.to_owned(), error };
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK));
    let file = file.map_err(io)?;
    match lock_file::lock(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

fn make_format(path: &Path) -> io::Result<()> {
    let new = path.join(FORMAT_NEW);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    writeln!(file, "{NAME} {VERSION}")?;
    file.sync_all()?;
    std::fs::rename(&new, path.join(FORMAT))?;
    sync(path)
}

/// Makes a directory and its parents, as far as they are not there, and makes their names durable.
fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_directory(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_parent(path),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes the name of a file durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync(parent.unwrap_or(Path::new(".")))
}
