use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::NodeHandle;
use crate::attr::Bitmap;
use crate::proto::{ChangeInfo, ClientId, FileType, Fsid, Minor, NfsTime, SpecData};

/// Who is asking, as the RPC layer established it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub groups: SmallVec<[u32; 16]>,
}

impl Credentials {
    /// The id of nobody, user and group.
    pub const NOBODY_ID: u32 = 65_534;

    /// The superuser: for what the server does on its own behalf.
    pub fn root() -> Self {
        Self { uid: 0, gid: 0, groups: SmallVec::new() }
    }

    /// The user that AUTH_NONE stands for.
    pub fn nobody() -> Self {
        Self { uid: Self::NOBODY_ID, gid: Self::NOBODY_ID, groups: SmallVec::new() }
    }

    /// Whether `gid` is one of the caller's groups.
    pub fn is_in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

/// What a call to a file system needs to know of the request that it serves.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Who is asking.
    pub credentials: Credentials,
    /// For which client, once a session or a v4.0 clientid says so.
    pub client: Option<ClientId>,
    /// In which minor version.
    pub minor: Minor,
}

impl RequestContext {
    /// The server itself, in no client's name.
    pub fn server() -> Self {
        Self { credentials: Credentials::root(), client: None, minor: Minor::V2 }
    }
}

/// On what authority data is read, written or truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// An OPEN of this principal was checked when it was made: a later change of the mode does not matter
    /// (POSIX: permission is checked at open).
    Open,
    /// No OPEN stands behind it (a special stateid): the caller's permission is checked now.
    Credentials,
}

/// The attributes of an object that a file system keeps. What is not per object is in [`FsInfo`] or [`FsUsage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Type of the object.
    pub file_type: FileType,
    /// Permission, set-id and sticky bits (0o7777).
    pub mode: u32,
    /// Hard links.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Bytes of storage used.
    pub space_used: u64,
    /// Device numbers, of device nodes.
    pub rawdev: SpecData,
    /// Number of the object, unique within its `fsid`.
    pub fileid: u64,
    /// Grows with every change of data or metadata.
    pub change: u64,
    /// Last access.
    pub time_access: NfsTime,
    /// Last change of the data.
    pub time_modify: NfsTime,
    /// Last change of data or metadata.
    pub time_metadata: NfsTime,
    /// Creation, where the file system knows it.
    pub time_create: Option<NfsTime>,
}

/// A time to set (settime4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// The file system's clock when the call is carried out.
    ServerTime,
    /// This time.
    ClientTime(NfsTime),
    /// The time that the holder of a delegation kept for the file (RFC 9754 section 5): it comes with [`Authority::Open`]. What is
    /// after the file system's clock is the clock's time. As a time of access it is ignored if it is before the one that the file has,
    /// and leaves [`time_metadata`](Attributes::time_metadata) and [`change`](Attributes::change) as they are; as a time of
    /// modification it raises the first to itself, not to the clock, and adds to the second.
    Delegated(NfsTime),
}

/// What to set, of one object. `None` leaves as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SetAttributes {
    /// Permission, set-id and sticky bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Size: truncates or extends with a hole.
    pub size: Option<u64>,
    /// Last access.
    pub time_access: Option<SetTime>,
    /// Last change of the data.
    pub time_modify: Option<SetTime>,
    /// Creation.
    pub time_create: Option<NfsTime>,
}

impl SetAttributes {
    /// Whether nothing is to be set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

bitflags::bitflags! {
    /// What ACCESS asks about (RFC 8881 section 18.1, RFC 8276 section 8.5), with the numbers of the wire.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct AccessMask: u32 {
        /// Read data from a file or read a directory.
        const READ = 0x01;
        /// Look up a name in a directory.
        const LOOKUP = 0x02;
        /// Rewrite existing data or modify existing directory entries.
        const MODIFY = 0x04;
        /// Write new data or add directory entries.
        const EXTEND = 0x08;
        /// Delete an existing directory entry.
        const DELETE = 0x10;
        /// Execute a file.
        const EXECUTE = 0x20;
        /// Read extended attributes.
        const XAREAD = 0x40;
        /// Write extended attributes.
        const XAWRITE = 0x80;
        /// List extended attributes.
        const XALIST = 0x100;
    }
}

bitflags::bitflags! {
    /// Which kinds of access an open wants (share_access).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct ShareAccess: u32 {
        /// Read.
        const READ = 1;
        /// Write.
        const WRITE = 2;
        /// Read and write.
        const BOTH = 3;
    }
}

/// Keeps a file's data alive while it is open, even when its last name goes. Dropping the last clone lets it go.
///
/// A backend puts in whatever releases its hold when dropped; the state core keeps it as long as an OPEN stands.
#[derive(Clone)]
pub struct OpenHold(#[allow(dead_code, reason = "held for its Drop")] Arc<dyn Any + Send + Sync>);

impl OpenHold {
    /// Wraps the backend's hold.
    pub fn new<T: Any + Send + Sync>(hold: T) -> Self {
        Self(Arc::new(hold))
    }
}

impl std::fmt::Debug for OpenHold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenHold")
    }
}

/// An object that was found, or created.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its handle.
    pub node: NodeHandle,
    /// Its attributes after the call.
    pub attributes: Attributes,
}

/// How OPEN creates a file (createhow4).
#[derive(Debug, Clone)]
pub enum CreateMode {
    /// An existing file is opened as it is; its `size` attribute is applied by the caller, once the share
    /// reservation is known to be granted. A new file gets the attributes.
    Unchecked(SetAttributes),
    /// An existing file is an error.
    Guarded(SetAttributes),
    /// An existing file is an error unless it was created with this verifier (EXCLUSIVE4 and EXCLUSIVE4_1). The
    /// verifier is kept durably with the file until its attributes are next set.
    Exclusive([u8; 8], SetAttributes),
}

/// A file that was opened by name with creation.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The file.
    pub found: Found,
    /// Keeps it alive.
    pub hold: OpenHold,
    /// Whether this call created it.
    pub created: Created,
    /// The directory around the call; both values alike when nothing was created.
    pub dir_change: ChangeInfo,
}

/// Whether an open made its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It did.
    New,
    /// It was there already.
    Existing,
}

/// What CREATE makes (createtype4): everything but regular files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewNode {
    /// Directory.
    Directory,
    /// Symbolic link with this content.
    Symlink(Bytes),
    /// Block device.
    BlockDevice(SpecData),
    /// Character device.
    CharDevice(SpecData),
    /// Named pipe.
    Fifo,
    /// Socket.
    Socket,
}

/// Data that was read.
#[derive(Debug, Clone)]
pub struct ReadData {
    /// The data: shorter than asked only at the end of the file or by the backend's own limit.
    pub data: Bytes,
    /// Whether the data reaches the end of the file.
    pub eof: bool,
}

/// How durable written data must be before the call returns (stable_how4); ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stability {
    /// By the next commit.
    Unstable,
    /// Data now, and the metadata that is needed to find it.
    DataSync,
    /// Data and metadata now.
    FileSync,
}

/// Data that was written.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// Bytes written: fewer than asked only if the backend could not take more, never 0 for a non-empty write.
    pub count: u32,
    /// How durable they are: at least as asked.
    pub committed: Stability,
}

/// What is the same for all objects of a file system (its limits and habits).
#[allow(clippy::struct_excessive_bools)] // each is an attribute of its own, as the RFC has them
#[derive(Debug, Clone, Copy)]
pub struct FsInfo {
    /// Identity of the file system.
    pub fsid: Fsid,
    /// Largest file in bytes.
    pub max_file_size: u64,
    /// Most hard links of an object.
    pub max_link: u32,
    /// Longest name in bytes.
    pub max_name: u32,
    /// Smallest difference between two times.
    pub time_delta: NfsTime,
    /// Whether LINK works.
    pub link_support: bool,
    /// Whether symbolic links can be made.
    pub symlink_support: bool,
    /// Whether names that differ only in case are the same.
    pub case_insensitive: bool,
    /// Whether the case of names is kept.
    pub case_preserving: bool,
    /// How the change attribute behaves (change_attr_type4, RFC 7862 section 12.2.3).
    pub change_attr_type: ChangeAttrType,
    /// Whether objects have a creation time. Where it cannot be set, setting it is [`FsError::Inval`](super::FsError::Inval).
    pub has_time_create: bool,
    /// Whether a file that is removed while it is open outlives a restart of the server, through the grace period, so that clients can
    /// reclaim their opens of it (RFC 8881 section 18.16.3, OPEN4_RESULT_PRESERVE_UNLINKED). Clients of a file system that does not
    /// promise it give such files another name instead.
    pub preserves_unlinked: bool,
}

/// change_attr_type4 (RFC 7862 section 12.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeAttrType {
    /// Grows.
    MonotonicIncr = 0,
    /// Grows by one with every change.
    VersionCounter = 1,
    /// Grows by one with every change, outside of pNFS.
    VersionCounterNoPnfs = 2,
    /// Is the change time.
    TimeMetadata = 3,
    /// Nothing is promised.
    Undefined = 4,
}

/// How much a file system holds and can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FsUsage {
    /// Bytes in all.
    pub space_total: u64,
    /// Free bytes.
    pub space_free: u64,
    /// Bytes that this caller may still use.
    pub space_avail: u64,
    /// Objects in all.
    pub files_total: u64,
    /// Free objects.
    pub files_free: u64,
    /// Objects that this caller may still make.
    pub files_avail: u64,
}

/// Attribute numbers that a call is to return; a file system may return more, never less.
pub type AttrMask = Bitmap;
