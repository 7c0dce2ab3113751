//! A file system of two stores: any [`MetadataStore`] and any [`ContentStore`], with the rules of POSIX on top.
//!
//! # Changes
//!
//! Inodes are in memory while they are used. A change of metadata is made there first, under the locks of its inodes, and recorded in
//! the running transaction; the locks go, and the reply waits until the transaction is durable. Changes that come meanwhile share the
//! next one. So nothing is locked while a disk is waited for, and a store need not know of group commit to have it. Others see a
//! change before it is durable; what they build on it becomes durable with it or after it, never before.
//!
//! A transaction that fails fails all who wait for it and for the one behind it, and what they changed is loaded again.
//!
//! # Contents
//!
//! Writes go to the content store at once. Size and times are saved after the contents are durable: at COMMIT, with a stable write, or a
//! while later. The record of a file therefore never speaks of bytes that a crash could take. Truncation goes the other way: the record
//! first, then the contents, and contents that are longer than their record says are cut before anything is added to them.
//!
//! # Locks
//!
//! 1. `Volume::directory_moves`, by a rename that gives a directory another parent, and by nothing else.
//! 2. `Inode::contents`, of several by ascending number.
//! 3. Inodes' states, by ascending number; debug builds assert it. A call that needs several and learns only from one which the others are
//!    looks, lets go, locks all in order and looks again; if another was faster it starts over. Never held over an await.
//! 4. The running transaction.
//! 5. A shard of the cache, and the list of what is to be saved: nothing is locked while one is held.
//!
//! # Life of an object
//!
//! A file that loses its last name while it is open is marked as an orphan in the same transaction. When the last open goes, its contents
//! are removed, then its record. Orphans that a crash left are kept for a while, so that clients can reclaim their opens (RFC 8881
//! section 18.16.3, OPEN4_RESULT_PRESERVE_UNLINKED), and removed then. Numbers are never given twice, and handles carry a number of the
//! volume, so that a handle never comes to name another object.
#![forbid(unsafe_code)]

mod attributes;
mod cache;
mod contents;
mod copy;
mod create;
mod data;
mod file_system;
mod in_memory;
mod inode;
mod journal;
mod lock;
mod namespace;
mod orphans;
mod pending;
mod readdir;
mod rename;
mod room;
#[cfg(test)]
mod tests;
mod volume;
mod xattr;

use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::fs::FsResult;
use dittofs_framework::proto::Fsid;
use dittofs_framework::storage::{ContentStore, MetadataStore, StorageError};

use crate::clock::{self, WallClock};
pub use in_memory::MemoryOptions;
use volume::Volume;

/// How a [`StoreFileSystem`] is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// Identity, as clients see it.
    pub fsid: Fsid,
    /// Permission bits of the root directory of a new volume.
    pub root_mode: u32,
    /// Owner of the root directory of a new volume.
    pub root_uid: u32,
    /// Group of the root directory of a new volume.
    pub root_gid: u32,
    /// Where times come from.
    pub clock: WallClock,
    /// Inodes that are kept in memory, about; those in use are in memory in any case.
    pub cached_inodes: usize,
    /// How long after the start files without a name that an earlier start left are kept for clients to reclaim: at least the grace period.
    pub orphans_after: Duration,
    /// Bytes that are kept free in each store, as far as they are no more than a sixteenth of it, so that removing works when nothing else
    /// does. 0 leaves it to the stores.
    pub reserve: u64,
    /// How long what need not be durable yet is left so, about.
    pub flush_after: Duration,
    /// Whether the stores go with the process, so that what is written is lost with everything else or not at all: then every write is as
    /// stable as it ever gets, and clients need not commit.
    pub volatile: bool,
}

impl Default for StoreOptions {
    /// A root directory like `/tmp`, 65,536 inodes in memory, 16 MiB in reserve.
    fn default() -> Self {
        Self {
            fsid: Fsid { major: 1, minor: 0 },
            root_mode: 0o1777,
            root_uid: 0,
            root_gid: 0,
            clock: clock::system(),
            cached_inodes: 1 << 16,
            orphans_after: Duration::from_mins(2),
            reserve: 16 << 20,
            flush_after: Duration::from_secs(5),
            volatile: false,
        }
    }
}

/// A file system of a [`MetadataStore`] and a [`ContentStore`].
pub struct StoreFileSystem {
    volume: Arc<Volume>,
}

impl StoreFileSystem {
    /// Opens the volume that is in the stores, and makes one if they are empty. Nobody else may use them meanwhile.
    ///
    /// In a tokio runtime, tasks of the file system's own save what clients leave unsaved and remove what an earlier start left; they end
    /// when it is dropped. Without one that is done at [`flush`](Self::flush) alone, and the stores must answer without waiting.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn open(
        metadata: Arc<dyn MetadataStore>,
        content: Arc<dyn ContentStore>,
        options: StoreOptions,
    ) -> Result<Self, StorageError> {
        let volume = Arc::new(Volume::open(metadata, content, &options).await?);
        if let Some(runtime) = &volume.runtime {
            drop(runtime.spawn(contents::flush_now_and_then(Arc::downgrade(&volume), options.flush_after)));
            drop(runtime.spawn(orphans::remove_later(Arc::downgrade(&volume), options.orphans_after)));
        }
        Ok(Self { volume })
    }

    /// Makes everything durable that is not yet: before an orderly end.
    ///
    /// # Errors
    /// Those of the stores; what could not be saved is tried again by the next flush.
    pub async fn flush(&self) -> FsResult<()> {
        self.volume.save_later(self.volume.cache.accessed());
        self.volume.flush().await
    }
}
