use foldhash::HashSet;

use super::ids::StateKey;
use super::lock_order::{CLIENT, Ranked};
use crate::proto::{ClientId, NFS4ERR_DELAY, NFS4ERR_EXPIRED, Status};
use crate::sync::atomic::{AtomicUsize, Ordering};

/// What the state core knows of a client.
pub(super) struct ClientRecord {
    pub(super) id: ClientId,
    pub(super) opens: Ranked<ClientOpens, CLIENT>,
    /// Lock stateids of the client.
    pub(super) lock_stateids: Quota,
    /// Byte-range locks of the client.
    pub(super) locks: Quota,
}

/// The opens of a client.
#[derive(Default)]
pub(super) struct ClientOpens {
    /// The client is gone: no state may be added.
    dropped: bool,
    keys: HashSet<StateKey>,
}

impl ClientOpens {
    fn check_room(&self, limit: usize) -> Result<(), Status> {
        if self.dropped {
            return Err(NFS4ERR_EXPIRED);
        }
        if self.keys.len() < limit { Ok(()) } else { Err(NFS4ERR_DELAY) }
    }
}

impl ClientRecord {
    pub(super) fn new(id: ClientId) -> Self {
        Self { id, opens: Ranked::default(), lock_stateids: Quota::default(), locks: Quota::default() }
    }

    /// Notes an open of the client. NFS4ERR_EXPIRED when the client was dropped meanwhile.
    pub(super) fn add_open(&self, key: StateKey, limit: usize) -> Result<(), Status> {
        let mut opens = self.opens.lock();
        opens.check_room(limit)?;
        opens.keys.insert(key);
        Ok(())
    }

    /// Whether [`add_open`](Self::add_open) would succeed now.
    pub(super) fn check_room(&self, limit: usize) -> Result<(), Status> {
        self.opens.lock().check_room(limit)
    }

    /// Forgets an open of the client.
    pub(super) fn remove_open(&self, key: StateKey) {
        self.opens.lock().keys.remove(&key);
    }

    /// Whether the client has a file open.
    pub(super) fn has_opens(&self) -> bool {
        !self.opens.lock().keys.is_empty()
    }

    /// Lets no more state in and returns the opens that there are.
    pub(super) fn close_door(&self) -> Vec<StateKey> {
        let mut opens = self.opens.lock();
        opens.dropped = true;
        opens.keys.iter().copied().collect()
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn open_keys(&self) -> Vec<StateKey> {
        self.opens.lock().keys.iter().copied().collect()
    }
}

/// A count that must not exceed a limit.
#[derive(Default)]
pub(super) struct Quota(AtomicUsize);

impl Quota {
    /// Counts `more` in, unless the count would exceed the limit.
    pub(super) fn take(&self, more: usize, limit: usize) -> Result<(), Full> {
        let before = self.0.fetch_add(more, Ordering::Relaxed);
        if before.checked_add(more).is_some_and(|after| after <= limit) {
            return Ok(());
        }
        self.give_back(more);
        Err(Full)
    }

    /// Counts out.
    pub(super) fn give_back(&self, fewer: usize) {
        self.0.fetch_sub(fewer, Ordering::Relaxed);
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;
