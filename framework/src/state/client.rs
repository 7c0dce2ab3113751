use foldhash::{HashMap, HashSet};

use std::sync::Arc;

use super::delegation_counters::RevokeReason;
use super::ids::StateKey;
use super::lock_order::{CLIENT, Ranked};
use super::table::Held;
use crate::client::Client;
use crate::proto::{ClientId, NFS4ERR_DELAY, NFS4ERR_EXPIRED, SequenceStatus, Status};
use crate::sync::atomic::{AtomicUsize, Ordering};

/// What the state core knows of a client.
pub(super) struct ClientRecord {
    pub(super) client: Arc<Client>,
    pub(super) opens: Ranked<ClientOpens, CLIENT>,
    /// Lock stateids of the client.
    pub(super) lock_stateids: Quota,
    /// Byte-range locks of the client.
    pub(super) locks: Quota,
    /// Requests of the client that wait for a lock.
    pub(super) waiting: Quota,
}

/// The opens and delegations of a client.
#[derive(Default)]
pub(super) struct ClientOpens {
    /// The client is gone: no state may be added.
    dropped: bool,
    /// All was revoked from it, with its lease (RFC 7530 section 9.6.3.2): nothing may be opened.
    canceled: bool,
    keys: HashSet<StateKey>,
    delegations: HashSet<StateKey>,
    /// Stateids that were revoked and not freed yet.
    revoked: HashMap<StateKey, Revoked>,
}

/// How a stateid was lost.
struct Revoked {
    why: RevokeReason,
    /// Of a lock: the open that it hung on.
    open: Option<StateKey>,
}

/// All that a client had.
pub(super) struct Everything {
    pub(super) opens: Vec<StateKey>,
    pub(super) delegations: Vec<StateKey>,
    pub(super) revoked: Vec<StateKey>,
}

impl ClientOpens {
    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.delegations.is_empty()
    }

    fn everything(&self) -> Everything {
        Everything {
            opens: self.keys.iter().copied().collect(),
            delegations: self.delegations.iter().copied().collect(),
            revoked: self.revoked.keys().copied().collect(),
        }
    }

    fn check_room(&self, limit: usize) -> Result<(), Status> {
        if self.dropped || self.canceled {
            return Err(NFS4ERR_EXPIRED);
        }
        if self.keys.len() + self.revoked.len() < limit { Ok(()) } else { Err(NFS4ERR_DELAY) }
    }
}

impl ClientRecord {
    pub(super) fn new(client: Arc<Client>) -> Self {
        Self {
            client,
            opens: Ranked::default(),
            lock_stateids: Quota::default(),
            locks: Quota::default(),
            waiting: Quota::default(),
        }
    }

    pub(super) fn id(&self) -> ClientId {
        self.client.id()
    }

    /// Notes an open of the client. NFS4ERR_EXPIRED when the client was dropped or lost all meanwhile.
    pub(super) fn add_open(&self, key: StateKey, limit: usize) -> Result<(), Status> {
        let mut opens = self.opens.lock();
        opens.check_room(limit)?;
        opens.keys.insert(key);
        self.show_revoked(&opens);
        Ok(())
    }

    /// Whether [`add_open`](Self::add_open) would succeed now.
    pub(super) fn check_room(&self, limit: usize) -> Result<(), Status> {
        self.opens.lock().check_room(limit)
    }

    /// Forgets an open of the client.
    pub(super) fn remove_open(&self, key: StateKey) {
        let mut opens = self.opens.lock();
        opens.keys.remove(&key);
        self.show_revoked(&opens);
    }

    /// Notes that a stateid was revoked, to be remembered until it is freed; false if the client is gone.
    pub(super) fn add_revoked(&self, key: StateKey, open: Option<StateKey>, why: RevokeReason) -> bool {
        let mut opens = self.opens.lock();
        if opens.dropped {
            return false;
        }
        opens.revoked.insert(key, Revoked { why, open });
        self.show_revoked(&opens);
        true
    }

    /// Forgets a stateid that was revoked.
    pub(super) fn remove_revoked(&self, key: StateKey) {
        let mut opens = self.opens.lock();
        opens.revoked.remove(&key);
        self.show_revoked(&opens);
    }

    /// Forgets the stateids of locks that were revoked under an open, and returns them.
    pub(super) fn take_revoked_under(&self, open: StateKey) -> Vec<StateKey> {
        let mut opens = self.opens.lock();
        let under = opens.revoked.extract_if(|_, lost| lost.open == Some(open)).map(|(key, _)| key).collect();
        self.show_revoked(&opens);
        under
    }

    /// Says in the client's next SEQUENCE what was lost (RFC 8881 section 18.46.3): all it had, a part, or nothing that it
    /// has not freed.
    fn show_revoked(&self, opens: &ClientOpens) {
        const SOME: SequenceStatus = SequenceStatus::EXPIRED_SOME_STATE_REVOKED;
        const ALL: SequenceStatus = SequenceStatus::EXPIRED_ALL_STATE_REVOKED;
        const RECALLABLE: SequenceStatus = SequenceStatus::RECALLABLE_STATE_REVOKED;
        let any = SOME | ALL | RECALLABLE;
        if opens.revoked.is_empty() && !self.client.status().intersects(any) {
            return;
        }
        let has_lost = |why: RevokeReason| opens.revoked.values().any(|lost| lost.why == why);
        let mut shown = SequenceStatus::empty();
        if has_lost(RevokeReason::LeaseExpired) {
            shown |= if opens.is_empty() { ALL } else { SOME };
        }
        if has_lost(RevokeReason::NotReturned) {
            shown |= RECALLABLE;
        }
        self.client.clear_status(any - shown);
        self.client.set_status(shown);
    }

    /// Notes a delegation of the client; false if it has too many, or was dropped or lost all meanwhile.
    pub(super) fn add_delegation(&self, key: StateKey, limit: usize) -> bool {
        let mut opens = self.opens.lock();
        let has_room = !opens.dropped && !opens.canceled && opens.delegations.len() < limit;
        if has_room {
            opens.delegations.insert(key);
            self.show_revoked(&opens);
        }
        has_room
    }

    /// Forgets a delegation of the client.
    pub(super) fn remove_delegation(&self, key: StateKey) {
        let mut opens = self.opens.lock();
        opens.delegations.remove(&key);
        self.show_revoked(&opens);
    }

    pub(super) fn delegation_count(&self) -> usize {
        self.opens.lock().delegations.len()
    }

    /// The delegations that there are.
    pub(super) fn delegation_keys(&self) -> Vec<StateKey> {
        self.opens.lock().delegations.iter().copied().collect()
    }

    /// Whether the client has a file open or a delegation.
    pub(super) fn has_state(&self) -> bool {
        !self.opens.lock().is_empty()
    }

    /// Whether the client has a file open.
    pub(super) fn has_opens(&self) -> bool {
        !self.opens.lock().keys.is_empty()
    }

    /// Whether a stateid was revoked that the client has not freed.
    pub(super) fn has_revoked(&self) -> bool {
        !self.opens.lock().revoked.is_empty()
    }

    /// How much the client holds.
    pub(super) fn held(&self) -> Held {
        let opens = self.opens.lock();
        Held {
            opens: opens.keys.len(),
            lock_stateids: self.lock_stateids.count(),
            locks: self.locks.count(),
            delegations: opens.delegations.len(),
            revoked: opens.revoked.len(),
        }
    }

    /// The opens that there are.
    pub(super) fn open_keys(&self) -> Vec<StateKey> {
        self.opens.lock().keys.iter().copied().collect()
    }

    /// Lets no more opens in and returns what there is.
    pub(super) fn cancel(&self) -> Everything {
        let mut opens = self.opens.lock();
        opens.canceled = true;
        opens.everything()
    }

    /// Lets no more state in and returns what there is. What was revoked is forgotten.
    pub(super) fn close_door(&self) -> Everything {
        let mut opens = self.opens.lock();
        opens.dropped = true;
        let everything = opens.everything();
        opens.revoked.clear();
        everything
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn revoked_keys(&self) -> Vec<StateKey> {
        self.opens.lock().revoked.keys().copied().collect()
    }
}

/// A count that must not exceed a limit.
#[derive(Default)]
pub(super) struct Quota(AtomicUsize);

impl Quota {
    /// Counts `more` in, unless the count would exceed the limit.
    pub(super) fn take(&self, more: usize, limit: usize) -> Result<(), Full> {
        let added = |count: usize| count.checked_add(more).filter(|after| *after <= limit);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added).map(drop).map_err(|_| Full)
    }

    /// Counts one in, without a limit.
    pub(super) fn take_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts out.
    pub(super) fn give_back(&self, fewer: usize) {
        self.0.fetch_sub(fewer, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;
