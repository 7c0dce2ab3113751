//! What a client makes of replies.

use bytes::Bytes;
use dittofs_framework::proto::{
    ExchangeIdFlags, NFS4ERR_BAD_STATEID, NFS4ERR_BADSESSION, NFS4ERR_COMPLETE_ALREADY,
    NFS4ERR_DELEG_REVOKED, NFS4ERR_EXPIRED, NFS4ERR_RETRY_UNCACHED_REP, NFS4ERR_STALE_CLIENTID, NfsFh4,
    SequenceStatus, Stateid, Status,
};
use dittofs_framework::testing::{CompoundReply, OpReply};
use dittofs_framework::xdr::decode_all;
use dittofs_ops::create_session::CreateSession;
use dittofs_ops::exchange_id::ExchangeId;
use dittofs_ops::getfh::GetFh;
use dittofs_ops::open::{OPEN4_RESULT_NO_OPEN_STATEID, Open};
use dittofs_ops::sequence::Sequence;
use dittofs_ops::test_stateid::TestStateid;

use super::knowledge::{KnownLock, KnownOpen};
use super::{Client, Held, Pending};
use crate::simulation::belief::Mark;
use crate::simulation::request::{Claim, FileNo, Handles, Locker, Op};

impl Client {
    /// A reply came. If nobody waits for it any more, it is a duplicate.
    pub(crate) fn receive(
        &mut self,
        id: u64,
        body: &Bytes,
        handles: &Handles,
        (now, lease): (u64, u64),
    ) -> Option<CompoundReply> {
        let index = self.pending.iter().position(|pending| pending.id == id)?;
        let mut pending = self.pending.remove(index);
        if !self.has_lease(now, lease) {
            self.belief.lose_all();
        }
        // What was granted so long ago may be gone again.
        pending.mark.is_late |= now - pending.sent > lease;
        let reply = pending.compound.reply(body);
        match pending.request.sequence {
            _ if pending.request.v4_0.is_some() => self.receive_v4_0(&pending, &reply, handles),
            Some(_) => self.receive_in_session(&pending, &reply, handles),
            None => self.receive_alone(&pending, &reply),
        }
        self.belief.ended(&pending.mark);
        Some(reply)
    }

    fn receive_in_session(&mut self, pending: &Pending, reply: &CompoundReply, handles: &Handles) {
        let sequence = pending.request.sequence.expect("SEQUENCE");
        let first = &reply.results[0];
        if !first.status.is_ok() {
            assert_eq!(first.status, NFS4ERR_BADSESSION, "SEQUENCE of a request that was in order");
            return self.forget_session(sequence.sessionid);
        }
        let slot = usize::try_from(sequence.slotid).expect("a slot");
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == sequence.sessionid) {
            session.next[slot] = session.next[slot].wrapping_add(1);
        }
        self.renewed = self.renewed.max(Some(pending.sent));
        let lost = SequenceStatus::EXPIRED_SOME_STATE_REVOKED
            | SequenceStatus::EXPIRED_ALL_STATE_REVOKED
            | SequenceStatus::RECALLABLE_STATE_REVOKED;
        let flags = decoded::<Sequence>(first).status_flags;
        self.is_missing_state = flags.intersects(lost);
        self.is_told_to_reclaim = flags.contains(SequenceStatus::RESTART_RECLAIM_NEEDED);
        if reply.status == NFS4ERR_RETRY_UNCACHED_REP {
            return;
        }
        let made = made_file(&reply.results, handles);
        let mut at = Place { file: None, current: None };
        for (op, result) in pending.request.ops.iter().zip(&reply.results[1..]) {
            if result.status.is_ok() {
                self.succeeded(&mut at, op, result, made, &pending.mark);
            } else {
                self.failed(op, result.status);
            }
        }
    }

    fn succeeded(&mut self, at: &mut Place, op: &Op, result: &OpReply, made: Option<FileNo>, mark: &Mark) {
        match op {
            Op::PutFile(file) => at.file = Some(*file),
            Op::ReclaimComplete => {
                self.needs_complete = false;
                self.afterthoughts = if self.is_told_to_reclaim { 2 } else { 0 };
                self.wants.clear();
            }
            Op::Open { owner, share, claim, .. } => {
                let answer = decoded::<Open>(result);
                let is_by_name = matches!(claim, Claim::Name(_) | Claim::Delegated(..));
                at.file = if is_by_name { made } else { at.file };
                let is_open = answer.rflags & OPEN4_RESULT_NO_OPEN_STATEID == 0;
                at.current = if is_open { Some(answer.stateid) } else { answer.delegation.stateid() };
                let Some(file) = at.file else { return };
                self.delegated(mark, &answer.delegation, file);
                if !is_open {
                    self.opened_by_delegation(file, *owner, *share);
                    return;
                }
                let stateid = answer.stateid;
                self.knowledge.opened(KnownOpen { stateid, file, owner: *owner, share: *share });
                self.belief.gain_open(mark, stateid.other, file, *share);
            }
            Op::Lock { locker, kind, range, .. } => {
                let stateid: Stateid = decode_all(&result.body).expect("a stateid");
                let (open, owner) = match locker {
                    Locker::Open(open, owner) => (at.resolve(*open), *owner),
                    Locker::Existing(known) => {
                        let Some(lock) = self.knowledge.lock(*known) else { return };
                        (Stateid { seqid: 0, other: lock.open }, lock.owner)
                    }
                };
                at.current = Some(stateid);
                let Some(file) = at.file else { return };
                self.knowledge.locked(KnownLock { stateid, file, owner, open: open.other });
                self.belief.gain_lock(mark, (file, owner, *kind), *range, (stateid.other, open.other));
            }
            // What the same compound had gained before is given up here.
            Op::Unlock { range, .. } => {
                at.file.into_iter().for_each(|file| self.belief.give_up_range(file, None, *range));
                self.knowledge.advanced(decode_all(&result.body).expect("a stateid"));
            }
            Op::Downgrade { share, .. } => {
                let stateid: Stateid = decode_all(&result.body).expect("a stateid");
                self.belief.narrow(stateid.other, *share);
                self.knowledge.advanced(stateid);
                self.knowledge.narrowed(stateid.other, *share);
            }
            Op::Close(stateid) => {
                self.belief.give_up_open(at.resolve(*stateid).other);
                self.knowledge.gone(at.resolve(*stateid));
            }
            Op::TestStateid(stateids) => {
                let answers = decoded::<TestStateid>(result).tsr_status_codes;
                for (stateid, _) in stateids.iter().zip(answers).filter(|(_, answer)| is_lost(*answer)) {
                    self.knowledge.gone(*stateid);
                    self.knowledge.lost(*stateid);
                }
            }
            Op::ReturnDelegation(stateid) => {
                self.belief.give_up_delegation(at.resolve(*stateid).other);
                self.knowledge.gone(at.resolve(*stateid));
            }
            Op::FreeStateid(stateid) => {
                self.belief.give_up_lock_state(at.resolve(*stateid).other);
                self.knowledge.gone(at.resolve(*stateid));
            }
            _ => {}
        }
    }

    /// A stateid that does not exist any more is forgotten.
    fn failed(&mut self, op: &Op, status: Status) {
        if status == NFS4ERR_COMPLETE_ALREADY {
            self.needs_complete = false;
        }
        if status != NFS4ERR_BAD_STATEID && !is_lost(status) {
            return;
        }
        let stateid = match op {
            Op::Close(stateid)
            | Op::FreeStateid(stateid)
            | Op::ReturnDelegation(stateid)
            | Op::Downgrade { stateid, .. }
            | Op::Unlock { stateid, .. }
            | Op::Lock { locker: Locker::Open(stateid, _) | Locker::Existing(stateid), .. } => *stateid,
            _ => return,
        };
        let is_current = |known: Stateid| known.other == stateid.other && stateid.seqid <= known.seqid;
        if self.knowledge.stateids().into_iter().any(is_current) {
            self.knowledge.gone(stateid);
            if is_lost(status) {
                self.knowledge.lost(stateid);
            }
        }
    }

    fn receive_alone(&mut self, pending: &Pending, reply: &CompoundReply) {
        let status = reply.status;
        match &pending.request.ops[0] {
            Op::ExchangeId { update: false, .. } if status.is_ok() => {
                let answer = reply.get::<ExchangeId>();
                if self.clientid != Some(answer.clientid) {
                    let wants = std::mem::take(&mut self.wants);
                    self.forget_client();
                    self.wants = wants;
                    self.clientid = Some(answer.clientid);
                }
                self.create_sequence = answer.sequenceid;
                self.needs_complete &= !answer.flags.contains(ExchangeIdFlags::CONFIRMED_R);
            }
            Op::CreateSession { clientid, sequence } if Some(*clientid) == self.clientid => {
                if status == NFS4ERR_STALE_CLIENTID {
                    return self.lose_clientid();
                }
                // Anything else that is wrong shows by asking again who one is.
                if !status.is_ok() {
                    return;
                }
                let answer = reply.get::<CreateSession>();
                self.create_sequence = sequence.wrapping_add(1);
                self.renewed = self.renewed.max(Some(pending.sent));
                let slots = usize::try_from(answer.fore_channel.max_requests).expect("few slots");
                self.sessions.push(Held { id: answer.sessionid, next: vec![1; slots] });
            }
            Op::DestroySession(id) if status.is_ok() || status == NFS4ERR_BADSESSION => {
                self.forget_session(*id);
            }
            Op::DestroyClientid(id)
                if Some(*id) == self.clientid && (status.is_ok() || status == NFS4ERR_STALE_CLIENTID) =>
            {
                self.forget_client();
            }
            _ => {}
        }
    }
}

/// Whether it was revoked, and the client is to say that it knows.
fn is_lost(status: Status) -> bool {
    status == NFS4ERR_EXPIRED || status == NFS4ERR_DELEG_REVOKED
}

/// The current filehandle and stateid.
struct Place {
    file: Option<FileNo>,
    current: Option<Stateid>,
}

impl Place {
    fn resolve(&self, stateid: Stateid) -> Stateid {
        self.current.filter(|_| stateid == Stateid::CURRENT).unwrap_or(stateid)
    }
}

/// Which file the GETFH behind an OPEN names.
pub(super) fn made_file(results: &[OpReply], handles: &Handles) -> Option<FileNo> {
    use dittofs_framework::op::Operation as _;
    let result =
        results.iter().find(|result| result.opnum == GetFh::DESCRIPTOR.opnum && result.status.is_ok())?;
    let fh: NfsFh4 = decoded::<GetFh>(result).object;
    handles.files.iter().position(|known| *known == fh).map(FileNo)
}

fn decoded<O>(result: &OpReply) -> O::Res
where
    O: dittofs_framework::op::Operation<Res: dittofs_framework::xdr::XdrDecode>,
{
    decode_all(&result.body).expect("the result decodes")
}
