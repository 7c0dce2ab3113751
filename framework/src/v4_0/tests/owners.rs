//! Origin: the rules of the RFC for owners, and pynfs's tests of replays and confirmation.
//! RFC: 7530 sections 9.1.3, 9.1.7 to 9.1.11, 16.18 and 16.37.

use std::time::Duration;

use bytes::Bytes;
use rstest::rstest;

use crate::clock::Timestamp;
use crate::proto::{
    ClientId, NFS4_OK, NFS4ERR_BAD_SEQID, NFS4ERR_BAD_STATEID, NFS4ERR_BADXDR, NFS4ERR_DELAY, NFS4ERR_DENIED,
    NFS4ERR_EXPIRED, NFS4ERR_INVAL, NFS4ERR_MOVED, NFS4ERR_NOENT, NFS4ERR_NOFILEHANDLE, NFS4ERR_RESOURCE,
    NFS4ERR_SERVERFAULT, NFS4ERR_STALE_CLIENTID, NFS4ERR_STALE_STATEID, OP_CLOSE, OP_LOCK, OP_LOCKU, OP_OPEN,
    OP_OPEN_CONFIRM, OP_OPEN_DOWNGRADE, OpNum, StateOwner, Stateid, Status,
};
use crate::v4_0::{Admission, OwnerKind, OwnerTurn, Owners, Recorded, StateidOther, V4_0Limits};

const CLIENT: ClientId = ClientId(1);
const LEASE: Duration = Duration::from_secs(90);

fn owner(name: &str) -> StateOwner {
    StateOwner { clientid: CLIENT, owner: name.into() }
}

fn stateid(n: u8) -> Stateid {
    Stateid { seqid: 1, other: [n; 12] }
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_nanos(0) + Duration::from_secs(secs)
}

struct World {
    owners: Owners,
    now: Timestamp,
    /// Stateids under which there is state.
    alive: Vec<StateidOther>,
    /// Stateids whose state is gone.
    gone: Vec<StateidOther>,
}

impl World {
    fn new() -> Self {
        let limits = V4_0Limits { owners_per_client: 4, purged_stateids: 2, ..V4_0Limits::default() };
        let owners = Owners::new(limits);
        owners.add_client(CLIENT);
        Self { owners, now: at(0), alive: vec![], gone: vec![] }
    }

    /// Asks without waiting: nothing may be under way.
    fn admit(&self, opnum: OpNum, of: Of, seqid: u32) -> Option<Admission> {
        use futures_now::now;
        let by_stateid =
            |kind, n| now(self.owners.begin_by_stateid(self.now, kind, &stateid(n), seqid, opnum));
        match of {
            Of::Open(name) => Some(now(self.owners.begin_open(self.now, &owner(name), seqid))),
            Of::Lock(name) => {
                let exists = |other: &StateidOther| !self.gone.contains(other);
                Some(now(self.owners.begin_lock_owner(self.now, &owner(name), seqid, &exists)))
            }
            Of::OpenStateid(n) => by_stateid(OwnerKind::Open, n),
            Of::LockStateid(n) => by_stateid(OwnerKind::Lock, n),
        }
    }

    fn run(&mut self, step: &Step) {
        let Step { op, of, seqid, answer, want } = *step;
        let got = match self.admit(op, of, seqid) {
            None => Got::Unknown,
            Some(Admission::Replay(_, reply)) => Got::Replay(reply.status),
            Some(Admission::Refused { status, cancelled }) => Got::Refused(status, cancelled.len()),
            Some(Admission::New { mut turn, cancelled }) => {
                match answer {
                    Answer::Grants(n) => turn.grant(&stateid(n)),
                    Answer::Closes(n) => turn.close(&stateid(n)),
                    Answer::Confirms => turn.confirm(),
                    Answer::Is(_) => {}
                }
                let status = if let Answer::Is(status) = answer { status } else { NFS4_OK };
                self.finish(turn, op, status);
                Got::New(cancelled.len())
            }
        };
        assert_eq!(got, want, "{step:?}");
        self.owners.check_invariants();
    }

    fn finish(&self, turn: OwnerTurn, opnum: OpNum, status: Status) {
        turn.finish(
            &self.owners,
            self.now,
            Recorded { opnum, status, body: Bytes::from_static(b"body"), current: None },
        );
    }
}

/// Runs a future that has nothing to wait for.
mod futures_now {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => done,
            Poll::Pending => panic!("waits"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Of {
    Open(&'static str),
    Lock(&'static str),
    OpenStateid(u8),
    LockStateid(u8),
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Is(Status),
    Grants(u8),
    Closes(u8),
    Confirms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Got {
    /// Carried out, after so many opens were cancelled.
    New(usize),
    Replay(Status),
    Refused(Status, usize),
    Unknown,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    op: OpNum,
    of: Of,
    seqid: u32,
    answer: Answer,
    want: Got,
}

const fn step(op: OpNum, of: Of, seqid: u32, answer: Answer, want: Got) -> Step {
    Step { op, of, seqid, answer, want }
}

const fn open(seqid: u32, n: u8, want: Got) -> Step {
    step(OP_OPEN, Of::Open("o"), seqid, Answer::Grants(n), want)
}

const fn confirm(seqid: u32, n: u8, want: Got) -> Step {
    step(OP_OPEN_CONFIRM, Of::OpenStateid(n), seqid, Answer::Confirms, want)
}

const fn close(seqid: u32, n: u8, want: Got) -> Step {
    step(OP_CLOSE, Of::OpenStateid(n), seqid, Answer::Closes(n), want)
}

const fn fails(op: OpNum, seqid: u32, n: u8, status: Status, want: Got) -> Step {
    step(op, Of::OpenStateid(n), seqid, Answer::Is(status), want)
}

const fn lock(seqid: u32, n: u8, want: Got) -> Step {
    step(OP_LOCK, Of::Lock("l"), seqid, Answer::Grants(n), want)
}

const NEW: Got = Got::New(0);
const OK_AGAIN: Got = Got::Replay(NFS4_OK);
const BAD_SEQID: Got = Got::Refused(NFS4ERR_BAD_SEQID, 0);
const BAD_STATEID: Got = Got::Refused(NFS4ERR_BAD_STATEID, 0);

#[rstest]
#[case::life(&[open(5, 1, NEW), confirm(6, 1, NEW), open(7, 2, NEW), close(8, 1, NEW), close(9, 2, NEW), open(10, 3, NEW)])]
#[case::any_first_seqid(&[open(0, 1, NEW)])]
#[case::wraps_to_one(&[open(u32::MAX, 1, NEW), confirm(0, 1, Got::Refused(NFS4ERR_BAD_SEQID, 1))])]
#[case::wraps_past_zero(&[open(u32::MAX, 1, NEW), confirm(1, 1, NEW)])]
#[case::open_again(&[open(5, 1, NEW), open(5, 1, OK_AGAIN), open(5, 1, OK_AGAIN), confirm(6, 1, NEW), confirm(6, 1, OK_AGAIN)])]
#[case::close_again(&[open(5, 1, NEW), confirm(6, 1, NEW), close(7, 1, NEW), close(7, 1, OK_AGAIN), close(7, 1, OK_AGAIN)])]
#[case::closed_then_next(&[
    open(5, 1, NEW), confirm(6, 1, NEW), close(7, 1, NEW), fails(OP_CLOSE, 8, 1, NFS4ERR_BAD_STATEID, NEW),
    close(7, 1, OK_AGAIN),
])]
#[case::close_is_forgotten_after_the_next(&[
    open(5, 1, NEW), confirm(6, 1, NEW), open(7, 2, NEW), close(8, 1, NEW), close(9, 2, NEW), close(8, 1, Got::Unknown),
    close(9, 2, OK_AGAIN),
])]
#[case::wrong(&[open(5, 1, NEW), confirm(6, 1, NEW), close(9, 1, BAD_SEQID), close(5, 1, BAD_SEQID), close(7, 1, NEW)])]
#[case::wrong_open(&[open(5, 1, NEW), confirm(6, 1, NEW), open(8, 2, BAD_SEQID), open(7, 2, NEW)])]
#[case::another_type(&[open(5, 1, NEW), confirm(6, 1, NEW), close(6, 1, BAD_SEQID), open(6, 2, BAD_SEQID)])]
#[case::unknown_stateid(&[close(1, 9, Got::Unknown)])]
#[case::confirmed_twice(&[open(5, 1, NEW), confirm(6, 1, NEW), confirm(7, 1, BAD_STATEID), close(7, 1, NEW)])]
#[case::used_unconfirmed(&[
    open(5, 1, NEW), close(6, 1, BAD_STATEID), fails(OP_OPEN_DOWNGRADE, 6, 1, NFS4_OK, BAD_STATEID),
    fails(OP_LOCK, 6, 1, NFS4_OK, BAD_STATEID), close(9, 1, BAD_SEQID), confirm(6, 1, NEW), close(7, 1, NEW),
])]
#[case::never_confirmed_and_opened_anew(&[
    open(5, 1, NEW), open(9, 2, Got::New(1)), confirm(10, 1, Got::Unknown), confirm(10, 2, NEW),
])]
#[case::opened_anew_twice(&[open(5, 1, NEW), open(9, 2, Got::New(1)), open(20, 3, Got::New(1)), confirm(21, 3, NEW)])]
#[case::next_open_before_the_confirmation(&[open(5, 1, NEW), open(6, 2, NEW), confirm(7, 2, NEW), close(8, 1, NEW)])]
#[case::confirmation_out_of_sequence(&[
    open(5, 1, NEW), confirm(7, 1, Got::Refused(NFS4ERR_BAD_SEQID, 1)), confirm(7, 1, BAD_SEQID),
    fails(OP_OPEN_CONFIRM, 6, 1, NFS4ERR_BAD_STATEID, NEW),
])]
#[case::failed_first_open(&[
    step(OP_OPEN, Of::Open("o"), 5, Answer::Is(NFS4ERR_NOENT), NEW),
    step(OP_OPEN, Of::Open("o"), 5, Answer::Is(NFS4ERR_NOENT), Got::Replay(NFS4ERR_NOENT)),
    open(6, 1, NEW), confirm(7, 1, NEW),
])]
#[case::refused_first_open(&[
    step(OP_OPEN, Of::Open("o"), 5, Answer::Is(NFS4ERR_RESOURCE), NEW), open(5, 1, NEW), confirm(6, 1, NEW),
])]
#[case::lock_life(&[
    lock(1, 1, NEW), step(OP_LOCK, Of::LockStateid(1), 2, Answer::Grants(1), NEW),
    step(OP_LOCK, Of::LockStateid(1), 2, Answer::Grants(1), OK_AGAIN),
    step(OP_LOCKU, Of::LockStateid(1), 2, Answer::Grants(1), BAD_SEQID),
    step(OP_LOCKU, Of::LockStateid(1), 3, Answer::Grants(1), NEW),
    step(OP_LOCKU, Of::LockStateid(1), 3, Answer::Grants(1), OK_AGAIN),
    step(OP_LOCKU, Of::LockStateid(1), 5, Answer::Grants(1), BAD_SEQID),
])]
#[case::lock_owner_named_again(&[lock(1, 1, NEW), lock(2, 2, NEW), lock(2, 2, BAD_SEQID), lock(7, 2, BAD_SEQID)])]
#[case::first_lock_denied(&[
    step(OP_LOCK, Of::Lock("l"), 1, Answer::Is(NFS4ERR_DENIED), NEW), lock(1, 1, NEW), lock(2, 1, NEW),
])]
#[case::later_lock_denied(&[
    lock(1, 1, NEW), step(OP_LOCK, Of::LockStateid(1), 2, Answer::Is(NFS4ERR_DENIED), NEW),
    step(OP_LOCK, Of::LockStateid(1), 2, Answer::Is(NFS4ERR_DENIED), Got::Replay(NFS4ERR_DENIED)),
])]
#[case::kinds_are_apart(&[
    step(OP_OPEN, Of::Open("same"), 5, Answer::Grants(1), NEW), step(OP_LOCK, Of::Lock("same"), 1, Answer::Grants(2), NEW),
    step(OP_CLOSE, Of::OpenStateid(2), 2, Answer::Is(NFS4_OK), Got::Unknown),
    step(OP_LOCKU, Of::LockStateid(1), 6, Answer::Is(NFS4_OK), Got::Unknown),
])]
fn sequences(#[case] steps: &[Step]) {
    let mut world = World::new();
    for step in steps {
        world.run(step);
    }
}

#[rstest]
#[case::stale_clientid(NFS4ERR_STALE_CLIENTID, false)]
#[case::stale_stateid(NFS4ERR_STALE_STATEID, false)]
#[case::bad_stateid(NFS4ERR_BAD_STATEID, false)]
#[case::bad_seqid(NFS4ERR_BAD_SEQID, false)]
#[case::badxdr(NFS4ERR_BADXDR, false)]
#[case::resource(NFS4ERR_RESOURCE, false)]
#[case::nofilehandle(NFS4ERR_NOFILEHANDLE, false)]
#[case::moved(NFS4ERR_MOVED, false)]
#[case::ok(NFS4_OK, true)]
#[case::delay(NFS4ERR_DELAY, true)]
#[case::inval(NFS4ERR_INVAL, true)]
#[case::expired(NFS4ERR_EXPIRED, true)]
fn answer_uses_up_its_seqid(#[case] status: Status, #[case] does: bool) {
    let mut world = World::new();
    world.run(&open(5, 1, NEW));
    world.run(&confirm(6, 1, NEW));
    world.run(&fails(OP_OPEN_DOWNGRADE, 7, 1, status, NEW));
    let next = if does { 8 } else { 7 };
    world.run(&close(next, 1, NEW));
}

#[tokio::test]
async fn one_waits_for_the_other() {
    let world = World::new();
    let Admission::New { turn, .. } = world.owners.begin_open(world.now, &owner("o"), 5).await else {
        panic!("a new owner")
    };
    let name = owner("o");
    let again = world.owners.begin_open(world.now, &name, 5);
    tokio::pin!(again);
    assert!(futures_pending(again.as_mut()).await, "its retransmission waits");
    world.finish(turn, OP_OPEN, NFS4ERR_NOENT);
    let Admission::Replay(_, reply) = again.await else { panic!("a retransmission") };
    assert_eq!((reply.status, &*reply.body), (NFS4ERR_NOENT, &b"body"[..]));
}

async fn futures_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[tokio::test]
async fn turn_that_is_lost_is_a_fault() {
    let world = World::new();
    let Admission::New { turn, .. } = world.owners.begin_open(world.now, &owner("o"), 5).await else {
        panic!("a new owner")
    };
    drop(turn);
    let Admission::Replay(_, reply) = world.owners.begin_open(world.now, &owner("o"), 5).await else {
        panic!("a retransmission")
    };
    assert_eq!(reply.status, NFS4ERR_SERVERFAULT);
}

#[tokio::test]
async fn owner_that_goes_wakes_who_waits() {
    let world = World::new();
    let Admission::New { turn, .. } = world.owners.begin_open(world.now, &owner("o"), 5).await else {
        panic!("a new owner")
    };
    let name = owner("o");
    let other = world.owners.begin_open(world.now, &name, 6);
    tokio::pin!(other);
    assert!(futures_pending(other.as_mut()).await);
    world.owners.drop_client(CLIENT, world.now);
    world.finish(turn, OP_OPEN, NFS4_OK);
    assert!(matches!(other.await, Admission::Refused { status: NFS4ERR_EXPIRED, .. }));
    assert_eq!(world.owners.count(), 0);
}

#[test]
fn owners_of_all_clients_are_bounded() {
    let limits = V4_0Limits { owners_total: 1, ..V4_0Limits::default() };
    let world = World { owners: Owners::new(limits), now: at(0), alive: vec![], gone: vec![] };
    let other = StateOwner { clientid: ClientId(2), owner: "o".into() };
    for client in [CLIENT, other.clientid] {
        world.owners.add_client(client);
    }
    let Some(Admission::New { turn, .. }) = world.admit(OP_OPEN, Of::Open("o"), 1) else { panic!("room") };
    world.finish(turn, OP_OPEN, NFS4_OK);
    let refused = futures_now::now(world.owners.begin_open(at(0), &other, 1));
    assert!(matches!(refused, Admission::Refused { status: NFS4ERR_DELAY, .. }));
}

#[test]
fn owners_are_bounded() {
    let mut world = World::new();
    for name in ["a", "b", "c", "d"] {
        world.run(&step(OP_OPEN, Of::Open(name), 1, Answer::Is(NFS4ERR_NOENT), NEW));
    }
    world.run(&step(OP_OPEN, Of::Open("e"), 1, Answer::Is(NFS4_OK), Got::Refused(NFS4ERR_DELAY, 0)));
    assert_eq!(world.owners.count(), 4);
    // Two leases later nothing speaks for them.
    assert!(world.owners.reap(at(181), LEASE, &|_| true).cancelled.is_empty());
    assert_eq!(world.owners.count(), 0);
}

#[rstest]
#[case::confirmed_with_state(true, true, 1_000, 0, 1)]
#[case::confirmed_without_state_in_time(true, false, 180, 0, 1)]
#[case::confirmed_without_state(true, false, 181, 0, 0)]
#[case::unconfirmed_in_time(false, true, 90, 0, 1)]
#[case::unconfirmed(false, true, 91, 1, 0)]
fn owner_is_kept(
    #[case] confirmed: bool,
    #[case] has_state: bool,
    #[case] secs: u64,
    #[case] cancelled: usize,
    #[case] left: usize,
) {
    let mut world = World::new();
    world.run(&open(5, 1, NEW));
    if confirmed {
        world.run(&confirm(6, 1, NEW));
    }
    let reaped = world.owners.reap(at(secs), LEASE, &|_| has_state);
    assert_eq!((reaped.cancelled.len(), world.owners.count()), (cancelled, left));
    assert!(left > 0 || world.owners.indexed() == 0);
}

#[test]
fn stateids_of_a_client_that_is_gone_are_expired_for_a_while() {
    let mut world = World::new();
    world.run(&open(5, 1, NEW));
    world.run(&confirm(6, 1, NEW));
    world.owners.drop_client(CLIENT, at(1));
    world.run(&close(7, 1, Got::Refused(NFS4ERR_EXPIRED, 0)));
    world.owners.reap(at(91), LEASE, &|_| false);
    world.run(&close(7, 1, Got::Refused(NFS4ERR_EXPIRED, 0)));
    world.owners.reap(at(92), LEASE, &|_| false);
    world.run(&close(7, 1, Got::Unknown));
    assert_eq!(world.owners.indexed(), 0);
}

#[test]
fn memory_of_gone_stateids_is_bounded() {
    let mut world = World::new();
    world.run(&open(5, 1, NEW));
    world.run(&confirm(6, 1, NEW));
    world.run(&open(7, 2, NEW));
    world.run(&open(8, 3, NEW));
    world.owners.drop_client(CLIENT, at(1));
    assert_eq!(world.owners.indexed(), 2);
}

#[test]
fn lock_owner_is_released() {
    let mut world = World::new();
    world.run(&lock(1, 1, NEW));
    world.alive.push(stateid(1).other);
    assert_eq!(world.owners.lock_stateids(&owner("l")), world.alive);
    world.owners.release_lock_owner(&owner("l"));
    world.run(&step(OP_LOCKU, Of::LockStateid(1), 2, Answer::Is(NFS4_OK), Got::Unknown));
    assert!(world.owners.lock_stateids(&owner("l")).is_empty());
    assert_eq!((world.owners.count(), world.owners.indexed()), (0, 0));
}

/// Whatever it was answered last: the open-owner knows a retransmission.
#[rstest]
#[case::the_same_again(2)]
#[case::from_the_beginning(1)]
#[case::the_next(3)]
fn lock_owner_without_stateids_begins_anew(#[case] seqid: u32) {
    let mut world = World::new();
    world.run(&lock(1, 1, NEW));
    world.run(&lock(2, 2, NEW));
    world.gone.push(stateid(1).other);
    world.run(&lock(9, 3, BAD_SEQID));
    world.gone.push(stateid(2).other);
    world.run(&lock(seqid, 3, NEW));
    assert_eq!((world.owners.count(), world.owners.indexed()), (1, 1));
}

#[test]
fn unconfirmed_stateids_are_known() {
    let mut world = World::new();
    world.run(&open(5, 1, NEW));
    assert!(world.owners.is_unconfirmed(&stateid(1)));
    assert!(!world.owners.is_unconfirmed(&stateid(2)));
    world.run(&confirm(6, 1, NEW));
    assert!(!world.owners.is_unconfirmed(&stateid(1)));
}
