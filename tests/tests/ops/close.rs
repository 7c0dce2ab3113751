//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 18.2, 8.2.3, 8.2.4 and 9.8.
//!
//! Not reached: ADMIN_REVOKED, EXPIRED (there is no revoked state: what expires goes with its sessions), LOCKS_HELD (locks are freed),
//! FHEXPIRED, MOVED (handles persist, nothing migrates), STALE (a file that is open is there), WRONG_CRED (no state protection), DELAY,
//! DEADSESSION and SERVERFAULT. BAD_SEQID, INVAL, ISDIR, LEASE_MOVED, RESOURCE and STALE_STATEID are those of minor version 0; the
//! limits of sessions are in the tests of `wire`.

use dittofs_framework::proto::{Minor, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_SHARE_DENIED, Stateid};
use dittofs_framework::state::ShareDeny;
use dittofs_ops::close::{Close, Close4Args};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::lock::NfsLockType4::WriteLt;
use dittofs_ops::open::{Open, OpenFlag4};
use dittofs_ops::test_stateid::{TestStateid, TestStateid4Args};
use dittofs_tests::{BOTH, READ, TO_EOF, WRITE, open_args, walk};
use rstest::rstest;

use crate::common::{Bogus, NoOpen, Object, World, put};

fn args(open_stateid: Stateid) -> Close4Args {
    Close4Args { seqid: 0, open_stateid }
}

/// "The server SHOULD return the invalid special stateid"; "the current filehandle retains its value".
#[rstest]
#[case::v4_1(Minor::V1)]
#[case::v4_2(Minor::V2)]
#[tokio::test]
async fn an_open_is_closed_once(#[case] minor: Minor) {
    let mut world = World::of(minor).await;
    let fh = world.file.fh.clone();
    let compound = put(world.session.compound(), &fh).op::<Close>(&args(world.file.stateid)).op::<GetFh>(&());
    let reply = world.session.run(compound).await.ok();
    assert_eq!(reply.get::<Close>(), Stateid::INVALID);
    assert_eq!(reply.get::<GetFh>().object, fh);
    assert_eq!(world.run::<Close>(&args(world.file.stateid)).await, Err(NFS4ERR_BAD_STATEID));
    world.stop().await;
}

/// "The argument seqid MAY have any value, and the server MUST ignore seqid." That of the stateid may be 0 for "the most recent".
#[rstest]
#[case::seqid(u32::MAX, 1)]
#[case::most_recent(0, 0)]
#[tokio::test]
async fn seqids_are(#[case] seqid: u32, #[case] of_stateid: u32) {
    let mut world = World::new().await;
    let open_stateid = Stateid { seqid: of_stateid, ..world.file.stateid };
    assert_eq!(world.run::<Close>(&Close4Args { seqid, open_stateid }).await, Ok(Stateid::INVALID));
    world.stop().await;
}

#[rstest]
#[case::garbage(Bogus::Garbage)]
#[case::invalid(Bogus::Invalid)]
#[case::future(Bogus::Future)]
#[case::old(Bogus::Old)]
#[case::other_file(Bogus::OtherFile)]
#[case::other_client(Bogus::OtherClient)]
#[case::closed(Bogus::Closed)]
#[case::no_current(Bogus::NoCurrent)]
#[tokio::test]
async fn a_stateid_is_refused(#[case] bogus: Bogus) {
    let mut world = World::new().await;
    let stateid = world.stateid(bogus).await;
    assert_eq!(world.run::<Close>(&args(stateid)).await, Err(bogus.status()));
    world.stop().await;
}

/// "A stateid that does not represent an open is passed to CLOSE": NFS4ERR_BAD_STATEID, and what it is of stays.
#[rstest]
#[case::anonymous(NoOpen::Anonymous)]
#[case::read_bypass(NoOpen::ReadBypass)]
#[case::locks(NoOpen::Locks)]
#[tokio::test]
async fn what_is_no_open_is_refused(#[case] which: NoOpen) {
    let mut world = World::new().await;
    let stateid = world.no_open(which).await;
    assert_eq!(world.run::<Close>(&args(stateid)).await, Err(NFS4ERR_BAD_STATEID));
    assert_eq!(world.run::<Close>(&args(world.file.stateid)).await, Ok(Stateid::INVALID));
    world.stop().await;
}

/// The stateid is not of the current filehandle, whatever that is.
#[rstest]
#[case::dir(Object::Dir)]
#[case::symlink(Object::Symlink)]
#[case::fifo(Object::Fifo)]
#[case::socket(Object::Socket)]
#[case::block(Object::Block)]
#[case::char(Object::Char)]
#[tokio::test]
async fn the_filehandle_of_another_object_is_refused(#[case] object: Object) {
    let mut world = World::new().await;
    let fh = world.object(object).await;
    let stateid = world.file.stateid;
    assert_eq!(world.run_on::<Close>(&fh, &args(stateid)).await, Err(NFS4ERR_BAD_STATEID));
    let compound = walk(world.session.compound(), &[]).op::<Close>(&args(stateid));
    assert_eq!(world.session.run(compound).await.status, NFS4ERR_BAD_STATEID, "the pseudo root");
    world.stop().await;
}

#[tokio::test]
async fn arguments_are_checked() {
    let mut world = World::new().await;
    world.refuses_without_handle_and_cut_short::<Close>(&args(world.file.stateid)).await;
    world.close().await;
    world.stop().await;
}

/// "The share reservations released as a result of this CLOSE are only those associated with the supplied stateid."
#[tokio::test]
async fn the_share_reservation_goes_and_others_stay() {
    let mut world = World::new().await;
    let fh = world.file.fh.clone();
    world.close().await;
    let denies_read = world.session.open_as("file", WRITE, ShareDeny::READ.bits(), "one").await;
    let denies_write = world.session.open_as("file", WRITE, 0, "two").await;
    let mut other = world.client("other client").await;
    let open = open_args("file", READ, 0, "owner", OpenFlag4::NoCreate(()));
    let compound = walk(other.compound(), &["export"]).op::<Open>(&open);
    assert_eq!(other.run(compound.clone()).await.status, NFS4ERR_SHARE_DENIED);
    world.session.close(&denies_read).await;
    assert_eq!(other.run(compound).await.status, NFS4_OK);
    let statuses = TestStateid4Args { ts_stateids: vec![denies_read.stateid, denies_write.stateid] };
    let tested = world.run_on::<TestStateid>(&fh, &statuses).await.unwrap();
    assert_eq!(tested.tsr_status_codes, [NFS4ERR_BAD_STATEID, NFS4_OK]);
    world.stop().await;
}

/// "The server MAY free all outstanding locks on CLOSE": this one does, and their stateid is gone.
#[tokio::test]
async fn locks_go_with_their_open() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let lock = world.session.lock(&file, "locker", WriteLt, (0, TO_EOF)).await;
    world.close().await;
    let tested = world.run::<TestStateid>(&TestStateid4Args { ts_stateids: vec![lock] }).await.unwrap();
    assert_eq!(tested.tsr_status_codes, [NFS4ERR_BAD_STATEID]);
    let mut other = world.client("other client").await;
    let theirs = other.open_as("file", BOTH, 0, "owner").await;
    other.lock(&theirs, "locker", WriteLt, (0, TO_EOF)).await;
    world.stop().await;
}

/// "The server MAY require" the principal of the OPEN: this one does not, for its credentials may be gone.
#[tokio::test]
async fn another_user_of_the_client_closes() {
    let mut world = World::new().await;
    world.chmod(0o600).await;
    world.session.act_as(1000, 1000, &[]);
    assert_eq!(world.run::<Close>(&args(world.file.stateid)).await, Ok(Stateid::INVALID));
    world.stop().await;
}
