//! Origin: what a store promises, and what this one has of its own: no call waits, reads are references, there is a capacity.
//! RFC: none.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use dittofs_framework::content_store_suite;
use dittofs_framework::storage::{ContentStore, Ino, StorageError};
use dittofs_framework::testing::content_store::ContentStoreFixture;

use super::{CHUNK, MemoryContentStore};

struct Fixture;

impl ContentStoreFixture for Fixture {
    fn open(&mut self) -> Arc<dyn ContentStore> {
        Arc::new(MemoryContentStore::new(1 << 30))
    }

    fn outlives_restarts(&self) -> bool {
        false
    }
}

content_store_suite!(|| Fixture);

const FILE: Ino = Ino(2);
const MIB: u64 = 1 << 20;

fn now<T>(call: impl Future<Output = T>) -> T {
    match std::pin::pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a call waits"),
    }
}

fn data(len: u64) -> Bytes {
    Bytes::from(vec![7; usize::try_from(len).unwrap()])
}

#[test]
fn reads_are_references_to_what_was_written() {
    let store = MemoryContentStore::new(64 * MIB);
    let written = data(MIB);
    now(store.write(FILE, 0, written.clone())).unwrap();
    let found = now(store.read(FILE, 4096, 900_000)).unwrap();
    assert_eq!(found.as_ptr(), written.slice(4096..).as_ptr());
    let first = now(store.read(FILE, 10, 100)).unwrap();
    assert_eq!(first.as_ptr(), now(store.read(FILE, 10, 100)).unwrap().as_ptr());
}

#[test]
fn more_than_the_capacity_is_refused_and_changes_nothing() {
    let store = MemoryContentStore::new(2 * MIB);
    now(store.write(FILE, 0, data(MIB))).unwrap();
    assert!(matches!(now(store.write(Ino(3), 0, data(2 * MIB))), Err(StorageError::NoSpace)));
    assert_eq!(now(store.size(Ino(3))).unwrap(), None);
    assert!(matches!(now(store.allocate(FILE, 0, 1 << 60)), Err(StorageError::NoSpace)));
    assert!(matches!(now(store.copy(FILE, 0, Ino(3), 2 * MIB + 1, MIB)), Err(StorageError::NoSpace)));
    assert_eq!(now(store.size(FILE)).unwrap().map(|size| size.len), Some(MIB));
    let room = now(store.room()).unwrap();
    assert!(room.total == 2 * MIB && room.free <= MIB, "{room:?}");
}

#[test]
fn what_is_removed_cut_off_or_punched_makes_room() {
    let store = MemoryContentStore::new(2 * MIB);
    for way in 0..9 {
        let id = Ino(10 + way);
        now(store.write(id, 0, data(2 * MIB))).unwrap();
        assert!(matches!(now(store.write(Ino(99), 0, data(1))), Err(StorageError::NoSpace)));
        match way % 3 {
            0 => now(store.remove(id)).unwrap(),
            1 => drop(now(store.truncate(id, 0)).unwrap()),
            _ => drop(now(store.punch(id, 0, u64::MAX)).unwrap()),
        }
        assert_eq!(now(store.room()).unwrap().free, 2 * MIB);
    }
}

#[tokio::test]
async fn a_large_clone_that_can_share_nothing_is_copied() {
    let store = MemoryContentStore::new(64 * MIB);
    let (len, at) = (8 * MIB, 3 * CHUNK + 5);
    store.write(FILE, 0, data(len)).await.unwrap();
    store.write(Ino(3), 0, data(MIB)).await.unwrap();
    assert_eq!(store.clone_range(FILE, 0, Ino(3), at, len).await.unwrap().len, at + len);
    let cloned = store.read(Ino(3), at, u32::try_from(len).unwrap()).await.unwrap();
    assert_eq!(cloned, store.read(FILE, 0, u32::MAX).await.unwrap());
    let before = store.read(Ino(3), 0, u32::try_from(at).unwrap()).await.unwrap();
    assert_eq!(before, data(at));
    assert_eq!(now(store.copy(FILE, 0, Ino(4), 1, 8 * MIB)).unwrap().count, super::MAX_COPY);
    for id in [FILE, Ino(3), Ino(4)] {
        store.remove(id).await.unwrap();
    }
    assert_eq!(store.room().await.unwrap().free, 64 * MIB);
}

#[tokio::test]
async fn a_large_clone_without_room_changes_nothing() {
    let store = MemoryContentStore::new(12 * MIB);
    store.write(FILE, 0, data(8 * MIB)).await.unwrap();
    let free = store.room().await.unwrap().free;
    let refused = store.clone_range(FILE, 0, Ino(3), 1, 8 * MIB).await;
    assert!(matches!(refused, Err(StorageError::NoSpace)));
    assert_eq!(store.size(Ino(3)).await.unwrap(), None);
    assert_eq!(store.room().await.unwrap().free, free);
}

#[test]
fn a_large_clone_that_is_given_up_leaves_nothing() {
    let store = MemoryContentStore::new(64 * MIB);
    now(store.write(FILE, 0, data(8 * MIB))).unwrap();
    let free = now(store.room()).unwrap().free;
    let mut clone = store.clone_range(FILE, 0, Ino(3), 1, 8 * MIB);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(clone.as_mut().poll(&mut cx).is_pending(), "it gives way");
    drop(clone);
    assert_eq!(now(store.size(Ino(3))).unwrap(), None);
    assert_eq!(now(store.room()).unwrap().free, free);
}

#[test]
fn a_payload_goes_when_little_of_it_is_left() {
    let store = MemoryContentStore::new(64 * MIB);
    let payload = Bytes::from(vec![7; usize::try_from(16 * CHUNK).unwrap()]);
    let seen = payload.clone();
    now(store.write(FILE, 0, payload)).unwrap();
    now(store.punch(FILE, 0, 8 * CHUNK)).unwrap();
    assert!(!seen.is_unique(), "half of it is still worth keeping");
    now(store.punch(FILE, 8 * CHUNK, CHUNK)).unwrap();
    assert!(seen.is_unique());
    assert!(now(store.read(FILE, 9 * CHUNK, 100)).unwrap().iter().all(|byte| *byte == 7));
}
