//! Lengths, holes and allocation.

use bytes::Bytes;

use super::{ContentStoreFixture, FILE, MIB, assert_contents, if_supported, index, pattern, read, write};

pub async fn truncate_cuts_off_and_extends(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    assert_eq!(store.truncate(FILE, 5000).await.expect("an extension of nothing").len, 5000);
    assert_contents(&store, FILE, &[0; 5000]).await;
    let data = pattern(1, 300_000);
    for len in [300_000, 200_001, 65_536, 65_537, 4096, 4095, 10, 1, 0, 300_001, 1_000_000] {
        write(&store, FILE, 0, &data).await;
        assert_eq!(store.truncate(FILE, len).await.expect("a new length").len, len);
        let mut expected = data.to_vec();
        expected.resize(index(len), 0);
        assert_contents(&store, FILE, &expected).await;
    }
}

pub async fn what_was_cut_off_does_not_come_back(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    for cut in [0, 1, 100, 4095, 4096, 65_535, 65_536, 70_000, 199_999] {
        let data = pattern(1, 200_000);
        for way in 0..3 {
            write(&store, FILE, 0, &data).await;
            store.truncate(FILE, cut).await.expect("a cut");
            let tail = pattern(2, 10);
            let mut expected = data.get(..index(cut)).expect("a range").to_vec();
            expected.resize(210_000, 0);
            match way {
                0 => {
                    store.truncate(FILE, 210_000).await.expect("an extension");
                }
                1 => {
                    write(&store, FILE, 210_000, &tail).await;
                    expected.extend_from_slice(&tail);
                }
                _ => match if_supported(store.allocate(FILE, 209_000, 1000).await) {
                    Some(size) => assert_eq!(size.len, 210_000),
                    None => continue,
                },
            }
            assert_contents(&store, FILE, &expected).await;
        }
    }
}

pub async fn a_punched_range_reads_as_zeros(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let data = pattern(1, 300_000);
    for (offset, len) in [
        (0, 1),
        (0, 4096),
        (1, 4096),
        (4096, 8192),
        (100, 200_000),
        (65_536, 65_536),
        (299_000, 1000),
        (290_000, 100_000),
        (0, u64::MAX),
        (200_000, u64::MAX),
    ] {
        write(&store, FILE, 0, &data).await;
        let size = store.punch(FILE, offset, len).await.expect("a hole");
        assert_eq!(size.len, 300_000, "the length stays");
        let mut expected = data.to_vec();
        let end = offset.saturating_add(len).min(300_000);
        expected.get_mut(index(offset)..index(end)).expect("a range").fill(0);
        assert_contents(&store, FILE, &expected).await;
    }
    // What is written into a hole is there, and nothing else.
    store.punch(FILE, 0, 300_000).await.expect("a hole");
    write(&store, FILE, 100_001, &pattern(2, 5)).await;
    let mut expected = vec![0; 300_000];
    expected.get_mut(100_001..100_006).expect("a range").copy_from_slice(&pattern(2, 5));
    assert_contents(&store, FILE, &expected).await;
}

pub async fn nothing_is_punched_beyond_the_end(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let data = pattern(1, 5000);
    write(&store, FILE, 0, &data).await;
    for (offset, len) in [(5000, 1), (5000, u64::MAX), (1 << 40, 1 << 20), (u64::MAX, u64::MAX)] {
        assert_eq!(store.punch(FILE, offset, len).await.expect("a hole").len, 5000);
    }
    assert_contents(&store, FILE, &data).await;
}

pub async fn punching_all_gives_storage_back(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let full = write(&store, FILE, 0, &pattern(1, 4 * MIB)).await;
    let empty = store.punch(FILE, 0, 4 * MIB).await.expect("a hole");
    assert!(empty.allocated <= full.allocated, "{empty:?} after {full:?}");
    let full = write(&store, FILE, 0, &pattern(1, 4 * MIB)).await;
    let cut = store.truncate(FILE, 0).await.expect("a cut");
    assert!(cut.allocated <= full.allocated, "{cut:?} after {full:?}");
}

pub async fn an_allocated_range_keeps_its_bytes(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let data = pattern(1, 100_000);
    write(&store, FILE, 0, &data).await;
    let mut expected = data.to_vec();
    for (offset, len, end) in
        [(0, 100_000, 100_000), (50_000, 10, 100_000), (90_000, 30_000, 120_000), (500_000, 1, 500_001)]
    {
        let Some(size) = if_supported(store.allocate(FILE, offset, len).await) else { return };
        assert_eq!(size.len, end);
        expected.resize(index(end), 0);
        assert_contents(&store, FILE, &expected).await;
    }
    let size = store.allocate(FILE, 0, MIB).await.expect("storage");
    assert!(size.allocated >= MIB, "{size:?}");
    expected.resize(index(MIB), 0);
    assert_contents(&store, FILE, &expected).await;
    write(&store, FILE, 600_000, &Bytes::from_static(b"x")).await;
    assert_eq!(read(&store, FILE, 599_999, 3).await, b"\0x\0".as_slice());
}
