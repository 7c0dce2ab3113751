//! Origin: the two kinds of RECLAIM_COMPLETE, once and again, and what must wait for it.
//! RFC: 8881 sections 15.2 and 18.51.
//!
//! Not reached: FHEXPIRED, MOVED (handles persist, nothing migrates), INVAL, STALE, WRONG_TYPE (of a file system that is there, any object
//! will do), WRONG_CRED (no state protection), DEADSESSION (no session is persistent), DELAY and SERVERFAULT. REQ_TOO_BIG and
//! TOO_MANY_OPS are SEQUENCE's to say; RETRY_UNCACHED_REP is in `replay`.

use dittofs_framework::proto::*;
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::encode_to_bytes;
use dittofs_ops::create_session::CreateSession;
use dittofs_ops::open::Open;
use dittofs_ops::open::{OpenClaim4, OpenFlag4};
use dittofs_ops::reclaim_complete::{ReclaimComplete, ReclaimComplete4Args};
use dittofs_tests::*;
use rstest::rstest;

use crate::common::*;

/// A session of a new client that has not sent RECLAIM_COMPLETE.
async fn beginner(server: &TestServer, minor: Minor) -> Session {
    // The session of another client gives its place to that of the new one.
    let mut session = session(server, "beginner", minor).await;
    let id = session.client.exchange_id(minor, "beginner", [2; 8]).await;
    let args = create_session_args(id.clientid, id.sequenceid, &options(minor));
    let created = session.client.run(&Compound::new(minor).op::<CreateSession>(&args)).await.ok();
    session.sessionid = created.get::<CreateSession>().sessionid;
    session.clientid = id.clientid;
    session.slots.fill(1);
    session
}

fn complete(compound: Compound, one_fs: bool) -> Compound {
    compound.op::<ReclaimComplete>(&ReclaimComplete4Args { one_fs })
}

#[derive(Clone, Copy)]
enum Step {
    /// RECLAIM_COMPLETE for all.
    Global,
    /// For the file system of the current filehandle.
    OneFs,
    /// For another one.
    OtherFs,
    /// The same without a current filehandle.
    Nowhere,
}

#[rstest]
#[case::once(&[(Step::Global, NFS4_OK)])]
#[case::again(&[(Step::Global, NFS4_OK), (Step::Global, NFS4ERR_COMPLETE_ALREADY)])]
#[case::again_and_again(&[
    (Step::Global, NFS4_OK),
    (Step::Global, NFS4ERR_COMPLETE_ALREADY),
    (Step::Global, NFS4ERR_COMPLETE_ALREADY),
])]
#[case::one_file_system(&[(Step::OneFs, NFS4_OK)])]
#[case::one_file_system_again(&[(Step::OneFs, NFS4_OK), (Step::OneFs, NFS4ERR_COMPLETE_ALREADY), (Step::Global, NFS4_OK)])]
#[case::another_file_system(&[(Step::OneFs, NFS4_OK), (Step::OtherFs, NFS4_OK), (Step::OtherFs, NFS4ERR_COMPLETE_ALREADY)])]
#[case::one_file_system_is_not_all(&[(Step::OneFs, NFS4_OK), (Step::Global, NFS4_OK)])]
#[case::one_file_system_after_all(&[(Step::Global, NFS4_OK), (Step::OneFs, NFS4_OK)])]
#[case::no_file_system(&[(Step::Nowhere, NFS4ERR_NOFILEHANDLE), (Step::Global, NFS4_OK)])]
#[tokio::test]
async fn in_steps(#[case] steps: &[(Step, Status)], #[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = beginner(&server, minor).await;
    for (step, expected) in steps {
        let compound = match step {
            Step::Global => complete(session.compound(), false),
            Step::OneFs => complete(walk(session.compound(), &["export"]), true),
            Step::OtherFs => complete(walk(session.compound(), &["other"]), true),
            Step::Nowhere => complete(session.compound(), true),
        };
        assert_eq!(session.run(compound).await.status, *expected);
    }
    server.stop().await;
}

#[rstest]
#[case::by_name(false)]
#[case::by_filehandle(true)]
#[tokio::test]
async fn nothing_is_opened_before_it(
    #[case] by_filehandle: bool,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    session(&server, "other", minor).await.open("file").await;
    let mut session = beginner(&server, minor).await;
    let (path, claim): (&[&str], _) = if by_filehandle {
        (&["export", "file"], OpenClaim4::Fh(()))
    } else {
        (&["export"], OpenClaim4::Null(component("file")))
    };
    let args =
        dittofs_ops::open::Open4Args { claim, ..open_args("", READ, 0, "opener", OpenFlag4::NoCreate(())) };
    let open = walk(session.compound(), path).op::<Open>(&args);
    assert_eq!(session.run(open.clone()).await.status, NFS4ERR_GRACE);
    session.run(complete(session.compound(), false)).await.ok();
    session.run(open).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn nothing_is_created_before_it(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = beginner(&server, minor).await;
    let args = open_args("file", BOTH, 0, "opener", unchecked());
    let open = walk(session.compound(), &["export"]).op::<Open>(&args);
    assert_eq!(session.run(open).await.status, NFS4ERR_GRACE);
    let found = session.run(walk(session.compound(), &["export", "file"])).await;
    assert_eq!(found.status, NFS4ERR_NOENT);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn it_needs_a_session(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    let reply = client.run(&complete(Compound::new(minor), false)).await;
    assert_eq!(statuses(&reply), [NFS4ERR_OP_NOT_IN_SESSION]);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_retry_is_not_a_repetition(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = beginner(&server, minor).await;
    let request = session.request(0, CacheThis::Yes, complete(roots(minor, 0), false));
    let first = session.client.run(&request).await.ok();
    assert_eq!(session.client.run(&request).await.raw, first.raw);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn without_room_for_the_reply_nothing_is_complete(
    #[values(CacheThis::Yes, CacheThis::No)] cache: CacheThis,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let mut session = narrow_session(&server, "client", minor, cache, 92).await;
    // A new incarnation with a session as narrow, which has sent no RECLAIM_COMPLETE.
    let mut options = options(minor);
    (options.fore_channel.max_response_size, options.fore_channel.max_response_size_cached) =
        (session.fore_channel.max_response_size, session.fore_channel.max_response_size_cached);
    let id = session.client.exchange_id(minor, "client", [2; 8]).await;
    let args = create_session_args(id.clientid, id.sequenceid, &options);
    let created = session.client.run(&Compound::new(minor).op::<CreateSession>(&args)).await.ok();
    (session.sessionid, session.slots[0]) = (created.get::<CreateSession>().sessionid, 1);
    let request = session.request(0, cache, complete(roots(minor, 1), false));
    assert_eq!(session.client.run(&request).await.status, too_big(cache));
    session.run(complete(session.compound(), false)).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn arguments_that_are_cut_off(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = beginner(&server, minor).await;
    for cut in cut_off(&encode_to_bytes(&ReclaimComplete4Args { one_fs: false })) {
        let compound = session.compound().op_with_args::<ReclaimComplete>(&cut);
        assert_eq!(session.run(compound).await.status, NFS4ERR_BADXDR);
    }
    for value in [2, u32::MAX] {
        let compound = session.compound().op_with_args::<ReclaimComplete>(&value.to_be_bytes());
        assert_eq!(session.run(compound).await.status, NFS4ERR_BADXDR);
    }
    session.run(complete(session.compound(), false)).await.ok();
    server.stop().await;
}
