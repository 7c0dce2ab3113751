//! What an operation on regular files answers for everything else.

use dittofs_framework::proto::{FileType, NFS4ERR_ISDIR, NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, Status};

/// Lets regular files pass: of the rest, directories are NFS4ERR_ISDIR, symbolic links NFS4ERR_SYMLINK and all others
/// NFS4ERR_WRONG_TYPE (RFC 8881 sections 18.10.3, 18.16.4 and 18.22.3).
pub(crate) fn check_regular(file_type: FileType) -> Result<(), Status> {
    match file_type {
        FileType::Reg => Ok(()),
        FileType::Dir => Err(NFS4ERR_ISDIR),
        FileType::Lnk => Err(NFS4ERR_SYMLINK),
        _ => Err(NFS4ERR_WRONG_TYPE),
    }
}
