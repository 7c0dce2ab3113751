//! Lock-owners that were denied a byte-range lock and come back for it (RFC 8881 section 9.6).
//!
//! Who waits for a lock polls for it. So that it is not overtaken for ever by others who happen to ask at better moments,
//! its request has a place in a queue of the file. When no lock that is held is in its way any more, and no turn of one
//! before it, it has its *turn*: until it comes, or has not come for a lease, what would be in its way is denied.

use std::sync::Arc;

use smallvec::SmallVec;

use super::client::{ClientRecord, Full};
use super::file::compact;
use super::ids::StateKey;
use super::range::{ByteRange, LockKind};
use crate::clock::Timestamp;
use crate::proto::StateOwner;

/// The requests that wait on one file, first come first.
#[derive(Default)]
pub(super) struct Waiters(Vec<Waiter>);

struct Waiter {
    owner: Arc<StateOwner>,
    wanted: Wanted,
    /// The open that it asks under, with which it goes.
    open: StateKey,
    asked_at: Timestamp,
    counted: Counted,
}

/// A lock that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) range: ByteRange,
    pub(super) kind: LockKind,
}

impl Wanted {
    fn conflicts_with(&self, other: &Self) -> bool {
        let is_exclusive = self.kind == LockKind::Write || other.kind == LockKind::Write;
        is_exclusive && self.range.overlaps(&other.range)
    }

    fn covers(&self, other: &Self) -> bool {
        let is_enough = self.kind == LockKind::Write || other.kind == LockKind::Read;
        is_enough && self.range.hull(&other.range) == self.range
    }
}

/// A request's place in the count of its client.
struct Counted(Arc<ClientRecord>);

impl Counted {
    fn new(client: &Arc<ClientRecord>, limit: usize) -> Result<Self, Full> {
        client.waiting.take(1, limit)?;
        Ok(Self(client.clone()))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.waiting.give_back(1);
    }
}

/// Who asks, under which open.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) owner: &'a StateOwner,
    pub(super) open: StateKey,
    pub(super) client: &'a Arc<ClientRecord>,
}

/// How many requests may wait.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) on_file: usize,
    pub(super) of_client: usize,
}

impl Waiters {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets who has not asked for a lease.
    #[inline]
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.0.retain(|waiter| now.since(waiter.asked_at) <= waiter.counted.0.client.lease());
    }

    /// The request whose turn stands in the way of one of `owner`. `is_free` says whether no lock that is held stands in a
    /// waiter's way.
    pub(super) fn turn_before(
        &self,
        owner: &StateOwner,
        wanted: &Wanted,
        is_free: impl Fn(&StateOwner, &Wanted) -> bool,
    ) -> Option<(&Arc<StateOwner>, Wanted)> {
        let mut turns = SmallVec::<[Wanted; 8]>::new();
        for waiter in &self.0 {
            let is_own = *waiter.owner == *owner;
            if is_own && waiter.wanted == *wanted {
                break;
            }
            // Who could not have the lock, because it is held or because somebody is first, keeps nobody from it.
            let is_behind = turns.iter().any(|turn| turn.conflicts_with(&waiter.wanted));
            if is_behind || !is_free(&waiter.owner, &waiter.wanted) {
                continue;
            }
            if !is_own && waiter.wanted.conflicts_with(wanted) {
                return Some((&waiter.owner, waiter.wanted));
            }
            turns.push(waiter.wanted);
        }
        None
    }

    /// Notes that a request was denied that will be made again: it keeps its place, or comes last. Where there is no room it
    /// waits without a place. What the owner waited for before must be [forgotten](Self::waits_anew).
    pub(super) fn wait(&mut self, asker: Asker<'_>, wanted: Wanted, now: Timestamp, room: Room) {
        if let Some(waiter) = self.0.iter_mut().find(|waiter| *waiter.owner == *asker.owner) {
            waiter.asked_at = now;
            // The same request under another open has the same place.
            waiter.open = asker.open;
            return;
        }
        if self.0.len() >= room.on_file {
            return;
        }
        let Ok(counted) = Counted::new(asker.client, room.of_client) else { return };
        let owner = Arc::new(compact(asker.owner));
        self.0.push(Waiter { owner, wanted, open: asker.open, asked_at: now, counted });
    }

    /// Notes that an owner is ready to wait for this lock: it waits for no other any more, as it waits for one at a time.
    pub(super) fn waits_anew(&mut self, owner: &StateOwner, wanted: &Wanted) {
        self.0.retain(|waiter| *waiter.owner != *owner || waiter.wanted == *wanted);
    }

    /// Notes that a request was denied that will not be made again.
    pub(super) fn give_up(&mut self, owner: &StateOwner, wanted: &Wanted) {
        self.0.retain(|waiter| *waiter.owner != *owner || waiter.wanted != *wanted);
    }

    /// Notes that an owner has a lock.
    pub(super) fn granted(&mut self, owner: &StateOwner, lock: &Wanted) {
        self.0.retain(|waiter| *waiter.owner != *owner || !lock.covers(&waiter.wanted));
    }

    /// Forgets who asks under an open that goes.
    pub(super) fn remove_open(&mut self, open: StateKey) {
        self.0.retain(|waiter| waiter.open != open);
    }

    /// Owners and opens of the requests.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn all(&self) -> impl Iterator<Item = (&Arc<StateOwner>, StateKey)> {
        self.0.iter().map(|waiter| (&waiter.owner, waiter.open))
    }
}
