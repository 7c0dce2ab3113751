//! Client records: EXCHANGE_ID, CREATE_SESSION, DESTROY_CLIENTID, RECLAIM_COMPLETE, and who is gone when.

use bytes::Bytes;
use dittofs_framework::proto::{
    ClientId, ExchangeIdFlags, NFS4_OK, NFS4ERR_CLID_INUSE, NFS4ERR_CLIENTID_BUSY, NFS4ERR_COMPLETE_ALREADY,
    NFS4ERR_DELAY, NFS4ERR_NOENT, NFS4ERR_NOSPC, NFS4ERR_NOT_SAME, NFS4ERR_PERM, NFS4ERR_SEQ_MISORDERED,
    NFS4ERR_STALE_CLIENTID,
};
use dittofs_framework::testing::OpReply;
use dittofs_ops::create_session::CreateSession;
use dittofs_ops::exchange_id::ExchangeId;

use super::{Cx, Expect, Incarnation, Model, Protocol, Reclaims, Session, check, decoded};
use crate::simulation::request::ClientNo;

/// A client ID that the server knows.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: ClientId,
    pub(super) owner: ClientNo,
    pub(super) verifier: u64,
    pub(super) uid: u32,
    pub(crate) is_confirmed: bool,
    pub(crate) renewed: u64,
    /// csa_sequence of the last CREATE_SESSION, and what was answered.
    sequence: u32,
    created: Option<Bytes>,
    pub(crate) has_completed: bool,
    pub(super) reclaims: Reclaims,
    pub(super) protocol: Protocol,
    /// Minor version 0: the verifier of its SETCLIENTID_CONFIRM.
    pub(super) confirm: Option<[u8; 8]>,
    /// Minor version 0: some of its state was revoked, and so all is.
    pub(super) is_canceled: bool,
}

impl Record {
    /// A client of minor version 0, which is confirmed.
    pub(super) fn of_v4_0(
        id: ClientId,
        (owner, verifier, uid): (ClientNo, u64, u32),
        confirm: [u8; 8],
        now: u64,
    ) -> Self {
        Self {
            id,
            owner,
            verifier,
            uid,
            is_confirmed: true,
            renewed: now,
            sequence: 0,
            created: None,
            has_completed: false,
            reclaims: Reclaims::default(),
            protocol: Protocol::V4_0,
            confirm: Some(confirm),
            is_canceled: false,
        }
    }

    fn is_of_sessions(&self) -> bool {
        self.protocol == Protocol::Sessions
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        Incarnation { owner: self.owner, verifier: self.verifier, uid: self.uid }
    }
}

impl Model {
    pub(crate) fn record(&self, id: ClientId) -> Option<&Record> {
        self.records.iter().find(|record| record.id == id)
    }

    fn record_mut(&mut self, id: ClientId) -> &mut Record {
        self.records.iter_mut().find(|record| record.id == id).expect("a record")
    }

    pub(crate) fn renew(&mut self, id: ClientId, now: u64) {
        self.record_mut(id).renewed = now;
    }

    pub(crate) fn is_expired(&self, record: &Record, now: u64) -> bool {
        record.is_confirmed && now - record.renewed > self.lease
    }

    pub(crate) fn has_state(&self, id: ClientId) -> bool {
        self.has_opens(id) || self.delegations.iter().any(|held| held.client == id)
    }

    pub(super) fn has_opens(&self, id: ClientId) -> bool {
        self.opens.iter().any(|open| open.client == id)
    }

    fn has_sessions(&self, id: ClientId) -> bool {
        self.sessions.iter().any(|session| session.client == id)
    }

    /// RFC 8881 section 18.35.4.
    pub(super) fn exchange_id(
        &mut self,
        cx: &Cx,
        owner: ClientNo,
        verifier: u64,
        update: bool,
        result: &OpReply,
    ) {
        let of_owner =
            |record: &&Record| record.owner == owner && record.is_confirmed && record.is_of_sessions();
        let confirmed = self.records.iter().find(of_owner);
        if update {
            return Self::update(confirmed, cx, verifier, result);
        }
        if let Some(record) = confirmed {
            if record.uid == cx.uid && record.verifier == verifier {
                let (id, sequence) = (record.id, record.sequence.wrapping_add(1));
                check(&Expect::only(NFS4_OK), result);
                let answer = decoded::<ExchangeId>(result);
                assert_eq!((answer.clientid, answer.sequenceid), (id, sequence), "the confirmed record");
                assert!(answer.flags.contains(ExchangeIdFlags::CONFIRMED_R), "it is confirmed");
                self.drop_unconfirmed(owner);
                return;
            }
            if record.uid != cx.uid {
                let id = record.id;
                let is_holding = self.has_sessions(id) || self.has_state(id);
                if is_holding && !self.is_expired(record, cx.now) {
                    return check(&Expect::only(NFS4ERR_CLID_INUSE), result);
                }
                self.drop_client(id);
            }
        }
        self.drop_unconfirmed(owner);
        let of_sessions = self.records.iter().filter(|record| record.is_of_sessions()).count();
        if of_sessions >= self.limits.sessions.clients && !self.makes_room_for_client(cx.now) {
            return check(&Expect::only(NFS4ERR_DELAY), result);
        }
        check(&Expect::only(NFS4_OK), result);
        self.add_record(cx, owner, verifier, result);
    }

    fn update(confirmed: Option<&Record>, cx: &Cx, verifier: u64, result: &OpReply) {
        let expect = match confirmed {
            None => Expect::only(NFS4ERR_NOENT),
            Some(record) if record.verifier != verifier => Expect::only(NFS4ERR_NOT_SAME),
            Some(record) if record.uid != cx.uid => Expect::only(NFS4ERR_PERM),
            Some(_) => Expect::only(NFS4_OK),
        };
        check(&expect, result);
    }

    /// Whether a record could go: the oldest that nobody confirmed, or else one without a lease.
    fn makes_room_for_client(&mut self, now: u64) -> bool {
        let unconfirmed = self.records.iter().filter(|record| !record.is_confirmed);
        match unconfirmed.min_by_key(|record| record.renewed).map(|record| record.id) {
            Some(oldest) => self.records.retain(|record| record.id != oldest),
            None => return self.evict(now, |model, id| !model.is_v4_0(id)),
        }
        true
    }

    fn add_record(&mut self, cx: &Cx, owner: ClientNo, verifier: u64, result: &OpReply) {
        let answer = decoded::<ExchangeId>(result);
        let id = answer.clientid;
        assert!(!answer.flags.contains(ExchangeIdFlags::CONFIRMED_R), "nobody confirmed it");
        self.note_clientid(id);
        self.records.push(Record {
            id,
            owner,
            verifier,
            uid: cx.uid,
            is_confirmed: false,
            renewed: cx.now,
            sequence: answer.sequenceid.wrapping_sub(1),
            created: None,
            has_completed: false,
            reclaims: Reclaims::default(),
            protocol: Protocol::Sessions,
            confirm: None,
            is_canceled: false,
        });
    }

    pub(super) fn note_clientid(&mut self, id: ClientId) {
        assert!(!self.clientids.contains(&id), "{id:?} was given out before");
        self.clientids.push(id);
        // The epoch of the server is the first half of it, and of stateids.
        self.epoch.copy_from_slice(&id.0.to_be_bytes()[..4]);
    }

    /// RFC 8881 section 18.36.4.
    pub(super) fn create_session(&mut self, cx: &Cx, id: ClientId, sequence: u32, result: &OpReply) {
        if self.record(id).is_some_and(|record| self.is_forgotten(record, cx.now)) {
            self.records.retain(|record| record.id != id);
        }
        let Some(record) = self.record(id).filter(|record| record.is_of_sessions()) else {
            return check(&Expect::only(NFS4ERR_STALE_CLIENTID), result);
        };
        if sequence == record.sequence {
            let Some(created) = &record.created else {
                return check(&Expect::only(NFS4ERR_SEQ_MISORDERED), result);
            };
            check(&Expect::only(NFS4_OK), result);
            assert_eq!(result.body, *created, "the replay of CREATE_SESSION");
            return;
        }
        let mut wrong = Vec::new();
        if sequence != record.sequence.wrapping_add(1) {
            wrong.push(NFS4ERR_SEQ_MISORDERED);
        } else if record.uid != cx.uid {
            wrong.push(NFS4ERR_CLID_INUSE);
        } else if self.sessions_of(id) >= self.limits.sessions.sessions_per_client {
            wrong.push(NFS4ERR_NOSPC);
        }
        check(&Expect::unless(wrong), result);
        if result.status.is_ok() {
            self.session_created(cx, id, sequence, result);
        }
    }

    fn session_created(&mut self, cx: &Cx, id: ClientId, sequence: u32, result: &OpReply) {
        let owner = self.record(id).expect("a record").owner;
        let old = |record: &&Record| {
            record.owner == owner && record.is_confirmed && record.id != id && record.is_of_sessions()
        };
        if let Some(old) = self.records.iter().find(old).map(|record| record.id) {
            self.drop_client(old);
        }
        let answer = decoded::<CreateSession>(result);
        let record = self.record_mut(id);
        let is_new = !record.is_confirmed;
        record.is_confirmed = true;
        record.renewed = cx.now;
        record.sequence = sequence;
        record.created = Some(result.body.clone());
        assert!(self.sessions.iter().all(|session| session.id != answer.sessionid), "a session ID twice");
        self.sessions.push(Session::new(answer.sessionid, id, answer.fore_channel.max_requests));
        self.bound.push((cx.connection, answer.sessionid));
        if is_new {
            self.confirmed(id);
        }
    }

    fn sessions_of(&self, id: ClientId) -> usize {
        self.sessions.iter().filter(|session| session.client == id).count()
    }

    /// RFC 8881 section 18.50.
    pub(super) fn destroy_clientid(&mut self, cx: &Cx, id: ClientId, result: &OpReply) {
        let Some(record) = self.record(id).filter(|record| record.is_of_sessions()) else {
            return check(&Expect::only(NFS4ERR_STALE_CLIENTID), result);
        };
        let is_holding = self.has_sessions(id) || self.has_state(id);
        let expect = match (cx.client == Some(id), is_holding, self.is_expired(record, cx.now)) {
            (true, ..) | (_, true, false) => Expect::only(NFS4ERR_CLIENTID_BUSY),
            // What an expired client left behind may go, or be in the way.
            (_, true, true) => Expect::only(NFS4_OK).or(NFS4ERR_CLIENTID_BUSY),
            (_, false, _) => Expect::only(NFS4_OK),
        };
        check(&expect, result);
        if result.status.is_ok() {
            self.drop_client(id);
        }
    }

    /// RFC 8881 section 18.51.
    pub(super) fn reclaim_complete(&mut self, cx: &Cx, result: &OpReply) {
        let record = self.record_mut(cx.clientid());
        if record.has_completed {
            return check(&Expect::only(NFS4ERR_COMPLETE_ALREADY), result);
        }
        record.has_completed = true;
        check(&Expect::only(NFS4_OK), result);
        self.reclaimed_all(cx.clientid());
    }

    fn is_forgotten(&self, record: &Record, now: u64) -> bool {
        !record.is_confirmed && now - record.renewed > 2 * self.lease
    }

    fn drop_unconfirmed(&mut self, owner: ClientNo) {
        self.records.retain(|record| record.owner != owner || record.is_confirmed);
    }

    /// What the reaper takes.
    pub(crate) fn reap(&mut self, now: u64) {
        let has_lost = |id| self.revoked.iter().any(|revoked| revoked.client == id);
        let is_holding = |record: &Record| {
            self.has_state(record.id) || (has_lost(record.id) && now - record.renewed <= 10 * self.lease)
        };
        let is_due = |record: &&Record| {
            record.is_of_sessions()
                && (self.is_forgotten(record, now) || (self.is_expired(record, now) && !is_holding(record)))
        };
        let due: Vec<_> = self.records.iter().filter(is_due).map(|record| record.id).collect();
        for id in due {
            self.drop_client(id);
        }
        self.reap_v4_0(now);
        self.reap_delegations(now);
        self.end_grace_if_due(now);
    }

    /// A client is gone with all that it had.
    pub(crate) fn drop_client(&mut self, id: ClientId) {
        self.forget(id);
        self.drop_owners(id);
        self.records.retain(|record| record.id != id);
        self.sessions.retain(|session| session.client != id);
        self.opens.retain(|open| open.client != id);
        self.delegations.retain(|held| held.client != id);
        self.lock_states.retain(|state| state.client != id);
        self.held.retain(|held| held.client != id);
        self.revoked.retain(|revoked| revoked.client != id);
    }
}
