//! How many files are open at a time.
//!
//! Origin: own: the limits of a process (RLIMIT_NOFILE), EMFILE and ENFILE of open(2).
//! RFC: none.

use std::path::Path;

use rstest::rstest;
use rustix::io::Errno;

use super::*;

/// Files of the store that this process has open.
fn open_files(directory: &Path) -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    links
        .filter_map(|link| std::fs::read_link(link.unwrap().path()).ok())
        .filter(|target| target.starts_with(directory) && target != directory)
        .count()
}

#[rstest]
#[case::one(1)]
#[case::few(5)]
#[case::several_parts(64)]
#[tokio::test]
async fn no_more_files_are_open_than_the_limit(#[case] limit: usize) {
    let place = Place::new(limit);
    let store = place.store();
    for round in 0..3 {
        for number in 1..=200 {
            write(&store, Ino(number), round, 1).await;
            assert!(store.shared.cache.len() <= limit);
        }
        assert!(open_files(place.directory.path()) <= limit);
    }
    assert!(open_files(place.directory.path()) > 0, "they are kept open");
}

#[tokio::test]
async fn files_that_are_used_stay_open() {
    let place = Place::new(4);
    let store = place.store();
    write(&store, FILE, 0, 1).await;
    store.sync(FILE).await.unwrap();
    for number in 100..200 {
        write(&store, Ino(number), 0, 1).await;
        store.sync(Ino(number)).await.unwrap();
        assert_eq!(store.read(FILE, 0, 1).await.unwrap(), data(1));
        assert!(store.shared.cache.get(FILE).is_some(), "after {number}");
    }
}

#[tokio::test]
async fn what_is_not_durable_is_flushed_before_it_is_closed() {
    let place = Place::new(1);
    let store = place.store();
    write(&store, Ino(1), 0, 1).await;
    assert_eq!(place.tricks.syncs(), 0);
    write(&store, Ino(2), 0, 1).await;
    assert_eq!(place.tricks.syncs(), 1, "the first one was closed");
    store.sync(Ino(2)).await.unwrap();
    assert_eq!(store.read(Ino(1), 0, 1).await.unwrap(), data(1));
    assert_eq!(place.tricks.syncs(), 2, "the second one was durable");
    assert_eq!(store.read(Ino(2), 0, 1).await.unwrap(), data(1));
    assert_eq!(place.tricks.syncs(), 2, "the first one was only read");
}

#[rstest]
#[case::of_the_process(Errno::MFILE)]
#[case::of_the_machine(Errno::NFILE)]
#[tokio::test]
async fn without_descriptors_others_are_closed(#[case] errno: Errno) {
    let place = Place::new(100);
    for number in 1..=10 {
        write(&place.store(), Ino(number), 0, 1).await;
    }
    let store = place.store();
    for number in 1..=10 {
        assert_eq!(store.read(Ino(number), 0, 1).await.unwrap(), data(1));
    }
    write(&store, Ino(11), 0, 1).await;
    assert_eq!(store.shared.cache.len(), 11);
    *place.tricks.next_open.lock() = Some(errno);
    write(&store, Ino(12), 0, 1).await;
    assert_eq!(store.shared.cache.len(), 2, "that one, and the one that is not durable");
}

#[tokio::test]
async fn removal_gives_the_storage_back_while_somebody_has_the_file_open() {
    let place = Place::new(100);
    let store = place.store();
    assert!(write(&store, FILE, 0, 4 * MIB).await.allocated > 0);
    let reader = store.shared.find(FILE).unwrap().unwrap();
    store.remove(FILE).await.unwrap();
    assert_eq!(reader.size().unwrap(), ContentSize { len: 0, allocated: 0 });
    assert_eq!(open_files(place.directory.path()), 1, "the reader's");
    drop(reader);
    assert_eq!(open_files(place.directory.path()), 0);
}
