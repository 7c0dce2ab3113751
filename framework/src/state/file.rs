use std::cmp::Ordering;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use super::client::ClientRecord;
use super::delegation::{Delegation, Delegations};
use super::ids::{FileKey, Seqid, StateKey};
use super::lock_order::{FILE, Ranked};
use super::range_locks::{OwnerKey, RangeLocks};
use super::share::{OpenModes, ShareCounts};
use super::table::Found;
use super::waiters::Waiters;
use crate::fs::OpenHold;
use crate::proto::{NFS4ERR_BAD_STATEID, NFS4ERR_OLD_STATEID, StateOwner, Status};

/// All state on one file.
pub(super) struct FileState {
    pub(super) key: FileKey,
    pub(super) inner: Ranked<FileInner, FILE>,
}

impl FileState {
    pub(super) fn new(key: FileKey) -> Self {
        Self { key, inner: Ranked::new(FileInner::default()) }
    }
}

/// What the lock of a file guards.
#[derive(Default)]
pub(super) struct FileInner {
    /// Out of the table: who waited for the lock must look the file up again.
    pub(super) retired: bool,
    pub(super) opens: HashMap<StateKey, Open>,
    /// Which open an open-owner has: at most one.
    pub(super) open_owners: HashMap<Arc<StateOwner>, StateKey>,
    pub(super) shares: ShareCounts,
    pub(super) lock_states: HashMap<StateKey, LockState>,
    pub(super) lock_owners: LockOwners,
    pub(super) locks: RangeLocks,
    pub(super) waiters: Waiters,
    pub(super) delegations: Delegations,
}

/// A file opened by an open-owner.
pub(super) struct Open {
    pub(super) owner: Arc<StateOwner>,
    pub(super) client: Arc<ClientRecord>,
    /// The user whose permission every OPEN was checked for; `None` once they were of several users.
    pub(super) principal: Option<u32>,
    pub(super) modes: OpenModes,
    pub(super) seqid: Seqid,
    pub(super) hold: OpenHold,
    /// The lock stateids under this open, one for each lock-owner.
    pub(super) lock_states: HashMap<OwnerKey, StateKey>,
}

/// The locks of a lock-owner under one open.
pub(super) struct LockState {
    pub(super) open: StateKey,
    pub(super) owner: OwnerKey,
    pub(super) seqid: Seqid,
    /// How many locks are held through it.
    pub(super) held: usize,
}

impl FileInner {
    /// Whether there is nothing here that keeps the file in the table.
    pub(super) fn is_empty(&self) -> bool {
        self.opens.is_empty() && self.delegations.is_empty()
    }

    /// The current seqid of a state of any type; `None` if there is no such state.
    pub(super) fn seqid(&self, at: &Found) -> Option<Seqid> {
        let of_open = self.opens.get(&at.key).map(|open| open.seqid);
        let of_lock = || self.lock_states.get(&at.key).map(|lock| lock.seqid);
        let of_delegation = || self.delegations.find(at.client, at.key).map(|_| Delegation::SEQID);
        of_open.or_else(of_lock).or_else(of_delegation)
    }

    /// The open with this stateid.
    pub(super) fn open(&self, key: StateKey, seqid: u32) -> Result<&Open, Status> {
        let open = self.opens.get(&key).ok_or(NFS4ERR_BAD_STATEID)?;
        check_seqid(open.seqid, seqid)?;
        Ok(open)
    }

    /// The lock state with this stateid.
    pub(super) fn lock_state(&self, key: StateKey, seqid: u32) -> Result<&LockState, Status> {
        let lock = self.lock_states.get(&key).ok_or(NFS4ERR_BAD_STATEID)?;
        check_seqid(lock.seqid, seqid)?;
        Ok(lock)
    }

    /// The open that a stateid of either type stands for, and its number.
    pub(super) fn open_behind(&self, key: StateKey, seqid: u32) -> Result<(StateKey, &Open), Status> {
        match self.lock_states.get(&key) {
            Some(lock) => {
                check_seqid(lock.seqid, seqid)?;
                let open = self.opens.get(&lock.open).ok_or(NFS4ERR_BAD_STATEID)?;
                Ok((lock.open, open))
            }
            None => self.open(key, seqid).map(|open| (key, open)),
        }
    }
}

/// RFC 8881 section 8.2.4: a seqid above the current one is bad, one below it old, and zero is the current one.
pub(super) fn check_seqid(current: Seqid, sent: u32) -> Result<(), Status> {
    match current.compare_sent(sent) {
        Ordering::Equal => Ok(()),
        Ordering::Less => Err(NFS4ERR_OLD_STATEID),
        Ordering::Greater => Err(NFS4ERR_BAD_STATEID),
    }
}

/// The lock-owners that have a lock stateid on a file, under numbers.
pub(super) struct LockOwners {
    keys: HashMap<Arc<StateOwner>, OwnerKey>,
    owners: HashMap<OwnerKey, LockOwner>,
    next: u64,
}

struct LockOwner {
    owner: Arc<StateOwner>,
    /// Lock stateids of the owner on this file.
    states: usize,
}

impl Default for LockOwners {
    fn default() -> Self {
        Self { keys: HashMap::new(), owners: HashMap::new(), next: 1 }
    }
}

impl LockOwners {
    /// The number of an owner that has a stateid.
    pub(super) fn key(&self, owner: &StateOwner) -> Option<OwnerKey> {
        self.keys.get(owner).copied()
    }

    /// Who has this number.
    pub(super) fn owner(&self, key: OwnerKey) -> Option<&Arc<StateOwner>> {
        self.owners.get(&key).map(|entry| &entry.owner)
    }

    /// The number for an owner that has none: becomes valid by [`add_state`](Self::add_state).
    pub(super) fn unused_key(&self) -> OwnerKey {
        OwnerKey(self.next)
    }

    /// Counts one more stateid of an owner, known under this number or not yet.
    pub(super) fn add_state(&mut self, key: OwnerKey, owner: &StateOwner) {
        if let Some(entry) = self.owners.get_mut(&key) {
            entry.states += 1;
            return;
        }
        let owner = Arc::new(compact(owner));
        self.next = key.0 + 1;
        self.keys.insert(owner.clone(), key);
        self.owners.insert(key, LockOwner { owner, states: 1 });
    }

    /// Counts one stateid fewer, and forgets the owner with the last.
    pub(super) fn remove_state(&mut self, key: OwnerKey) {
        if let Some(entry) = self.owners.get_mut(&key) {
            entry.states -= 1;
            if entry.states == 0 {
                let owner = entry.owner.clone();
                self.keys.remove(&owner);
                self.owners.remove(&key);
            }
        }
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn state_counts(&self) -> Vec<(OwnerKey, usize)> {
        self.owners.iter().map(|(key, entry)| (*key, entry.states)).collect()
    }
}

/// An owner to keep: its bytes are a copy, as they may be a slice of a whole request.
pub(super) fn compact(owner: &StateOwner) -> StateOwner {
    StateOwner { clientid: owner.clientid, owner: (&*owner.owner).into() }
}
