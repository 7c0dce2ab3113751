//! Extended attributes of the user name space (RFC 8276), by the rules that Linux has for them.

use dittofs_framework::fs::{Credentials, FsError, FsResult};
use dittofs_framework::proto::FileType;

use super::permission::{self, Facts, STICKY, Want};

/// Longest name of an extended attribute.
pub(crate) const MAX_XATTR_NAME: usize = 255;
/// Longest value of an extended attribute.
pub(crate) const MAX_XATTR_VALUE: usize = 64 * 1024;
/// Most bytes of names and values that an object has.
pub(crate) const MAX_XATTR_TOTAL: u64 = 1024 * 1024;

/// The user name space is one of files and directories: the mode of the others is not about what is stored in them.
pub(crate) fn has_user_xattrs(facts: &Facts) -> bool {
    matches!(facts.file_type, FileType::Reg | FileType::Dir)
}

/// Whether the caller may read one.
pub(crate) fn check_read(caller: &Credentials, facts: &Facts) -> FsResult<()> {
    if !has_user_xattrs(facts) {
        return Err(FsError::NoXattr);
    }
    permission::check(caller, facts, Want::READ)
}

/// Whether the caller may list their names.
pub(crate) fn check_list(caller: &Credentials, facts: &Facts) -> FsResult<()> {
    if has_user_xattrs(facts) { permission::check(caller, facts, Want::READ) } else { Ok(()) }
}

/// Whether the caller may change one.
pub(crate) fn check_change(caller: &Credentials, facts: &Facts) -> FsResult<()> {
    // Whoever may add names to a sticky directory is not yet to change what is said of it.
    let sticky = facts.file_type == FileType::Dir && facts.mode & STICKY != 0;
    if !has_user_xattrs(facts) || (sticky && !permission::is_owner(caller, facts)) {
        return Err(FsError::Perm);
    }
    permission::check(caller, facts, Want::WRITE)
}

/// Whether name and value are not too long.
pub(crate) fn check_limits(name: &[u8], value: &[u8]) -> FsResult<()> {
    if name.len() > MAX_XATTR_NAME {
        Err(FsError::NameTooLong)
    } else if value.len() > MAX_XATTR_VALUE {
        Err(FsError::XattrTooBig)
    } else {
        Ok(())
    }
}
