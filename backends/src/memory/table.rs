use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use parking_lot::RwLock;

use super::inode::{Inode, InodeId};

const SHARDS: u64 = 64;

/// One part of the table, on cache lines of its own.
#[repr(align(128))]
#[derive(Default)]
struct Shard(RwLock<HashMap<InodeId, Arc<Inode>, RandomState>>);

/// All objects that are alive, by id.
///
/// The lock of a shard is the last in the order of locks: nothing else is taken while it is held.
pub(super) struct Table {
    shards: Box<[Shard]>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }

    fn shard(&self, id: InodeId) -> Option<&Shard> {
        self.shards.get(usize::try_from(id.0 % SHARDS).unwrap_or_default())
    }

    #[inline]
    pub(super) fn get(&self, id: InodeId) -> Option<Arc<Inode>> {
        self.shard(id)?.0.read().get(&id).cloned()
    }

    pub(super) fn insert(&self, inode: &Arc<Inode>) {
        if let Some(shard) = self.shard(inode.id) {
            shard.0.write().insert(inode.id, Arc::clone(inode));
        }
    }

    pub(super) fn remove(&self, id: InodeId) {
        // The object may be the last one of its kind, and its destructor long: it runs after the lock is gone.
        let removed = self.shard(id).and_then(|shard| shard.0.write().remove(&id));
        drop(removed);
    }

    /// All objects, collected shard by shard.
    pub(super) fn all(&self) -> Vec<Arc<Inode>> {
        self.shards.iter().flat_map(|shard| shard.0.read().values().cloned().collect::<Vec<_>>()).collect()
    }
}
