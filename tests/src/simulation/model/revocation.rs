//! What becomes of the state of clients whose lease ran out (RFC 8881 section 8.4.3).

use dittofs_framework::proto::{ClientId, SequenceStatus};

use super::clients::Record;
use super::{Cx, Model, Open, Protocol};

/// A stateid that was revoked, and that its client has not freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revoked {
    pub(crate) other: [u8; 12],
    pub(crate) client: ClientId,
    /// The open that a lock stateid hangs on.
    pub(crate) open: Option<[u8; 12]>,
    pub(crate) why: Why,
}

/// Why something was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was in somebody's way, and the client's lease had run out.
    LeaseExpired,
    /// A delegation that was not returned for a lease.
    NotReturned,
}

/// What opens in the way do to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InTheWay {
    /// One of them is of a client with a lease.
    Refused,
    /// There are none, or none any more.
    Nothing,
}

impl Model {
    pub(crate) fn has_lease(&self, id: ClientId, now: u64) -> bool {
        self.record(id).is_some_and(|record| !self.is_expired(record, now))
    }

    /// The request of `cx` meets these opens: if all are of clients without a lease, they are revoked.
    pub(super) fn meet_opens(&mut self, cx: &Cx, is_met: impl Fn(&Open) -> bool) -> InTheWay {
        let met: Vec<_> = self.opens.iter().filter(|open| is_met(open)).cloned().collect();
        if met.iter().any(|open| self.has_lease(open.client, cx.now)) {
            return InTheWay::Refused;
        }
        for open in met {
            self.revoke_open(&open);
        }
        InTheWay::Nothing
    }

    /// A client of minor version 0 cannot be told of a part: it loses all (RFC 7530 section 9.6.3).
    fn revoke_open(&mut self, open: &Open) {
        self.revoke_one(open);
        self.cancel(open.client);
    }

    pub(super) fn cancel(&mut self, id: ClientId) {
        let of_v4_0 = |record: &&mut Record| record.id == id && record.protocol == Protocol::V4_0;
        let Some(record) = self.records.iter_mut().find(of_v4_0) else { return };
        record.is_canceled = true;
        for open in self.opens.iter().filter(|open| open.client == id).cloned().collect::<Vec<_>>() {
            self.revoke_one(&open);
        }
        let held = self.delegations.iter().filter(|held| held.client == id);
        for other in held.map(|held| held.other).collect::<Vec<_>>() {
            self.revoke_delegation(other, Why::LeaseExpired);
        }
    }

    fn revoke_one(&mut self, open: &Open) {
        let (client, why) = (open.client, Why::LeaseExpired);
        let under = self.lock_states.iter().filter(|lock| lock.open == open.other);
        let under = under.map(|lock| Revoked { other: lock.other, client, open: Some(open.other), why });
        let revoked: Vec<_> = under.chain([Revoked { other: open.other, client, open: None, why }]).collect();
        self.remove_open(open.other);
        self.forget(client);
        self.revoked.extend(revoked);
    }

    /// No effect if it is gone already.
    pub(super) fn revoke_lock(&mut self, client: ClientId, other: [u8; 12]) {
        let Some(lock) = self.lock_states.iter().find(|lock| lock.other == other) else { return };
        let open = Some(lock.open);
        self.lock_states.retain(|lock| lock.other != other);
        self.held.retain(|held| held.state != other);
        self.forget(client);
        self.revoked.push(Revoked { other, client, open, why: Why::LeaseExpired });
        self.cancel(client);
    }

    /// The client whose lease ran out longest ago goes, if there is one of those that may go.
    pub(super) fn evict(&mut self, now: u64, may_go: impl Fn(&Self, ClientId) -> bool) -> bool {
        let may_go = |record: &&Record| self.is_expired(record, now) && may_go(self, record.id);
        let expired = self.records.iter().filter(may_go);
        let Some(oldest) = expired.min_by_key(|record| record.renewed).map(|record| record.id) else {
            return false;
        };
        self.drop_client(oldest);
        true
    }

    /// sr_status_flags.
    pub(super) fn status_flags(&self, client: ClientId) -> SequenceStatus {
        let mut flags = SequenceStatus::empty();
        let is_told = self.record(client).is_some_and(|record| record.reclaims.is_told);
        flags.set(SequenceStatus::RESTART_RECLAIM_NEEDED, is_told);
        let has_lost =
            |why| self.revoked.iter().any(|revoked| revoked.client == client && revoked.why == why);
        let lost_some = has_lost(Why::LeaseExpired);
        let has_some = self.has_state(client);
        flags.set(SequenceStatus::EXPIRED_SOME_STATE_REVOKED, lost_some && has_some);
        flags.set(SequenceStatus::EXPIRED_ALL_STATE_REVOKED, lost_some && !has_some);
        flags.set(SequenceStatus::RECALLABLE_STATE_REVOKED, has_lost(Why::NotReturned));
        flags
    }
}
