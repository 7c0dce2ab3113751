//! A client machine: what it knows, what it waits for, and how it deals with what it is told.

mod actions;
mod delegations;
mod knowledge;
mod replies;
mod v4_0;

use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::proto::{ClientId, Minor, Sequence4Args, SessionId, Stateid};
use dittofs_framework::rpc::Connection;
use dittofs_framework::testing::Compound;

pub(crate) use actions::View;
use knowledge::{Knowledge, KnownOpen, Want};
use v4_0::Old;

use super::belief::{Belief, GivesUp, Mark};
use super::model::Incarnation;
use super::request::{ClientNo, FileNo, Kind, Locker, Op, OwnerNo, Request, Share};
use crate::{BOTH, READ, Random};

/// A request that a client waits for.
pub(crate) struct Pending {
    pub(crate) id: u64,
    pub(crate) request: Request,
    compound: Compound,
    pub(crate) bytes: Bytes,
    /// When it was sent first, and last.
    sent: u64,
    pub(crate) resent: u64,
    pub(crate) mark: Mark,
}

impl Pending {
    fn sessionid(&self) -> Option<SessionId> {
        self.request.sequence.map(|sequence| sequence.sessionid)
    }
}

/// A session as its client sees it.
struct Held {
    id: SessionId,
    /// The next sequence ID of each slot.
    next: Vec<u32>,
}

/// What a client is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Working,
    /// It closes everything, and then destroys sessions and client ID.
    Leaving,
}

pub(crate) struct Client {
    pub(crate) no: ClientNo,
    minor: Minor,
    uid: u32,
    verifier: u64,
    pub(crate) connection: Arc<Connection>,
    clientid: Option<ClientId>,
    /// csa_sequence of the next CREATE_SESSION.
    create_sequence: u32,
    sessions: Vec<Held>,
    needs_complete: bool,
    mood: Mood,
    /// SEQUENCE said that something was revoked.
    is_missing_state: bool,
    /// SEQUENCE said that the server has restarted.
    is_told_to_reclaim: bool,
    /// How often it will try to reclaim more, although it has said that it has all.
    afterthoughts: u8,
    /// What it is going to reclaim.
    wants: Vec<Want>,
    /// What it has in place of sessions in minor version 0.
    old: Old,
    knowledge: Knowledge,
    pub(crate) belief: Belief,
    pub(crate) pending: Vec<Pending>,
    /// When the last request was sent that was answered and renewed the lease.
    renewed: Option<u64>,
}

/// What a client does next.
pub(crate) enum Intent {
    Nothing,
    /// New requests, whose replies it waits for.
    Send(Vec<Request>),
    /// A request again whose reply it waits for.
    Resend(u64),
    /// A reclaim of what the client never held: if it is granted, nobody believes in it.
    Lie(Request),
    /// A request that is wrong on purpose, and whose reply does not matter.
    Stray(Request),
}

impl Client {
    pub(crate) fn new(no: ClientNo, minor: Minor, uid: u32, connection: Arc<Connection>) -> Self {
        Self {
            no,
            minor,
            uid,
            verifier: 1,
            connection,
            clientid: None,
            create_sequence: 0,
            sessions: Vec::new(),
            needs_complete: true,
            mood: Mood::Working,
            is_missing_state: false,
            is_told_to_reclaim: false,
            afterthoughts: 0,
            wants: Vec::new(),
            old: Old::default(),
            knowledge: Knowledge::default(),
            belief: Belief::default(),
            pending: Vec::new(),
            renewed: None,
        }
    }

    /// It crashed, and comes up again without any memory of its state.
    pub(crate) fn restart(&mut self, connection: Arc<Connection>) {
        let verifier = self.verifier + 1;
        *self = Self { verifier, ..Self::new(self.no, self.minor, self.uid, connection) };
    }

    /// Whether its lease cannot have run out at the server.
    pub(crate) fn has_lease(&self, now: u64, lease: u64) -> bool {
        self.renewed.is_some_and(|renewed| now - renewed <= lease)
    }

    /// A new request, and what it gives up: nothing of that is believed in from now on.
    pub(crate) fn expect_reply(&mut self, id: u64, now: u64, request: Request, compound: Compound) -> Bytes {
        let bytes = compound.encode();
        let mark = self.belief.sent(gives_up(&request.ops));
        self.give_up(&request.ops);
        let kept = bytes.clone();
        self.pending.push(Pending { id, request, compound, bytes, sent: now, resent: now, mark });
        kept
    }

    fn give_up(&mut self, ops: &[Op]) {
        let mut file = None;
        for op in ops {
            match op {
                Op::PutFile(at) => file = Some(*at),
                // Nobody knows before the reply what the current stateid stands for.
                Op::Close(Stateid::CURRENT) | Op::Lock { locker: Locker::Open(Stateid::CURRENT, _), .. } => {
                    self.belief.lose_all();
                }
                Op::Close(stateid) => self.belief.give_up_open(stateid.other),
                Op::Downgrade { stateid, share } => self.belief.narrow(stateid.other, *share),
                Op::FreeStateid(stateid) => self.belief.give_up_lock_state(stateid.other),
                Op::Lock { locker, range, .. } => {
                    let owner = self.knowledge.owner_of(*locker);
                    if let Some(file) = file {
                        self.belief.give_up_range(file, owner, *range);
                    }
                }
                Op::Unlock { stateid, range } => {
                    let owner = self.knowledge.lock_owner(*stateid);
                    if let Some(file) = file {
                        self.belief.give_up_range(file, owner, *range);
                    }
                }
                Op::ReturnDelegation(stateid) => self.belief.give_up_delegation(stateid.other),
                Op::DestroyClientid(_) => self.belief.lose_all(),
                _ => {}
            }
        }
    }

    /// Requests of sessions that are gone are never carried out any more.
    fn forget_session(&mut self, id: SessionId) {
        self.sessions.retain(|session| session.id != id);
        let (gone, left) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending: &Pending| pending.sessionid() == Some(id));
        self.pending = left;
        for pending in gone {
            self.belief.ended(&pending.mark);
        }
    }

    /// The server does not know the client any more, and the client does not know why: it may have restarted.
    fn lose_clientid(&mut self) {
        let want = |open: &KnownOpen| {
            let under = self.belief.locks.iter().filter(|lock| lock.open == open.stateid.other);
            Want {
                file: open.file,
                owner: open.owner,
                share: open.share,
                locks: under.map(|lock| (lock.owner, lock.kind, lock.cell)).collect(),
                delegation: None,
            }
        };
        // What it has begun to return is not to be had again.
        let delegated = self.belief.delegations.iter().map(|held| Want {
            file: held.file,
            owner: OwnerNo(0),
            share: Share { access: if held.kind == Kind::Read { READ } else { BOTH }, deny: 0 },
            locks: Vec::new(),
            delegation: Some(held.kind),
        });
        let wants = self.knowledge.opens.iter().map(want).chain(delegated).collect();
        self.forget_client();
        self.wants = wants;
    }

    /// The server does not know the client any more.
    fn forget_client(&mut self) {
        self.clientid = None;
        self.needs_complete = true;
        self.renewed = None;
        self.wants.clear();
        self.old = Old::default();
        self.mood = Mood::Working;
        for id in self.sessions.iter().map(|session| session.id).collect::<Vec<_>>() {
            self.forget_session(id);
        }
        self.knowledge.forget_all();
        self.belief.lose_all();
    }

    /// A slot of a session without a request on it.
    fn free_slots(&self) -> Vec<Sequence4Args> {
        let mut free = Vec::new();
        for session in &self.sessions {
            for (slotid, next) in (0..).zip(&session.next) {
                let is_busy = |pending: &Pending| {
                    let sequence = pending.request.sequence;
                    sequence.is_some_and(|args| (args.sessionid, args.slotid) == (session.id, slotid))
                };
                if !self.pending.iter().any(is_busy) {
                    free.push(Sequence4Args {
                        sessionid: session.id,
                        sequenceid: *next,
                        slotid,
                        highest_slotid: slotid,
                        cache_this: true,
                    });
                }
            }
        }
        free
    }

    /// Stateids that it knows, for others to try.
    pub(crate) fn stateids(&self) -> Vec<Stateid> {
        self.knowledge.stateids()
    }

    /// What it was granted up to now is not protected any more.
    pub(crate) fn lose_faith(&mut self) {
        self.belief.lose_all();
        for pending in &mut self.pending {
            pending.mark.is_late = true;
        }
    }

    /// What it says it is.
    pub(crate) fn incarnation(&self) -> Incarnation {
        Incarnation { owner: self.no, verifier: self.verifier, uid: self.uid }
    }

    pub(crate) fn clientid(&self) -> Option<ClientId> {
        self.clientid
    }

    fn on(file: FileNo, op: Op) -> Vec<Op> {
        vec![Op::PutFile(file), op]
    }

    fn bare(&self, op: Op) -> Request {
        Request { minor: self.minor, uid: self.uid, sequence: None, v4_0: None, ops: vec![op] }
    }

    fn within(&self, rng: &mut Random, sequence: Sequence4Args, ops: Vec<Op>) -> Request {
        let cache_this = rng.below(10) > 0;
        let sequence = Some(Sequence4Args { cache_this, ..sequence });
        Request { minor: self.minor, uid: self.uid, sequence, v4_0: None, ops }
    }
}

fn gives_up(ops: &[Op]) -> GivesUp {
    let any = |is_it: fn(&Op) -> bool| ops.iter().any(is_it);
    let all = any(|op| matches!(op, Op::Close(_) | Op::DestroyClientid(_)));
    GivesUp {
        opens: all || any(|op| matches!(op, Op::Downgrade { .. })),
        locks: all || any(|op| matches!(op, Op::Lock { .. } | Op::Unlock { .. } | Op::FreeStateid(_))),
    }
}
