//! Origin: opens that are reclaimed after a restart, and those that may not be.
//! RFC: 8881 sections 8.4.2.1, 15.1.9 and 18.16.

use dittofs_framework::proto::*;
use dittofs_ops::open::{Open, Open4Args};
use dittofs_ops::reclaim_complete::{ReclaimComplete, ReclaimComplete4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_tests::*;
use rstest::rstest;

use crate::world::*;

#[rstest]
#[tokio::test]
async fn an_open_is_as_it_was(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let world = World::new();
    let server = world.boot().await;
    let mut client = session(&server, "client", minor).await;
    let file = client.open("file").await;
    client.write(&file, 0, b"before").await;

    let server = world.reboot(server).await;
    let mut client = back(&server, "client", minor).await;
    assert!(client.is_told_to_reclaim().await);
    assert_eq!(client.try_open_new("file").await.unwrap_err(), NFS4ERR_GRACE);
    let file = client.reclaim(&file.fh).await.unwrap();
    assert_eq!(client.read(&file, 0, 10).await.data.0, "before");
    client.write(&file, 0, b"after!").await;
    // Once more is an upgrade, as of any open.
    assert_eq!(client.reclaim(&file.fh).await.unwrap().stateid.seqid, 2);

    assert_eq!(client.complete().await, NFS4_OK);
    assert!(!client.is_told_to_reclaim().await);
    assert_eq!(client.complete().await, NFS4ERR_COMPLETE_ALREADY);
    let again = client.try_open_new("file").await.unwrap();
    client.close(&again).await;
    server.stop().await;
}

#[derive(Clone, Copy)]
enum Claimant {
    /// Another one than the client that had the file open.
    Stranger,
    /// The client after it restarted itself.
    Restarted,
    /// Another user under the client's name.
    AnotherUser,
    /// The client, after it said that it has reclaimed all.
    Complete,
    /// The client, after it said so for the file system.
    CompleteForTheFileSystem,
    /// The client, when the grace period was ended.
    Late,
}

#[rstest]
#[case::stranger(Claimant::Stranger)]
#[case::restarted(Claimant::Restarted)]
#[case::another_user(Claimant::AnotherUser)]
#[case::complete(Claimant::Complete)]
#[case::complete_for_the_file_system(Claimant::CompleteForTheFileSystem)]
#[case::late(Claimant::Late)]
#[tokio::test]
async fn who_may_not_reclaim(#[case] who: Claimant, #[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (_world, server, fh) = World::after_open(minor).await;
    let mut claimant = match who {
        Claimant::Stranger => back(&server, "stranger", minor).await,
        Claimant::Restarted => restarted(&server, "client", minor).await,
        Claimant::AnotherUser => {
            let mut client = Client::connect(&server).await;
            client.act_as(1000, 1000, &[]);
            client.session_to_reclaim("client", SessionOptions { minor, ..Default::default() }).await
        }
        Claimant::Complete | Claimant::CompleteForTheFileSystem | Claimant::Late => {
            back(&server, "client", minor).await
        }
    };
    let is_told = claimant.is_told_to_reclaim().await;
    match who {
        Claimant::Complete => assert_eq!(claimant.complete().await, NFS4_OK),
        Claimant::CompleteForTheFileSystem => {
            let one_fs = ReclaimComplete4Args { one_fs: true };
            claimant.run_on::<ReclaimComplete>(&fh, &one_fs).await.unwrap();
        }
        Claimant::Late => server.service.end_grace().await.unwrap(),
        Claimant::Stranger | Claimant::Restarted | Claimant::AnotherUser => assert!(!is_told),
    }
    assert_eq!(claimant.reclaim(&fh).await.unwrap_err(), NFS4ERR_NO_GRACE);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn an_impostor_does_not_end_the_grace_period(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (_world, server, fh) = World::after_open(minor).await;
    let mut impostor = Client::connect(&server).await;
    impostor.act_as(1000, 1000, &[]);
    let options = SessionOptions { minor, ..SessionOptions::default() };
    let mut impostor = impostor.session_to_reclaim("client", options).await;
    assert_eq!(impostor.complete().await, NFS4_OK);
    assert!(server.service.grace().is_in_force());
    // Its session goes, as it holds nothing, when the rightful client comes.
    server.clock.advance(LEASE + SECOND);
    let mut client = back(&server, "client", minor).await;
    client.reclaim(&fh).await.unwrap();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn without_a_grace_period(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = World::new().boot().await;
    let fh = session(&server, "client", minor).await.open("file").await.fh;
    let mut other = back(&server, "other", minor).await;
    assert_eq!(other.reclaim(&fh).await.unwrap_err(), NFS4ERR_NO_GRACE);
    server.stop().await;
}

#[rstest]
#[case::nothing_denied(READ, 0, READ, 0, None)]
#[case::first_denies(READ, WRITE, WRITE, 0, Some(NFS4ERR_RECLAIM_CONFLICT))]
#[case::second_denies(WRITE, 0, READ, BOTH, Some(NFS4ERR_RECLAIM_CONFLICT))]
#[tokio::test]
async fn two_clients_reclaim(
    #[case] first_access: u32,
    #[case] first_deny: u32,
    #[case] second_access: u32,
    #[case] second_deny: u32,
    #[case] refused: Option<Status>,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let world = World::new();
    let server = world.boot().await;
    let fh = session(&server, "first", minor).await.open("file").await.fh;
    session(&server, "second", minor).await.open("file").await;
    let server = world.reboot(server).await;
    let (mut first, mut second) = (back(&server, "first", minor).await, back(&server, "second", minor).await);
    first.reclaim_as(&fh, first_access, first_deny).await.unwrap();
    assert_eq!(second.reclaim_as(&fh, second_access, second_deny).await.err(), refused);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn what_is_no_open_file(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let world = World::new();
    let server = world.boot().await;
    let mut client = session(&server, "client", minor).await;
    let (directory, gone) = (client.mkdir("directory").await, client.open("gone").await);
    client.open("file").await;
    client.close(&gone).await;
    let share = client.share().await;
    client.run_on::<Remove>(&share, &Remove4Args { target: component("gone") }).await.unwrap();

    let server = world.reboot(server).await;
    let mut client = back(&server, "client", minor).await;
    assert_eq!(client.reclaim(&directory).await.unwrap_err(), NFS4ERR_ISDIR);
    assert_eq!(client.reclaim(&gone.fh).await.unwrap_err(), NFS4ERR_STALE);
    let creating = Open4Args { openhow: unchecked(), ..previous(BOTH, 0) };
    assert_eq!(client.run_on::<Open>(&share, &creating).await.err(), Some(NFS4ERR_INVAL));
    server.stop().await;
}

/// RFC 8881 section 8.4.2.1.1: "it MUST NOT grant the reclaim if an equivalent non-reclaim request would not be granted".
#[rstest]
#[tokio::test]
async fn who_has_no_permission(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (_world, server, fh) = World::after_open(minor).await;
    let mut client = back(&server, "client", minor).await;
    client.act_as(1000, 1000, &[]);
    assert_eq!(client.reclaim_as(&fh, WRITE, 0).await.unwrap_err(), NFS4ERR_ACCESS);
    client.reclaim_as(&fh, READ, 0).await.unwrap();
    server.stop().await;
}
