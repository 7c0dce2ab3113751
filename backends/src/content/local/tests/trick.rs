//! A disk that does what a test says.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use parking_lot::{Condvar, Mutex};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::content::local::disk::{Disk, Flush, Kernel};

/// The kernel's disk, but for what is set here.
#[derive(Default)]
pub(super) struct Tricks {
    /// How often each kind was asked for.
    pub(super) data_syncs: AtomicUsize,
    pub(super) file_syncs: AtomicUsize,
    pub(super) directory_syncs: AtomicUsize,
    /// What the next call comes to.
    pub(super) next_sync: Mutex<Option<Errno>>,
    pub(super) next_directory_sync: Mutex<Option<Errno>>,
    pub(super) next_open: Mutex<Option<Errno>>,
    pub(super) next_read: Mutex<Option<Errno>>,
    pub(super) next_allocate: Mutex<Option<Errno>>,
    /// So many bytes are written before a write fails.
    pub(super) full_after: Mutex<Option<(usize, Errno)>>,
    /// Most bytes that a call moves; none set is no limit.
    pub(super) most: AtomicUsize,
    /// Every second call is interrupted.
    pub(super) interrupts: AtomicBool,
    calls: AtomicUsize,
    /// What this file system cannot do.
    pub(super) is_plain: AtomicBool,
    /// Whether syncs wait until they may go on.
    held: Mutex<bool>,
    released: Condvar,
}

impl Tricks {
    pub(super) fn syncs(&self) -> usize {
        self.data_syncs.load(SeqCst) + self.file_syncs.load(SeqCst)
    }

    pub(super) fn hold_syncs(&self) {
        *self.held.lock() = true;
    }

    pub(super) fn release_syncs(&self) {
        *self.held.lock() = false;
        self.released.notify_all();
    }

    fn interrupt(&self) -> Result<(), Errno> {
        if self.interrupts.load(SeqCst) && self.calls.fetch_add(1, SeqCst).is_multiple_of(2) {
            return Err(Errno::INTR);
        }
        Ok(())
    }

    fn at_most(&self, len: usize) -> usize {
        match self.most.load(SeqCst) {
            0 => len,
            most => len.min(most),
        }
    }

    fn only_if_not_plain(&self) -> Result<(), Errno> {
        if self.is_plain.load(SeqCst) { Err(Errno::OPNOTSUPP) } else { Ok(()) }
    }
}

fn next(errno: &Mutex<Option<Errno>>) -> Result<(), Errno> {
    errno.lock().take().map_or(Ok(()), Err)
}

/// Tricks that the test and the store share.
pub(super) struct TrickDisk(pub(super) Arc<Tricks>);

impl Disk for TrickDisk {
    fn open(&self, directory: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.0.interrupt()?;
        next(&self.0.next_open)?;
        Kernel.open(directory, path, flags)
    }

    fn read_cached(&self, file: BorrowedFd<'_>, into: &mut [u8], offset: u64) -> Result<usize, Errno> {
        self.0.only_if_not_plain()?;
        self.0.interrupt()?;
        let most = self.0.at_most(into.len());
        if most < into.len() && self.0.calls.fetch_add(1, SeqCst).is_multiple_of(3) {
            return Err(Errno::AGAIN);
        }
        Kernel.read_cached(file, &mut into[..most], offset)
    }

    fn read(&self, file: BorrowedFd<'_>, into: &mut [u8], offset: u64) -> Result<usize, Errno> {
        self.0.interrupt()?;
        next(&self.0.next_read)?;
        let most = self.0.at_most(into.len());
        Kernel.read(file, &mut into[..most], offset)
    }

    fn write_cached(&self, file: BorrowedFd<'_>, data: &[u8], offset: u64) -> Result<usize, Errno> {
        self.0.only_if_not_plain()?;
        if self.0.most.load(SeqCst) == 0 {
            return Err(Errno::OPNOTSUPP);
        }
        // As if the kernel could tell: a part of it, or nothing.
        self.0.interrupt()?;
        if self.0.calls.fetch_add(1, SeqCst).is_multiple_of(3) {
            return Err(Errno::AGAIN);
        }
        Kernel.write(file, &data[..self.0.at_most(data.len())], offset)
    }

    fn write(&self, file: BorrowedFd<'_>, data: &[u8], offset: u64) -> Result<usize, Errno> {
        self.0.interrupt()?;
        let mut most = self.0.at_most(data.len());
        if let Some((left, errno)) = &mut *self.0.full_after.lock() {
            if *left == 0 {
                return Err(*errno);
            }
            most = most.min(*left);
            *left -= most;
        }
        Kernel.write(file, &data[..most], offset)
    }

    fn allocate(&self, file: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Errno> {
        self.0.only_if_not_plain()?;
        self.0.interrupt()?;
        let failure = next(&self.0.next_allocate);
        // A file system does some of it before it finds that it cannot do all.
        Kernel.allocate(file, offset, if failure.is_ok() { len } else { len.div_ceil(2) })?;
        failure
    }

    fn punch(&self, file: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Errno> {
        self.0.only_if_not_plain()?;
        self.0.interrupt()?;
        Kernel.punch(file, offset, len)
    }

    fn copy(
        &self,
        from: (BorrowedFd<'_>, u64),
        to: (BorrowedFd<'_>, u64),
        len: usize,
    ) -> Result<usize, Errno> {
        self.0.only_if_not_plain()?;
        self.0.interrupt()?;
        Kernel.copy(from, to, self.0.at_most(len))
    }

    fn clone_range(
        &self,
        from: (BorrowedFd<'_>, u64),
        to: (BorrowedFd<'_>, u64),
        len: u64,
    ) -> Result<(), Errno> {
        self.0.only_if_not_plain()?;
        self.0.interrupt()?;
        Kernel.clone_range(from, to, len)
    }

    fn sync(&self, file: BorrowedFd<'_>, flush: Flush) -> Result<(), Errno> {
        self.0.interrupt()?;
        match flush {
            Flush::Data => self.0.data_syncs.fetch_add(1, SeqCst),
            Flush::File => self.0.file_syncs.fetch_add(1, SeqCst),
        };
        let mut held = self.0.held.lock();
        self.0.released.wait_while(&mut held, |held| *held);
        drop(held);
        next(&self.0.next_sync)?;
        Kernel.sync(file, flush)
    }

    fn sync_directory(&self, directory: BorrowedFd<'_>) -> Result<(), Errno> {
        self.0.interrupt()?;
        self.0.directory_syncs.fetch_add(1, SeqCst);
        next(&self.0.next_directory_sync)?;
        Kernel.sync_directory(directory)
    }
}
