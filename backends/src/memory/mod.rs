//! A file system in memory, with the semantics of a local POSIX file system.
//!
//! # Locks
//!
//! Every object has a lock of its own; nothing is locked for the whole file system. They are taken in this order:
//!
//! 1. `Volume::directory_moves`, by a rename that gives a directory another parent, and by nothing else.
//! 2. Inodes, by ascending id. A call that needs several and learns only from one which the others are (the object that a
//!    name stands for) looks, lets go, locks all in order and looks again; if another was faster it starts over.
//! 3. A shard of the inode table: nothing is locked while it is held.
//!
//! Debug builds assert the second rule. Space is counted in atomics. Reads lock the shard and the inode for reading only,
//! and no lock is held while the caller's code (a [`DirSink`]) runs.
//!
//! # Life of an object
//!
//! An object is in the table until it has neither name nor open ([`OpenHold`]): then its space is given back and its
//! handle is stale. Ids grow and are never given twice, and handles carry a number of the volume, so that a handle never
//! comes to name another object.
//!
//! # Contents
//!
//! Files are chunks of 64 KiB of reference-counted bytes: a read within a chunk, or within what came in one large write,
//! is a reference to the stored bytes, and a large write is stored by reference where it fills chunks. Bytes that
//! somebody else still reads are copied before they are changed. Holes have blocks of 4 KiB.
#![forbid(unsafe_code)]

mod attributes;
mod cookie_map;
mod copy;
mod create;
mod data;
mod directory;
mod file_system;
mod inode;
#[cfg(test)]
mod invariants;
mod lock;
mod namespace;
mod readdir;
mod rename;
mod space;
mod table;
#[cfg(test)]
mod tests;
mod volume;
mod xattr;

use std::sync::Arc;

#[cfg(doc)]
use dittofs_framework::fs::{DirSink, OpenHold};
use dittofs_framework::proto::Fsid;

pub use crate::clock::WallClock;
use volume::Volume;

/// How a memory file system is made.
#[derive(Clone)]
pub struct MemoryOptions {
    /// Identity, as clients see it.
    pub fsid: Fsid,
    /// Bytes that contents, names and objects may take in all.
    pub capacity: u64,
    /// Permission bits of the root directory.
    pub root_mode: u32,
    /// Owner of the root directory.
    pub root_uid: u32,
    /// Group of the root directory.
    pub root_gid: u32,
    /// Where times come from.
    pub clock: WallClock,
}

impl Default for MemoryOptions {
    /// 8 GiB for everybody, by the machine's clock: a root directory like `/tmp`.
    fn default() -> Self {
        Self {
            fsid: Fsid { major: 1, minor: 0 },
            capacity: 8 << 30,
            root_mode: 0o1777,
            root_uid: 0,
            root_gid: 0,
            clock: crate::clock::system(),
        }
    }
}

/// A file system in memory. It goes, contents and all, when it and the last open of a file in it are dropped.
pub struct MemoryFileSystem {
    volume: Arc<Volume>,
}

impl MemoryFileSystem {
    /// An empty file system.
    pub fn new(options: MemoryOptions) -> Self {
        Self { volume: Arc::new(Volume::new(options)) }
    }
}
