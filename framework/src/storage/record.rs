use bytes::Bytes;

use crate::proto::{FileType, NfsTime, SpecData};
use crate::xdr_struct;

/// The number of an object in a volume: its fileid. Numbers grow and are never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(pub u64);

impl Ino {
    /// The root directory of every volume.
    pub const ROOT: Self = Self(1);
}

xdr_struct! {
    /// What is known of a volume as a whole.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct VolumeRecord {
        /// Made at random with the volume: part of its filehandles.
        pub id: [u8; 8],
        /// No number from here on was given to an object yet.
        pub next_ino: u64,
        /// Objects that there are, the root and orphans included.
        pub inodes: u64,
        /// How often the volume was opened.
        pub starts: u32,
    }
}

xdr_struct! {
    /// The four times of an object.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct RecordTimes {
        /// Last access.
        pub access: NfsTime,
        /// Last change of the data.
        pub modify: NfsTime,
        /// Last change of data or metadata.
        pub metadata: NfsTime,
        /// Creation.
        pub create: NfsTime,
    }
}

impl RecordTimes {
    /// All four alike.
    pub fn all(now: NfsTime) -> Self {
        Self { access: now, modify: now, metadata: now, create: now }
    }
}

xdr_struct! {
    /// All that is kept of an object, but for its entries, extended attributes and contents.
    #[derive(Clone, PartialEq, Eq)]
    pub struct InodeRecord {
        /// Type of the object.
        pub file_type: FileType,
        /// Permission, set-id and sticky bits (0o7777).
        pub mode: u32,
        /// Owner.
        pub uid: u32,
        /// Group.
        pub gid: u32,
        /// Hard links; of a directory 2 and one for each directory in it.
        pub nlink: u32,
        /// Size in bytes, of a regular file.
        pub size: u64,
        /// Bytes of storage that the contents take, as the content store last said.
        pub allocated: u64,
        /// Grows with every change.
        pub change: u64,
        /// When it was accessed, changed and made.
        pub times: RecordTimes,
        /// The verifier of the exclusive create that made the file, until attributes are set.
        pub exclusive: Option<[u8; 8]>,
        /// Bytes that names and values of the extended attributes take in all.
        pub xattr_bytes: u64,
        /// The cookie that the next extended attribute gets.
        pub next_xattr_cookie: u64,
        /// What only some types of object have.
        pub body: RecordBody,
    }
}

xdr_struct! {
    /// What only directories have.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct DirectoryRecord {
        /// The directory that holds this one; the root holds itself.
        pub parent: Ino,
        /// How many entries it has.
        pub entries: u64,
        /// The cookie that the next entry gets.
        pub next_cookie: u64,
    }
}

/// What only some types of object have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordBody {
    /// Of a directory.
    Directory(DirectoryRecord),
    /// Of a symbolic link: its content.
    Symlink(Bytes),
    /// Of a device node: its numbers.
    Device(SpecData),
    /// Of regular files, whose contents are elsewhere, and of named pipes and sockets.
    Empty,
}

/// What a name in a directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The place in the directory's listing: grows from entry to entry and is never given twice in a directory.
    pub cookie: u64,
    /// The object.
    pub ino: Ino,
    /// Its type, so that listings need not look at every object. [`FileType::from_number`] is its way back from a number.
    pub file_type: FileType,
}

/// An entry and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedEntry {
    /// The name.
    pub name: Bytes,
    /// What it stands for.
    pub entry: Entry,
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xattr {
    /// The place in the object's list; as of [`Entry`].
    pub cookie: u64,
    /// The value.
    pub value: Bytes,
}

/// The name of an extended attribute and its place in the object's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedXattr {
    /// The name.
    pub name: Bytes,
    /// The place.
    pub cookie: u64,
}

/// How much a store holds and can hold, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In all.
    pub total: u64,
    /// Not in use.
    pub free: u64,
    /// Not in use and not kept back for others.
    pub available: u64,
}
