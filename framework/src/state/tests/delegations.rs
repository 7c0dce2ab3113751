//! Delegations: who is given one, what recalls it, how it ends.
//!
//! Origin: the rules for granting and recalling of RFC 8881 section 10.4. RFC: 8881 sections 10.2, 10.4, 18.6; 9754.

use rstest::rstest;

use super::*;
use crate::proto::{NFS4ERR_BAD_STATEID, NFS4ERR_DELEG_REVOKED, NFS4ERR_EXPIRED, NFS4ERR_OPENMODE};

fn wanted(kind: DelegationType) -> DelegationRequest {
    DelegationRequest {
        kind,
        origin: None,
        timestamps: Timestamps::Server,
        open: BesideOpen::Always,
        claim: DelegationClaim::New,
    }
}

const READ_DELEGATION: DelegationType = DelegationType::Read;
const WRITE_DELEGATION: DelegationType = DelegationType::Write;

fn at(client: ClientId, seconds: u64) -> Caller {
    Caller { client: Some(client), now: Timestamp::default() + Duration::from_secs(seconds) }
}

impl World {
    fn grant(&self, request: OpenRequest<'_>) -> Result<Granted, Refused> {
        let opened = self.table.open(Timestamp::default(), &request);
        drop(request);
        self.check();
        opened
    }

    fn open_wanting(
        &self,
        client: ClientId,
        access: ShareAccess,
        wanted: DelegationRequest,
    ) -> Result<Granted, Refused> {
        let me = owner(client, "me");
        self.grant(OpenRequest { delegation: Some(wanted), ..self.request(&me, access, DENY_NONE) })
    }

    fn delegated(&self, client: ClientId, access: ShareAccess, kind: DelegationType) -> Stateid {
        let granted = self.open_wanting(client, access, wanted(kind)).expect("an open");
        granted.delegation.expect("asked for").expect("a delegation").stateid
    }
}

/// What became of a request that met delegations.
fn recalled<T: std::fmt::Debug>(result: Result<T, Refused>) -> Vec<ClientId> {
    match result {
        Err(Refused::Recalled(effects, _)) => {
            effects.recalls.iter().map(|recall| recall.client.id()).collect()
        }
        other => panic!("not recalled: {other:?}"),
    }
}

#[rstest]
#[case::reader_and_reader(READ, READ_DELEGATION, None)]
#[case::reader_meets_writer(WRITE, READ_DELEGATION, Some(WhyNot::Contention))]
#[case::writer_meets_reader(READ, WRITE_DELEGATION, Some(WhyNot::Contention))]
#[case::writer_meets_writer(BOTH, WRITE_DELEGATION, Some(WhyNot::Contention))]
fn a_delegation_needs_that_no_open_of_others_is_in_conflict(
    #[case] other: ShareAccess,
    #[case] kind: DelegationType,
    #[case] want: Option<WhyNot>,
) {
    let world = World::new();
    world.open(&owner(BOB, "other"), other, DENY_NONE).expect("an open");
    let granted = world.open_wanting(ALICE, BOTH, wanted(kind)).expect("an open");
    assert_eq!(granted.delegation.expect("asked for").err(), want);
}

#[rstest]
#[case::read_by_reading(READ_DELEGATION, READ, DENY_NONE, false)]
#[case::read_by_writing(READ_DELEGATION, WRITE, DENY_NONE, true)]
#[case::read_by_denying_read(READ_DELEGATION, READ, ShareDeny::READ, true)]
#[case::read_by_denying_write(READ_DELEGATION, READ, ShareDeny::WRITE, false)]
#[case::write_by_reading(WRITE_DELEGATION, READ, DENY_NONE, true)]
#[case::write_by_writing(WRITE_DELEGATION, BOTH, DENY_NONE, true)]
fn an_open_of_another_client_recalls_what_it_conflicts_with(
    #[case] kind: DelegationType,
    #[case] access: ShareAccess,
    #[case] deny: ShareDeny,
    #[case] conflicts: bool,
) {
    let world = World::new();
    // Given without an open, so that no share reservation is in the way.
    let hold = world.hold();
    let given = world.table.want_delegation(
        Timestamp::default(),
        ALICE,
        &file(1),
        &hold,
        (USER, READ),
        &wanted(kind),
    );
    let stateid = given.expect("a client").expect("a delegation").stateid;
    drop(hold);
    let bob = owner(BOB, "bob");
    let opens = || world.grant(world.request(&bob, access, deny));
    if !conflicts {
        opens().expect("an open");
        return;
    }
    assert_eq!(recalled(opens()), [ALICE], "is recalled once");
    assert_eq!(recalled(opens()), [], "and waited for");
    world.table.return_delegation(caller(ALICE), &stateid, &file(1)).expect("returned").run();
    opens().expect("an open");
    world.check();
}

#[test]
fn the_holder_is_not_in_its_own_way() {
    let world = World::new();
    world.delegated(ALICE, READ, READ_DELEGATION);
    world.open(&owner(ALICE, "writer"), BOTH, DENY_NONE).expect("an open");
    let changing = world.table.begin_change(caller(ALICE), &file(1), RecallReason::Attributes);
    drop(changing.expect("its own file"));
}

#[rstest]
#[case::read(READ_DELEGATION, Io::Read, false)]
#[case::write(READ_DELEGATION, Io::Write, true)]
#[case::read_of_written(WRITE_DELEGATION, Io::Read, true)]
#[case::write_of_written(WRITE_DELEGATION, Io::Write, true)]
fn special_stateids_recall_like_opens(
    #[case] kind: DelegationType,
    #[case] io: Io,
    #[case] conflicts: bool,
    #[values(Stateid::ANONYMOUS, Stateid::READ_BYPASS)] stateid: Stateid,
) {
    let world = World::new();
    world.delegated(ALICE, BOTH, kind);
    let does = |client| world.table.check_io(caller(client), USER, &stateid, &file(1), io);
    does(ALICE).expect("the holder's own");
    if conflicts {
        assert_eq!(recalled(does(BOB)), [ALICE]);
    } else {
        does(BOB).expect("no conflict");
    }
}

#[rstest]
#[case::read(READ_DELEGATION, Io::Read, None)]
#[case::write_by_read(READ_DELEGATION, Io::Write, Some(NFS4ERR_OPENMODE))]
#[case::write(WRITE_DELEGATION, Io::Write, None)]
#[case::read_by_write(WRITE_DELEGATION, Io::Read, None)]
fn a_delegation_is_good_for_io(#[case] kind: DelegationType, #[case] io: Io, #[case] want: Option<Status>) {
    let world = World::new();
    let stateid = world.delegated(ALICE, BOTH, kind);
    let checked = world.table.check_io(caller(ALICE), USER, &stateid, &file(1), io);
    assert_eq!(checked.map_err(reason).err(), want);
    let of_another = world.table.check_io(caller(BOB), USER, &stateid, &file(1), io);
    assert_eq!(of_another.map_err(reason).err(), Some(NFS4ERR_BAD_STATEID));
}

#[test]
fn a_file_that_changes_is_not_delegated() {
    let world = World::new();
    let changing = world.table.begin_change(caller(BOB), &file(1), RecallReason::Names).expect("a change");
    let asks = || {
        world
            .open_wanting(ALICE, READ, wanted(READ_DELEGATION))
            .expect("an open")
            .delegation
            .expect("asked for")
    };
    assert_eq!(asks().err(), Some(WhyNot::Contention));
    drop(changing);
    asks().expect("a delegation");
}

#[test]
fn after_a_recall_none_is_given_for_a_while() {
    let world = World::new();
    let stateid = world.delegated(ALICE, READ, READ_DELEGATION);
    let bob = owner(BOB, "bob");
    recalled(world.grant(world.request(&bob, WRITE, DENY_NONE)));
    world.table.return_delegation(caller(ALICE), &stateid, &file(1)).expect("returned").run();
    let asks = |seconds| {
        let hold = world.hold();
        let now = at(ALICE, seconds).now;
        world
            .table
            .want_delegation(now, ALICE, &file(1), &hold, (USER, READ), &wanted(READ_DELEGATION))
            .expect("a client")
    };
    assert_eq!(asks(1).err(), Some(WhyNot::Contention));
    asks(10).expect("a delegation");
}

#[rstest]
#[case::of_its_type(READ_DELEGATION, WhyNot::HoldsRead)]
#[case::another(WRITE_DELEGATION, WhyNot::HoldsWrite)]
fn who_has_a_delegation_gets_no_second(#[case] kind: DelegationType, #[case] want: WhyNot) {
    let world = World::new();
    world.delegated(ALICE, BOTH, kind);
    let second = world.open_wanting(ALICE, BOTH, wanted(WRITE_DELEGATION)).expect("an open");
    assert_eq!(second.delegation.expect("asked for").err(), Some(want));
}

#[rstest]
#[case::reading(READ_DELEGATION, READ, Beside::Nothing)]
#[case::reading_and_writing(WRITE_DELEGATION, BOTH, Beside::Nothing)]
#[case::reading_by_one_for_writing(WRITE_DELEGATION, READ, Beside::Nothing)]
#[case::writing_by_one_for_reading(READ_DELEGATION, WRITE, Beside::Open)]
#[case::both_by_one_for_reading(READ_DELEGATION, BOTH, Beside::Open)]
fn a_delegation_stands_for_an_open_that_it_allows(
    #[case] kind: DelegationType,
    #[case] access: ShareAccess,
    #[case] want: Beside,
) {
    let world = World::new();
    let xor = DelegationRequest { open: BesideOpen::UnlessDelegated, ..wanted(kind) };
    let granted = world.open_wanting(ALICE, access, xor).expect("an open");
    assert_eq!(granted.beside, want);
    assert!(granted.delegation.is_some_and(|given| given.is_ok()));
}

#[test]
fn a_delegation_can_stand_for_the_open() {
    let world = World::new();
    let xor = DelegationRequest { open: BesideOpen::UnlessDelegated, ..wanted(READ_DELEGATION) };
    let granted = world.open_wanting(ALICE, READ, xor).expect("an open");
    assert_eq!(granted.beside, Beside::Nothing);
    world
        .table
        .check_io(caller(ALICE), USER, &granted.stateid, &file(1), Io::Read)
        .expect("good for reading");
    assert_eq!(world.holds(), 1, "the delegation keeps the file");
    world.table.return_delegation(caller(ALICE), &granted.stateid, &file(1)).expect("returned").run();
    drop(granted);
    assert_eq!(world.holds(), 0);
}

#[test]
fn an_open_that_is_taken_back_takes_its_delegation_with_it() {
    let world = World::new();
    let granted = world.open_wanting(ALICE, READ, wanted(READ_DELEGATION)).expect("an open");
    world.table.undo_open(&granted.undo).run();
    assert_eq!(world.table.delegations_in_all(), 0);
    drop(granted);
    assert_eq!(world.holds(), 0);
}

#[test]
fn what_is_not_returned_within_a_lease_is_revoked_and_told() {
    let world = World::new();
    let stateid = world.delegated(ALICE, READ, READ_DELEGATION);
    recalled(world.table.begin_change(caller(BOB), &file(1), RecallReason::Attributes).map(drop));
    let [alice, _] = &world.clients;
    let (before, after) = (at(BOB, 89), at(BOB, 91));
    alice.renew(before.now);
    assert!(recalled(world.table.begin_change(before, &file(1), RecallReason::Names).map(drop)).is_empty());
    let revoked = world.table.begin_change(after, &file(1), RecallReason::Names).map(drop);
    let Err(Refused::Revoked(effects)) = revoked else { panic!("not revoked: {revoked:?}") };
    assert_eq!(effects.revoked_from.len(), 1, "it is to be recorded");
    effects.run();
    world.table.begin_change(after, &file(1), RecallReason::Names).map(drop).expect("nothing is in the way");
    let flag = crate::proto::SequenceStatus::RECALLABLE_STATE_REVOKED;
    assert!(alice.status().contains(flag));
    let me = at(ALICE, 92);
    assert_eq!(world.table.test_stateid(me, &stateid), NFS4ERR_DELEG_REVOKED);
    let returned = world.table.return_delegation(me, &stateid, &file(1));
    assert_eq!(returned.err(), Some(NFS4ERR_DELEG_REVOKED));
    // NFS4ERR_DELEG_REVOKED is no answer of CLOSE.
    let closed = world.table.close(me, &stateid, &file(1));
    assert_eq!(closed.err(), Some(NFS4ERR_BAD_STATEID));
    assert_eq!(world.table.free_stateid(me, &stateid), Ok(Freed::Revoked));
    assert!(!alice.status().contains(flag));
    world.check();
}

#[test]
fn the_reaper_revokes_what_is_overdue() {
    let world = World::new();
    world.delegated(ALICE, READ, READ_DELEGATION);
    recalled(world.table.begin_change(caller(BOB), &file(1), RecallReason::Attributes).map(drop));
    world.table.revoke_overdue(at(BOB, 89).now).run();
    assert_eq!(world.table.delegations_in_all(), 1);
    world.table.revoke_overdue(at(BOB, 90).now).run();
    assert_eq!(world.table.delegations_in_all(), 0);
    let counts = world.table.delegation_counts();
    assert_eq!((counts.granted[0], counts.recalled[0][RecallReason::Attributes as usize]), (1, 1));
    assert_eq!(
        (counts.revoked[0][RevokeReason::NotReturned as usize], counts.active(READ_DELEGATION)),
        (1, 0)
    );
}

#[test]
fn a_delegation_of_a_silent_client_gives_way_at_once() {
    let world = World::new();
    let stateid = world.delegated(ALICE, READ, READ_DELEGATION);
    let change = world.table.begin_change(at(BOB, 91), &file(1), RecallReason::Attributes).map(drop);
    assert!(matches!(change, Err(Refused::Revoked(_))), "{change:?}");
    assert_eq!(world.table.test_stateid(at(ALICE, 92), &stateid), NFS4ERR_EXPIRED);
}

#[test]
fn the_end_of_a_client_takes_its_delegations_with_it() {
    let world = World::new();
    world.delegated(ALICE, BOTH, WRITE_DELEGATION);
    let (held, effects) = world.table.drop_client(ALICE);
    assert_eq!((held.opens, held.delegations), (1, 1));
    assert_eq!(effects.returned.len(), 1, "who waits is woken");
    effects.run();
    assert_eq!((world.holds(), world.table.delegations_in_all()), (0, 0));
}

#[rstest]
#[case::of_a_client(StateLimits { delegations_per_client: 1, ..StateLimits::default() })]
#[case::in_all(StateLimits { delegations_total: 1, ..StateLimits::default() })]
fn limits_refuse_the_delegation_and_not_the_open(#[case] limits: StateLimits) {
    let world = World::with_limits(limits);
    world.delegated(ALICE, READ, READ_DELEGATION);
    let me = owner(ALICE, "me");
    let second = OpenRequest {
        file: file(2),
        delegation: Some(wanted(READ_DELEGATION)),
        ..world.request(&me, READ, DENY_NONE)
    };
    let granted = world.grant(second).expect("an open");
    assert_eq!(granted.delegation.expect("asked for").err(), Some(WhyNot::Resource));
}

#[rstest]
#[case::few(3, 100, 50, &[])]
#[case::one_client_has_as_many_as_it_may(8, 100, 8, &[(ALICE, 6)])]
#[case::all_have_as_many_as_they_may(8, 9, 100, &[(ALICE, 6)])]
fn under_pressure_clients_are_asked_for_a_quarter(
    #[case] alices: u64,
    #[case] in_all: usize,
    #[case] of_one: usize,
    #[case] want: &[(ClientId, usize)],
) {
    let limits =
        StateLimits { delegations_total: in_all, delegations_per_client: of_one, ..StateLimits::default() };
    let world = World::with_limits(limits);
    let gives = |client, number| {
        let (hold, now) = (world.hold(), Timestamp::default());
        let wanted = wanted(READ_DELEGATION);
        let given = world.table.want_delegation(now, client, &file(number), &hold, (USER, READ), &wanted);
        given.expect("a client").expect("a delegation");
    };
    (0..alices).for_each(|number| gives(ALICE, number));
    if of_one > 3 {
        gives(BOB, 100);
    }
    let asked = world.table.delegation_pressure();
    let asked: Vec<_> = asked.iter().map(|asked| (asked.client.id(), asked.keep)).collect();
    assert_eq!(asked, want);
}

/// pynfs 4.1 DELEG8: the holder sends nothing either while the recall is waited for.
#[test]
fn a_silent_client_that_was_asked_is_told_of_the_recall() {
    let world = World::new();
    let stateid = world.delegated(ALICE, READ, READ_DELEGATION);
    recalled(world.table.begin_change(caller(BOB), &file(1), RecallReason::Attributes).map(drop));
    let change = world.table.begin_change(at(BOB, 91), &file(1), RecallReason::Attributes).map(drop);
    assert!(matches!(change, Err(Refused::Revoked(_))), "{change:?}");
    assert_eq!(world.table.test_stateid(at(ALICE, 92), &stateid), NFS4ERR_DELEG_REVOKED);
}
