use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dittofs_framework::storage::{
    Batch, Entry, Ino, InodeRecord, MetadataStore, NamedEntry, NamedXattr, Room, StorageError, StorageResult,
    VolumeRecord, Xattr,
};
use parking_lot::RwLock;
use tokio::sync::oneshot;

use super::directory::ShareDirectory;
use super::engine::Engine;
use super::mark::Mark;
use super::room::{self, Reserve};
use super::writer::{Job, REOPEN_AFTER, Writer};
use super::{directory, read};

/// Reads of no more records than this are made at once, as the engine has what is in use in memory; longer ones by a thread that may block.
const INLINE: usize = 256;

/// Metadata in the directory of a share, for one process at a time.
///
/// Memory is bounded, and opening takes the same time however many files there are. Dropping it waits for the batch that is being
/// applied. Calls need a Tokio runtime.
pub struct EmbeddedMetadataStore {
    shared: Arc<Shared>,
    /// `None` only while it is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<thread::JoinHandle<()>>,
}

/// What readers and the thread that applies batches have in common.
pub(super) struct Shared {
    /// Why it could not be opened again, if so.
    pub(super) engine: RwLock<StorageResult<Engine>>,
    /// The directory, to ask for its room.
    dir: File,
    /// Unlocked when the engine is closed.
    _share: Arc<ShareDirectory>,
}

impl EmbeddedMetadataStore {
    /// Opens the store of a share, or makes it. Blocks.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] if it does not hold what was acknowledged, or what the file system says.
    pub fn open(share: Arc<ShareDirectory>) -> StorageResult<Self> {
        Self::open_with(share, REOPEN_AFTER)
    }

    /// Leaves an engine that stopped alone for some time.
    pub(super) fn open_with(share: Arc<ShareDirectory>, reopen_after: Duration) -> StorageResult<Self> {
        let dir = share.metadata();
        let (reserve, mark, acknowledged) = prepare(&dir).map_err(StorageError::failed)?;
        let engine_dir = dir.join("engine");
        let engine = Engine::open(&engine_dir)?;
        let applied = engine.applied()?;
        if applied < acknowledged {
            let what = format!("batch {applied} is the last, and batch {acknowledged} was acknowledged");
            return Err(StorageError::Damaged(what));
        }
        directory::sync(&dir).map_err(StorageError::failed)?;
        let dir = File::open(&dir).map_err(StorageError::failed)?;
        let shared = Arc::new(Shared { engine: RwLock::new(Ok(engine)), dir, _share: share });
        let writer = Writer {
            shared: Arc::clone(&shared),
            engine_dir,
            mark,
            reserve,
            applied,
            failed: None,
            reopened: None,
            reopen_after,
        };
        let (jobs, queue) = mpsc::channel();
        let writer = thread::Builder::new()
            .name("metadata".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(StorageError::failed)?;
        Ok(Self { shared, jobs: Some(jobs), writer: Some(writer) })
    }

    #[cfg(test)]
    pub(super) fn engine(&self) -> &RwLock<StorageResult<Engine>> {
        &self.shared.engine
    }

    /// Answers from the engine.
    async fn read<T: Send + 'static>(
        &self,
        records: usize,
        query: impl FnOnce(&Engine) -> StorageResult<T> + Send + 'static,
    ) -> StorageResult<T> {
        if records <= INLINE
            && let Some(engine) = self.shared.engine.try_read()
        {
            return query(engine.as_ref().map_err(Clone::clone)?);
        }
        let shared = Arc::clone(&self.shared);
        let answer =
            tokio::task::spawn_blocking(move || query(shared.engine.read().as_ref().map_err(Clone::clone)?));
        answer.await.map_err(StorageError::failed)?
    }
}

/// Makes the directory of the metadata, and opens what is beside the engine.
fn prepare(dir: &Path) -> io::Result<(Reserve, Mark, u64)> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => directory::sync_parent(dir)?,
    }
    let (mark, acknowledged) = Mark::open(&dir.join("mark"))?;
    Ok((Reserve::open(&dir.join("reserve"))?, mark, acknowledged))
}

#[async_trait]
impl MetadataStore for EmbeddedMetadataStore {
    async fn volume(&self) -> StorageResult<Option<VolumeRecord>> {
        self.read(1, read::volume).await
    }

    async fn inodes(&self, inos: &[Ino]) -> StorageResult<Vec<Option<InodeRecord>>> {
        let inos = inos.to_vec();
        self.read(inos.len(), move |engine| read::inodes(engine, &inos)).await
    }

    async fn entry(&self, dir: Ino, name: &[u8]) -> StorageResult<Option<Entry>> {
        let name = Bytes::copy_from_slice(name);
        self.read(1, move |engine| read::entry(engine, dir, &name)).await
    }

    async fn entries(&self, dir: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedEntry>> {
        self.read(limit, move |engine| read::entries(engine, dir, after, limit)).await
    }

    async fn entry_before(&self, dir: Ino, cookie: u64) -> StorageResult<Option<NamedEntry>> {
        self.read(1, move |engine| read::entry_before(engine, dir, cookie)).await
    }

    async fn xattr(&self, ino: Ino, name: &[u8]) -> StorageResult<Option<Xattr>> {
        let name = Bytes::copy_from_slice(name);
        self.read(1, move |engine| read::xattr(engine, ino, &name)).await
    }

    async fn xattrs(&self, ino: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedXattr>> {
        self.read(limit, move |engine| read::xattrs(engine, ino, after, limit)).await
    }

    async fn orphans(&self, after: Ino, limit: usize) -> StorageResult<Vec<Ino>> {
        self.read(limit, move |engine| read::orphans(engine, after, limit)).await
    }

    async fn scan(&self, after: Ino, limit: usize) -> StorageResult<Vec<(Ino, InodeRecord)>> {
        self.read(limit, move |engine| read::scan(engine, after, limit)).await
    }

    async fn scan_entries(&self, after: (Ino, u64), limit: usize) -> StorageResult<Vec<(Ino, NamedEntry)>> {
        self.read(limit, move |engine| read::scan_entries(engine, after, limit)).await
    }

    async fn apply(&self, batch: Batch) -> StorageResult<()> {
        let (done, waiting) = oneshot::channel();
        if let Some(jobs) = &self.jobs {
            // If the writer is gone, so is the sender in the job.
            drop(jobs.send((batch, done)));
        }
        let ended = |_| StorageError::failed(io::Error::other("the thread that applies batches has ended"));
        waiting.await.map_err(ended)?
    }

    async fn room(&self) -> StorageResult<Room> {
        room::usable(&self.shared.dir).map_err(StorageError::failed)
    }
}

impl std::fmt::Debug for EmbeddedMetadataStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedMetadataStore").finish_non_exhaustive()
    }
}

impl Drop for EmbeddedMetadataStore {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing more to write.
            drop(writer.join());
        }
    }
}
