use std::collections::VecDeque;
use std::sync::Arc;

use super::caller::Caller;
use super::client::{ClientRecord, Everything, Quota};
use super::delegation::DelegationType;
use super::delegation_counters::{DelegationCounters, RevokeReason};
use super::directory::DueNotices;
use super::effects::{Effects, Scarce};
use super::file::{FileInner, FileState};
use super::ids::{FileKey, Seqid, StateKey, stateid};
use super::limits::StateLimits;
use super::lock::new_turns;
use super::lock_order::{Ranked, SHARD};
use super::recall::Awaited;
use super::sharded::Sharded;
use super::stripes::Stripes;
use super::waiters::LockNotices;
use crate::client::{Client, Protocol};
use crate::clock::Timestamp;
use crate::proto::{ClientId, NFS4ERR_BAD_STATEID, NFS4ERR_DELEG_REVOKED, NFS4ERR_EXPIRED, Stateid, Status};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// All opens and locks of all clients.
///
/// Calls take effect at once and one after the other for each file. They never block but for each other's short locks.
///
/// # Limits
///
/// A client that asks for more than [`StateLimits`] allows gets NFS4ERR_DELAY from OPEN and LOCK: of the statuses
/// that RFC 8881 section 15.2 lets both return it is the one that says what is so, that the request may succeed once
/// other state is gone. (NFS4ERR_RESOURCE does not exist in minor version 1, NFS4ERR_NOSPC is not in LOCK's list.)
/// A LOCKU that would have to split a lock at the limit gets NFS4ERR_LOCK_RANGE, by which a client learns that a part
/// of a lock cannot be unlocked (RFC 8881 section 18.12.4): it must not wait for itself to release what it holds.
pub struct StateTable {
    pub(super) epoch: u32,
    pub(super) limits: StateLimits,
    /// The number of the next state.
    next: AtomicU64,
    pub(super) files: Sharded<FileKey, Arc<FileState>>,
    pub(super) stateids: Sharded<StateKey, StateRef>,
    pub(super) clients: Sharded<ClientId, Arc<ClientRecord>>,
    /// Opens in all.
    pub(super) opens: Quota,
    /// Lock stateids in all.
    pub(super) lock_stateids: Quota,
    /// Byte-range locks in all.
    pub(super) locks: Quota,
    /// Revocations of which it is not on record yet that the client may not reclaim. Counted up under the lock of the file, so that
    /// whoever is given what was revoked sees it.
    pub(super) unsettled: AtomicUsize,
    /// Delegations in all, and of each type in the order of [`DelegationType::ALL`].
    pub(super) delegations: Quota,
    pub(super) delegations_by_type: [Quota; DelegationType::ALL.len()],
    pub(super) delegation_counters: DelegationCounters,
    pub(super) stripes: Stripes,
    /// Recalls in the order in which they are due.
    pub(super) awaited: Ranked<VecDeque<Awaited>, SHARD>,
    pub(super) due_notices: DueNotices,
    pub(super) lock_notices: LockNotices,
}

/// Where a state is, and whose.
pub(super) struct StateRef {
    pub(super) client: Arc<ClientRecord>,
    pub(super) place: Place,
}

/// A state that was found: what may be done with it under its file's lock is the caller's to check.
pub(super) struct Found {
    pub(super) file: Arc<FileState>,
    pub(super) key: StateKey,
    /// Whose it is.
    pub(super) client: ClientId,
}

/// Where a state is.
pub(super) enum Place {
    /// On this file.
    File(Arc<FileState>),
    /// Nowhere: it was revoked, and the client has not said yet that it knows.
    Revoked(RevokeReason),
}

impl StateRef {
    /// The file that has the state.
    pub(super) fn file(&self) -> Option<Arc<FileState>> {
        match &self.place {
            Place::File(file) => Some(file.clone()),
            Place::Revoked(_) => None,
        }
    }
}

/// How much state a client held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Files open.
    pub opens: usize,
    /// Lock stateids.
    pub lock_stateids: usize,
    /// Byte-range locks.
    pub locks: usize,
    /// Delegations.
    pub delegations: usize,
    /// Revoked stateids that the client had not freed.
    pub revoked: usize,
}

/// How much state there is of all clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateCensus {
    /// Files open.
    pub opens: usize,
    /// Lock stateids.
    pub lock_stateids: usize,
    /// Byte-range locks.
    pub locks: usize,
    /// Delegations.
    pub delegations: usize,
}

/// How many leases a client that has lost all it held is kept, to be told so: who came with other stateids again and again
/// would fill the memory.
const LEASES_REVOKED: u32 = 10;

/// What is left of a client for its next incarnation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inherited {
    Nothing,
    Delegations,
}

impl StateTable {
    /// A table without state. `epoch` differs from those of earlier instances of the server whose stateids clients
    /// may still hold.
    pub fn new(epoch: u32, limits: StateLimits) -> Self {
        Self {
            epoch,
            limits,
            next: AtomicU64::new(1),
            files: Sharded::new(),
            stateids: Sharded::new(),
            clients: Sharded::new(),
            opens: Quota::default(),
            lock_stateids: Quota::default(),
            locks: Quota::default(),
            unsettled: AtomicUsize::new(0),
            delegations: Quota::default(),
            delegations_by_type: Default::default(),
            delegation_counters: DelegationCounters::default(),
            stripes: Stripes::new(),
            awaited: Ranked::default(),
            lock_notices: LockNotices::default(),
            due_notices: DueNotices::default(),
        }
    }

    /// Lets a client have state, from now until it is dropped. To be called when its clientid is confirmed; again has no
    /// effect.
    pub fn add_client(&self, client: &Arc<Client>) {
        let record = || Arc::new(ClientRecord::new(client.clone()));
        self.clients.shard(&client.id()).entry(client.id()).or_insert_with(record);
    }

    /// Whether it is on record for all that was revoked.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.unsettled.load(Ordering::Acquire) == 0
    }

    /// So many clients in [`Effects::revoked_from`] are on record as having lost something.
    pub fn settled(&self, count: usize) {
        self.unsettled.fetch_sub(count, Ordering::AcqRel);
    }

    /// Whether a client has a file open or a delegation. Locks hang on opens, so without these there is nothing.
    pub fn has_state(&self, client: ClientId) -> bool {
        self.client(client).is_ok_and(|record| record.has_state())
    }

    /// How much state a client holds; nothing, if it is not known.
    pub fn held(&self, client: ClientId) -> Held {
        self.client(client).map(|record| record.held()).unwrap_or_default()
    }

    /// How much state there is.
    pub fn census(&self) -> StateCensus {
        StateCensus {
            opens: self.opens.count(),
            lock_stateids: self.lock_stateids.count(),
            locks: self.locks.count(),
            delegations: self.delegations.count(),
        }
    }

    /// Whether a client has some of what is scarce.
    pub fn holds(&self, client: ClientId, scarce: Scarce) -> bool {
        self.client(client).is_ok_and(|record| match scarce {
            Scarce::Opens => record.has_opens(),
            Scarce::LockStateids => record.lock_stateids.count() > 0,
            Scarce::Locks => record.locks.count() > 0,
        })
    }

    /// Whether there is a reason to keep a client that is silent: it holds something, or may come yet to learn what it lost.
    pub fn remembers(&self, client: ClientId, now: Timestamp) -> bool {
        self.client(client).is_ok_and(|record| {
            let is_awaited = || record.client.idle(now) <= record.client.lease() * LEASES_REVOKED;
            record.has_state() || (record.has_revoked() && is_awaited())
        })
    }

    /// Takes all state of a client away and lets it have none from now on, not even by requests that are under way. Says how
    /// much that was.
    pub fn drop_client(&self, client: ClientId) -> (Held, Effects) {
        let record = self.clients.shard(&client).remove(&client);
        record.map(|record| self.take_from(&record, Inherited::Nothing)).unwrap_or_default()
    }

    /// The same, but that the client keeps its delegations for the next incarnation of it ([`Self::inheritance`]): until it is dropped.
    pub fn drop_all_but_delegations(&self, client: ClientId) -> (Held, Effects) {
        let record = self.clients.shard(&client).get(&client).cloned();
        record.map(|record| self.take_from(&record, Inherited::Delegations)).unwrap_or_default()
    }

    fn take_from(&self, record: &Arc<ClientRecord>, inherited: Inherited) -> (Held, Effects) {
        let client = record.id();
        let mut effects = Effects::default();
        let Everything { opens, mut delegations, revoked } = record.close_door();
        if inherited == Inherited::Delegations {
            delegations.clear();
        }
        let held = Held {
            opens: opens.len(),
            lock_stateids: record.lock_stateids.count(),
            locks: record.locks.count(),
            delegations: delegations.len(),
            revoked: revoked.len(),
        };
        for key in revoked {
            self.stateids.shard(&key).remove(&key);
        }
        for key in opens {
            let Some(file) = self.stateids.shard(&key).get(&key).and_then(StateRef::file) else { continue };
            if let Some(released) = self.enter(&file, |inner| self.remove_open(inner, key)) {
                effects.add(released);
            }
        }
        for key in delegations {
            let Some(file) = self.stateids.shard(&key).get(&key).and_then(StateRef::file) else { continue };
            if let Some(dropped) = self.enter(&file, |inner| self.drop_delegation(inner, &file.key, client)) {
                effects.add(dropped);
            }
        }
        (held, effects)
    }

    /// The record of a client that may have state.
    pub(super) fn client(&self, client: ClientId) -> Result<Arc<ClientRecord>, Status> {
        self.clients.shard(&client).get(&client).cloned().ok_or(NFS4ERR_EXPIRED)
    }

    /// A number for a new state.
    pub(super) fn new_key(&self) -> StateKey {
        StateKey(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// The stateid of a state as the client is to see it.
    pub(super) fn stateid(&self, key: StateKey, seqid: Seqid) -> Stateid {
        stateid(key, seqid, self.epoch)
    }

    /// Runs `f` on a file under its lock; `None` if there is no state on the file.
    pub(super) fn on_file<R>(&self, key: &FileKey, mut f: impl FnMut(&mut FileInner) -> R) -> Option<R> {
        loop {
            let file = self.files.shard(key).get(key).cloned()?;
            if let Some(result) = self.enter(&file, &mut f) {
                return Some(result);
            }
        }
    }

    /// Runs `f` on a file under its lock, in the table from now on if `f` leaves state on it.
    pub(super) fn on_new_file<R>(
        &self,
        key: &FileKey,
        mut f: impl FnMut(&Arc<FileState>, &mut FileInner) -> R,
    ) -> R {
        loop {
            let file =
                self.files.shard(key).entry(*key).or_insert_with(|| Arc::new(FileState::new(*key))).clone();
            if let Some(result) = self.enter(&file, |inner| f(&file, inner)) {
                return result;
            }
        }
    }

    /// Runs `f` on the file of a caller's state under the file's lock.
    ///
    /// The checks of RFC 8881 section 8.2.4 up to the client; NFS4ERR_BAD_STATEID is the answer to all of them, but for a
    /// stateid that was revoked (NFS4ERR_EXPIRED, NFS4ERR_DELEG_REVOKED) and, in minor version 0, one of another instance of the server
    /// (NFS4ERR_STALE_STATEID). `file` is the current filehandle's, if it matters. What `f` has to check is the type
    /// and the seqid.
    pub(super) fn on_state<R, E: From<Status>>(
        &self,
        caller: Caller,
        stateid: &Stateid,
        file: Option<&FileKey>,
        f: impl FnOnce(&Found, &mut FileInner) -> Result<R, E>,
    ) -> Result<R, E> {
        let key = self.key(caller, stateid)?;
        let found = self.find(caller, key)?;
        self.on_found(&found, file, f)
    }

    /// The same for operations on opens and locks: to them the stateid of a delegation is a bad one, revoked or not.
    pub(super) fn on_open_or_lock<R, E: From<Status>>(
        &self,
        caller: Caller,
        stateid: &Stateid,
        file: &FileKey,
        f: impl FnOnce(&Found, &mut FileInner) -> Result<R, E>,
    ) -> Result<R, E> {
        let key = self.key(caller, stateid)?;
        let found = self.find(caller, key).map_err(|status| match status {
            NFS4ERR_DELEG_REVOKED => NFS4ERR_BAD_STATEID,
            status => status,
        })?;
        self.on_found(&found, Some(file), f)
    }

    fn on_found<R, E: From<Status>>(
        &self,
        found: &Found,
        file: Option<&FileKey>,
        f: impl FnOnce(&Found, &mut FileInner) -> Result<R, E>,
    ) -> Result<R, E> {
        if file.is_some_and(|file| *file != found.file.key) {
            return Err(NFS4ERR_BAD_STATEID.into());
        }
        // A file that was retired meanwhile has no such state any more.
        self.enter(&found.file, |inner| f(found, inner)).unwrap_or(Err(NFS4ERR_BAD_STATEID.into()))
    }

    /// The number of the state that a stateid stands for.
    pub(super) fn key(&self, caller: Caller, stateid: &Stateid) -> Result<StateKey, Status> {
        if stateid.is_special() {
            return Err(NFS4ERR_BAD_STATEID);
        }
        StateKey::from_other(stateid.other, self.epoch).ok_or_else(|| caller.stale_stateid())
    }

    /// Where a caller's state is; an error that says why, if it was revoked.
    fn find(&self, caller: Caller, key: StateKey) -> Result<Found, Status> {
        let shard = self.stateids.shard(&key);
        let state = shard.get(&key).ok_or(NFS4ERR_BAD_STATEID)?;
        let client = &state.client.client;
        match caller.client {
            Some(id) if id == client.id() => {}
            None if client.protocol() == Protocol::V4_0 => {
                // A client that lost its state is to learn it before it goes on.
                if matches!(state.place, Place::File(_)) {
                    client.renew(caller.now);
                }
            }
            _ => return Err(NFS4ERR_BAD_STATEID),
        }
        let why = match &state.place {
            Place::File(file) => return Ok(Found { file: file.clone(), key, client: client.id() }),
            Place::Revoked(why) => *why,
        };
        let record = state.client.clone();
        drop(shard);
        Err(match why {
            RevokeReason::LeaseExpired => NFS4ERR_EXPIRED,
            RevokeReason::NotReturned if client_has_sessions(&record) => NFS4ERR_DELEG_REVOKED,
            // Minor version 0 has no status for it and no way to free it: with this answer the client has been told.
            RevokeReason::NotReturned => {
                self.forget_revoked(&record, key);
                NFS4ERR_BAD_STATEID
            }
        })
    }

    /// Runs `f` under a file's lock; `None` if the file is out of the table. If `f` leaves nothing behind, the file
    /// goes out of the table.
    pub(super) fn enter<R>(&self, file: &Arc<FileState>, f: impl FnOnce(&mut FileInner) -> R) -> Option<R> {
        let mut inner = file.inner.lock();
        if inner.retired {
            return None;
        }
        let result = f(&mut inner);
        if inner.waiters.are_changed() {
            self.lock_notices.add(new_turns(&file.key, &mut inner));
        }
        if inner.is_empty() {
            inner.retired = true;
            self.files.shard(&file.key).remove(&file.key);
        }
        Some(result)
    }
}

fn client_has_sessions(record: &ClientRecord) -> bool {
    record.client.protocol() == Protocol::Sessions
}
