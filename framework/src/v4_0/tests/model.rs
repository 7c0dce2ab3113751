//! An owner behind a network that loses, doubles and delays: what its client asks for happens once, and the client gets on.
//!
//! Origin: own; the rules as a client sees them. Worlds are made from seeds.
//! RFC: 7530 sections 9.1.7 to 9.1.11 and 16.18.

use std::collections::HashMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use rstest::rstest;

use crate::clock::Timestamp;
use crate::proto::{
    ClientId, NFS4_OK, NFS4ERR_NOENT, OP_CLOSE, OP_OPEN, OP_OPEN_CONFIRM, OP_OPEN_DOWNGRADE, OpNum,
    StateOwner, Stateid, Status,
};
use crate::v4_0::{Admission, OwnerKind, Owners, Recorded, V4_0Limits};

const CLIENT: ClientId = ClientId(1);
const LEASE: Duration = Duration::from_secs(90);
const STEPS: usize = 400;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Request {
    id: u64,
    opnum: OpNum,
    seqid: u32,
    stateid: u64,
}

/// The answer: of which request, the stateid that is open now, and whether it is to be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    status: Status,
    id: u64,
    stateid: u64,
    confirm: bool,
}

struct World {
    owners: Owners,
    now: Timestamp,
    random: u64,
    /// How often each request was carried out for a confirmed owner.
    done: HashMap<u64, u32>,
    next_stateid: u64,
    /// What the server has open under the owner.
    open: Option<u64>,
    /// Requests that the network may deliver once more.
    stray: Vec<Request>,
    /// The client: its last seqid, what it holds open, and whether it was asked to confirm.
    seqid: u32,
    held: Option<(u64, bool)>,
    answered: usize,
}

fn stateid(n: u64) -> Stateid {
    let mut other = [7; 12];
    other[..8].copy_from_slice(&n.to_be_bytes());
    Stateid { seqid: 1, other }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("waits for nobody"),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let owners = Owners::new(V4_0Limits::default());
        owners.add_client(CLIENT);
        Self {
            owners,
            now: Timestamp::from_nanos(1),
            random: seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15),
            done: HashMap::new(),
            next_stateid: 1,
            open: None,
            stray: vec![],
            seqid: u32::MAX - 20,
            held: None,
            answered: 0,
        }
    }

    /// True once in `n` times.
    fn once_in(&mut self, n: u64) -> bool {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33).is_multiple_of(n)
    }

    /// The server's side: what it answers; `None` for a refusal.
    fn serve(&mut self, request: Request) -> Option<Answer> {
        let admission = if request.opnum == OP_OPEN {
            let owner = StateOwner { clientid: CLIENT, owner: "o".into() };
            now(self.owners.begin_open(self.now, &owner, request.seqid))
        } else {
            let stateid = stateid(request.stateid);
            let begun = self.owners.begin_by_stateid(
                self.now,
                OwnerKind::Open,
                &stateid,
                request.seqid,
                request.opnum,
            );
            now(begun)?
        };
        match admission {
            Admission::Replay(_, reply) => {
                let answer = decode(&reply);
                assert_eq!(answer.id, request.id, "a retransmission gets its own answer");
                Some(answer)
            }
            Admission::Refused { cancelled, .. } => {
                self.cancel(cancelled.len());
                None
            }
            Admission::New { turn, cancelled } => {
                self.cancel(cancelled.len());
                Some(self.carry_out(request, turn))
            }
        }
    }

    fn cancel(&mut self, opens: usize) {
        if opens > 0 {
            self.open = None;
        }
    }

    fn carry_out(&mut self, request: Request, mut turn: crate::v4_0::OwnerTurn) -> Answer {
        let is_unconfirmed = turn.is_unconfirmed();
        let mut status = NFS4_OK;
        match request.opnum {
            OP_OPEN if self.once_in(5) => status = NFS4ERR_NOENT,
            OP_OPEN => {
                let n = self.open.unwrap_or(self.next_stateid);
                self.next_stateid = self.next_stateid.max(n + 1);
                self.open = Some(n);
                turn.grant(&stateid(n));
            }
            OP_OPEN_CONFIRM => turn.confirm(),
            OP_CLOSE => {
                self.open = None;
                turn.close(&stateid(request.stateid));
            }
            _ => {}
        }
        if !is_unconfirmed || request.opnum == OP_OPEN_CONFIRM {
            let done = self.done.entry(request.id).or_default();
            *done += 1;
            assert_eq!(*done, 1, "{request:?} is carried out again");
        }
        let confirm = is_unconfirmed && request.opnum == OP_OPEN;
        let answer = Answer { status, id: request.id, stateid: self.open.unwrap_or(0), confirm };
        turn.finish(&self.owners, self.now, encode(request.opnum, &answer));
        answer
    }

    /// The client's side: asks for something and sends it until it is answered.
    fn ask(&mut self, id: u64) {
        let (closes, narrows) = (self.once_in(3), self.once_in(2));
        let (opnum, stateid) = match self.held {
            Some((stateid, true)) => (OP_OPEN_CONFIRM, stateid),
            Some((stateid, false)) if closes => (OP_CLOSE, stateid),
            Some((stateid, false)) if narrows => (OP_OPEN_DOWNGRADE, stateid),
            Some(_) | None => (OP_OPEN, 0),
        };
        self.seqid = self.seqid.checked_add(1).unwrap_or(1);
        let request = Request { id, opnum, seqid: self.seqid, stateid };
        let answer = loop {
            while self.once_in(2) {
                self.deliver_stray();
            }
            let answer = self.serve(request);
            if self.once_in(3) {
                self.stray.push(request);
            }
            if !self.once_in(3) {
                break answer;
            }
        };
        match answer {
            // An open that a stray request cancelled, or one of an owner that was forgotten: the client begins anew.
            None => self.held = None,
            Some(answer) => {
                assert_eq!(answer.id, id);
                self.answered += 1;
                self.held = match (answer.status, opnum) {
                    (NFS4_OK, OP_OPEN) => Some((answer.stateid, answer.confirm)),
                    (NFS4_OK, OP_OPEN_CONFIRM | OP_OPEN_DOWNGRADE) => Some((stateid, false)),
                    (NFS4_OK, _) => None,
                    _ => self.held,
                };
            }
        }
    }

    fn deliver_stray(&mut self) {
        if let Some(index) = (0..self.stray.len()).find(|_| self.once_in(3)) {
            let request = self.stray[index];
            if self.serve(request).is_none() && self.once_in(2) {
                self.stray.swap_remove(index);
            }
        }
    }

    fn pass(&mut self) {
        self.now = self.now + LEASE;
        let open = self.open.map(|n| stateid(n).other);
        let reaped = self.owners.reap(self.now, LEASE, &|other| Some(*other) == open);
        self.cancel(reaped.cancelled.len());
    }
}

fn encode(opnum: OpNum, answer: &Answer) -> Recorded {
    let words = [answer.id, answer.stateid, u64::from(answer.confirm)];
    let body = words.iter().flat_map(|word| word.to_be_bytes()).collect::<Bytes>();
    Recorded { opnum, status: answer.status, body, current: None }
}

fn decode(reply: &Recorded) -> Answer {
    let word = |at: usize| u64::from_be_bytes(reply.body[at * 8..at * 8 + 8].try_into().unwrap());
    Answer { status: reply.status, id: word(0), stateid: word(1), confirm: word(2) == 1 }
}

/// Whatever the network does, nothing happens twice, and most of what the client asks for happens.
#[rstest]
fn requests_happen_once(#[values(0, 100, 200, 300)] first: u64) {
    for seed in first..first + 50 {
        let mut world = World::new(seed);
        for id in 0..STEPS {
            world.ask(u64::try_from(id).unwrap());
            world.owners.check_invariants();
            while world.once_in(20) {
                world.pass();
            }
        }
        assert!(world.answered > STEPS / 2, "seed {seed}: {} of {STEPS} answered", world.answered);
    }
}
