//! Origin: byte-range locks that are reclaimed after a restart.
//! RFC: 8881 sections 8.4.2.1, 15.1.9 and 18.10.

use dittofs_framework::proto::*;
use dittofs_ops::lock::{Lock, NfsLockType4::*};
use dittofs_ops::lockt::Lockt;
use dittofs_tests::*;
use rstest::rstest;

use crate::world::*;

/// Two clients with the same file open, and a lock each; then the server restarts.
async fn two_lockers(minor: Minor) -> (TestServer, NfsFh4) {
    let world = World::new();
    let server = world.boot().await;
    let mut fh = None;
    for (owner, range) in [("first", (0, 10)), ("second", (10, 10))] {
        let mut client = session(&server, owner, minor).await;
        let file = client.open("file").await;
        client.lock(&file, "locker", WriteLt, range).await;
        fh = Some(file.fh);
    }
    (world.reboot(server).await, fh.unwrap())
}

#[rstest]
#[tokio::test]
async fn a_lock_is_as_it_was(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (server, fh) = two_lockers(minor).await;
    let mut first = back(&server, "first", minor).await;
    let file = first.reclaim(&fh).await.unwrap();
    let args = lock_under(file.stateid, "locker", WriteLt, (0, 10));
    assert_eq!(first.try_lock(&fh, &args).await, Err(NFS4ERR_GRACE));
    let lock = first.try_lock(&fh, &reclaim(args)).await.unwrap();
    // More of it by the lock stateid.
    first.try_lock(&fh, &reclaim(lock_more(lock, ReadLt, (100, TO_EOF)))).await.unwrap();
    assert_eq!(first.try_lock(&fh, &lock_more(lock, ReadLt, (50, 1))).await, Err(NFS4ERR_GRACE));
    assert_eq!(first.complete().await, NFS4_OK);
    // The other has not come back: who is done has to wait for it.
    assert_eq!(first.try_lock(&fh, &lock_more(lock, ReadLt, (50, 1))).await, Err(NFS4ERR_GRACE));

    let mut second = back(&server, "second", minor).await;
    assert_eq!(second.complete().await, NFS4_OK);
    let file = second.try_open_new("file").await.unwrap();
    let denied = second.denied::<Lock>(&fh, &lock_under(file.stateid, "locker", ReadLt, (9, 5))).await;
    assert_eq!((denied.offset, denied.length), (0, 10));
    second.lock(&file, "locker", WriteLt, (10, 10)).await;
    server.stop().await;
}

#[derive(Clone, Copy)]
enum Open {
    /// Reclaimed.
    Reclaimed,
    /// Not: the stateid is that of the instance before.
    Not,
}

#[rstest]
#[case::in_the_way(Open::Reclaimed, (5, 10), NFS4ERR_RECLAIM_CONFLICT)]
#[case::beside(Open::Reclaimed, (10, 10), NFS4_OK)]
#[case::not_open(Open::Not, (10, 10), NFS4ERR_BAD_STATEID)]
#[tokio::test]
async fn a_second_client_reclaims(
    #[case] open: Open,
    #[case] range: LockRange,
    #[case] status: Status,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let (server, fh) = two_lockers(minor).await;
    let (mut first, mut second) = (back(&server, "first", minor).await, back(&server, "second", minor).await);
    let file = first.reclaim(&fh).await.unwrap();
    first.try_lock(&fh, &reclaim(lock_under(file.stateid, "locker", WriteLt, (0, 10)))).await.unwrap();
    let stateid = match open {
        Open::Reclaimed => second.reclaim(&fh).await.unwrap().stateid,
        Open::Not => Stateid { other: [3; 12], ..file.stateid },
    };
    let locked = second.try_lock(&fh, &reclaim(lock_under(stateid, "locker", WriteLt, range))).await;
    assert_eq!(locked.err().unwrap_or(NFS4_OK), status);
    server.stop().await;
}

#[rstest]
#[case::complete(true)]
#[case::grace_is_over(false)]
#[tokio::test]
async fn too_late(#[case] completes: bool, #[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (server, fh) = two_lockers(minor).await;
    let mut first = back(&server, "first", minor).await;
    let file = first.reclaim(&fh).await.unwrap();
    if completes {
        assert_eq!(first.complete().await, NFS4_OK);
    } else {
        server.service.end_grace().await.unwrap();
    }
    let args = lock_under(file.stateid, "locker", WriteLt, (0, 10));
    assert_eq!(first.try_lock(&fh, &reclaim(args.clone())).await, Err(NFS4ERR_NO_GRACE));
    server.service.end_grace().await.unwrap();
    // RFC 8881 section 8.4.2.1: before its RECLAIM_COMPLETE a client gets no new locks, grace period or not.
    let new = first.try_lock(&fh, &args).await;
    assert_eq!(new.err(), (!completes).then_some(NFS4ERR_GRACE));
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn nobody_knows_yet_what_is_locked(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (server, fh) = two_lockers(minor).await;
    let mut first = back(&server, "first", minor).await;
    let test = lock_test("tester", WriteLt, (0, 1));
    assert_eq!(first.run_on::<Lockt>(&fh, &test).await, Err(NFS4ERR_GRACE));
    server.service.end_grace().await.unwrap();
    assert_eq!(first.run_on::<Lockt>(&fh, &test).await, Ok(()));
    server.stop().await;
}
