//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 18.48, 8.2.3 and 8.2.4.
//!
//! Not reached: DELAY, DEADSESSION and SERVERFAULT. The limits of sessions but for REP_TOO_BIG are in the tests of `wire`. Of the statuses of
//! a stateid ADMIN_REVOKED and DELEG_REVOKED: those are in `expiry.rs` and the tests of `callbacks`.

use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    ChannelAttrs4, Minor, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_OLD_STATEID, NFS4ERR_REP_TOO_BIG,
    NFS4ERR_REQ_TOO_BIG, Stateid, Status,
};
use dittofs_ops::lock::NfsLockType4::WriteLt;
use dittofs_ops::test_stateid::{TestStateid, TestStateid4Args};
use dittofs_tests::{Client, Session, SessionOptions, TestServerOptions, walk};
use rstest::rstest;

use crate::common::{Bogus, World};

fn args(stateids: &[Stateid]) -> TestStateid4Args {
    TestStateid4Args { ts_stateids: stateids.to_vec() }
}

/// TEST_STATEID without any filehandle.
async fn test(session: &mut Session, stateids: &[Stateid]) -> Vec<Status> {
    let compound = session.compound().op::<TestStateid>(&args(stateids));
    session.run(compound).await.ok().get::<TestStateid>().tsr_status_codes
}

/// "There is no check for the type of stateid object", and "no reference to the current filehandle".
#[rstest]
#[case::v4_1(Minor::V1)]
#[case::v4_2(Minor::V2)]
#[tokio::test]
async fn stateids_of_every_type_and_file_are_good(#[case] minor: Minor) {
    let mut world = World::of(minor).await;
    let file = world.file.clone();
    let lock = world.session.lock(&file, "locker", WriteLt, (0, 1)).await;
    let elsewhere = world.session.open("another file").await.stateid;
    let most_recent = Stateid { seqid: 0, ..lock };
    let stateids = [file.stateid, lock, elsewhere, most_recent, Stateid { seqid: 0, ..file.stateid }];
    assert_eq!(test(&mut world.session, &stateids).await, [NFS4_OK; 5]);
    let compound = walk(world.session.compound(), &["export"]).op::<TestStateid>(&args(&stateids));
    let reply = world.session.run(compound).await.ok();
    assert_eq!(reply.get::<TestStateid>().tsr_status_codes, [NFS4_OK; 5], "with another filehandle");
    world.stop().await;
}

#[rstest]
#[case::garbage(Bogus::Garbage, NFS4ERR_BAD_STATEID)]
#[case::future(Bogus::Future, NFS4ERR_BAD_STATEID)]
#[case::old(Bogus::Old, NFS4ERR_OLD_STATEID)]
#[case::other_file(Bogus::OtherFile, NFS4_OK)]
#[case::other_client(Bogus::OtherClient, NFS4ERR_BAD_STATEID)]
#[case::closed(Bogus::Closed, NFS4ERR_BAD_STATEID)]
#[tokio::test]
async fn a_stateid_is(#[case] bogus: Bogus, #[case] expected: Status) {
    let mut world = World::new().await;
    let of_lock = world.lock_stateid(bogus).await;
    let of_open = world.stateid(bogus).await;
    assert_eq!(test(&mut world.session, &[of_open, of_lock]).await, [expected; 2]);
    world.stop().await;
}

/// "Special stateids are always considered invalid", the current one included.
#[tokio::test]
async fn special_stateids_are_bad() {
    let mut world = World::new().await;
    let special = [
        Stateid::ANONYMOUS,
        Stateid::READ_BYPASS,
        Stateid::CURRENT,
        Stateid::INVALID,
        Stateid { seqid: 7, ..Stateid::ANONYMOUS },
        Stateid { seqid: 0, ..Stateid::READ_BYPASS },
    ];
    assert_eq!(test(&mut world.session, &special).await, [NFS4ERR_BAD_STATEID; 6]);
    world.stop().await;
}

/// "Returning such a status indication is not an error": each stateid has its own.
#[tokio::test]
async fn a_batch_is_answered_in_its_order() {
    let mut world = World::new().await;
    let old = world.file.stateid;
    let good = world.session.open("file").await.stateid;
    assert_eq!(test(&mut world.session, &[]).await, []);
    let pattern = [good, Stateid::INVALID, old, good];
    let statuses = [NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_OLD_STATEID, NFS4_OK];
    let many: Vec<Stateid> = pattern.into_iter().cycle().take(4000).collect();
    let expected: Vec<Status> = statuses.into_iter().cycle().take(4000).collect();
    assert_eq!(test(&mut world.session, &many).await, expected);
    world.stop().await;
}

#[tokio::test]
async fn arguments_are_checked() {
    let mut world = World::new().await;
    let start = world.session.compound();
    let args = args(&[world.file.stateid, Stateid::INVALID]);
    world.refuses_cut_short::<TestStateid>(&start, &args).await;
    for count in [3, 1 << 28, u32::MAX] {
        world.refuses_word::<TestStateid>(&args, 0, count).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_refused() {
    let mut world = World::new().await;
    let options = SessionOptions::default();
    let fore_channel = ChannelAttrs4 { max_response_size: 1024, ..options.fore_channel };
    let options = SessionOptions { fore_channel, ..options };
    let mut small = Client::connect(&world.server).await.session_with("client", options).await;
    let compound = small.compound().op::<TestStateid>(&args(&[Stateid::INVALID; 256]));
    assert_eq!(small.run(compound).await.status, NFS4ERR_REP_TOO_BIG);
    assert_eq!(test(&mut small, &[world.file.stateid; 100]).await, [NFS4_OK; 100]);
    world.session.sequence().await;
    world.stop().await;
}

/// A stateid belongs to the client, whichever session and user asks.
#[tokio::test]
async fn another_session_and_user_of_the_client_tests() {
    let mut world = World::new().await;
    let mut second = world.client("client").await;
    assert_eq!(test(&mut second, &[world.file.stateid]).await, [NFS4_OK]);
    world.session.act_as(1000, 1000, &[]);
    assert_eq!(test(&mut world.session, &[world.file.stateid]).await, [NFS4_OK]);
    world.stop().await;
}

/// The RFC has no limit; 65,000 stateids fit into a request of the longest kind.
#[rstest]
#[case::most(2, None)]
#[case::one_more(3, Some(NFS4ERR_REQ_TOO_BIG))]
#[tokio::test]
async fn a_test_has_a_limit(#[case] count: usize, #[case] expected: Option<Status>) {
    let mut limits = Limits::default();
    limits.state.stateids_per_test = 2;
    let options = TestServerOptions { limits, ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    let stateids = vec![world.file.stateid; count];
    assert_eq!(world.run::<TestStateid>(&args(&stateids)).await.err(), expected);
    world.stop().await;
}
