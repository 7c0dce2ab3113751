use std::hash::{BuildHasher, Hash};

use foldhash::HashMap;

use super::lock_order::{Ranked, RankedGuard, SHARD};
use crate::sync::ShardHasher;

const SHARDS: usize = 64;

/// A map in [`SHARDS`] parts, each under its own lock.
pub(crate) struct Sharded<K, V> {
    hasher: ShardHasher,
    shards: [Ranked<HashMap<K, V>, SHARD>; SHARDS],
}

impl<K: Hash + Eq, V> Sharded<K, V> {
    pub(crate) fn new() -> Self {
        Self { hasher: ShardHasher::default(), shards: std::array::from_fn(|_| Ranked::default()) }
    }

    /// The part that holds `key`, locked.
    #[inline]
    pub(crate) fn shard(&self, key: &K) -> RankedGuard<'_, HashMap<K, V>, SHARD> {
        // The top bits: the map within the shard, should its hasher be the same, looks at the low ones.
        let index = (self.hasher.hash_one(key) >> 58) as usize;
        #[allow(clippy::indexing_slicing)] // six bits, and there are 64 shards
        self.shards[index].lock()
    }

    /// All values, shard by shard, as `f` sees them.
    pub(crate) fn map_all<R>(&self, mut f: impl FnMut(&K, &V) -> R) -> Vec<R> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.lock().iter().map(|(key, value)| f(key, value)));
        }
        all
    }
}
