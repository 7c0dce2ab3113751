//! The data directory: everything of a server that outlives it.
//!
//! ```text
//! FORMAT          what the directory is, and the version of its layout; written last, when all else of a new one is there
//! LOCK            locked while a process uses the directory; holds its number
//! server          who the server is to its clients, and the key of its filehandles; made once, mode 0600
//! exports         the number of each export, which is a part of its filehandles; that of a share is entered once the share is made
//! lease           how long the leases are that clients may still have
//! state           who may reclaim after a restart: a journal (`JournalStateStore`)
//! shares/NAME     a share
//! directories/ID  what is kept of a directory that is exported
//! ```
//!
//! Nothing is made anew that was lost or damaged: a server with another key, other numbers or an empty share refuses the filehandles that
//! its clients have.

mod error;
mod exports;
mod lease;
mod place;
mod record;
mod server;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use dittofs_framework::export::ExportId;

pub(crate) use error::DataDirError;
pub(crate) use exports::{ExportKey, Numbered};
pub(crate) use place::default_place;
pub(crate) use server::ServerRecord;

use record::{replace, sync_directory};

/// The layout that is written, and the only one that is read.
const VERSION: u32 = 1;
/// What `FORMAT` begins with.
const NAME: &str = "dittofs data directory, version ";

const FORMAT: &str = "FORMAT";
const LOCK: &str = "LOCK";
const SERVER: &str = "server";
const SHARES: &str = "shares";
const EXPORTS: &str = "exports";
/// What a start leaves in a new directory that ends before `FORMAT` is written, and `exports` without a number.
const UNFINISHED: [&str; 6] = [LOCK, SERVER, "server.new", "exports.new", SHARES, "FORMAT.new"];

/// A data directory that this process alone uses, until this is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    server: ServerRecord,
    _lock: File,
}

impl DataDir {
    /// Opens the directory; makes it if there is none, or an empty one. Blocks.
    pub(crate) fn open_or_make(path: &Path) -> Result<Self, DataDirError> {
        make_directory(path).map_err(|error| DataDirError::Io(path.to_owned(), error))?;
        look(path)?;
        let lock = lock(path)?;
        // Only who has the lock can tell an unfinished one from one that is being made.
        if look(path)? == Found::Unfinished {
            make(path)?;
        }
        Self::locked(path, lock)
    }

    /// Opens a directory that is there. Blocks.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        if look(path)? == Found::Unfinished {
            return Err(DataDirError::Missing(path.to_owned()));
        }
        let lock = lock(path)?;
        Self::locked(path, lock)
    }

    fn locked(path: &Path, lock: File) -> Result<Self, DataDirError> {
        let server = ServerRecord::read(&path.join(SERVER))?;
        Ok(Self { path: path.to_owned(), server, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Who the server is.
    pub(crate) fn server(&self) -> &ServerRecord {
        &self.server
    }

    /// Where the journal of the state store is.
    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// Where a share is.
    pub(crate) fn share(&self, name: &str) -> PathBuf {
        self.path.join(SHARES).join(name)
    }

    /// The names of the shares that there are, in order.
    pub(crate) fn shares(&self) -> Result<Vec<String>, DataDirError> {
        let path = self.path.join(SHARES);
        let io_error = |error| DataDirError::Io(path.clone(), error);
        let mut names = Vec::new();
        for entry in path.read_dir().map_err(io_error)? {
            // What has no such name was not made as a share.
            names.extend(entry.map_err(io_error)?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Looks whether the small files can be read.
    pub(crate) fn check_records(&self) -> Result<(), DataDirError> {
        self.lease()?;
        self.numbers(&[]).map(drop)
    }

    /// Where things are kept of a directory that is exported under this number.
    pub(crate) fn directory(&self, export: ExportId) -> Result<PathBuf, DataDirError> {
        let path = self.path.join("directories").join(export.0.to_string());
        make_directory(&path).map_err(|error| DataDirError::Io(path.clone(), error))?;
        Ok(path)
    }
}

/// What a directory is, as far as it may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// A data directory of this version.
    Whole,
    /// Empty, or one that a start did not finish.
    Unfinished,
}

/// Looks without touching anything.
fn look(path: &Path) -> Result<Found, DataDirError> {
    let file = path.join(FORMAT);
    match std::fs::read(&file) {
        Ok(format) => check_format(path, &format),
        Err(error) if error.kind() == io::ErrorKind::NotFound => look_at_names(path),
        Err(error) => Err(DataDirError::Io(file, error)),
    }
}

fn check_format(path: &Path, format: &[u8]) -> Result<Found, DataDirError> {
    let foreign = || DataDirError::Foreign(path.to_owned());
    let version = format.strip_prefix(NAME.as_bytes()).ok_or_else(foreign)?;
    let version = std::str::from_utf8(version).ok().and_then(|version| version.trim_end().parse().ok());
    match version.ok_or_else(foreign)? {
        VERSION => Ok(Found::Whole),
        found => Err(DataDirError::Version { path: path.to_owned(), found, supported: VERSION }),
    }
}

fn look_at_names(path: &Path) -> Result<Found, DataDirError> {
    let io_error = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => DataDirError::Missing(path.to_owned()),
        _ => DataDirError::Io(path.to_owned(), error),
    };
    for entry in path.read_dir().map_err(io_error)? {
        let name = entry.map_err(io_error)?.file_name();
        let is_new = name == OsStr::new(EXPORTS) && exports::is_new(&path.join(EXPORTS));
        if !is_new && !UNFINISHED.iter().any(|ours| name == OsStr::new(ours)) {
            return Err(DataDirError::Foreign(path.to_owned()));
        }
    }
    Ok(Found::Unfinished)
}

/// Makes what is in a new directory; `FORMAT` at last.
fn make(path: &Path) -> Result<(), DataDirError> {
    let shares = path.join(SHARES);
    make_directory(&shares).map_err(|error| DataDirError::Io(shares, error))?;
    ServerRecord::make(&path.join(SERVER))?;
    exports::make(&path.join(EXPORTS))?;
    let format = path.join(FORMAT);
    let text = format!("{NAME}{VERSION}\n");
    replace(&format, text.as_bytes()).map_err(|error| DataDirError::Io(format, error))
}

/// Makes a directory, and those above it, so that a crash of the machine leaves them there. Others than the owner have no business
/// in them.
fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_directory(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).ok_or(error)?;
            make_directory(parent)?;
            DirBuilder::new().mode(0o700).create(path)?;
            sync_directory(path)
        }
        Err(error) => Err(error),
    }
}

/// Takes the lock, which goes with the file, also when the process is killed.
fn lock(dir: &Path) -> Result<File, DataDirError> {
    let path = dir.join(LOCK);
    let io_error = |error| DataDirError::Io(path.clone(), error);
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = opened.map_err(io_error)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for people: if it cannot be read, the fact is said without.
            let holder = file.read_to_string(&mut holder).ok().and_then(|_| holder.trim().parse().ok());
            return Err(DataDirError::InUse(dir.to_owned(), holder));
        }
        Err(TryLockError::Error(error)) => return Err(io_error(error)),
    }
    file.set_len(0).map_err(io_error)?;
    writeln!(file, "{}", std::process::id()).map_err(io_error)?;
    Ok(file)
}
