use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::SystemTime;

use dittofs_framework::log_limited;
use dittofs_framework::recovery::{Recovered, StateEvent, StoreError};
use tokio::sync::oneshot;

use super::format::Record;
use super::log::Log;
use crate::state_store::epoch_floor;

/// Most events of one flush. With owners of 1,024 bytes that is less than a frame may have.
const BATCH: usize = 512;

type Done<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do. Who asked may be gone when it is done.
pub(super) enum Job {
    Begin(Done<Recovered>),
    Append(StateEvent, Done<()>),
}

/// What runs on the thread that owns the file.
pub(super) struct Writer {
    log: Log,
    now: fn() -> SystemTime,
}

impl Writer {
    pub(super) fn new(log: Log, now: fn() -> SystemTime) -> Self {
        Self { log, now }
    }

    /// Works until the store is dropped and the queue is empty.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        let mut next = queue.recv().ok();
        while let Some(job) = next.take() {
            match job {
                Job::Begin(done) => {
                    let result = self.begin();
                    drop(done.send(result));
                }
                Job::Append(event, done) => next = self.append_all(event, done, queue),
            }
            self.log.compact_if_long();
            next = next.or_else(|| queue.recv().ok());
        }
    }

    fn begin(&mut self) -> Result<Recovered, StoreError> {
        let recovered = self.log.ledger().clone().begin(epoch_floor((self.now)()));
        self.log.commit(&[Record::Began(recovered.boot_epoch)]).map_err(StoreError::failed)?;
        Ok(recovered)
    }

    /// Flushes an event and all that are queued behind it at once. Returns a job of another kind that ended the row.
    fn append_all(&mut self, event: StateEvent, done: Done<()>, queue: &Receiver<Job>) -> Option<Job> {
        let (mut records, mut waiting) = (vec![Record::Event(event)], vec![done]);
        let mut other = None;
        while records.len() < BATCH && other.is_none() {
            match queue.try_recv() {
                Ok(Job::Append(event, done)) => {
                    records.push(Record::Event(event));
                    waiting.push(done);
                }
                Ok(job) => other = Some(job),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        let result = self.log.commit(&records).map_err(|error| {
            log_limited!(error, %error, events = records.len(), "cannot write the state journal");
            StoreError::failed(error)
        });
        for done in waiting {
            drop(done.send(result.clone()));
        }
        other
    }
}
