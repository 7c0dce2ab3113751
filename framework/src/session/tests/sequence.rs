//! Origin: every case of a request's numbers, byte for byte what a retry gets, and what a lost request leaves.
//! RFC: 8881 sections 2.10.6.1 to 2.10.6.4 and 18.46.3.

use bytes::Bytes;
use rstest::rstest;

use super::world::*;
use crate::proto::*;
use crate::session::*;
use crate::xdr::{XdrEncode, XdrWriter};

#[rstest]
#[case::next(5, 4, NFS4_OK)]
#[case::two_ahead(6, 4, NFS4ERR_SEQ_MISORDERED)]
#[case::behind(3, 4, NFS4ERR_SEQ_MISORDERED)]
#[case::far(u32::MAX, 4, NFS4ERR_SEQ_MISORDERED)]
#[case::first(1, 0, NFS4_OK)]
#[case::zero_at_first(0, 0, NFS4ERR_SEQ_MISORDERED)]
#[case::two_at_first(2, 0, NFS4ERR_SEQ_MISORDERED)]
fn numbers(#[case] sequenceid: u32, #[case] done: u32, #[case] status: Status) {
    let world = World::new();
    let session = world.session("client", 2).sessionid;
    for id in 1..=done {
        finish(new(world.sequence(session, 1, id)), NFS4_OK, b"");
    }
    match world.sequence(session, 1, sequenceid) {
        Admission::New(admitted) => {
            assert_eq!(status, NFS4_OK);
            assert_eq!((admitted.reply.slotid, admitted.reply.sequenceid), (1, sequenceid));
            finish(admitted, NFS4_OK, b"");
        }
        other => assert_eq!(refused(other), status),
    }
}

#[test]
fn numbers_wrap_to_zero() {
    let world = World::new();
    let session = world.session("client", 1).sessionid;
    let first = new(world.sequence(session, 0, 1));
    let held = first.slot.session().clone();
    finish(first, NFS4_OK, b"");
    held.slots().slot(0).unwrap().lock().set_sequenceid(u32::MAX);
    let reply = finish(new(world.sequence(session, 0, 0)), NFS4_OK, b"wrapped");
    assert_eq!(replayed(world.sequence(session, 0, 0)), reply);
    finish(new(world.sequence(session, 0, 1)), NFS4_OK, b"");
}

#[rstest]
#[case::unknown_session(|args: &mut Sequence4Args, _: &mut Ask| args.sessionid = SessionId([9; 16]), NFS4ERR_BADSESSION)]
#[case::slot_too_high(|args: &mut Sequence4Args, _: &mut Ask| (args.slotid, args.highest_slotid) = (4, 4), NFS4ERR_BADSLOT)]
#[case::slot_far_too_high(|args: &mut Sequence4Args, _: &mut Ask| args.slotid = u32::MAX, NFS4ERR_BADSLOT)]
#[case::highest_slot_too_high(|args: &mut Sequence4Args, _: &mut Ask| args.highest_slotid = 4, NFS4ERR_BAD_HIGH_SLOT)]
#[case::too_many_operations(|_: &mut Sequence4Args, ask: &mut Ask| ask.op_count = 17, NFS4ERR_TOO_MANY_OPS)]
#[case::request_too_big(|_: &mut Sequence4Args, ask: &mut Ask| ask.record_len = 8193, NFS4ERR_REQ_TOO_BIG)]
fn refusals_leave_slot_and_lease(#[case] change: fn(&mut Sequence4Args, &mut Ask), #[case] status: Status) {
    let world = World::new();
    let session = world.session("client", 4).sessionid;
    let (mut args, mut ask) = (sequence_args(session, 0, 1), Ask::default());
    change(&mut args, &mut ask);
    world.clock.advance(LEASE);
    assert_eq!(refused(world.admit(&args, &ask)), status);
    let again = new(world.sequence(session, 0, 1));
    assert_eq!(again.slot.session().client().idle(world.now()).as_nanos(), 0);
    finish(again, NFS4_OK, b"");
}

#[rstest]
#[case::most_operations(16, 200)]
#[case::largest_request(2, 8192)]
fn the_limits_themselves_are_good(#[case] op_count: u32, #[case] record_len: u32) {
    let world = World::new();
    let session = world.session("client", 4).sessionid;
    let ask = Ask { record_len, op_count, ..Ask::default() };
    finish(new(world.admit(&sequence_args(session, 0, 1), &ask)), NFS4_OK, b"");
}

#[rstest]
#[case::cached(true, NFS4ERR_REP_TOO_BIG_TO_CACHE)]
#[case::not_cached(false, NFS4_OK)]
fn a_cache_too_small_for_sequence(#[case] cache_this: bool, #[case] status: Status) {
    let world = World::new();
    let id = world.unconfirmed("client", 1);
    let mut args = create_args(id, 1, 1);
    args.fore_channel.max_response_size_cached = 79;
    let sessionid = world.create(&args, 1).unwrap().0.sessionid;
    let args = Sequence4Args { cache_this, ..sequence_args(sessionid, 0, 1) };
    match world.admit(&args, &Ask::default()) {
        Admission::Refused(refusal) => assert_eq!(refusal, status),
        admission => {
            assert_eq!(status, NFS4_OK);
            finish(new(admission), NFS4_OK, b"");
        }
    }
}

#[test]
fn a_slot_in_use_delays_its_retry_and_refuses_the_rest() {
    let world = World::new();
    let session = world.session("client", 2).sessionid;
    let running = new(world.sequence(session, 0, 1));
    assert_eq!(refused(world.sequence(session, 0, 1)), NFS4ERR_DELAY);
    assert_eq!(refused(world.sequence(session, 0, 2)), NFS4ERR_SEQ_MISORDERED);
    assert_eq!(refused(world.sequence(session, 0, 0)), NFS4ERR_SEQ_MISORDERED);
    finish(new(world.sequence(session, 1, 1)), NFS4_OK, b"another slot");
    let reply = finish(running, NFS4_OK, b"");
    assert_eq!(replayed(world.sequence(session, 0, 1)), reply);
}

#[rstest]
#[case::good(NFS4_OK, b"the body of the answer" as &[u8])]
#[case::failed(NFS4ERR_NOENT, b"")]
fn a_retry_gets_the_same_bytes(#[case] status: Status, #[case] body: &[u8]) {
    let world = World::new();
    let session = world.session("client", 2).sessionid;
    let reply = finish(new(world.sequence(session, 0, 1)), status, body);
    let other = ConnectionSessions::default();
    for connection in [&world.connection, &other] {
        let ask = Ask { connection: Some(connection), ..Ask::default() };
        assert_eq!(replayed(world.admit(&sequence_args(session, 0, 1), &ask)), reply);
    }
    finish(new(world.sequence(session, 0, 2)), NFS4_OK, b"");
    assert_eq!(refused(world.sequence(session, 0, 1)), NFS4ERR_SEQ_MISORDERED);
}

#[test]
fn payloads_are_cached_as_copies() {
    let world = World::new();
    let session = world.session("client", 2).sessionid;
    let payload = Bytes::from(vec![7; 2000]);
    let reply = finish_with(new(world.sequence(session, 0, 1)), NFS4_OK, 2, |w| {
        w.u32(OP_READ.code());
        w.u32(0);
        w.opaque_bytes(&payload);
        w.u32(1);
    });
    assert!(payload.is_unique(), "the slot holds no reference");
    assert_eq!(replayed(world.sequence(session, 0, 1)), reply);
}

#[test]
fn a_slot_keeps_a_small_buffer_and_no_large_one() {
    let world = World::new();
    let session = world.session("client", 1).sessionid;
    let run = |sequenceid, len| {
        let admitted = new(world.sequence(session, 0, sequenceid));
        let held = admitted.slot.session().clone();
        let before = held.slots().slot(0).unwrap().lock().reply_capacity();
        finish(admitted, NFS4_OK, &vec![0; len]);
        before
    };
    assert_eq!(run(1, 100), 0);
    assert!((164..=1024).contains(&run(2, 3000)), "a small buffer is used again");
    assert_eq!(run(3, 100), 0, "a large one is let go when the next request comes");
}

fn uncached(world: &World, session: SessionId) -> Sequence4Args {
    let args = Sequence4Args { cache_this: false, ..sequence_args(session, 0, 1) };
    world.core.check_invariants();
    args
}

/// COMPOUND4res of SEQUENCE and NFS4ERR_RETRY_UNCACHED_REP.
fn unknown_reply(tag: &[u8], reply: &Sequence4ResOk) -> Vec<u8> {
    let mut w = XdrWriter::new();
    w.u32(NFS4ERR_RETRY_UNCACHED_REP.code());
    w.opaque(tag);
    w.u32(2);
    w.u32(OP_SEQUENCE.code());
    w.u32(0);
    reply.encode(&mut w);
    w.u32(OP_PUTROOTFH.code());
    w.u32(NFS4ERR_RETRY_UNCACHED_REP.code());
    w.finish().to_bytes().to_vec()
}

#[rstest]
#[case::good(NFS4_OK, 2)]
#[case::longer(NFS4_OK, 9)]
#[case::failed_later(NFS4ERR_NOENT, 5)]
fn a_reply_that_was_not_to_be_cached(#[case] status: Status, #[case] count: u32) {
    let world = World::new();
    let session = world.session("client", 1).sessionid;
    let args = uncached(&world, session);
    let admitted = new(world.admit(&args, &Ask::default()));
    assert!(!admitted.slot.cache_this());
    let sequence = admitted.reply;
    finish_with(admitted, status, count, |w| {
        w.u32(OP_PUTROOTFH.code());
        w.u32(0);
        w.opaque_bytes(&Bytes::from(vec![1; 4000]));
    });
    assert_eq!(replayed(world.admit(&args, &Ask::default())), unknown_reply(b"tag", &sequence));
    finish(new(world.sequence(session, 0, 2)), NFS4_OK, b"");
}

#[test]
fn a_failure_of_the_second_operation_is_always_cached() {
    let world = World::new();
    let session = world.session("client", 1).sessionid;
    let args = uncached(&world, session);
    let reply = finish(new(world.admit(&args, &Ask::default())), NFS4ERR_OP_ILLEGAL, b"");
    assert_eq!(replayed(world.admit(&args, &Ask::default())), reply);
}

#[test]
fn a_solo_sequence_is_always_cached() {
    let world = World::new();
    let session = world.session("client", 1).sessionid;
    let args = uncached(&world, session);
    let ask = Ask { op_count: 1, operations: &[], ..Ask::default() };
    let reply = finish_with(new(world.admit(&args, &ask)), NFS4_OK, 1, |_| {});
    assert_eq!(replayed(world.admit(&args, &ask)), reply);
}

#[rstest]
#[case::another_operation(Ask { operations: &[0, 0, 0, 23], ..Ask::default() })]
#[case::more_operations(Ask { op_count: 3, ..Ask::default() })]
#[case::longer_arguments(Ask { operations: &[0, 0, 0, 24, 0, 0, 0, 0], ..Ask::default() })]
#[case::another_user(Ask { uid: 2, ..Ask::default() })]
fn a_false_retry_is_detected(#[case] ask: Ask<'static>) {
    let world = World::new();
    let session = world.session("client", 1).sessionid;
    let args = sequence_args(session, 0, 1);
    let reply = finish(new(world.sequence(session, 0, 1)), NFS4_OK, b"");
    assert_eq!(refused(world.admit(&args, &ask)), NFS4ERR_SEQ_FALSE_RETRY);
    assert_eq!(replayed(world.sequence(session, 0, 1)), reply, "the slot is as it was");
}

#[test]
fn a_retry_may_say_something_else_of_its_slots() {
    let world = World::new();
    let session = world.session("client", 4).sessionid;
    let reply = finish(new(world.sequence(session, 0, 1)), NFS4_OK, b"");
    let args = Sequence4Args { highest_slotid: 3, cache_this: false, ..sequence_args(session, 0, 1) };
    assert_eq!(replayed(world.admit(&args, &Ask::default())), reply);
}

#[test]
fn a_lost_request_is_not_carried_out_again() {
    let world = World::new();
    let session = world.session("client", 1).sessionid;
    let admitted = new(world.sequence(session, 0, 1));
    let sequence = admitted.reply;
    drop(admitted);
    world.core.check_invariants();
    assert_eq!(replayed(world.sequence(session, 0, 1)), unknown_reply(b"", &sequence));
    finish(new(world.sequence(session, 0, 2)), NFS4_OK, b"");
}

#[test]
fn a_panic_loses_a_request_in_the_same_way() {
    let world = World::new();
    let session = world.session("client", 1).sessionid;
    let admitted = new(world.sequence(session, 0, 1));
    let sequence = admitted.reply;
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _in_flight = admitted;
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panic.is_err());
    assert_eq!(replayed(world.sequence(session, 0, 1)), unknown_reply(b"", &sequence));
}

#[test]
fn a_lost_solo_sequence_had_nothing_to_lose() {
    let world = World::new();
    let session = world.session("client", 1).sessionid;
    let ask = Ask { op_count: 1, operations: &[], ..Ask::default() };
    let admitted = new(world.admit(&sequence_args(session, 0, 1), &ask));
    let sequence = admitted.reply;
    drop(admitted);
    let mut w = XdrWriter::new();
    w.u32(0);
    w.opaque(b"");
    w.u32(1);
    w.u32(OP_SEQUENCE.code());
    w.u32(0);
    sequence.encode(&mut w);
    assert_eq!(replayed(world.admit(&sequence_args(session, 0, 1), &ask)), w.finish().to_bytes());
}

#[test]
fn several_connections_and_several_sessions() {
    let world = World::new();
    let (one, two) = (world.session("one", 2).sessionid, world.session("two", 2).sessionid);
    let connections = [ConnectionSessions::default(), ConnectionSessions::default()];
    for sequenceid in 1..4 {
        for session in [one, two] {
            for (slotid, connection) in (0..).zip(&connections) {
                let ask = Ask { connection: Some(connection), ..Ask::default() };
                let admitted = new(world.admit(&sequence_args(session, slotid, sequenceid), &ask));
                assert_eq!(admitted.slot.session().id(), session);
                finish(admitted, NFS4_OK, b"");
            }
        }
    }
}

#[test]
fn a_connection_remembers_the_sessions_used_last() {
    let world = World::new();
    let other = ConnectionSessions::default();
    let sessions: Vec<_> = (0..40).map(|n| world.session(&format!("client {n}"), 1).sessionid).collect();
    for session in &sessions {
        let ask = Ask { connection: Some(&other), ..Ask::default() };
        finish(new(world.admit(&sequence_args(*session, 0, 1), &ask)), NFS4_OK, b"");
    }
    let destroy = |session| world.core.destroy_session(session, &other, Within::Nothing);
    assert_eq!(destroy(sessions[0]), Err(NFS4ERR_CONN_NOT_BOUND_TO_SESSION));
    assert_eq!(destroy(sessions[39]), Ok(()));
}
