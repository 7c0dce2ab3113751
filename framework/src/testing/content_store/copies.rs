//! Copies and clones.

use std::sync::Arc;

use super::{ContentStoreFixture, FILE, MIB, assert_contents, index, pattern, write};
use crate::storage::{ContentStore, Copied, Ino, StorageError};

const OTHER: Ino = Ino(8);

/// Copies all of the range, in as many calls as the store likes.
async fn copy(store: &Arc<dyn ContentStore>, from: (Ino, u64), to: (Ino, u64), len: u64) -> u64 {
    let mut done = 0;
    while done < len {
        let rest = len - done;
        let step = store.copy(from.0, from.1 + done, to.0, to.1 + done, rest).await;
        let Copied { count, to: size } = step.expect("a copy");
        assert!(count <= rest, "{count} of {rest}");
        assert!(
            count == 0 || size.len >= to.1 + done + count,
            "{size:?} with {count} more at {}",
            to.1 + done
        );
        if count == 0 {
            break;
        }
        done += count;
    }
    done
}

/// What is there after a copy.
fn copied(source: &[u8], from: u64, target: &mut Vec<u8>, to: u64, len: u64) {
    let piece = source.get(index(from)..index(from + len)).expect("a range").to_vec();
    if target.len() < index(to + len) {
        target.resize(index(to + len), 0);
    }
    target.get_mut(index(to)..index(to + len)).expect("a range").copy_from_slice(&piece);
}

/// Offsets in source and target, and lengths.
const RANGES: [(u64, u64, u64); 7] = [
    (0, 0, 200_000),
    (0, 65_536, 131_072),
    (1, 0, 100_000),
    (65_536, 10, 70_000),
    (199_999, 50, 1),
    (0, 400_000, 10),
    (4096, 8192, 4096),
];

pub async fn copies_between_contents(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let source = pattern(1, 200_000);
    write(&store, FILE, 0, &source).await;
    for (number, (from, to, len)) in (100..).zip(RANGES) {
        for old in [0, 50_000, 300_000] {
            let target = Ino(number * 1000 + old);
            let mut expected = pattern(2, old).to_vec();
            write(&store, target, 0, &expected.clone().into()).await;
            assert_eq!(copy(&store, (FILE, from), (target, to), len).await, len);
            copied(&source, from, &mut expected, to, len);
            assert_contents(&store, target, &expected).await;
        }
    }
    assert_contents(&store, FILE, &source).await;
    // What is copied is a thing of its own.
    copy(&store, (FILE, 0), (OTHER, 0), 200_000).await;
    write(&store, FILE, 0, &pattern(5, 200_000)).await;
    assert_contents(&store, OTHER, &source).await;
}

pub async fn copies_within_contents(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let mut expected = pattern(1, 300_000).to_vec();
    write(&store, FILE, 0, &expected.clone().into()).await;
    for (from, to, len) in [
        (0, 100_000, 100_000),
        (200_000, 5, 100_000),
        (0, 300_000, 300_000),
        (10, 11, 1),
        (65_536, 0, 65_536),
    ] {
        assert_eq!(copy(&store, (FILE, from), (FILE, to), len).await, len);
        let source = expected.clone();
        copied(&source, from, &mut expected, to, len);
        assert_contents(&store, FILE, &expected).await;
    }
}

pub async fn a_copy_ends_where_the_source_does(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let source = pattern(1, 10_000);
    let mut expected = pattern(2, 20_000).to_vec();
    write(&store, FILE, 0, &source).await;
    write(&store, OTHER, 0, &expected.clone().into()).await;
    assert_eq!(copy(&store, (FILE, 4000), (OTHER, 0), MIB).await, 6000);
    copied(&source, 4000, &mut expected, 0, 6000);
    for (from, offset) in [(FILE, 10_000), (FILE, 10_001), (FILE, 1 << 40), (Ino(99), 0)] {
        let nothing = store.copy(from, offset, OTHER, 100, 1000).await.expect("a copy of nothing");
        assert_eq!((nothing.count, nothing.to.len), (0, 20_000));
    }
    assert_contents(&store, OTHER, &expected).await;
}

pub async fn a_copy_of_a_hole_replaces_data(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let mut source = vec![0; index(6 * MIB)];
    let data = pattern(1, MIB);
    write(&store, FILE, 2 * MIB, &data).await;
    store.truncate(FILE, 6 * MIB).await.expect("a hole at the end");
    source.get_mut(index(2 * MIB)..index(3 * MIB)).expect("a range").copy_from_slice(&data);
    for (number, (from, to, len)) in
        (100..).zip([(0, 0, 6 * MIB), (MIB, 100, 5 * MIB), (3 * MIB, MIB, 3 * MIB), (0, 9 * MIB, MIB)])
    {
        let mut expected = pattern(2, 4 * MIB).to_vec();
        write(&store, Ino(number), 0, &expected.clone().into()).await;
        assert_eq!(copy(&store, (FILE, from), (Ino(number), to), len).await, len);
        copied(&source, from, &mut expected, to, len);
        assert_contents(&store, Ino(number), &expected).await;
    }
}

pub async fn a_clone_is_whole_and_apart(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let source = pattern(1, 4 * MIB);
    let old = pattern(2, 2 * MIB);
    write(&store, FILE, 0, &source).await;
    write(&store, OTHER, 0, &old).await;
    let mut expected = old.to_vec();
    for (from, to, len) in [(0, 0, MIB), (MIB, 3 * MIB, 3 * MIB), (1, 3, 5)] {
        match store.clone_range(FILE, from, OTHER, to, len).await {
            Ok(size) => {
                copied(&source, from, &mut expected, to, len);
                assert_eq!(size.len, expected.len() as u64);
            }
            Err(StorageError::NotSupported) => {}
            Err(error) => panic!("{error}"),
        }
        assert_contents(&store, OTHER, &expected).await;
    }
    assert_eq!(
        store.size(OTHER).await.expect("a size").map(|size| size.len),
        Some(expected.len() as u64),
        "as large as before and as what was cloned"
    );
    write(&store, FILE, 0, &pattern(3, 4 * MIB)).await;
    assert_contents(&store, OTHER, &expected).await;
    write(&store, OTHER, MIB / 2, &pattern(4, 100)).await;
    store.punch(OTHER, 0, MIB / 4).await.expect("a hole");
    assert_contents(&store, FILE, &pattern(3, 4 * MIB)).await;
}
