//! Origin: the four phases of CREATE_SESSION, its arguments, and its reply slot.
//! RFC: 8881 sections 18.36.3 and 18.36.4.

use rstest::rstest;

use super::world::*;
use crate::client::GoneReason;
use crate::proto::*;
use crate::session::*;
use crate::xdr::{Opaque, encode_to_bytes};

#[rstest]
#[case::the_contrived_reply(0, NFS4ERR_SEQ_MISORDERED)]
#[case::too_large(2, NFS4ERR_SEQ_MISORDERED)]
#[case::far_off(u32::MAX, NFS4ERR_SEQ_MISORDERED)]
fn sequence_of_the_first(#[case] sequence: u32, #[case] status: Status) {
    let world = World::new();
    let id = world.unconfirmed("client", 1);
    assert_eq!(world.create(&create_args(id, sequence, 4), 1).unwrap_err(), status);
    assert!(world.create(&create_args(id, 1, 4), 1).is_ok(), "nothing was changed");
}

#[test]
fn a_retry_gets_the_same_bytes_and_no_session() {
    let world = World::new();
    let id = world.unconfirmed("client", 1);
    let (first, _) = world.create(&create_args(id, 1, 4), 1).unwrap();
    // RFC 8881 section 18.36.4: what tells a retry is csa_sequence alone.
    let (again, gone) = world.create(&create_args(id, 1, 2), 2).unwrap();
    assert_eq!(encode_to_bytes(&first), encode_to_bytes(&again));
    assert_eq!(gone, []);
    assert_eq!(world.confirmed.borrow()[..], [id], "it is confirmed once");
    let (second, _) = world.create(&create_args(id, 2, 4), 1).unwrap();
    assert_ne!(first.sessionid, second.sessionid);
    assert_eq!(second.sequence, 2);
    assert_eq!(world.create(&create_args(id, 1, 4), 1).unwrap_err(), NFS4ERR_SEQ_MISORDERED);
    assert_eq!(world.create(&create_args(id, 4, 4), 1).unwrap_err(), NFS4ERR_SEQ_MISORDERED);
}

#[rstest]
#[case::unconfirmed(false)]
#[case::confirmed(true)]
fn another_user_is_refused_and_uses_nothing_up(#[case] is_confirmed: bool) {
    let world = World::new();
    let id = world.unconfirmed("client", 1);
    let next = if is_confirmed {
        let _ = world.create(&create_args(id, 1, 4), 1).unwrap();
        2
    } else {
        1
    };
    for _ in 0..2 {
        assert_eq!(world.create(&create_args(id, next, 4), 2).unwrap_err(), NFS4ERR_CLID_INUSE);
    }
    assert!(world.create(&create_args(id, next, 4), 1).is_ok());
}

#[test]
fn an_unknown_client_is_stale() {
    let world = World::new();
    assert_eq!(world.create(&create_args(ClientId(5), 1, 4), 1).unwrap_err(), NFS4ERR_STALE_CLIENTID);
}

#[test]
fn a_client_that_does_not_confirm_is_forgotten_after_two_leases() {
    let world = World::new();
    let (early, late) = (world.unconfirmed("early", 1), world.unconfirmed("late", 1));
    world.clock.advance(LEASE * 2);
    assert!(world.create(&create_args(early, 1, 4), 1).is_ok());
    world.clock.advance(std::time::Duration::from_millis(1));
    assert_eq!(world.create(&create_args(late, 1, 4), 1).unwrap_err(), NFS4ERR_STALE_CLIENTID);
}

type Change = fn(&mut CreateSession4Args);

fn gss() -> CallbackSecParms4 {
    let handle = || Opaque::from("handle");
    CallbackSecParms4::Gss(GssCbHandles4 {
        service: RpcGssService::Privacy,
        handle_from_server: handle(),
        handle_from_client: handle(),
    })
}

#[rstest]
#[case::undefined_flag(|args: &mut CreateSession4Args| args.flags = CreateSessionFlags::from_bits_retain(8), NFS4ERR_INVAL)]
#[case::no_room_for_a_request(|args: &mut CreateSession4Args| args.fore_channel.max_request_size = 20, NFS4ERR_TOOSMALL)]
#[case::no_room_for_a_reply(|args: &mut CreateSession4Args| args.fore_channel.max_response_size = 0, NFS4ERR_TOOSMALL)]
#[case::no_room_for_a_callback(|args: &mut CreateSession4Args| args.back_channel.max_request_size = 10, NFS4ERR_TOOSMALL)]
#[case::no_room_for_its_reply(|args: &mut CreateSession4Args| args.back_channel.max_response_size = 10, NFS4ERR_TOOSMALL)]
#[case::callbacks_of_one_operation(|args: &mut CreateSession4Args| args.back_channel.max_operations = 1, NFS4ERR_TOOSMALL)]
#[case::gss_handles_that_nobody_gave(|args: &mut CreateSession4Args| args.sec_parms = vec![gss()], NFS4ERR_NOENT)]
fn bad_arguments_use_nothing_up(#[case] change: Change, #[case] status: Status) {
    let world = World::new();
    let id = world.unconfirmed("client", 1);
    let mut args = create_args(id, 1, 4);
    change(&mut args);
    for _ in 0..3 {
        assert_eq!(world.create(&args, 1).unwrap_err(), status);
    }
    assert!(world.confirmed.borrow().is_empty());
    assert!(world.create(&create_args(id, 1, 4), 1).is_ok());
}

#[rstest]
#[case::gss_beside_others(|args: &mut CreateSession4Args| args.sec_parms = vec![gss(), CallbackSecParms4::None(())])]
#[case::no_callbacks(|args: &mut CreateSession4Args| args.sec_parms = vec![])]
#[case::small_cache(|args: &mut CreateSession4Args| args.fore_channel.max_response_size_cached = 10)]
#[case::small_request(|args: &mut CreateSession4Args| args.fore_channel.max_request_size = 512)]
#[case::small_reply(|args: &mut CreateSession4Args| args.fore_channel.max_response_size = 400)]
fn unusual_arguments_are_good(#[case] change: Change) {
    let world = World::new();
    let id = world.unconfirmed("client", 1);
    let mut args = create_args(id, 1, 4);
    change(&mut args);
    assert!(world.create(&args, 1).is_ok());
}

#[rstest]
#[case::persist(CreateSessionFlags::PERSIST)]
#[case::backchannel(CreateSessionFlags::CONN_BACK_CHAN)]
#[case::rdma(CreateSessionFlags::CONN_RDMA)]
fn no_flag_is_granted(#[case] flags: CreateSessionFlags) {
    let world = World::new();
    let id = world.unconfirmed("client", 1);
    let (reply, _) = world.create(&CreateSession4Args { flags, ..create_args(id, 1, 4) }, 1).unwrap();
    assert_eq!(reply.flags, CreateSessionFlags::empty());
}

#[rstest]
#[case::as_asked(channel(4), channel(4))]
#[case::ceilings(
    ChannelAttrs4 {
        header_pad_size: 16,
        max_request_size: u32::MAX,
        max_response_size: u32::MAX,
        max_response_size_cached: u32::MAX,
        max_operations: u32::MAX,
        max_requests: u32::MAX,
        rdma_ird: AtMostOneU32(Some(5)),
    },
    ChannelAttrs4 {
        header_pad_size: 0,
        max_request_size: 2000,
        max_response_size: 3000,
        max_response_size_cached: 1000,
        max_operations: 20,
        max_requests: 8,
        rdma_ird: AtMostOneU32(None),
    },
)]
#[case::floors(
    ChannelAttrs4 { max_operations: 0, max_requests: 0, ..channel(0) },
    ChannelAttrs4 { max_operations: 1, max_requests: 1, ..channel(0) },
)]
#[case::the_cache_is_no_larger_than_a_reply(
    ChannelAttrs4 { max_response_size: 500, max_response_size_cached: 900, ..channel(1) },
    ChannelAttrs4 { max_response_size: 500, max_response_size_cached: 500, ..channel(1) },
)]
fn negotiation(#[case] asked: ChannelAttrs4, #[case] granted: ChannelAttrs4) {
    let world = World::with_limits(SessionLimits {
        max_request_size: if asked.max_request_size == u32::MAX { 2000 } else { 8192 },
        max_response_size: if asked.max_response_size == u32::MAX { 3000 } else { 8192 },
        max_response_size_cached: if asked.max_response_size_cached == u32::MAX { 1000 } else { 4096 },
        max_operations: 20,
        slots_initial: 8,
        ..SessionLimits::default()
    });
    let id = world.unconfirmed("client", 1);
    let args = CreateSession4Args { fore_channel: asked, ..create_args(id, 1, 4) };
    assert_eq!(world.create(&args, 1).unwrap().0.fore_channel, granted);
}

#[test]
fn the_backchannel_is_as_asked() {
    let world = World::new();
    let id = world.unconfirmed("client", 1);
    let (reply, _) = world.create(&create_args(id, 1, 4), 1).unwrap();
    assert_eq!(reply.back_channel, channel(4));
}

#[test]
fn a_client_has_no_more_sessions_than_the_limit() {
    let world = World::with_limits(SessionLimits { sessions_per_client: 2, ..SessionLimits::default() });
    let first = world.session("client", 1);
    let id = world.confirmed.borrow()[0];
    assert!(world.create(&create_args(id, 2, 1), 1).is_ok());
    assert_eq!(world.create(&create_args(id, 3, 1), 1).unwrap_err(), NFS4ERR_NOSPC);
    world.core.destroy_session(first.sessionid, &world.connection, Within::Nothing).unwrap();
    assert!(world.create(&create_args(id, 3, 1), 1).is_ok());
}

#[test]
fn a_session_id_cannot_be_guessed_from_another() {
    let world = World::new();
    let (SessionId(one), SessionId(two)) =
        (world.session("one", 1).sessionid, world.session("two", 1).sessionid);
    assert_ne!(one[..4], two[..4], "a count");
    let common = one[4..].iter().zip(&two[4..]).filter(|(a, b)| a == b).count();
    assert!(common < 6, "{one:?} {two:?}");
}

#[test]
fn confirming_a_new_incarnation_ends_the_old_one() {
    let world = World::new();
    let old_session = world.session("client", 4);
    let old = world.confirmed.borrow()[0];
    let new_id = world.unconfirmed("client", 2);
    finish(new(world.sequence(old_session.sessionid, 0, 1)), NFS4_OK, b"");
    let (_, gone) = world.create(&create_args(new_id, 1, 4), 1).unwrap();
    assert_eq!(gone, [(old, GoneReason::Restarted)]);
    assert_eq!(refused(world.sequence(old_session.sessionid, 0, 2)), NFS4ERR_BADSESSION);
    assert_eq!(world.create(&create_args(old, 2, 4), 1).unwrap_err(), NFS4ERR_STALE_CLIENTID);
    assert_eq!(world.confirmed.borrow()[..], [old, new_id]);
}

#[test]
fn a_failed_confirmation_leaves_the_old_incarnation() {
    let world = World::new();
    let old_session = world.session("client", 4);
    let new_id = world.unconfirmed("client", 2);
    let mut args = create_args(new_id, 1, 4);
    args.fore_channel.max_response_size = 0;
    assert_eq!(world.create(&args, 1).unwrap_err(), NFS4ERR_TOOSMALL);
    finish(new(world.sequence(old_session.sessionid, 0, 1)), NFS4_OK, b"");
}

#[test]
fn a_running_request_of_the_old_incarnation_delays_the_new_one() {
    let world = World::new();
    let old_session = world.session("client", 4);
    let new_id = world.unconfirmed("client", 2);
    let running = new(world.sequence(old_session.sessionid, 0, 1));
    assert_eq!(world.create(&create_args(new_id, 1, 4), 1).unwrap_err(), NFS4ERR_DELAY);
    finish(running, NFS4_OK, b"");
    assert_eq!(world.create(&create_args(new_id, 1, 4), 1).unwrap().1.len(), 1);
}

#[test]
fn the_request_that_confirms_may_run_in_the_old_session() {
    let world = World::new();
    let old_session = world.session("client", 4);
    let new_id = world.unconfirmed("client", 2);
    let own = new(world.sequence(old_session.sessionid, 0, 1));
    let session = own.slot.session().clone();
    let within = Within::Session(&session);
    assert_eq!(world.create_within(&create_args(new_id, 1, 4), 1, within).unwrap().1.len(), 1);
    finish(own, NFS4_OK, b"");
}
