//! Byte-range locks: stateids, conflicts and limits. What is locked after which calls is in `lock_model`.
//!
//! Origin: own tables.
//! RFC: 8881 sections 9.1 to 9.6 and 18.10 to 18.12.

use rstest::rstest;

use super::*;
use crate::proto::{
    NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, NFS4ERR_LOCK_RANGE, NFS4ERR_OLD_STATEID, NFS4ERR_OPENMODE,
};

const MAX: u64 = u64::MAX;

// RFC: 8881 section 18.10.3.
#[test]
fn a_lock_stateid_counts_its_changes() {
    let world = World::new();
    let open = world.open_both(ALICE, "me");
    let me = owner(ALICE, "l");
    let first = world.lock_new(open, &me, range(0, 10), LockKind::Write).expect("a lock");
    assert_eq!(first.seqid, 1);
    assert_ne!(first.other, open.other);
    let second = world.lock(ALICE, &Locker::Existing(first), range(10, 10), LockKind::Write).expect("a lock");
    assert_eq!((second.other, second.seqid), (first.other, 2));
    let stale = world.lock(ALICE, &Locker::Existing(first), range(20, 10), LockKind::Write);
    assert_eq!(stale, Err(LockError::Status(NFS4ERR_OLD_STATEID)));
    let unaware = world.lock_new(open, &me, range(20, 10), LockKind::Write).expect("a lock");
    assert_eq!((unaware.other, unaware.seqid), (first.other, 3));
    let unlocked = world.unlock(ALICE, &unaware, range(0, MAX)).expect("unlocked");
    assert_eq!((unlocked.other, unlocked.seqid), (first.other, 4));
    assert_eq!(world.unlock(ALICE, &open, range(0, 1)), Err(NFS4ERR_BAD_STATEID));
    let by_open = world.lock(ALICE, &Locker::Existing(open), range(0, 1), LockKind::Read);
    assert_eq!(by_open, Err(LockError::Status(NFS4ERR_BAD_STATEID)));
    let by_lock = world.lock_new(unlocked, &me, range(0, 1), LockKind::Read);
    assert_eq!(by_lock, Err(LockError::Status(NFS4ERR_BAD_STATEID)));
}

#[rstest]
#[case::shared_of_reader(READ, LockKind::Read, true)]
#[case::exclusive_of_reader(READ, LockKind::Write, false)]
#[case::shared_of_writer(WRITE, LockKind::Read, false)]
#[case::exclusive_of_writer(WRITE, LockKind::Write, true)]
fn a_lock_needs_a_fitting_open(#[case] access: ShareAccess, #[case] kind: LockKind, #[case] granted: bool) {
    let world = World::new();
    let open = world.open(&owner(ALICE, "me"), access, DENY_NONE).expect("an open");
    let locked = world.lock_new(open, &owner(ALICE, "l"), range(0, 1), kind);
    assert_eq!(locked.err(), (!granted).then_some(LockError::Status(NFS4ERR_OPENMODE)));
}

// RFC: 8881 sections 18.10.3 and 18.11.3: the owner of the conflict is told with its own clientid.
#[test]
fn a_conflict_names_the_lock_that_is_in_the_way() {
    let world = World::new();
    let (alices, bobs) = (world.open_both(ALICE, "a"), world.open_both(BOB, "b"));
    let (alice, bob) = (owner(ALICE, "same"), owner(BOB, "same"));
    world.lock_new(alices, &alice, range(100, MAX), LockKind::Write).expect("a lock");
    let conflict = LockConflict { range: range(100, MAX), kind: LockKind::Write, owner: alice.clone() };
    let denied = world.lock_new(bobs, &bob, range(50, 51), LockKind::Read);
    assert_eq!(denied, Err(LockError::Denied(conflict.clone())));
    let test = |who: &StateOwner, at: ByteRange| world.test_lock(who, &file(1), &at, LockKind::Read);
    assert_eq!(test(&bob, range(MAX, MAX)), Some(conflict));
    assert_eq!(test(&bob, range(0, 100)), None);
    assert_eq!(test(&alice, range(0, MAX)), None);
    assert_eq!(world.test_lock(&bob, &file(2), &range(0, MAX), LockKind::Write), None);
}

// RFC: 8881 section 18.2.3.
#[test]
fn close_lets_go_the_locks_under_the_open_and_no_others() {
    let world = World::new();
    let (first, second) = (world.open_both(ALICE, "first"), world.open_both(ALICE, "second"));
    let me = owner(ALICE, "l");
    world.lock_new(first, &me, range(0, 10), LockKind::Write).expect("a lock");
    world.lock_new(second, &me, range(20, 10), LockKind::Write).expect("a lock");
    world.close(ALICE, &first).expect("closed");
    let test = |at| world.test_lock(&owner(BOB, "b"), &file(1), &at, LockKind::Read);
    assert_eq!(test(range(0, 20)), None);
    assert!(test(range(0, 21)).is_some());
}

#[rstest]
#[case::per_file(StateLimits { locks_per_file: 2, ..StateLimits::default() })]
#[case::per_client(StateLimits { locks_per_client: 2, ..StateLimits::default() })]
#[case::in_all(StateLimits { locks_total: 2, ..StateLimits::default() })]
fn locks_are_limited(#[case] limits: StateLimits) {
    let world = World::with_limits(limits);
    let open = world.open_both(ALICE, "me");
    let me = owner(ALICE, "l");
    world.lock_new(open, &me, range(0, 10), LockKind::Write).expect("the first");
    let state = world.lock_new(open, &me, range(20, 10), LockKind::Write).expect("the second");
    let third = world.lock_new(open, &me, range(40, 10), LockKind::Write);
    assert_eq!(third, Err(LockError::Status(NFS4ERR_DELAY)));
    let other = world.lock_new(open, &owner(ALICE, "other"), range(40, 10), LockKind::Write);
    assert_eq!(other, Err(LockError::Status(NFS4ERR_DELAY)));
    assert_eq!(world.unlock(ALICE, &state, range(2, 2)), Err(NFS4ERR_LOCK_RANGE), "would split");
    let merged = world.lock_new(open, &me, range(10, 10), LockKind::Write).expect("merges three into one");
    world.lock_new(open, &me, range(40, 10), LockKind::Write).expect("there is room again");
    world.unlock(ALICE, &Stateid { seqid: 0, ..merged }, range(0, MAX)).expect("unlocked");
    world.lock_new(open, &me, range(4, 2), LockKind::Read).expect("there is room again");
}

#[rstest]
#[case::per_client(StateLimits { lock_stateids_per_client: 1, ..StateLimits::default() })]
#[case::in_all(StateLimits { lock_stateids_total: 1, ..StateLimits::default() })]
fn lock_stateids_are_limited(#[case] limits: StateLimits) {
    let world = World::with_limits(limits);
    let open = world.open_both(ALICE, "me");
    let lock = world.lock_new(open, &owner(ALICE, "1"), range(0, 1), LockKind::Read).expect("a lock");
    let second = world.lock_new(open, &owner(ALICE, "2"), range(0, 1), LockKind::Read);
    assert_eq!(second, Err(LockError::Status(NFS4ERR_DELAY)));
    let unlocked = world.unlock(ALICE, &lock, range(0, 1)).expect("unlocked");
    world.table.free_stateid(caller(ALICE), &unlocked).expect("freed");
    world.lock_new(open, &owner(ALICE, "2"), range(0, 1), LockKind::Read).expect("there is room again");
}
