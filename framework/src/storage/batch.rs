use bytes::Bytes;

use super::{Entry, Ino, InodeRecord, VolumeRecord, Xattr};

/// Changes that are made together or not at all, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The changes.
    pub mutations: Vec<Mutation>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    /// What is known of the volume.
    PutVolume(VolumeRecord),
    /// An object is there, with these attributes: it is new or had others.
    PutInode(Ino, InodeRecord),
    /// An object is gone. It has neither entries nor extended attributes nor a mark as orphan by then.
    RemoveInode(Ino),
    /// A name is in a directory. It was not there before, nor was the cookie of the entry.
    PutEntry {
        /// The directory.
        dir: Ino,
        /// The name.
        name: Bytes,
        /// What it stands for.
        entry: Entry,
    },
    /// A name is no longer in a directory. It was there, with this cookie.
    RemoveEntry {
        /// The directory.
        dir: Ino,
        /// The name.
        name: Bytes,
        /// Its cookie.
        cookie: u64,
    },
    /// An object has an extended attribute: it is new, or had another value and the same cookie.
    PutXattr {
        /// The object.
        ino: Ino,
        /// The name.
        name: Bytes,
        /// Value and cookie.
        xattr: Xattr,
    },
    /// An object no longer has an extended attribute. It was there, with this cookie.
    RemoveXattr {
        /// The object.
        ino: Ino,
        /// The name.
        name: Bytes,
        /// Its cookie.
        cookie: u64,
    },
    /// An object has no name any more and is to be removed, contents and all, once nobody has it open.
    MarkOrphan(Ino),
    /// It is no longer one of those.
    UnmarkOrphan(Ino),
}
