//! Origin: what a client ID can hold, and where DESTROY_CLIENTID may stand.
//! RFC: 8881 sections 15.2 and 18.50.
//!
//! Not reached: WRONG_CRED (no state protection), DEADSESSION (no session is persistent), DELAY and SERVERFAULT. REQ_TOO_BIG and
//! TOO_MANY_OPS are SEQUENCE's to say; RETRY_UNCACHED_REP is in `replay`.

use dittofs_framework::proto::*;
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::encode_to_bytes;
use dittofs_ops::close::{Close, Close4Args};
use dittofs_ops::destroy_clientid::{DestroyClientid, DestroyClientid4Args};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_tests::*;
use rstest::rstest;

use crate::common::*;

fn destroy(minor: Minor, clientid: ClientId) -> Compound {
    Compound::new(minor).op::<DestroyClientid>(&DestroyClientid4Args { clientid })
}

/// What the client has when it is to be destroyed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Has {
    /// An EXCHANGE_ID alone.
    Unconfirmed,
    /// No session, no state.
    Nothing,
    Session,
    TwoSessions,
    /// An open, and no session.
    Open,
    /// An open and a session, and a lease that ran out.
    Expired,
    /// A session, and an unconfirmed record of a new incarnation.
    Restarting,
}

async fn prepare(server: &TestServer, has: Has, minor: Minor) -> ClientId {
    if has == Has::Unconfirmed {
        return Client::connect(server).await.exchange_id(minor, "client", [1; 8]).await.clientid;
    }
    let mut session = session(server, "client", minor).await;
    match has {
        Has::TwoSessions => {
            another_session(&mut session, 2).await;
        }
        Has::Open | Has::Expired => drop(session.open("file").await),
        Has::Restarting => {
            session.client.exchange_id(minor, "client", [2; 8]).await;
        }
        _ => {}
    }
    match has {
        Has::Nothing | Has::Open => {
            session.client.run(&destroy_session(minor, session.sessionid)).await.ok();
        }
        Has::Expired => server.clock.advance(LEASE + SECOND),
        _ => {}
    }
    session.clientid
}

#[rstest]
#[case::unconfirmed(Has::Unconfirmed, NFS4_OK)]
#[case::nothing(Has::Nothing, NFS4_OK)]
#[case::session(Has::Session, NFS4ERR_CLIENTID_BUSY)]
#[case::two_sessions(Has::TwoSessions, NFS4ERR_CLIENTID_BUSY)]
#[case::open(Has::Open, NFS4ERR_CLIENTID_BUSY)]
#[case::expired(Has::Expired, NFS4_OK)]
#[case::restarting(Has::Restarting, NFS4ERR_CLIENTID_BUSY)]
#[tokio::test]
async fn what_it_holds(
    #[case] has: Has,
    #[case] expected: Status,
    #[values(false, true)] in_session: bool,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let clientid = prepare(&server, has, minor).await;
    let mut other = session(&server, "other", minor).await;
    let one = destroy(minor, clientid);
    let reply = if in_session {
        other.run(one.clone().op::<PutRootFh>(&())).await
    } else {
        other.client.run(&one).await
    };
    assert_eq!(reply.status, expected);
    let again = other.client.run(&one).await;
    let then = if expected.is_ok() { NFS4ERR_STALE_CLIENTID } else { NFS4ERR_CLIENTID_BUSY };
    assert_eq!(statuses(&again), [then]);
    server.stop().await;
}

#[rstest]
#[case::zero(0)]
#[case::largest(u64::MAX)]
#[tokio::test]
async fn an_unknown_client(#[case] id: u64, #[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    let reply = client.run(&destroy(minor, ClientId(id))).await;
    assert_eq!(statuses(&reply), [NFS4ERR_STALE_CLIENTID]);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn the_client_of_the_own_session_is_busy(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let reply = session.run(destroy(minor, session.clientid)).await;
    assert_eq!(statuses(&reply), [NFS4_OK, NFS4ERR_CLIENTID_BUSY]);
    session.sequence().await;
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn from_busy_to_gone(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let clientid = session.clientid;
    let file = session.open("file").await;
    assert_eq!(session.client.run(&destroy(minor, clientid)).await.status, NFS4ERR_CLIENTID_BUSY);
    let close = Close4Args { seqid: 0, open_stateid: file.stateid };
    let compound = session.compound().op::<PutFh>(&put(&file.fh)).op::<Close>(&close);
    session.run(compound).await.ok();
    assert_eq!(session.client.run(&destroy(minor, clientid)).await.status, NFS4ERR_CLIENTID_BUSY);
    session.client.run(&destroy_session(minor, session.sessionid)).await.ok();
    session.client.run(&destroy(minor, clientid)).await.ok();
    let fresh = session.client.exchange_id(minor, "client", [1; 8]).await;
    assert_ne!(fresh.clientid, clientid);
    assert!(!fresh.flags.contains(ExchangeIdFlags::CONFIRMED_R));
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn without_sequence_it_is_alone(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let clientid = prepare(&server, Has::Nothing, minor).await;
    let mut client = Client::connect(&server).await;
    let reply = client.run(&destroy(minor, clientid).op::<PutRootFh>(&())).await;
    assert_eq!(statuses(&reply), [NFS4ERR_NOT_ONLY_OP]);
    client.run(&destroy(minor, clientid)).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn without_room_for_the_reply_nothing_is_destroyed(
    #[values(CacheThis::Yes, CacheThis::No)] cache: CacheThis,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let clientid = prepare(&server, Has::Nothing, minor).await;
    let mut session = narrow_session(&server, "other", minor, cache, 92).await;
    let args = DestroyClientid4Args { clientid };
    let request = session.request(0, cache, roots(minor, 1).op::<DestroyClientid>(&args));
    assert_eq!(session.client.run(&request).await.status, too_big(cache));
    session.client.run(&destroy(minor, clientid)).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn arguments_that_are_cut_off(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let clientid = prepare(&server, Has::Nothing, minor).await;
    let mut client = Client::connect(&server).await;
    let args = encode_to_bytes(&DestroyClientid4Args { clientid });
    cut_off_is_bad_xdr::<DestroyClientid>(&mut client, minor, &args).await;
    client.run(&destroy(minor, clientid)).await.ok();
    server.stop().await;
}
