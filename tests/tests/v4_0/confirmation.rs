//! Origin: the statements of the RFC, one by one, and the OPCF group of pynfs.
//! RFC: 7530 sections 9.1.11 and 16.18.
//!
//! Not reached: ADMIN_REVOKED, FHEXPIRED, INVAL, LEASE_MOVED, MOVED, STALE, SERVERFAULT; EXPIRED is in `leases`.

use dittofs_framework::proto::{
    NFS4_OK, NFS4ERR_BAD_SEQID, NFS4ERR_BAD_STATEID, NFS4ERR_BADXDR, NFS4ERR_ISDIR, NFS4ERR_NOFILEHANDLE,
    NFS4ERR_OLD_STATEID, NFS4ERR_SHARE_DENIED, NFS4ERR_STALE_STATEID, Stateid, Status,
};
use dittofs_framework::state::ShareDeny;
use dittofs_ops::close::{Close, Close4Args};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::lock::{Lock, NfsLockType4};
use dittofs_ops::open::{OPEN4_RESULT_CONFIRM, OPEN4_RESULT_LOCKTYPE_POSIX, Open};
use dittofs_ops::open_confirm::{OpenConfirm, OpenConfirm4Args};
use dittofs_ops::open_downgrade::{OpenDowngrade, OpenDowngrade4Args};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_tests::{BOTH, ClientV4_0, OpenFile, READ, WRITE, put, unchecked, walk};
use rstest::rstest;

use crate::world::{World, Wrong, status};

/// A file opened by the owner "new", which is not confirmed, and the seqid of its OPEN.
async fn unconfirmed(client: &mut ClientV4_0, name: &str, deny: u32) -> (OpenFile, u32) {
    let args = client.open_args(name, BOTH, deny, "new", unchecked());
    let (fh, opened) = client.try_open(&args).await.unwrap();
    assert_eq!(opened.rflags, OPEN4_RESULT_LOCKTYPE_POSIX | OPEN4_RESULT_CONFIRM);
    (OpenFile { fh, stateid: opened.stateid }, args.seqid)
}

async fn confirm(client: &mut ClientV4_0, file: &OpenFile, seqid: u32) -> Result<Stateid, Status> {
    let args = OpenConfirm4Args { open_stateid: file.stateid, seqid };
    client.run_on::<OpenConfirm>(&file.fh, &args).await
}

/// The stateid changes with the confirmation; the current filehandle does not.
#[tokio::test]
async fn an_owner_is_confirmed_once() {
    let mut world = World::new().await;
    let (file, seqid) = unconfirmed(&mut world.client, "fresh", 0).await;
    let args = OpenConfirm4Args { open_stateid: file.stateid, seqid: seqid + 1 };
    let compound = world.client.on::<OpenConfirm>(&file.fh, &args).op::<GetFh>(&());
    let reply = world.client.run(compound).await.ok();
    let stateid = reply.get::<OpenConfirm>();
    assert_eq!(stateid, Stateid { seqid: 2, ..file.stateid });
    assert_eq!(reply.get::<GetFh>().object, file.fh);
    let confirmed = OpenFile { stateid, ..file.clone() };
    assert_eq!(confirm(&mut world.client, &confirmed, seqid + 2).await, Err(NFS4ERR_BAD_STATEID));
    // No other file of the owner needs it again.
    let args = world.client.open_args("more", BOTH, 0, "new", unchecked());
    let args = dittofs_ops::open::Open4Args { seqid: seqid + 2, ..args };
    let (_, opened) = world.client.try_open(&args).await.unwrap();
    assert_eq!(opened.rflags, OPEN4_RESULT_LOCKTYPE_POSIX);
    world.stop().await;
}

#[rstest]
#[case::anonymous(Wrong::Anonymous, NFS4ERR_BAD_STATEID)]
#[case::read_bypass(Wrong::ReadBypass, NFS4ERR_BAD_STATEID)]
#[case::stale(Wrong::Stale, NFS4ERR_STALE_STATEID)]
#[case::garbage(Wrong::Garbage, NFS4ERR_BAD_STATEID)]
#[tokio::test]
async fn a_stateid_is_refused(#[case] wrong: Wrong, #[case] want: Status) {
    let mut world = World::new().await;
    let file = OpenFile { stateid: world.wrong(wrong), ..world.file.clone() };
    assert_eq!(confirm(&mut world.client, &file, 1).await, Err(want));
    world.stop().await;
}

#[rstest]
#[case::old(0, NFS4_OK)] // zero means the latest
#[case::latest(1, NFS4_OK)]
#[case::future(2, NFS4ERR_BAD_STATEID)]
#[tokio::test]
async fn the_seqid_of_the_stateid_is_checked(#[case] of_stateid: u32, #[case] want: Status) {
    let mut world = World::new().await;
    let (mut file, seqid) = unconfirmed(&mut world.client, "fresh", 0).await;
    file.stateid.seqid = of_stateid;
    assert_eq!(status(&confirm(&mut world.client, &file, seqid + 1).await), want);
    world.stop().await;
}

/// Until the confirmation nothing else can be done with the open; afterwards everything.
#[tokio::test]
async fn what_is_unconfirmed_is_of_no_use() {
    let mut world = World::new().await;
    let (file, seqid) = unconfirmed(&mut world.client, "fresh", 0).await;
    let client = &mut world.client;
    let read = Read4Args { stateid: file.stateid, offset: 0, count: 1 };
    assert_eq!(status(&client.run_on::<Read>(&file.fh, &read).await), NFS4ERR_BAD_STATEID);
    let close = Close4Args { seqid: seqid + 1, open_stateid: file.stateid };
    assert_eq!(client.run_on::<Close>(&file.fh, &close).await, Err(NFS4ERR_BAD_STATEID));
    let downgrade = OpenDowngrade4Args {
        open_stateid: file.stateid,
        seqid: seqid + 1,
        share_access: READ,
        share_deny: 0,
    };
    assert_eq!(client.run_on::<OpenDowngrade>(&file.fh, &downgrade).await, Err(NFS4ERR_BAD_STATEID));
    let lock = client.lock_args(file.stateid, "new", "l", NfsLockType4::WriteLt, (0, 1));
    assert_eq!(status(&client.run_on::<Lock>(&file.fh, &lock).await), NFS4ERR_BAD_STATEID);
    let stateid = confirm(client, &file, seqid + 1).await.unwrap();
    let read = Read4Args { stateid, offset: 0, count: 1 };
    assert_eq!(status(&client.run_on::<Read>(&file.fh, &read).await), NFS4_OK);
    world.stop().await;
}

/// "The server cancels the OPEN state of the first OPEN request, establishes an unconfirmed OPEN state for the second."
#[tokio::test]
async fn an_open_out_of_sequence_begins_anew() {
    let mut world = World::new().await;
    let (file, seqid) = unconfirmed(&mut world.client, "fresh", ShareDeny::BOTH.bits()).await;
    let args = world.client.open_args("second", BOTH, 0, "new", unchecked());
    let args = dittofs_ops::open::Open4Args { seqid: seqid + 50, ..args };
    let (fh, opened) = world.client.try_open(&args).await.unwrap();
    assert_eq!(opened.rflags & OPEN4_RESULT_CONFIRM, OPEN4_RESULT_CONFIRM);
    assert_eq!(confirm(&mut world.client, &file, seqid + 51).await, Err(NFS4ERR_BAD_STATEID));
    let second = OpenFile { fh, stateid: opened.stateid };
    assert!(confirm(&mut world.client, &second, seqid + 51).await.is_ok());
    // The share reservation of the first went with it.
    let mut other = world.other().await;
    other.open_as("fresh", BOTH, 0, "opener").await;
    world.stop().await;
}

/// "The server assumes that the client will not confirm the original OPEN and all state … is released."
#[tokio::test]
async fn a_confirmation_out_of_sequence_cancels_the_open() {
    let mut world = World::new().await;
    let (file, seqid) = unconfirmed(&mut world.client, "fresh", ShareDeny::BOTH.bits()).await;
    let mut other = world.other().await;
    let args = other.open_args("fresh", READ, 0, "opener", unchecked());
    assert_eq!(status(&other.try_open(&args).await), NFS4ERR_SHARE_DENIED);
    assert_eq!(confirm(&mut world.client, &file, seqid + 50).await, Err(NFS4ERR_BAD_SEQID));
    assert_eq!(confirm(&mut world.client, &file, seqid + 50).await, Err(NFS4ERR_BAD_SEQID));
    assert_eq!(confirm(&mut world.client, &file, seqid + 1).await, Err(NFS4ERR_BAD_STATEID));
    let args = other.open_args("fresh", READ, 0, "opener", unchecked());
    assert_eq!(status(&other.try_open(&args).await), NFS4_OK);
    world.stop().await;
}

/// "Neither of the two … occurs … within the lease period. In this case, the OPEN state is canceled."
#[tokio::test]
async fn an_open_that_nobody_confirms_goes_after_the_lease() {
    let mut world = World::new().await;
    let (file, seqid) = unconfirmed(&mut world.client, "fresh", ShareDeny::BOTH.bits()).await;
    for _ in 0..2 {
        world.pass(6).await;
        let read = Read4Args { stateid: world.file.stateid, offset: 0, count: 1 };
        let fh = world.file.fh.clone();
        world.client.run_on::<Read>(&fh, &read).await.unwrap();
    }
    assert_eq!(confirm(&mut world.client, &file, seqid + 1).await, Err(NFS4ERR_BAD_STATEID));
    let mut other = world.other().await;
    other.open_as("fresh", BOTH, 0, "opener").await;
    world.stop().await;
}

#[tokio::test]
async fn the_filehandle_is_the_files() {
    let mut world = World::new().await;
    let (file, seqid) = unconfirmed(&mut world.client, "fresh", 0).await;
    let args = OpenConfirm4Args { open_stateid: file.stateid, seqid: seqid + 1 };
    let compound = world.client.compound().op::<OpenConfirm>(&args);
    assert_eq!(world.client.run(compound).await.status, NFS4ERR_NOFILEHANDLE);
    let elsewhere = OpenFile { fh: world.file.fh.clone(), ..file.clone() };
    assert_eq!(confirm(&mut world.client, &elsewhere, seqid + 1).await, Err(NFS4ERR_BAD_STATEID));
    let share = walk(world.client.compound(), &["export"]).op::<OpenConfirm>(&args);
    assert_eq!(world.client.run(share).await.status, NFS4ERR_ISDIR);
    world.stop().await;
}

#[tokio::test]
async fn arguments_that_end_too_early_are_refused() {
    let mut world = World::new().await;
    let fh = world.file.fh.clone();
    for len in (0..20).step_by(4) {
        let compound = world.client.compound().op::<PutFh>(&put(&fh));
        let compound = compound.op_with_args::<OpenConfirm>(&vec![0; len]);
        assert_eq!(world.client.run(compound).await.status, NFS4ERR_BADXDR);
    }
    world.stop().await;
}

/// A stateid from before the confirmation is old after it.
#[tokio::test]
async fn the_stateid_before_the_confirmation_is_old() {
    let mut world = World::new().await;
    let (file, seqid) = unconfirmed(&mut world.client, "fresh", 0).await;
    confirm(&mut world.client, &file, seqid + 1).await.unwrap();
    let close = Close4Args { seqid: seqid + 2, open_stateid: file.stateid };
    assert_eq!(world.client.run_on::<Close>(&file.fh, &close).await, Err(NFS4ERR_OLD_STATEID));
    world.stop().await;
}

/// A failed first OPEN leaves an owner that is not confirmed.
#[tokio::test]
async fn a_failed_open_confirms_nothing() {
    let mut world = World::new().await;
    let how = dittofs_ops::open::OpenFlag4::NoCreate(());
    let args = world.client.open_args("absent", WRITE, 0, "new", how);
    assert!(world.client.try_open(&args).await.is_err());
    let args = world.client.open_args("file", WRITE, 0, "new", unchecked());
    let compound = walk(world.client.compound(), &["export"]).op::<Open>(&args);
    let opened = world.client.run(compound).await.ok().get::<Open>();
    assert_eq!(opened.rflags & OPEN4_RESULT_CONFIRM, OPEN4_RESULT_CONFIRM);
    world.stop().await;
}
