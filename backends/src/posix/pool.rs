//! The threads on which system calls are made: a bounded number, with nobody else's work on them, since they act as the caller.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use dittofs_framework::fs::{FsError, FsResult};
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::identity::{self, Power};

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs on threads of its own, in the order in which they come.
pub(super) struct Pool {
    shared: Arc<Shared>,
}

/// How long nothing may come before a thread tidies up.
const TIDY_AFTER: Duration = Duration::from_secs(10);

struct Shared {
    most: usize,
    tidy: Box<dyn Fn() + Send + Sync>,
    power: Power,
    queue: Mutex<Queue>,
    ready: Condvar,
}

struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
    tidied: Instant,
}

impl Pool {
    /// A pool of at most `most` threads, of which one starts at once: if it cannot act for callers, none can.
    ///
    /// `tidy` is called every few seconds.
    pub(super) fn start(
        most: usize,
        power: Power,
        tidy: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let queue =
            Queue { jobs: VecDeque::new(), threads: 1, idle: 0, closed: false, tidied: Instant::now() };
        let shared = Arc::new(Shared {
            most: most.max(1),
            tidy: Box::new(tidy),
            power,
            queue: Mutex::new(queue),
            ready: Condvar::new(),
        });
        let (started, prepared) = mpsc::channel();
        spawn(&shared, Some(started))?;
        match prepared.recv() {
            Ok(result) => result?,
            Err(_) => return Err(std::io::Error::other("a worker thread ended at once")),
        }
        Ok(Self { shared })
    }

    /// Hands a job over. It is run even when nobody waits for it any more.
    pub(super) fn submit(&self, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.shared.queue.lock();
        queue.jobs.push_back(Box::new(job));
        let more = queue.jobs.len() > queue.idle && queue.threads < self.shared.most;
        if more {
            queue.threads += 1;
        }
        drop(queue);
        self.shared.ready.notify_one();
        if more && let Err(error) = spawn(&self.shared, None) {
            self.shared.queue.lock().threads -= 1;
            tracing::warn!(%error, "no further worker thread");
        }
    }

    /// Runs a call and waits for its result.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> FsResult<T> + Send + 'static,
    ) -> FsResult<T> {
        let (sender, receiver) = oneshot::channel();
        self.submit(move || drop(sender.send(call())));
        // Nothing comes if the call panicked.
        receiver.await.unwrap_or(Err(FsError::Fault))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.ready.notify_all();
    }
}

fn spawn(shared: &Arc<Shared>, started: Option<mpsc::Sender<std::io::Result<()>>>) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    let thread = std::thread::Builder::new().name("posix".into());
    thread.spawn(move || {
        let prepared = identity::prepare_thread(shared.power).map_err(std::io::Error::from);
        let failed = prepared.is_err();
        if let Err(error) = &prepared {
            tracing::error!(%error, "a worker thread cannot act for callers");
        }
        if let Some(started) = started {
            drop(started.send(prepared));
        }
        if failed {
            shared.queue.lock().threads -= 1;
            return;
        }
        while let Some(job) = shared.next() {
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                identity::forget();
            }
        }
    })?;
    Ok(())
}

impl Shared {
    /// The next job; `None` when there are to be no more.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if queue.tidied.elapsed() >= TIDY_AFTER {
                queue.tidied = Instant::now();
                MutexGuard::unlocked(&mut queue, || (self.tidy)());
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                queue.threads -= 1;
                return None;
            }
            queue.idle += 1;
            self.ready.wait_for(&mut queue, TIDY_AFTER);
            queue.idle -= 1;
        }
    }
}
