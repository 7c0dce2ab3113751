//! Origin: the directions that a client can ask for, and where BIND_CONN_TO_SESSION may stand.
//! RFC: 8881 sections 2.10.3.1, 15.2 and 18.34.
//!
//! Not reached: BAD_SESSION_DIGEST (no state protection), DEADSESSION (no session is persistent), DELAY and SERVERFAULT. As the operation
//! is alone, and never behind SEQUENCE, the limits of a session do not hold for it.

use dittofs_framework::proto::*;
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::encode_to_bytes;
use dittofs_ops::bind_conn_to_session::BindConnToSession;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_tests::*;
use rstest::rstest;

use crate::common::*;

fn args(sessionid: SessionId, dir: ChannelDirFromClient) -> BindConnToSession4Args {
    BindConnToSession4Args { sessionid, dir, use_conn_in_rdma_mode: false }
}

fn bind(minor: Minor, args: &BindConnToSession4Args) -> Compound {
    Compound::new(minor).op::<BindConnToSession>(args)
}

/// Both channels are bound where the client leaves the choice to the server.
#[rstest]
#[case::fore(ChannelDirFromClient::Fore, ChannelDirFromServer::Fore)]
#[case::fore_or_both(ChannelDirFromClient::ForeOrBoth, ChannelDirFromServer::Both)]
#[case::back(ChannelDirFromClient::Back, ChannelDirFromServer::Back)]
#[case::back_or_both(ChannelDirFromClient::BackOrBoth, ChannelDirFromServer::Both)]
#[tokio::test]
async fn directions(
    #[case] dir: ChannelDirFromClient,
    #[case] expected: ChannelDirFromServer,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let session = session(&server, "client", minor).await;
    let mut other = Client::connect(&server).await;
    let ended = other.run(&destroy_session(minor, session.sessionid)).await.status;
    assert_eq!(ended, NFS4ERR_CONN_NOT_BOUND_TO_SESSION);
    let bound = other.run(&bind(minor, &args(session.sessionid, dir))).await.ok().get::<BindConnToSession>();
    let expected =
        BindConnToSession4ResOk { sessionid: session.sessionid, dir: expected, use_conn_in_rdma_mode: false };
    assert_eq!(bound, expected);
    // A connection that is bound, to whatever channel, may end the session.
    let ended = other.run(&destroy_session(minor, session.sessionid)).await.status;
    assert_eq!(ended, NFS4_OK);
    server.stop().await;
}

/// "Invoking BIND_CONN_TO_SESSION on a connection already associated with the specified session has no effect, and the server MUST respond
/// with NFS4_OK, unless the client is demanding changes to the set of channels the connection is associated with. If so, the server MUST
/// return NFS4ERR_INVAL."
#[rstest]
#[case::fore_again(ChannelDirFromClient::Fore, ChannelDirFromClient::Fore, Ok(ChannelDirFromServer::Fore))]
#[case::fore_and_back_if_possible(
    ChannelDirFromClient::Fore,
    ChannelDirFromClient::ForeOrBoth,
    Ok(ChannelDirFromServer::Both)
)]
#[case::back_after_fore(ChannelDirFromClient::Fore, ChannelDirFromClient::Back, Err(NFS4ERR_INVAL))]
#[case::with_back_after_fore(
    ChannelDirFromClient::Fore,
    ChannelDirFromClient::BackOrBoth,
    Err(NFS4ERR_INVAL)
)]
#[case::back_again(ChannelDirFromClient::Back, ChannelDirFromClient::Back, Ok(ChannelDirFromServer::Back))]
#[case::back_and_fore_if_possible(
    ChannelDirFromClient::Back,
    ChannelDirFromClient::BackOrBoth,
    Ok(ChannelDirFromServer::Both)
)]
#[case::fore_after_back(ChannelDirFromClient::Back, ChannelDirFromClient::Fore, Err(NFS4ERR_INVAL))]
#[case::with_fore_after_back(
    ChannelDirFromClient::Back,
    ChannelDirFromClient::ForeOrBoth,
    Err(NFS4ERR_INVAL)
)]
#[case::both_again(
    ChannelDirFromClient::ForeOrBoth,
    ChannelDirFromClient::ForeOrBoth,
    Ok(ChannelDirFromServer::Both)
)]
#[case::both_the_other_way(
    ChannelDirFromClient::ForeOrBoth,
    ChannelDirFromClient::BackOrBoth,
    Ok(ChannelDirFromServer::Both)
)]
#[case::fore_of_both(ChannelDirFromClient::ForeOrBoth, ChannelDirFromClient::Fore, Err(NFS4ERR_INVAL))]
#[case::back_of_both(ChannelDirFromClient::BackOrBoth, ChannelDirFromClient::Back, Err(NFS4ERR_INVAL))]
#[tokio::test]
async fn a_connection_that_is_bound_asks_again(
    #[case] first: ChannelDirFromClient,
    #[case] second: ChannelDirFromClient,
    #[case] expected: Result<ChannelDirFromServer, Status>,
) {
    let server = TestServer::start().await;
    let session = session(&server, "client", Minor::V2).await;
    let mut other = Client::connect(&server).await;
    other.run(&bind(Minor::V2, &args(session.sessionid, first))).await.ok();
    let reply = other.run(&bind(Minor::V2, &args(session.sessionid, second))).await;
    let bound =
        if reply.status.is_ok() { Ok(reply.get::<BindConnToSession>().dir) } else { Err(reply.status) };
    assert_eq!(bound, expected);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_connection_that_is_bound_already(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let again = args(session.sessionid, ChannelDirFromClient::Fore);
    for _ in 0..3 {
        session.client.run(&bind(minor, &again)).await.ok();
    }
    let other = args(session.sessionid, ChannelDirFromClient::Back);
    assert_eq!(statuses(&session.client.run(&bind(minor, &other)).await), [NFS4ERR_INVAL]);
    session.sequence().await;
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn any_user_may_bind_and_rdma_is_not_entered(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let session = session(&server, "client", minor).await;
    let mut other = Client::connect(&server).await;
    other.act_as(1000, 1000, &[]);
    let asked = BindConnToSession4Args {
        use_conn_in_rdma_mode: true,
        ..args(session.sessionid, ChannelDirFromClient::Fore)
    };
    let bound = other.run(&bind(minor, &asked)).await.ok().get::<BindConnToSession>();
    assert!(!bound.use_conn_in_rdma_mode);
    server.stop().await;
}

#[rstest]
#[case::unknown([7; 16])]
#[case::zero([0; 16])]
#[tokio::test]
async fn an_unknown_session(#[case] id: [u8; 16], #[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    for dir in [ChannelDirFromClient::Fore, ChannelDirFromClient::BackOrBoth] {
        let reply = client.run(&bind(minor, &args(SessionId(id), dir))).await;
        assert_eq!(statuses(&reply), [NFS4ERR_BADSESSION]);
    }
    server.stop().await;
}

#[rstest]
#[case::followed(false, vec![NFS4ERR_NOT_ONLY_OP])]
#[case::behind_sequence(true, vec![NFS4_OK, NFS4ERR_NOT_ONLY_OP])]
#[tokio::test]
async fn it_is_alone(
    #[case] in_session: bool,
    #[case] expected: Vec<Status>,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let compound = bind(minor, &args(session.sessionid, ChannelDirFromClient::Fore));
    let reply = if in_session {
        session.run(compound).await
    } else {
        session.client.run(&compound.op::<PutRootFh>(&())).await
    };
    assert_eq!(statuses(&reply), expected);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn arguments_that_are_cut_off(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let good = encode_to_bytes(&args(session.sessionid, ChannelDirFromClient::Fore));
    cut_off_is_bad_xdr::<BindConnToSession>(&mut session.client, minor, &good).await;
    server.stop().await;
}

#[rstest]
#[case::no_direction(16, 0)]
#[case::both_is_of_the_server(16, 4)]
#[case::largest_direction(16, u32::MAX)]
#[case::no_boolean(20, 2)]
#[case::largest_boolean(20, u32::MAX)]
#[tokio::test]
async fn values_that_the_type_does_not_have(
    #[case] at: usize,
    #[case] value: u32,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    let good = encode_to_bytes(&args(session.sessionid, ChannelDirFromClient::Fore));
    let compound = Compound::new(minor).op_with_args::<BindConnToSession>(&with_word(&good, at, value));
    assert_eq!(statuses(&session.client.run(&compound).await), [NFS4ERR_BADXDR]);
    server.stop().await;
}
