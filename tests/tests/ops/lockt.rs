//! LOCKT. Which locks conflict is in `lock_conflicts`.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 18.11 and 18.10.
//!
//! Not reached: ACCESS (whoever has the filehandle may ask), BAD_RANGE (offsets have 64 bits), EXPIRED (there is no stateid), FHEXPIRED, MOVED
//! (handles persist, nothing migrates), GRACE (there is no grace period), LOCK_RANGE (locks are those of POSIX), ROFS (nothing is
//! changed), WRONG_CRED (no state protection), DELAY, DEADSESSION and SERVERFAULT. LEASE_MOVED, RESOURCE and STALE_CLIENTID are those of
//! minor version 0. REP_TOO_BIG is in `lock`.

use dittofs_framework::proto::{
    ClientId, Minor, NFS4_OK, NFS4ERR_DENIED, NFS4ERR_INVAL, NFS4ERR_STALE, Status,
};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::lock::NfsLockType4::{self, ReadLt, ReadwLt, WriteLt, WritewLt};
use dittofs_ops::lockt::{Lockt, Lockt4Args};
use dittofs_tests::{LockRange, TO_EOF, lock_test, walk};
use rstest::rstest;

use crate::common::{Object, World, put};

/// "If no lock is held, nothing other than NFS4_OK is returned." The file need not be open (section 18.11.4).
#[rstest]
#[tokio::test]
async fn nothing_is_in_the_way(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[values(ReadLt, WriteLt, ReadwLt, WritewLt)] locktype: NfsLockType4,
) {
    let mut world = World::of(minor).await;
    world.close().await;
    let fh = world.file.fh.clone();
    let args = lock_test("locker", locktype, (0, TO_EOF));
    let compound = put(world.session.compound(), &fh).op::<Lockt>(&args).op::<GetFh>(&());
    assert_eq!(world.session.run(compound).await.ok().get::<GetFh>().object, fh);
    world.stop().await;
}

/// "Lock types READ_LT and READW_LT are processed in the same way"; so are WRITE_LT and WRITEW_LT.
#[rstest]
#[case::read_read(ReadLt, ReadLt, NFS4_OK)]
#[case::read_waiting_read(ReadLt, ReadwLt, NFS4_OK)]
#[case::read_write(ReadLt, WriteLt, NFS4ERR_DENIED)]
#[case::read_waiting_write(ReadLt, WritewLt, NFS4ERR_DENIED)]
#[case::write_read(WriteLt, ReadLt, NFS4ERR_DENIED)]
#[case::write_waiting_read(WriteLt, ReadwLt, NFS4ERR_DENIED)]
#[case::write_write(WriteLt, WriteLt, NFS4ERR_DENIED)]
#[case::write_waiting_write(WriteLt, WritewLt, NFS4ERR_DENIED)]
#[tokio::test]
async fn kinds_of_locks(#[case] held: NfsLockType4, #[case] asked: NfsLockType4, #[case] expected: Status) {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.session.lock(&file, "locker", held, (0, 10)).await;
    let args = lock_test("other locker", asked, (9, 1));
    assert_eq!(world.run::<Lockt>(&args).await.err().unwrap_or(NFS4_OK), expected);
    world.stop().await;
}

/// The test "SHOULD exclude locks for the current lock-owner", whose clientid is the session's: "the clientid field MUST be ignored".
#[rstest]
#[case::zero(ClientId(0))]
#[case::all_ones(ClientId(u64::MAX))]
#[tokio::test]
async fn the_owners_own_locks_do_not_count(#[case] clientid: ClientId) {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.session.lock(&file, "locker", WriteLt, (0, 10)).await;
    let mut args = lock_test("locker", WriteLt, (0, TO_EOF));
    args.owner.clientid = clientid;
    assert_eq!(world.run::<Lockt>(&args).await, Ok(()));
    let mut other = world.client("other client").await;
    args.owner.clientid = world.session.clientid;
    assert_eq!(other.run_on::<Lockt>(&file.fh, &args).await, Err(NFS4ERR_DENIED));
    world.stop().await;
}

#[rstest]
#[case::whole_file((0, TO_EOF), NFS4_OK)]
#[case::last_offset_to_the_end((u64::MAX, TO_EOF), NFS4_OK)]
#[case::sum_at_the_limit((1, u64::MAX - 1), NFS4_OK)]
#[case::empty((0, 0), NFS4ERR_INVAL)]
#[case::empty_at_the_end((u64::MAX, 0), NFS4ERR_INVAL)]
#[case::sum_over_the_limit((2, u64::MAX - 1), NFS4ERR_INVAL)]
#[case::last_offset((u64::MAX, 1), NFS4ERR_INVAL)]
#[tokio::test]
async fn a_range_is(#[case] range: LockRange, #[case] expected: Status) {
    let mut world = World::new().await;
    let args = lock_test("locker", WriteLt, range);
    assert_eq!(world.run::<Lockt>(&args).await.err().unwrap_or(NFS4_OK), expected);
    world.stop().await;
}

#[rstest]
#[case::dir(Object::Dir)]
#[case::symlink(Object::Symlink)]
#[case::fifo(Object::Fifo)]
#[case::socket(Object::Socket)]
#[case::block(Object::Block)]
#[case::char(Object::Char)]
#[tokio::test]
async fn what_is_no_file_is_refused(#[case] object: Object) {
    let mut world = World::new().await;
    let fh = world.object(object).await;
    let args = lock_test("locker", WriteLt, (0, 1));
    assert_eq!(world.run_on::<Lockt>(&fh, &args).await, Err(object.data_status(Minor::V2)));
    world.stop().await;
}

#[tokio::test]
async fn the_pseudo_root_is_a_directory() {
    let mut world = World::new().await;
    let compound = walk(world.session.compound(), &[]).op::<Lockt>(&lock_test("locker", WriteLt, (0, 1)));
    assert_eq!(world.session.run(compound).await.status, Object::Dir.data_status(Minor::V2));
    world.stop().await;
}

#[tokio::test]
async fn a_file_that_is_gone_is_stale() {
    let mut world = World::new().await;
    world.close().await;
    world.remove("file").await;
    assert_eq!(world.run::<Lockt>(&lock_test("locker", WriteLt, (0, 1))).await, Err(NFS4ERR_STALE));
    world.stop().await;
}

#[tokio::test]
async fn arguments_are_checked() {
    let mut world = World::new().await;
    let args: Lockt4Args = lock_test("locker", WriteLt, (0, 1));
    world.refuses_without_handle_and_cut_short::<Lockt>(&args).await;
    // locktype, and the length of the lock-owner.
    for (at, word) in [(0, 0), (0, 5), (28, 1025), (28, u32::MAX)] {
        world.refuses_word::<Lockt>(&args, at, word).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_user_who_may_not_open_the_file_may_ask() {
    let mut world = World::new().await;
    world.chmod(0o600).await;
    world.session.act_as(1000, 1000, &[]);
    assert_eq!(world.run::<Lockt>(&lock_test("locker", WriteLt, (0, 1))).await, Ok(()));
    world.stop().await;
}
