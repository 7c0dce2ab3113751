//! Minor version 0: clients by SETCLIENTID, and what its operations have of their own (RFC 7530 section 9.1).

use dittofs_framework::proto::{
    ClientId, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_CLID_INUSE, NFS4ERR_DELAY, NFS4ERR_EXPIRED,
    NFS4ERR_LOCKS_HELD, NFS4ERR_STALE_CLIENTID, NFS4ERR_STALE_STATEID, Stateid, Status,
};
use dittofs_framework::testing::{CompoundReply, OpReply};
use dittofs_framework::xdr::decode_all;
use dittofs_ops::open::{OPEN4_RESULT_CONFIRM, Open as OpenOp};
use dittofs_ops::setclientid::SetClientid;

use super::owners::{Kind, Name, stateid_of};
use super::{Cx, Expect, Model, Protocol, Record, Why, check, decoded};
use crate::simulation::request::{Claim, ClientNo, Op, OwnerNo, Request, V40};

/// A SETCLIENTID that nobody has confirmed.
#[derive(Debug)]
pub(crate) struct Unconfirmed {
    owner: ClientNo,
    pub(super) id: ClientId,
    verifier: u64,
    uid: u32,
    confirm: [u8; 8],
    since: u64,
}

impl Model {
    pub(super) fn operation_v4_0(&mut self, cx: &mut Cx, v40: &V40, op: &Op, result: &OpReply) {
        // Whose request it is shows by what it names.
        cx.client = cx.client.or(Some(ClientId(0)));
        let is_remembered = matches!(op, Op::SetClientid { .. } | Op::SetClientidConfirm { .. });
        if is_remembered && self.is_from_memory(cx, result) {
            return;
        }
        match op {
            Op::SetClientid { owner, verifier } => self.setclientid(cx, *owner, *verifier, result),
            Op::SetClientidConfirm { clientid, confirm } => self.confirm(cx, *clientid, *confirm, result),
            Op::Renew(clientid) => {
                let wrong = self.client_of(cx, *clientid).err();
                check(&Expect::unless(wrong.into_iter().collect()), result);
            }
            Op::LockTest { owner, kind, range } => match self.client_of(cx, v40.clientid) {
                Ok(()) => self.lock_test(cx, *owner, *kind, *range, result),
                // The file is looked at after the client, and before.
                Err(status) => check(&Expect::only(status), result),
            },
            Op::ReleaseLockowner(owner) => self.release_lockowner(cx, v40, *owner, result),
            Op::Read { stateid }
            | Op::Write { stateid, .. }
            | Op::SetAttributes { stateid, size: Some(_) }
            | Op::ReturnDelegation(stateid)
                if !stateid.is_special() =>
            {
                self.io_v4_0(cx, *stateid, op, result);
            }
            Op::SetAttributes { stateid, size: None } => {
                // The stateid says who asks, if it is one that is good for anything.
                let _ = self.use_stateid(cx, *stateid);
                self.run(cx, op, result);
            }
            Op::Open { .. }
            | Op::OpenConfirm(_)
            | Op::Downgrade { .. }
            | Op::Close(_)
            | Op::Lock { .. }
            | Op::Unlock { .. } => self.sequenced(cx, v40, op, result),
            _ => self.run(cx, op, result),
        }
    }

    /// Whether a request that came before was answered as it was then: those that it matters for are remembered for a while
    /// (RFC 7530 section 3.1.1).
    fn is_from_memory(&mut self, cx: &Cx, result: &OpReply) -> bool {
        let Some(number) = cx.number else { return false };
        let answer = (number, result.status, result.body.clone());
        let is_known = self.answered.contains(&answer);
        if !is_known {
            self.answered.push(answer);
        }
        is_known
    }

    /// Whether a request was answered before that must not be carried out twice: it is answered as it was then.
    pub(super) fn is_kept(&self, number: Option<u64>, reply: &CompoundReply) -> bool {
        let kept = self.kept.iter().find(|(known, _)| Some(*known) == number);
        if let Some((_, kept)) = kept {
            assert_eq!(reply.raw, *kept, "the answer to a retransmission");
        }
        kept.is_some()
    }

    pub(super) fn keep(&mut self, number: Option<u64>, request: &Request, reply: &CompoundReply) {
        let is_to_keep = |op: &Op| {
            matches!(
                op,
                Op::Remove(_) | Op::Rename { .. } | Op::SetAttributes { .. } | Op::ReturnDelegation(_)
            )
        };
        if let (Some(number), true) = (number, request.ops.iter().any(is_to_keep)) {
            self.kept.push((number, reply.raw.clone()));
        }
    }

    fn io_v4_0(&mut self, cx: &mut Cx, stateid: Stateid, op: &Op, result: &OpReply) {
        let is_return = matches!(op, Op::ReturnDelegation(_));
        let unconfirmed = self.owners.iter().any(|owner| {
            !is_return
                && owner.name.kind == Kind::Open
                && !owner.is_confirmed
                && owner.stateids.contains(&stateid.other)
        });
        // It renews no lease.
        if unconfirmed {
            return check(&Expect::only(NFS4ERR_BAD_STATEID), result);
        }
        match self.use_stateid(cx, stateid) {
            Err(mut wrong) => {
                wrong.extend(cx.file().and_then(|file| self.stale(file)));
                check(&Expect::unless(wrong), result);
            }
            Ok(()) => self.run(cx, op, result),
        }
    }

    /// The client whose stateid it is becomes the one that asks, and its lease is renewed.
    pub(super) fn use_stateid(&mut self, cx: &mut Cx, stateid: Stateid) -> Result<(), Vec<Status>> {
        let other = stateid.other;
        let of_open = self.opens.iter().find(|open| open.other == other).map(|open| open.client);
        let of_lock = self.lock_states.iter().find(|lock| lock.other == other).map(|lock| lock.client);
        let of_delegation = self.delegations.iter().find(|held| held.other == other).map(|held| held.client);
        let client = of_open.or(of_lock).or(of_delegation).filter(|id| self.is_v4_0(*id));
        let Some(client) = client else { return Err(self.stateid_errors(other)) };
        self.renew(client, cx.now);
        cx.client = Some(client);
        Ok(())
    }

    pub(super) fn is_v4_0(&self, id: ClientId) -> bool {
        self.record(id).is_some_and(|record| record.protocol == Protocol::V4_0)
    }

    /// What a stateid is answered with that leads nowhere.
    fn stateid_errors(&mut self, other: [u8; 12]) -> Vec<Status> {
        let is_special = Stateid { seqid: 0, other }.is_special();
        if !is_special && other[..4] != self.epoch {
            return vec![NFS4ERR_STALE_STATEID];
        }
        let revoked = self.revoked.iter().find(|revoked| revoked.other == other);
        match revoked.filter(|revoked| self.is_v4_0(revoked.client)).map(|revoked| revoked.why) {
            Some(Why::LeaseExpired) => return vec![NFS4ERR_EXPIRED],
            // With this the client has been told.
            Some(Why::NotReturned) => self.revoked.retain(|revoked| revoked.other != other),
            None => {}
        }
        // For a while it is known that it was of a client that is gone.
        if self.purged.contains(&other) {
            vec![NFS4ERR_BAD_STATEID, NFS4ERR_EXPIRED]
        } else {
            vec![NFS4ERR_BAD_STATEID]
        }
    }

    /// The client of an argument, whose lease is renewed.
    pub(super) fn client_of(&mut self, cx: &mut Cx, id: ClientId) -> Result<(), Status> {
        let record =
            self.records.iter_mut().find(|record| record.id == id && record.protocol == Protocol::V4_0);
        let record = record.ok_or(NFS4ERR_STALE_CLIENTID)?;
        if record.is_canceled {
            return Err(NFS4ERR_EXPIRED);
        }
        record.renewed = cx.now;
        cx.client = Some(id);
        self.note_name(cx, id);
        Ok(())
    }

    /// A client has named itself on the connection.
    fn note_name(&mut self, cx: &Cx, id: ClientId) {
        let is_there = |id: &ClientId| self.is_v4_0(*id) && !self.is_canceled(*id);
        let before = self.named.iter().find(|(connection, _)| *connection == cx.connection);
        let mut names = before.map(|(_, names)| names.clone()).unwrap_or_default();
        // Of several there is never one again.
        if names.len() == 1 {
            names.retain(is_there);
        }
        if !names.contains(&id) {
            names.push(id);
        }
        self.named.retain(|(connection, _)| *connection != cx.connection);
        self.named.push((cx.connection, names));
    }

    /// Who asks, as far as it is known: the client of a stateid, or else the only one that has named itself on the connection.
    pub(super) fn known_client(&self, cx: &Cx) -> Option<ClientId> {
        let named = self.named.iter().find(|(connection, _)| *connection == cx.connection);
        let only = || named.and_then(|(_, names)| (names.len() == 1).then(|| names[0]));
        cx.client.filter(|id| *id != ClientId(0)).or_else(only)
    }

    /// RFC 7530 section 16.33.5.
    fn setclientid(&mut self, cx: &Cx, owner: ClientNo, verifier: u64, result: &OpReply) {
        let known =
            self.records.iter().find(|record| record.owner == owner && record.protocol == Protocol::V4_0);
        let is_held = known.is_some_and(|record| {
            record.uid != cx.uid
                && !record.is_canceled
                && !self.is_expired(record, cx.now)
                && self.has_state(record.id)
        });
        if is_held {
            return check(&Expect::only(NFS4ERR_CLID_INUSE), result);
        }
        let is_update =
            |record: &&Record| !record.is_canceled && record.uid == cx.uid && record.verifier == verifier;
        let updated = known.filter(is_update).map(|record| record.id);
        self.unconfirmed.retain(|unconfirmed| unconfirmed.owner != owner);
        if updated.is_none() && self.ids_v4_0().len() >= self.limits.sessions.clients {
            let is_own = |unconfirmed: &Unconfirmed| self.record(unconfirmed.id).is_none();
            match self.unconfirmed.iter().position(is_own) {
                Some(oldest) => drop(self.unconfirmed.remove(oldest)),
                None if self.evict(cx.now, Self::is_v4_0) => {}
                None => return check(&Expect::only(NFS4ERR_DELAY), result),
            }
        }
        check(&Expect::only(NFS4_OK), result);
        let answer = decoded::<SetClientid>(result);
        let id = answer.clientid;
        match updated {
            Some(updated) => assert_eq!(id, updated, "an update of the callback"),
            None => self.note_clientid(id),
        }
        let (uid, confirm, since) = (cx.uid, answer.setclientid_confirm, cx.now);
        self.unconfirmed.push(Unconfirmed { owner, id, verifier, uid, confirm, since });
    }

    fn ids_v4_0(&self) -> Vec<ClientId> {
        let confirmed = self.records.iter().filter(|record| record.protocol == Protocol::V4_0);
        let unconfirmed = self.unconfirmed.iter().map(|unconfirmed| unconfirmed.id);
        let mut ids: Vec<_> = confirmed.map(|record| record.id).chain(unconfirmed).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// RFC 7530 section 16.34.5.
    fn confirm(&mut self, cx: &Cx, id: ClientId, confirm: [u8; 8], result: &OpReply) {
        let is_it = |unconfirmed: &Unconfirmed| (unconfirmed.id, unconfirmed.confirm) == (id, confirm);
        let Some(index) = self.unconfirmed.iter().position(is_it) else {
            let is_again = self.record(id).is_some_and(|record| record.confirm == Some(confirm));
            if is_again {
                self.note_name(cx, id);
            }
            let expected = if is_again { NFS4_OK } else { NFS4ERR_STALE_CLIENTID };
            return check(&Expect::only(expected), result);
        };
        check(&Expect::only(NFS4_OK), result);
        let Unconfirmed { owner, verifier, uid, .. } = self.unconfirmed.remove(index);
        if let Some(record) = self.records.iter_mut().find(|record| record.id == id) {
            record.confirm = Some(confirm);
            return self.note_name(cx, id);
        }
        let old = |record: &&Record| record.owner == owner && record.protocol == Protocol::V4_0;
        if let Some(old) = self.records.iter().find(old).map(|record| record.id) {
            self.drop_client(old);
        }
        self.records.push(Record::of_v4_0(id, (owner, verifier, uid), confirm, cx.now));
        self.confirmed(id);
        self.note_name(cx, id);
    }

    fn release_lockowner(&mut self, cx: &mut Cx, v40: &V40, owner: OwnerNo, result: &OpReply) {
        if let Err(status) = self.client_of(cx, v40.clientid) {
            return check(&Expect::only(status), result);
        }
        let client = v40.clientid;
        let is_holding = self.held.iter().any(|held| held.client == client && held.owner == owner);
        check(&Expect::unless(is_holding.then_some(NFS4ERR_LOCKS_HELD).into_iter().collect()), result);
        if !is_holding {
            self.lock_states.retain(|lock| (lock.client, lock.owner) != (client, owner));
            self.owners.retain(|known| known.name != Name { client, kind: Kind::Lock, owner });
        }
    }

    pub(super) fn run_in_turn(&mut self, cx: &mut Cx, op: &Op, name: Name, result: &OpReply) {
        let stateid = match op {
            Op::Open { claim, .. } => {
                self.run(cx, op, result);
                if result.status.is_ok() {
                    let owner = self.owners.iter().find(|owner| owner.name == name).expect("an owner");
                    let confirm = decoded::<OpenOp>(result).rflags & OPEN4_RESULT_CONFIRM != 0;
                    let is_due = !owner.is_confirmed && !matches!(claim, Claim::Previous(_));
                    assert_eq!(confirm, is_due, "OPEN4_RESULT_CONFIRM");
                }
                return;
            }
            _ => stateid_of(op),
        };
        if let Err(mut wrong) = self.use_stateid(cx, stateid) {
            if let Op::Lock { right, .. } = op {
                cx.client = Some(name.client);
                wrong.extend(self.check_claim(cx, *right));
                wrong.extend(self.is_canceled(name.client).then_some(NFS4ERR_EXPIRED));
            }
            wrong.extend(cx.file().and_then(|file| self.stale(file)));
            return check(&Expect::unless(wrong), result);
        }
        match op {
            Op::OpenConfirm(stateid) => {
                let found = self.find_open(cx, *stateid).map(|open| open.other);
                check(&Expect::unless(found.err().into_iter().collect()), result);
                if let Ok(other) = found {
                    let open = self.opens.iter_mut().find(|open| open.other == other).expect("an open");
                    open.seqid += 1;
                    let answer: Stateid = decode_all(&result.body).expect("a stateid");
                    assert_eq!(answer, Stateid { seqid: open.seqid, other }, "the stateid of OPEN_CONFIRM");
                }
            }
            _ => self.run(cx, op, result),
        }
    }

    pub(super) fn is_canceled(&self, id: ClientId) -> bool {
        self.record(id).is_some_and(|record| record.is_canceled)
    }

    /// What the reaper takes of minor version 0.
    pub(super) fn reap_v4_0(&mut self, now: u64) {
        let lease = self.lease;
        self.unconfirmed.retain(|unconfirmed| now - unconfirmed.since <= 2 * lease);
        let is_over = |record: &&Record| {
            let remembered = self.revoked.iter().any(|revoked| revoked.client == record.id);
            let idle = now - record.renewed;
            let is_idle = idle > lease && !self.has_state(record.id) && !remembered;
            if record.is_canceled { idle > 10 * lease } else { is_idle }
        };
        let of_v4_0 = self.records.iter().filter(|record| record.protocol == Protocol::V4_0);
        let over: Vec<_> = of_v4_0.filter(is_over).map(|record| record.id).collect();
        for id in over {
            self.drop_client(id);
        }
        self.reap_owners(now);
    }
}
