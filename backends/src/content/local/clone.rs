//! FICLONERANGE, which no crate wraps: of rustix only the clone of whole files is to be had.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

/// `struct file_clone_range` of linux/fs.h.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct FileCloneRange {
    source: i64,
    source_offset: u64,
    len: u64,
    target_offset: u64,
}

/// `FICLONERANGE`: `_IOW(0x94, 13, struct file_clone_range)`.
const CLONE_RANGE: Opcode = opcode::write::<FileCloneRange>(0x94, 13);

/// Lets a range of `to` share the storage of one of `from`; `len` is not zero, which would stand for all.
pub(super) fn clone_range(
    from: impl AsFd,
    from_offset: u64,
    to: impl AsFd,
    to_offset: u64,
    len: u64,
) -> Result<(), Errno> {
    let from = from.as_fd();
    let range = FileCloneRange {
        source: i64::from(from.as_raw_fd()),
        source_offset: from_offset,
        len,
        target_offset: to_offset,
    };
    // SAFETY: the opcode takes a pointer to a `file_clone_range`, which the struct is laid out as; the kernel only reads it, and `from`
    // stays open until the call has returned.
    unsafe { ioctl(to, Setter::<CLONE_RANGE, FileCloneRange>::new(range)) }
}
