//! Origin: the numbered cases of the RFC, each combination of record, update flag, verifier and principal.
//! RFC: 8881 sections 18.35.3 and 18.35.4, 7862 section 14.1.

use std::sync::Arc;

use rstest::rstest;

use super::world::*;
use crate::attr::Bitmap;
use crate::client::{ClientIds, GoneReason};
use crate::clock::Timestamp;
use crate::proto::*;
use crate::session::*;
use crate::xdr::Opaque;

const OLD_VERIFIER: u8 = 1;
const NEW_VERIFIER: u8 = 2;
const OLD_USER: u32 = 1;
const NEW_USER: u32 = 2;

#[derive(Debug, Clone, Copy)]
enum Known {
    Nothing,
    Unconfirmed,
    /// With a session.
    Confirmed,
    /// Without session or other state.
    Idle,
    /// Without session, but with an open file.
    Holding,
    /// With a session, but the lease is over.
    Expired,
    /// Confirmed, and a new incarnation that is not.
    Restarting,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// A new client ID, and the confirmed one stays.
    New,
    /// A new client ID, and the confirmed one is gone.
    Supplants,
    /// The confirmed client ID.
    Confirmed,
    Fails(Status),
}

fn prepare(world: &World, known: Known) -> Option<ClientId> {
    let session = match known {
        Known::Nothing => return None,
        Known::Unconfirmed => return Some(world.unconfirmed("client", OLD_VERIFIER)),
        _ => world.session("client", 4),
    };
    let id = *world.confirmed.borrow().first().unwrap();
    match known {
        Known::Idle | Known::Holding => {
            world.core.destroy_session(session.sessionid, &world.connection, Within::Nothing).unwrap();
        }
        Known::Expired => world.clock.advance(LEASE * 2),
        Known::Restarting => {
            world.unconfirmed("client", 9);
        }
        _ => {}
    }
    if matches!(known, Known::Holding) {
        world.holders.borrow_mut().insert(id);
    }
    Some(id)
}

fn outcome(world: &World, old: Option<ClientId>, args: &ExchangeId4Args, uid: u32) -> Outcome {
    let (reply, gone) = match world.exchange(args, uid) {
        Ok(answer) => answer,
        Err(status) => return Outcome::Fails(status),
    };
    assert!(reply.flags.contains(ExchangeIdFlags::USE_NON_PNFS));
    assert!(!reply.flags.contains(ExchangeIdFlags::UPD_CONFIRMED_REC_A));
    if reply.flags.contains(ExchangeIdFlags::CONFIRMED_R) {
        assert_eq!((Some(reply.clientid), gone.len()), (old, 0));
        return Outcome::Confirmed;
    }
    assert_ne!(Some(reply.clientid), old, "a client ID is for one incarnation");
    assert_eq!(reply.sequenceid, 1);
    match gone[..] {
        [] => Outcome::New,
        [(id, GoneReason::Supplanted)] if Some(id) == old => Outcome::Supplants,
        _ => panic!("{gone:?}"),
    }
}

#[rstest]
#[case::case_1_new_owner(Known::Nothing, OLD_VERIFIER, OLD_USER, Outcome::New)]
#[case::case_2_retry(Known::Confirmed, OLD_VERIFIER, OLD_USER, Outcome::Confirmed)]
#[case::case_2_retry_when_expired(Known::Expired, OLD_VERIFIER, OLD_USER, Outcome::Confirmed)]
#[case::case_2_beside_unconfirmed(Known::Restarting, OLD_VERIFIER, OLD_USER, Outcome::Confirmed)]
#[case::case_3_collision(Known::Confirmed, OLD_VERIFIER, NEW_USER, Outcome::Fails(NFS4ERR_CLID_INUSE))]
#[case::case_3_other_verifier(Known::Confirmed, NEW_VERIFIER, NEW_USER, Outcome::Fails(NFS4ERR_CLID_INUSE))]
#[case::case_3_only_opens(Known::Holding, OLD_VERIFIER, NEW_USER, Outcome::Fails(NFS4ERR_CLID_INUSE))]
#[case::case_3_without_state(Known::Idle, OLD_VERIFIER, NEW_USER, Outcome::Supplants)]
#[case::case_3_without_state_other_verifier(Known::Idle, NEW_VERIFIER, NEW_USER, Outcome::Supplants)]
#[case::case_3_expired(Known::Expired, NEW_VERIFIER, NEW_USER, Outcome::Supplants)]
#[case::case_4_same_again(Known::Unconfirmed, OLD_VERIFIER, OLD_USER, Outcome::New)]
#[case::case_4_other_verifier(Known::Unconfirmed, NEW_VERIFIER, OLD_USER, Outcome::New)]
#[case::case_4_other_user(Known::Unconfirmed, OLD_VERIFIER, NEW_USER, Outcome::New)]
#[case::case_4_all_other(Known::Unconfirmed, NEW_VERIFIER, NEW_USER, Outcome::New)]
#[case::case_5_restart(Known::Confirmed, NEW_VERIFIER, OLD_USER, Outcome::New)]
#[case::case_5_restart_without_state(Known::Idle, NEW_VERIFIER, OLD_USER, Outcome::New)]
#[case::case_5_restart_again(Known::Restarting, NEW_VERIFIER, OLD_USER, Outcome::New)]
fn no_update(#[case] known: Known, #[case] verifier: u8, #[case] uid: u32, #[case] expected: Outcome) {
    let world = World::new();
    let old = prepare(&world, known);
    let args = exchange_args("client", verifier, ExchangeIdFlags::empty());
    assert_eq!(outcome(&world, old, &args, uid), expected);
}

#[rstest]
#[case::case_6_update(Known::Confirmed, OLD_VERIFIER, OLD_USER, Outcome::Confirmed)]
#[case::case_6_beside_unconfirmed(Known::Restarting, OLD_VERIFIER, OLD_USER, Outcome::Confirmed)]
#[case::case_7_unknown(Known::Nothing, OLD_VERIFIER, OLD_USER, Outcome::Fails(NFS4ERR_NOENT))]
#[case::case_7_unconfirmed(Known::Unconfirmed, OLD_VERIFIER, OLD_USER, Outcome::Fails(NFS4ERR_NOENT))]
#[case::case_8_verifier(Known::Confirmed, NEW_VERIFIER, OLD_USER, Outcome::Fails(NFS4ERR_NOT_SAME))]
#[case::case_8_verifier_and_user(Known::Confirmed, NEW_VERIFIER, NEW_USER, Outcome::Fails(NFS4ERR_NOT_SAME))]
#[case::case_9_user(Known::Confirmed, OLD_VERIFIER, NEW_USER, Outcome::Fails(NFS4ERR_PERM))]
fn update(#[case] known: Known, #[case] verifier: u8, #[case] uid: u32, #[case] expected: Outcome) {
    let world = World::new();
    let old = prepare(&world, known);
    let args = exchange_args("client", verifier, ExchangeIdFlags::UPD_CONFIRMED_REC_A);
    assert_eq!(outcome(&world, old, &args, uid), expected);
}

#[test]
fn an_update_leaves_an_unconfirmed_record_intact() {
    let world = World::new();
    let id = world.unconfirmed("client", OLD_VERIFIER);
    let args = exchange_args("client", OLD_VERIFIER, ExchangeIdFlags::UPD_CONFIRMED_REC_A);
    assert_eq!(world.exchange(&args, OLD_USER).unwrap_err(), NFS4ERR_NOENT);
    assert!(world.create(&create_args(id, 1, 4), OLD_USER).is_ok());
}

#[test]
fn a_refused_collision_changes_nothing() {
    let world = World::new();
    let session = world.session("client", 4);
    let restarting = world.unconfirmed("client", NEW_VERIFIER);
    let args = exchange_args("client", NEW_VERIFIER, ExchangeIdFlags::empty());
    assert_eq!(world.exchange(&args, NEW_USER).unwrap_err(), NFS4ERR_CLID_INUSE);
    finish(new(world.sequence(session.sessionid, 0, 1)), NFS4_OK, b"");
    assert!(world.create(&create_args(restarting, 1, 4), OLD_USER).is_ok());
}

#[test]
fn a_collision_with_a_running_request_is_refused_even_after_the_lease() {
    let world = World::new();
    let session = world.session("client", 4);
    let running = new(world.sequence(session.sessionid, 0, 1));
    world.clock.advance(LEASE * 2);
    let args = exchange_args("client", NEW_VERIFIER, ExchangeIdFlags::empty());
    assert_eq!(world.exchange(&args, NEW_USER).unwrap_err(), NFS4ERR_CLID_INUSE);
    finish(running, NFS4_OK, b"");
    assert_eq!(world.exchange(&args, NEW_USER).unwrap().1.len(), 1);
}

#[rstest]
#[case::none(Minor::V1, 0, true)]
#[case::referrals(Minor::V1, 0x3, true)]
#[case::bind_principal(Minor::V1, 0x100, true)]
#[case::all_roles(Minor::V1, 0x0007_0000, true)]
#[case::fence_before_4_2(Minor::V1, 0x4, false)]
#[case::fence(Minor::V2, 0x4, true)]
#[case::undefined_low(Minor::V2, 0x8, false)]
#[case::undefined_high(Minor::V2, 0x2000_0000, false)]
#[case::for_the_server_alone(Minor::V2, 0x8000_0000, false)]
fn flags(#[case] minor: Minor, #[case] bits: u32, #[case] is_good: bool) {
    let world = World::new();
    let args = exchange_args("client", 1, ExchangeIdFlags::from_bits_retain(bits));
    let reply = world.core.exchange_id(world.now(), &args, user(1), minor, Within::Nothing, &|_| false);
    assert_eq!(reply.err(), (!is_good).then_some(NFS4ERR_INVAL));
}

fn protect_ops() -> StateProtectOps4 {
    StateProtectOps4 { must_enforce: Bitmap::EMPTY, must_allow: Bitmap::EMPTY }
}

fn ssv() -> StateProtect4A {
    let (hash_algs, encr_algs) = (vec![Opaque::from("oid")], vec![Opaque::from("oid")]);
    StateProtect4A::Ssv(SsvSpParms4 {
        ops: protect_ops(),
        hash_algs,
        encr_algs,
        window: 1,
        num_gss_handles: 0,
    })
}

#[rstest]
#[case::machine_credential(StateProtect4A::MachCred(protect_ops()))]
#[case::secret_state_verifier(ssv())]
fn protection_needs_rpcsec_gss(#[case] state_protect: StateProtect4A) {
    let world = World::new();
    let args = ExchangeId4Args { state_protect, ..exchange_args("client", 1, ExchangeIdFlags::empty()) };
    assert_eq!(world.exchange(&args, 1).unwrap_err(), NFS4ERR_INVAL);
}

#[test]
fn the_server_is_who_it_was_configured_to_be() {
    let reply = |epoch| {
        let identity = ServerIdentity::new(b"name", epoch);
        let core = SessionCore::new(
            identity,
            SessionLimits::default(),
            LEASE,
            Arc::new(ClientIds::new(epoch)),
            [1; 16],
        );
        let args = exchange_args("client", 1, ExchangeIdFlags::empty());
        core.exchange_id(Timestamp::default(), &args, user(1), Minor::V1, Within::Nothing, &|_| false)
            .unwrap()
            .0
    };
    let (before, after) = (reply(1), reply(2));
    assert_eq!(before.server_owner, after.server_owner);
    assert_eq!(before.server_scope, after.server_scope);
    assert_ne!(before.clientid, after.clientid, "client IDs of another start are stale");
}

#[test]
fn there_are_no_more_records_than_the_limit() {
    let world = World::with_limits(SessionLimits { clients: 2, ..SessionLimits::default() });
    world.session("two", 1);
    world.session("one", 1);
    let third = exchange_args("three", 1, ExchangeIdFlags::empty());
    assert_eq!(world.exchange(&third, 1).unwrap_err(), NFS4ERR_DELAY);
    assert_eq!(
        world.exchange(&exchange_args("one", 2, ExchangeIdFlags::empty()), 1).unwrap_err(),
        NFS4ERR_DELAY
    );
    world.clock.advance(LEASE * 2 + std::time::Duration::from_secs(1));
    let (reply, gone) = world.exchange(&third, 1).unwrap();
    assert_eq!(gone.len(), 1);
    assert!(world.create(&create_args(reply.clientid, 1, 1), 1).is_ok());
}

/// Whoever makes up clients fills the table, and yet keeps nobody out.
#[test]
fn records_that_nobody_confirms_give_way_the_oldest_first() {
    let world = World::with_limits(SessionLimits { clients: 3, ..SessionLimits::default() });
    world.session("in use", 1);
    let old = world.unconfirmed("old", 1);
    let young = world.unconfirmed("young", 1);
    let new = world.unconfirmed("new", 1);
    assert_eq!(world.create(&create_args(old, 1, 1), 1).unwrap_err(), NFS4ERR_STALE_CLIENTID);
    assert!(world.create(&create_args(young, 1, 1), 1).is_ok());
    for flood in 0..100 {
        world.unconfirmed(&format!("flood {flood}"), 1);
    }
    assert_eq!(world.create(&create_args(new, 1, 1), 1).unwrap_err(), NFS4ERR_STALE_CLIENTID);
    let late = world.unconfirmed("late", 1);
    assert!(world.create(&create_args(late, 1, 1), 1).is_ok());
    assert_eq!(world.confirmed.borrow().len(), 3, "no client with a session went");
}
