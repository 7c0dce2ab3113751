//! Origin: the statements of the RFC, one by one, and the LOCK, LOCKT and LKU groups of pynfs. What minor version 0 has in common with
//! later ones is in the tables of `ops`.
//! RFC: 7530 sections 9.1.9, 16.10, 16.11 and 16.12.

use dittofs_framework::proto::{
    ClientId, NFS4_OK, NFS4ERR_BAD_SEQID, NFS4ERR_BAD_STATEID, NFS4ERR_DENIED, NFS4ERR_INVAL, NFS4ERR_ISDIR,
    NFS4ERR_OLD_STATEID, NFS4ERR_OPENMODE, NFS4ERR_STALE_CLIENTID, NFS4ERR_STALE_STATEID, SpecData, Stateid,
    Status, component,
};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::lock::{Lock, Lock4Args, Lock4Denied, Locker4, NfsLockType4};
use dittofs_ops::lockt::{Lockt, Lockt4Args};
use dittofs_ops::locku::{Locku, Locku4Args};
use dittofs_tests::{OpenFile, READ, TO_EOF, mode_attr, walk};
use rstest::rstest;

use crate::world::{World, Wrong, status};

fn with_new(mut args: Lock4Args, change: impl FnOnce(&mut dittofs_ops::lock::OpenToLockOwner4)) -> Lock4Args {
    let Locker4::OpenOwner(new) = &mut args.locker else { panic!("a new lock-owner") };
    change(new);
    args
}

#[tokio::test]
async fn a_lock_lives() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let lock = world.client.lock(&file, (0, 100)).await;
    assert_eq!(lock.seqid, 1);
    let args = world.client.relock_args(lock, "locker", NfsLockType4::ReadLt, (50, 100));
    let lock = world.client.run_on::<Lock>(&file.fh, &args).await.unwrap();
    assert_eq!(lock.seqid, 2);
    let lock = world.client.unlock(&file.fh, lock, (0, TO_EOF)).await;
    assert_eq!(lock.seqid, 3);
    assert!(world.client.close(&file, "opener").await.is_ok());
    world.stop().await;
}

#[rstest]
#[case::anonymous(Wrong::Anonymous, NFS4ERR_BAD_STATEID)]
#[case::read_bypass(Wrong::ReadBypass, NFS4ERR_BAD_STATEID)]
#[case::stale(Wrong::Stale, NFS4ERR_STALE_STATEID)]
#[case::garbage(Wrong::Garbage, NFS4ERR_BAD_STATEID)]
#[case::old(Wrong::Old, NFS4ERR_OLD_STATEID)]
#[case::future(Wrong::Future, NFS4ERR_BAD_STATEID)]
#[tokio::test]
async fn an_open_stateid_is_refused(#[case] wrong: Wrong, #[case] want: Status) {
    let mut world = World::new().await;
    let (fh, stateid) = (world.file.fh.clone(), world.wrong(wrong));
    let args = world.client.lock_args(stateid, "opener", "locker", NfsLockType4::WriteLt, (0, 1));
    assert_eq!(status(&world.client.run_on::<Lock>(&fh, &args).await), want);
    world.stop().await;
}

#[rstest]
#[case::anonymous(Wrong::Anonymous, NFS4ERR_BAD_STATEID)]
#[case::stale(Wrong::Stale, NFS4ERR_STALE_STATEID)]
#[case::garbage(Wrong::Garbage, NFS4ERR_BAD_STATEID)]
#[case::of_the_open(Wrong::Future, NFS4ERR_BAD_STATEID)]
#[tokio::test]
async fn a_lock_stateid_is_refused(#[case] wrong: Wrong, #[case] want: Status) {
    let mut world = World::new().await;
    let (fh, stateid) = (world.file.fh.clone(), world.wrong(wrong));
    let args = world.client.relock_args(stateid, "locker", NfsLockType4::WriteLt, (0, 1));
    assert_eq!(status(&world.client.run_on::<Lock>(&fh, &args).await), want);
    let args =
        Locku4Args { locktype: NfsLockType4::WriteLt, seqid: 1, lock_stateid: stateid, offset: 0, length: 1 };
    assert_eq!(world.client.run_on::<Locku>(&fh, &args).await, Err(want));
    world.stop().await;
}

/// "When any of the state-owner sequence values are invalid, NFS4ERR_BAD_SEQID is returned", before stateids are looked at.
#[rstest]
#[case::open_seqid(1, 0)]
#[case::lock_seqid(0, 5)]
#[case::both(1, 5)]
#[tokio::test]
async fn a_seqid_is_wrong(#[case] open_off: u32, #[case] lock_off: u32) {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.client.lock(&file, (0, 1)).await;
    let old = Stateid { seqid: 1, ..file.stateid };
    let args = world.client.lock_args(old, "opener", "locker", NfsLockType4::WriteLt, (5, 1));
    let args = with_new(args, |new| {
        new.open_seqid += open_off;
        new.lock_seqid += lock_off;
    });
    assert_eq!(status(&world.client.run_on::<Lock>(&file.fh, &args).await), NFS4ERR_BAD_SEQID);
    world.stop().await;
}

/// A lock-owner that locked before may name itself again; its seqid is the next one.
#[tokio::test]
async fn a_known_lock_owner_names_itself() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let first = world.client.lock(&file, (0, 1)).await;
    let second = world.client.lock(&file, (5, 1)).await;
    assert_eq!(second, Stateid { seqid: 2, ..first });
    let other = world.client.open("other file").await;
    let third = world.client.lock(&other, (0, 1)).await;
    assert_ne!(third.other, first.other);
    world.stop().await;
}

/// A first LOCK that is denied leaves nothing behind: the lock-owner begins with any seqid.
#[tokio::test]
async fn a_denied_lock_owner_begins_anew() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let mut other = world.other().await;
    let theirs = other.open("file").await;
    let lock = other.lock(&theirs, (0, 10)).await;
    for _ in 0..2 {
        let args = world.client.lock_args(file.stateid, "opener", "locker", NfsLockType4::WriteLt, (5, 10));
        let args = with_new(args, |new| new.lock_seqid = 0);
        let compound = world.client.on::<Lock>(&file.fh, &args);
        let denied = world.client.run(compound).await;
        assert_eq!(denied.status, NFS4ERR_DENIED);
        let by = denied.error_body::<Lock4Denied>();
        assert_eq!((by.offset, by.length, by.owner.clientid), (0, 10, other.clientid));
    }
    other.unlock(&theirs.fh, lock, (0, 10)).await;
    let args = world.client.lock_args(file.stateid, "opener", "locker", NfsLockType4::WriteLt, (5, 10));
    let args = with_new(args, |new| new.lock_seqid = 0);
    assert_eq!(status(&world.client.run_on::<Lock>(&file.fh, &args).await), NFS4_OK);
    world.stop().await;
}

#[tokio::test]
async fn the_lock_owner_is_the_clients() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let other = world.other().await;
    for (clientid, want) in [(ClientId(7), NFS4ERR_STALE_CLIENTID), (other.clientid, NFS4ERR_BAD_STATEID)] {
        let args = world.client.lock_args(file.stateid, "opener", "locker", NfsLockType4::WriteLt, (0, 1));
        let seqid = world.client.next_seqid("opener") - 2;
        let args = with_new(args, |new| {
            new.lock_owner.clientid = clientid;
            new.open_seqid = seqid + 1;
        });
        assert_eq!(status(&world.client.run_on::<Lock>(&file.fh, &args).await), want);
        // The seqid is not used up.
        world.client.set_seqid("opener", seqid);
    }
    world.stop().await;
}

#[rstest]
#[case::nothing(0, 0)]
#[case::past_the_end(10, u64::MAX - 5)]
#[tokio::test]
async fn a_range_is_invalid(#[case] offset: u64, #[case] length: u64) {
    let mut world = World::new().await;
    let OpenFile { fh, stateid } = world.file.clone();
    let range = (offset, length);
    let args = world.client.lock_args(stateid, "opener", "locker", NfsLockType4::WriteLt, range);
    assert_eq!(status(&world.client.run_on::<Lock>(&fh, &args).await), NFS4ERR_INVAL);
    let test = Lockt4Args { locktype: NfsLockType4::WriteLt, offset, length, owner: world.client.owner("l") };
    assert_eq!(status(&world.client.run_on::<Lockt>(&fh, &test).await), NFS4ERR_INVAL);
    world.stop().await;
}

#[tokio::test]
async fn a_lock_needs_its_access() {
    let mut world = World::new().await;
    let file = world.client.open_as("read", READ, 0, "opener").await;
    let args = world.client.lock_args(file.stateid, "opener", "locker", NfsLockType4::WriteLt, (0, 1));
    assert_eq!(status(&world.client.run_on::<Lock>(&file.fh, &args).await), NFS4ERR_OPENMODE);
    world.stop().await;
}

#[tokio::test]
async fn a_test_names_its_client() {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.client.lock(&file, (0, 10)).await;
    let mut args = Lockt4Args {
        locktype: NfsLockType4::WriteLt,
        offset: 0,
        length: 1,
        owner: world.client.owner("locker"),
    };
    assert_eq!(status(&world.client.run_on::<Lockt>(&file.fh, &args).await), NFS4_OK, "its own lock");
    args.owner = world.client.owner("another");
    let compound = world.client.on::<Lockt>(&file.fh, &args);
    let denied = world.client.run(compound).await.error_body::<Lock4Denied>();
    assert_eq!(denied.owner, world.client.owner("locker"));
    args.owner.clientid = ClientId(3);
    assert_eq!(status(&world.client.run_on::<Lockt>(&file.fh, &args).await), NFS4ERR_STALE_CLIENTID);
    world.stop().await;
}

/// Minor version 0 has no status of its own for what is no regular file.
#[rstest]
#[case::dir(CreateType4::Dir, NFS4ERR_ISDIR)]
#[case::symlink(CreateType4::Link(component("file")), NFS4ERR_INVAL)]
#[case::fifo(CreateType4::Fifo, NFS4ERR_INVAL)]
#[case::char(CreateType4::Char(SpecData { specdata1: 1, specdata2: 3 }), NFS4ERR_INVAL)]
#[tokio::test]
async fn what_is_no_file(#[case] what: CreateType4, #[case] want: Status) {
    let mut world = World::new().await;
    let args = Create4Args { objtype: what, objname: component("object"), createattrs: mode_attr(0o755) };
    let compound = walk(world.client.compound(), &["export"]).op::<Create>(&args).op::<GetFh>(&());
    let fh = world.client.run(compound).await.ok().get::<GetFh>().object;
    let test =
        Lockt4Args { locktype: NfsLockType4::WriteLt, offset: 0, length: 1, owner: world.client.owner("l") };
    assert_eq!(status(&world.client.run_on::<Lockt>(&fh, &test).await), want);
    world.stop().await;
}
