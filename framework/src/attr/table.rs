#[allow(clippy::wildcard_imports)] // attribute numbers, and nothing else
use super::numbers::*;
use super::{AttrSource, Bitmap};
use crate::proto::Minor;
use crate::xdr::{XdrEncode, XdrWriter};

/// One attribute: everything about it that is not a value.
pub struct AttrRow {
    /// Number.
    pub number: u32,
    /// The RFC's name.
    pub name: &'static str,
    /// First minor version that has it.
    pub since: Minor,
    /// Who may read and set it.
    pub kind: AttrKind,
    /// Writes the value.
    pub(super) encode: fn(&AttrSource<'_>, &mut XdrWriter),
}

/// Who may read and set an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttrKind {
    /// Read only: setting it is NFS4ERR_INVAL.
    ReadOnly,
    /// Read and set.
    ReadWrite,
    /// Set only: asking for it is NFS4ERR_INVAL.
    WriteOnly,
}

macro_rules! rows {
    ($($number:ident $since:ident $kind:ident $encode:expr;)*) => {
        /// Every attribute that the framework knows, by number.
        pub static ROWS: &[AttrRow] = &[$(AttrRow {
            number: $number,
            name: stringify!($number),
            since: Minor::$since,
            kind: AttrKind::$kind,
            encode: $encode,
        }),*];
    };
}

rows! {
    FATTR4_SUPPORTED_ATTRS    V0 ReadOnly  |s, w| s.server.supported.encode(w);
    FATTR4_TYPE               V0 ReadOnly  |s, w| s.attributes.file_type.encode(w);
    FATTR4_FH_EXPIRE_TYPE     V0 ReadOnly  |_, w| w.u32(FH4_PERSISTENT);
    FATTR4_CHANGE             V0 ReadOnly  |s, w| w.u64(s.attributes.change);
    FATTR4_SIZE               V0 ReadWrite |s, w| w.u64(s.attributes.size);
    FATTR4_LINK_SUPPORT       V0 ReadOnly  |s, w| w.bool(s.info.link_support);
    FATTR4_SYMLINK_SUPPORT    V0 ReadOnly  |s, w| w.bool(s.info.symlink_support);
    FATTR4_NAMED_ATTR         V0 ReadOnly  |_, w| w.bool(false);
    FATTR4_FSID               V0 ReadOnly  |s, w| s.info.fsid.encode(w);
    FATTR4_UNIQUE_HANDLES     V0 ReadOnly  |_, w| w.bool(true);
    FATTR4_LEASE_TIME         V0 ReadOnly  |s, w| w.u32(s.server.lease_seconds);
    FATTR4_RDATTR_ERROR       V0 ReadOnly  |s, w| s.rdattr_error.encode(w);
    FATTR4_ACLSUPPORT         V0 ReadOnly  |_, w| w.u32(0);
    FATTR4_CANSETTIME         V0 ReadOnly  |_, w| w.bool(true);
    FATTR4_CASE_INSENSITIVE   V0 ReadOnly  |s, w| w.bool(s.info.case_insensitive);
    FATTR4_CASE_PRESERVING    V0 ReadOnly  |s, w| w.bool(s.info.case_preserving);
    FATTR4_CHOWN_RESTRICTED   V0 ReadOnly  |_, w| w.bool(true);
    FATTR4_FILEHANDLE         V0 ReadOnly  |s, w| w.opaque(s.filehandle);
    FATTR4_FILEID             V0 ReadOnly  |s, w| w.u64(s.attributes.fileid);
    FATTR4_FILES_AVAIL        V0 ReadOnly  |s, w| w.u64(s.usage.files_avail);
    FATTR4_FILES_FREE         V0 ReadOnly  |s, w| w.u64(s.usage.files_free);
    FATTR4_FILES_TOTAL        V0 ReadOnly  |s, w| w.u64(s.usage.files_total);
    FATTR4_HOMOGENEOUS        V0 ReadOnly  |_, w| w.bool(true);
    FATTR4_MAXFILESIZE        V0 ReadOnly  |s, w| w.u64(s.info.max_file_size);
    FATTR4_MAXLINK            V0 ReadOnly  |s, w| w.u32(s.info.max_link);
    FATTR4_MAXNAME            V0 ReadOnly  |s, w| w.u32(s.info.max_name);
    FATTR4_MAXREAD            V0 ReadOnly  |s, w| w.u64(s.server.max_read);
    FATTR4_MAXWRITE           V0 ReadOnly  |s, w| w.u64(s.server.max_write);
    FATTR4_MODE               V0 ReadWrite |s, w| w.u32(s.attributes.mode);
    FATTR4_NO_TRUNC           V0 ReadOnly  |_, w| w.bool(true);
    FATTR4_NUMLINKS           V0 ReadOnly  |s, w| w.u32(s.attributes.nlink);
    FATTR4_OWNER              V0 ReadWrite |s, w| w.opaque(&s.server.ids.user_name(s.attributes.uid));
    FATTR4_OWNER_GROUP        V0 ReadWrite |s, w| w.opaque(&s.server.ids.group_name(s.attributes.gid));
    FATTR4_RAWDEV             V0 ReadOnly  |s, w| s.attributes.rawdev.encode(w);
    FATTR4_SPACE_AVAIL        V0 ReadOnly  |s, w| w.u64(s.usage.space_avail);
    FATTR4_SPACE_FREE         V0 ReadOnly  |s, w| w.u64(s.usage.space_free);
    FATTR4_SPACE_TOTAL        V0 ReadOnly  |s, w| w.u64(s.usage.space_total);
    FATTR4_SPACE_USED         V0 ReadOnly  |s, w| w.u64(s.attributes.space_used);
    FATTR4_TIME_ACCESS        V0 ReadOnly  |s, w| s.attributes.time_access.encode(w);
    FATTR4_TIME_ACCESS_SET    V0 WriteOnly |_, _| ();
    FATTR4_TIME_CREATE        V0 ReadWrite |s, w| s.attributes.time_create.unwrap_or_default().encode(w);
    FATTR4_TIME_DELTA         V0 ReadOnly  |s, w| s.info.time_delta.encode(w);
    FATTR4_TIME_METADATA      V0 ReadOnly  |s, w| s.attributes.time_metadata.encode(w);
    FATTR4_TIME_MODIFY        V0 ReadOnly  |s, w| s.attributes.time_modify.encode(w);
    FATTR4_TIME_MODIFY_SET    V0 WriteOnly |_, _| ();
    FATTR4_MOUNTED_ON_FILEID  V0 ReadOnly  |s, w| w.u64(s.mounted_on_fileid);
    FATTR4_DIR_NOTIF_DELAY    V1 ReadOnly  |s, w| s.server.notif_delay.encode(w);
    FATTR4_DIRENT_NOTIF_DELAY V1 ReadOnly  |s, w| s.server.notif_delay.encode(w);
    FATTR4_SUPPATTR_EXCLCREAT V1 ReadOnly  |s, w| s.server.exclcreat.encode(w);
    FATTR4_FS_CHARSET_CAP     V1 ReadOnly  |_, w| w.u32(FSCHARSET_CAP4_CONTAINS_NON_UTF8);
    FATTR4_CLONE_BLKSIZE      V2 ReadOnly  |_, w| w.u32(CLONE_BLKSIZE);
    FATTR4_CHANGE_ATTR_TYPE   V2 ReadOnly  |s, w| w.u32(s.info.change_attr_type as u32);
    FATTR4_XATTR_SUPPORT      V2 ReadOnly  |s, w| w.bool(s.server.has_xattrs);
    FATTR4_TIME_DELEG_ACCESS  V2 WriteOnly |_, _| ();
    FATTR4_TIME_DELEG_MODIFY  V2 WriteOnly |_, _| ();
    FATTR4_OPEN_ARGUMENTS     V1 ReadOnly  |s, w| s.server.open_arguments.encode(w);
}

/// FH4_PERSISTENT: filehandles do not expire (RFC 8881 section 5.8.1.3).
const FH4_PERSISTENT: u32 = 0;
/// Names are bytes, whatever they mean to whoever chose them: none is refused or converted (RFC 8881 section 14.4).
const FSCHARSET_CAP4_CONTAINS_NON_UTF8: u32 = 0x1;
/// CLONE works on any byte boundary that the file system takes; the backend answers INVAL where it does not.
const CLONE_BLKSIZE: u32 = 1;

/// Row index by attribute number, for numbers below 128; 255 where there is no row.
static INDEX: [u8; 128] = {
    let mut index = [u8::MAX; 128];
    let mut i = 0;
    while i < ROWS.len() {
        #[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)] // evaluated when compiling
        {
            index[ROWS[i].number as usize] = i as u8;
        }
        i += 1;
    }
    index
};

/// The row of an attribute.
#[inline]
pub fn row(number: u32) -> Option<&'static AttrRow> {
    let index = INDEX.get(usize::try_from(number).ok()?)?;
    ROWS.get(usize::from(*index))
}

/// The attributes that a minor version has, of those that the framework knows.
pub fn known_in(minor: Minor) -> Bitmap {
    ROWS.iter().filter(|row| row.since <= minor).fold(Bitmap::EMPTY, |set, row| set.with(row.number))
}
