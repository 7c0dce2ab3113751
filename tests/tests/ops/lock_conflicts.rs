//! Which byte-range locks stand in each other's way, between clients and between owners of one client.
//!
//! Origin: the statements of the RFC, one by one, and fcntl(2) of POSIX where it refers to that.
//! RFC: 8881 sections 18.10.3, 9.2, 9.3, 9.5 and 9.8.

use dittofs_framework::proto::{NFS4_OK, NFS4ERR_DENIED, NFS4ERR_LOCKED, Stateid, Status};
use dittofs_framework::state::ShareDeny;
use dittofs_framework::xdr::Opaque;
use dittofs_ops::lock::Lock;
use dittofs_ops::lock::NfsLockType4::{self, ReadLt, ReadwLt, WriteLt, WritewLt};
use dittofs_ops::lockt::Lockt;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_tests::{BOTH, LockRange, OpenFile, Session, TO_EOF, lock_more, lock_test, lock_under};
use rstest::rstest;

use crate::common::{CONTENT, World};

/// The file of the world, opened by another client.
async fn other_client(world: &World) -> (Session, OpenFile) {
    let mut other = world.client("other client").await;
    let file = other.open("file").await;
    (other, file)
}

/// What LOCK under an open answers.
async fn try_lock(
    session: &mut Session,
    file: &OpenFile,
    locker: &str,
    locktype: NfsLockType4,
    range: LockRange,
) -> Status {
    let args = lock_under(file.stateid, locker, locktype, range);
    session.run_on::<Lock>(&file.fh, &args).await.err().unwrap_or(NFS4_OK)
}

#[rstest]
#[case::read_read(ReadLt, ReadLt, NFS4_OK)]
#[case::read_waiting_read(ReadLt, ReadwLt, NFS4_OK)]
#[case::read_write(ReadLt, WriteLt, NFS4ERR_DENIED)]
#[case::read_waiting_write(ReadLt, WritewLt, NFS4ERR_DENIED)]
#[case::write_read(WriteLt, ReadLt, NFS4ERR_DENIED)]
#[case::write_write(WriteLt, WriteLt, NFS4ERR_DENIED)]
#[case::waiting_write_waiting_read(WritewLt, ReadwLt, NFS4ERR_DENIED)]
#[tokio::test]
async fn kinds_of_locks(#[case] held: NfsLockType4, #[case] asked: NfsLockType4, #[case] expected: Status) {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.session.lock(&file, "locker", held, (0, 10)).await;
    let same_client = try_lock(&mut world.session, &file, "other locker", asked, (0, 10)).await;
    assert_eq!(same_client, expected, "another owner of the client");
    let (mut other, theirs) = other_client(&world).await;
    let other_client = try_lock(&mut other, &theirs, "locker", asked, (0, 10)).await;
    assert_eq!(other_client, expected, "an owner of that name of another client");
    world.stop().await;
}

#[rstest]
#[case::before((10, 10), (0, 10), NFS4_OK)]
#[case::one_byte_in((10, 10), (0, 11), NFS4ERR_DENIED)]
#[case::last_byte((10, 10), (19, 1), NFS4ERR_DENIED)]
#[case::behind((10, 10), (20, 1), NFS4_OK)]
#[case::inside((10, 10), (14, 2), NFS4ERR_DENIED)]
#[case::around((10, 10), (0, 100), NFS4ERR_DENIED)]
#[case::to_the_end_across((10, 10), (5, TO_EOF), NFS4ERR_DENIED)]
#[case::to_the_end_behind((10, 10), (20, TO_EOF), NFS4_OK)]
#[case::before_one_to_the_end((100, TO_EOF), (99, 1), NFS4_OK)]
#[case::start_of_one_to_the_end((100, TO_EOF), (100, 1), NFS4ERR_DENIED)]
#[case::far_in_one_to_the_end((100, TO_EOF), (u64::MAX - 1, 1), NFS4ERR_DENIED)]
#[case::end_of_one_to_the_end((100, TO_EOF), (u64::MAX, TO_EOF), NFS4ERR_DENIED)]
#[case::both_to_the_end((u64::MAX, TO_EOF), (u64::MAX, TO_EOF), NFS4ERR_DENIED)]
#[case::up_to_the_last_offset((u64::MAX, TO_EOF), (0, u64::MAX - 1), NFS4_OK)]
#[tokio::test]
async fn ranges(#[case] held: LockRange, #[case] asked: LockRange, #[case] expected: Status) {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.session.lock(&file, "locker", WriteLt, held).await;
    let (mut other, theirs) = other_client(&world).await;
    let test = lock_test("locker", WriteLt, asked);
    let tested = other.run_on::<Lockt>(&theirs.fh, &test).await.err().unwrap_or(NFS4_OK);
    assert_eq!(tested, expected, "LOCKT");
    assert_eq!(try_lock(&mut other, &theirs, "locker", WriteLt, asked).await, expected, "LOCK");
    world.stop().await;
}

/// "The owner, offset, and length of a conflicting lock are returned", with "the actual client associated with the conflicting lock".
#[rstest]
#[case::write(WriteLt, WriteLt, (10, 10))]
#[case::read(ReadLt, ReadLt, (10, 10))]
#[case::waiting_write(WritewLt, WriteLt, (10, 10))]
#[case::waiting_read(ReadwLt, ReadLt, (10, 10))]
#[case::to_the_end(WriteLt, WriteLt, (10, TO_EOF))]
#[case::last_offset(ReadLt, ReadLt, (u64::MAX, TO_EOF))]
#[tokio::test]
async fn a_denial_says_what_is_in_the_way(
    #[case] held: NfsLockType4,
    #[case] told: NfsLockType4,
    #[case] (offset, length): LockRange,
) {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.session.lock(&file, "locker", held, (offset, length)).await;
    let (mut other, theirs) = other_client(&world).await;
    let asked = (5, TO_EOF);
    let by_lock =
        other.denied::<Lock>(&theirs.fh, &lock_under(theirs.stateid, "asker", WriteLt, asked)).await;
    let by_test = other.denied::<Lockt>(&theirs.fh, &lock_test("asker", WriteLt, asked)).await;
    for denied in [by_lock, by_test] {
        assert_eq!((denied.offset, denied.length), (offset, length));
        assert_eq!(denied.locktype, told);
        assert_eq!(denied.owner.clientid, world.session.clientid);
        assert_eq!(denied.owner.owner, Opaque::from("locker"));
    }
    world.stop().await;
}

/// A denial changes nothing: not the seqid, and there is no stateid where there was none.
#[tokio::test]
async fn a_denial_changes_nothing() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let (mut other, theirs) = other_client(&world).await;
    other.lock(&theirs, "locker", WriteLt, (5, 1)).await;
    let lock = world.session.lock(&file, "locker", WriteLt, (0, 1)).await;
    assert_eq!(world.run::<Lock>(&lock_more(lock, WriteLt, (0, 10))).await, Err(NFS4ERR_DENIED));
    let after = world.run::<Lock>(&lock_more(lock, WriteLt, (0, 2))).await.unwrap();
    assert_eq!(after, Stateid { seqid: 2, ..lock });
    assert_eq!(try_lock(&mut other, &theirs, "locker", WriteLt, (3, 1)).await, NFS4_OK);
    world.stop().await;
}

/// Section 9.3: upgrade and downgrade are atomic, and an upgrade waits for other readers.
#[tokio::test]
async fn locks_are_upgraded_and_downgraded() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let (mut other, theirs) = other_client(&world).await;
    let lock = world.session.lock(&file, "locker", ReadLt, (0, 10)).await;
    let their_lock = other.lock(&theirs, "locker", ReadLt, (0, 10)).await;
    assert_eq!(world.run::<Lock>(&lock_more(lock, WriteLt, (0, 10))).await, Err(NFS4ERR_DENIED));
    other.unlock(&theirs.fh, their_lock, (0, 10)).await;
    let lock = world.run::<Lock>(&lock_more(lock, WritewLt, (0, 10))).await.unwrap();
    assert_eq!(try_lock(&mut other, &theirs, "locker", ReadLt, (0, 1)).await, NFS4ERR_DENIED);
    world.run::<Lock>(&lock_more(lock, ReadLt, (0, 10))).await.unwrap();
    assert_eq!(try_lock(&mut other, &theirs, "locker", ReadLt, (0, 1)).await, NFS4_OK);
    world.stop().await;
}

/// Section 9.2: locks are split and joined, as OPEN4_RESULT_LOCKTYPE_POSIX promises.
#[tokio::test]
async fn a_lock_is_split_and_joined() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let (mut other, theirs) = other_client(&world).await;
    let lock = world.session.lock(&file, "locker", WriteLt, (0, 100)).await;
    world.session.unlock(&file.fh, lock, (40, 20)).await;
    let whole = lock_under(theirs.stateid, "locker", WriteLt, (50, TO_EOF));
    let denied = other.denied::<Lock>(&theirs.fh, &whole).await;
    assert_eq!((denied.offset, denied.length), (60, 40));
    let denied =
        other.denied::<Lock>(&theirs.fh, &lock_under(theirs.stateid, "locker", WriteLt, (39, 2))).await;
    assert_eq!((denied.offset, denied.length), (0, 40));
    let their_lock = other.lock(&theirs, "locker", WriteLt, (40, 20)).await;
    other.unlock(&theirs.fh, their_lock, (0, TO_EOF)).await;
    world.session.lock(&file, "locker", WriteLt, (40, 20)).await;
    let denied = other.denied::<Lock>(&theirs.fh, &whole).await;
    assert_eq!((denied.offset, denied.length), (0, 100), "one lock again");
    world.stop().await;
}

/// A part of a lock that gets another type leaves the rest as it is.
#[tokio::test]
async fn a_part_of_a_lock_is_downgraded() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let (mut other, theirs) = other_client(&world).await;
    let lock = world.session.lock(&file, "locker", WriteLt, (0, TO_EOF)).await;
    world.run::<Lock>(&lock_more(lock, ReadLt, (10, 10))).await.unwrap();
    assert_eq!(try_lock(&mut other, &theirs, "locker", ReadLt, (10, 10)).await, NFS4_OK);
    assert_eq!(try_lock(&mut other, &theirs, "locker", ReadLt, (9, 1)).await, NFS4ERR_DENIED);
    let denied = other.denied::<Lockt>(&theirs.fh, &lock_test("locker", ReadLt, (20, 1))).await;
    assert_eq!((denied.offset, denied.length, denied.locktype), (20, TO_EOF, WriteLt));
    world.stop().await;
}

/// Section 9.5: a lock-owner is one and the same under every open-owner, and the last LOCK or LOCKU counts. The seqid of the other
/// stateid "MUST NOT be incremented".
#[tokio::test]
async fn a_lock_owner_under_two_open_owners() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let second = world.session.open_as("file", BOTH, 0, "second owner").await;
    let lock = world.session.lock(&file, "locker", WriteLt, (0, 10)).await;
    let second_lock = world.session.lock(&second, "locker", ReadLt, (0, 10)).await;
    assert_ne!(lock.other, second_lock.other);
    let (mut other, theirs) = other_client(&world).await;
    assert_eq!(try_lock(&mut other, &theirs, "locker", ReadLt, (0, 10)).await, NFS4_OK, "the last LOCK");
    let after = world.session.unlock(&file.fh, lock, (0, 10)).await;
    assert_eq!(after, Stateid { seqid: 2, ..lock });
    let args = lock_test("locker", WriteLt, (0, 10));
    let denied = other.run_on::<Lockt>(&theirs.fh, &args).await;
    assert_eq!(denied, Ok(()), "the last LOCKU");
    world.session.unlock(&file.fh, Stateid { seqid: 1, ..second_lock }, (0, 10)).await;
    world.stop().await;
}

/// Each open-owner's CLOSE frees the locks that were made under it, and no others.
#[tokio::test]
async fn closing_one_open_frees_its_locks_alone() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let second = world.session.open_as("file", BOTH, 0, "second owner").await;
    world.session.lock(&file, "locker", WriteLt, (0, 10)).await;
    world.session.lock(&second, "second locker", WriteLt, (10, 10)).await;
    let (mut other, theirs) = other_client(&world).await;
    world.session.close(&second).await;
    assert_eq!(try_lock(&mut other, &theirs, "locker", WriteLt, (10, 10)).await, NFS4_OK);
    assert_eq!(try_lock(&mut other, &theirs, "locker", WriteLt, (0, 1)).await, NFS4ERR_DENIED);
    world.close().await;
    assert_eq!(try_lock(&mut other, &theirs, "locker", WriteLt, (0, TO_EOF)).await, NFS4_OK);
    world.stop().await;
}

/// Locks belong to the client, not to the session.
#[tokio::test]
async fn a_second_session_of_the_client_goes_on() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let lock = world.session.lock(&file, "locker", WriteLt, (0, 10)).await;
    let mut second = world.client("client").await;
    assert_eq!(second.clientid, world.session.clientid);
    assert_ne!(second.sessionid, world.session.sessionid);
    assert_eq!(try_lock(&mut second, &file, "locker", WriteLt, (0, 20)).await, NFS4_OK);
    assert_eq!(try_lock(&mut second, &file, "other locker", WriteLt, (15, 1)).await, NFS4ERR_DENIED);
    second.unlock(&file.fh, Stateid { seqid: 2, ..lock }, (0, TO_EOF)).await;
    assert_eq!(try_lock(&mut world.session, &file, "other locker", WriteLt, (15, 1)).await, NFS4_OK);
    world.stop().await;
}

/// Byte-range locks are advisory (section 9.1.2): I/O passes them, which share reservations do not.
#[tokio::test]
async fn locks_are_advisory() {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.session.lock(&file, "locker", WriteLt, (0, TO_EOF)).await;
    let (mut other, theirs) = other_client(&world).await;
    assert_eq!(&other.read(&theirs, 0, 100).await.data[..], CONTENT);
    other.write(&theirs, 0, CONTENT).await;
    other.close(&theirs).await;
    world.close().await;
    other.open_as("file", dittofs_tests::WRITE, ShareDeny::READ.bits(), "denying owner").await;
    let read = Read4Args { stateid: Stateid::ANONYMOUS, offset: 0, count: 1 };
    assert_eq!(world.run::<Read>(&read).await.map(drop), Err(NFS4ERR_LOCKED));
    world.stop().await;
}
