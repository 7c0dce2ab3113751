use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::ids::FileKey;
use crate::clock::Timestamp;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(not(feature = "loom"))]
const STRIPES: usize = 1024;
#[cfg(feature = "loom")]
const STRIPES: usize = 1;

/// A file as one of a bounded number of groups: two files may be in the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStripe(usize);

impl FileStripe {
    /// A number below 1024.
    pub fn index(self) -> usize {
        self.0
    }
}

/// What is known of files whether they are in the table or not, in groups of files. That another file of the group is in the same
/// position costs a delegation that could have been given, and nothing else.
pub(super) struct Stripes {
    /// The same in every process, so that what a simulation shows, it shows again: who makes files share a group on purpose wins nothing
    /// by it.
    hasher: FixedState,
    stripes: Box<[Stripe]>,
}

#[derive(Default)]
struct Stripe {
    /// Changes under way.
    changing: AtomicUsize,
    /// When a delegation was recalled last: nanoseconds, and one.
    recalled: AtomicU64,
}

impl Stripes {
    pub(super) fn new() -> Self {
        Self { hasher: FixedState::default(), stripes: (0..STRIPES).map(|_| Stripe::default()).collect() }
    }

    /// The group of a file.
    #[allow(clippy::modulo_one)] // the models of threads make do with one
    pub(super) fn of(&self, file: &FileKey) -> FileStripe {
        FileStripe((self.hasher.hash_one(file) >> 32) as usize % STRIPES)
    }

    #[allow(clippy::indexing_slicing)] // a FileStripe is below the length
    fn stripe(&self, stripe: FileStripe) -> &Stripe {
        &self.stripes[stripe.0]
    }

    /// Begins a change, which ends when the guard is dropped. To be called before the file's lock is taken: whoever has it later
    /// sees the change.
    pub(super) fn begin_change(&self, stripe: FileStripe) -> Changing<'_> {
        let changing = &self.stripe(stripe).changing;
        changing.fetch_add(1, Ordering::AcqRel);
        // Before the counts of delegations are looked at, as whoever gives one counts it before it looks here: one of the two sees
        // the other.
        fence(Ordering::SeqCst);
        Changing { changing }
    }

    pub(super) fn is_changing(&self, stripe: FileStripe) -> bool {
        fence(Ordering::SeqCst);
        self.stripe(stripe).changing.load(Ordering::Acquire) > 0
    }

    pub(super) fn note_recall(&self, stripe: FileStripe, now: Timestamp) {
        self.stripe(stripe).recalled.fetch_max(now.as_nanos() + 1, Ordering::Relaxed);
    }

    /// When a delegation was recalled last, if ever.
    pub(super) fn last_recall(&self, stripe: FileStripe) -> Option<Timestamp> {
        self.stripe(stripe).recalled.load(Ordering::Relaxed).checked_sub(1).map(Timestamp::from_nanos)
    }
}

/// A change of a file that is under way: nobody is given a delegation of the file until this is dropped.
#[derive(Debug)]
#[must_use = "delegations may be given as soon as this is dropped"]
pub struct Changing<'a> {
    changing: &'a AtomicUsize,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.changing.fetch_sub(1, Ordering::AcqRel);
    }
}
