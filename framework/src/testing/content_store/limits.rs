//! The largest length, far offsets, room.

use super::{ContentStoreFixture, FILE, assert_contents, if_supported, len, pattern, read, write};
use crate::storage::{Ino, StorageError, StorageResult};

fn assert_too_large<T>(result: StorageResult<T>) {
    match result {
        Err(StorageError::TooLarge) => {}
        Err(error) => panic!("too large, and not: {error}"),
        Ok(_) => panic!("too large"),
    }
}

/// What a store may refuse for want of room.
fn if_there_is_room<T>(result: StorageResult<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(StorageError::NoSpace) => None,
        Err(error) => panic!("{error}"),
    }
}

pub async fn nothing_is_longer_than_the_limit(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let data = pattern(1, 100);
    write(&store, FILE, 0, &data).await;
    let max = store.max_len();
    for offset in [max, max - 99, u64::MAX, u64::MAX - 50] {
        assert_too_large(store.write(FILE, offset, data.clone()).await);
        assert_too_large(store.copy(FILE, 0, Ino(8), offset, 100).await);
        match store.clone_range(FILE, 0, Ino(8), offset, 100).await {
            Err(StorageError::NotSupported) => {}
            result => assert_too_large(result),
        }
    }
    for (offset, len) in [(max, 1), (0, u64::MAX), (u64::MAX, u64::MAX), (max - 10, 11)] {
        match store.allocate(FILE, offset, len).await {
            Err(StorageError::NotSupported) => {}
            result if offset.checked_add(len).is_none_or(|end| end > max) => assert_too_large(result),
            result => drop(if_there_is_room(result)),
        }
    }
    for len in [max.saturating_add(1), u64::MAX] {
        if len > max {
            assert_too_large(store.truncate(FILE, len).await);
        }
    }
    assert_contents(&store, FILE, &data).await;
    assert_eq!(len(&store, Ino(8)).await, 0);
}

pub async fn contents_reach_up_to_the_limit(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let max = store.max_len();
    let data = pattern(1, 10);
    if if_there_is_room(store.truncate(FILE, max).await).is_some() {
        assert_eq!(len(&store, FILE).await, max);
        assert_eq!(read(&store, FILE, max - 1, 10).await, [0].as_slice());
    }
    if if_there_is_room(store.write(FILE, max - 10, data.clone()).await).is_some() {
        assert_eq!(read(&store, FILE, max - 12, 100).await, [&[0, 0], &*data].concat());
    }
    store.truncate(FILE, 1).await.expect("a cut");
    assert_contents(&store, FILE, &[0]).await;
}

pub async fn far_offsets_are_sparse(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    for far in [(1 << 32) - 5, (1 << 33) + 1, (1 << 42) - 5].map(|far: u64| far.min(store.max_len() - 10)) {
        let data = pattern(1, 10);
        let Some(size) = if_there_is_room(store.write(FILE, far, data.clone()).await) else { return };
        assert_eq!(size.len, far + 10);
        assert_eq!(read(&store, FILE, far - 2, 100).await, [&[0, 0], &*data].concat());
        assert_eq!(read(&store, FILE, far / 2, 3).await, [0, 0, 0].as_slice());
        let data_at = store.seek(FILE, 0, crate::fs::DataOrHole::Data).await.expect("a place");
        assert!(data_at.is_some_and(|at| at <= far), "{data_at:?}");
        store.punch(FILE, 1, far + 3).await.expect("a hole");
        let rest = data.get(4..).expect("a range");
        assert_eq!(read(&store, FILE, far, 100).await, [&[0, 0, 0, 0], rest].concat());
        if_supported(store.allocate(FILE, far - 100_000, 100_000).await);
        assert_eq!(len(&store, FILE).await, far + 10);
        store.truncate(FILE, 0).await.expect("a cut");
    }
}

pub async fn the_room_adds_up(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let before = store.room().await.expect("the room");
    assert!(before.total > 0 && before.free <= before.total && before.available <= before.free, "{before:?}");
    write(&store, FILE, 0, &pattern(1, 1 << 20)).await;
    let after = store.room().await.expect("the room");
    assert!(after.free <= after.total && after.available <= after.free, "{after:?}");
}
