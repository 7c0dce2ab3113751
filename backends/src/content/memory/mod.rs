//! Contents in memory.

mod clone;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dittofs_framework::fs::DataOrHole;
use dittofs_framework::storage::{ContentSize, ContentStore, Copied, Ino, Room, StorageError, StorageResult};
use parking_lot::RwLock;

use self::clone::Staging;
use super::chunks::{CHUNK, Content, Piece};
use crate::budget::{Budget, Reserved};

/// As large as the largest file that a file system has offsets for.
const MAX_LEN: u64 = i64::MAX as u64;
/// Most bytes that one call copies where chunks cannot be shared: every call answers at once.
const MAX_COPY: u64 = 4 << 20;
/// Most bytes that one copy passes on by sharing chunks.
const MAX_SHARE: u64 = 1 << 30;

/// Contents in memory, up to a capacity; they go with the store. Only a large clone between offsets
/// whose chunks cannot be shared gives way to others; no other call ever waits, and what a read returns is a reference to the stored
/// bytes wherever they came in one write.
///
/// # Locks
/// Contents have a lock each, and one is over the table of them; no call holds two of the former.
pub struct MemoryContentStore {
    budget: Arc<Budget>,
    contents: RwLock<BTreeMap<Ino, Arc<RwLock<Content>>>>,
}

/// A change of contents: by how much the charge grows at most, and what is done.
struct Change<F> {
    cost: u64,
    apply: F,
}

impl MemoryContentStore {
    /// An empty store that takes up to `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        Self::sharing(Arc::new(Budget::new(capacity)))
    }

    /// An empty store whose contents are charged to a budget.
    pub(crate) fn sharing(budget: Arc<Budget>) -> Self {
        Self { budget, contents: RwLock::default() }
    }

    fn find(&self, id: Ino) -> Option<Arc<RwLock<Content>>> {
        self.contents.read().get(&id).cloned()
    }

    fn size_now(&self, id: Ino) -> ContentSize {
        self.find(id).map(|content| size_of(&content.read())).unwrap_or_default()
    }

    /// Changes contents, which begin to be there if the change is made.
    fn change<F: FnOnce(&mut Content)>(
        &self,
        id: Ino,
        plan: impl FnOnce(&Content) -> StorageResult<Change<F>>,
    ) -> StorageResult<ContentSize> {
        if let Some(content) = self.find(id) {
            return self.apply(&mut content.write(), plan);
        }
        let mut contents = self.contents.write();
        if let Some(content) = contents.get(&id) {
            return self.apply(&mut content.write(), plan);
        }
        let mut content = Content::default();
        let size = self.apply(&mut content, plan)?;
        contents.insert(id, Arc::new(RwLock::new(content)));
        Ok(size)
    }

    fn apply<F: FnOnce(&mut Content)>(
        &self,
        content: &mut Content,
        plan: impl FnOnce(&Content) -> StorageResult<Change<F>>,
    ) -> StorageResult<ContentSize> {
        let Change { cost, apply } = plan(content)?;
        self.budget.reserve(cost)?;
        let before = content.charge();
        apply(content);
        self.budget.settle(cost, before, content.charge());
        Ok(size_of(content))
    }

    /// The data of a range, as far as the contents reach.
    fn pieces(&self, id: Ino, offset: u64, len: u64) -> (u64, Vec<Piece>) {
        let Some(content) = self.find(id) else { return (0, Vec::new()) };
        let content = content.read();
        let len = len.min(content.size().saturating_sub(offset));
        (len, if len > 0 { content.pieces(offset, len) } else { Vec::new() })
    }

    fn paste(&self, id: Ino, offset: u64, len: u64, pieces: Vec<Piece>) -> StorageResult<ContentSize> {
        if len == 0 {
            return Ok(self.size_now(id));
        }
        self.change(id, |content| {
            let cost = content.cost_of_paste(offset, len, &pieces);
            Ok(Change { cost, apply: move |content: &mut Content| content.paste(offset, len, pieces) })
        })
    }
}

impl MemoryContentStore {
    /// Copies data while nothing is locked, and makes the copy a part of the contents in one step.
    async fn clone_copying(&self, id: Ino, mut staging: Staging) -> StorageResult<ContentSize> {
        let reserved = Reserved::new(&self.budget, staging.cost())?;
        while staging.step() {
            tokio::task::yield_now().await;
        }
        let content = Arc::clone(self.contents.write().entry(id).or_default());
        let mut content = content.write();
        let before = content.charge();
        staging.graft_into(&mut content);
        self.budget.settle(reserved.keep(), before, content.charge());
        Ok(size_of(&content))
    }
}

fn size_of(content: &Content) -> ContentSize {
    ContentSize { len: content.size(), allocated: content.allocated() }
}

fn check_range(offset: u64, len: u64) -> StorageResult<()> {
    match offset.checked_add(len) {
        Some(end) if end <= MAX_LEN => Ok(()),
        _ => Err(StorageError::TooLarge),
    }
}

/// Chunks can be shared between offsets that are the same modulo the size of a chunk.
fn can_share(from_offset: u64, to_offset: u64) -> bool {
    from_offset % CHUNK == to_offset % CHUNK
}

#[async_trait]
impl ContentStore for MemoryContentStore {
    async fn read(&self, id: Ino, offset: u64, count: u32) -> StorageResult<Bytes> {
        let content = self.find(id);
        Ok(content.map(|content| content.read().bytes(offset, u64::from(count))).unwrap_or_default())
    }

    async fn write(&self, id: Ino, offset: u64, data: Bytes) -> StorageResult<ContentSize> {
        let len = data.len() as u64;
        if len == 0 {
            return Ok(self.size_now(id));
        }
        check_range(offset, len)?;
        self.change(id, |content| {
            let cost = content.cost_of_write(offset, len);
            Ok(Change { cost, apply: |content: &mut Content| content.write(offset, &data) })
        })
    }

    async fn truncate(&self, id: Ino, len: u64) -> StorageResult<ContentSize> {
        check_range(0, len)?;
        self.change(id, |_| Ok(Change { cost: 0, apply: |content: &mut Content| content.resize(len) }))
    }

    async fn allocate(&self, id: Ino, offset: u64, len: u64) -> StorageResult<ContentSize> {
        if len == 0 {
            return Ok(self.size_now(id));
        }
        check_range(offset, len)?;
        self.change(id, |content| {
            // The range may be huge, and looking at all of it take long: most of those can be told to be too much at once.
            if content.least_cost_of_allocate(offset, len) > self.budget.free() {
                return Err(StorageError::NoSpace);
            }
            let cost = content.cost_of_allocate(offset, len);
            Ok(Change { cost, apply: |content: &mut Content| content.allocate(offset, len) })
        })
    }

    async fn punch(&self, id: Ino, offset: u64, len: u64) -> StorageResult<ContentSize> {
        if self.find(id).is_none() {
            return Ok(ContentSize::default());
        }
        self.change(id, |_| Ok(Change { cost: 0, apply: |content: &mut Content| content.punch(offset, len) }))
    }

    async fn seek(&self, id: Ino, offset: u64, what: DataOrHole) -> StorageResult<Option<u64>> {
        let Some(content) = self.find(id) else { return Ok(None) };
        let content = content.read();
        Ok(if offset < content.size() { content.seek(offset, what) } else { None })
    }

    async fn copy(
        &self,
        from: Ino,
        from_offset: u64,
        to: Ino,
        to_offset: u64,
        len: u64,
    ) -> StorageResult<Copied> {
        let most = if can_share(from_offset, to_offset) { MAX_SHARE } else { MAX_COPY };
        let (count, pieces) = self.pieces(from, from_offset, len.min(most));
        if count > 0 {
            check_range(to_offset, count)?;
        }
        Ok(Copied { count, to: self.paste(to, to_offset, count, pieces)? })
    }

    async fn clone_range(
        &self,
        from: Ino,
        from_offset: u64,
        to: Ino,
        to_offset: u64,
        len: u64,
    ) -> StorageResult<ContentSize> {
        check_range(to_offset, len)?;
        let (count, pieces) = self.pieces(from, from_offset, len);
        if len > MAX_COPY && !can_share(from_offset, to_offset) {
            return self.clone_copying(to, Staging::new(to_offset, count, pieces)).await;
        }
        self.paste(to, to_offset, count, pieces)
    }

    async fn sync(&self, _id: Ino) -> StorageResult<()> {
        Ok(())
    }

    async fn remove(&self, id: Ino) -> StorageResult<()> {
        let removed = self.contents.write().remove(&id);
        if let Some(content) = removed {
            self.budget.release(content.read().charge());
        }
        Ok(())
    }

    async fn size(&self, id: Ino) -> StorageResult<Option<ContentSize>> {
        Ok(self.find(id).map(|content| size_of(&content.read())))
    }

    async fn scan(&self, after: Ino, limit: usize) -> StorageResult<Vec<(Ino, ContentSize)>> {
        let contents = self.contents.read();
        let rest = contents.range((Bound::Excluded(after), Bound::Unbounded)).take(limit);
        Ok(rest.map(|(id, content)| (*id, size_of(&content.read()))).collect())
    }

    async fn room(&self) -> StorageResult<Room> {
        let free = self.budget.free();
        Ok(Room { total: self.budget.capacity(), free, available: free })
    }

    fn max_len(&self) -> u64 {
        MAX_LEN
    }
}
