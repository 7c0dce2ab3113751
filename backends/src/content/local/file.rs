//! One open file: lengths, reads, writes, holes. Everything here may wait for the device, but for what says that it does not.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use dittofs_framework::fs::DataOrHole;
use dittofs_framework::storage::{ContentSize, Ino, StorageError, StorageResult};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use rustix::fs::SeekFrom;
use rustix::io::{Errno, retry_on_intr};

use super::directory::{Directory, NameMark};
use super::disk::Disk;
use super::error::{is_unsupported, storage_error};
use super::layout::facts;
use super::sync::SyncState;

/// What zeros are written from where no holes can be made.
static ZEROS: [u8; 256 << 10] = [0; 256 << 10];

/// An open file. There is one at most for each contents, as long as anybody uses it.
pub(super) struct ContentFile {
    id: Ino,
    fd: OwnedFd,
    pub(super) directory: Arc<Directory>,
    /// The file's name in its directory.
    pub(super) mark: NameMark,
    /// Nobody else changes the file, so this is what its length is once all calls have returned.
    len: AtomicU64,
    /// Counts the changes that have returned, whether or not they failed.
    changes: AtomicU64,
    /// Held exclusively by what makes the file shorter, or longer by name of a length, and shared by other changes.
    length: RwLock<()>,
    is_removed: AtomicBool,
    pub(super) sync: SyncState,
}

/// A change under way; it counts when it ends.
pub(super) struct Changing<'a, G> {
    file: &'a ContentFile,
    _length: G,
}

impl<G> Drop for Changing<'_, G> {
    fn drop(&mut self) {
        self.file.changes.fetch_add(1, Ordering::Release);
    }
}

impl ContentFile {
    pub(super) fn new(
        id: Ino,
        fd: OwnedFd,
        len: u64,
        (directory, mark): (Arc<Directory>, NameMark),
        failed: Option<StorageError>,
    ) -> Self {
        Self {
            id,
            fd,
            directory,
            mark,
            len: AtomicU64::new(len),
            changes: AtomicU64::new(0),
            length: RwLock::new(()),
            is_removed: AtomicBool::new(false),
            sync: SyncState::new(failed),
        }
    }

    pub(super) fn id(&self) -> Ino {
        self.id
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    pub(super) fn is_removed(&self) -> bool {
        self.is_removed.load(Ordering::Acquire)
    }

    /// Whether the file is removed, or just being removed. Asks the file system.
    pub(super) fn has_no_name(&self) -> bool {
        self.is_removed() || facts(&self.fd).is_ok_and(|facts| facts.links == 0)
    }

    /// Whether something was changed that is not known to be durable, and not known to be lost.
    pub(super) fn is_unsaved(&self) -> bool {
        self.sync.is_unsaved(self.changes()) && !self.is_removed()
    }

    /// How large the file is; does not wait.
    pub(super) fn size(&self) -> StorageResult<ContentSize> {
        facts(&self.fd).map(|facts| facts.size).map_err(storage_error)
    }

    pub(super) fn changing(&self) -> Changing<'_, RwLockReadGuard<'_, ()>> {
        Changing { file: self, _length: self.length.read() }
    }

    fn try_changing(&self) -> Option<Changing<'_, RwLockReadGuard<'_, ()>>> {
        Some(Changing { file: self, _length: self.length.try_read()? })
    }

    fn changing_length(&self) -> Changing<'_, RwLockWriteGuard<'_, ()>> {
        Changing { file: self, _length: self.length.write() }
    }

    /// The file reaches at least up to here.
    pub(super) fn grew(&self, end: u64) {
        self.len.fetch_max(end, Ordering::AcqRel);
    }

    /// A change failed that may have made the file longer.
    pub(super) fn may_have_grown(&self) {
        if let Ok(size) = self.size() {
            self.grew(size.len);
        }
    }

    /// Writes as much as takes memory only; returns how much. Does not wait.
    pub(super) fn write_cached(&self, disk: &dyn Disk, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        let Some(_changing) = self.try_changing() else { return Ok(0) };
        match disk.write_cached(self.fd(), data, offset) {
            Ok(count) => {
                self.grew(offset + count as u64);
                Ok(count)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(errno) => Err(errno),
        }
    }

    /// Writes what is left of `data` after `written` bytes.
    pub(super) fn write(
        &self,
        disk: &dyn Disk,
        offset: u64,
        data: &[u8],
        written: usize,
    ) -> StorageResult<ContentSize> {
        let _changing = self.changing();
        let rest = data.get(written..).unwrap_or_default();
        self.write_all(disk, offset + written as u64, rest)?;
        self.size()
    }

    fn write_all(&self, disk: &dyn Disk, mut offset: u64, mut data: &[u8]) -> StorageResult<()> {
        while !data.is_empty() {
            match disk.write(self.fd(), data, offset) {
                // Linux does not do this to a regular file, and trying again would not end.
                Ok(0) => return Err(storage_error(Errno::IO)),
                Ok(count) => {
                    offset += count as u64;
                    data = data.get(count..).unwrap_or_default();
                    self.grew(offset);
                }
                Err(Errno::INTR) => {}
                Err(errno) => {
                    self.may_have_grown();
                    return Err(storage_error(errno));
                }
            }
        }
        Ok(())
    }

    pub(super) fn truncate(&self, len: u64) -> StorageResult<ContentSize> {
        let _changing = self.changing_length();
        retry_on_intr(|| rustix::fs::ftruncate(&self.fd, len)).map_err(storage_error)?;
        self.len.store(len, Ordering::Release);
        self.size()
    }

    /// Extends the file with a hole, unless it is as long already.
    pub(super) fn extend(&self, len: u64) -> StorageResult<()> {
        let _changing = self.changing_length();
        if self.len() < len {
            retry_on_intr(|| rustix::fs::ftruncate(&self.fd, len)).map_err(storage_error)?;
            self.grew(len);
        }
        Ok(())
    }

    pub(super) fn allocate(&self, disk: &dyn Disk, offset: u64, len: u64) -> StorageResult<ContentSize> {
        let _changing = self.changing_length();
        let before = self.size()?;
        // What certainly does not fit is not tried: it would take all there is first.
        let room = rustix::fs::fstatvfs(&self.fd).map_err(storage_error)?;
        let available = room.f_bavail.saturating_mul(room.f_frsize);
        if len.saturating_sub(before.allocated) > available {
            return Err(StorageError::NoSpace);
        }
        if let Err(errno) = retry_on_intr(|| disk.allocate(self.fd(), offset, len)) {
            if offset + len > before.len {
                // Gives back what was allocated beyond the end; if that fails too, it takes room and does no other harm.
                let _ = rustix::fs::ftruncate(&self.fd, before.len);
            }
            return Err(if is_unsupported(errno) {
                StorageError::NotSupported
            } else {
                storage_error(errno)
            });
        }
        self.grew(offset + len);
        self.size()
    }

    /// Makes a hole of the range, as far as the file reaches.
    pub(super) fn punch(&self, disk: &dyn Disk, offset: u64, len: u64) -> StorageResult<()> {
        let _changing = self.changing();
        let len = len.min(self.len().saturating_sub(offset));
        if len == 0 {
            return Ok(());
        }
        match retry_on_intr(|| disk.punch(self.fd(), offset, len)) {
            Err(errno) if is_unsupported(errno) => self.write_zeros(disk, offset, len),
            result => result.map_err(storage_error),
        }
    }

    /// Writes zeros over what is data; holes are zeros already.
    fn write_zeros(&self, disk: &dyn Disk, mut offset: u64, len: u64) -> StorageResult<()> {
        let end = offset + len;
        while let Some(data) = self.seek(offset, DataOrHole::Data)?.filter(|data| *data < end) {
            let hole = self.seek(data, DataOrHole::Hole)?.map_or(end, |hole| hole.min(end));
            let piece = usize::try_from(hole - data).map_or(ZEROS.len(), |len| len.min(ZEROS.len()));
            self.write_all(disk, data, ZEROS.get(..piece).unwrap_or_default())?;
            offset = data + piece as u64;
        }
        Ok(())
    }

    /// The first offset from `offset` on that is `what`.
    pub(super) fn seek(&self, offset: u64, what: DataOrHole) -> StorageResult<Option<u64>> {
        let len = self.len();
        if offset >= len {
            return Ok(None);
        }
        let place = match what {
            DataOrHole::Data => SeekFrom::Data(offset),
            DataOrHole::Hole => SeekFrom::Hole(offset),
        };
        // Nobody uses the position that this moves.
        match retry_on_intr(|| rustix::fs::seek(&self.fd, place)) {
            Ok(found) => Ok((what == DataOrHole::Hole || found < len).then(|| found.min(len))),
            Err(Errno::NXIO) => Ok((what == DataOrHole::Hole).then_some(len)),
            // A file system that knows nothing of holes has data everywhere.
            Err(errno) if is_unsupported(errno) => {
                Ok(Some(if what == DataOrHole::Data { offset } else { len }))
            }
            Err(errno) => Err(storage_error(errno)),
        }
    }

    /// The name is gone: gives the storage back, whoever still has the file open.
    pub(super) fn remove(&self) {
        let _changing = self.changing_length();
        self.is_removed.store(true, Ordering::Release);
        self.len.store(0, Ordering::Release);
        if let Err(errno) = rustix::fs::ftruncate(&self.fd, 0) {
            tracing::warn!(file = self.id.0, %errno, "storage of a removed file is given back only when it is closed");
        }
    }
}

/// A read under way.
pub(super) struct Reading {
    offset: u64,
    buffer: Vec<u8>,
    filled: usize,
    is_done: bool,
}

impl Reading {
    /// A read of so many bytes of the file, or as many as there are.
    pub(super) fn new(file: &ContentFile, offset: u64, count: u32) -> Self {
        let len = file.len().saturating_sub(offset).min(u64::from(count));
        let buffer = vec![0; usize::try_from(len).unwrap_or_default()];
        Self { offset, is_done: buffer.is_empty(), buffer, filled: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Reads what is in memory. Does not wait.
    pub(super) fn read_cached(&mut self, disk: &dyn Disk, file: &ContentFile) -> Result<(), Errno> {
        while !self.is_done {
            let offset = self.offset + self.filled as u64;
            match disk.read_cached(file.fd(), self.rest(), offset) {
                Ok(count) => self.note(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Reads all.
    pub(super) fn read(&mut self, disk: &dyn Disk, file: &ContentFile) -> StorageResult<()> {
        while !self.is_done {
            let offset = self.offset + self.filled as u64;
            let rest = self.rest();
            let count = retry_on_intr(|| disk.read(file.fd(), rest, offset)).map_err(storage_error)?;
            self.note(count);
        }
        Ok(())
    }

    fn rest(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    fn note(&mut self, count: usize) {
        self.filled += count;
        self.is_done = count == 0 || self.filled == self.buffer.len();
    }

    pub(super) fn into_bytes(mut self) -> Bytes {
        self.buffer.truncate(self.filled);
        Bytes::from(self.buffer)
    }
}
