//! LOCKU. What becomes of the locks is in `lock_conflicts`.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 18.12, 8.2.3, 8.2.4 and 9.4.
//!
//! Not reached: ACCESS (who speaks for the client may unlock), ADMIN_REVOKED, EXPIRED (there is no revoked state), BAD_RANGE (offsets have
//! 64 bits), FHEXPIRED, MOVED (handles persist, nothing migrates), WRONG_CRED (no state protection), DELAY, DEADSESSION and SERVERFAULT.
//! BAD_SEQID, GRACE, LEASE_MOVED, RESOURCE and STALE_STATEID are those of minor version 0.

use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    Minor, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_INVAL, NFS4ERR_ISDIR, NFS4ERR_LOCK_RANGE, NFS4ERR_STALE,
    Stateid, Status,
};
use dittofs_framework::state::StateLimits;
use dittofs_ops::getfh::GetFh;
use dittofs_ops::lock::Lock;
use dittofs_ops::lock::NfsLockType4::{self, ReadLt, ReadwLt, WriteLt, WritewLt};
use dittofs_ops::locku::{Locku, Locku4Args};
use dittofs_tests::{LockRange, SessionOptions, TO_EOF, TestServerOptions, lock_more, unlock, walk};
use rstest::rstest;

use crate::common::{Bogus, Object, World, put};

/// A world whose file has bytes 10 to 19 locked, and the lock stateid.
async fn locked(minor: Minor) -> (World, Stateid) {
    let mut world = World::of(minor).await;
    let file = world.file.clone();
    let lock = world.session.lock(&file, "locker", WriteLt, (10, 10)).await;
    (world, lock)
}

/// "The server MUST accept any legal value for locktype"; the seqid "MAY be any value and the server MUST ignore it".
#[rstest]
#[tokio::test]
async fn any_locktype_and_seqid_will_do(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[values(ReadLt, WriteLt, ReadwLt, WritewLt)] locktype: NfsLockType4,
) {
    let (mut world, lock) = locked(minor).await;
    let fh = world.file.fh.clone();
    let args = Locku4Args { locktype, seqid: u32::MAX, ..unlock(lock, (10, 10)) };
    let compound = put(world.session.compound(), &fh).op::<Locku>(&args).op::<GetFh>(&());
    let reply = world.session.run(compound).await.ok();
    assert_eq!(reply.get::<Locku>(), Stateid { seqid: 2, ..lock });
    assert_eq!(reply.get::<GetFh>().object, fh, "the current filehandle retains its value");
    world.stop().await;
}

/// Ranges need not be those of locks: POSIX semantics. The stateid stays valid without locks (section 8.2.4).
#[rstest]
#[case::exact((10, 10))]
#[case::part((12, 2))]
#[case::more((0, TO_EOF))]
#[case::overlap((15, 10))]
#[case::nothing_there((30, 10))]
#[case::last_offset((u64::MAX, TO_EOF))]
#[tokio::test]
async fn any_range_will_do(#[case] range: LockRange) {
    let (mut world, lock) = locked(Minor::V2).await;
    let after = world.run::<Locku>(&unlock(lock, range)).await.unwrap();
    assert_eq!(after.other, lock.other);
    let again = world.run::<Locku>(&unlock(after, range)).await.unwrap();
    world.run::<Lock>(&lock_more(again, WriteLt, range)).await.unwrap();
    world.stop().await;
}

#[rstest]
#[case::empty((0, 0), NFS4ERR_INVAL)]
#[case::empty_at_the_end((u64::MAX, 0), NFS4ERR_INVAL)]
#[case::sum_over_the_limit((2, u64::MAX - 1), NFS4ERR_INVAL)]
#[case::last_offset((u64::MAX, 1), NFS4ERR_INVAL)]
#[case::sum_at_the_limit((1, u64::MAX - 1), NFS4_OK)]
#[tokio::test]
async fn a_range_is(#[case] range: LockRange, #[case] expected: Status) {
    let (mut world, lock) = locked(Minor::V2).await;
    assert_eq!(world.run::<Locku>(&unlock(lock, range)).await.err().unwrap_or(NFS4_OK), expected);
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
    let stateid = world.lock_stateid(bogus).await;
    assert_eq!(world.run::<Locku>(&unlock(stateid, (0, 1))).await, Err(bogus.status()));
    world.stop().await;
}

/// "A stateid that doesn't represent byte-range locks is passed to LOCKU": NFS4ERR_BAD_STATEID.
#[tokio::test]
async fn what_is_no_lock_is_refused() {
    let mut world = World::new().await;
    for stateid in [world.file.stateid, Stateid::ANONYMOUS, Stateid::READ_BYPASS] {
        assert_eq!(world.run::<Locku>(&unlock(stateid, (0, 1))).await, Err(NFS4ERR_BAD_STATEID));
    }
    world.stop().await;
}

/// Section 18.12.3 has a status for each type, but section 15.2 gives LOCKU neither NFS4ERR_SYMLINK nor NFS4ERR_WRONG_TYPE: there it is the
/// stateid that is not of the current filehandle.
#[rstest]
#[case::dir(Object::Dir, NFS4ERR_ISDIR)]
#[case::symlink(Object::Symlink, NFS4ERR_BAD_STATEID)]
#[case::fifo(Object::Fifo, NFS4ERR_BAD_STATEID)]
#[case::socket(Object::Socket, NFS4ERR_BAD_STATEID)]
#[case::block(Object::Block, NFS4ERR_BAD_STATEID)]
#[case::char(Object::Char, NFS4ERR_BAD_STATEID)]
#[tokio::test]
async fn what_is_no_file_is_refused(#[case] object: Object, #[case] expected: Status) {
    let (mut world, lock) = locked(Minor::V2).await;
    let fh = world.object(object).await;
    assert_eq!(world.run_on::<Locku>(&fh, &unlock(lock, (10, 10))).await, Err(expected));
    world.stop().await;
}

#[tokio::test]
async fn the_pseudo_root_is_a_directory() {
    let (mut world, lock) = locked(Minor::V2).await;
    let compound = walk(world.session.compound(), &[]).op::<Locku>(&unlock(lock, (10, 10)));
    assert_eq!(world.session.run(compound).await.status, NFS4ERR_ISDIR);
    world.stop().await;
}

#[tokio::test]
async fn a_file_that_is_gone_is_stale() {
    let (mut world, lock) = locked(Minor::V2).await;
    world.close().await;
    world.remove("file").await;
    assert_eq!(world.run::<Locku>(&unlock(lock, (10, 10))).await, Err(NFS4ERR_STALE));
    world.stop().await;
}

#[tokio::test]
async fn arguments_are_checked() {
    let (mut world, lock) = locked(Minor::V2).await;
    let args = unlock(lock, (10, 10));
    world.refuses_without_handle_and_cut_short::<Locku>(&args).await;
    for locktype in [0, 5, u32::MAX] {
        world.refuses_word::<Locku>(&args, 0, locktype).await;
    }
    world.stop().await;
}

/// NFS4ERR_LOCK_RANGE where the lock cannot be split for want of room, which the client can help by unlocking all of it.
#[tokio::test]
async fn a_lock_that_cannot_be_split_is_unlocked_as_a_whole() {
    let state = StateLimits { locks_per_file: 1, ..StateLimits::default() };
    let limits = Limits { state, ..Limits::default() };
    let server = TestServerOptions { limits, ..TestServerOptions::default() };
    let mut world = World::with(server, SessionOptions::default()).await;
    let file = world.file.clone();
    let lock = world.session.lock(&file, "locker", WriteLt, (0, 10)).await;
    assert_eq!(world.run::<Locku>(&unlock(lock, (4, 2))).await, Err(NFS4ERR_LOCK_RANGE));
    let after = world.session.unlock(&file.fh, lock, (0, 10)).await;
    assert_eq!(after.seqid, 2);
    world.stop().await;
}

/// "The server MAY require" the principal of the LOCK: this one does not, for its credentials may be gone.
#[tokio::test]
async fn another_user_of_the_client_unlocks() {
    let (mut world, lock) = locked(Minor::V2).await;
    world.chmod(0o600).await;
    world.session.act_as(1000, 1000, &[]);
    world.run::<Locku>(&unlock(lock, (10, 10))).await.unwrap();
    world.stop().await;
}
