use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dittofs_framework::storage::Ino;
use foldhash::fast::RandomState;
use parking_lot::RwLock;

use super::file::ContentFile;

/// Parts with a lock each.
const SHARDS: usize = 16;
/// A part is worth a lock from so many files on.
const SHARD_FILES: usize = 8;

/// The open files, up to a limit that only calls under way exceed. When it is reached, one goes that was not used for a while. Files
/// are found, added and dropped under their part's lock alone, so that one of which the cache has the only reference is in use by nobody.
pub(super) struct FileCache {
    shards: Box<[RwLock<Shard>]>,
    hasher: RandomState,
    shard_limit: usize,
}

#[derive(Default)]
struct Shard {
    files: HashMap<Ino, Slot, RandomState>,
    /// All of them once. The first one goes first, unless it was used since its last turn.
    order: VecDeque<Ino>,
}

struct Slot {
    file: Arc<ContentFile>,
    was_used: AtomicBool,
}

/// What became of a file that was to be added.
pub(super) enum Added {
    /// It is in the cache, or another one of the same contents was.
    Kept(Arc<ContentFile>),
    /// This one is to be made durable first: a loss that is noticed once nobody has the file open is told to nobody.
    Flush(Arc<ContentFile>),
}

impl FileCache {
    pub(super) fn new(limit: usize) -> Self {
        let shards = (limit / SHARD_FILES).clamp(1, SHARDS);
        Self {
            shards: (0..shards).map(|_| RwLock::default()).collect(),
            hasher: RandomState::default(),
            shard_limit: (limit / shards).max(1),
        }
    }

    fn shard(&self, id: Ino) -> &RwLock<Shard> {
        let number = self.hasher.hash_one(id) % self.shards.len() as u64;
        // There is at least one, and the number is below their count.
        #[allow(clippy::indexing_slicing)]
        &self.shards[usize::try_from(number).unwrap_or_default()]
    }

    pub(super) fn get(&self, id: Ino) -> Option<Arc<ContentFile>> {
        let shard = self.shard(id).read();
        let slot = shard.files.get(&id)?;
        // Most are marked already, and the line stays shared.
        if !slot.was_used.load(Ordering::Relaxed) {
            slot.was_used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&slot.file))
    }

    /// Adds a file if there is room, or if nothing that is there can go.
    pub(super) fn add(&self, file: &Arc<ContentFile>) -> Added {
        let id = file.id();
        let mut shard = self.shard(id).write();
        if let Some(slot) = shard.files.get(&id) {
            return Added::Kept(Arc::clone(&slot.file));
        }
        if let Some(unsaved) = shard.make_room(self.shard_limit) {
            return Added::Flush(unsaved);
        }
        Added::Kept(shard.insert(file))
    }

    /// Adds a file where [`add`](Self::add) found no way to make room: it must be found by all who look for it.
    pub(super) fn add_beyond_limit(&self, file: &Arc<ContentFile>) -> Arc<ContentFile> {
        let mut shard = self.shard(file.id()).write();
        if let Some(slot) = shard.files.get(&file.id()) {
            return Arc::clone(&slot.file);
        }
        shard.insert(file)
    }

    pub(super) fn remove(&self, id: Ino) -> Option<Arc<ContentFile>> {
        let mut shard = self.shard(id).write();
        let slot = shard.files.remove(&id)?;
        shard.order.retain(|other| *other != id);
        Some(slot.file)
    }

    /// Closes what can be closed at once.
    pub(super) fn close_idle(&self) {
        for shard in &self.shards {
            let mut shard = shard.write();
            shard.files.retain(|_, slot| !slot.is_idle() || slot.file.is_unsaved());
            let Shard { files, order } = &mut *shard;
            order.retain(|id| files.contains_key(id));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().files.len()).sum()
    }
}

impl Slot {
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.file) == 1
    }
}

impl Shard {
    fn insert(&mut self, file: &Arc<ContentFile>) -> Arc<ContentFile> {
        let slot = Slot { file: Arc::clone(file), was_used: AtomicBool::new(true) };
        self.files.insert(file.id(), slot);
        self.order.push_back(file.id());
        Arc::clone(file)
    }

    /// Drops files until there is room for one more. Returns one that is not durable if only such are left.
    fn make_room(&mut self, limit: usize) -> Option<Arc<ContentFile>> {
        let mut unsaved = None;
        // Every one has its turn twice: the first takes the mark.
        for _ in 0..self.order.len() * 2 {
            if self.files.len() < limit {
                return None;
            }
            let Some(id) = self.order.pop_front() else { break };
            let Some(slot) = self.files.get(&id) else { continue };
            let was_used = slot.was_used.swap(false, Ordering::Relaxed);
            if was_used || !slot.is_idle() {
                self.order.push_back(id);
            } else if slot.file.is_unsaved() {
                unsaved.get_or_insert_with(|| Arc::clone(&slot.file));
                self.order.push_back(id);
            } else {
                self.files.remove(&id);
            }
        }
        if self.files.len() < limit { None } else { unsaved }
    }
}
