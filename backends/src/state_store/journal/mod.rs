//! A state store in one file that is only appended to.
//!
//! # The file
//!
//! A header with the format's version and a salt, then frames. A frame is what one flush wrote: its length, a CRC-32, and one
//! or more records. Before a frame is written the one before is on stable storage, so that a crash can spoil the last frame
//! alone: *a torn tail is cut off, damage with good frames behind it is an error*. The CRC begins with the salt, which no client
//! knows: bytes that a client chose (its owner string) are never taken for a frame.
//!
//! # Appending
//!
//! A thread of the store's own takes all events that are queued, writes them as one frame, flushes once, and then lets all
//! who wait go on. So many clients that come at once wait for one flush together.
//!
//! # Failure
//!
//! After a write or a flush that failed nobody knows what is in the file. Nothing more is written to it: the next attempt
//! writes all that was acknowledged to a new file that takes its place.
//!
//! # Compaction
//!
//! When the file is several times as long as what it amounts to, that is written to a new file, flushed, and renamed over the
//! old one. At every moment one of the two is there and whole.

mod disk;
mod format;
mod log;
mod scan;
#[cfg(test)]
mod tests;
mod writer;

use std::future::ready;
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::SystemTime;

use dittofs_framework::proto::NFS4_OPAQUE_LIMIT;
use dittofs_framework::recovery::{Recovered, StateEvent, StateStore, StoreError};
use dittofs_framework::rpc::BoxFuture;
use tokio::sync::oneshot;

use disk::{Disk, FileDisk};
use log::Log;
use writer::{Job, Writer};

/// How a [`JournalStateStore`] works.
#[derive(Debug, Clone, Copy)]
pub struct JournalOptions {
    /// What gives the time of day, whose seconds are the least boot epoch.
    pub now: fn() -> SystemTime,
    /// A file that is no longer than this, in bytes, is never compacted.
    pub compact_from: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { now: SystemTime::now, compact_from: 256 << 10 }
    }
}

/// A state store in a file, for one server at a time.
///
/// The file is locked (by another one beside it, with `.lock` added to the name) until the value is dropped, which waits for what
/// is being written.
#[derive(Debug)]
pub struct JournalStateStore {
    /// `None` only while it is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<thread::JoinHandle<()>>,
}

impl JournalStateStore {
    /// Opens the store in the file at `path`, which is made if it is not there; its directory must be. Blocks: it reads the whole
    /// file, and may have to cut a torn tail off.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Version`], [`StoreError::Damaged`], or what the file system says. A file with an
    /// error is left as it is.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, JournalOptions::default())
    }

    /// The same with these options.
    pub fn open_with(path: &Path, options: JournalOptions) -> Result<Self, StoreError> {
        Self::open_on(Box::new(FileDisk), path, options)
    }

    fn open_on(disk: Box<dyn Disk>, path: &Path, options: JournalOptions) -> Result<Self, StoreError> {
        let log = Log::open(disk, path, options.compact_from)?;
        let (jobs, queue) = mpsc::channel();
        let writer = Writer::new(log, options.now);
        let writer = thread::Builder::new()
            .name("state-journal".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(StoreError::failed)?;
        Ok(Self { jobs: Some(jobs), writer: Some(writer) })
    }

    /// Puts a job into the queue and returns what waits for its end.
    fn enqueue<T: Send + 'static>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (done, waiting) = oneshot::channel();
        if let Some(jobs) = &self.jobs {
            // If the writer is gone, so is the sender in the job.
            drop(jobs.send(job(done)));
        }
        Box::pin(async { waiting.await.unwrap_or(Err(StoreError::Closed)) })
    }
}

impl StateStore for JournalStateStore {
    fn begin(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        self.enqueue(Job::Begin)
    }

    fn append(&self, event: StateEvent) -> BoxFuture<'static, Result<(), StoreError>> {
        if !fits(&event) {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "an owner above NFS4_OPAQUE_LIMIT");
            return Box::pin(ready(Err(StoreError::failed(error))));
        }
        self.enqueue(|done| Job::Append(event, done))
    }
}

/// Whether the owner is no longer than the protocol lets it be.
fn fits(event: &StateEvent) -> bool {
    let owner = match event {
        StateEvent::Holds(record) => &record.key.owner,
        StateEvent::Forgotten(key) => &key.owner,
        StateEvent::GraceEnded => return true,
    };
    u32::try_from(owner.len()).is_ok_and(|len| len <= NFS4_OPAQUE_LIMIT)
}

impl Drop for JournalStateStore {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing more to write.
            drop(writer.join());
        }
    }
}
