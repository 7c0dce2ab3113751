//! The directories of files: when they are made and go, and when names in them are durable.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dittofs_framework::storage::{Ino, StorageError};
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::disk::Disk;
use super::error::{flush_error, storage_error};
use super::layout::{directory_of, directory_path, file_path, parent_of, parent_path};

/// How often a file is tried to be made while others take its directory away.
const TRIES: usize = 16;

/// One directory of files.
pub(super) struct Directory {
    number: u64,
    names: Mutex<Names>,
    /// Held by who makes names durable: others wait, and find that theirs are.
    turn: Mutex<()>,
}

/// What is known of the names in a directory, and of its own and its parent's.
struct Names {
    /// Counts the names that were made. Those that were found have the count at that time.
    made: u64,
    /// The names up to this one are durable.
    durable: u64,
    /// Counts how often the directory itself was made or gone.
    paths: u64,
    /// Up to which of these its own name is durable.
    durable_paths: u64,
    /// Names may be lost.
    failed: Option<StorageError>,
}

/// The names that are in a directory by some time.
#[derive(Debug, Clone, Copy)]
pub(super) struct NameMark(u64);

/// Why something is not known to be durable.
#[derive(Debug)]
pub(super) enum NotDurable {
    /// A flush failed, and the kernel may have dropped what it was to write.
    Lost(StorageError),
    /// Nothing was flushed, so nothing is lost, and a later flush can succeed.
    NotTried(StorageError),
}

impl Directory {
    fn new(number: u64) -> Self {
        // An earlier instance may have left names that are not durable.
        let names = Names { made: 1, durable: 0, paths: 1, durable_paths: 0, failed: None };
        Self { number, names: Mutex::new(names), turn: Mutex::default() }
    }

    /// For a file that was there.
    pub(super) fn mark(&self) -> NameMark {
        NameMark(self.names.lock().made)
    }

    /// Makes a file, and the directory if need be; opens it if it is there already.
    pub(super) fn make_file(
        &self,
        disk: &dyn Disk,
        root: &OwnedFd,
        id: Ino,
        flags: OFlags,
    ) -> Result<(OwnedFd, NameMark), Errno> {
        let mut names = self.names.lock();
        for _ in 0..TRIES {
            match disk.open(root.as_fd(), &file_path(id), flags | OFlags::CREATE) {
                Ok(file) => {
                    names.made += 1;
                    return Ok((file, NameMark(names.made)));
                }
                Err(Errno::NOENT) => {
                    names.paths += 1;
                    make_directory(root, &parent_path(parent_of(self.number)))?;
                    match make_directory(root, &directory_path(self.number)) {
                        // The parent was empty, and somebody took it away.
                        Err(Errno::NOENT) | Ok(()) => {}
                        Err(errno) => return Err(errno),
                    }
                }
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::NOENT)
    }

    /// Makes the names up to this one durable, and the path to them. `open` opens a directory by its path.
    pub(super) fn make_durable(
        &self,
        disk: &dyn Disk,
        open: impl Fn(&str) -> Result<OwnedFd, Errno>,
        mark: NameMark,
    ) -> Result<(), NotDurable> {
        let _turn = self.turn.lock();
        let (made, paths, is_path_durable) = {
            let names = self.names.lock();
            if let Some(error) = &names.failed {
                return Err(NotDurable::Lost(error.clone()));
            }
            let is_path_durable = names.durable_paths == names.paths;
            if names.durable >= mark.0 && is_path_durable {
                return Ok(());
            }
            (names.made, names.paths, is_path_durable)
        };
        let result = self.sync(disk, open, is_path_durable);
        let mut names = self.names.lock();
        match &result {
            Ok(()) => {
                names.durable = names.durable.max(made);
                names.durable_paths = paths;
            }
            // The kernel tells of a loss once. Later ones who ask must learn of it too.
            Err(NotDurable::Lost(error)) => names.failed = Some(error.clone()),
            Err(NotDurable::NotTried(_)) => {}
        }
        result
    }

    fn sync(
        &self,
        disk: &dyn Disk,
        open: impl Fn(&str) -> Result<OwnedFd, Errno>,
        is_path_durable: bool,
    ) -> Result<(), NotDurable> {
        let sync = |path: &str| {
            let directory = open(path).map_err(|errno| NotDurable::NotTried(storage_error(errno)))?;
            let flushed = rustix::io::retry_on_intr(|| disk.sync_directory(directory.as_fd()));
            flushed.map_err(|errno| NotDurable::Lost(flush_error(errno)))
        };
        sync(&directory_path(self.number))?;
        if !is_path_durable {
            sync(&parent_path(parent_of(self.number)))?;
            sync(".")?;
        }
        Ok(())
    }

    /// Removes the directory if it is empty.
    fn remove_if_empty(&self, root: &OwnedFd, is_parent_done: bool) {
        let mut names = self.names.lock();
        // A failure means that it is not empty, or stays for a later run.
        if rustix::fs::unlinkat(root, directory_path(self.number), AtFlags::REMOVEDIR).is_ok() {
            names.paths += 1;
            if is_parent_done {
                let parent = parent_path(parent_of(self.number));
                let _ = rustix::fs::unlinkat(root, parent, AtFlags::REMOVEDIR);
            }
        }
    }
}

fn make_directory(root: &OwnedFd, path: &str) -> Result<(), Errno> {
    match rustix::fs::mkdirat(root, path, Mode::RWXU) {
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}

/// The directories that something is known of.
pub(super) struct Directories {
    known: Mutex<Known>,
    /// The highest number of a directory that a file was made in.
    newest: AtomicU64,
}

struct Known {
    directories: HashMap<u64, Arc<Directory>, RandomState>,
    /// At this size those that nobody uses are forgotten: they are only made durable once more.
    sweep_at: usize,
}

/// As many are known at least before any is forgotten.
const KNOWN: usize = 1024;

impl Directories {
    pub(super) fn new() -> Self {
        let known = Known { directories: HashMap::default(), sweep_at: KNOWN };
        Self { known: Mutex::new(known), newest: AtomicU64::new(0) }
    }

    /// The directory that a file is in or would be.
    pub(super) fn of(&self, id: Ino) -> Arc<Directory> {
        let number = directory_of(id);
        let mut known = self.known.lock();
        if let Some(directory) = known.directories.get(&number) {
            return Arc::clone(directory);
        }
        if known.directories.len() >= known.sweep_at {
            known.directories.retain(|_, directory| {
                Arc::strong_count(directory) > 1 || directory.names.lock().failed.is_some()
            });
            known.sweep_at = KNOWN.max(known.directories.len() * 2);
        }
        let directory = Arc::new(Directory::new(number));
        known.directories.insert(number, Arc::clone(&directory));
        directory
    }

    /// A file was made.
    pub(super) fn note_made(&self, id: Ino) {
        self.newest.fetch_max(directory_of(id), Ordering::Relaxed);
    }

    /// A file was removed: its directory goes with the last one, unless new files are about to come into it. Numbers grow, so those come
    /// into the newest.
    pub(super) fn note_removed(&self, root: &OwnedFd, id: Ino) {
        let (number, newest) = (directory_of(id), self.newest.load(Ordering::Relaxed));
        if number != newest {
            self.of(id).remove_if_empty(root, parent_of(number) != parent_of(newest));
        }
    }
}
