//! Storage in two halves, for file systems that are built from parts: [`MetadataStore`] keeps inodes, entries and extended
//! attributes, in transactions; [`ContentStore`] keeps the bytes of files.
//!
//! Neither knows anything of users, permissions, opens or NFS. What composes them into a
//! [`FileSystem`](crate::fs::FileSystem) keeps the rules of POSIX, decides what changes together, caches, and orders
//! calls; the stores only have to keep what they are told.
//!
//! Both are made for any storage: calls are asynchronous, names are bytes, objects have numbers that are never used
//! twice. `metadata_store_suite!` and `content_store_suite!` (feature `testing`) test what is promised here, for a store of your own.

mod batch;
mod codec;
mod content;
mod error;
mod metadata;
mod record;

pub use batch::{Batch, Mutation};
pub use codec::DecodeError;
pub use content::{ContentSize, ContentStore, Copied};
pub use error::{StorageError, StorageResult};
pub use metadata::MetadataStore;
pub use record::{
    DirectoryRecord, Entry, Ino, InodeRecord, NamedEntry, NamedXattr, RecordBody, RecordTimes, Room,
    VolumeRecord, Xattr,
};
