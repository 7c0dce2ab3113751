#[allow(clippy::wildcard_imports)] // attribute numbers, and nothing else
use super::numbers::*;
use super::table::{AttrKind, row};
use super::{Bitmap, IdMapper};
use crate::fs::{Attributes, FsInfo, FsUsage};
use crate::proto::{NfsTime, OpenArguments4, Status};
use crate::xdr::{XdrEncode, XdrWriter};

/// What attributes need to know of the server and the export, the same for every object in it.
pub struct AttrServer<'a> {
    /// Attributes that are supported here, in the minor version of the request.
    pub supported: Bitmap,
    /// Attributes that EXCLUSIVE4_1 can set along (RFC 8881 section 5.8.1.14).
    pub exclcreat: Bitmap,
    /// Lease in seconds.
    pub lease_seconds: u32,
    /// Most bytes of a READ.
    pub max_read: u64,
    /// Most bytes of a WRITE.
    pub max_write: u64,
    /// How long the server waits before it tells a client of a change in a directory (RFC 8881 section 5.11).
    pub notif_delay: NfsTime,
    /// Whether the file system has extended attributes.
    pub has_xattrs: bool,
    /// What OPEN knows.
    pub open_arguments: &'a OpenArguments4,
    /// Names of users and groups.
    pub ids: &'a dyn IdMapper,
}

/// Where the values of one object's attributes come from.
pub struct AttrSource<'a> {
    /// Server and export.
    pub server: &'a AttrServer<'a>,
    /// The object.
    pub attributes: &'a Attributes,
    /// Its file system.
    pub info: &'a FsInfo,
    /// How full that is; needed only where [`NEEDS_USAGE`] is asked for.
    pub usage: &'a FsUsage,
    /// Wire filehandle; needed only where FATTR4_FILEHANDLE is asked for.
    pub filehandle: &'a [u8],
    /// The fileid of the directory that the object's file system is mounted on, or its own.
    pub mounted_on_fileid: u64,
    /// Why attributes are missing, in READDIR.
    pub rdattr_error: Status,
}

/// Attributes whose values come from [`FsUsage`].
pub const NEEDS_USAGE: Bitmap = Bitmap::of(&[
    FATTR4_FILES_AVAIL,
    FATTR4_FILES_FREE,
    FATTR4_FILES_TOTAL,
    FATTR4_SPACE_AVAIL,
    FATTR4_SPACE_FREE,
    FATTR4_SPACE_TOTAL,
]);

/// Attributes that can be set but not read: asking for one is NFS4ERR_INVAL (RFC 8881 section 5.5, RFC 9754 section 5).
pub const WRITE_ONLY: Bitmap = DELEGATED_TIMES.with(FATTR4_TIME_ACCESS_SET).with(FATTR4_TIME_MODIFY_SET);

/// The times that the holder of a delegation keeps for the server: it alone may set them (RFC 9754 section 5).
pub const DELEGATED_TIMES: Bitmap = Bitmap::of(&[FATTR4_TIME_DELEG_ACCESS, FATTR4_TIME_DELEG_MODIFY]);

/// Writes a fattr4 with those of the `wanted` attributes that are supported.
pub fn encode_fattr4(w: &mut XdrWriter, wanted: Bitmap, source: &AttrSource<'_>) {
    let present = wanted.and(source.server.supported).minus(WRITE_ONLY);
    present.encode(w);
    let place = w.reserve_u32();
    let start = w.mark();
    for row in present.iter().filter_map(row) {
        debug_assert!(row.kind != AttrKind::WriteOnly);
        (row.encode)(source, w);
    }
    w.patch_u32(place, u32::try_from(w.len_since(start)).unwrap_or(u32::MAX));
}
