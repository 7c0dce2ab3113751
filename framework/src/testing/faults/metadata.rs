use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::plan::{Calls, Course, Plan, answer, failed};
use crate::storage::{
    Batch, Entry, Ino, InodeRecord, MetadataStore, NamedEntry, NamedXattr, Room, StorageResult, VolumeRecord,
    Xattr,
};

/// A store of metadata that fails as planned.
pub(super) struct FaultyMetadata {
    pub(super) inner: Arc<dyn MetadataStore>,
    pub(super) plan: Arc<Plan>,
    /// Held while a batch is being applied.
    pub(super) applying: Arc<Mutex<()>>,
}

impl FaultyMetadata {
    async fn reader(&self) -> StorageResult<&Arc<dyn MetadataStore>> {
        match self.plan.course(Calls::READ_METADATA).await? {
            Course::Work => Ok(&self.inner),
            // A read that is made for nothing is as one that was not made.
            Course::WorkAndFail | Course::Half => Err(failed()),
        }
    }
}

#[async_trait]
impl MetadataStore for FaultyMetadata {
    async fn volume(&self) -> StorageResult<Option<VolumeRecord>> {
        self.reader().await?.volume().await
    }

    async fn inodes(&self, inos: &[Ino]) -> StorageResult<Vec<Option<InodeRecord>>> {
        self.reader().await?.inodes(inos).await
    }

    async fn entry(&self, dir: Ino, name: &[u8]) -> StorageResult<Option<Entry>> {
        self.reader().await?.entry(dir, name).await
    }

    async fn entries(&self, dir: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedEntry>> {
        self.reader().await?.entries(dir, after, limit).await
    }

    async fn entry_before(&self, dir: Ino, cookie: u64) -> StorageResult<Option<NamedEntry>> {
        self.reader().await?.entry_before(dir, cookie).await
    }

    async fn xattr(&self, ino: Ino, name: &[u8]) -> StorageResult<Option<Xattr>> {
        self.reader().await?.xattr(ino, name).await
    }

    async fn xattrs(&self, ino: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedXattr>> {
        self.reader().await?.xattrs(ino, after, limit).await
    }

    async fn orphans(&self, after: Ino, limit: usize) -> StorageResult<Vec<Ino>> {
        self.reader().await?.orphans(after, limit).await
    }

    async fn scan(&self, after: Ino, limit: usize) -> StorageResult<Vec<(Ino, InodeRecord)>> {
        self.reader().await?.scan(after, limit).await
    }

    async fn scan_entries(&self, after: (Ino, u64), limit: usize) -> StorageResult<Vec<(Ino, NamedEntry)>> {
        self.reader().await?.scan_entries(after, limit).await
    }

    async fn apply(&self, batch: Batch) -> StorageResult<()> {
        let course = self.plan.course(Calls::APPLY).await?;
        let _applying = self.applying.lock().await;
        self.plan.check_power(&course)?;
        self.inner.apply(batch).await?;
        answer(&course, ())
    }

    async fn room(&self) -> StorageResult<Room> {
        self.reader().await?.room().await
    }
}
