//! The inodes that are in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dittofs_framework::storage::Ino;
use foldhash::fast::RandomState;
use parking_lot::RwLock;
use smallvec::SmallVec;

use super::inode::{Inode, State};

const SHARDS: u64 = 64;
/// How many inodes are seen at to make room for one.
const TRIES: usize = 4;

/// One part of the cache, on cache lines of its own.
#[repr(align(128))]
#[derive(Default)]
struct Shard(RwLock<Inodes>);

#[derive(Default)]
struct Inodes {
    by_ino: HashMap<Ino, Arc<Inode>, RandomState>,
    /// In the order in which they are seen at to make room; some may be gone.
    ring: VecDeque<Ino>,
}

/// Inodes by number. Those that nobody uses go when there are too many.
///
/// An inode that a transaction or an open has, or that has something to be saved, is used. The lock of a shard is the last in the
/// order of locks: nothing else is taken while it is held.
pub(super) struct Cache {
    shards: Box<[Shard]>,
    limit: usize,
}

/// Inodes that would have gone, but for a time of access that is to be saved.
pub(super) type ToSave = SmallVec<[Arc<Inode>; TRIES]>;

impl Cache {
    /// For about `inodes` of them.
    pub(super) fn new(inodes: usize) -> Self {
        let shards: Box<[Shard]> = (0..SHARDS).map(|_| Shard::default()).collect();
        let limit = inodes.div_ceil(shards.len()).max(TRIES);
        Self { shards, limit }
    }

    fn shard(&self, ino: Ino) -> Option<&RwLock<Inodes>> {
        self.shards.get(usize::try_from(ino.0 % SHARDS).unwrap_or_default()).map(|shard| &shard.0)
    }

    /// The inode, if it is in memory.
    #[inline]
    pub(super) fn get(&self, ino: Ino) -> Option<Arc<Inode>> {
        let inodes = self.shard(ino)?.read();
        let inode = inodes.by_ino.get(&ino)?;
        if !inode.used.load(Ordering::Relaxed) {
            inode.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(inode))
    }

    /// Puts an inode in that was found in the store, unless one is there by now. `None` if what was found is not `current` any more.
    pub(super) fn insert_loaded(
        &self,
        ino: Ino,
        state: State,
        is_current: impl FnOnce() -> bool,
    ) -> Option<(Arc<Inode>, ToSave)> {
        let mut inodes = self.shard(ino)?.write();
        if let Some(inode) = inodes.by_ino.get(&ino) {
            return Some((Arc::clone(inode), ToSave::new()));
        }
        if !is_current() {
            return None;
        }
        let inode = Arc::new(Inode::new(ino, state));
        let to_save = inodes.insert(&inode, self.limit);
        Some((inode, to_save))
    }

    /// Puts a new inode in.
    pub(super) fn insert(&self, inode: &Arc<Inode>) -> ToSave {
        self.shard(inode.ino).map(|shard| shard.write().insert(inode, self.limit)).unwrap_or_default()
    }

    /// Those with a time of access that is to be saved.
    pub(super) fn accessed(&self) -> Vec<Arc<Inode>> {
        let accessed = |shard: &Shard| {
            let inodes = shard.0.read();
            inodes.by_ino.values().filter(|inode| inode.was_accessed()).cloned().collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(accessed).collect()
    }

    /// Takes an inode out that is gone.
    pub(super) fn remove(&self, ino: Ino) {
        let removed = self.shard(ino).and_then(|shard| shard.write().by_ino.remove(&ino));
        drop(removed);
    }
}

impl Inodes {
    fn insert(&mut self, inode: &Arc<Inode>, limit: usize) -> ToSave {
        let to_save = self.make_room(limit);
        self.by_ino.insert(inode.ino, Arc::clone(inode));
        self.ring.push_back(inode.ino);
        to_save
    }

    fn make_room(&mut self, limit: usize) -> ToSave {
        let mut to_save = ToSave::new();
        for _ in 0..TRIES {
            if self.ring.len() < limit {
                break;
            }
            let Some(ino) = self.ring.pop_front() else { break };
            let Some(inode) = self.by_ino.get(&ino) else { continue };
            let is_held = Arc::strong_count(inode) > 1;
            if inode.used.swap(false, Ordering::Relaxed) || is_held {
                self.ring.push_back(ino);
            } else if inode.was_accessed() && self.ring.len() < 2 * limit {
                to_save.push(Arc::clone(inode));
                self.ring.push_back(ino);
            } else {
                self.by_ino.remove(&ino);
            }
        }
        to_save
    }
}
