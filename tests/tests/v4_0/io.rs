//! Origin: the statements of the RFC, one by one.
//! RFC: 7530 sections 9.1.4.3 to 9.1.4.6, 16.23, 16.32 and 16.36.

use dittofs_framework::proto::{
    NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_INVAL, NFS4ERR_ISDIR, NFS4ERR_LOCKED, NFS4ERR_OLD_STATEID,
    NFS4ERR_OPENMODE, NFS4ERR_STALE_STATEID, NfsFh4, Stateid, Status, component,
};
use dittofs_framework::state::ShareDeny;
use dittofs_framework::xdr::Opaque;
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::io::StableHow4;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_ops::write::{Write, Write4Args};
use dittofs_tests::{BOTH, ClientV4_0, READ, WRITE, mode_attr, size_attr, walk};
use rstest::rstest;

use crate::world::{World, Wrong, status};

async fn read(client: &mut ClientV4_0, fh: &NfsFh4, stateid: Stateid) -> Status {
    status(&client.run_on::<Read>(fh, &Read4Args { stateid, offset: 0, count: 4 }).await)
}

async fn write(client: &mut ClientV4_0, fh: &NfsFh4, stateid: Stateid) -> Status {
    let data = Opaque::from(&b"data"[..]);
    let args = Write4Args { stateid, offset: 0, stable: StableHow4::FileSync, data };
    status(&client.run_on::<Write>(fh, &args).await)
}

async fn truncate(client: &mut ClientV4_0, fh: &NfsFh4, stateid: Stateid) -> Status {
    let args = Setattr4Args { stateid, obj_attributes: size_attr(1) };
    status(&client.run_on::<SetAttr>(fh, &args).await)
}

#[rstest]
#[case::anonymous(Wrong::Anonymous, NFS4_OK)]
#[case::read_bypass(Wrong::ReadBypass, NFS4_OK)]
#[case::stale(Wrong::Stale, NFS4ERR_STALE_STATEID)]
#[case::garbage(Wrong::Garbage, NFS4ERR_BAD_STATEID)]
#[case::old(Wrong::Old, NFS4ERR_OLD_STATEID)]
#[case::future(Wrong::Future, NFS4ERR_BAD_STATEID)]
#[tokio::test]
async fn a_stateid_is(#[case] wrong: Wrong, #[case] want: Status) {
    let mut world = World::new().await;
    let (fh, stateid) = (world.file.fh.clone(), world.wrong(wrong));
    assert_eq!(read(&mut world.client, &fh, stateid).await, want);
    assert_eq!(write(&mut world.client, &fh, stateid).await, want);
    assert_eq!(truncate(&mut world.client, &fh, stateid).await, want);
    world.stop().await;
}

/// The stateid that means "the current one" in later minor versions is none here.
#[tokio::test]
async fn there_is_no_current_stateid() {
    let mut world = World::new().await;
    let fh = world.file.fh.clone();
    assert_eq!(read(&mut world.client, &fh, Stateid::CURRENT).await, NFS4ERR_BAD_STATEID);
    assert_eq!(write(&mut world.client, &fh, Stateid::INVALID).await, NFS4ERR_BAD_STATEID);
    world.stop().await;
}

#[rstest]
#[case::open_to_read(READ, NFS4_OK, NFS4ERR_OPENMODE)]
#[case::open_to_write(WRITE, NFS4_OK, NFS4_OK)]
#[case::open_for_both(BOTH, NFS4_OK, NFS4_OK)]
#[tokio::test]
async fn an_open_allows(#[case] access: u32, #[case] reading: Status, #[case] writing: Status) {
    let mut world = World::new().await;
    let file = world.client.open_as("modes", access, 0, "opener").await;
    assert_eq!(read(&mut world.client, &file.fh, file.stateid).await, reading);
    assert_eq!(write(&mut world.client, &file.fh, file.stateid).await, writing);
    assert_eq!(truncate(&mut world.client, &file.fh, file.stateid).await, writing);
    world.stop().await;
}

/// "When an anonymous stateid value is used, and an existing open denies the form of access requested, then access will be
/// denied"; the READ bypass stateid passes it over.
#[tokio::test]
async fn share_reservations_hold_for_special_stateids() {
    let mut world = World::new().await;
    let denied = world.client.open_as("denied", BOTH, ShareDeny::BOTH.bits(), "opener").await;
    let mut other = world.other().await;
    assert_eq!(read(&mut other, &denied.fh, Stateid::ANONYMOUS).await, NFS4ERR_LOCKED);
    assert_eq!(read(&mut other, &denied.fh, Stateid::READ_BYPASS).await, NFS4_OK);
    assert_eq!(write(&mut other, &denied.fh, Stateid::ANONYMOUS).await, NFS4ERR_LOCKED);
    assert_eq!(write(&mut other, &denied.fh, Stateid::READ_BYPASS).await, NFS4ERR_LOCKED);
    assert_eq!(truncate(&mut other, &denied.fh, Stateid::ANONYMOUS).await, NFS4ERR_LOCKED);
    world.stop().await;
}

/// Minor version 0 has NFS4ERR_INVAL for what is neither a file nor a directory.
#[rstest]
#[case::dir(CreateType4::Dir, NFS4ERR_ISDIR)]
#[case::symlink(CreateType4::Link(component("file")), NFS4ERR_INVAL)]
#[case::fifo(CreateType4::Fifo, NFS4ERR_INVAL)]
#[tokio::test]
async fn what_is_no_file(#[case] what: CreateType4, #[case] want: Status) {
    let mut world = World::new().await;
    let args = Create4Args { objtype: what, objname: component("object"), createattrs: mode_attr(0o755) };
    let compound = walk(world.client.compound(), &["export"]).op::<Create>(&args).op::<GetFh>(&());
    let fh = world.client.run(compound).await.ok().get::<GetFh>().object;
    assert_eq!(read(&mut world.client, &fh, Stateid::ANONYMOUS).await, want);
    assert_eq!(write(&mut world.client, &fh, Stateid::ANONYMOUS).await, want);
    assert_eq!(truncate(&mut world.client, &fh, Stateid::ANONYMOUS).await, want);
    world.stop().await;
}
