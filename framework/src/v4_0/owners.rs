use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use foldhash::HashMap;
use parking_lot::Mutex;

use super::V4_0Limits;
use super::owner::{Confirmed, Owner, OwnerKind, Recorded, Sequence};
use super::turn::{OwnerTurn, StateidOther};
use crate::clock::Timestamp;
use crate::proto::{
    ClientId, NFS4ERR_BAD_SEQID, NFS4ERR_DELAY, NFS4ERR_EXPIRED, OP_LOCK, OP_OPEN, OpNum, StateOwner,
    Stateid, Status,
};
use crate::state::sharded::Sharded;

/// Open-owners and lock-owners of all clients (RFC 7530 sections 9.1.5 to 9.1.11).
pub struct Owners {
    limits: V4_0Limits,
    clients: Sharded<ClientId, Arc<ClientOwners>>,
    /// Whose a stateid is.
    index: Sharded<StateidOther, Holder>,
    /// Stateids of clients that are gone, the oldest first.
    purged: Mutex<VecDeque<(Timestamp, StateidOther)>>,
    count: AtomicUsize,
}

/// Who has a stateid.
enum Holder {
    Owner(Arc<Owner>),
    /// A client that restarted or expired.
    Gone,
}

/// The owners of a client.
#[derive(Default)]
struct ClientOwners {
    owners: Mutex<Names>,
}

#[derive(Default)]
struct Names {
    /// The client is gone: no owner may be added.
    is_dropped: bool,
    by_name: HashMap<(OwnerKind, Bytes), Arc<Owner>>,
}

/// What becomes of a request that bears a seqid.
#[derive(Debug)]
pub enum Admission {
    /// It is the next one.
    New {
        /// To be finished with its answer.
        turn: OwnerTurn,
        /// Opens of an earlier use of the owner that were never confirmed: to be closed before the request is carried out.
        cancelled: Vec<StateidOther>,
    },
    /// A request of this client that was answered before, and this is the answer.
    Replay(ClientId, Recorded),
    /// It is refused; the seqid is not used up.
    Refused {
        /// Why.
        status: Status,
        /// Opens that will never be confirmed: to be closed.
        cancelled: Vec<StateidOther>,
    },
}

impl Admission {
    fn refused(status: Status) -> Self {
        Self::Refused { status, cancelled: Vec::new() }
    }
}

/// What [`Owners::reap`] found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Opens that were not confirmed within a lease: to be closed.
    pub cancelled: Vec<StateidOther>,
}

/// How many leases an owner without state is remembered for (RFC 7530 section 16.18.5: no less than one).
const LEASES_IDLE: u32 = 2;

impl Owners {
    /// No owners yet.
    pub fn new(limits: V4_0Limits) -> Self {
        Self {
            limits,
            clients: Sharded::new(),
            index: Sharded::new(),
            purged: Mutex::default(),
            count: AtomicUsize::new(0),
        }
    }

    /// Lets a client have owners, from now until it is dropped; again has no effect.
    pub fn add_client(&self, clientid: ClientId) {
        self.clients.shard(&clientid).entry(clientid).or_default();
    }

    /// Forgets the owners of a client that is gone. Their stateids are remembered for a while as those of a client whose
    /// lease is over.
    pub fn drop_client(&self, clientid: ClientId, now: Timestamp) {
        let Some(client) = self.clients.shard(&clientid).remove(&clientid) else { return };
        let dropped = {
            let mut names = client.owners.lock();
            names.is_dropped = true;
            std::mem::take(&mut names.by_name)
        };
        self.count.fetch_sub(dropped.len(), Ordering::Relaxed);
        for owner in dropped.into_values() {
            let mut sequence = owner.sequence.lock();
            sequence.is_released = true;
            let closed = sequence.closed.take();
            for stateid in sequence.stateids.drain().chain(closed) {
                self.purge(stateid, now);
            }
        }
    }

    fn purge(&self, stateid: StateidOther, now: Timestamp) {
        let mut purged = self.purged.lock();
        if purged.len() >= self.limits.purged_stateids
            && let Some((_, oldest)) = purged.pop_front()
        {
            self.forget(&oldest);
        }
        self.index.shard(&stateid).insert(stateid, Holder::Gone);
        purged.push_back((now, stateid));
    }

    /// Admits an OPEN to the sequence of its open-owner, which it makes if there is none. The client must be confirmed.
    pub async fn begin_open(&self, now: Timestamp, owner: &StateOwner, seqid: u32) -> Admission {
        self.begin_named(now, OwnerKind::Open, owner, seqid, OP_OPEN).await
    }

    async fn begin_named(
        &self,
        now: Timestamp,
        kind: OwnerKind,
        owner: &StateOwner,
        seqid: u32,
        opnum: OpNum,
    ) -> Admission {
        loop {
            let found = match self.find_or_add(now, kind, owner) {
                Ok(found) => found,
                Err(status) => return Admission::refused(status),
            };
            if let Some(admission) = found.begin(now, seqid, opnum).await {
                self.void(&found, &admission);
                return admission;
            }
        }
    }

    /// Admits an operation that names its owner by a stateid. `None` if no owner of the kind has it: then there is no
    /// sequence to check, and the stateid is wrong in itself (RFC 7530 section 9.1.9).
    pub async fn begin_by_stateid(
        &self,
        now: Timestamp,
        kind: OwnerKind,
        stateid: &Stateid,
        seqid: u32,
        opnum: OpNum,
    ) -> Option<Admission> {
        loop {
            let found = match self.index.shard(&stateid.other).get(&stateid.other)? {
                Holder::Owner(owner) => owner.clone(),
                Holder::Gone => return Some(Admission::refused(NFS4ERR_EXPIRED)),
            };
            if found.kind != kind {
                return None;
            }
            if let Some(admission) = found.begin(now, seqid, opnum).await {
                self.void(&found, &admission);
                return Some(admission);
            }
        }
    }

    /// Admits a LOCK to the sequence of its lock-owner, when that is named: its open-owner was asked before.
    ///
    /// A retransmission is known by the open-owner. What is new to it and old to the lock-owner is no retransmission, but a
    /// request that uses a seqid twice: NFS4ERR_BAD_SEQID.
    ///
    /// A lock-owner whose lock stateids are all gone, by CLOSE for example, begins its sequence anew: the client may have forgotten
    /// it as well (RFC 7530 section 9.1.10). `exists` is as in [`reap`](Self::reap).
    pub async fn begin_lock_owner(
        &self,
        now: Timestamp,
        owner: &StateOwner,
        seqid: u32,
        exists: &(dyn Fn(&StateidOther) -> bool + Sync),
    ) -> Admission {
        if let Some(found) = self.find(OwnerKind::Lock, owner) {
            let mut sequence = found.sequence.lock();
            if !sequence.is_running && !sequence.stateids.iter().any(exists) {
                self.release(&found, &mut sequence);
            }
        }
        match self.begin_named(now, OwnerKind::Lock, owner, seqid, OP_LOCK).await {
            Admission::Replay(..) => Admission::refused(NFS4ERR_BAD_SEQID),
            admission => admission,
        }
    }

    /// Takes the stateids from an owner that are to be cancelled. Their owner can still be found by one of them: the
    /// retransmission of a request for it is out of sequence, not unknown.
    fn void(&self, owner: &Owner, admission: &Admission) {
        let (Admission::New { cancelled, .. } | Admission::Refused { cancelled, .. }) = admission else {
            return;
        };
        if cancelled.is_empty() {
            return;
        }
        let mut sequence = owner.sequence.lock();
        for stateid in cancelled {
            if sequence.stateids.remove(stateid)
                && let Some(before) = sequence.closed.replace(*stateid)
            {
                self.forget(&before);
            }
        }
    }

    /// Whether a stateid is of an open that awaits its OPEN_CONFIRM: good for nothing else (RFC 7530 section 16.18.5).
    pub fn is_unconfirmed(&self, stateid: &Stateid) -> bool {
        let owner = match self.index.shard(&stateid.other).get(&stateid.other) {
            Some(Holder::Owner(owner)) if owner.kind == OwnerKind::Open => owner.clone(),
            _ => return false,
        };
        let sequence = owner.sequence.lock();
        sequence.confirmed == Confirmed::No
    }

    /// The stateids that a lock-owner has; some may be gone since. Empty for one that is not known.
    pub fn lock_stateids(&self, owner: &StateOwner) -> Vec<StateidOther> {
        let Some(found) = self.find(OwnerKind::Lock, owner) else { return Vec::new() };
        let sequence = found.sequence.lock();
        sequence.stateids.iter().copied().collect()
    }

    /// Forgets a lock-owner, which holds no locks any more (RFC 7530 section 16.37). One with a request under way stays.
    pub fn release_lock_owner(&self, owner: &StateOwner) {
        let Some(found) = self.find(OwnerKind::Lock, owner) else { return };
        let mut sequence = found.sequence.lock();
        if !sequence.is_running {
            self.release(&found, &mut sequence);
        }
    }

    /// Forgets what has been of no use for long enough: owners without state, opens that nobody confirmed. `exists` tells
    /// whether there still is state under a stateid; it is called with an owner locked.
    pub fn reap(&self, now: Timestamp, lease: Duration, exists: &dyn Fn(&StateidOther) -> bool) -> Reaped {
        let mut reaped = Reaped::default();
        for owner in self.all() {
            let mut sequence = owner.sequence.lock();
            if sequence.is_running || sequence.is_released {
                continue;
            }
            let idle = now.since(sequence.used);
            let is_late = sequence.confirmed == Confirmed::No && idle > lease;
            let gone: Vec<_> =
                sequence.stateids.iter().filter(|stateid| is_late || !exists(stateid)).copied().collect();
            for stateid in gone {
                sequence.stateids.remove(&stateid);
                self.forget(&stateid);
                if is_late {
                    reaped.cancelled.push(stateid);
                }
            }
            if sequence.stateids.is_empty() && (is_late || idle > lease * LEASES_IDLE) {
                self.release(&owner, &mut sequence);
            }
        }
        self.forget_purged(now, lease);
        reaped
    }

    fn forget_purged(&self, now: Timestamp, lease: Duration) {
        let mut purged = self.purged.lock();
        while let Some((since, stateid)) = purged.front().copied() {
            if now.since(since) <= lease {
                break;
            }
            purged.pop_front();
            self.forget(&stateid);
        }
    }

    fn all(&self) -> Vec<Arc<Owner>> {
        let clients = self.clients.map_all(|_, client| client.clone());
        clients
            .iter()
            .flat_map(|client| client.owners.lock().by_name.values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// How many owners there are.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn find(&self, kind: OwnerKind, owner: &StateOwner) -> Option<Arc<Owner>> {
        let client = self.clients.shard(&owner.clientid).get(&owner.clientid).cloned()?;
        let names = client.owners.lock();
        names.by_name.get(&(kind, owner.owner.0.clone())).cloned()
    }

    fn find_or_add(&self, now: Timestamp, kind: OwnerKind, owner: &StateOwner) -> Result<Arc<Owner>, Status> {
        let client =
            self.clients.shard(&owner.clientid).get(&owner.clientid).cloned().ok_or(NFS4ERR_EXPIRED)?;
        let mut names = client.owners.lock();
        if names.is_dropped {
            return Err(NFS4ERR_EXPIRED);
        }
        if let Some(found) = names.by_name.get(&(kind, owner.owner.0.clone())) {
            return Ok(found.clone());
        }
        if names.by_name.len() >= self.limits.owners_per_client || self.count() >= self.limits.owners_total {
            return Err(NFS4ERR_DELAY);
        }
        let added = Arc::new(Owner::new(kind, owner, now));
        names.by_name.insert((kind, added.name.clone()), added.clone());
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok(added)
    }

    /// Takes an owner out, with all that leads to it.
    pub(super) fn release(&self, owner: &Owner, sequence: &mut Sequence) {
        if sequence.is_released {
            return;
        }
        sequence.is_released = true;
        let closed = sequence.closed.take();
        for stateid in sequence.stateids.drain().chain(closed) {
            self.forget(&stateid);
        }
        let client = self.clients.shard(&owner.clientid).get(&owner.clientid).cloned();
        let Some(client) = client else { return };
        if client.owners.lock().by_name.remove(&(owner.kind, owner.name.clone())).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn remember(&self, stateid: StateidOther, owner: &Arc<Owner>) {
        self.index.shard(&stateid).insert(stateid, Holder::Owner(owner.clone()));
    }

    pub(super) fn forget(&self, stateid: &StateidOther) {
        self.index.shard(stateid).remove(stateid);
    }

    /// Asserts the invariants N1 to N3.
    ///
    /// # Panics
    /// When one does not hold.
    #[cfg(any(test, feature = "testing"))]
    pub fn check_invariants(&self) {
        let all = self.all();
        assert_eq!(all.len(), self.count(), "N1: owners that are not counted");
        let mut led = 0;
        for owner in &all {
            let sequence = owner.sequence.lock();
            assert!(!sequence.is_released, "N1: a released owner can be found by its name");
            for stateid in sequence.stateids.iter().chain(&sequence.closed) {
                let shard = self.index.shard(stateid);
                let is_its = matches!(shard.get(stateid), Some(Holder::Owner(to)) if Arc::ptr_eq(to, owner));
                assert!(is_its, "N2: a stateid does not lead to its owner");
                led += 1;
            }
        }
        let purged = self.purged.lock();
        assert!(
            purged.len() <= self.limits.purged_stateids,
            "N3: too many stateids of clients that are gone"
        );
        assert_eq!(
            self.index.map_all(|_, _| ()).len(),
            led + purged.len(),
            "N2: a stateid that leads nowhere"
        );
    }

    /// How many stateids lead to an owner or to a client that is gone.
    #[cfg(test)]
    pub(super) fn indexed(&self) -> usize {
        self.index.map_all(|_, _| ()).len()
    }
}

impl std::fmt::Debug for Owners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owners").field("count", &self.count()).finish_non_exhaustive()
    }
}
