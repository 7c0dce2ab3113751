//! The stateids that a client was told of.

use dittofs_framework::proto::Stateid;

use crate::simulation::request::{FileNo, Kind, Locker, OwnerNo, Share};

#[derive(Debug, Clone, Copy)]
pub(super) struct KnownOpen {
    pub(super) stateid: Stateid,
    pub(super) file: FileNo,
    pub(super) owner: OwnerNo,
    pub(super) share: Share,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct KnownLock {
    pub(super) stateid: Stateid,
    pub(super) file: FileNo,
    pub(super) owner: OwnerNo,
    pub(super) open: [u8; 12],
}

#[derive(Debug, Clone)]
pub(super) struct KnownDelegation {
    pub(super) stateid: Stateid,
    pub(super) file: FileNo,
    pub(super) kind: Kind,
    /// When it will be returned, once the server has asked for it.
    pub(super) returns_at: Option<u64>,
    /// Opens by it that the server does not know of.
    pub(super) opens: Vec<(OwnerNo, Share)>,
}

#[derive(Debug, Default)]
pub(super) struct Knowledge {
    pub(super) opens: Vec<KnownOpen>,
    pub(super) locks: Vec<KnownLock>,
    pub(super) delegations: Vec<KnownDelegation>,
    /// What was closed, freed or lost: to be tried again.
    pub(super) dead: Vec<Stateid>,
    /// What was revoked, and is to be freed.
    pub(super) revoked: Vec<Stateid>,
}

/// How many dead stateids are remembered.
const DEAD: usize = 8;

/// What a client held before it learned that the server had restarted.
#[derive(Debug, Clone)]
pub(super) struct Want {
    pub(super) file: FileNo,
    pub(super) owner: OwnerNo,
    pub(super) share: Share,
    /// Cells that it had locked.
    pub(super) locks: Vec<(OwnerNo, Kind, usize)>,
    /// A delegation that it had.
    pub(super) delegation: Option<Kind>,
}

impl Knowledge {
    pub(super) fn opened(&mut self, open: KnownOpen) {
        // The reply to an earlier request may come later.
        match self.opens.iter_mut().find(|known| known.stateid.other == open.stateid.other) {
            Some(known) => {
                known.share.access |= open.share.access;
                known.share.deny |= open.share.deny;
                known.stateid.seqid = known.stateid.seqid.max(open.stateid.seqid);
            }
            None if !self.dead.iter().any(|dead| dead.other == open.stateid.other) => self.opens.push(open),
            None => {}
        }
    }

    pub(super) fn locked(&mut self, lock: KnownLock) {
        match self.locks.iter_mut().find(|known| known.stateid.other == lock.stateid.other) {
            Some(known) => known.stateid.seqid = known.stateid.seqid.max(lock.stateid.seqid),
            None if !self.dead.iter().any(|dead| dead.other == lock.stateid.other) => self.locks.push(lock),
            None => {}
        }
    }

    /// A state has a new seqid.
    pub(super) fn advanced(&mut self, stateid: Stateid) {
        let opens = self.opens.iter_mut().map(|open| &mut open.stateid);
        let locks = self.locks.iter_mut().map(|lock| &mut lock.stateid);
        for known in opens.chain(locks).filter(|known| known.other == stateid.other) {
            known.seqid = known.seqid.max(stateid.seqid);
        }
    }

    pub(super) fn narrowed(&mut self, other: [u8; 12], share: Share) {
        for open in self.opens.iter_mut().filter(|open| open.stateid.other == other) {
            open.share = share;
        }
    }

    /// There is no such state any more.
    pub(super) fn gone(&mut self, stateid: Stateid) {
        self.opens.retain(|open| open.stateid.other != stateid.other);
        self.locks.retain(|lock| lock.stateid.other != stateid.other && lock.open != stateid.other);
        self.delegations.retain(|held| held.stateid.other != stateid.other);
        self.revoked.retain(|revoked| revoked.other != stateid.other);
        self.dead.push(stateid);
        if self.dead.len() > DEAD {
            self.dead.remove(0);
        }
    }

    /// The server revoked it.
    pub(super) fn lost(&mut self, stateid: Stateid) {
        if !self.revoked.iter().any(|revoked| revoked.other == stateid.other) {
            self.revoked.push(stateid);
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.revoked.clear();
        for stateid in self.stateids() {
            self.gone(stateid);
        }
    }

    pub(super) fn stateids(&self) -> Vec<Stateid> {
        let opens = self.opens.iter().map(|open| open.stateid);
        let delegations = self.delegations.iter().map(|held| held.stateid);
        opens.chain(self.locks.iter().map(|lock| lock.stateid)).chain(delegations).collect()
    }

    pub(super) fn lock(&self, stateid: Stateid) -> Option<&KnownLock> {
        self.locks.iter().find(|lock| lock.stateid.other == stateid.other)
    }

    pub(super) fn lock_owner(&self, stateid: Stateid) -> Option<OwnerNo> {
        self.lock(stateid).map(|lock| lock.owner)
    }

    pub(super) fn owner_of(&self, locker: Locker) -> Option<OwnerNo> {
        match locker {
            Locker::Open(_, owner) => Some(owner),
            Locker::Existing(stateid) => self.lock_owner(stateid),
        }
    }
}
