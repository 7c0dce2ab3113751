//! State of clients whose lease ran out: it stays until it is in the way.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 8.4.3, 8.5, 18.38.3, 18.46.3 and 18.48.3; 7530 sections 9.5, 9.6.3 and 9.1.4.3.

use rstest::rstest;

use super::*;
use crate::proto::{
    NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_EXPIRED, NFS4ERR_LOCKED, NFS4ERR_SHARE_DENIED,
    NFS4ERR_STALE_STATEID, SequenceStatus,
};

const SOME: SequenceStatus = SequenceStatus::EXPIRED_SOME_STATE_REVOKED;
const ALL: SequenceStatus = SequenceStatus::EXPIRED_ALL_STATE_REVOKED;

/// Alice, who fell silent at the beginning of time, and Bob, who asks after her lease.
struct Late {
    world: World,
    alice: Arc<Client>,
    now: Timestamp,
}

/// How a request ends: asked again until nothing is revoked any more.
#[derive(Debug, PartialEq)]
struct Outcome<T, E> {
    result: Result<T, E>,
    revoked_from: Vec<ClientId>,
}

impl Late {
    fn new(protocol: Protocol) -> Self {
        Self::with_limits(protocol, StateLimits::default())
    }

    fn with_limits(protocol: Protocol, limits: StateLimits) -> Self {
        let world = World::with_limits(limits);
        world.table.drop_client(ALICE).1.run();
        let alice = client_of(protocol, ALICE);
        world.table.add_client(&alice);
        Self { world, alice, now: Timestamp::default() + LEASE + Duration::from_secs(1) }
    }

    fn settle<T, E: std::fmt::Debug>(&self, mut ask: impl FnMut() -> Result<T, Refused<E>>) -> Outcome<T, E> {
        let mut revoked_from = Vec::new();
        loop {
            let answer = ask();
            self.world.check();
            let result = match answer {
                Ok(granted) => Ok(granted),
                Err(Refused::Because(reason)) => Err(reason),
                Err(Refused::Revoked(effects)) => {
                    revoked_from.extend(effects.revoked_from.iter().map(|(client, _)| client.id()));
                    effects.run();
                    continue;
                }
                Err(Refused::Full(_)) => panic!("no limit is near"),
                Err(Refused::Recalled(..)) => panic!("there are no delegations"),
            };
            return Outcome { result, revoked_from };
        }
    }

    fn open_late(&self, name: &str, access: ShareAccess, deny: ShareDeny) -> Outcome<Stateid, Status> {
        let owner = owner(BOB, name);
        let request = self.world.request(&owner, access, deny);
        self.settle(|| self.world.table.open(self.now, &request).map(|granted| granted.stateid))
    }

    fn late(&self, client: ClientId) -> Caller {
        Caller { client: Some(client), now: self.now }
    }

    fn tested(&self, stateid: &Stateid) -> Status {
        self.world.table.test_stateid(self.late(ALICE), stateid)
    }
}

#[rstest]
#[case::no_conflict(READ, DENY_NONE, NFS4_OK, &[])]
#[case::share_conflict(WRITE, DENY_NONE, NFS4ERR_EXPIRED, &[ALICE])]
#[case::deny_conflict(READ, ShareDeny::READ, NFS4ERR_EXPIRED, &[ALICE])]
fn an_open_gives_way_when_it_is_in_the_way(
    #[case] access: ShareAccess,
    #[case] deny: ShareDeny,
    #[case] left: Status,
    #[case] revoked_from: &[ClientId],
) {
    let late = Late::new(Protocol::Sessions);
    let stateid = late.world.open(&owner(ALICE, "a"), READ, ShareDeny::WRITE).expect("an open");
    let opened = late.open_late("b", access, deny);
    assert!(opened.result.is_ok());
    assert_eq!(opened.revoked_from, revoked_from);
    assert_eq!(late.tested(&stateid), left);
    assert_eq!(late.alice.status(), if revoked_from.is_empty() { SequenceStatus::empty() } else { ALL });
}

#[test]
fn nothing_gives_way_to_a_request_that_fails_anyway() {
    let late = Late::new(Protocol::Sessions);
    let stateid = late.world.open(&owner(ALICE, "a"), READ, ShareDeny::WRITE).expect("an open");
    let carol = session_client(ClientId(3));
    carol.renew(late.now);
    late.world.table.add_client(&carol);
    let name = owner(ClientId(3), "c");
    let request = late.world.request(&name, READ, ShareDeny::WRITE);
    late.world.table.open(late.now, &request).expect("both deny writing");
    let refused = late.open_late("b", WRITE, DENY_NONE);
    assert_eq!(refused, Outcome { result: Err(NFS4ERR_SHARE_DENIED), revoked_from: vec![] });
    assert_eq!(late.tested(&stateid), NFS4_OK);
}

#[test]
fn a_client_that_came_back_in_time_keeps_all() {
    let late = Late::new(Protocol::Sessions);
    let stateid = late.world.open(&owner(ALICE, "a"), READ, ShareDeny::WRITE).expect("an open");
    late.alice.renew(late.now);
    assert_eq!(late.open_late("b", WRITE, DENY_NONE).result, Err(NFS4ERR_SHARE_DENIED));
    assert_eq!(late.tested(&stateid), NFS4_OK);
}

#[test]
fn of_locks_only_the_stateid_in_the_way_goes() {
    let late = Late::new(Protocol::Sessions);
    let open = late.world.open_both(ALICE, "a");
    let lock = |name, at| {
        late.world.lock_new(open, &owner(ALICE, name), range(at, 10), LockKind::Write).expect("a lock")
    };
    let (near, far) = (lock("near", 0), lock("far", 100));
    let bobs = late.open_late("b", BOTH, DENY_NONE).result.expect("no conflict");
    let bob = owner(BOB, "l");
    let locker = Locker::New { open: bobs, owner: &bob };
    let ask = || late.world.table.lock(late.late(BOB), &file(1), &locker, &range(5, 10), LockKind::Read);
    let granted = late.settle(ask);
    assert!(granted.result.is_ok());
    assert_eq!(granted.revoked_from, [ALICE]);
    assert_eq!([near, far, open].map(|stateid| late.tested(&stateid)), [NFS4ERR_EXPIRED, NFS4_OK, NFS4_OK]);
    assert_eq!(late.alice.status(), SOME);
    let freed = late.world.table.free_stateid(late.late(ALICE), &near);
    assert_eq!(freed, Ok(Freed::Revoked));
    assert_eq!(late.alice.status(), SequenceStatus::empty());
    assert_eq!(late.tested(&near), NFS4ERR_BAD_STATEID);
    late.world.check();
}

/// Not even those locks that are in the way besides the one that stays.
#[test]
fn no_lock_gives_way_to_a_request_that_is_denied_anyway() {
    let late = Late::new(Protocol::Sessions);
    let open = late.world.open_both(ALICE, "a");
    let alices = owner(ALICE, "l");
    let lock = late.world.lock_new(open, &alices, range(0, 10), LockKind::Write).expect("a lock");
    let carol = session_client(ClientId(3));
    carol.renew(late.now);
    late.world.table.add_client(&carol);
    let carols = owner(ClientId(3), "l");
    let open = late.world.open_both(ClientId(3), "c");
    late.world.lock_new(open, &carols, range(20, 10), LockKind::Read).expect("a lock");
    let bobs = late.world.open_both(BOB, "b");
    let bob = owner(BOB, "l");
    let locker = Locker::New { open: bobs, owner: &bob };
    let ask = || late.world.table.lock(late.late(BOB), &file(1), &locker, &range(0, 30), LockKind::Write);
    let denied = late.settle(ask);
    let conflict = LockConflict { range: range(20, 10), kind: LockKind::Read, owner: carols };
    assert_eq!(denied, Outcome { result: Err(LockError::Denied(conflict)), revoked_from: vec![] });
    assert_eq!(late.tested(&lock), NFS4_OK);
}

/// A file has only so many locks: who is silent does not keep all of them for ever.
#[rstest]
#[case::expired(true, Ok(()), &[ALICE, ALICE])]
#[case::alive(false, Err(LockError::Status(NFS4ERR_DELAY)), &[])]
fn locks_give_way_when_the_file_is_full_of_them(
    #[case] is_expired: bool,
    #[case] want: Result<(), LockError>,
    #[case] revoked_from: &[ClientId],
) {
    let limits = StateLimits { locks_per_file: 2, ..StateLimits::default() };
    let late = Late::with_limits(Protocol::Sessions, limits);
    let open = late.world.open_both(ALICE, "a");
    let lock = |name, at| {
        late.world.lock_new(open, &owner(ALICE, name), range(at, 10), LockKind::Write).expect("a lock")
    };
    let locks = [lock("one", 0), lock("two", 100)];
    if !is_expired {
        late.alice.renew(late.now);
    }
    let bobs = late.world.open_both(BOB, "b");
    let bob = owner(BOB, "l");
    let locker = Locker::New { open: bobs, owner: &bob };
    let ask = || late.world.table.lock(late.late(BOB), &file(1), &locker, &range(50, 10), LockKind::Write);
    let outcome = late.settle(ask);
    assert_eq!(outcome.result.map(drop), want);
    assert_eq!(outcome.revoked_from, revoked_from);
    let left = if is_expired { NFS4ERR_EXPIRED } else { NFS4_OK };
    assert_eq!(locks.map(|lock| late.tested(&lock)), [left; 2]);
    assert_eq!(late.tested(&open), NFS4_OK);
}

/// LOCKT: a lock of an expired client does not stand in anybody's way, so it is not told either.
#[test]
fn a_lock_of_an_expired_client_is_not_told() {
    let late = Late::new(Protocol::Sessions);
    let open = late.world.open_both(ALICE, "a");
    late.world.lock_new(open, &owner(ALICE, "l"), range(0, 10), LockKind::Write).expect("a lock");
    let bob = owner(BOB, "l");
    let tested =
        late.settle(|| late.world.table.test_lock(late.now, &bob, &file(1), &range(0, 1), LockKind::Read));
    assert_eq!(tested, Outcome { result: Ok(()), revoked_from: vec![ALICE] });
}

#[rstest]
#[case::expired(true, Ok(crate::fs::Authority::Credentials))]
#[case::alive(false, Err(NFS4ERR_LOCKED))]
fn a_denial_of_an_expired_client_does_not_stop_special_stateids(
    #[case] is_expired: bool,
    #[case] want: Result<crate::fs::Authority, Status>,
) {
    let late = Late::new(Protocol::Sessions);
    late.world.open(&owner(ALICE, "a"), READ, ShareDeny::WRITE).expect("an open");
    if !is_expired {
        late.alice.renew(late.now);
    }
    let anonymous = Stateid::ANONYMOUS;
    let check = || late.world.table.check_io(late.late(BOB), USER, &anonymous, &file(1), Io::Write);
    assert_eq!(late.settle(check).result, want);
}

#[test]
fn revoked_stateids_are_forgotten_with_their_client() {
    let late = Late::new(Protocol::Sessions);
    let stateid = late.world.open(&owner(ALICE, "a"), READ, ShareDeny::WRITE).expect("an open");
    late.open_late("b", WRITE, DENY_NONE).result.expect("revoked");
    assert!(!late.world.table.has_state(ALICE));
    let remembers = |leases| late.world.table.remembers(ALICE, Timestamp::default() + LEASE * leases);
    assert!(remembers(10) && !remembers(11), "for some time");
    let (held, effects) = late.world.table.drop_client(ALICE);
    effects.run();
    assert_eq!(held, Held { revoked: 1, ..Held::default() });
    late.world.check();
    assert_eq!(late.tested(&stateid), NFS4ERR_BAD_STATEID);
}

/// In minor version 0 a stateid names its client, and its use renews the lease, unless it was revoked.
#[test]
fn in_minor_version_0_the_stateid_names_the_client() {
    let late = Late::new(Protocol::V4_0);
    let anybody = Caller { client: None, now: late.now };
    let alices = late.world.open_both(ALICE, "a");
    let bobs = late.world.open_both(BOB, "b");
    let test = |stateid: &Stateid| late.world.table.test_stateid(anybody, stateid);
    assert_eq!(test(&bobs), NFS4ERR_BAD_STATEID, "of a client with sessions");
    let foreign = Stateid { other: [1; 12], ..alices };
    assert_eq!(test(&foreign), NFS4ERR_STALE_STATEID);
    assert!(late.alice.is_expired(late.now));
    assert_eq!(test(&alices), NFS4_OK);
    assert!(!late.alice.is_expired(late.now));
}

#[test]
fn a_client_of_minor_version_0_loses_all_at_once() {
    let late = Late::new(Protocol::V4_0);
    let anybody = Caller { client: None, now: late.now };
    let first = late.world.open(&owner(ALICE, "a"), READ, ShareDeny::WRITE).expect("an open");
    let second = late.world.open(&owner(ALICE, "b"), READ, DENY_NONE).expect("an open");
    let opened = late.open_late("b", WRITE, DENY_NONE);
    assert_eq!(opened.revoked_from, [ALICE]);
    late.world.table.revoke_all(ALICE).run();
    late.world.check();
    let test = |stateid: &Stateid| late.world.table.test_stateid(anybody, stateid);
    assert_eq!([test(&first), test(&second)], [NFS4ERR_EXPIRED; 2]);
    assert!(late.alice.is_expired(late.now), "the use of what was revoked renews nothing");
    assert!(late.world.table.has_revoked(ALICE));
    // A request that was under way.
    assert_eq!(late.world.open(&owner(ALICE, "c"), READ, DENY_NONE), Err(NFS4ERR_EXPIRED));
    // It comes back as another client.
    late.world.table.drop_client(ALICE).1.run();
    late.world.check();
    assert_eq!(test(&first), NFS4ERR_BAD_STATEID);
}
