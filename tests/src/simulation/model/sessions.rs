//! Sessions and their slots: SEQUENCE, the replay of replies, DESTROY_SESSION.

use dittofs_framework::proto::{
    ClientId, NFS4_OK, NFS4ERR_BADSESSION, NFS4ERR_BADSLOT, NFS4ERR_CONN_NOT_BOUND_TO_SESSION,
    NFS4ERR_RETRY_UNCACHED_REP, NFS4ERR_SEQ_FALSE_RETRY, NFS4ERR_SEQ_MISORDERED, Sequence4Args, SessionId,
    Status,
};
use dittofs_framework::testing::{CompoundReply, OpReply};
use dittofs_ops::sequence::Sequence;

use super::{Cx, Expect, Model, check, decoded};
use crate::simulation::request::{Op, Request};

/// What became of a request that begins with SEQUENCE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// Its operations were carried out.
    Runs,
    /// It is a retry, or was refused: nothing was done.
    Not,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) client: ClientId,
    slots: Vec<Slot>,
}

/// A slot: its last request and the reply.
#[derive(Debug, Default)]
struct Slot {
    sequenceid: u32,
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    uid: u32,
    ops: Vec<Op>,
    cache_this: bool,
    reply: CompoundReply,
}

impl Session {
    pub(crate) fn new(id: SessionId, client: ClientId, slots: u32) -> Self {
        Self { id, client, slots: (0..slots).map(|_| Slot::default()).collect() }
    }
}

enum Turn {
    New,
    Retry,
    Wrong(Status),
}

impl Slot {
    fn turn(&self, sequenceid: u32, request: &Request) -> Turn {
        if sequenceid == self.sequenceid.wrapping_add(1) {
            return Turn::New;
        }
        match &self.last {
            Some(last) if sequenceid == self.sequenceid => {
                if last.uid == request.uid && last.ops == request.ops {
                    Turn::Retry
                } else {
                    Turn::Wrong(NFS4ERR_SEQ_FALSE_RETRY)
                }
            }
            _ => Turn::Wrong(NFS4ERR_SEQ_MISORDERED),
        }
    }
}

impl Model {
    pub(super) fn sequence(
        &mut self,
        cx: &mut Cx,
        args: &Sequence4Args,
        request: &Request,
        reply: &CompoundReply,
        first: &OpReply,
    ) -> Admitted {
        let Some(session) = self.sessions.iter().find(|session| session.id == args.sessionid) else {
            check(&Expect::only(NFS4ERR_BADSESSION), first);
            return Admitted::Not;
        };
        let client = session.client;
        self.bound.push((cx.connection, args.sessionid));
        let slot = usize::try_from(args.slotid).expect("a slot");
        let Some(slot) = session.slots.get(slot) else {
            check(&Expect::only(NFS4ERR_BADSLOT), first);
            return Admitted::Not;
        };
        match slot.turn(args.sequenceid, request) {
            Turn::Wrong(status) => {
                check(&Expect::only(status), first);
                Admitted::Not
            }
            Turn::Retry => {
                check_replay(slot.last.as_ref().expect("a reply"), reply);
                self.renew(client, cx.now);
                Admitted::Not
            }
            Turn::New => {
                check(&Expect::only(NFS4_OK), first);
                self.renew(client, cx.now);
                self.check_sequence(args, client, first);
                cx.client = Some(client);
                cx.session = Some(args.sessionid);
                Admitted::Runs
            }
        }
    }

    fn check_sequence(&self, args: &Sequence4Args, client: ClientId, first: &OpReply) {
        let answer = decoded::<Sequence>(first);
        assert_eq!(
            (answer.sessionid, answer.sequenceid, answer.slotid),
            (args.sessionid, args.sequenceid, args.slotid),
            "SEQUENCE answers another request"
        );
        assert_eq!(answer.status_flags, self.status_flags(client), "sr_status_flags");
    }

    /// The slot remembers a request that was carried out.
    pub(super) fn keep_reply(&mut self, args: &Sequence4Args, request: &Request, reply: &CompoundReply) {
        // The request may have destroyed its own session.
        let Some(session) = self.sessions.iter_mut().find(|session| session.id == args.sessionid) else {
            return;
        };
        let slot = usize::try_from(args.slotid).expect("a slot");
        session.slots[slot] = Slot {
            sequenceid: args.sequenceid,
            last: Some(Last {
                uid: request.uid,
                ops: request.ops.clone(),
                cache_this: args.cache_this,
                reply: reply.clone(),
            }),
        };
    }

    /// RFC 8881 section 18.37.
    pub(super) fn destroy_session(&mut self, cx: &Cx, id: SessionId, result: &OpReply) {
        let mut wrong = Vec::new();
        if !self.sessions.iter().any(|session| session.id == id) {
            wrong.push(NFS4ERR_BADSESSION);
        } else if !self.bound.contains(&(cx.connection, id)) {
            wrong.push(NFS4ERR_CONN_NOT_BOUND_TO_SESSION);
        }
        check(&Expect::unless(wrong), result);
        if result.status.is_ok() {
            self.sessions.retain(|session| session.id != id);
        }
    }
}

/// RFC 8881 section 2.10.6.1.3: the reply byte for byte, or, if it was not to be kept, a word that it was not.
fn check_replay(last: &Last, reply: &CompoundReply) {
    let is_short =
        last.reply.results.len() < 2 || (last.reply.results.len() == 2 && !last.reply.status.is_ok());
    if last.cache_this || is_short {
        assert_eq!(reply.raw, last.reply.raw, "the replay differs from the reply");
        return;
    }
    assert_eq!(reply.status, NFS4ERR_RETRY_UNCACHED_REP, "the replay of what was not cached");
    assert_eq!(reply.results.len(), 2);
    assert_eq!(reply.results[0].body, last.reply.results[0].body, "SEQUENCE in a replay");
    assert_eq!(reply.results[1].opnum, last.reply.results[1].opnum);
}
