//! Restarts of the server: who may reclaim, who has to wait, and what must be on record (RFC 8881 sections 8.4.2 and 8.4.3).

use dittofs_framework::proto::{ClientId, NFS4ERR_GRACE, NFS4ERR_NO_GRACE, Status};

use super::{Cx, Model, Protocol, Record};
use crate::simulation::request::{ClientNo, Right};

/// One life of a client machine, as the server tells it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incarnation {
    pub(crate) owner: ClientNo,
    pub(crate) verifier: u64,
    pub(crate) uid: u32,
}

/// A grace period.
#[derive(Debug)]
pub(crate) struct Grace {
    ends: u64,
    /// It may go on until then, as somebody reclaimed shortly before.
    may_last: u64,
    /// Longer it never lasts.
    latest: u64,
    /// Who has something left to reclaim.
    waiting: Vec<Incarnation>,
    /// Who was on record when the server started, and is.
    on_record: Vec<Incarnation>,
}

/// How long the next reclaim is waited for at the end.
const PER_RECLAIM: u64 = 5_000;

impl Grace {
    /// Whether it may be over.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        now >= self.ends || self.waiting.is_empty()
    }

    /// Whether it must be, after the reaper was there.
    fn is_overdue(&self, now: u64) -> bool {
        now >= self.may_last || self.waiting.is_empty()
    }
}

/// Whether a client is on record as one that may reclaim after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum OnRecord {
    /// It must be: it has said that it has reclaimed all.
    Must,
    /// It must be if it was given what it asked for.
    IfHolding,
    /// It makes no difference.
    #[default]
    May,
    /// It must not be: something of it was revoked since, or it gave all up.
    MustNot,
}

/// How a client stands to recovery.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reclaims {
    /// It may reclaim.
    pub(super) has_standing: bool,
    /// SEQUENCE says that it should.
    pub(super) is_told: bool,
    on_record: OnRecord,
}

impl Model {
    pub(crate) fn is_in_grace(&self) -> bool {
        self.grace.is_some()
    }

    /// The server crashed, and these clients are on record: those who could hold state must be, those who lost some must not. `None` if
    /// there is no record.
    pub(crate) fn crash(&mut self, now: u64, on_record: Option<&[Incarnation]>) {
        if let Some(on_record) = on_record {
            self.check_record(on_record);
        }
        self.records.clear();
        self.sessions.clear();
        self.bound.clear();
        self.opens.clear();
        self.lock_states.clear();
        self.held.clear();
        self.delegations.clear();
        self.recalls.forget_all();
        self.revoked.clear();
        self.unconfirmed.clear();
        self.owners.clear();
        self.purged.clear();
        self.answered.clear();
        self.named.clear();
        self.kept.clear();
        self.epoch = [0; 4];
        let (waiting, on_record) =
            (on_record.unwrap_or_default().to_vec(), on_record.unwrap_or_default().to_vec());
        // As long as the lease, which is the least that it may be.
        let (ends, latest) = (now + self.lease, now + 2 * self.lease);
        let grace = Grace { ends, may_last: ends, latest, waiting, on_record };
        self.grace = Some(grace).filter(|grace| !grace.waiting.is_empty());
    }

    fn check_record(&self, on_record: &[Incarnation]) {
        for record in self.records.iter().filter(|record| record.is_confirmed) {
            let is_missed = match record.reclaims.on_record {
                OnRecord::Must => true,
                OnRecord::IfHolding => self.has_state(record.id),
                OnRecord::May | OnRecord::MustNot => false,
            };
            assert!(!is_missed || on_record.contains(&record.incarnation()), "{record:?} is not on record");
        }
        let before = self.grace.as_ref().map(|grace| grace.on_record.clone()).unwrap_or_default();
        for incarnation in on_record {
            let of = |record: &&Record| record.is_confirmed && record.incarnation() == *incarnation;
            let is_known = self
                .records
                .iter()
                .find(of)
                .is_some_and(|record| record.reclaims.on_record != OnRecord::MustNot);
            assert!(is_known || before.contains(incarnation), "{incarnation:?} must not reclaim");
        }
    }

    /// Whether the server is in its grace period.
    pub(crate) fn observe_grace(&mut self, now: u64, is_in_force: bool) {
        match &self.grace {
            Some(grace) if !is_in_force => {
                assert!(grace.is_due(now), "the grace period ended before its time: {grace:?}");
                self.grace = None;
            }
            None => assert!(!is_in_force, "a grace period that nobody needs"),
            Some(_) => {}
        }
    }

    /// The reaper ends a grace period that is due.
    pub(crate) fn end_grace_if_due(&mut self, now: u64) {
        self.grace.take_if(|grace| grace.is_overdue(now));
    }

    /// A client asked for something that it says it held.
    fn reclaims(&mut self, now: u64) {
        if let Some(grace) = &mut self.grace {
            grace.may_last = grace.may_last.max((now + PER_RECLAIM).min(grace.latest));
        }
    }

    /// A client was confirmed.
    pub(super) fn confirmed(&mut self, id: ClientId) {
        let Some(grace) = &mut self.grace else { return };
        let record = self.records.iter_mut().find(|record| record.id == id).expect("a record");
        let incarnation = record.incarnation();
        if grace.waiting.contains(&incarnation) {
            record.reclaims.has_standing = true;
            record.reclaims.is_told = true;
        } else {
            // It starts anew: nothing that the earlier incarnation held is waited for.
            grace.waiting.retain(|other| (other.owner, other.uid) != (incarnation.owner, incarnation.uid));
        }
    }

    /// Why a client may not ask for an open or a lock now.
    pub(super) fn check_claim(&mut self, cx: &Cx, right: Right) -> Option<Status> {
        let record = self.record(cx.clientid()).expect("a client");
        let reclaims_still = record.protocol == Protocol::Sessions && !record.has_completed;
        match right {
            // What could be reclaimed is not in conflict with it.
            Right::Delegated => None,
            Right::New => (reclaims_still || self.is_in_grace()).then_some(NFS4ERR_GRACE),
            Right::Reclaim => {
                let may = record.reclaims.has_standing && !record.has_completed && self.is_in_grace();
                if may {
                    self.reclaims(cx.now);
                }
                (!may).then_some(NFS4ERR_NO_GRACE)
            }
        }
    }

    /// The server puts a client on record before it gives it anything. One that reclaims is still on record from before; one with
    /// revoked state that it has not freed is not recorded.
    pub(super) fn asked_for_state(&mut self, id: ClientId) {
        if self.revoked.iter().any(|revoked| revoked.client == id) {
            return;
        }
        let record = self.records.iter_mut().find(|record| record.id == id).expect("a record");
        let is_kept =
            record.reclaims.has_standing && !record.has_completed && record.protocol != Protocol::V4_0;
        if !is_kept && record.reclaims.on_record != OnRecord::Must {
            record.reclaims.on_record = OnRecord::IfHolding;
        }
    }

    /// A client has reclaimed all: from now on it may be given something, and is on record for that. Not one with revoked state that it
    /// has not freed, and not another user under the name of one that may still reclaim.
    pub(super) fn reclaimed_all(&mut self, id: ClientId) {
        let lost_some = self.revoked.iter().any(|revoked| revoked.client == id);
        let record = self.records.iter_mut().find(|record| record.id == id).expect("a record");
        record.reclaims.is_told = false;
        let (incarnation, had_standing) = (record.incarnation(), record.reclaims.has_standing);
        let is_namesake = |other: &Incarnation| other.owner == incarnation.owner;
        let is_impostor =
            !had_standing && self.grace.as_ref().is_some_and(|grace| grace.waiting.iter().any(is_namesake));
        if !lost_some && !is_impostor {
            record.reclaims.on_record = OnRecord::Must;
        }
        if let Some(grace) = &mut self.grace
            && had_standing
        {
            grace.waiting.retain(|other| !is_namesake(other));
        }
    }

    /// Something of a client was revoked, or all of it is gone: it may not reclaim.
    pub(super) fn forget(&mut self, id: ClientId) {
        let Some(record) = self.records.iter_mut().find(|record| record.id == id) else { return };
        let incarnation = record.incarnation();
        let had_standing = record.reclaims.has_standing;
        record.reclaims.has_standing = false;
        record.reclaims.on_record = OnRecord::MustNot;
        if let Some(grace) = &mut self.grace
            && had_standing
        {
            grace.waiting.retain(|other| other.owner != incarnation.owner);
            grace.on_record.retain(|other| *other != incarnation);
        }
    }
}
