//! Lock-owners that were denied a byte-range lock and come back for it (RFC 8881 section 9.6).
//!
//! Who waits for a lock polls for it. So that it is not overtaken for ever by others who happen to ask at better moments,
//! its request has a place in a queue of the file. When no lock that is held is in its way any more, and no turn of one
//! before it, it has its *turn*: until it comes, or has not come for a lease, what would be in its way is denied.

use std::sync::Arc;

use smallvec::SmallVec;

use super::client::{ClientRecord, Full};
use super::file::compact;
use super::ids::{FileKey, StateKey};
use super::lock_order::{Ranked, SHARD};
use super::range::{ByteRange, LockKind};
use super::table::StateTable;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::proto::StateOwner;
use crate::sync::atomic::{AtomicBool, Ordering};

/// The requests that wait on one file, first come first.
#[derive(Default)]
pub(super) struct Waiters {
    queue: Vec<Waiter>,
    /// Whether somebody may have a turn who had none before.
    is_changed: bool,
}

/// A lock-owner that was denied a lock, and may have it now (CB_NOTIFY_LOCK, RFC 8881 section 20.11).
#[derive(Debug, Clone)]
pub struct LockNotice {
    /// Whose it is.
    pub client: Arc<Client>,
    /// Where.
    pub file: FileKey,
    /// The lock-owner.
    pub owner: Arc<StateOwner>,
}

/// Notices that nobody has [taken](StateTable::take_lock_notices) yet.
#[derive(Default)]
pub(super) struct LockNotices {
    queue: Ranked<Vec<LockNotice>, SHARD>,
    /// Whether there are some: nearly always there are none.
    are_some: AtomicBool,
}

impl LockNotices {
    /// Called with a file locked.
    pub(super) fn add(&self, notices: Vec<LockNotice>) {
        if !notices.is_empty() {
            self.queue.lock().extend(notices);
            self.are_some.store(true, Ordering::Release);
        }
    }
}

impl StateTable {
    /// Those who may have a lock now that they were denied before. Whoever has released or changed locks is to take them, and have
    /// their clients told.
    pub fn take_lock_notices(&self) -> Vec<LockNotice> {
        let LockNotices { queue, are_some } = &self.lock_notices;
        if are_some.load(Ordering::Acquire) && are_some.swap(false, Ordering::AcqRel) {
            std::mem::take(&mut *queue.lock())
        } else {
            Vec::new()
        }
    }
}

struct Waiter {
    owner: Arc<StateOwner>,
    wanted: Wanted,
    /// The open that it asks under, with which it goes.
    open: StateKey,
    asked_at: Timestamp,
    counted: Counted,
    /// It has its turn, and its client was told.
    is_told: bool,
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
        self.queue.is_empty()
    }

    /// Forgets who has not asked for a lease.
    #[inline]
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.retain(|waiter| now.since(waiter.asked_at) <= waiter.counted.0.client.lease());
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
        for waiter in &self.queue {
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
        if let Some(waiter) = self.queue.iter_mut().find(|waiter| *waiter.owner == *asker.owner) {
            waiter.asked_at = now;
            // The same request under another open has the same place.
            waiter.open = asker.open;
            return;
        }
        if self.queue.len() >= room.on_file {
            return;
        }
        let Ok(counted) = Counted::new(asker.client, room.of_client) else { return };
        let owner = Arc::new(compact(asker.owner));
        let waiter = Waiter { owner, wanted, open: asker.open, asked_at: now, counted, is_told: false };
        self.queue.push(waiter);
    }

    /// Notes that an owner is ready to wait for this lock: it waits for no other any more, as it waits for one at a time.
    pub(super) fn waits_anew(&mut self, owner: &StateOwner, wanted: &Wanted) {
        self.retain(|waiter| *waiter.owner != *owner || waiter.wanted == *wanted);
    }

    /// Notes that a request was denied that will not be made again.
    pub(super) fn give_up(&mut self, owner: &StateOwner, wanted: &Wanted) {
        self.retain(|waiter| *waiter.owner != *owner || waiter.wanted != *wanted);
    }

    /// Notes that an owner has a lock.
    pub(super) fn granted(&mut self, owner: &StateOwner, lock: &Wanted) {
        self.retain(|waiter| *waiter.owner != *owner || !lock.covers(&waiter.wanted));
    }

    /// Forgets who asks under an open that goes.
    pub(super) fn remove_open(&mut self, open: StateKey) {
        self.retain(|waiter| waiter.open != open);
    }

    /// Notes that locks are gone, or are in the way of fewer.
    pub(super) fn locks_changed(&mut self) {
        self.is_changed = true;
    }

    /// The requests that have their turn since the last time, if anything has changed. `is_free` is that of
    /// [`turn_before`](Self::turn_before).
    pub(super) fn new_turns(
        &mut self,
        file: FileKey,
        is_free: impl Fn(&StateOwner, &Wanted) -> bool,
    ) -> Vec<LockNotice> {
        let mut notices = Vec::new();
        self.is_changed = false;
        let mut turns = SmallVec::<[Wanted; 8]>::new();
        for waiter in &mut self.queue {
            let is_behind = turns.iter().any(|turn| turn.conflicts_with(&waiter.wanted));
            let has_turn = !is_behind && is_free(&waiter.owner, &waiter.wanted);
            if has_turn {
                turns.push(waiter.wanted);
            }
            if has_turn && !waiter.is_told {
                let client = waiter.counted.0.client.clone();
                notices.push(LockNotice { client, file, owner: waiter.owner.clone() });
            }
            waiter.is_told = has_turn;
        }
        notices
    }

    /// Whether there may be [new turns](Self::new_turns).
    #[inline]
    pub(super) fn are_changed(&self) -> bool {
        self.is_changed && !self.queue.is_empty()
    }

    fn retain(&mut self, keep: impl FnMut(&Waiter) -> bool) {
        let before = self.queue.len();
        self.queue.retain(keep);
        self.is_changed |= self.queue.len() < before;
    }

    /// Owners and opens of the requests.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn all(&self) -> impl Iterator<Item = (&Arc<StateOwner>, StateKey)> {
        self.queue.iter().map(|waiter| (&waiter.owner, waiter.open))
    }
}
