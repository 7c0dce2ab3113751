//! Calls that come at the same time.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{ContentStoreFixture, FILE, MIB, assert_contents, assert_same, index, pattern, read, write};
use crate::storage::Ino;

pub async fn concurrent_writes_of_disjoint_ranges_all_stay(fixture: &mut impl ContentStoreFixture) {
    const LEN: u64 = 5003;
    let store = fixture.open();
    for round in 0..4 {
        let id = Ino(100 + round);
        let whole = pattern(1, 64 * LEN);
        let mut writers = JoinSet::new();
        for number in (0..64).rev() {
            let (store, at) = (Arc::clone(&store), number * LEN);
            let data = whole.slice(index(at)..index(at + LEN));
            writers.spawn(async move { write(&store, id, at, &data).await });
        }
        let sizes = writers.join_all().await;
        assert_eq!(sizes.iter().map(|size| size.len).max(), Some(64 * LEN));
        assert_contents(&store, id, &whole).await;
    }
}

pub async fn of_concurrent_writes_of_the_same_bytes_one_stays(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let mut writers = JoinSet::new();
    for which in 0..16 {
        let store = Arc::clone(&store);
        writers.spawn(async move { write(&store, FILE, 10, &pattern(which, 100_000)).await });
    }
    writers.join_all().await;
    let found = read(&store, FILE, 10, MIB).await;
    assert_eq!(found.len(), 100_000);
    let all: Vec<_> = (0..16).map(|which| pattern(which, 100_000)).collect();
    let strange = (0..found.len()).find(|at| !all.iter().any(|data| data.get(*at) == found.get(*at)));
    assert_eq!(strange, None, "a byte that nobody wrote");
}

pub async fn reads_beside_writes_see_what_was_or_what_is(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let versions: Vec<_> = (0..8).map(|which| pattern(which, 200_000)).collect();
    write(&store, FILE, 0, &pattern(0, 200_000)).await;
    let mut tasks = JoinSet::new();
    for version in versions.clone() {
        let writer = Arc::clone(&store);
        tasks.spawn(async move {
            write(&writer, FILE, 0, &version).await;
        });
        for offset in [0, 4095, 65_536, 150_000] {
            let (store, versions) = (Arc::clone(&store), versions.clone());
            tasks.spawn(async move {
                let found = read(&store, FILE, offset, 50_000).await;
                assert_eq!(found.len(), 50_000, "what is overwritten does not get shorter");
                let is_known = |(at, byte): (usize, &u8)| {
                    versions.iter().any(|version| version.get(index(offset) + at) == Some(byte))
                };
                assert!(found.iter().enumerate().all(is_known), "a byte that nobody wrote");
            });
        }
    }
    tasks.join_all().await;
}

pub async fn reads_beside_a_removal_end(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    for round in 0..8 {
        let (id, data) = (Ino(100 + round), pattern(1, MIB));
        write(&store, id, 0, &data).await;
        let mut readers = JoinSet::new();
        for offset in 0..8 {
            let (store, data) = (Arc::clone(&store), data.clone());
            readers.spawn(async move {
                let found = read(&store, id, offset * 1000, MIB).await;
                let expected = data.get(index(offset * 1000)..).expect("a range");
                assert_same(&found, expected.get(..found.len()).expect("no more than there was"));
            });
        }
        store.remove(id).await.expect("a removal");
        readers.join_all().await;
        assert!(read(&store, id, 0, 10).await.is_empty());
        assert_eq!(store.size(id).await.expect("a size"), None);
    }
}

pub async fn syncs_beside_writes_all_return(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let mut tasks = JoinSet::new();
    let whole = pattern(1, 32 * 5000);
    for number in 0..32 {
        let store = Arc::clone(&store);
        let data = whole.slice(index(number * 5000)..index((number + 1) * 5000));
        tasks.spawn(async move {
            write(&store, FILE, number * 5000, &data).await;
            store.sync(FILE).await.expect("a sync");
        });
    }
    tasks.join_all().await;
    assert_contents(&store, FILE, &whole).await;
    if fixture.outlives_restarts() {
        drop(store);
        assert_contents(&fixture.open(), FILE, &whole).await;
    }
}

pub async fn many_contents_at_once(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let mut tasks = JoinSet::new();
    for number in 1..=200_u8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let (id, data) = (Ino(u64::from(number) * 300), pattern(number, 1000));
            write(&store, id, 0, &data).await;
            assert_contents(&store, id, &data).await;
            if number % 3 == 0 {
                store.remove(id).await.expect("a removal");
            }
        });
    }
    tasks.join_all().await;
    let left = store.scan(Ino(0), 1000).await.expect("a scan");
    let expected: Vec<_> =
        (1..=200).filter(|number| number % 3 != 0).map(|number| Ino(number * 300)).collect();
    assert_eq!(left.iter().map(|(id, _)| *id).collect::<Vec<_>>(), expected);
}
