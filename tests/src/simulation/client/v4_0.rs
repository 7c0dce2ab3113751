//! A client of minor version 0: one request after the other, each owner with its sequence.

use dittofs_framework::proto::{
    ClientId, Minor, NFS4ERR_BAD_SEQID, NFS4ERR_BAD_STATEID, NFS4ERR_EXPIRED, NFS4ERR_STALE_CLIENTID,
    NFS4ERR_STALE_STATEID, Stateid,
};
use dittofs_framework::testing::CompoundReply;
use dittofs_framework::xdr::decode_all;
use dittofs_ops::open::{OPEN4_RESULT_CONFIRM, Open};
use dittofs_ops::setclientid::SetClientid;

use super::actions::{View, kind, one_of, owner, range, share};
use super::delegations::{place, value};
use super::knowledge::{KnownLock, KnownOpen, Want};
use super::replies::made_file;
use super::{Client, Intent, Pending};
use crate::Random;
use crate::simulation::model::advances;
use crate::simulation::request::{
    Claim, FileNo, Handles, How, Locker, NameNo, Op, OwnerNo, Request, Right, V40, Wish,
};

/// What it has in place of sessions.
#[derive(Debug, Default)]
pub(super) struct Old {
    /// What confirms its client ID.
    confirm: [u8; 8],
    is_confirmed: bool,
    /// The last seqid of each owner.
    open_seqids: Vec<(OwnerNo, u32)>,
    lock_seqids: Vec<(OwnerNo, u32)>,
    /// Open-owners that are to be confirmed.
    unconfirmed: Vec<OwnerNo>,
}

/// Whose sequence a request belongs to, if it opens.
fn opener_of(ops: &[Op]) -> OwnerNo {
    let opener = ops.iter().find_map(|op| match op {
        Op::Open { owner, .. } => Some(*owner),
        _ => None,
    });
    opener.unwrap_or(OwnerNo(0))
}

fn last(seqids: &[(OwnerNo, u32)], owner: OwnerNo) -> u32 {
    seqids.iter().find(|(known, _)| *known == owner).map_or(7, |(_, last)| *last)
}

fn advance(seqids: &mut Vec<(OwnerNo, u32)>, owner: OwnerNo) {
    let next = last(seqids, owner) + 1;
    seqids.retain(|(known, _)| *known != owner);
    seqids.push((owner, next));
}

impl Client {
    /// What to do now.
    pub(super) fn next_v4_0(&mut self, rng: &mut Random, view: &View) -> Intent {
        if !self.pending.is_empty() {
            return Intent::Nothing;
        }
        if rng.below(4) > 0
            && let Some(ops) = self.due_return(rng, view)
        {
            let opener = opener_of(&ops);
            return Intent::Send(vec![self.ask_v4_0((opener, OwnerNo(0)), ops)]);
        }
        let request = match self.clientid {
            None => self.ask_v4_0((OwnerNo(0), OwnerNo(0)), vec![self.identify_v4_0()]),
            Some(_) if rng.below(80) == 0 => {
                self.ask_v4_0((OwnerNo(0), OwnerNo(0)), vec![self.identify_v4_0()])
            }
            Some(clientid) if !self.old.is_confirmed => {
                let confirm = Op::SetClientidConfirm { clientid, confirm: self.old.confirm };
                self.ask_v4_0((OwnerNo(0), OwnerNo(0)), vec![confirm])
            }
            Some(clientid) if rng.below(10) == 0 => {
                self.ask_v4_0((OwnerNo(0), OwnerNo(0)), vec![Op::Renew(clientid)])
            }
            Some(_) => self.work_v4_0(rng, view),
        };
        Intent::Send(vec![request])
    }

    fn identify_v4_0(&self) -> Op {
        Op::SetClientid { owner: self.no, verifier: self.verifier }
    }

    fn ask_v4_0(&self, (opener, locker): (OwnerNo, OwnerNo), ops: Vec<Op>) -> Request {
        let v40 = V40 {
            clientid: self.clientid.unwrap_or(ClientId(0)),
            seqid: last(&self.old.open_seqids, opener) + 1,
            lock_seqid: last(&self.old.lock_seqids, locker) + 1,
        };
        Request { minor: Minor::V0, uid: self.uid, sequence: None, v4_0: Some(v40), ops }
    }

    fn work_v4_0(&mut self, rng: &mut Random, view: &View) -> Request {
        let unconfirmed = |open: &&KnownOpen| self.old.unconfirmed.contains(&open.owner);
        if let Some(open) = self.knowledge.opens.iter().find(unconfirmed).copied()
            && rng.below(12) > 0
        {
            let ops = Self::on(open.file, Op::OpenConfirm(open.stateid));
            return self.ask_v4_0((open.owner, OwnerNo(0)), ops);
        }
        if let Some(Want { file, owner, share, delegation, .. }) = self.wants.pop() {
            let (how, claim, wish) = (How::NoCreate, Claim::Previous(delegation), Wish::default());
            let open = Op::Open { owner, share, how, claim, wish };
            return self.ask_v4_0((owner, OwnerNo(0)), vec![Op::PutFile(file), open, Op::GetFh]);
        }
        if rng.below(8) == 0 {
            self.open_by_delegation(rng);
        }
        match self.any_delegation(rng) {
            Some(held) if rng.below(8) == 0 => {
                let ops = self.work_on_delegation(rng, view, held, held.stateid);
                return self.ask_v4_0((opener_of(&ops), OwnerNo(0)), ops);
            }
            _ if rng.below(12) == 0 => {
                let ops = self.change(rng, view);
                return self.ask_v4_0((OwnerNo(0), OwnerNo(0)), ops);
            }
            _ => {}
        }
        let open = one_of(rng, &self.knowledge.opens);
        let lock = one_of(rng, &self.knowledge.locks);
        match (rng.below(20), open, lock) {
            (0..=1, ..) => {
                let test = Op::LockTest { owner: owner(rng), kind: kind(rng), range: range(rng) };
                self.ask_v4_0((OwnerNo(0), OwnerNo(0)), Self::on(FileNo(rng.below(view.files)), test))
            }
            (2..=3, ..) => {
                let stateid = match open {
                    Some(open) if rng.below(4) > 0 => open.stateid,
                    _ => {
                        // There is no current stateid in minor version 0.
                        let any = Some(self.any_stateid(rng, view)).filter(|any| *any != Stateid::CURRENT);
                        let any = any.unwrap_or(Stateid::ANONYMOUS);
                        rng.one_of(&[Stateid::ANONYMOUS, Stateid::READ_BYPASS, any])
                    }
                };
                let file = open.map_or(FileNo(rng.below(view.files)), |open| open.file);
                let write = Op::Write { stateid, at: place(rng), value: value(rng) };
                let op = if rng.below(2) == 0 { Op::Read { stateid } } else { write };
                self.ask_v4_0((OwnerNo(0), OwnerNo(0)), Self::on(file, op))
            }
            (4..=9, Some(open), _) => self.work_on_open_v4_0(rng, &open),
            (10..=13, _, Some(lock)) => self.work_on_lock_v4_0(rng, &lock),
            (14, ..) => self.ask_v4_0((OwnerNo(0), OwnerNo(0)), vec![Op::ReleaseLockowner(owner(rng))]),
            _ => self.open_v4_0(rng, view),
        }
    }

    fn open_v4_0(&self, rng: &mut Random, view: &View) -> Request {
        let (owner, share) = (owner(rng), share(rng));
        let how = rng.one_of(&[How::NoCreate, How::Unchecked, How::Unchecked, How::Guarded]);
        let claim = Claim::Name(NameNo(rng.below(view.names)));
        let open = Op::Open { owner, share, how, claim, wish: Wish::default() };
        self.ask_v4_0((owner, OwnerNo(0)), vec![Op::PutDir, open, Op::GetFh])
    }

    fn work_on_open_v4_0(&self, rng: &mut Random, open: &KnownOpen) -> Request {
        let stateid = match rng.below(12) {
            0 => Stateid { seqid: open.stateid.seqid.wrapping_sub(1), ..open.stateid },
            _ => open.stateid,
        };
        let locker = owner(rng);
        let op = match rng.below(8) {
            0..=1 => Op::Close(stateid),
            2 => Op::Downgrade { stateid, share: share(rng) },
            _ => {
                let (kind, range) = (kind(rng), range(rng));
                Op::Lock { locker: Locker::Open(stateid, locker), kind, range, right: Right::New }
            }
        };
        self.ask_v4_0((open.owner, locker), Self::on(open.file, op))
    }

    fn work_on_lock_v4_0(&self, rng: &mut Random, lock: &KnownLock) -> Request {
        let op = if rng.below(2) == 0 {
            Op::Unlock { stateid: lock.stateid, range: range(rng) }
        } else {
            let (kind, range) = (kind(rng), range(rng));
            Op::Lock { locker: Locker::Existing(lock.stateid), kind, range, right: Right::New }
        };
        self.ask_v4_0((OwnerNo(0), lock.owner), Self::on(lock.file, op))
    }

    pub(super) fn receive_v4_0(&mut self, pending: &Pending, reply: &CompoundReply, handles: &Handles) {
        let made = made_file(&reply.results, handles);
        let mut file = None;
        for (op, result) in pending.request.ops.iter().zip(&*reply.results) {
            let status = result.status;
            if advances(status) {
                self.advance_v4_0(op);
            }
            if status == NFS4ERR_STALE_CLIENTID || status == NFS4ERR_STALE_STATEID {
                return self.lose_clientid();
            }
            // What an owner may be told that the network played a trick on: it begins anew.
            if status == NFS4ERR_EXPIRED || status == NFS4ERR_BAD_SEQID {
                self.verifier += u64::from(status == NFS4ERR_BAD_SEQID);
                return self.forget_client();
            }
            if let (Op::ReturnDelegation(stateid), NFS4ERR_BAD_STATEID) = (op, status) {
                self.knowledge.gone(*stateid);
            }
            if !status.is_ok() {
                return;
            }
            match op {
                Op::PutFile(at) => file = Some(*at),
                Op::Open { claim: Claim::Name(_) | Claim::Delegated(..), .. } => file = made,
                _ => {}
            }
            // RFC 7530 section 9.5: neither of the first two ever renews a lease.
            let renews = !matches!(
                op,
                Op::SetClientid { .. }
                    | Op::SetClientidConfirm { .. }
                    | Op::PutDir
                    | Op::PutFile(_)
                    | Op::SaveFh
                    | Op::Remove(_)
                    | Op::Rename { .. }
                    | Op::SetAttributes { .. }
                    | Op::Read { .. }
                    | Op::Write { .. }
            );
            if renews {
                self.renewed = self.renewed.max(Some(pending.sent));
            }
            let request = (pending, op);
            self.succeeded_v4_0(request, &result.body, file);
        }
    }

    fn advance_v4_0(&mut self, op: &Op) {
        let opener = match op {
            Op::Open { owner, .. } => Some(*owner),
            Op::OpenConfirm(stateid) | Op::Close(stateid) | Op::Downgrade { stateid, .. } => {
                self.open_owner(*stateid)
            }
            Op::Lock { locker: Locker::Open(stateid, _), .. } => self.open_owner(*stateid),
            _ => None,
        };
        if let Some(opener) = opener {
            advance(&mut self.old.open_seqids, opener);
        }
        let locker = match op {
            Op::Lock { locker, .. } => self.knowledge.owner_of(*locker),
            Op::Unlock { stateid, .. } => self.knowledge.lock_owner(*stateid),
            _ => None,
        };
        if let Some(locker) = locker {
            advance(&mut self.old.lock_seqids, locker);
        }
    }

    fn open_owner(&self, stateid: Stateid) -> Option<OwnerNo> {
        let open = self.knowledge.opens.iter().find(|open| open.stateid.other == stateid.other);
        open.map(|open| open.owner)
    }

    fn succeeded_v4_0(&mut self, (pending, op): (&Pending, &Op), body: &bytes::Bytes, file: Option<FileNo>) {
        let mark = &pending.mark;
        match op {
            Op::SetClientid { .. } => {
                let answer: <SetClientid as dittofs_framework::op::Operation>::Res =
                    decode_all(body).expect("SETCLIENTID4resok");
                if self.clientid != Some(answer.clientid) {
                    let wants = std::mem::take(&mut self.wants);
                    self.forget_client();
                    self.wants = wants;
                    self.clientid = Some(answer.clientid);
                }
                self.old.confirm = answer.setclientid_confirm;
                self.old.is_confirmed = false;
            }
            Op::SetClientidConfirm { .. } => self.old.is_confirmed = true,
            Op::Open { owner, share, .. } => {
                let answer: <Open as dittofs_framework::op::Operation>::Res =
                    decode_all(body).expect("OPEN4resok");
                let (stateid, Some(file)) = (answer.stateid, file) else { return };
                self.delegated(mark, &answer.delegation, file);
                self.knowledge.opened(KnownOpen { stateid, file, owner: *owner, share: *share });
                if answer.rflags & OPEN4_RESULT_CONFIRM != 0 {
                    self.old.unconfirmed.push(*owner);
                } else {
                    self.belief.gain_open(mark, stateid.other, file, *share);
                }
            }
            Op::OpenConfirm(stateid) => {
                let confirmed = self.open_owner(*stateid);
                self.old.unconfirmed.retain(|owner| Some(*owner) != confirmed);
                self.knowledge.advanced(decode_all(body).expect("a stateid"));
            }
            Op::Lock { locker, kind, range, .. } => {
                let stateid: Stateid = decode_all(body).expect("a stateid");
                let (open, owner) = match locker {
                    Locker::Open(open, owner) => (open.other, *owner),
                    Locker::Existing(known) => {
                        let Some(lock) = self.knowledge.lock(*known) else { return };
                        (lock.open, lock.owner)
                    }
                };
                let Some(file) = file else { return };
                self.knowledge.locked(KnownLock { stateid, file, owner, open });
                self.belief.gain_lock(mark, (file, owner, *kind), *range, (stateid.other, open));
            }
            Op::Unlock { .. } => self.knowledge.advanced(decode_all(body).expect("a stateid")),
            Op::Downgrade { share, .. } => {
                let stateid: Stateid = decode_all(body).expect("a stateid");
                self.knowledge.advanced(stateid);
                self.knowledge.narrowed(stateid.other, *share);
            }
            Op::Close(stateid) | Op::ReturnDelegation(stateid) => self.knowledge.gone(*stateid),
            Op::ReleaseLockowner(owner) => {
                self.old.lock_seqids.retain(|(known, _)| known != owner);
                let of_owner = |lock: &&KnownLock| lock.owner == *owner;
                for lock in self.knowledge.locks.iter().filter(of_owner).copied().collect::<Vec<_>>() {
                    self.knowledge.gone(lock.stateid);
                }
            }
            _ => {}
        }
    }
}
