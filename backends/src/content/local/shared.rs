//! What the calls share: the open files, and what is known of the file system.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dittofs_framework::storage::{ContentSize, Ino, Room, StorageError, StorageResult};
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::cache::{Added, FileCache};
use super::directory::{Directories, NameMark};
use super::disk::Disk;
use super::error::{is_unsupported, storage_error};
use super::file::{ContentFile, Reading};
use super::layout::{self, facts, facts_of, file_path};
use super::sync;

/// How often room for an open file is made before it is opened beyond the limit.
const TRIES: usize = 4;
/// How files are opened.
const FILE_FLAGS: OFlags = OFlags::RDWR.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// How directories are opened.
const DIRECTORY_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

pub(super) struct Shared {
    pub(super) root: OwnedFd,
    pub(super) disk: Box<dyn Disk>,
    pub(super) cache: FileCache,
    directories: Directories,
    /// Contents of which a flush failed.
    pub(super) failed: Mutex<HashMap<Ino, StorageError, RandomState>>,
    pub(super) max_len: u64,
    /// Whether the file system can tell that a read, or a write, would wait.
    reads_inline: AtomicBool,
    writes_inline: AtomicBool,
}

impl Shared {
    pub(super) fn open(directory: &Path, max_open_files: usize, disk: Box<dyn Disk>) -> io::Result<Self> {
        let root = open_root(directory)?;
        Ok(Self {
            disk,
            cache: FileCache::new(max_open_files),
            directories: Directories::new(),
            failed: Mutex::default(),
            max_len: max_len(&root)?,
            reads_inline: AtomicBool::new(true),
            writes_inline: AtomicBool::new(true),
            root,
        })
    }

    /// The file of contents, if they are there. Waits for the device.
    pub(super) fn find(&self, id: Ino) -> StorageResult<Option<Arc<ContentFile>>> {
        match self.cache.get(id) {
            Some(file) => Ok(Some(file)),
            None => self.open_file(id)?.map_or(Ok(None), |opened| self.keep(id, opened)),
        }
    }

    /// The file of contents, which are made if they are not there. Waits for the device.
    pub(super) fn make(&self, id: Ino) -> StorageResult<Arc<ContentFile>> {
        if let Some(file) = self.find(id)? {
            return Ok(file);
        }
        let made = self.make_file(id)?;
        // It is not removed while it is being changed.
        self.keep(id, made)?.ok_or_else(|| storage_error(Errno::NOENT))
    }

    fn open_file(&self, id: Ino) -> StorageResult<Option<(OwnedFd, NameMark)>> {
        match self.with_room_for_one(|| self.disk.open(self.root.as_fd(), &file_path(id), FILE_FLAGS)) {
            Ok(fd) => Ok(Some((fd, self.directories.of(id).mark()))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(storage_error(errno)),
        }
    }

    fn make_file(&self, id: Ino) -> StorageResult<(OwnedFd, NameMark)> {
        let directory = self.directories.of(id);
        let open = || directory.make_file(&*self.disk, &self.root, id, FILE_FLAGS);
        let made = self.with_room_for_one(open).map_err(storage_error)?;
        self.directories.note_made(id);
        Ok(made)
    }

    /// Opens a directory of files, or one above them.
    pub(super) fn open_directory(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.with_room_for_one(|| self.disk.open(self.root.as_fd(), path, DIRECTORY_FLAGS))
    }

    /// Opens a file; closes others first if the process has too many.
    fn with_room_for_one<T>(&self, open: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
        match rustix::io::retry_on_intr(&open) {
            Err(Errno::MFILE | Errno::NFILE) => {
                self.cache.close_idle();
                rustix::io::retry_on_intr(&open)
            }
            result => result,
        }
    }

    /// Puts an opened file where all find it; `None` if it has no name any more.
    fn keep(&self, id: Ino, (fd, mark): (OwnedFd, NameMark)) -> StorageResult<Option<Arc<ContentFile>>> {
        let found = facts(&fd).map_err(storage_error)?;
        if !found.is_regular {
            return Err(StorageError::Damaged(format!("{} is not a regular file", file_path(id))));
        }
        let place = (self.directories.of(id), mark);
        let failed = self.failed.lock().get(&id).cloned();
        let file = Arc::new(ContentFile::new(id, fd, found.size.len, place, failed));
        let file = self.add(&file);
        // A removal takes the name first and then looks here; so one that did not find the file here has taken its name.
        if facts(file.fd()).map_err(storage_error)?.links == 0 {
            self.cache.remove(id);
            return Ok(None);
        }
        Ok(Some(file))
    }

    fn add(&self, file: &Arc<ContentFile>) -> Arc<ContentFile> {
        for _ in 0..TRIES {
            match self.cache.add(file) {
                Added::Kept(kept) => return kept,
                // A loss is kept for those who ask for the file; after any other failure it stays open.
                Added::Flush(other) => drop(sync::flush(self, &other)),
            }
        }
        self.cache.add_beyond_limit(file)
    }

    /// Reads what is in memory, if the file is open. Does not wait.
    pub(super) fn read_cached(
        &self,
        id: Ino,
        offset: u64,
        count: u32,
    ) -> StorageResult<Option<(Arc<ContentFile>, Reading)>> {
        let Some(file) = self.cache.get(id) else { return Ok(None) };
        let mut reading = Reading::new(&file, offset, count);
        if self.reads_inline.load(Ordering::Relaxed) {
            match reading.read_cached(&*self.disk, &file) {
                Err(errno) if is_unsupported(errno) => self.reads_inline.store(false, Ordering::Relaxed),
                result => result.map_err(storage_error)?,
            }
        }
        Ok(Some((file, reading)))
    }

    /// Writes what takes memory only, if the file is open; returns how much. Does not wait.
    pub(super) fn write_cached(
        &self,
        id: Ino,
        offset: u64,
        data: &[u8],
    ) -> StorageResult<Option<(Arc<ContentFile>, usize)>> {
        if !self.writes_inline.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(file) = self.cache.get(id) else { return Ok(None) };
        match file.write_cached(&*self.disk, offset, data) {
            Ok(count) => Ok(Some((file, count))),
            Err(errno) if is_unsupported(errno) => {
                self.writes_inline.store(false, Ordering::Relaxed);
                Ok(None)
            }
            Err(errno) => Err(storage_error(errno)),
        }
    }

    /// Cuts a file off or extends it. Waits for the device.
    pub(super) fn truncate(&self, id: Ino, len: u64) -> StorageResult<ContentSize> {
        let file = self.make(id)?;
        let size = file.truncate(len)?;
        if len == 0 {
            self.failed.lock().remove(&id);
            file.sync.forget_failure();
        }
        Ok(size)
    }

    /// Removes a file. Waits for the device.
    pub(super) fn remove(&self, id: Ino) -> StorageResult<()> {
        match rustix::fs::unlinkat(&self.root, file_path(id), AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(storage_error(errno)),
        }
        if let Some(file) = self.cache.remove(id) {
            file.remove();
        }
        self.failed.lock().remove(&id);
        self.directories.note_removed(&self.root, id);
        Ok(())
    }

    /// How large a file is. Waits for the device.
    pub(super) fn size(&self, id: Ino) -> StorageResult<Option<ContentSize>> {
        match facts_of(&self.root, id) {
            Ok(facts) => Ok(facts.is_regular.then_some(facts.size)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(storage_error(errno)),
        }
    }

    pub(super) fn scan(&self, after: Ino, limit: usize) -> StorageResult<Vec<(Ino, ContentSize)>> {
        layout::scan(&self.root, after, limit).map_err(storage_error)
    }

    pub(super) fn room(&self) -> StorageResult<Room> {
        let stat = rustix::fs::fstatvfs(&self.root).map_err(storage_error)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        let (total, free) = (bytes(stat.f_blocks), bytes(stat.f_bfree));
        Ok(Room { total, free, available: bytes(stat.f_bavail).min(free) })
    }
}

/// Opens the directory; makes it, durably, if it is not there.
fn open_root(directory: &Path) -> io::Result<OwnedFd> {
    match rustix::fs::mkdir(directory, Mode::RWXU) {
        Ok(()) => {
            let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
            std::fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    Ok(rustix::fs::open(directory, DIRECTORY_FLAGS, Mode::empty())?)
}

/// How long a file may be: there is no call that says so, but one that fails when it is too long.
fn max_len(root: &OwnedFd) -> io::Result<u64> {
    const NAME: &str = ".length";
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root, NAME, flags, Mode::RUSR | Mode::WUSR)?;
    rustix::fs::unlinkat(root, NAME, AtFlags::empty())?;
    // Beyond the process's limit the kernel would send a signal that ends it.
    let limit = getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX);
    let (mut fits, mut too_long) = (0, limit.min(i64::MAX as u64).saturating_add(1));
    while too_long - fits > 1 {
        let middle = fits + (too_long - fits) / 2;
        match rustix::fs::ftruncate(&file, middle) {
            Ok(()) => fits = middle,
            Err(Errno::INTR) => {}
            Err(Errno::FBIG | Errno::INVAL | Errno::NOSPC | Errno::DQUOT) => too_long = middle,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(fits)
}
