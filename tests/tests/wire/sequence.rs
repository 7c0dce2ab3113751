//! Origin: the arguments of SEQUENCE one by one, what it answers, and what a refusal must leave alone.
//! RFC: 8881 sections 2.10.6.1, 2.10.6.1.2, 15.2, 18.36.4 and 18.46.
//!
//! Not reached: CONN_NOT_BOUND_TO_SESSION (no state protection), DEADSESSION (no session is persistent), RETRY_UNCACHED_REP (never of a
//! SEQUENCE that stands first). The limits of requests and replies are in `slots`, DELAY and SEQ_FALSE_RETRY in `replay`.

use dittofs_framework::proto::*;
use dittofs_framework::session::SessionLimits;
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::encode_to_bytes;
use dittofs_ops::getfh::GetFh;
use dittofs_ops::sequence::Sequence;
use dittofs_tests::*;
use rstest::rstest;

use crate::common::*;

#[rstest]
#[tokio::test]
async fn it_answers_with_what_it_was_asked(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let most = session.fore_channel.max_requests;
    for (slotid, sequenceid) in [(0, 2), (0, 3), (most - 1, 1), (1, 1), (1, 2)] {
        let args = Sequence4Args {
            sessionid: session.sessionid,
            sequenceid,
            slotid,
            highest_slotid: most - 1,
            cache_this: false,
        };
        let compound = session.behind(&args, session.compound());
        let reply = session.client.run(&compound).await.ok().get::<Sequence>();
        assert_eq!(reply.sessionid, session.sessionid);
        assert_eq!((reply.sequenceid, reply.slotid), (sequenceid, slotid));
        assert!(reply.highest_slotid >= most - 1, "RFC 8881 section 18.46.3: not less than asked");
        assert_eq!(reply.status_flags, SequenceStatus::empty());
    }
    server.stop().await;
}

type Change = fn(&mut Sequence4Args);

/// `sequenceid` is 3 before the change, after RECLAIM_COMPLETE and the request whose reply must stay; there are 8 slots.
#[rstest]
#[case::unknown_session(|args: &mut Sequence4Args| args.sessionid.0[0] ^= 1, NFS4ERR_BADSESSION)]
#[case::session_zero(|args: &mut Sequence4Args| args.sessionid = SessionId([0; 16]), NFS4ERR_BADSESSION)]
#[case::session_of_ones(|args: &mut Sequence4Args| args.sessionid = SessionId([0xff; 16]), NFS4ERR_BADSESSION)]
#[case::first_slot_too_many(|args: &mut Sequence4Args| (args.slotid, args.highest_slotid) = (8, 7), NFS4ERR_BADSLOT)]
#[case::slot_far_off(|args: &mut Sequence4Args| (args.slotid, args.highest_slotid) = (255, 7), NFS4ERR_BADSLOT)]
#[case::largest_slot(|args: &mut Sequence4Args| (args.slotid, args.highest_slotid) = (u32::MAX, 7), NFS4ERR_BADSLOT)]
#[case::highest_slot_too_high(|args: &mut Sequence4Args| args.highest_slotid = 8, NFS4ERR_BAD_HIGH_SLOT)]
#[case::largest_highest_slot(|args: &mut Sequence4Args| args.highest_slotid = u32::MAX, NFS4ERR_BAD_HIGH_SLOT)]
#[case::two_ahead(|args: &mut Sequence4Args| args.sequenceid = 4, NFS4ERR_SEQ_MISORDERED)]
#[case::behind(|args: &mut Sequence4Args| args.sequenceid = 1, NFS4ERR_SEQ_MISORDERED)]
#[case::the_number_of_a_new_slot(|args: &mut Sequence4Args| args.sequenceid = 0, NFS4ERR_SEQ_MISORDERED)]
#[case::far_behind(|args: &mut Sequence4Args| args.sequenceid = u32::MAX, NFS4ERR_SEQ_MISORDERED)]
#[case::half_way_round(|args: &mut Sequence4Args| args.sequenceid = 0x8000_0003, NFS4ERR_SEQ_MISORDERED)]
#[case::a_new_slot_begins_with_one(|args: &mut Sequence4Args| args.slotid = 5, NFS4ERR_SEQ_MISORDERED)]
#[case::a_new_slot_holds_a_contrived_error(|args: &mut Sequence4Args| (args.slotid, args.sequenceid) = (5, 0), NFS4ERR_SEQ_MISORDERED)]
#[tokio::test]
async fn a_refusal_leaves_the_slot_alone(
    #[case] change: Change,
    #[case] expected: Status,
    #[values(CacheThis::Yes, CacheThis::No)] cache: CacheThis,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = server_with(SessionLimits { slots_per_session: 8, ..SessionLimits::default() }).await;
    let mut session = session(&server, "client", minor).await;
    assert_eq!(session.fore_channel.max_requests, 8);
    let last = session.request(0, CacheThis::Yes, roots(minor, 1).op::<GetFh>(&()));
    let first_reply = session.client.run(&last).await.ok();
    let mut args = Sequence4Args { cache_this: cache == CacheThis::Yes, ..session.sequence_args(0) };
    change(&mut args);
    let refused = session.behind(&args, roots(minor, 1));
    assert_eq!(statuses(&session.client.run(&refused).await), [expected]);
    assert_eq!(session.client.run(&last).await.raw, first_reply.raw, "the cached reply is there");
    session.sequence().await;
    server.stop().await;
}

#[rstest]
#[case::destroyed(true)]
#[case::expired(false)]
#[tokio::test]
async fn a_session_that_has_ended_is_bad(#[case] is_destroyed: bool) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", Minor::V1).await;
    if is_destroyed {
        session.client.run(&destroy_session(Minor::V1, session.sessionid)).await.ok();
    } else {
        server.clock.advance(LEASE + SECOND);
        server.service.reap().await;
    }
    let reply = session.run(roots(Minor::V1, 1)).await;
    assert_eq!(statuses(&reply), [NFS4ERR_BADSESSION]);
    let mut other = Client::connect(&server).await;
    let compound = session.behind(&session.sequence_args(0), session.compound());
    assert_eq!(statuses(&other.run(&compound).await), [NFS4ERR_BADSESSION], "by a new connection");
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn any_connection_and_any_user_may_use_a_session_that_is_not_protected(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let mut other = Client::connect(&server).await;
    other.act_as(1000, 1000, &[]);
    let compound = session.request(3, CacheThis::No, roots(minor, 1));
    other.run(&compound).await.ok();
    session.sequence().await;
    server.stop().await;
}

#[rstest]
#[case::second(0)]
#[case::third(1)]
#[tokio::test]
async fn it_stands_first(#[case] before: usize, #[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let again = Sequence4Args { slotid: 1, sequenceid: 1, ..session.sequence_args(0) };
    let reply = session.run(roots(minor, before).op::<Sequence>(&again)).await;
    assert_eq!(reply.status, NFS4ERR_SEQUENCE_POS);
    assert_eq!(reply.results.len(), before + 2);
    let on_that_slot = session.request(1, CacheThis::No, roots(minor, 1));
    session.client.run(&on_that_slot).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn arguments_that_are_cut_off(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let args = encode_to_bytes(&session.sequence_args(0));
    cut_off_is_bad_xdr::<Sequence>(&mut session.client, minor, &args).await;
    session.sequence().await;
    server.stop().await;
}

#[rstest]
#[case::two(2)]
#[case::all_ones(u32::MAX)]
#[tokio::test]
async fn a_boolean_that_is_none(#[case] value: u32, #[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let args = encode_to_bytes(&session.sequence_args(0));
    let compound = Compound::new(minor).op_with_args::<Sequence>(&with_word(&args, 28, value));
    assert_eq!(statuses(&session.client.run(&compound).await), [NFS4ERR_BADXDR]);
    session.sequence().await;
    server.stop().await;
}
