//! What is durable.

use super::{ContentStoreFixture, FILE, MIB, assert_contents, if_supported, index, pattern, write};
use crate::storage::Ino;

pub async fn what_was_synced_is_found_after_a_restart(fixture: &mut impl ContentStoreFixture) {
    if !fixture.outlives_restarts() {
        return;
    }
    let mut expected: Vec<(Ino, Vec<u8>)> = Vec::new();
    for round in 0..3 {
        let store = fixture.open();
        let found: Vec<_> =
            store.scan(Ino(0), 1000).await.expect("a scan").into_iter().map(|(id, _)| id).collect();
        assert_eq!(found, expected.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        for (id, bytes) in &expected {
            assert_contents(&store, *id, bytes).await;
        }
        for number in 0..5 {
            let id = Ino(10_000 * (round + 1) + 300 * number);
            let mut bytes = pattern(1, 100_000).to_vec();
            write(&store, id, 0, &bytes.clone().into()).await;
            match number {
                0 => {}
                1 => {
                    store.truncate(id, 65_537).await.expect("a cut");
                    bytes.truncate(65_537);
                }
                2 => {
                    store.truncate(id, MIB).await.expect("an extension");
                    bytes.resize(index(MIB), 0);
                }
                3 => {
                    store.punch(id, 1000, 80_000).await.expect("a hole");
                    bytes.get_mut(1000..81_000).expect("a range").fill(0);
                }
                _ => {
                    if if_supported(store.allocate(id, 0, 200_000).await).is_some() {
                        bytes.resize(200_000, 0);
                    }
                }
            }
            store.sync(id).await.expect("a sync");
            expected.push((id, bytes));
        }
    }
}

pub async fn synced_twice_is_synced(fixture: &mut impl ContentStoreFixture) {
    let mut store = fixture.open();
    let data = pattern(1, 10_000);
    write(&store, FILE, 0, &data).await;
    for _ in 0..3 {
        store.sync(FILE).await.expect("a sync");
    }
    write(&store, FILE, 10_000, &data).await;
    store.sync(FILE).await.expect("a sync");
    if fixture.outlives_restarts() {
        drop(store);
        store = fixture.open();
        store.sync(FILE).await.expect("a sync of what an earlier instance wrote");
    }
    assert_contents(&store, FILE, &[data.clone(), data].concat()).await;
}
