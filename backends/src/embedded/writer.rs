use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use dittofs_framework::log_limited;
use dittofs_framework::storage::{Batch, Mutation, StorageError, StorageResult};
use tokio::sync::oneshot;

use super::engine::{Engine, EngineError};
use super::keys;
use super::mark::Mark;
use super::room::Reserve;
use super::store::Shared;

/// How long an engine that stopped, or could not be opened, is left alone before it is opened again once more.
pub(super) const REOPEN_AFTER: Duration = Duration::from_secs(5);

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
    pub(super) reopen_after: Duration,
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
        loop {
            let next = if self.is_closed() {
                queue.recv_timeout(self.reopen_after)
            } else {
                queue.recv().map_err(RecvTimeoutError::from)
            };
            match next {
                Ok((batch, done)) => {
                    let result = self.apply(&batch);
                    drop(done.send(result));
                }
                // For readers. Why it failed is in the log, and told to them.
                Err(RecvTimeoutError::Timeout) => drop(self.restart()),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Whether the engine could not be opened again so far, but may be later.
    fn is_closed(&self) -> bool {
        self.failed.is_none() && self.shared.engine.read().is_err()
    }

    fn apply(&mut self, batch: &Batch) -> StorageResult<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if batch.mutations.is_empty() {
            return Ok(());
        }
        if self.is_closed() {
            self.restart()?;
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
        if !is_behind && at.elapsed() >= self.reopen_after {
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
        self.reopen()?;
        Err(StorageError::NoSpace)
    }

    /// Opens an engine again that stopped, or could not be opened. What was missing, such as room to merge tables, may be there by now.
    fn restart(&mut self) -> StorageResult<()> {
        if self.reopened.is_some_and(|at| at.elapsed() < self.reopen_after) {
            let why = self.shared.engine.read().as_ref().err().cloned();
            return Err(why.unwrap_or(StorageError::NoSpace));
        }
        self.reserve.release();
        log_limited!(warn, "the metadata engine has stopped: opening it again");
        self.reopen()
    }

    /// Closes the engine and opens it: without a batch that failed, and with all others. Readers wait.
    fn reopen(&mut self) -> StorageResult<()> {
        let found = match self.replace() {
            Ok(found) => found,
            Err(error @ StorageError::Damaged(_)) => return Err(self.fail(error)),
            Err(error) => {
                log_limited!(error, %error, "the metadata engine cannot be opened again: trying it later");
                return Err(error);
            }
        };
        if found == self.applied {
            return Ok(());
        }
        let error = if found == self.applied + 1 {
            // All of it is in the journal, but it did not get to the disk, and may not be there after a crash.
            StorageError::failed(std::io::Error::other("a batch that failed is there"))
        } else {
            StorageError::Damaged(format!("batch {found} is the last, and {} was", self.applied))
        };
        Err(self.fail(error))
    }

    /// Puts the engine, opened anew, where readers find it, or why it could not be opened. Returns the number of its last batch.
    fn replace(&mut self) -> StorageResult<u64> {
        self.reopened = Some(Instant::now());
        let closed = std::io::Error::other("the engine is closed");
        let mut slot = self.shared.engine.write();
        // The files are locked until the old one is gone.
        *slot = Err(StorageError::failed(closed));
        let opened = Engine::open(&self.engine_dir).and_then(|engine| Ok((engine.applied()?, engine)));
        match opened {
            Ok((applied, engine)) => {
                *slot = Ok(engine);
                Ok(applied)
            }
            Err(error) => {
                let error = StorageError::from(error);
                *slot = Err(error.clone());
                Err(error)
            }
        }
    }

    /// Writes nothing any more. Readers go on if the engine is open; what is too damaged to be opened is not read either.
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
