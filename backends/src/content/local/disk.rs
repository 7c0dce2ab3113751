use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use super::clone;

/// How much of a file is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    /// What is needed to read the bytes again.
    Data,
    /// All of it.
    File,
}

/// The system calls whose outcome tests must be able to choose.
pub(super) trait Disk: Send + Sync + 'static {
    fn open(&self, directory: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(directory, path, flags, Mode::RUSR | Mode::WUSR)
    }

    /// Reads what is in memory already.
    fn read_cached(&self, file: BorrowedFd<'_>, into: &mut [u8], offset: u64) -> Result<usize, Errno> {
        rustix::io::preadv2(file, &mut [IoSliceMut::new(into)], offset, ReadWriteFlags::NOWAIT)
    }

    fn read(&self, file: BorrowedFd<'_>, into: &mut [u8], offset: u64) -> Result<usize, Errno> {
        rustix::io::pread(file, into, offset)
    }

    /// Writes if that takes memory only.
    fn write_cached(&self, file: BorrowedFd<'_>, data: &[u8], offset: u64) -> Result<usize, Errno> {
        rustix::io::pwritev2(file, &[IoSlice::new(data)], offset, ReadWriteFlags::NOWAIT)
    }

    fn write(&self, file: BorrowedFd<'_>, data: &[u8], offset: u64) -> Result<usize, Errno> {
        rustix::io::pwrite(file, data, offset)
    }

    fn allocate(&self, file: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Errno> {
        rustix::fs::fallocate(file, FallocateFlags::empty(), offset, len)
    }

    fn punch(&self, file: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Errno> {
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(file, how, offset, len)
    }

    fn copy(
        &self,
        from: (BorrowedFd<'_>, u64),
        to: (BorrowedFd<'_>, u64),
        len: usize,
    ) -> Result<usize, Errno> {
        let (mut from_offset, mut to_offset) = (from.1, to.1);
        rustix::fs::copy_file_range(from.0, Some(&mut from_offset), to.0, Some(&mut to_offset), len)
    }

    fn clone_range(
        &self,
        from: (BorrowedFd<'_>, u64),
        to: (BorrowedFd<'_>, u64),
        len: u64,
    ) -> Result<(), Errno> {
        clone::clone_range(from.0, from.1, to.0, to.1, len)
    }

    fn sync(&self, file: BorrowedFd<'_>, flush: Flush) -> Result<(), Errno> {
        match flush {
            Flush::Data => rustix::fs::fdatasync(file),
            Flush::File => rustix::fs::fsync(file),
        }
    }

    /// Makes the names in a directory durable.
    fn sync_directory(&self, directory: BorrowedFd<'_>) -> Result<(), Errno> {
        rustix::fs::fsync(directory)
    }
}

/// The kernel's.
pub(super) struct Kernel;

impl Disk for Kernel {}
