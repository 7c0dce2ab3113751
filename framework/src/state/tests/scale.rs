//! How much work a call is on a file with very many locks, counted in visited locks and tree nodes: time would depend on the
//! machine.
//!
//! Origin: `docs/internals/state.md`, "Byte ranges".
//! RFC: 8881 sections 18.10 to 18.12.

use rstest::rstest;

use super::*;
use crate::state::ids::StateKey;
use crate::state::range_locks::{HeldLock, OwnerKey, RangeLocks};
use crate::state::steps;

const MANY: u64 = 100_000;
/// Bytes from one lock to the next; each is half as long.
const STRIDE: u64 = 8;
/// Steps for each doubling of the number of locks. A treap of n nodes is rarely deeper than 3 log2 n, and a change that cuts
/// a lock in two goes down seven times.
const STEPS_PER_DOUBLING: u64 = 24;

/// Who holds the n-th lock, and how.
type Shape = fn(u64) -> (OwnerKey, LockKind);

fn one_owner(_: u64) -> (OwnerKey, LockKind) {
    (OwnerKey(1), LockKind::Write)
}

fn an_owner_each(n: u64) -> (OwnerKey, LockKind) {
    (OwnerKey(n + 1), LockKind::Write)
}

/// A thousand owners, shared and exclusive locks in turns.
fn mixed(n: u64) -> (OwnerKey, LockKind) {
    (OwnerKey(n * 7919 % 1000 + 1), if n.is_multiple_of(3) { LockKind::Read } else { LockKind::Write })
}

/// Asks for nothing that it has.
const STRANGER: OwnerKey = OwnerKey(MANY + 7);

fn nth(n: u64) -> ByteRange {
    range(n * STRIDE, STRIDE / 2)
}

fn lock(locks: &mut RangeLocks, owner: OwnerKey, range: ByteRange, kind: LockKind) {
    let change = locks.plan_lock(owner, HeldLock { range, kind, state: StateKey(owner.0) });
    locks.apply(&change);
}

fn build(shape: Shape, count: u64) -> RangeLocks {
    let mut locks = RangeLocks::default();
    // Not in ascending order, which trees may find too easy; 7919 and the count have no common divisor.
    for n in (0..count).map(|n| n * 7919 % count) {
        let (owner, kind) = shape(n);
        lock(&mut locks, owner, nth(n), kind);
    }
    locks
}

/// The most steps that one of some calls takes: LOCK, LOCKT and LOCKU at places all over the file.
fn most_steps(locks: &mut RangeLocks, shape: Shape, count: u64) -> u64 {
    let mut most = 0;
    for n in (0..count).step_by(usize::try_from(count / 100).expect("fits")) {
        let (owner, kind) = shape(n);
        let gap = range(n * STRIDE + STRIDE / 2, 1);
        let mut count_in = |f: &mut dyn FnMut(&mut RangeLocks)| {
            let (steps, ()) = steps::taken_by(|| f(locks));
            most = most.max(steps);
        };
        count_in(&mut |locks| assert!(locks.conflict(Some(STRANGER), &nth(n), LockKind::Write).is_some()));
        count_in(&mut |locks| assert!(locks.conflict(Some(STRANGER), &gap, LockKind::Write).is_none()));
        count_in(&mut |locks| assert!(locks.conflict(Some(owner), &nth(n), LockKind::Write).is_none()));
        count_in(&mut |locks| {
            let beyond = range(n * STRIDE, u64::MAX);
            assert_eq!(
                locks.conflict(Some(owner), &beyond, LockKind::Read).is_some(),
                others_write(shape, owner, n, count)
            );
        });
        count_in(&mut |locks| locks.apply(&locks.plan_unlock(owner, &range(n * STRIDE + 1, 1))));
        count_in(&mut |locks| lock(locks, owner, nth(n), kind));
        count_in(&mut |locks| locks.apply(&locks.plan_unlock(owner, &nth(n))));
        count_in(&mut |locks| lock(locks, owner, nth(n), kind));
        count_in(&mut |locks| lock(locks, STRANGER, gap, LockKind::Read));
        count_in(&mut |locks| locks.apply(&locks.plan_unlock(STRANGER, &gap)));
    }
    most
}

/// Whether an owner but this one has an exclusive lock at the n-th place or behind it.
fn others_write(shape: Shape, owner: OwnerKey, n: u64, count: u64) -> bool {
    (n..count).map(shape).any(|(other, kind)| other != owner && kind == LockKind::Write)
}

#[rstest]
#[case::one_owner(one_owner)]
#[case::an_owner_each(an_owner_each)]
#[case::mixed(mixed)]
fn a_call_takes_logarithmic_work(#[case] shape: Shape) {
    let mut locks = build(shape, MANY);
    assert_eq!(locks.count(), usize::try_from(MANY).expect("fits"));
    let most = most_steps(&mut locks, shape, MANY);
    let doublings = u64::from(MANY.ilog2());
    assert!(most <= STEPS_PER_DOUBLING * doublings, "{most} steps");
    assert!(most >= doublings, "{most} steps: the count counts nothing");
}

fn limits() -> StateLimits {
    let many = usize::try_from(MANY).expect("fits");
    StateLimits { locks_per_file: many, locks_per_client: many, locks_total: many, ..StateLimits::default() }
}

/// 100,000 locks of two owners on one file: as each call takes logarithmic time, this takes a moment and not minutes.
#[test]
fn very_many_locks_on_one_file() {
    let world = World::with_limits(limits());
    let (alices, bobs) = (world.open_both(ALICE, "a"), world.open_both(BOB, "b"));
    let (alice, bob) = (owner(ALICE, "l"), owner(BOB, "l"));
    let lock = |open, owner: &StateOwner, at, kind| {
        world.table.lock(caller(owner.clientid), &file(1), &Locker::New { open, owner }, &range(at, 1), kind)
    };
    for at in (0..MANY).map(|n| n * 4) {
        let state = lock(alices, &alice, at, LockKind::Write).expect("free");
        assert!(lock(bobs, &bob, at, LockKind::Read).is_err());
        // Locks of one's own are passed over without visiting each.
        let own = world.test_lock(&alice, &file(1), &range(0, u64::MAX), LockKind::Write);
        assert_eq!(own, None);
        assert_eq!(world.table.test_stateid(caller(ALICE), &state), crate::proto::NFS4_OK);
    }
    assert!(lock(bobs, &bob, 1, LockKind::Read).is_err(), "the limit");
    assert_eq!(world.test_lock(&bob, &file(1), &range(MANY * 4, u64::MAX), LockKind::Write), None);
    let first = world.test_lock(&bob, &file(1), &range(1, u64::MAX), LockKind::Read).expect("many");
    assert_eq!(first.range, range(4, 1));
}

/// 100,000 lock-owners under one open, each of which the table finds without passing over the others.
#[test]
fn very_many_owners_on_one_file() {
    let world = World::with_limits(limits());
    let open = world.open_both(ALICE, "a");
    let owners: Vec<_> = (0..MANY).map(|n| owner(ALICE, &n.to_string())).collect();
    let lock = |owner, at| {
        let locker = Locker::New { open, owner };
        world.table.lock(caller(ALICE), &file(1), &locker, &range(at, 1), LockKind::Write)
    };
    for (at, owner) in (0..).zip(&owners) {
        lock(owner, at * 4).expect("free");
    }
    for (at, owner) in (0..).zip(&owners) {
        let again = lock(owner, at * 4).expect("its own");
        let unlocked = world.table.unlock(caller(ALICE), &again, &file(1), &range(at * 4, 1));
        world.table.free_stateid(caller(ALICE), &unlocked.expect("its own")).expect("it holds nothing");
    }
    world.check();
}
