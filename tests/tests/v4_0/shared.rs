//! Clients of minor version 0 and of later ones on the same files: share reservations and locks hold between them.
//!
//! Origin: the state core is one for all minor versions.
//! RFC: 7530 sections 9.2 to 9.4 and 9.9, 8881 sections 9.1 to 9.7.

use dittofs_framework::proto::{
    Minor, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_EXPIRED, NFS4ERR_LOCKED, NFS4ERR_SHARE_DENIED, Status,
};
use dittofs_framework::state::ShareDeny;
use dittofs_ops::lock::{Lock, Lock4Denied, NfsLockType4};
use dittofs_ops::lockt::Lockt;
use dittofs_ops::open::OpenFlag4;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::renew::{Renew, Renew4Args};
use dittofs_tests::{
    BOTH, ClientV4_0, READ, Session, TO_EOF, WRITE, lock_test, lock_under, open_args, unchecked,
};
use rstest::rstest;

use crate::world::{World, status};

async fn open_old(client: &mut ClientV4_0, access: u32) -> Status {
    let args = client.open_args("shared", access, 0, "opener", unchecked());
    status(&client.try_open(&args).await)
}

async fn open_new(session: &mut Session, access: u32) -> Status {
    let args = open_args("shared", access, 0, "owner", OpenFlag4::NoCreate(()));
    status(&session.try_open(&["export"], &args).await)
}

#[rstest]
#[case::v4_1(Minor::V1)]
#[case::v4_2(Minor::V2)]
#[tokio::test]
async fn a_share_reservation_of_v4_0_holds(#[case] minor: Minor) {
    let mut world = World::new().await;
    let file = world.client.open_as("shared", BOTH, ShareDeny::WRITE.bits(), "opener").await;
    let mut session = world.session(minor).await;
    assert_eq!(open_new(&mut session, WRITE).await, NFS4ERR_SHARE_DENIED);
    assert_eq!(open_new(&mut session, READ).await, NFS4_OK);
    world.client.close(&file, "opener").await.unwrap();
    assert_eq!(open_new(&mut session, WRITE).await, NFS4_OK);
    world.stop().await;
}

#[rstest]
#[case::v4_1(Minor::V1)]
#[case::v4_2(Minor::V2)]
#[tokio::test]
async fn a_share_reservation_of_a_session_holds(#[case] minor: Minor) {
    let mut world = World::new().await;
    let mut session = world.session(minor).await;
    let file = session.open_as("shared", BOTH, ShareDeny::READ.bits(), "owner").await;
    assert_eq!(open_old(&mut world.client, READ).await, NFS4ERR_SHARE_DENIED);
    assert_eq!(open_old(&mut world.client, WRITE).await, NFS4_OK);
    let anonymous = Read4Args { stateid: dittofs_framework::proto::Stateid::ANONYMOUS, offset: 0, count: 1 };
    assert_eq!(status(&world.client.run_on::<Read>(&file.fh, &anonymous).await), NFS4ERR_LOCKED);
    session.close(&file).await;
    assert_eq!(open_old(&mut world.client, READ).await, NFS4_OK);
    world.stop().await;
}

#[tokio::test]
async fn locks_hold_both_ways() {
    let mut world = World::new().await;
    let mine = world.file.clone();
    let mut session = world.session(Minor::V2).await;
    let theirs = session.open("file").await;
    assert_eq!(mine.fh, theirs.fh, "the same file has the same handle");
    let lock = world.client.lock(&mine, (0, 10)).await;
    let args = lock_under(theirs.stateid, "l", NfsLockType4::ReadLt, (5, 10));
    let denied = session.denied::<Lock>(&theirs.fh, &args).await;
    assert_eq!((denied.offset, denied.length), (0, 10));
    assert_eq!(denied.owner, world.client.owner("locker"));
    let denied =
        session.denied::<Lockt>(&theirs.fh, &lock_test("l", NfsLockType4::ReadLt, (0, TO_EOF))).await;
    assert_eq!(denied.owner, world.client.owner("locker"));
    world.client.unlock(&mine.fh, lock, (0, TO_EOF)).await;
    session.lock(&theirs, "l", NfsLockType4::WriteLt, (0, 10)).await;
    let args = world.client.lock_args(mine.stateid, "opener", "another", NfsLockType4::WriteLt, (9, 10));
    let compound = world.client.on::<Lock>(&mine.fh, &args);
    let denied = world.client.run(compound).await.error_body::<Lock4Denied>();
    assert_eq!((denied.offset, denied.length, denied.owner.clientid), (0, 10, session.clientid));
    world.stop().await;
}

/// A stateid is of no use to a client of the other kind.
#[tokio::test]
async fn stateids_do_not_cross() {
    let mut world = World::new().await;
    let mine = world.file.clone();
    let mut session = world.session(Minor::V1).await;
    let theirs = session.open("file").await;
    let read = |stateid| Read4Args { stateid, offset: 0, count: 1 };
    assert_eq!(status(&session.run_on::<Read>(&mine.fh, &read(mine.stateid)).await), NFS4ERR_BAD_STATEID);
    let got = world.client.run_on::<Read>(&theirs.fh, &read(theirs.stateid)).await;
    assert_eq!(status(&got), NFS4ERR_BAD_STATEID);
    world.stop().await;
}

/// What a silent client of 4.0 holds gives way to a client of a later minor version, and the other way round.
#[tokio::test]
async fn courtesy_ends_between_minor_versions() {
    let mut world = World::new().await;
    world.client.open_as("shared", BOTH, ShareDeny::BOTH.bits(), "opener").await;
    let mut session = world.session(Minor::V2).await;
    assert_eq!(open_new(&mut session, READ).await, NFS4ERR_SHARE_DENIED);
    for _ in 0..2 {
        world.pass(6).await;
        session.sequence().await;
    }
    let file = session.open_as("shared", BOTH, ShareDeny::BOTH.bits(), "owner").await;
    let clientid = world.client.clientid;
    let compound = world.client.compound().op::<Renew>(&Renew4Args { clientid });
    assert_eq!(world.client.run(compound).await.status, NFS4ERR_EXPIRED);
    // Now the session is the silent one.
    world.pass(11).await;
    let mut other = world.other().await;
    assert_eq!(open_old(&mut other, READ).await, NFS4_OK);
    let read = Read4Args { stateid: file.stateid, offset: 0, count: 1 };
    assert_eq!(status(&session.run_on::<Read>(&file.fh, &read).await), NFS4ERR_EXPIRED);
    world.stop().await;
}
