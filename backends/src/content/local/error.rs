use std::io;

use dittofs_framework::storage::StorageError;
use rustix::io::Errno;

/// What a system call's failure means for a store.
pub(super) fn storage_error(errno: Errno) -> StorageError {
    match errno {
        Errno::NOSPC | Errno::DQUOT => StorageError::NoSpace,
        Errno::FBIG | Errno::OVERFLOW => StorageError::TooLarge,
        Errno::LOOP | Errno::ISDIR | Errno::NOTDIR | Errno::NXIO => {
            StorageError::Damaged(format!("not a regular file in its place: {errno}"))
        }
        _ => StorageError::failed(io::Error::from(errno)),
    }
}

/// What a failed flush means: bytes that were written may be gone, so it is never merely a lack of room.
pub(super) fn flush_error(errno: Errno) -> StorageError {
    StorageError::failed(io::Error::from(errno))
}

/// Whether the file system cannot do this, for these arguments or at all.
pub(super) fn is_unsupported(errno: Errno) -> bool {
    matches!(errno, Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::XDEV | Errno::NOTTY)
}
