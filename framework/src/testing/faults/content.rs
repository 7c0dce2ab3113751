use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::image::{Change, Durable, shadow};
use super::plan::{Calls, Course, Plan, answer, failed};
use crate::fs::DataOrHole;
use crate::storage::{ContentSize, ContentStore, Copied, Ino, Room, StorageResult};

/// A store of contents that fails as planned, and whose changes last only when they were flushed. One change is made at a time.
pub(super) struct FaultyContent {
    pub(super) inner: Arc<dyn ContentStore>,
    pub(super) durable: Arc<Durable>,
    pub(super) plan: Arc<Plan>,
}

impl FaultyContent {
    async fn reader(&self) -> StorageResult<&Arc<dyn ContentStore>> {
        match self.plan.course(Calls::READ).await? {
            Course::Work => Ok(&self.inner),
            Course::WorkAndFail | Course::Half => Err(failed()),
        }
    }

    /// Makes one change of contents other than by writing to them.
    async fn reshape<T>(
        &self,
        id: Ino,
        change: Change,
        call: impl Future<Output = StorageResult<T>>,
    ) -> StorageResult<T> {
        let course = self.plan.course(Calls::RESHAPE).await?;
        let mut shadows = self.durable.lock().await;
        self.plan.check_power(&course)?;
        let shadow = shadow(&mut shadows, &self.inner, id).await?;
        let done = call.await?;
        shadow.changed(change);
        answer(&course, done)
    }

    /// Adds to the changes what a copy has put into its target.
    async fn copied(&self, id: Ino, offset: u64, len: u64) -> StorageResult<Vec<Change>> {
        let mut changes = Vec::new();
        let mut done = 0;
        while done < len {
            let count = u32::try_from(len - done).unwrap_or(u32::MAX).min(1 << 20);
            let data = self.inner.read(id, offset + done, count).await?;
            if data.is_empty() {
                break;
            }
            let at = offset + done;
            done += data.len() as u64;
            changes.push(Change::Write { offset: at, data });
        }
        Ok(changes)
    }
}

#[async_trait]
impl ContentStore for FaultyContent {
    async fn read(&self, id: Ino, offset: u64, count: u32) -> StorageResult<Bytes> {
        self.reader().await?.read(id, offset, count).await
    }

    async fn write(&self, id: Ino, offset: u64, data: Bytes) -> StorageResult<ContentSize> {
        let course = self.plan.course(Calls::WRITE).await?;
        let mut shadows = self.durable.lock().await;
        self.plan.check_power(&course)?;
        let shadow = shadow(&mut shadows, &self.inner, id).await?;
        let data = if matches!(course, Course::Half) { data.slice(..data.len() / 2) } else { data };
        let size = self.inner.write(id, offset, data.clone()).await?;
        shadow.changed(Change::Write { offset, data });
        answer(&course, size)
    }

    async fn truncate(&self, id: Ino, len: u64) -> StorageResult<ContentSize> {
        self.reshape(id, Change::Truncate(len), self.inner.truncate(id, len)).await
    }

    async fn allocate(&self, id: Ino, offset: u64, len: u64) -> StorageResult<ContentSize> {
        let change = Change::Extend(offset.saturating_add(len));
        self.reshape(id, change, self.inner.allocate(id, offset, len)).await
    }

    async fn punch(&self, id: Ino, offset: u64, len: u64) -> StorageResult<ContentSize> {
        self.reshape(id, Change::Punch { offset, len }, self.inner.punch(id, offset, len)).await
    }

    async fn seek(&self, id: Ino, offset: u64, what: DataOrHole) -> StorageResult<Option<u64>> {
        self.reader().await?.seek(id, offset, what).await
    }

    async fn copy(
        &self,
        from: Ino,
        from_offset: u64,
        to: Ino,
        to_offset: u64,
        len: u64,
    ) -> StorageResult<Copied> {
        let course = self.plan.course(Calls::RESHAPE).await?;
        let mut shadows = self.durable.lock().await;
        self.plan.check_power(&course)?;
        let shadow = shadow(&mut shadows, &self.inner, to).await?;
        let copied = self.inner.copy(from, from_offset, to, to_offset, len).await?;
        for change in self.copied(to, to_offset, copied.count).await? {
            shadow.changed(change);
        }
        answer(&course, copied)
    }

    async fn clone_range(
        &self,
        from: Ino,
        from_offset: u64,
        to: Ino,
        to_offset: u64,
        len: u64,
    ) -> StorageResult<ContentSize> {
        let course = self.plan.course(Calls::RESHAPE).await?;
        let mut shadows = self.durable.lock().await;
        self.plan.check_power(&course)?;
        let shadow = shadow(&mut shadows, &self.inner, to).await?;
        let size = self.inner.clone_range(from, from_offset, to, to_offset, len).await?;
        for change in self.copied(to, to_offset, len).await? {
            shadow.changed(change);
        }
        answer(&course, size)
    }

    async fn sync(&self, id: Ino) -> StorageResult<()> {
        let course = self.plan.course(Calls::SYNC).await;
        let mut shadows = self.durable.lock().await;
        let shadow = shadow(&mut shadows, &self.inner, id).await?;
        if course.is_err() && !self.plan.is_off() {
            shadow.lost();
        }
        let course = course?;
        self.plan.check_power(&course)?;
        self.inner.sync(id).await?;
        shadow.synced();
        answer(&course, ())
    }

    async fn remove(&self, id: Ino) -> StorageResult<()> {
        self.reshape(id, Change::Remove, self.inner.remove(id)).await
    }

    async fn size(&self, id: Ino) -> StorageResult<Option<ContentSize>> {
        self.reader().await?.size(id).await
    }

    async fn scan(&self, after: Ino, limit: usize) -> StorageResult<Vec<(Ino, ContentSize)>> {
        self.reader().await?.scan(after, limit).await
    }

    async fn room(&self) -> StorageResult<Room> {
        self.reader().await?.room().await
    }

    fn max_len(&self) -> u64 {
        self.inner.max_len()
    }
}
