//! Owners that wait for a lock and poll for it: first come, first served, as long as they come back.
//!
//! Origin: the statements of the RFC, one by one, and each way in which a queue could keep somebody from a lock for nothing.
//! RFC: 8881 section 9.6, 7530 section 9.4.

use LockKind::{Read, Write};
use rstest::rstest;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// File 1, opened by Alice and Bob. Lock-owners are named by number: Alice's are even, Bob's odd.
pub(super) struct Queue {
    world: World,
    opens: [Stateid; 2],
    now: Timestamp,
}

/// Whether a lock was granted.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Answer {
    Granted,
    /// By the lock or the turn of this owner.
    DeniedBy(u64),
}
use Answer::{DeniedBy, Granted};

impl Queue {
    pub(super) fn new() -> Self {
        Self::with_limits(StateLimits::default())
    }

    fn with_limits(limits: StateLimits) -> Self {
        let world = World::with_limits(limits);
        let opens = [world.open_both(ALICE, "a"), world.open_both(BOB, "b")];
        Self { world, opens, now: Timestamp::default() }
    }

    fn client(who: u64) -> ClientId {
        if who.is_multiple_of(2) { ALICE } else { BOB }
    }

    fn owner(who: u64) -> StateOwner {
        owner(Self::client(who), &who.to_string())
    }

    fn answer(&self, result: Result<Stateid, Refused<LockError>>) -> Answer {
        self.world.check();
        match result {
            Ok(_) => Granted,
            Err(Refused::Because(LockError::Denied(conflict))) => {
                let name = String::from_utf8(conflict.owner.owner.to_vec()).expect("a name");
                DeniedBy(name.parse().expect("a number"))
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn ask(&self, who: u64, at: (u64, u64), kind: LockKind, waits: bool) -> Answer {
        let name = Self::owner(who);
        let open = if Self::client(who) == ALICE { self.opens[0] } else { self.opens[1] };
        let locker = Locker::New { open: Stateid { seqid: 0, ..open }, owner: &name };
        let (caller, at) = (self.caller(who), range(at.0, at.1));
        let table = &self.world.table;
        self.answer(if waits {
            table.lock_or_wait(caller, &file(1), &locker, &at, kind)
        } else {
            table.lock(caller, &file(1), &locker, &at, kind)
        })
    }

    fn caller(&self, who: u64) -> Caller {
        Caller { client: Some(Self::client(who)), now: self.now }
    }

    /// READW_LT or WRITEW_LT.
    pub(super) fn wait(&self, who: u64, at: (u64, u64), kind: LockKind) -> Answer {
        self.ask(who, at, kind, true)
    }

    /// READ_LT or WRITE_LT.
    pub(super) fn try_once(&self, who: u64, at: (u64, u64), kind: LockKind) -> Answer {
        self.ask(who, at, kind, false)
    }

    pub(super) fn unlock(&self, who: u64, at: (u64, u64)) {
        let state = self.world.table.lock(
            self.caller(who),
            &file(1),
            &Locker::New {
                open: if Self::client(who) == ALICE { self.opens[0] } else { self.opens[1] },
                owner: &Self::owner(who),
            },
            &range(1 << 40, 1),
            Read,
        );
        let state = state.expect("a lock elsewhere, for the stateid");
        self.world.table.unlock(self.caller(who), &state, &file(1), &range(at.0, at.1)).expect("unlocked");
        self.world.check();
    }

    /// Who was told since the last time that a lock may be free.
    pub(super) fn told(&self) -> Vec<u64> {
        let number = |notice: LockNotice| {
            let name = String::from_utf8(notice.owner.owner.to_vec()).expect("a name");
            let who = name.parse().expect("a number");
            assert_eq!((notice.client.id(), notice.file), (Self::client(who), file(1)));
            who
        };
        self.world.table.take_lock_notices().into_iter().map(number).collect()
    }

    pub(super) fn close_alices(&self) {
        let open = Stateid { seqid: 0, ..self.opens[0] };
        self.world.table.close(self.caller(0), &open, &file(1)).expect("closed").run();
        self.world.check();
    }

    /// Time passes in which the clients say something.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        for client in [ALICE, BOB] {
            self.world.clients[usize::from(client == BOB)].renew(self.now);
        }
    }
}

const ALL: (u64, u64) = (0, 10);

// Origin: pynfs LOCK18.
#[rstest]
#[case::by_one_who_waits(true)]
#[case::by_one_who_tries_once(false)]
fn who_waits_is_not_overtaken(#[case] waits: bool) {
    let queue = Queue::new();
    assert_eq!(queue.try_once(0, ALL, Write), Granted);
    assert_eq!(queue.wait(1, ALL, Write), DeniedBy(0));
    queue.unlock(0, ALL);
    assert_eq!(queue.ask(2, (5, 1), Read, waits), DeniedBy(1), "named by its turn");
    assert_eq!(queue.wait(1, ALL, Write), Granted);
    assert_eq!(queue.ask(2, (5, 1), Read, waits), DeniedBy(1), "named by its lock");
}

// Origin: pynfs LOCK21.
#[test]
fn the_queue_goes_by_arrival() {
    let queue = Queue::new();
    assert_eq!(queue.wait(0, ALL, Write), Granted);
    let waiting: Vec<u64> = (1..6).collect();
    for who in &waiting {
        assert_eq!(queue.wait(*who, ALL, Write), DeniedBy(0));
    }
    let mut holder = 0;
    for (at, first) in waiting.iter().enumerate() {
        queue.unlock(holder, ALL);
        for later in waiting[at + 1..].iter().rev() {
            assert_eq!(queue.wait(*later, ALL, Write), DeniedBy(*first));
        }
        assert_eq!(queue.wait(*first, ALL, Write), Granted);
        holder = *first;
    }
    queue.unlock(holder, ALL);
    assert_eq!(queue.try_once(7, ALL, Write), Granted, "nobody waits any more");
}

// Origin: pynfs LOCK19, LOCK20 and LOCK22.
#[rstest]
#[case::polled_once_a_lease(&[LEASE], DeniedBy(1))]
#[case::polled_often(&[LEASE / 2, LEASE / 2, LEASE / 2], DeniedBy(1))]
#[case::not_polled_for_a_lease(&[SECOND, LEASE.saturating_add(SECOND)], Granted)]
fn a_turn_is_kept_by_polling(#[case] pauses: &[Duration], #[case] want: Answer) {
    let mut queue = Queue::new();
    assert_eq!(queue.try_once(0, ALL, Write), Granted);
    for pause in pauses {
        assert_eq!(queue.wait(1, ALL, Write), DeniedBy(0));
        queue.pass(*pause);
    }
    queue.unlock(0, ALL);
    assert_eq!(queue.wait(2, ALL, Write), want);
}

#[test]
fn a_turn_that_is_not_taken_passes_on() {
    let mut queue = Queue::new();
    assert_eq!(queue.try_once(0, ALL, Write), Granted);
    assert_eq!(queue.wait(1, ALL, Write), DeniedBy(0));
    assert_eq!(queue.wait(2, ALL, Write), DeniedBy(0));
    queue.unlock(0, ALL);
    queue.pass(LEASE);
    assert_eq!(queue.wait(2, ALL, Write), DeniedBy(1));
    queue.pass(SECOND);
    assert_eq!(queue.try_once(3, ALL, Write), DeniedBy(2));
    assert_eq!(queue.wait(2, ALL, Write), Granted);
}

// RFC: 8881 section 9.6, "the last time they intend to poll for the lock".
#[rstest]
#[case::same_lock(ALL, Write, Granted)]
#[case::other_range((0, 5), Write, DeniedBy(1))]
#[case::other_kind(ALL, Read, DeniedBy(1))]
fn who_tries_once_more_without_waiting_gives_up(
    #[case] at: (u64, u64),
    #[case] kind: LockKind,
    #[case] want: Answer,
) {
    let queue = Queue::new();
    assert_eq!(queue.try_once(0, ALL, Write), Granted);
    assert_eq!(queue.wait(1, ALL, Write), DeniedBy(0));
    assert_eq!(queue.try_once(1, at, kind), DeniedBy(0));
    queue.unlock(0, ALL);
    assert_eq!(queue.try_once(2, ALL, Write), want);
}

// RFC: 8881 section 9.6, "must be prepared for the possibility that this final locking request will be accepted".
#[test]
fn the_last_try_has_the_place_of_the_others() {
    let queue = Queue::new();
    assert_eq!(queue.try_once(0, ALL, Write), Granted);
    assert_eq!(queue.wait(1, ALL, Write), DeniedBy(0));
    assert_eq!(queue.wait(2, ALL, Write), DeniedBy(0));
    queue.unlock(0, ALL);
    assert_eq!(queue.try_once(1, ALL, Write), Granted);
}

/// A lock that nothing stands in the way of is not refused for one that could not be had anyway.
#[rstest]
#[case::held_in_part((0, 5), (5, 1))]
#[case::other_bytes((0, 10), (20, 1))]
fn who_could_not_have_the_lock_keeps_nobody_from_it(#[case] held: (u64, u64), #[case] asked: (u64, u64)) {
    let queue = Queue::new();
    assert_eq!(queue.try_once(0, held, Write), Granted);
    assert_eq!(queue.wait(1, ALL, Write), DeniedBy(0));
    assert_eq!(queue.try_once(2, asked, Write), Granted);
}

#[test]
fn who_is_behind_another_turn_keeps_nobody_from_a_lock() {
    let queue = Queue::new();
    assert_eq!(queue.try_once(0, ALL, Write), Granted);
    assert_eq!(queue.wait(1, (0, 6), Write), DeniedBy(0));
    assert_eq!(queue.wait(2, (5, 5), Write), DeniedBy(0));
    queue.unlock(0, ALL);
    assert_eq!(queue.try_once(3, (8, 1), Write), Granted, "2 waits for 1");
    assert_eq!(queue.wait(1, (0, 6), Write), Granted);
}

#[test]
fn shared_locks_do_not_wait_for_each_other() {
    let queue = Queue::new();
    assert_eq!(queue.try_once(0, ALL, Write), Granted);
    assert_eq!(queue.wait(1, ALL, Read), DeniedBy(0));
    assert_eq!(queue.wait(2, ALL, Read), DeniedBy(0));
    queue.unlock(0, ALL);
    assert_eq!(queue.try_once(4, ALL, Read), Granted);
    assert_eq!(queue.wait(2, ALL, Read), Granted);
    assert_eq!(queue.try_once(6, ALL, Write), DeniedBy(4), "a lock comes before a turn");
    assert_eq!(queue.wait(1, ALL, Read), Granted);
}

/// What an owner has it can have again, and give up in part, whoever waits for it.
#[test]
fn a_holder_is_not_kept_from_its_own_lock() {
    let queue = Queue::new();
    assert_eq!(queue.try_once(0, ALL, Write), Granted);
    assert_eq!(queue.wait(1, ALL, Read), DeniedBy(0));
    assert_eq!(queue.try_once(0, (2, 3), Write), Granted);
    assert_eq!(queue.try_once(0, ALL, Read), Granted);
    assert_eq!(queue.try_once(0, ALL, Write), DeniedBy(1), "now it is the turn of who waited");
    assert_eq!(queue.wait(1, ALL, Read), Granted);
}

#[test]
fn an_owner_waits_for_one_lock_at_a_time() {
    let queue = Queue::new();
    assert_eq!(queue.try_once(0, (0, 20), Write), Granted);
    assert_eq!(queue.wait(1, (0, 10), Write), DeniedBy(0));
    assert_eq!(queue.wait(3, (0, 20), Write), DeniedBy(0));
    assert_eq!(queue.wait(1, (10, 10), Write), DeniedBy(0), "another lock: it comes last");
    queue.unlock(0, (0, 20));
    assert_eq!(queue.wait(1, (10, 10), Write), DeniedBy(3));
    assert_eq!(queue.wait(3, (0, 20), Write), Granted);
}

/// Who has its turn before others has it for a part as well.
#[test]
fn the_first_in_the_queue_is_not_kept_from_another_lock_by_the_second() {
    let queue = Queue::new();
    assert_eq!(queue.try_once(0, ALL, Write), Granted);
    assert_eq!(queue.wait(1, ALL, Write), DeniedBy(0));
    assert_eq!(queue.wait(2, ALL, Write), DeniedBy(0));
    queue.unlock(0, ALL);
    assert_eq!(queue.try_once(1, (0, 5), Read), Granted);
    assert_eq!(queue.wait(2, ALL, Write), DeniedBy(1));
}

#[rstest]
#[case::on_a_file(StateLimits { waiters_per_file: 1, ..StateLimits::default() })]
#[case::of_a_client(StateLimits { waiters_per_client: 1, ..StateLimits::default() })]
fn places_are_limited(#[case] limits: StateLimits) {
    let queue = Queue::with_limits(limits);
    assert_eq!(queue.try_once(0, ALL, Write), Granted);
    assert_eq!(queue.wait(1, ALL, Write), DeniedBy(0));
    assert_eq!(queue.wait(3, ALL, Write), DeniedBy(0), "without a place");
    queue.unlock(0, ALL);
    assert_eq!(queue.wait(1, ALL, Write), Granted);
    queue.unlock(1, ALL);
    assert_eq!(queue.try_once(5, ALL, Write), Granted);
    assert_eq!(queue.wait(3, ALL, Write), DeniedBy(5), "there is room again");
    queue.unlock(5, ALL);
    assert_eq!(queue.try_once(7, ALL, Write), DeniedBy(3));
}

#[rstest]
#[case::its_open_is_closed(|queue: &Queue| {
    queue.world.close(BOB, &Stateid { seqid: 0, ..queue.opens[1] }).expect("closed");
})]
#[case::its_client_goes(|queue: &Queue| queue.world.table.drop_client(BOB).1.run())]
fn a_place_goes_with_the_open(#[case] end: fn(&Queue)) {
    let queue = Queue::new();
    assert_eq!(queue.try_once(0, ALL, Write), Granted);
    assert_eq!(queue.wait(1, ALL, Write), DeniedBy(0));
    end(&queue);
    queue.world.check();
    queue.unlock(0, ALL);
    assert_eq!(queue.try_once(2, ALL, Write), Granted);
}

// RFC: 8881 section 18.11.3: a lock that is held is what LOCKT tells.
#[test]
fn a_turn_is_no_lock() {
    let queue = Queue::new();
    assert_eq!(queue.try_once(0, ALL, Write), Granted);
    assert_eq!(queue.wait(1, ALL, Write), DeniedBy(0));
    queue.unlock(0, ALL);
    assert_eq!(queue.world.test_lock(&Queue::owner(2), &file(1), &range(0, 10), Write), None);
}
