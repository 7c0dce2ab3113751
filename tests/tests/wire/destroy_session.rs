//! Origin: where DESTROY_SESSION may stand, by which connection it comes, and what it must leave alone.
//! RFC: 8881 sections 2.10.3.1, 15.2 and 18.37.
//!
//! Not reached: BACK_CHAN_BUSY, CB_PATH_DOWN (callbacks are not waited for), STALE_CLIENTID (there is no client ID in it), WRONG_CRED (no state
//! protection), DEADSESSION (no session is persistent) and SERVERFAULT. REQ_TOO_BIG and TOO_MANY_OPS are SEQUENCE's to say;
//! RETRY_UNCACHED_REP is in `replay`.

use dittofs_framework::proto::*;
use dittofs_framework::xdr::encode_to_bytes;
use dittofs_ops::destroy_session::{DestroySession, DestroySession4Args};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_tests::*;
use rstest::rstest;

use crate::common::*;

#[rstest]
#[tokio::test]
async fn alone_by_a_connection_of_the_session(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let destroy = destroy_session(minor, session.sessionid);
    session.client.run(&destroy).await.ok();
    assert_eq!(statuses(&session.client.run(&destroy).await), [NFS4ERR_BADSESSION], "again");
    assert_eq!(statuses(&session.run(session.compound()).await), [NFS4ERR_BADSESSION]);
    server.stop().await;
}

#[rstest]
#[case::zero([0; 16])]
#[case::ones([0xff; 16])]
#[tokio::test]
async fn an_unknown_session(#[case] id: [u8; 16], #[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    let reply = client.run(&destroy_session(minor, SessionId(id))).await;
    assert_eq!(statuses(&reply), [NFS4ERR_BADSESSION]);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn by_a_connection_that_is_not_of_the_session(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let mut other = Client::connect(&server).await;
    let destroy = destroy_session(minor, session.sessionid);
    assert_eq!(statuses(&other.run(&destroy).await), [NFS4ERR_CONN_NOT_BOUND_TO_SESSION]);
    session.sequence().await;
    let bind = session.request(0, CacheThis::No, session.compound());
    other.run(&bind).await.ok();
    other.run(&destroy).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn last_in_the_session_that_it_ends(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let args = DestroySession4Args { sessionid: session.sessionid };
    let too_early = roots(minor, 1).op::<DestroySession>(&args).op::<PutRootFh>(&());
    let reply = session.run(too_early).await;
    assert_eq!(statuses(&reply), [NFS4_OK, NFS4_OK, NFS4ERR_NOT_ONLY_OP]);
    let last = session.request(0, CacheThis::Yes, roots(minor, 1).op::<DestroySession>(&args));
    session.client.run(&last).await.ok();
    // RFC 8881 section 18.37.3: the reply cache goes with it, and a retry may get an error.
    assert_eq!(statuses(&session.client.run(&last).await), [NFS4ERR_BADSESSION]);
    server.stop().await;
}

#[rstest]
#[case::of_the_same_client(true)]
#[case::of_another_client(false)]
#[tokio::test]
async fn anywhere_in_another_session(
    #[case] is_same_client: bool,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let sessionid = if is_same_client {
        another_session(&mut session, 2).await
    } else {
        let other = crate::common::session(&server, "other", minor).await;
        // The connection becomes one of the other's session by a SEQUENCE.
        let bind = other.behind(&other.sequence_args(1), other.compound());
        session.client.run(&bind).await.ok();
        other.sessionid
    };
    let args = DestroySession4Args { sessionid };
    let compound = roots(minor, 1).op::<DestroySession>(&args).op::<PutRootFh>(&());
    assert_eq!(statuses(&session.run(compound).await), [NFS4_OK; 4]);
    session.sequence().await;
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn without_sequence_it_is_alone(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let compound = destroy_session(minor, session.sessionid).op::<PutRootFh>(&());
    assert_eq!(statuses(&session.client.run(&compound).await), [NFS4ERR_NOT_ONLY_OP]);
    session.sequence().await;
    server.stop().await;
}

#[rstest]
#[case::opens_and_reservations(Minor::V1)]
#[case::opens_and_reservations(Minor::V2)]
#[tokio::test]
async fn the_state_of_the_client_stays(#[case] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let file = session.open_as("file", BOTH, BOTH, "opener").await;
    session.write(&file, 0, b"data").await;
    let second = another_session(&mut session, 2).await;
    session.client.run(&destroy_session(minor, session.sessionid)).await.ok();
    (session.sessionid, session.slots[0]) = (second, 1);
    assert_eq!(&session.read(&file, 0, 10).await.data[..], b"data");
    let mut other = crate::common::session(&server, "other", minor).await;
    let anonymous = Read4Args { stateid: Stateid::ANONYMOUS, offset: 0, count: 4 };
    let compound = other.compound().op::<PutFh>(&put(&file.fh)).op::<Read>(&anonymous);
    assert_eq!(other.run(compound).await.status, NFS4ERR_LOCKED, "the reservation stands");
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_running_request_delays_it(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (server, gate) = gated(OP_PUTROOTFH).await;
    let mut session = session(&server, "client", minor).await;
    let running = session.request(0, CacheThis::No, roots(minor, 1));
    let xid = session.client.send(&running).await;
    gate.arrival().await;
    let destroy = destroy_session(minor, session.sessionid);
    assert_eq!(statuses(&session.client.run(&destroy).await), [NFS4ERR_DELAY]);
    let args = DestroySession4Args { sessionid: session.sessionid };
    let within = session.request(1, CacheThis::No, session.compound().op::<DestroySession>(&args));
    assert_eq!(statuses(&session.client.run(&within).await), [NFS4_OK, NFS4ERR_DELAY]);
    gate.open();
    session.client.receive(xid, &running).await.ok();
    session.client.run(&destroy).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn without_room_for_the_reply_nothing_is_destroyed(
    #[values(CacheThis::Yes, CacheThis::No)] cache: CacheThis,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    // Room for SEQUENCE and one result.
    let mut session = narrow_session(&server, "client", minor, cache, 92).await;
    let other = another_session(&mut session, 2).await;
    let args = DestroySession4Args { sessionid: other };
    let compound = roots(minor, 1).op::<DestroySession>(&args);
    let request = session.request(0, cache, compound);
    let reply = session.client.run(&request).await;
    assert_eq!(reply.status, too_big(cache));
    session.client.run(&destroy_session(minor, other)).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn arguments_that_are_cut_off(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let args = encode_to_bytes(&DestroySession4Args { sessionid: session.sessionid });
    cut_off_is_bad_xdr::<DestroySession>(&mut session.client, minor, &args).await;
    session.sequence().await;
    server.stop().await;
}
