use async_trait::async_trait;
use bytes::Bytes;

use super::{Ino, Room, StorageError, StorageResult};
use crate::fs::DataOrHole;

/// How large the contents of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContentSize {
    /// Up to where there are bytes, those in holes included.
    pub len: u64,
    /// Bytes of storage that they take.
    pub allocated: u64,
}

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// How many bytes were copied, from the start of the range on.
    pub count: u64,
    /// How large the target is now.
    pub to: ContentSize,
}

/// Keeps the bytes of files.
///
/// Contents are named by the number of their file and begin to be there with the first call that changes them: contents that are not
/// there are empty, and nothing has to be made before. A number is not used again once its contents were removed. A change of no bytes
/// changes nothing.
///
/// Ranges that would make contents longer than [`max_len`](Self::max_len) are refused with [`TooLarge`](StorageError::TooLarge), and
/// nothing is changed.
///
/// # Durability
/// Changes are seen by every later call as soon as they return; they are durable once a [`sync`](Self::sync) that began after has returned.
/// A crash may lose any of those that are not, or parts of them, but nothing else. After a crash contents may so be longer or
/// shorter than what the record of their file says.
///
/// # Concurrency
/// Calls come at any time and in any number, for the same contents too. Of two writes of the same bytes one comes last and stays.
/// The caller sees to it that a [`truncate`](Self::truncate), [`punch`](Self::punch), [`clone_range`](Self::clone_range) or
/// [`remove`](Self::remove) has no other change of the same contents beside it. Reads it may have: they see the bytes of before or after.
///
/// A call that waits for a device gives way, as in [`MetadataStore`](super::MetadataStore). One whose future is dropped may be carried
/// out all the same, or in part.
///
/// # Failure
/// A write that fails may have changed a part of its range and nothing else. After a `sync` that failed, all that was not durable may be lost.
#[async_trait]
pub trait ContentStore: Send + Sync + 'static {
    /// Bytes from `offset` on: `count` of them, or fewer if the contents end before, none if they end before `offset`. Holes are zeros.
    async fn read(&self, id: Ino, offset: u64, count: u32) -> StorageResult<Bytes>;

    /// Puts all of `data` at `offset`; what is between the end and `offset` becomes a hole.
    async fn write(&self, id: Ino, offset: u64, data: Bytes) -> StorageResult<ContentSize>;

    /// Cuts the contents off, or extends them with a hole.
    async fn truncate(&self, id: Ino, len: u64) -> StorageResult<ContentSize>;

    /// Makes the range's storage sure: later writes to it do not fail for want of room. Extends the contents if need be.
    /// [`NotSupported`](StorageError::NotSupported) if the store cannot promise that.
    async fn allocate(&self, id: Ino, offset: u64, len: u64) -> StorageResult<ContentSize>;

    /// Makes the range read as zeros and gives its storage back as far as it can. The length stays.
    async fn punch(&self, id: Ino, offset: u64, len: u64) -> StorageResult<ContentSize>;

    /// The first offset from `offset` on that is `what`, for an `offset` before the end. Of data, `None` when none follows. Of a hole there
    /// is always one: the end counts as such. A store that knows nothing of holes has data everywhere: it answers `offset`, and the end.
    async fn seek(&self, id: Ino, offset: u64, what: DataOrHole) -> StorageResult<Option<u64>>;

    /// Copies `len` bytes, or fewer: as far as the source reaches, or as much as the store likes to do at once. The ranges do not overlap
    /// in the same contents.
    async fn copy(
        &self,
        from: Ino,
        from_offset: u64,
        to: Ino,
        to_offset: u64,
        len: u64,
    ) -> StorageResult<Copied>;

    /// Makes the target's range share the source's storage, all of it at once or not at all. The source reaches as far as the range, and
    /// the ranges do not overlap in the same contents. [`NotSupported`](StorageError::NotSupported) also where the store can share
    /// storage, but not of these ranges.
    async fn clone_range(
        &self,
        from: Ino,
        from_offset: u64,
        to: Ino,
        to_offset: u64,
        len: u64,
    ) -> StorageResult<ContentSize> {
        let _ = (from, from_offset, to, to_offset, len);
        Err(StorageError::NotSupported)
    }

    /// Makes every change that returned before this was called durable, and that the contents are there. It is no error if they are not.
    /// Calls that come while one is under way may share one flush.
    async fn sync(&self, id: Ino) -> StorageResult<()>;

    /// Removes the contents and gives their storage back; it is no error if they are not there. It need not be durable at once: contents
    /// that a crash brings back are in nobody's way, and a check of the volume removes them.
    async fn remove(&self, id: Ino) -> StorageResult<()>;

    /// How large the contents are; `None` if they are not there.
    async fn size(&self, id: Ino) -> StorageResult<Option<ContentSize>>;

    /// Up to `limit` contents with numbers above `after`, by growing number; fewer only at the end. For checks of a whole volume.
    async fn scan(&self, after: Ino, limit: usize) -> StorageResult<Vec<(Ino, ContentSize)>>;

    /// How much room there is.
    async fn room(&self) -> StorageResult<Room>;

    /// The largest length that contents may have.
    fn max_len(&self) -> u64;
}
