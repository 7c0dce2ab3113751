//! Origin: the edge conditions, and other histories of restarts and partitions.
//! RFC: 8881 section 8.4.3.

use std::sync::Arc;

use dittofs_backends::state_store::JournalStateStore;
use dittofs_framework::proto::*;
use dittofs_ops::free_stateid::{FreeStateid, FreeStateid4Args};
use dittofs_ops::lock::NfsLockType4::*;
use dittofs_tests::*;
use rstest::rstest;

use crate::world::*;

/// A client that comes back may reclaim, or is told that it may not.
async fn may_reclaim(server: &TestServer, owner: &str, fh: &NfsFh4, minor: Minor) -> bool {
    let mut client = back(server, owner, minor).await;
    let is_told = client.is_told_to_reclaim().await;
    let reclaimed = client.reclaim(fh).await;
    assert_eq!(is_told, reclaimed.is_ok(), "{reclaimed:?}");
    assert!(is_told || reclaimed.unwrap_err() == NFS4ERR_NO_GRACE);
    is_told
}

/// Two clients have the file open.
async fn two(minor: Minor) -> (World, TestServer, NfsFh4) {
    let world = World::new();
    let server = world.boot().await;
    let fh = session(&server, "a", minor).await.open("file").await.fh;
    session(&server, "b", minor).await.open("file").await;
    (world, server, fh)
}

#[rstest]
#[tokio::test]
async fn two_restarts_in_a_row(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (world, server, fh) = two(minor).await;
    let server = world.reboot(server).await;
    let server = world.reboot(server).await;
    assert!(may_reclaim(&server, "a", &fh, minor).await);
    assert!(may_reclaim(&server, "b", &fh, minor).await);
    server.stop().await;
}

#[rstest]
#[case::in_part(false)]
#[case::all(true)]
#[tokio::test]
async fn the_second_restart_while_clients_reclaim(
    #[case] completes: bool,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let (world, server, fh) = two(minor).await;
    let server = world.reboot(server).await;
    let mut a = back(&server, "a", minor).await;
    a.reclaim(&fh).await.unwrap();
    if completes {
        assert_eq!(a.complete().await, NFS4_OK);
    }
    let server = world.reboot(server).await;
    assert!(may_reclaim(&server, "a", &fh, minor).await);
    assert!(may_reclaim(&server, "b", &fh, minor).await);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn who_never_comes_back_is_forgotten(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (world, server, fh) = two(minor).await;
    let server = world.reboot(server).await;
    let mut a = back(&server, "a", minor).await;
    a.reclaim(&fh).await.unwrap();
    assert_eq!(a.complete().await, NFS4_OK);
    server.clock.advance(GRACE);
    server.service.reap().await;
    // Second edge condition: from here on others may have had what the client held.
    let server = world.reboot(server).await;
    assert!(!may_reclaim(&server, "b", &fh, minor).await);
    assert!(may_reclaim(&server, "a", &fh, minor).await);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn who_has_reclaimed_in_part_is_forgotten_at_the_end(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (world, server, fh) = two(minor).await;
    let server = world.reboot(server).await;
    let mut a = back(&server, "a", minor).await;
    a.reclaim(&fh).await.unwrap();
    server.service.end_grace().await.unwrap();
    let server = world.reboot(server).await;
    assert!(!may_reclaim(&server, "a", &fh, minor).await);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn who_learns_of_the_end_begins_anew(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (world, server, fh) = two(minor).await;
    let server = world.reboot(server).await;
    let mut a = back(&server, "a", minor).await;
    a.reclaim(&fh).await.unwrap();
    server.service.end_grace().await.unwrap();
    // It knows from now on what it holds.
    assert_eq!(a.complete().await, NFS4_OK);
    let server = world.reboot(server).await;
    assert!(may_reclaim(&server, "a", &fh, minor).await);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn who_has_reclaimed_nothing_is_known_the_next_time(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (world, server, fh) = two(minor).await;
    let server = world.reboot(server).await;
    // It knows that it holds nothing, and may hold something from now on.
    assert_eq!(back(&server, "a", minor).await.complete().await, NFS4_OK);
    let server = world.reboot(server).await;
    assert!(may_reclaim(&server, "a", &fh, minor).await);
    assert!(may_reclaim(&server, "b", &fh, minor).await);
    server.stop().await;
}

/// Another user under the name of a client does not take its place on record, either.
#[rstest]
#[tokio::test]
async fn an_impostor_before_the_second_restart(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (world, server, fh) = two(minor).await;
    let server = world.reboot(server).await;
    let mut impostor = Client::connect(&server).await;
    impostor.act_as(1000, 1000, &[]);
    let options = SessionOptions { minor, ..SessionOptions::default() };
    let mut impostor = impostor.session_to_reclaim("a", options).await;
    assert_eq!(impostor.complete().await, NFS4_OK);
    let server = world.reboot(server).await;
    assert!(may_reclaim(&server, "a", &fh, minor).await);
    server.stop().await;
}

/// What happens to a client that is cut off for longer than its lease, before the server restarts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// Another client takes the lock, and releases it: the first edge condition.
    Conflict,
    /// And the client comes back before the restart, and learns it.
    ConflictAndAcknowledgement,
    /// And the client comes back and opens another file, but does not say that it knows.
    ConflictAndAnotherOpen,
}

#[rstest]
#[case::nothing(Meanwhile::Nothing, true)]
#[case::first_edge_condition(Meanwhile::Conflict, false)]
#[case::acknowledged(Meanwhile::ConflictAndAcknowledgement, true)]
#[case::not_acknowledged(Meanwhile::ConflictAndAnotherOpen, false)]
#[tokio::test]
async fn a_partition(
    #[case] meanwhile: Meanwhile,
    #[case] expected: bool,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let world = World::new();
    let server = world.boot().await;
    let mut a = session(&server, "a", minor).await;
    let file = a.open("file").await;
    let lock = a.lock(&file, "locker", WriteLt, (0, 10)).await;
    server.clock.advance(LEASE + SECOND);
    if meanwhile != Meanwhile::Nothing {
        let mut b = session(&server, "b", minor).await;
        let other = b.open("file").await;
        b.lock(&other, "locker", WriteLt, (0, 10)).await;
        b.close(&other).await;
    }
    match meanwhile {
        Meanwhile::Nothing | Meanwhile::Conflict => {}
        Meanwhile::ConflictAndAcknowledgement => {
            let free = FreeStateid4Args { fsa_stateid: Stateid { seqid: 0, ..lock } };
            a.run(a.compound().op::<FreeStateid>(&free)).await.ok();
            a.open("another").await;
        }
        Meanwhile::ConflictAndAnotherOpen => {
            a.open("another").await;
        }
    }
    let server = world.reboot(server).await;
    assert_eq!(may_reclaim(&server, "a", &file.fh, minor).await, expected);
    server.stop().await;
}

/// The whole on a file, which the next instance of the process finds.
#[rstest]
#[tokio::test]
async fn with_a_journal(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let directory = tempfile::tempdir().unwrap();
    let world = World::new();
    let boot = async || {
        let store = JournalStateStore::open(&directory.path().join("state")).unwrap();
        world.boot_on(Some(Arc::new(store))).await
    };
    let server = boot().await;
    let (mut a, mut b) = (session(&server, "a", minor).await, session(&server, "b", minor).await);
    let fh = a.open("file").await.fh;
    let other = b.open("file").await;
    b.close(&other).await;
    end(server).await;
    let server = boot().await;
    assert!(may_reclaim(&server, "a", &fh, minor).await);
    assert!(may_reclaim(&server, "b", &fh, minor).await);
    server.service.end_grace().await.unwrap();
    end(server).await;
    let server = boot().await;
    assert!(!may_reclaim(&server, "a", &fh, minor).await);
    server.stop().await;
}

/// The process ends, and its lock on the journal with it.
async fn end(server: TestServer) {
    let service = Arc::downgrade(&server.service);
    server.crash().await;
    while service.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
}
