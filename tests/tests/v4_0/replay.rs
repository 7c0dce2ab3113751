//! Every operation that bears a seqid, sent again, is answered again byte for byte and not carried out again.
//!
//! Origin: the RFC's rules, and the RPLY group of pynfs. Each sending has an xid of its own: what answers is the owner.
//! RFC: 7530 sections 9.1.7 to 9.1.9, 16.10.5.

use dittofs_framework::proto::{
    NFS4_OK, NFS4ERR_BAD_SEQID, NFS4ERR_BAD_STATEID, NFS4ERR_DENIED, NFS4ERR_INVAL, NFS4ERR_NOENT,
    NFS4ERR_OLD_STATEID, NFS4ERR_SHARE_DENIED, Stateid, Status,
};
use dittofs_framework::state::ShareDeny;
use dittofs_framework::testing::Compound;
use dittofs_ops::close::{Close, Close4Args};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::lock::{Lock, Lock4Denied, NfsLockType4};
use dittofs_ops::locku::Locku;
use dittofs_ops::open::{Open4Args, OpenFlag4};
use dittofs_ops::open_confirm::{OpenConfirm, OpenConfirm4Args};
use dittofs_ops::open_downgrade::{OpenDowngrade, OpenDowngrade4Args};
use dittofs_tests::{BOTH, OpenFile, READ, TO_EOF, unchecked};
use rstest::rstest;

use crate::world::{World, status};

#[derive(Debug, Clone, Copy)]
enum What {
    Open,
    OpenCreating,
    OpenAbsent,
    OpenInvalid,
    OpenDenied,
    Confirm,
    Downgrade,
    DowngradeInvalid,
    Close,
    CloseOld,
    Lock,
    LockAgain,
    LockDenied,
    LockInvalid,
    Unlock,
    UnlockInvalid,
}

/// The request, as the next one of its owner.
async fn request(world: &mut World, what: What) -> Compound {
    let OpenFile { fh, stateid } = world.file.clone();
    match what {
        What::Open | What::OpenAbsent | What::OpenInvalid | What::OpenCreating | What::OpenDenied => {
            open_request(world, what).await
        }
        What::Confirm => {
            let args = world.client.open_args("file", BOTH, 0, "new", unchecked());
            let (fh, opened) = world.client.try_open(&args).await.unwrap();
            let args = OpenConfirm4Args { open_stateid: opened.stateid, seqid: world.client.seqid("new") };
            world.client.on::<OpenConfirm>(&fh, &args)
        }
        What::Downgrade | What::DowngradeInvalid => {
            let share_access = if matches!(what, What::Downgrade) { BOTH } else { READ };
            let seqid = world.client.seqid("opener");
            let args = OpenDowngrade4Args { open_stateid: stateid, seqid, share_access, share_deny: 0 };
            world.client.on::<OpenDowngrade>(&fh, &args)
        }
        What::Close | What::CloseOld => {
            let is_old = matches!(what, What::CloseOld);
            let open_stateid = Stateid { seqid: stateid.seqid - u32::from(is_old), ..stateid };
            let args = Close4Args { seqid: world.client.seqid("opener"), open_stateid };
            world.client.on::<Close>(&fh, &args)
        }
        _ => lock_request(world, what).await,
    }
}

async fn open_request(world: &mut World, what: What) -> Compound {
    let (name, access, how) = match what {
        What::OpenAbsent => ("absent", READ, OpenFlag4::NoCreate(())),
        What::OpenInvalid => ("file", 8, OpenFlag4::NoCreate(())),
        What::OpenCreating => ("new", BOTH, unchecked()),
        _ => ("file", READ, OpenFlag4::NoCreate(())),
    };
    if matches!(what, What::OpenDenied) {
        let mut other = world.other().await;
        other.open_as("denied", BOTH, ShareDeny::BOTH.bits(), "opener").await;
        let args = world.client.open_args("denied", READ, 0, "opener", how);
        return world.client.opening(&args);
    }
    let args = world.client.open_args(name, access, 0, "opener", how);
    world.client.opening(&args)
}

async fn lock_request(world: &mut World, what: What) -> Compound {
    let OpenFile { fh, stateid } = world.file.clone();
    if matches!(what, What::LockDenied) {
        let mut other = world.other().await;
        let theirs = other.open("file").await;
        other.lock(&theirs, (5, 5)).await;
    }
    if let What::Lock | What::LockDenied | What::LockInvalid = what {
        let range = if matches!(what, What::LockInvalid) { (0, 0) } else { (0, TO_EOF) };
        let args = world.client.lock_args(stateid, "opener", "locker", NfsLockType4::WriteLt, range);
        return world.client.on::<Lock>(&fh, &args);
    }
    let file = world.file.clone();
    let lock = world.client.lock(&file, (0, 10)).await;
    if matches!(what, What::LockAgain) {
        let args = world.client.relock_args(lock, "locker", NfsLockType4::ReadLt, (5, 10));
        return world.client.on::<Lock>(&fh, &args);
    }
    let range = if matches!(what, What::UnlockInvalid) { (0, 0) } else { (2, 3) };
    let args = world.client.unlock_args(lock, "locker", range);
    world.client.on::<Locku>(&fh, &args)
}

#[rstest]
#[case::open(What::Open, NFS4_OK)]
#[case::open_creating(What::OpenCreating, NFS4_OK)]
#[case::open_absent(What::OpenAbsent, NFS4ERR_NOENT)]
#[case::open_invalid(What::OpenInvalid, NFS4ERR_INVAL)]
#[case::open_denied(What::OpenDenied, NFS4ERR_SHARE_DENIED)]
#[case::open_confirm(What::Confirm, NFS4_OK)]
#[case::open_downgrade(What::Downgrade, NFS4_OK)]
#[case::open_downgrade_invalid(What::DowngradeInvalid, NFS4ERR_INVAL)]
#[case::close(What::Close, NFS4_OK)]
#[case::close_old(What::CloseOld, NFS4ERR_OLD_STATEID)]
#[case::lock(What::Lock, NFS4_OK)]
#[case::lock_again(What::LockAgain, NFS4_OK)]
#[case::lock_denied(What::LockDenied, NFS4ERR_DENIED)]
#[case::lock_invalid(What::LockInvalid, NFS4ERR_INVAL)]
#[case::unlock(What::Unlock, NFS4_OK)]
#[case::unlock_invalid(What::UnlockInvalid, NFS4ERR_INVAL)]
#[tokio::test]
async fn a_retransmission_is_answered_as_before(#[case] what: What, #[case] want: Status) {
    let mut world = World::new().await;
    let compound = request(&mut world, what).await;
    let first = world.client.run(compound.clone()).await;
    assert_eq!(first.status, want);
    for _ in 0..3 {
        assert_eq!(world.client.run(compound.clone()).await.raw, first.raw);
    }
    world.stop().await;
}

/// The current filehandle is what the OPEN left, for whatever follows it.
#[tokio::test]
async fn a_replayed_open_sets_the_filehandle() {
    let mut world = World::new().await;
    let compound = request(&mut world, What::OpenCreating).await;
    let first = world.client.run(compound.clone()).await.ok();
    let again = world.client.run(compound).await.ok();
    assert_eq!(again.get::<GetFh>().object, first.get::<GetFh>().object);
    world.stop().await;
}

/// Carried out twice, the second would be refused or change the stateid.
#[tokio::test]
async fn a_retransmission_changes_nothing() {
    let mut world = World::new().await;
    let OpenFile { fh, stateid } = world.file.clone();
    let file = world.file.clone();
    let lock = world.client.lock(&file, (0, 10)).await;
    let args = world.client.unlock_args(lock, "locker", (0, 5));
    let unlock = world.client.on::<Locku>(&fh, &args);
    let first = world.client.run(unlock.clone()).await.ok().get::<Locku>();
    world.client.run(unlock.clone()).await.ok();
    assert_eq!(first.seqid, 2);
    // The next request goes on from the first answer.
    let relock = world.client.relock_args(first, "locker", NfsLockType4::WriteLt, (0, 1));
    assert_eq!(world.client.run_on::<Lock>(&fh, &relock).await.unwrap().seqid, 3);
    // Then what was before it is no retransmission any more.
    assert_eq!(world.client.run(unlock).await.status, NFS4ERR_BAD_SEQID);
    let args = Close4Args { seqid: world.client.seqid("opener"), open_stateid: stateid };
    let close = world.client.on::<Close>(&fh, &args);
    world.client.run(close.clone()).await.ok();
    world.client.open("file").await;
    assert_eq!(world.client.run(close).await.status, NFS4ERR_BAD_STATEID, "closed long ago");
    world.stop().await;
}

/// An answer that is kept is whole, with the body that an error has.
#[tokio::test]
async fn a_replayed_refusal_says_who_is_in_the_way() {
    let mut world = World::new().await;
    let compound = request(&mut world, What::LockDenied).await;
    world.client.run(compound.clone()).await;
    let denied = world.client.run(compound).await.error_body::<Lock4Denied>();
    assert_eq!((denied.offset, denied.length, &*denied.owner.owner), (5, 5, &b"locker"[..]));
    world.stop().await;
}

/// "When the type of the operation does not match that originally used, NFS4ERR_BAD_SEQID is returned."
#[tokio::test]
async fn another_operation_is_no_retransmission() {
    let mut world = World::new().await;
    let OpenFile { fh, stateid } = world.file.clone();
    let args = world.client.open_args("file", READ, 0, "opener", unchecked());
    world.client.try_open(&args).await.unwrap();
    let close = Close4Args { seqid: args.seqid, open_stateid: stateid };
    assert_eq!(world.client.run_on::<Close>(&fh, &close).await, Err(NFS4ERR_BAD_SEQID));
    assert_eq!(status(&world.client.try_open(&args).await), NFS4_OK);
    world.stop().await;
}

/// A LOCK that names its lock-owner is known again by its open-owner; the lock-owner alone makes it a seqid used twice.
#[tokio::test]
async fn both_owners_of_a_lock_are_asked() {
    let mut world = World::new().await;
    let OpenFile { fh, stateid } = world.file.clone();
    let args = world.client.lock_args(stateid, "opener", "locker", NfsLockType4::WriteLt, (0, 1));
    assert_eq!(status(&world.client.run_on::<Lock>(&fh, &args).await), NFS4_OK);
    assert_eq!(status(&world.client.run_on::<Lock>(&fh, &args).await), NFS4_OK);
    let mut twice = args.clone();
    let dittofs_ops::lock::Locker4::OpenOwner(new) = &mut twice.locker else { panic!("a new lock-owner") };
    new.open_seqid += 1;
    assert_eq!(status(&world.client.run_on::<Lock>(&fh, &twice).await), NFS4ERR_BAD_SEQID);
    // Refused so, it used up the seqid of neither.
    let next = world.client.lock_args(stateid, "opener", "locker", NfsLockType4::WriteLt, (0, 1));
    assert_eq!(status(&world.client.run_on::<Lock>(&fh, &next).await), NFS4_OK);
    world.stop().await;
}

/// Two OPENs of one owner sent at once are carried out one after the other, and a retransmission of the first meanwhile waits.
#[tokio::test]
async fn requests_of_one_owner_take_turns() {
    let mut world = World::new().await;
    let first = world.client.open_args("file", READ, 0, "opener", unchecked());
    let second = Open4Args { seqid: world.client.seqid("opener"), ..first.clone() };
    let (first, second) = (world.client.opening(&first), world.client.opening(&second));
    let client = &mut world.client.client;
    let xids = [client.send(&first).await, client.send(&second).await];
    let (one, two) = (client.receive(xids[0], &first).await, client.receive(xids[1], &second).await);
    assert_eq!((one.status, two.status), (NFS4_OK, NFS4_OK));
    world.stop().await;
}
