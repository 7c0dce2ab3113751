//! Opens, closes and stateids.
//!
//! Origin: own tables.
//! RFC: 8881 sections 8.2, 9.7, 18.2, 18.16, 18.38 and 18.48.

use rstest::rstest;

use super::*;
use crate::proto::{
    NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, NFS4ERR_EXPIRED, NFS4ERR_INVAL, NFS4ERR_LOCKS_HELD,
    NFS4ERR_OLD_STATEID, NFS4ERR_SHARE_DENIED,
};

// RFC: 8881 section 9.7.
#[rstest]
#[case::readers((1, 0), (1, 0), true)]
#[case::writers((2, 0), (2, 0), true)]
#[case::writer_denied((1, 2), (2, 0), false)]
#[case::reader_not_denied((1, 2), (1, 0), true)]
#[case::all_denied((1, 3), (1, 0), false)]
#[case::denies_what_is_open((3, 0), (1, 1), false)]
#[case::denies_what_is_not_open((1, 0), (1, 2), true)]
#[case::both_deny_writing((1, 2), (1, 2), true)]
fn a_second_open(
    #[case] first: (u32, u32),
    #[case] second: (u32, u32),
    #[case] granted: bool,
    #[values(ALICE, BOB)] client: ClientId,
) {
    let world = World::new();
    let open = |owner: &StateOwner, (access, deny): (u32, u32)| {
        world.open(owner, ShareAccess::from_bits_retain(access), ShareDeny::from_bits_retain(deny))
    };
    open(&owner(ALICE, "first"), first).expect("nothing conflicts yet");
    let result = open(&owner(client, "second"), second);
    assert_eq!(result.err(), (!granted).then_some(NFS4ERR_SHARE_DENIED));
    assert_eq!(world.holds(), if granted { 2 } else { 1 });
}

// RFC: 8881 section 9.7: "including those for the open-owner making the new OPEN request".
#[test]
fn an_owner_is_denied_what_it_denies_itself() {
    let world = World::new();
    let me = owner(ALICE, "me");
    world.open(&me, READ, ShareDeny::WRITE).expect("an open");
    assert_eq!(world.open(&me, WRITE, DENY_NONE), Err(NFS4ERR_SHARE_DENIED));
}

// RFC: 8881 section 9.9.
#[test]
fn an_upgrade_keeps_the_stateid_and_one_hold() {
    let world = World::new();
    let me = owner(ALICE, "me");
    let first = world.open(&me, READ, DENY_NONE).expect("an open");
    let second = world.open(&me, WRITE, DENY_NONE).expect("an upgrade");
    assert_eq!((first.seqid, second.seqid), (1, 2));
    assert_eq!(first.other, second.other);
    assert_eq!(world.holds(), 1);
    assert_eq!(world.close(ALICE, &first), Err(NFS4ERR_OLD_STATEID));
    assert_eq!(world.close(ALICE, &second), Ok(()));
    assert_eq!(world.holds(), 0);
    assert!(!world.table.has_state(ALICE));
    assert_eq!(world.close(ALICE, &second), Err(NFS4ERR_BAD_STATEID));
}

#[test]
fn owners_are_told_apart_by_client_and_by_name() {
    let world = World::new();
    let stateids = [world.open_both(ALICE, "a"), world.open_both(ALICE, "b"), world.open_both(BOB, "a")];
    assert!(stateids.iter().all(|one| stateids.iter().filter(|other| other.other == one.other).count() == 1));
    assert_eq!(world.close(BOB, &stateids[0]), Err(NFS4ERR_BAD_STATEID));
    assert_eq!(world.close(ALICE, &stateids[0]), Ok(()));
}

// RFC: 8881 section 18.18.3.
#[test]
fn a_downgrade_opens_the_way_for_others() {
    let world = World::new();
    let me = owner(ALICE, "me");
    world.open(&me, READ, DENY_NONE).expect("an open");
    let stateid = world.open(&me, WRITE, ShareDeny::READ).expect_err("denies what it has open");
    assert_eq!(stateid, NFS4ERR_SHARE_DENIED);
    let both = world.open(&me, BOTH, ShareDeny::WRITE).expect("nobody writes yet");
    assert_eq!(world.open(&owner(BOB, "writer"), WRITE, DENY_NONE), Err(NFS4ERR_SHARE_DENIED));
    let downgrade = |stateid, access| {
        let result = world.table.open_downgrade(caller(ALICE), stateid, &file(1), access, DENY_NONE);
        world.check();
        result
    };
    assert_eq!(downgrade(&both, WRITE), Err(NFS4ERR_INVAL));
    let read = downgrade(&both, READ).expect("one of the two opens");
    assert_eq!((read.other, read.seqid), (both.other, both.seqid + 1));
    assert_eq!(downgrade(&both, READ), Err(NFS4ERR_OLD_STATEID));
    world.open(&owner(BOB, "writer"), WRITE, DENY_NONE).expect("not denied any more");
}

#[test]
fn a_passing_access_must_not_be_denied_and_is_not_kept() {
    let world = World::new();
    let denier = world.open(&owner(BOB, "denier"), READ, ShareDeny::WRITE).expect("an open");
    let me = owner(ALICE, "me");
    let truncating = || OpenRequest { passing: WRITE, ..world.request(&me, READ, DENY_NONE) };
    assert_eq!(world.try_open(truncating()).err(), Some(NFS4ERR_SHARE_DENIED));
    world.close(BOB, &denier).expect("closed");
    world.try_open(truncating()).expect("nobody denies it");
    world.open(&owner(BOB, "denier"), READ, ShareDeny::WRITE).expect("nobody has it open for writing");
}

#[test]
fn undoing_a_new_open_leaves_nothing() {
    let world = World::new();
    let me = owner(ALICE, "me");
    let (stateid, undo) = world.try_open(world.request(&me, BOTH, ShareDeny::BOTH)).expect("an open");
    world.table.undo_open(&undo).run();
    world.check();
    assert_eq!((world.holds(), world.table.has_state(ALICE)), (0, false));
    assert_eq!(world.table.test_stateid(caller(ALICE), &stateid), NFS4ERR_BAD_STATEID);
}

#[test]
fn undoing_an_upgrade_brings_back_the_stateid_that_the_client_has() {
    let world = World::new();
    let me = owner(ALICE, "me");
    let before = world.open(&me, READ, DENY_NONE).expect("an open");
    let (_, undo) = world.try_open(world.request(&me, WRITE, DENY_NONE)).expect("an upgrade");
    world.table.undo_open(&undo).run();
    world.check();
    assert_eq!(world.table.test_stateid(caller(ALICE), &before), NFS4_OK);
    world.open(&owner(BOB, "denier"), READ, ShareDeny::WRITE).expect("writing was given up");
}

#[test]
fn an_open_that_came_upon_an_undone_one_stays() {
    let world = World::new();
    let me = owner(ALICE, "me");
    let (_, undo) = world.try_open(world.request(&me, WRITE, DENY_NONE)).expect("an open");
    let later = world.open(&me, READ, DENY_NONE).expect("an upgrade");
    world.table.undo_open(&undo).run();
    world.check();
    assert_eq!(world.table.test_stateid(caller(ALICE), &later), NFS4_OK);
}

// RFC: 8881 sections 8.2.3, 8.2.4 and 18.48.3.
#[rstest]
#[case::current(|stateid| stateid, NFS4_OK)]
#[case::most_recent(|stateid| Stateid { seqid: 0, ..stateid }, NFS4_OK)]
#[case::old(|stateid| Stateid { seqid: 1, ..stateid }, NFS4ERR_OLD_STATEID)]
#[case::from_the_future(|stateid| Stateid { seqid: 3, ..stateid }, NFS4ERR_BAD_STATEID)]
#[case::anonymous(|_| Stateid::ANONYMOUS, NFS4ERR_BAD_STATEID)]
#[case::bypass(|_| Stateid::READ_BYPASS, NFS4ERR_BAD_STATEID)]
#[case::current_stateid(|_| Stateid::CURRENT, NFS4ERR_BAD_STATEID)]
#[case::invalid(|_| Stateid::INVALID, NFS4ERR_BAD_STATEID)]
#[case::another_epoch(|stateid| Stateid { other: [1; 12], ..stateid }, NFS4ERR_BAD_STATEID)]
fn test_stateid(#[case] sent: fn(Stateid) -> Stateid, #[case] want: Status) {
    let world = World::new();
    world.open_both(ALICE, "me");
    let stateid = world.open_both(ALICE, "me");
    assert_eq!(world.table.test_stateid(caller(ALICE), &sent(stateid)), want);
    assert_eq!(world.table.test_stateid(caller(BOB), &sent(stateid)), NFS4ERR_BAD_STATEID);
}

// RFC: 8881 section 18.38.3.
#[test]
fn free_stateid_takes_lock_stateids_without_locks() {
    let world = World::new();
    let open = world.open_both(ALICE, "me");
    let free = |stateid: &Stateid| {
        let freed = world.table.free_stateid(caller(ALICE), stateid);
        world.check();
        freed
    };
    assert_eq!(free(&open), Err(NFS4ERR_LOCKS_HELD));
    let lock = world.lock_new(open, &owner(ALICE, "l"), range(0, 9), LockKind::Write).expect("a lock");
    assert_eq!(free(&lock), Err(NFS4ERR_LOCKS_HELD));
    let unlocked = world.unlock(ALICE, &lock, range(0, 9)).expect("unlocked");
    assert_eq!(free(&lock), Err(NFS4ERR_OLD_STATEID));
    assert_eq!(world.table.free_stateid(caller(BOB), &unlocked), Err(NFS4ERR_BAD_STATEID));
    assert_eq!(free(&unlocked), Ok(Freed::LockState));
    assert_eq!(free(&unlocked), Err(NFS4ERR_BAD_STATEID));
    assert_eq!(world.close(ALICE, &open), Ok(()));
}

#[test]
fn dropping_a_client_takes_its_state_and_no_other() {
    let world = World::new();
    let alices = world.open_both(ALICE, "a");
    let bobs = world.open_both(BOB, "b");
    world.lock_new(alices, &owner(ALICE, "l"), range(0, 9), LockKind::Write).expect("a lock");
    world.table.drop_client(ALICE).1.run();
    world.check();
    assert_eq!((world.table.has_state(ALICE), world.table.has_state(BOB)), (false, true));
    assert_eq!(world.holds(), 1);
    assert_eq!(world.table.test_stateid(caller(ALICE), &alices), NFS4ERR_BAD_STATEID);
    assert_eq!(world.open(&owner(ALICE, "a"), READ, DENY_NONE), Err(NFS4ERR_EXPIRED));
    world.lock_new(bobs, &owner(BOB, "l"), range(0, 9), LockKind::Write).expect("the lock is gone");
}

#[test]
fn opens_are_limited_per_client() {
    let world = World::with_limits(StateLimits { opens_per_client: 2, ..StateLimits::default() });
    let first = world.open_both(ALICE, "1");
    assert!(world.table.check_room(ALICE).is_ok());
    world.open_both(ALICE, "2");
    assert_eq!(world.table.check_room(ALICE).map_err(reason), Err(NFS4ERR_DELAY));
    assert_eq!(world.open(&owner(ALICE, "3"), READ, DENY_NONE), Err(NFS4ERR_DELAY));
    assert_eq!(world.holds(), 2);
    world.open_both(ALICE, "2");
    world.open_both(BOB, "3");
    world.close(ALICE, &first).expect("closed");
    world.open_both(ALICE, "3");
}

#[test]
fn opens_are_limited_in_all() {
    let world = World::with_limits(StateLimits { opens_total: 2, ..StateLimits::default() });
    let first = world.open_both(ALICE, "1");
    assert!(world.table.check_room(BOB).is_ok());
    world.open_both(BOB, "2");
    assert!(matches!(world.table.check_room(BOB), Err(Refused::Full(_))));
    let owner = owner(BOB, "3");
    let full = world.table.open(Timestamp::default(), &world.request(&owner, READ, DENY_NONE));
    assert!(matches!(full, Err(Refused::Full(_))));
    world.check();
    assert_eq!(world.holds(), 2);
    world.open_both(BOB, "2");
    world.close(ALICE, &first).expect("closed");
    world.open_both(BOB, "3");
}
