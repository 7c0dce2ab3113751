use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use dittofs_framework::proto::Fsid;
use dittofs_framework::storage::StorageError;

use super::{StoreFileSystem, StoreOptions};
use crate::budget::Budget;
use crate::clock::{self, WallClock};
use crate::content::MemoryContentStore;
use crate::metadata::MemoryMetadataStore;

/// How a file system in memory is made.
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
            clock: clock::system(),
        }
    }
}

impl StoreFileSystem {
    /// An empty file system in memory. It goes, contents and all, when it and the last open of a file in it are dropped.
    ///
    /// # Errors
    /// [`StorageError::NoSpace`] if the capacity does not take a root directory; and if the system has no randomness.
    pub fn in_memory(options: MemoryOptions) -> Result<Self, StorageError> {
        let budget = Arc::new(Budget::new(options.capacity));
        let metadata = Arc::new(MemoryMetadataStore::sharing(Arc::clone(&budget)));
        let content = Arc::new(MemoryContentStore::sharing(budget));
        let MemoryOptions { fsid, root_mode, root_uid, root_gid, clock, .. } = options;
        let options = StoreOptions {
            fsid,
            root_mode,
            root_uid,
            root_gid,
            clock,
            volatile: true,
            ..StoreOptions::default()
        };
        let mut opened = std::pin::pin!(Self::open(metadata, content, options));
        match opened.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(opened) => opened,
            // Stores in memory answer at once.
            Poll::Pending => Err(StorageError::NotSupported),
        }
    }
}
