//! Data and holes. A store may know of holes only roughly, or of none.

use std::sync::Arc;

use super::{ContentStoreFixture, FILE, MIB, if_supported, index, pattern, write};
use crate::fs::DataOrHole::{self, Data, Hole};
use crate::storage::ContentStore;

async fn seek(store: &Arc<dyn ContentStore>, offset: u64, what: DataOrHole) -> Option<u64> {
    store.seek(FILE, offset, what).await.expect("a place")
}

/// What is not data must be zeros, and the two kinds follow each other up to the end.
async fn assert_map(store: &Arc<dyn ContentStore>, expected: &[u8]) {
    let len = expected.len() as u64;
    let mut at = 0;
    while at < len {
        let data = seek(store, at, Data).await.unwrap_or(len);
        assert!((at..=len).contains(&data), "data at {data} from {at} on, of {len}");
        let zeros = expected.get(index(at)..index(data)).expect("a range");
        assert_eq!(zeros.iter().position(|byte| *byte != 0), None, "in the hole at {at}");
        if data > at {
            assert_eq!(seek(store, at, Hole).await, Some(at), "where no data is, is a hole");
        }
        if data == len {
            return;
        }
        let hole = seek(store, data, Hole).await.expect("the end counts as a hole");
        assert!(hole > data && hole <= len, "hole at {hole} from {data} on, of {len}");
        at = hole;
    }
}

pub async fn seek_finds_all_data(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let mut expected = vec![0; index(9 * MIB)];
    for (which, at) in [(1, 0), (2, 4 * MIB + 100), (3, 6 * MIB)] {
        let data = pattern(which, MIB);
        write(&store, FILE, at, &data).await;
        expected.get_mut(index(at)..index(at + MIB)).expect("a range").copy_from_slice(&data);
    }
    store.truncate(FILE, 9 * MIB).await.expect("a hole at the end");
    assert_map(&store, &expected).await;

    store.punch(FILE, MIB / 2, MIB / 4).await.expect("a hole");
    expected.get_mut(index(MIB / 2)..index(MIB / 2 + MIB / 4)).expect("a range").fill(0);
    assert_map(&store, &expected).await;

    // Allocated storage that was not written may count as either.
    if_supported(store.allocate(FILE, 2 * MIB, MIB).await);
    assert_map(&store, &expected).await;
    store.sync(FILE).await.expect("a sync");
    assert_map(&store, &expected).await;
}

pub async fn seek_at_the_ends_of_the_contents(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    write(&store, FILE, 0, &pattern(1, 10_001)).await;
    for offset in [0, 1, 5000, 10_000] {
        assert_eq!(seek(&store, offset, Data).await, Some(offset), "data is everywhere");
        assert_eq!(seek(&store, offset, Hole).await, Some(10_001), "the end counts as a hole");
    }
    store.truncate(FILE, 0).await.expect("a cut");
    store.truncate(FILE, 4 * MIB).await.expect("a hole");
    let data = seek(&store, MIB, Data).await;
    assert!(matches!(data, None | Some(MIB)), "all or nothing of it is data, and not from {data:?} on");
    let hole = seek(&store, MIB, Hole).await;
    assert_eq!(hole, Some(if data.is_none() { MIB } else { 4 * MIB }));
}
