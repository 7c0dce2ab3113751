//! What a client does next: mostly sense, and some nonsense.

use dittofs_framework::proto::{ClientId, Minor, Sequence4Args, SessionId, Stateid};

use super::delegations::{place, value, wish};
use super::knowledge::{KnownLock, KnownOpen, Want};
use super::{Client, Intent, Mood};
use crate::Random;
use crate::simulation::range::{CELLS, CellRange};
use crate::simulation::request::{
    Claim, ClientNo, FileNo, How, Kind, Locker, NameNo, Op, OwnerNo, Request, Right, Share, Wish,
};

/// After this time without a reply a request is sent again, in milliseconds.
const PATIENCE: u64 = 700;

/// What a client can know of the world besides its own state.
pub(crate) struct View {
    pub(crate) now: u64,
    pub(crate) names: usize,
    pub(crate) files: usize,
    pub(crate) clients: usize,
    /// Stateids and client IDs of others.
    pub(crate) stateids: Vec<Stateid>,
    pub(crate) clientids: Vec<ClientId>,
}

impl Client {
    /// What to do now.
    pub(crate) fn next(&mut self, rng: &mut Random, view: &View) -> Intent {
        let overdue = self.pending.iter().find(|pending| view.now - pending.resent > PATIENCE);
        if let Some(pending) = overdue
            && rng.below(3) > 0
        {
            return Intent::Resend(pending.id);
        }
        if self.minor == Minor::V0 {
            return self.next_v4_0(rng, view);
        }
        let is_alone_pending = self.pending.iter().any(|pending| pending.request.sequence.is_none());
        if self.sessions.is_empty() && !is_alone_pending {
            return Intent::Send(vec![self.introduction(rng)]);
        }
        if rng.below(25) == 0 {
            return self.stray(rng, view);
        }
        if !is_alone_pending && rng.below(30) == 0 {
            return Intent::Send(vec![self.alone(rng, view)]);
        }
        let free = self.free_slots();
        if free.is_empty() {
            return Intent::Nothing;
        }
        if self.needs_complete && rng.below(8) > 0 {
            return self.reclaim(rng, view, free[0]);
        }
        if rng.below(4) > 0
            && let Some(ops) = self.due_return(rng, view)
        {
            return Intent::Send(vec![self.within(rng, free[0], ops)]);
        }
        if self.mood == Mood::Leaving {
            return self.leave(rng, &free, is_alone_pending);
        }
        if rng.below(150) == 0 {
            self.mood = Mood::Leaving;
        }
        if free.len() > 1 && rng.below(6) == 0 {
            return self.race(rng, view, &free);
        }
        let sequence = rng.one_of(&free);
        if rng.below(if self.afterthoughts > 0 { 2 } else { 50 }) == 0 {
            self.afterthoughts = self.afterthoughts.saturating_sub(1);
            return self.lie(rng, view, sequence);
        }
        if rng.below(8) == 0 {
            self.open_by_delegation(rng);
        }
        let ops = self.work(rng, view);
        Intent::Send(vec![self.within(rng, sequence, ops)])
    }

    /// EXCHANGE_ID, or CREATE_SESSION for one who knows its client ID.
    fn introduction(&self, rng: &mut Random) -> Request {
        match self.clientid {
            Some(clientid) if rng.below(10) > 0 => {
                self.bare(Op::CreateSession { clientid, sequence: self.create_sequence })
            }
            _ => self.bare(self.identify(false)),
        }
    }

    fn identify(&self, update: bool) -> Op {
        Op::ExchangeId { owner: self.no, verifier: self.verifier, update }
    }

    /// Requests outside of sessions while there is one.
    fn alone(&self, rng: &mut Random, view: &View) -> Request {
        let session = self.sessions.first().map_or(SessionId([9; 16]), |session| session.id);
        let clientid = self.clientid.unwrap_or(ClientId(7));
        match rng.below(10) {
            0..=2 => self.bare(self.identify(false)),
            3 => self.bare(self.identify(true)),
            4..=5 => self.bare(Op::CreateSession { clientid, sequence: self.create_sequence }),
            6..=7 => self.bare(Op::DestroySession(session)),
            8 => self.bare(Op::DestroyClientid(clientid)),
            _ => self.bare(Op::DestroyClientid(one_of(rng, &view.clientids).unwrap_or(clientid))),
        }
    }

    /// Reclaims one thing after the other, and then says that this was all. Some reclaim too little, and some too much.
    fn reclaim(&mut self, rng: &mut Random, view: &View, sequence: Sequence4Args) -> Intent {
        let reclaims = |op: &Op| match op {
            Op::Open { claim, .. } => claim.right() == Right::Reclaim,
            Op::Lock { right, .. } => *right == Right::Reclaim,
            Op::ReclaimComplete => true,
            _ => false,
        };
        if self.pending.iter().any(|pending| pending.request.ops.iter().any(reclaims)) {
            return Intent::Nothing;
        }
        if rng.below(if self.is_told_to_reclaim { 6 } else { 60 }) == 0 {
            return self.lie(rng, view, sequence);
        }
        match self.wants.pop() {
            Some(want) if want.delegation.is_none() && rng.below(4) == 0 => {
                let more = Want { delegation: Some(kind(rng)), ..want };
                Intent::Lie(self.within(rng, sequence, reclaim_of(&more)))
            }
            Some(want) if rng.below(20) > 0 => {
                let ops = reclaim_of(&want);
                if want.locks.len() > 1 && want.share.deny == 0 {
                    self.wants.push(Want { locks: want.locks[1..].to_vec(), ..want });
                }
                Intent::Send(vec![self.within(rng, sequence, ops)])
            }
            _ => Intent::Send(vec![self.within(rng, sequence, vec![Op::ReclaimComplete])]),
        }
    }

    fn lie(&self, rng: &mut Random, view: &View, sequence: Sequence4Args) -> Intent {
        let lie = Want {
            file: FileNo(rng.below(view.files)),
            owner: owner(rng),
            share: share(rng),
            locks: vec![(owner(rng), kind(rng), rng.below(CELLS))],
            delegation: rng.one_of(&[None, Some(Kind::Read), Some(Kind::Write)]),
        };
        Intent::Lie(self.within(rng, sequence, reclaim_of(&lie)))
    }

    fn leave(&mut self, rng: &mut Random, free: &[Sequence4Args], is_alone_pending: bool) -> Intent {
        if let Some(open) = self.knowledge.opens.first().copied() {
            let ops = Self::on(open.file, Op::Close(open.stateid));
            return Intent::Send(vec![self.within(rng, free[0], ops)]);
        }
        if let Some(held) = self.knowledge.delegations.first() {
            let ops = Self::on(held.file, Op::ReturnDelegation(held.stateid));
            return Intent::Send(vec![self.within(rng, free[0], ops)]);
        }
        if is_alone_pending {
            return Intent::Nothing;
        }
        match (self.sessions.first(), self.clientid) {
            (Some(session), Some(clientid)) => {
                let id = session.id;
                let mut requests = vec![self.bare(Op::DestroySession(id))];
                // Sent together: which of the two arrives first is the network's choice.
                if rng.below(2) == 0 {
                    requests.push(self.bare(Op::DestroyClientid(clientid)));
                }
                Intent::Send(requests)
            }
            _ => Intent::Nothing,
        }
    }

    /// Several requests at once about one open: they arrive in any order.
    fn race(&self, rng: &mut Random, view: &View, free: &[Sequence4Args]) -> Intent {
        let mut requests = Vec::new();
        let open = one_of(rng, &self.knowledge.opens);
        for sequence in free.iter().take(2 + rng.below(2)) {
            let ops = match open {
                None => self.work(rng, view),
                Some(open) => match rng.below(6) {
                    0 => Self::on(open.file, Op::Close(open.stateid)),
                    1 => Self::lock_under(rng, &open, open.stateid),
                    2 => match self.knowledge.locks.iter().find(|lock| lock.open == open.stateid.other) {
                        Some(lock) => vec![Op::FreeStateid(lock.stateid)],
                        None => self.reopen(rng, &open),
                    },
                    3 => match self.knowledge.locks.iter().find(|lock| lock.open == open.stateid.other) {
                        Some(lock) => Self::unlock(rng, lock, lock.stateid),
                        None => self.reopen(rng, &open),
                    },
                    4 => self.reopen(rng, &open),
                    _ => Self::on(open.file, Op::Downgrade { stateid: open.stateid, share: share(rng) }),
                },
            };
            requests.push(self.within(rng, *sequence, ops));
        }
        if let (Some(clientid), 0) = (self.clientid, rng.below(4)) {
            requests.push(self.bare(Op::DestroyClientid(clientid)));
        }
        Intent::Send(requests)
    }

    fn reopen(&self, rng: &mut Random, open: &KnownOpen) -> Vec<Op> {
        let (owner, share, how, claim) = (open.owner, share(rng), How::NoCreate, Claim::Handle);
        let open_it = Op::Open { owner, share, how, claim, wish: wish(rng, self.minor) };
        vec![Op::PutFile(open.file), open_it, Op::GetFh]
    }

    /// Something that must be refused, and leaves the slots as they are.
    fn stray(&self, rng: &mut Random, view: &View) -> Intent {
        let free = self.free_slots();
        let Some(sequence) = one_of(rng, &free) else { return Intent::Nothing };
        let ops = self.work(rng, view);
        let mut request = self.within(rng, sequence, ops);
        let args = request.sequence.as_mut().expect("SEQUENCE");
        match rng.below(6) {
            // A false retry, or none if it happens to be the same.
            0..=1 => args.sequenceid = args.sequenceid.wrapping_sub(1),
            // Far ahead: no request in order ever comes to bear it.
            2 => args.sequenceid = args.sequenceid.wrapping_add(100_000 + low(rng, 3)),
            3 => args.slotid = 77,
            4 => args.sessionid = SessionId([rng.one_of(&[0, 255]); 16]),
            _ => {
                let owner = ClientNo(rng.below(view.clients));
                let exchange = Op::ExchangeId { owner, verifier: 1, update: rng.below(2) == 0 };
                return Intent::Stray(Request { uid: self.uid + 1, ..self.bare(exchange) });
            }
        }
        Intent::Stray(request)
    }

    fn work(&self, rng: &mut Random, view: &View) -> Vec<Op> {
        if self.is_missing_state && rng.below(3) == 0 {
            return match self.knowledge.revoked.first() {
                Some(stateid) => vec![Op::FreeStateid(*stateid)],
                None => vec![Op::TestStateid(self.knowledge.stateids())],
            };
        }
        match self.any_delegation(rng) {
            Some(held) if rng.below(8) == 0 => {
                let stateid = self.bent(rng, held.stateid, view);
                return self.work_on_delegation(rng, view, held, stateid);
            }
            _ if rng.below(16) == 0 => return self.change(rng, view),
            _ => {}
        }
        match rng.below(100) {
            0..=25 => self.open(rng, view),
            26..=28 => self.open_and_more(rng, view),
            29..=33 => vec![],
            34..=36 => {
                let stateids = (0..=rng.below(4)).map(|_| self.any_stateid(rng, view)).collect();
                vec![Op::TestStateid(stateids)]
            }
            37..=39 => vec![Op::PutDir, Op::Remove(NameNo(rng.below(view.names)))],
            40..=43 => {
                let (owner, kind, range) = (owner(rng), kind(rng), range(rng));
                Self::on(FileNo(rng.below(view.files)), Op::LockTest { owner, kind, range })
            }
            44..=51 => self.io(rng, view),
            52..=84 => match one_of(rng, &self.knowledge.opens) {
                Some(open) => self.work_on_open(rng, view, &open),
                None => self.open(rng, view),
            },
            _ => match one_of(rng, &self.knowledge.locks) {
                Some(lock) => self.work_on_lock(rng, view, &lock),
                None => self.open(rng, view),
            },
        }
    }

    fn work_on_open(&self, rng: &mut Random, view: &View, open: &KnownOpen) -> Vec<Op> {
        let stateid = self.bent(rng, open.stateid, view);
        match rng.below(16) {
            0..=4 => Self::on(open.file, Op::Close(stateid)),
            5..=7 => {
                let asked = Share { access: open.share.access & share(rng).access, ..open.share };
                let to = if asked.access == 0 { share(rng) } else { asked };
                Self::on(open.file, Op::Downgrade { stateid, share: to })
            }
            8 => vec![Op::FreeStateid(stateid)],
            _ => Self::lock_under(rng, open, stateid),
        }
    }

    fn lock_under(rng: &mut Random, open: &KnownOpen, stateid: Stateid) -> Vec<Op> {
        let kind = match open.share.access {
            crate::READ if rng.below(8) > 0 => Kind::Read,
            crate::WRITE if rng.below(8) > 0 => Kind::Write,
            _ => kind(rng),
        };
        let locker = Locker::Open(stateid, owner(rng));
        Self::on(open.file, Op::Lock { locker, kind, range: range(rng), right: Right::New })
    }

    fn work_on_lock(&self, rng: &mut Random, view: &View, lock: &KnownLock) -> Vec<Op> {
        let stateid = self.bent(rng, lock.stateid, view);
        match rng.below(10) {
            0..=3 => {
                let locker = Locker::Existing(stateid);
                Self::on(
                    lock.file,
                    Op::Lock { locker, kind: kind(rng), range: range(rng), right: Right::New },
                )
            }
            4..=7 => Self::unlock(rng, lock, stateid),
            _ => vec![Op::FreeStateid(stateid)],
        }
    }

    fn unlock(rng: &mut Random, lock: &KnownLock, stateid: Stateid) -> Vec<Op> {
        let all = CellRange::new(0, CELLS - 1);
        let range = if rng.below(3) == 0 { all } else { range(rng) };
        Self::on(lock.file, Op::Unlock { stateid, range })
    }

    fn io(&self, rng: &mut Random, view: &View) -> Vec<Op> {
        let known = one_of(rng, &self.knowledge.opens).filter(|_| rng.below(5) > 0);
        let (file, stateid) = if let Some(open) = known {
            (open.file, self.bent(rng, open.stateid, view))
        } else {
            let special = rng.one_of(&[Stateid::ANONYMOUS, Stateid::READ_BYPASS]);
            (FileNo(rng.below(view.files)), special)
        };
        let op = if rng.below(2) == 0 {
            Op::Read { stateid }
        } else {
            Op::Write { stateid, at: place(rng), value: value(rng) }
        };
        Self::on(file, op)
    }

    /// The stateid, or one that is not quite right.
    fn bent(&self, rng: &mut Random, stateid: Stateid, view: &View) -> Stateid {
        match rng.below(24) {
            0..=1 => Stateid { seqid: 0, ..stateid },
            2 => Stateid { seqid: stateid.seqid.wrapping_sub(1), ..stateid },
            3 => Stateid { seqid: stateid.seqid + 1, ..stateid },
            4 => self.any_stateid(rng, view),
            _ => stateid,
        }
    }

    pub(super) fn any_stateid(&self, rng: &mut Random, view: &View) -> Stateid {
        let own = self.knowledge.stateids();
        let choices: [&[Stateid]; 4] =
            [&own, &self.knowledge.dead, &view.stateids, &[Stateid::ANONYMOUS, Stateid::CURRENT]];
        let choice = rng.one_of(&choices);
        one_of(rng, choice).unwrap_or(Stateid::INVALID)
    }
}

pub(super) fn one_of<T: Copy>(rng: &mut Random, items: &[T]) -> Option<T> {
    (!items.is_empty()).then(|| rng.one_of(items))
}

pub(super) fn low(rng: &mut Random, end: u32) -> u32 {
    u32::try_from(rng.u64() % u64::from(end)).expect("a small number")
}

pub(super) fn owner(rng: &mut Random) -> OwnerNo {
    OwnerNo(rng.one_of(&[0, 0, 1, 2]))
}

pub(super) fn kind(rng: &mut Random) -> Kind {
    rng.one_of(&[Kind::Read, Kind::Write])
}

pub(super) fn share(rng: &mut Random) -> Share {
    let access = rng.one_of(&[1, 1, 2, 3]);
    Share { access, deny: if rng.below(5) == 0 { low(rng, 4) } else { 0 } }
}

pub(super) fn range(rng: &mut Random) -> CellRange {
    let (a, b) = (rng.below(CELLS), rng.below(CELLS));
    CellRange::new(a.min(b), a.max(b))
}

/// An open and the locks under it, in one compound.
fn reclaim_of(want: &Want) -> Vec<Op> {
    let (owner, share) = (want.owner, want.share);
    let (how, claim, wish) = (How::NoCreate, Claim::Previous(want.delegation), Wish::default());
    let open = Op::Open { owner, share, how, claim, wish };
    let lock = |(owner, kind, cell): &(OwnerNo, Kind, usize)| Op::Lock {
        locker: Locker::Open(Stateid::CURRENT, *owner),
        kind: *kind,
        range: CellRange::new(*cell, *cell),
        right: Right::Reclaim,
    };
    // LOCK leaves its own stateid as the current one: no more than one lock can follow.
    let locks = want.locks.first().map(lock);
    [Op::PutFile(want.file), open, Op::GetFh].into_iter().chain(locks).collect()
}

impl Client {
    fn open(&self, rng: &mut Random, view: &View) -> Vec<Op> {
        let (owner, share, wish) = (owner(rng), share(rng), wish(rng, self.minor));
        if rng.below(4) == 0 {
            let (file, how, claim) = (FileNo(rng.below(view.files)), How::NoCreate, Claim::Handle);
            return vec![Op::PutFile(file), Op::Open { owner, share, how, claim, wish }, Op::GetFh];
        }
        let how = rng.one_of(&[How::NoCreate, How::NoCreate, How::Unchecked, How::Unchecked, How::Guarded]);
        let claim = Claim::Name(NameNo(rng.below(view.names)));
        vec![Op::PutDir, Op::Open { owner, share, how, claim, wish }, Op::GetFh]
    }

    /// OPEN and more in one compound, by the current stateid.
    fn open_and_more(&self, rng: &mut Random, view: &View) -> Vec<Op> {
        let mut ops = self.open(rng, view);
        let current = Stateid::CURRENT;
        match rng.below(4) {
            0 => return ops.into_iter().chain([Op::ReturnDelegation(current)]).collect(),
            1 => return ops.into_iter().chain([Op::Read { stateid: current }]).collect(),
            _ => {}
        }
        let locker = Locker::Open(current, owner(rng));
        ops.push(Op::Lock { locker, kind: kind(rng), range: range(rng), right: Right::New });
        match rng.below(3) {
            0 => ops.push(Op::Unlock { stateid: current, range: range(rng) }),
            1 => ops.push(Op::FreeStateid(current)),
            _ => ops.push(Op::Close(current)),
        }
        ops
    }
}
