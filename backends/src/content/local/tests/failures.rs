//! Calls of the system that fail or do less than asked.
//!
//! Origin: read(2), write(2), fallocate(2), copy_file_range(2): short counts and error numbers.
//! RFC: 8881 section 15.1: NOSPC, DQUOT, FBIG and IO.

use dittofs_framework::storage::{StorageError, StorageResult};
use rstest::rstest;
use rustix::io::Errno;

use super::*;

fn kind<T>(result: &StorageResult<T>) -> &'static str {
    match result {
        Ok(_) => "done",
        Err(StorageError::NoSpace) => "no space",
        Err(StorageError::NotSupported) => "not supported",
        Err(StorageError::TooLarge) => "too large",
        Err(StorageError::Damaged(_)) => "damaged",
        Err(StorageError::Failed(_)) => "failed",
    }
}

#[rstest]
#[case::room(Errno::NOSPC, "no space")]
#[case::quota(Errno::DQUOT, "no space")]
#[case::size(Errno::FBIG, "too large")]
#[case::device(Errno::IO, "failed")]
#[case::read_only(Errno::ROFS, "failed")]
#[tokio::test]
async fn a_write_that_fails_has_changed_its_range_alone(#[case] errno: Errno, #[case] expected: &str) {
    let place = Place::new(100);
    let store = place.store();
    let old = Bytes::from_static(&[b'o'; 10_000]);
    store.write(FILE, 0, old.clone()).await.unwrap();
    *place.tricks.full_after.lock() = Some((5000, errno));
    assert_eq!(kind(&store.write(FILE, 8000, data(MIB)).await), expected);
    let found = store.read(FILE, 0, u32::MAX).await.unwrap();
    assert_eq!(found.len(), 13_000);
    assert_eq!(found[..8000], old[..8000]);
    assert_eq!(found[8000..], data(5000));
    assert_eq!(store.size(FILE).await.unwrap().unwrap().len, 13_000);

    *place.tricks.full_after.lock() = None;
    write(&store, FILE, 8000, MIB).await;
    store.sync(FILE).await.unwrap();
}

#[tokio::test]
async fn a_read_that_fails_is_not_a_short_one() {
    let place = Place::new(100);
    place.tricks.is_plain.store(true, SeqCst);
    let store = place.store();
    write(&store, FILE, 0, 10).await;
    *place.tricks.next_read.lock() = Some(Errno::IO);
    assert_eq!(kind(&store.read(FILE, 0, 10).await), "failed");
    assert_eq!(store.read(FILE, 0, 10).await.unwrap(), data(10));
}

#[tokio::test]
async fn a_copy_that_fails_tells_what_it_has_copied() {
    let place = Place::new(100);
    place.tricks.is_plain.store(true, SeqCst);
    let store = place.store();
    write(&store, FILE, 0, 10_000).await;
    *place.tricks.full_after.lock() = Some((6000, Errno::NOSPC));
    let copied = store.copy(FILE, 0, Ino(8), 0, 10_000).await.unwrap();
    assert_eq!((copied.count, copied.to.len), (6000, 6000));
    assert_eq!(kind(&store.copy(FILE, 6000, Ino(8), 6000, 4000).await), "no space");
    assert_eq!(store.read(Ino(8), 0, 10_000).await.unwrap(), data(6000));
}

#[rstest]
#[case::room(Errno::NOSPC, "no space")]
#[case::cannot(Errno::OPNOTSUPP, "not supported")]
#[tokio::test]
async fn what_cannot_be_allocated_is_given_back(#[case] errno: Errno, #[case] expected: &str) {
    let place = Place::new(100);
    let store = place.store();
    write(&store, FILE, 0, 10_000).await;
    store.sync(FILE).await.unwrap();
    let before = store.size(FILE).await.unwrap();
    *place.tricks.next_allocate.lock() = Some(errno);
    assert_eq!(kind(&store.allocate(FILE, MIB, 4 * MIB).await), expected);
    assert_eq!(store.size(FILE).await.unwrap(), before);
}

#[tokio::test]
async fn more_than_there_is_room_for_is_not_tried() {
    let place = Place::new(100);
    let store = place.store();
    write(&store, FILE, 0, 10).await;
    let len = store.max_len().min(1 << 60) / 2;
    let room = store.room().await.unwrap();
    if len > room.available {
        assert_eq!(kind(&store.allocate(FILE, 0, len).await), "no space");
        assert_eq!(store.size(FILE).await.unwrap().unwrap().len, 10);
    }
    assert!(store.room().await.unwrap().available > 0);
}
