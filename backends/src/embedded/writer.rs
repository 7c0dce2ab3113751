use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use dittofs_framework::log_limited;
use dittofs_framework::storage::{Batch, Mutation, StorageError, StorageResult};
use tokio::sync::oneshot;

use super::engine::{Engine, EngineError};
use super::keys;
use super::mark::Mark;
use super::room::Reserve;
use super::store::Shared;

/// How long an engine that stopped is left alone before it is opened again once more.
const REOPEN_AFTER: Duration = Duration::from_secs(5);

/// A batch, and who waits for it. It may be gone when it is done.
pub(super) type Job = (Batch, oneshot::Sender<StorageResult<()>>);

/// What runs on the thread that applies batches.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) engine_dir: PathBuf,
    pub(super) mark: Mark,
    pub(super) reserve: Reserve,
    /// The number of the last batch that was applied.
    pub(super) applied: u64,
    /// Why nothing is written any more.
    pub(super) failed: Option<StorageError>,
    pub(super) reopened: Option<Instant>,
}

/// What a batch does to the engine.
struct Changes {
    /// The last change of each key: the engine cannot make two of one key at once.
    by_key: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: u64,
    /// Whether there are more entries and attributes than before.
    grows: bool,
}

impl Writer {
    /// Works until the store is dropped and the queue is empty.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        while let Ok((batch, done)) = queue.recv() {
            let result = self.apply(&batch);
            drop(done.send(result));
        }
    }

    fn apply(&mut self, batch: &Batch) -> StorageResult<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if batch.mutations.is_empty() {
            return Ok(());
        }
        let number = self.applied + 1;
        let changes = Changes::new(batch, number);
        if !self.reserve.admits(changes.bytes, changes.grows) || self.is_held_up() {
            return Err(StorageError::NoSpace);
        }
        let mut result = self.commit(&changes);
        if matches!(result, Err(EngineError::Stopped)) {
            // It has not begun with this batch.
            self.restart()?;
            if self.is_held_up() {
                return Err(StorageError::NoSpace);
            }
            result = self.commit(&changes);
        }
        match result {
            Ok(()) => {
                self.applied = number;
                self.mark.set(number);
                Ok(())
            }
            Err(EngineError::Full(error)) => {
                log_limited!(warn, %error, "no room for a batch of metadata");
                self.undo()
            }
            Err(EngineError::Stopped) => Err(StorageError::NoSpace),
            Err(EngineError::Failed(error)) => Err(self.fail(error)),
        }
    }

    /// Whether merges are far behind since the engine stopped: it would wait for them, and they may find no room again. When they have
    /// caught up, the stop is forgotten.
    fn is_held_up(&mut self) -> bool {
        let Some(at) = self.reopened else { return false };
        let engine = self.shared.engine.read();
        let is_behind = engine.as_ref().is_ok_and(|engine| engine.is_behind() && !engine.is_stopped());
        if !is_behind && at.elapsed() >= REOPEN_AFTER {
            self.reopened = None;
        }
        is_behind
    }

    fn commit(&self, changes: &Changes) -> Result<(), EngineError> {
        match self.shared.engine.read().as_ref() {
            Ok(engine) => engine.commit(&changes.by_key),
            Err(error) => Err(EngineError::Failed(error.clone())),
        }
    }

    /// After a batch that found no room: rids the engine of what it has of it.
    fn undo(&mut self) -> StorageResult<()> {
        self.reserve.release();
        let found = self.reopen().map_err(|error| self.fail(error.into()))?;
        if found == self.applied {
            return Err(StorageError::NoSpace);
        }
        // All of it is in the journal, but it did not get to the disk, and may not be there after a crash.
        let error = std::io::Error::other("a batch that failed is there");
        Err(self.fail(StorageError::failed(error)))
    }

    /// Opens an engine again that stopped. Merging tables may have found no room, which may be there by now.
    fn restart(&mut self) -> StorageResult<()> {
        if self.reopened.is_some_and(|at| at.elapsed() < REOPEN_AFTER) {
            return Err(StorageError::NoSpace);
        }
        self.reserve.release();
        tracing::warn!("the metadata engine has stopped: opening it again");
        let found = self.reopen().map_err(|error| self.fail(error.into()))?;
        if found == self.applied {
            return Ok(());
        }
        let what = format!("batch {} is the last, and {} was", found, self.applied);
        Err(self.fail(StorageError::Damaged(what)))
    }

    /// Closes the engine, opens it, and returns the number of its last batch. Readers wait.
    fn reopen(&mut self) -> Result<u64, EngineError> {
        self.reopened = Some(Instant::now());
        let closed = std::io::Error::other("the engine could not be opened again");
        let mut slot = self.shared.engine.write();
        // The files are locked until the old one is gone.
        *slot = Err(StorageError::failed(closed));
        let engine = Engine::open(&self.engine_dir)?;
        let applied = engine.applied()?;
        *slot = Ok(engine);
        Ok(applied)
    }

    /// Writes nothing any more. Readers see what was durable before.
    fn fail(&mut self, error: StorageError) -> StorageError {
        tracing::error!(%error, "nothing is written to the metadata store until it is opened again");
        self.failed = Some(error.clone());
        error
    }
}

impl Changes {
    fn new(batch: &Batch, number: u64) -> Self {
        let mut by_key = BTreeMap::new();
        let mut growth = 0_i64;
        for mutation in &batch.mutations {
            keys::changes(mutation, |(key, value)| drop(by_key.insert(key, value)));
            growth += match mutation {
                Mutation::PutEntry { .. } | Mutation::PutXattr { .. } => 1,
                Mutation::RemoveEntry { .. } | Mutation::RemoveXattr { .. } => -1,
                _ => 0,
            };
        }
        by_key.insert(keys::APPLIED.to_vec(), Some(number.to_be_bytes().to_vec()));
        let lengths = by_key.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
        let bytes = u64::try_from(lengths.sum::<usize>()).unwrap_or(u64::MAX);
        Self { by_key, bytes, grows: growth > 0 }
    }
}
