use std::time::Duration;

use smallvec::SmallVec;

use crate::clock::Timestamp;
use crate::export::ExportId;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// How a client stands to recovery: what it may reclaim in this instance of the server, and whether it may in the next.
#[derive(Debug, Default)]
pub(crate) struct Reclaims {
    confirmed_ns: AtomicU64,
    may_reclaim: AtomicBool,
    /// Opens and locks that it has reclaimed.
    count: AtomicU32,
    /// File systems for which it has said that nothing is left to reclaim: no more than there are exports.
    complete_for: Mutex<SmallVec<[ExportId; 1]>>,
    /// A record that it holds state is durable.
    is_recorded: AtomicBool,
    /// How often a record was taken back. Changes under the lock of [`Recovery`](crate::recovery).
    forgotten: AtomicU64,
    /// The client is gone. Changes under the same lock.
    has_departed: AtomicBool,
}

impl Reclaims {
    pub(crate) fn confirm(&self, now: Timestamp) {
        self.confirmed_ns.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// How long ago the client was confirmed.
    pub(crate) fn since_confirmation(&self, now: Timestamp) -> Duration {
        now.since(Timestamp::from_nanos(self.confirmed_ns.load(Ordering::Relaxed)))
    }

    pub(crate) fn grant(&self) {
        self.may_reclaim.store(true, Ordering::Release);
    }

    pub(crate) fn may_reclaim(&self) -> bool {
        self.may_reclaim.load(Ordering::Acquire)
    }

    pub(crate) fn count_one(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn is_complete_for(&self, export: ExportId) -> bool {
        self.complete_for.lock().contains(&export)
    }

    /// False if it was complete before.
    pub(crate) fn complete_for(&self, export: ExportId) -> bool {
        let mut complete = self.complete_for.lock();
        let is_new = !complete.contains(&export);
        if is_new {
            complete.push(export);
        }
        is_new
    }

    #[inline]
    pub(crate) fn is_recorded(&self) -> bool {
        self.is_recorded.load(Ordering::Acquire)
    }

    pub(crate) fn recorded(&self) {
        self.is_recorded.store(true, Ordering::Release);
    }

    pub(crate) fn times_forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Acquire)
    }

    pub(crate) fn has_departed(&self) -> bool {
        self.has_departed.load(Ordering::Acquire)
    }

    pub(crate) fn depart(&self) {
        self.has_departed.store(true, Ordering::Release);
    }

    /// The client may reclaim nothing, now or later, until it is recorded again.
    pub(crate) fn forget(&self) {
        self.may_reclaim.store(false, Ordering::Release);
        self.is_recorded.store(false, Ordering::Release);
        self.forgotten.fetch_add(1, Ordering::AcqRel);
    }
}
