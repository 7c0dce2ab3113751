//! Flushes: who shares one, and what one that failed means.
//!
//! Origin: fsync(2) of Linux, which reports a lost page once.
//! RFC: 8881 section 18.3 (COMMIT): the verifier and what it promises.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use dittofs_framework::storage::StorageError;
use rstest::rstest;
use rustix::io::Errno;

use super::*;

type Waiting<'a> = Pin<Box<dyn Future<Output = Result<(), StorageError>> + Send + 'a>>;

/// A sync that waits.
fn begin(store: &LocalContentStore, id: Ino) -> Waiting<'_> {
    let mut sync = Box::pin(async move { store.sync(id).await });
    let first = sync.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(first, Poll::Pending));
    sync
}

/// A sync of which the flush is under way and does not end before it is released.
async fn begin_flush<'a>(place: &Place, store: &'a LocalContentStore) -> Waiting<'a> {
    let before = place.tricks.syncs();
    place.tricks.hold_syncs();
    let first = begin(store, FILE);
    while place.tricks.syncs() == before {
        tokio::task::yield_now().await;
    }
    first
}

#[tokio::test]
async fn those_who_come_during_a_flush_share_the_next() {
    let place = Place::new(100);
    let store = place.store();
    write(&store, FILE, 0, 10).await;
    let mut syncs = vec![begin_flush(&place, &store).await];
    for number in 0..10 {
        write(&store, FILE, number, 10).await;
        syncs.push(begin(&store, FILE));
    }
    place.tricks.release_syncs();
    for sync in syncs {
        sync.await.unwrap();
    }
    assert_eq!(place.tricks.syncs(), 2);
    store.sync(FILE).await.unwrap();
    assert_eq!(place.tricks.syncs(), 2, "nothing has changed since");
}

#[tokio::test]
async fn a_flush_goes_on_when_nobody_waits() {
    let place = Place::new(100);
    let store = place.store();
    write(&store, FILE, 0, 10).await;
    drop(begin_flush(&place, &store).await);
    drop(begin(&store, FILE));
    place.tricks.release_syncs();
    store.sync(FILE).await.unwrap();
    assert!(place.tricks.syncs() <= 2);
}

#[tokio::test]
async fn a_change_during_a_flush_is_not_taken_for_durable() {
    let place = Place::new(100);
    let store = place.store();
    write(&store, FILE, 0, 10).await;
    let first = begin_flush(&place, &store).await;
    write(&store, FILE, 10, 10).await;
    place.tricks.release_syncs();
    first.await.unwrap();
    store.sync(FILE).await.unwrap();
    assert_eq!(place.tricks.syncs(), 2);
}

#[tokio::test]
async fn names_are_made_durable_once() {
    let place = Place::new(100);
    let store = place.store();
    let count = || {
        let tricks = &place.tricks;
        (tricks.file_syncs.load(SeqCst), tricks.data_syncs.load(SeqCst), tricks.directory_syncs.load(SeqCst))
    };
    write(&store, Ino(1), 0, 10).await;
    write(&store, Ino(2), 0, 10).await;
    store.sync(Ino(1)).await.unwrap();
    assert_eq!(count(), (1, 0, 3), "the directory and those above it");
    write(&store, Ino(1), 0, 10).await;
    store.sync(Ino(1)).await.unwrap();
    assert_eq!(count(), (1, 1, 3), "the name is durable");
    store.sync(Ino(2)).await.unwrap();
    assert_eq!(count(), (2, 1, 3), "the other name was there by then");
    write(&store, Ino(3), 0, 10).await;
    store.sync(Ino(3)).await.unwrap();
    assert_eq!(count(), (3, 1, 4), "a new name in a directory that is durable");
    write(&store, Ino(2000), 0, 10).await;
    store.sync(Ino(2000)).await.unwrap();
    assert_eq!(count(), (4, 1, 7), "a new directory");
}

#[tokio::test]
async fn a_restart_takes_nothing_for_durable() {
    let place = Place::new(100);
    write(&place.store(), FILE, 0, 10).await;
    let store = place.store();
    assert_eq!(store.read(FILE, 0, 10).await.unwrap(), data(10));
    store.sync(FILE).await.unwrap();
    assert_eq!(place.tricks.file_syncs.load(SeqCst), 1);
    assert_eq!(place.tricks.directory_syncs.load(SeqCst), 3);
}

#[tokio::test]
async fn all_who_waited_learn_of_a_failure() {
    let place = Place::new(100);
    let store = place.store();
    write(&store, FILE, 0, 10).await;
    *place.tricks.next_sync.lock() = Some(Errno::IO);
    let first = begin_flush(&place, &store).await;
    write(&store, FILE, 0, 10).await;
    let others: Vec<_> = (0..5).map(|_| begin(&store, FILE)).collect();
    place.tricks.release_syncs();
    assert!(matches!(first.await, Err(StorageError::Failed(_))));
    for other in others {
        assert!(matches!(other.await, Err(StorageError::Failed(_))), "what they wrote may be lost as well");
    }
}

#[rstest]
#[case::device(Errno::IO)]
#[case::room(Errno::NOSPC)]
#[case::quota(Errno::DQUOT)]
#[tokio::test]
async fn a_failure_is_not_repaired_by_another_flush(#[case] errno: Errno) {
    let place = Place::new(100);
    let store = place.store();
    write(&store, FILE, 0, 10).await;
    *place.tricks.next_sync.lock() = Some(errno);
    for _ in 0..3 {
        let result = store.sync(FILE).await;
        assert!(matches!(result, Err(StorageError::Failed(_))), "not a mere lack of room: {result:?}");
        write(&store, FILE, 0, 10).await;
    }
    assert_eq!(store.read(FILE, 0, 10).await.unwrap(), data(10), "it can still be read");
    write(&store, Ino(8), 0, 10).await;
    store.sync(Ino(8)).await.unwrap();

    store.remove(FILE).await.unwrap();
    store.sync(FILE).await.unwrap();
}

#[tokio::test]
async fn what_is_cut_to_nothing_has_nothing_to_lose() {
    let place = Place::new(100);
    let store = place.store();
    write(&store, FILE, 0, 10).await;
    *place.tricks.next_sync.lock() = Some(Errno::IO);
    store.sync(FILE).await.unwrap_err();
    store.truncate(FILE, 5).await.unwrap();
    store.sync(FILE).await.unwrap_err();
    store.truncate(FILE, 0).await.unwrap();
    write(&store, FILE, 0, 10).await;
    let before = place.tricks.syncs();
    store.sync(FILE).await.unwrap();
    assert_eq!(place.tricks.syncs(), before + 1, "what was written since is flushed");
}

#[tokio::test]
async fn a_store_that_is_opened_again_has_forgotten_failures() {
    let place = Place::new(100);
    let store = place.store();
    write(&store, FILE, 0, 10).await;
    *place.tricks.next_sync.lock() = Some(Errno::IO);
    store.sync(FILE).await.unwrap_err();
    drop(store);
    place.store().sync(FILE).await.unwrap();
}

#[tokio::test]
async fn a_failure_before_closing_is_told_to_who_syncs_later() {
    let place = Place::new(1);
    let store = place.store();
    write(&store, FILE, 0, 10).await;
    *place.tricks.next_sync.lock() = Some(Errno::IO);
    for number in 100..110 {
        write(&store, Ino(number), 0, 10).await;
    }
    assert!(store.shared.cache.get(FILE).is_none());
    assert!(matches!(store.sync(FILE).await, Err(StorageError::Failed(_))));
    store.sync(Ino(105)).await.unwrap();
}

#[tokio::test]
async fn names_that_may_be_lost_are_not_durable_later() {
    let place = Place::new(100);
    let store = place.store();
    write(&store, Ino(1), 0, 10).await;
    write(&store, Ino(2), 0, 10).await;
    *place.tricks.next_directory_sync.lock() = Some(Errno::IO);
    assert!(matches!(store.sync(Ino(1)).await, Err(StorageError::Failed(_))));
    assert!(matches!(store.sync(Ino(2)).await, Err(StorageError::Failed(_))), "its name was to go with it");
}

#[rstest]
#[case::descriptors_of_the_process(Errno::MFILE, true)]
#[case::descriptors_of_the_machine(Errno::NFILE, true)]
#[case::memory(Errno::NOMEM, false)]
#[case::device(Errno::IO, false)]
#[tokio::test]
async fn a_directory_that_cannot_be_opened_has_lost_nothing(
    #[case] errno: Errno,
    #[case] is_tried_again: bool,
) {
    let place = Place::new(100);
    let store = place.store();
    write(&store, Ino(1), 0, 10).await;
    write(&store, Ino(2), 0, 10).await;
    *place.tricks.next_open.lock() = Some(errno);
    let first = store.sync(Ino(1)).await;
    assert!(place.tricks.next_open.lock().is_none());
    assert_eq!(first.is_ok(), is_tried_again, "{first:?}");
    store.sync(Ino(1)).await.unwrap();
    assert_eq!(place.tricks.directory_syncs.load(SeqCst), 3, "it and those above it");
    store.sync(Ino(2)).await.unwrap();
}

/// The only file of a directory that is not the newest is flushed to be closed, and goes, with the directory, before the names are flushed.
#[tokio::test]
async fn a_directory_that_goes_during_a_flush_has_lost_nothing() {
    let place = Place::new(1);
    let store = place.store();
    write(&store, FILE, 0, 10).await;
    place.tricks.hold_syncs();
    let mut closing = Box::pin(write(&store, Ino(5000), 0, 10));
    assert!(matches!(closing.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    while place.tricks.syncs() == 0 {
        tokio::task::yield_now().await;
    }
    store.remove(FILE).await.unwrap();
    assert!(!place.path(FILE).parent().unwrap().exists());
    place.tricks.release_syncs();
    closing.await;
    write(&store, Ino(8), 0, 10).await;
    store.sync(Ino(8)).await.unwrap();
}

/// As when another removal takes the directory between the steps of one.
#[tokio::test]
async fn a_file_without_a_name_needs_no_directory() {
    let place = Place::new(100);
    let store = place.store();
    write(&store, FILE, 0, 10).await;
    let sync = begin_flush(&place, &store).await;
    std::fs::remove_file(place.path(FILE)).unwrap();
    std::fs::remove_dir(place.path(FILE).parent().unwrap()).unwrap();
    place.tricks.release_syncs();
    sync.await.unwrap();
}
