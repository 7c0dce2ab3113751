//! How long and how many.

use dittofs_framework::fs::{FsError, FsResult};

/// Longest name of an entry.
pub(crate) const MAX_NAME: u32 = 255;
/// Largest file: what fits in the `off_t` of clients.
pub(crate) const MAX_FILE_SIZE: u64 = i64::MAX as u64;
/// Most hard links of an object, and one more than most subdirectories of a directory.
pub(crate) const MAX_LINK: u32 = i32::MAX as u32;
/// Longest content of a symbolic link: a path of 4096 bytes on Linux ends with a NUL.
pub(crate) const MAX_SYMLINK: usize = 4095;
/// What a directory says its size is: entries are not bytes that anyone could read.
pub(crate) const DIRECTORY_SIZE: u64 = 4096;

/// Names that could not be stored.
pub(crate) fn check_name(name: &[u8]) -> FsResult<()> {
    if name.len() > MAX_NAME as usize { Err(FsError::NameTooLong) } else { Ok(()) }
}

/// Sizes that no file can have.
pub(crate) fn check_size(size: u64) -> FsResult<()> {
    if size > MAX_FILE_SIZE { Err(FsError::FileTooBig) } else { Ok(()) }
}

/// Whether a range that is to be filled ends where a file may.
pub(crate) fn check_range(offset: u64, len: u64) -> FsResult<()> {
    match offset.checked_add(len) {
        Some(end) if end <= MAX_FILE_SIZE => Ok(()),
        _ => Err(FsError::FileTooBig),
    }
}

/// The largest id stands for "none" in the calls of POSIX, and can own nothing.
pub(crate) fn check_id(id: u32) -> FsResult<()> {
    if id == u32::MAX { Err(FsError::Inval) } else { Ok(()) }
}
