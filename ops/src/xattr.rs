//! What the operations on extended attributes have in common (RFC 8276).

use dittofs_framework::attr::{Bitmap, FATTR4_CHANGE};
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::fs::{FsError, Xattrs};
use dittofs_framework::op::OpDescriptor;
use dittofs_framework::proto::{Component4, NFS4ERR_BADCHAR, NFS4ERR_INVAL, NFS4ERR_NOTSUPP, Status};
use dittofs_framework::xdr::Opaque;

use crate::io;

/// xattrkey4: the name of an extended attribute, without the `user.` that POSIX clients show.
pub type XattrKey4 = Component4;
/// xattrvalue4: its value.
pub type XattrValue4 = Opaque<{ u32::MAX }>;

/// What setting or removing one changes of the object's attributes (RFC 8276 section 8.4).
pub(crate) const CHANGED: Bitmap = Bitmap::of(&[FATTR4_CHANGE]);

/// The extended attributes of the current filehandle's file system. One without them is NFS4ERR_NOTSUPP: "all of the above
/// operations MUST NOT be supported" there (RFC 8276 section 8.4).
pub(crate) fn xattrs<'a>(cx: &'a CompoundContext<'_>) -> Result<&'a dyn Xattrs, Status> {
    cx.current()?.fs().xattrs().ok_or(NFS4ERR_NOTSUPP)
}

/// Checks a name. It is bytes to the server, which "MUST NOT interpret" it (RFC 8276 section 8.1); but an empty one and one with a
/// NUL cannot be stored by any file system. Its length is the file system's matter.
pub(crate) fn check_key(row: &OpDescriptor, key: &XattrKey4) -> Result<(), Status> {
    if key.is_empty() {
        return Err(NFS4ERR_INVAL);
    }
    if key.contains(&0) {
        // GETXATTR does not have NFS4ERR_BADCHAR (RFC 8276 section 8.4.5).
        return Err(if row.allows(NFS4ERR_BADCHAR) { NFS4ERR_BADCHAR } else { NFS4ERR_INVAL });
    }
    Ok(())
}

/// What a failure of the file system is.
pub(crate) fn xattr_error(row: &OpDescriptor, error: FsError) -> Status {
    match error {
        // A cookie that does not come from an earlier answer.
        FsError::BadCookie => NFS4ERR_INVAL,
        _ => io::regular_file_error(row, error),
    }
}
