//! Every order of the steps of two or three threads on the table. A lock taken out of order panics in each of them.
//!
//! Origin: `docs/internals/concurrency.md`, the invariants of `docs/internals/invariants.md`.
//! RFC: 8881 sections 8.2.4, 9.7 and 18.38.

use super::*;
use crate::attr::Bitmap;
use crate::proto::{NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, NFS4ERR_EXPIRED, NFS4ERR_LOCKS_HELD};
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::orders::{check_all, join, spawn};

fn table() -> Arc<StateTable> {
    with_limits(StateLimits::default())
}

/// A table with two clients.
fn with_limits(limits: StateLimits) -> Arc<StateTable> {
    let table = Arc::new(StateTable::new(7, limits));
    table.add_client(&session_client(ALICE));
    table.add_client(&session_client(BOB));
    table
}

fn try_open(table: &StateTable, client: ClientId, number: u64, deny: ShareDeny) -> Result<Granted, Status> {
    let request = OpenRequest {
        owner: &owner(client, "me"),
        file: file(number),
        principal: USER,
        access: BOTH,
        deny,
        delegation: None,
        passing: ShareAccess::empty(),
        hold: OpenHold::new(()),
    };
    table.open(Timestamp::default(), &request).map_err(reason)
}

fn open(table: &StateTable, client: ClientId) -> Stateid {
    try_open(table, client, 1, DENY_NONE).expect("an open").stateid
}

/// Locks the first byte of file 1.
fn lock(table: &StateTable, client: ClientId, open: Stateid, name: &str) -> Result<Stateid, LockError> {
    let owner = owner(client, name);
    let locker = Locker::New { open, owner: &owner };
    table.lock(caller(client), &file(1), &locker, &range(0, 1), LockKind::Write).map_err(reason)
}

fn check(table: &StateTable) {
    table.check_invariants().expect("the invariants hold");
}

fn assert_empty(table: &StateTable) {
    check(table);
    assert!(table.files.map_all(|_, _| ()).is_empty(), "no file stays in the table");
    assert!(table.stateids.map_all(|_, _| ()).is_empty(), "no stateid stays in the table");
}

#[test]
fn an_open_survives_the_last_close_of_another() {
    check_all(|| {
        let table = table();
        let mine = open(&table, ALICE);
        let other = table.clone();
        let opener = spawn(move || open(&other, BOB));
        table.close(caller(ALICE), &mine, &file(1)).expect("an open of one's own").run();
        let theirs = join(opener);
        check(&table);
        assert!(table.has_state(BOB), "the open is not lost with the file's old state");
        table.close(caller(BOB), &theirs, &file(1)).expect("the open is found").run();
        assert_empty(&table);
    });
}

#[test]
fn of_two_that_deny_each_other_one_opens() {
    check_all(|| {
        let table = table();
        let openers = [ALICE, BOB].map(|client| {
            let table = table.clone();
            spawn(move || try_open(&table, client, 1, ShareDeny::BOTH).is_ok())
        });
        let opened = openers.map(join);
        assert!(opened[0] != opened[1], "{opened:?}");
        check(&table);
    });
}

#[test]
fn an_open_that_is_taken_back_leaves_the_others() {
    check_all(|| {
        let table = table();
        let mine = try_open(&table, ALICE, 1, DENY_NONE).expect("an open");
        let other = table.clone();
        let opener = spawn(move || open(&other, BOB));
        table.undo_open(&mine.undo).run();
        let theirs = join(opener);
        check(&table);
        assert!(!table.has_state(ALICE));
        table.close(caller(BOB), &theirs, &file(1)).expect("the open is found").run();
        assert_empty(&table);
    });
}

#[test]
fn nothing_is_left_of_a_client_that_is_dropped_while_it_opens() {
    check_all(|| {
        let table = table();
        let others = [1, 2].map(|number| {
            let table = table.clone();
            spawn(move || match try_open(&table, ALICE, number, DENY_NONE) {
                Ok(granted) => granted.effects.run(),
                Err(status) => assert_eq!(status, NFS4ERR_EXPIRED),
            })
        });
        table.drop_client(ALICE).1.run();
        others.into_iter().for_each(join);
        assert_empty(&table);
    });
}

#[test]
fn nothing_is_left_of_a_client_that_is_dropped_while_it_locks() {
    check_all(|| {
        let table = table();
        let opened = open(&table, ALICE);
        let other = table.clone();
        let locker = spawn(move || match lock(&other, ALICE, opened, "me") {
            Ok(_) => {}
            Err(error) => assert_eq!(error, LockError::Status(NFS4ERR_BAD_STATEID)),
        });
        table.drop_client(ALICE).1.run();
        join(locker);
        assert_empty(&table);
        assert_eq!(table.locks.count(), 0);
    });
}

/// Who is given what a silent client had sees whether that is on record (invariant O8).
#[test]
fn what_was_revoked_is_known_to_be_unsettled() {
    check_all(|| {
        let table = table();
        let alices = open(&table, ALICE);
        lock(&table, ALICE, alices, "me").expect("a lock");
        let late = Timestamp::default() + LEASE + Duration::from_secs(1);
        let is_on_record = Arc::new(AtomicBool::new(false));
        let others = [1, 2].map(|number| {
            let (table, is_on_record) = (table.clone(), is_on_record.clone());
            let name = owner(BOB, &number.to_string());
            let opened = open(&table, BOB);
            spawn(move || {
                let locker = Locker::New { open: Stateid { seqid: 0, ..opened }, owner: &name };
                let caller = Caller { client: Some(BOB), now: late };
                loop {
                    match table.lock(caller, &file(1), &locker, &range(0, 1), LockKind::Read) {
                        Ok(_) => break,
                        Err(Refused::Revoked(effects)) => {
                            let lost = effects.revoked_from.len();
                            effects.run();
                            is_on_record.store(true, Relaxed);
                            table.settled(lost);
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
                if table.is_settled() {
                    assert!(is_on_record.load(Relaxed), "given away before it is on record");
                }
            })
        });
        let _ = others.map(join);
        assert!(table.is_settled());
        check(&table);
    });
}

#[test]
fn of_two_locks_on_a_byte_one_is_granted() {
    check_all(|| {
        let table = table();
        let lockers = [ALICE, BOB].map(|client| {
            let opened = open(&table, client);
            let table = table.clone();
            spawn(move || lock(&table, client, opened, "me").is_ok())
        });
        let locked = lockers.map(join);
        assert!(locked[0] != locked[1], "{locked:?}");
        check(&table);
    });
}

#[test]
fn a_close_takes_the_lock_that_was_made_or_refuses_the_one_to_come() {
    check_all(|| {
        let table = table();
        let opened = open(&table, ALICE);
        let other = table.clone();
        let locker = spawn(move || lock(&other, ALICE, opened, "me").is_ok());
        table.close(caller(ALICE), &opened, &file(1)).expect("an open of one's own").run();
        join(locker);
        assert_empty(&table);
        assert_eq!(table.locks.count(), 0);
    });
}

#[test]
fn a_stateid_is_freed_or_locks_again() {
    check_all(|| {
        let table = table();
        let opened = open(&table, ALICE);
        let stateid = lock(&table, ALICE, opened, "me").expect("a lock");
        table.unlock(caller(ALICE), &stateid, &file(1), &range(0, 1)).expect("a lock of one's own");
        let any_seqid = Stateid { seqid: 0, ..stateid };
        let other = table.clone();
        let locker = spawn(move || {
            let by_stateid = Locker::Existing(any_seqid);
            let locked = other.lock(caller(ALICE), &file(1), &by_stateid, &range(0, 1), LockKind::Write);
            locked.map(|_| ()).map_err(reason)
        });
        let freed = table.free_stateid(caller(ALICE), &any_seqid);
        let outcome = join(locker);
        match freed {
            Ok(_) => assert_eq!(outcome, Err(LockError::Status(NFS4ERR_BAD_STATEID))),
            Err(status) => assert_eq!((status, outcome), (NFS4ERR_LOCKS_HELD, Ok(()))),
        }
        check(&table);
    });
}

#[test]
fn the_last_place_goes_to_one() {
    check_all(|| {
        let table = with_limits(StateLimits { locks_total: 1, ..StateLimits::default() });
        // On two files, whose locks do not keep the two apart.
        let lockers = [(ALICE, 1), (BOB, 2)].map(|(client, number)| {
            let opened = try_open(&table, client, number, DENY_NONE).expect("an open").stateid;
            let table = table.clone();
            spawn(move || {
                let owner = owner(client, "me");
                let by_name = Locker::New { open: opened, owner: &owner };
                let locked =
                    table.lock(caller(client), &file(number), &by_name, &range(0, 1), LockKind::Write);
                locked.map(|_| ()).map_err(reason)
            })
        });
        let locked = lockers.map(join);
        let full = Err(LockError::Status(NFS4ERR_DELAY));
        assert!(locked == [Ok(()), full.clone()] || locked == [full, Ok(())], "{locked:?}");
        check(&table);
    });
}

fn want(table: &StateTable, client: ClientId) -> Option<Stateid> {
    let request = DelegationRequest {
        kind: DelegationType::Write,
        origin: None,
        timestamps: Timestamps::Server,
        open: BesideOpen::Always,
        claim: DelegationClaim::Reclaim,
    };
    let hold = OpenHold::new(());
    let given = table.want_delegation(Timestamp::default(), client, &file(1), &hold, (USER, BOTH), &request);
    given.ok().and_then(Result::ok).map(|given| given.stateid)
}

#[test]
fn nobody_is_given_a_delegation_of_a_file_that_changes() {
    check_all(|| {
        let table = table();
        let is_changing = Arc::new(AtomicBool::new(false));
        let changes = {
            let (table, is_changing) = (table.clone(), is_changing.clone());
            spawn(move || {
                let Ok(changing) = table.begin_change(caller(BOB), &file(1), RecallReason::Attributes) else {
                    return;
                };
                is_changing.store(true, Relaxed);
                is_changing.store(false, Relaxed);
                drop(changing);
            })
        };
        if want(&table, ALICE).is_some() {
            assert!(!is_changing.load(Relaxed), "given while the file was being changed");
        }
        join(changes);
        check(&table);
    });
}

#[test]
fn nobody_is_given_a_delegation_of_a_directory_that_changes_unseen() {
    check_all(|| {
        let table = table();
        let holder = {
            let table = table.clone();
            spawn(move || {
                let request = DelegationRequest {
                    kind: DelegationType::Directory,
                    origin: None,
                    timestamps: Timestamps::Server,
                    open: BesideOpen::Always,
                    claim: DelegationClaim::New,
                };
                let terms = DirTerms {
                    types: Bitmap::EMPTY,
                    child_attributes: Bitmap::EMPTY,
                    dir_attributes: Bitmap::EMPTY,
                    dir_delay: Duration::ZERO,
                };
                let now = Timestamp::default();
                let given = table.delegate_directory(now, ALICE, &file(1), USER, &request, terms);
                given.expect("a client").is_ok()
            })
        };
        let may_change = {
            let began = table.begin_dir_change(caller(BOB), &file(1), DirEvent::Add);
            // The change is made here: whoever is given a delegation has it before or after.
            let is_held = !table.dir_wants(&file(1)).is_empty();
            assert!(!(began.is_ok() && is_held), "changed under a delegation");
            began.is_ok()
        };
        let is_given = join(holder);
        assert!(may_change || is_given, "of the two one goes through");
        check(&table);
    });
}

#[test]
fn of_a_delegation_and_an_open_that_exclude_each_other_one_is_given() {
    check_all(|| {
        let table = table();
        let other = table.clone();
        let opener = spawn(move || {
            let me = owner(BOB, "me");
            let hold = OpenHold::new(());
            let request = OpenRequest {
                owner: &me,
                file: file(1),
                principal: USER,
                access: READ,
                deny: DENY_NONE,
                delegation: None,
                passing: ShareAccess::empty(),
                hold,
            };
            other.open(Timestamp::default(), &request).is_ok()
        });
        let delegated = want(&table, ALICE).is_some();
        let is_open = join(opener);
        assert!(is_open != delegated, "open: {is_open}, delegation: {delegated}");
        check(&table);
    });
}

#[test]
fn no_delegation_is_left_of_a_client_that_is_dropped_while_it_is_given_one() {
    check_all(|| {
        let table = table();
        let other = table.clone();
        let asks = spawn(move || want(&other, ALICE));
        table.drop_client(ALICE).1.run();
        join(asks);
        assert_empty(&table);
    });
}

#[test]
fn a_delegation_that_is_returned_when_it_is_overdue_ends_once() {
    check_all(|| {
        let table = table();
        let stateid = want(&table, ALICE).expect("a delegation");
        let recalled = table.recall(Timestamp::default(), &stateid, RecallReason::Administrator);
        drop(recalled.expect("a delegation"));
        let other = table.clone();
        let returns = spawn(move || other.return_delegation(caller(ALICE), &stateid, &file(1)).is_ok());
        let revoked = table.revoke_overdue(Timestamp::default() + LEASE);
        let returned = join(returns);
        assert_eq!(revoked.revoked_from.is_empty(), returned);
        check(&table);
    });
}
