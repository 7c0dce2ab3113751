use std::sync::Arc;

use smallvec::SmallVec;

use super::delegation::Recall;
use super::delegation_counters::RevokeReason;
use super::lock::LockError;
use super::stripes::FileStripe;
use crate::client::Client;
use crate::fs::OpenHold;
use crate::proto::Status;

/// What is left to do after a change of state, once no lock of the state core is held.
///
/// Dropping it lets the holds on files go, which may run code of the backend.
#[derive(Debug, Default)]
#[must_use = "the effects belong to the caller, who decides when they run"]
pub struct Effects {
    holds: SmallVec<[OpenHold; 1]>,
    /// Clients of which something was revoked: they may not reclaim after a restart (RFC 8881 section 8.4.3), which is to
    /// be on stable storage before anybody is given what was taken from them.
    pub revoked_from: Vec<(Arc<Client>, RevokeReason)>,
    /// Delegations that are to be asked for.
    pub recalls: Vec<Recall>,
    /// Files of which a delegation is gone, for those who wait for it.
    pub returned: SmallVec<[FileStripe; 1]>,
}

impl Effects {
    /// Nothing but a hold to let go.
    pub(super) fn release(hold: OpenHold) -> Self {
        Self { holds: SmallVec::from_iter([hold]), ..Self::default() }
    }

    /// Nothing but that something of this client was revoked.
    pub(super) fn revoked(client: &Arc<Client>, why: RevokeReason) -> Self {
        Self { revoked_from: vec![(client.clone(), why)], ..Self::default() }
    }

    /// A delegation is gone, and its hold is to be let go.
    pub(super) fn returned(hold: OpenHold, file: FileStripe) -> Self {
        let (holds, returned) = (SmallVec::from_iter([hold]), SmallVec::from_iter([file]));
        Self { holds, returned, ..Self::default() }
    }

    /// Adds what another change left to do.
    pub(crate) fn add(&mut self, other: Self) {
        self.holds.extend(other.holds);
        self.revoked_from.extend(other.revoked_from);
        self.recalls.extend(other.recalls);
        self.returned.extend(other.returned);
    }

    /// Lets go what is to be let go. The rest is the service's to do.
    pub fn run(self) {
        drop(self.holds);
    }
}

/// Why the state table did not do what it was asked for.
#[derive(Debug)]
pub enum Refused<E = Status> {
    /// For this reason.
    Because(E),
    /// State of clients whose lease ran out was in the way, and has been revoked (RFC 8881 section 8.4.3). Once the
    /// effects are settled, the same request is to be made again.
    Revoked(Effects),
    /// Delegations of other clients are in the way. They were recalled now or before: the effects have those of now. When one of
    /// the group of files is returned, the same request may be made again.
    Recalled(Effects, FileStripe),
    /// A total over all clients is at its limit: if a client that has some of it and whose lease ran out can be let go, the
    /// same request may be made again.
    Full(Scarce),
}

/// What all clients together may have only so much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scarce {
    /// Open files.
    Opens,
    /// Lock stateids.
    LockStateids,
    /// Byte-range locks.
    Locks,
}

impl<E> Refused<E> {
    /// The same with the reason in another form.
    pub fn map<F>(self, f: impl FnOnce(E) -> F) -> Refused<F> {
        match self {
            Self::Because(reason) => Refused::Because(f(reason)),
            Self::Revoked(effects) => Refused::Revoked(effects),
            Self::Recalled(effects, file) => Refused::Recalled(effects, file),
            Self::Full(scarce) => Refused::Full(scarce),
        }
    }
}

impl From<Status> for Refused<LockError> {
    fn from(status: Status) -> Self {
        Self::Because(status.into())
    }
}

impl<E> From<E> for Refused<E> {
    fn from(reason: E) -> Self {
        Self::Because(reason)
    }
}
