//! The current stateid through a compound: what sets it, keeps it, clears it, and with which seqid it is used.
//!
//! Origin: figures 3 to 6 of the RFC and the statements around them.
//! RFC: 8881 sections 16.2.3.1.2 and 8.2.3.

use dittofs_framework::attr::{Bitmap, FATTR4_SIZE};
use dittofs_framework::proto::{
    Minor, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_OLD_STATEID, NFS4ERR_OPENMODE, OP_READ, Stateid, Status,
};
use dittofs_framework::testing::Compound;
use dittofs_ops::close::{Close, Close4Args};
use dittofs_ops::free_stateid::{FreeStateid, FreeStateid4Args};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::io::StableHow4;
use dittofs_ops::lock::Lock;
use dittofs_ops::lock::NfsLockType4::WriteLt;
use dittofs_ops::locku::Locku;
use dittofs_ops::lookup::Lookup;
use dittofs_ops::open::{Open, OpenClaim4, OpenFlag4};
use dittofs_ops::open_downgrade::{OpenDowngrade, OpenDowngrade4Args};
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::restorefh::RestoreFh;
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_ops::write::{Write, Write4Args};
use dittofs_tests::{BOTH, READ, lock_more, lock_under, named, open_args, size_attr, unlock, walk};
use rstest::rstest;

use crate::common::{CONTENT, World, put};

const CURRENT: Stateid = Stateid::CURRENT;

fn read(compound: Compound) -> Compound {
    compound.op::<Read>(&Read4Args { stateid: CURRENT, offset: 0, count: 100 })
}

fn write(compound: Compound) -> Compound {
    let data = b"x".as_slice().into();
    compound.op::<Write>(&Write4Args { stateid: CURRENT, offset: 0, stable: StableHow4::FileSync, data })
}

fn close(compound: Compound) -> Compound {
    compound.op::<Close>(&Close4Args { seqid: 0, open_stateid: CURRENT })
}

/// OPEN of the file in the share, for reading and writing.
fn open(compound: Compound) -> Compound {
    let args = open_args("file", BOTH, 0, "opener", OpenFlag4::NoCreate(()));
    walk(compound, &["export"]).op::<Open>(&args)
}

fn downgrade(compound: Compound) -> Compound {
    let args = OpenDowngrade4Args { open_stateid: CURRENT, seqid: 0, share_access: BOTH, share_deny: 0 };
    compound.op::<OpenDowngrade>(&args)
}

/// Figure 4.
#[rstest]
#[case::v4_1(Minor::V1)]
#[case::v4_2(Minor::V2)]
#[tokio::test]
async fn an_open_is_used_and_closed(#[case] minor: Minor) {
    let mut world = World::of(minor).await;
    let compound = close(read(open(world.session.compound())));
    let reply = world.session.run(compound).await.ok();
    assert_eq!(&reply.get::<Read>().data[..], CONTENT);
    assert_eq!(reply.get::<Close>(), Stateid::INVALID);
    world.stop().await;
}

/// Figure 5, up to the WRITE, and without it.
#[tokio::test]
async fn a_lock_is_made_around_a_read() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let other = world.session.open("another file").await;
    let locked = put(world.session.compound(), &file.fh).op::<Lock>(&lock_under(
        file.stateid,
        "locker",
        WriteLt,
        (0, 10),
    ));
    let unlocked = read(locked).op::<Locku>(&unlock(CURRENT, (0, 10))).op::<SaveFh>(&());
    let elsewhere = put(unlocked, &other.fh);
    let failing = world.session.run(write(elsewhere.clone())).await;
    assert_eq!(failing.status, NFS4ERR_BAD_STATEID);
    assert_eq!(failing.get::<Locku>().seqid, 2);
    let reply = world.session.run(read(elsewhere.op::<RestoreFh>(&()))).await.ok();
    assert_eq!(&reply.get_nth::<Read>(1).data[..], CONTENT);
    world.stop().await;
}

/// A step of a compound between an OPEN and the READ with the current stateid.
type Step = fn(Compound) -> Compound;

/// "If an operation sets the current filehandle but does not return a stateid, the current stateid MUST be set to" the anonymous one, which may
/// not be passed on so (figure 6); "if an operation uses a stateid as an argument but does not return a stateid, the current stateid MUST NOT
/// be changed".
#[rstest]
#[case::nothing(|compound: Compound| compound, NFS4_OK)]
#[case::read(read, NFS4_OK)]
#[case::write(write, NFS4_OK)]
#[case::getfh(|compound: Compound| compound.op::<GetFh>(&()), NFS4_OK)]
#[case::getattr(
    |compound: Compound| compound.op::<GetAttr>(&Getattr4Args { attr_request: Bitmap::of(&[FATTR4_SIZE]) }),
    NFS4_OK
)]
#[case::setattr(
    |compound: Compound| compound.op::<SetAttr>(&Setattr4Args { stateid: CURRENT, obj_attributes: size_attr(3) }),
    NFS4_OK
)]
#[case::savefh(|compound: Compound| compound.op::<SaveFh>(&()), NFS4_OK)]
#[case::open_downgrade(downgrade, NFS4_OK)]
#[case::lock(|compound: Compound| compound.op::<Lock>(&lock_under(CURRENT, "locker", WriteLt, (0, 1))), NFS4_OK)]
#[case::lock_and_more(
    |compound: Compound| compound
        .op::<Lock>(&lock_under(CURRENT, "locker", WriteLt, (0, 1)))
        .op::<Lock>(&lock_more(CURRENT, WriteLt, (4, 1)))
        .op::<Locku>(&unlock(CURRENT, (0, 10))),
    NFS4_OK
)]
#[case::saved_and_restored(
    |compound: Compound| compound.op::<SaveFh>(&()).op::<PutRootFh>(&()).op::<RestoreFh>(&()),
    NFS4_OK
)]
#[case::open_by_handle(
    |compound: Compound| {
        let mut args = open_args("", READ, 0, "reader", OpenFlag4::NoCreate(()));
        args.claim = OpenClaim4::Fh(());
        compound.op::<Open>(&args)
    },
    NFS4_OK
)]
#[case::looked_up_anew(|compound: Compound| walk(compound, &["export", "file"]), NFS4ERR_BAD_STATEID)]
#[case::saved_before(
    |compound: Compound| walk(compound, &["export", "file"]).op::<SaveFh>(&()).op::<RestoreFh>(&()),
    NFS4ERR_BAD_STATEID
)]
#[case::closed(close, NFS4ERR_BAD_STATEID)]
#[case::lock_freed(
    |compound: Compound| compound
        .op::<Lock>(&lock_under(CURRENT, "locker", WriteLt, (0, 1)))
        .op::<Locku>(&unlock(CURRENT, (0, 1)))
        .op::<FreeStateid>(&FreeStateid4Args { fsa_stateid: CURRENT }),
    NFS4ERR_BAD_STATEID
)]
#[tokio::test]
async fn after(#[case] step: Step, #[case] expected: Status) {
    let mut world = World::new().await;
    let compound = read(step(open(world.session.compound())));
    let reply = world.session.run(compound).await;
    assert_eq!(reply.status, expected);
    let is_last = reply.results.last().map(|result| result.opnum) == Some(OP_READ);
    assert!(is_last, "the READ, and not a step before");
    world.stop().await;
}

/// Figure 6, and the other operations that take a stateid.
#[rstest]
#[case::read(read)]
#[case::write(write)]
#[case::close(close)]
#[case::open_downgrade(downgrade)]
#[case::setattr(|compound: Compound| compound.op::<SetAttr>(&Setattr4Args { stateid: CURRENT, obj_attributes: size_attr(3) }))]
#[case::lock(|compound: Compound| compound.op::<Lock>(&lock_under(CURRENT, "locker", WriteLt, (0, 1))))]
#[case::lock_more(|compound: Compound| compound.op::<Lock>(&lock_more(CURRENT, WriteLt, (0, 1))))]
#[case::locku(|compound: Compound| compound.op::<Locku>(&unlock(CURRENT, (0, 1))))]
#[case::free_stateid(|compound: Compound| compound.op::<FreeStateid>(&FreeStateid4Args { fsa_stateid: CURRENT }))]
#[tokio::test]
async fn there_is_none_at_the_beginning(#[case] step: Step) {
    let mut world = World::new().await;
    let start = put(world.session.compound(), &world.file.fh);
    assert_eq!(world.session.run(step(start)).await.status, NFS4ERR_BAD_STATEID);
    world.stop().await;
}

/// A compound begins without the current stateid of the one before.
#[tokio::test]
async fn it_ends_with_its_compound() {
    let mut world = World::new().await;
    let compound = open(world.session.compound());
    world.session.run(compound).await.ok();
    let compound = read(put(world.session.compound(), &world.file.fh));
    assert_eq!(world.session.run(compound).await.status, NFS4ERR_BAD_STATEID);
    world.stop().await;
}

/// "The stateid passed in place of the special value has its seqid value set to zero, except when the current stateid is used by CLOSE or
/// OPEN_DOWNGRADE": an open that was upgraded since it was saved is used as it is now, and not closed.
#[rstest]
#[case::read(read, NFS4_OK)]
#[case::write(write, NFS4_OK)]
#[case::lock(|compound: Compound| compound.op::<Lock>(&lock_under(CURRENT, "locker", WriteLt, (0, 1))), NFS4_OK)]
#[case::close(close, NFS4ERR_OLD_STATEID)]
#[case::open_downgrade(downgrade, NFS4ERR_OLD_STATEID)]
#[tokio::test]
async fn the_seqid_counts_in_some(#[case] step: Step, #[case] expected: Status) {
    let mut world = World::new().await;
    let saved = open(world.session.compound()).op::<SaveFh>(&());
    let upgraded = open(saved).op::<RestoreFh>(&());
    let reply = world.session.run(step(upgraded)).await;
    assert_eq!(reply.get_nth::<Open>(1).stateid.seqid, 2);
    assert_eq!(reply.status, expected);
    world.stop().await;
}

/// SAVEFH keeps the stateid with the filehandle: after RESTOREFH both are the old ones, whatever was opened meanwhile.
#[tokio::test]
async fn filehandle_and_stateid_are_saved_together() {
    let mut world = World::new().await;
    let args = open_args("another file", READ, 0, "opener", dittofs_tests::unchecked());
    let saved = open(world.session.compound()).op::<SaveFh>(&());
    let compound = walk(saved, &["export"]).op::<Open>(&args);
    let compound = write(compound.op::<RestoreFh>(&()));
    world.session.run(compound).await.ok();
    assert_eq!(world.content().await[0], b'x', "the first file, which is open for writing");
    let saved = walk(world.session.compound(), &["export"]).op::<SaveFh>(&()).op::<Open>(&args);
    let reply = world.session.run(write(saved)).await;
    assert_eq!(reply.status, NFS4ERR_OPENMODE, "the second file, which is not");
    world.stop().await;
}

/// The current stateid goes with its filehandle alone: LOOKUP of another file leaves none.
#[tokio::test]
async fn it_is_of_the_current_filehandle() {
    let mut world = World::new().await;
    world.session.open("another file").await;
    let compound = walk(open(world.session.compound()), &["export"]).op::<Lookup>(&named("another file"));
    assert_eq!(world.session.run(read(compound)).await.status, NFS4ERR_BAD_STATEID);
    world.stop().await;
}
