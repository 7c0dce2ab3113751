//! Bytes in and out, numbers, sizes, removal.

use bytes::Bytes;

use super::{ContentStoreFixture, FILE, KIB, MIB, assert_contents, assert_same, len, pattern, read, write};
use crate::storage::Ino;

pub async fn contents_that_are_not_there_are_empty(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    assert_eq!(read(&store, FILE, 0, 100).await, Bytes::new());
    assert_eq!(read(&store, FILE, 1 << 40, 100).await, Bytes::new());
    assert_eq!(store.size(FILE).await.expect("a size"), None);
    assert_eq!(store.scan(Ino(0), 10).await.expect("a scan"), []);
    store.sync(FILE).await.expect("a sync of nothing");
    assert_eq!(store.punch(FILE, 0, 100).await.expect("a hole in nothing").len, 0);
}

pub async fn what_is_written_is_read(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let data = pattern(1, 300_000);
    assert_eq!(write(&store, FILE, 0, &data).await.len, 300_000);
    for (offset, count) in [
        (0, 300_000),
        (0, 300_001),
        (0, 1),
        (299_999, 1),
        (299_999, 9),
        (4095, 2),
        (65_536, 131_072),
        (123, 0),
    ] {
        let end = (offset + count).min(data.len());
        let found = read(&store, FILE, offset as u64, count as u64).await;
        assert_same(&found, data.get(offset..end).expect("a range"));
    }
    for offset in [300_000, 300_001, 1 << 40, u64::MAX] {
        assert!(read(&store, FILE, offset, 10).await.is_empty(), "at {offset}");
    }
    let rest = store.read(FILE, 10, u32::MAX).await.expect("a read");
    assert_same(&rest, data.get(10..).expect("a range"));
}

pub async fn a_write_replaces_its_range_alone(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let mut expected = pattern(1, 200_000).to_vec();
    write(&store, FILE, 0, &Bytes::from(expected.clone())).await;
    for (number, (offset, len)) in
        [(0_usize, 1_usize), (4000, 200), (65_000, 70_000), (199_999, 1), (131_072, 65_536)]
            .into_iter()
            .enumerate()
    {
        let data = pattern(u8::try_from(number + 2).unwrap_or_default(), len as u64);
        assert_eq!(write(&store, FILE, offset as u64, &data).await.len, 200_000);
        expected.get_mut(offset..offset + len).expect("a range").copy_from_slice(&data);
        assert_contents(&store, FILE, &expected).await;
    }
    let tail = pattern(9, 5000);
    assert_eq!(write(&store, FILE, 199_000, &tail).await.len, 204_000);
    expected.truncate(199_000);
    expected.extend_from_slice(&tail);
    assert_contents(&store, FILE, &expected).await;
}

pub async fn before_a_write_beyond_the_end_there_are_zeros(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let data = pattern(3, 10);
    let mut expected = vec![0; 5000];
    expected.extend_from_slice(&data);
    write(&store, FILE, 5000, &data).await;
    assert_contents(&store, FILE, &expected).await;
    expected.resize(700_000, 0);
    expected.extend_from_slice(&data);
    write(&store, FILE, 700_000, &data).await;
    assert_contents(&store, FILE, &expected).await;
}

pub async fn no_bytes_change_nothing(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let data = pattern(1, 100);
    write(&store, FILE, 0, &data).await;
    for offset in [0, 50, 100, 5000] {
        let size = store.write(FILE, offset, Bytes::new()).await.expect("a write of nothing");
        assert_eq!(size.len, 100, "at {offset}");
        assert_eq!(store.punch(FILE, offset, 0).await.expect("a hole of nothing").len, 100);
        if let Some(size) = super::if_supported(store.allocate(FILE, offset, 0).await) {
            assert_eq!(size.len, 100, "allocated at {offset}");
        }
        let copied = store.copy(FILE, 0, FILE, offset, 0).await.expect("a copy of nothing");
        assert_eq!((copied.count, copied.to.len), (0, 100));
    }
    assert_contents(&store, FILE, &data).await;
}

/// Numbers around powers of two, and the largest.
const NUMBERS: [u64; 13] = [
    1,
    2,
    15,
    16,
    1023,
    1024,
    0xf_ffff,
    0x10_0000,
    0x10_0001,
    1 << 32,
    (1 << 40) + 1024,
    i64::MAX as u64 + 1,
    u64::MAX,
];

pub async fn numbers_are_any(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    for (which, number) in (0..).zip(NUMBERS) {
        write(&store, Ino(number), 0, &pattern(which, 100 + u64::from(which))).await;
    }
    for (which, number) in (0..).zip(NUMBERS) {
        assert_contents(&store, Ino(number), &pattern(which, 100 + u64::from(which))).await;
    }
}

pub async fn sizes_are_told_by_all_calls(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let size = write(&store, FILE, 0, &pattern(1, MIB)).await;
    assert_eq!(size.len, MIB);
    assert!(size.allocated > 0, "a mebibyte takes storage");
    assert_eq!(store.size(FILE).await.expect("a size").map(|size| size.len), Some(MIB));
    assert_eq!(write(&store, FILE, 10, &pattern(2, 10)).await.len, MIB);
    assert_eq!(write(&store, FILE, MIB, &pattern(2, 10)).await.len, MIB + 10);
    assert_eq!(store.truncate(FILE, 100).await.expect("a cut").len, 100);
    assert_eq!(store.punch(FILE, 0, MIB).await.expect("a hole").len, 100);
    assert_eq!(len(&store, FILE).await, 100);
    let scanned = store.scan(Ino(0), 10).await.expect("a scan");
    assert_eq!(scanned.iter().map(|(id, size)| (*id, size.len)).collect::<Vec<_>>(), [(FILE, 100)]);
}

pub async fn what_is_removed_is_gone(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let kept = pattern(1, 100);
    write(&store, Ino(8), 0, &kept).await;
    write(&store, FILE, 0, &pattern(2, MIB)).await;
    let early = read(&store, FILE, 0, MIB).await;
    store.remove(FILE).await.expect("a removal");
    assert_eq!(store.size(FILE).await.expect("a size"), None);
    assert!(read(&store, FILE, 0, 10).await.is_empty());
    let left = store.scan(Ino(0), 10).await.expect("a scan");
    assert_eq!(left.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [Ino(8)]);
    store.sync(FILE).await.expect("a sync of what is gone");
    assert_contents(&store, Ino(8), &kept).await;
    assert_same(&early, &pattern(2, MIB));
}

pub async fn what_is_not_there_can_be_removed(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    store.remove(FILE).await.expect("a removal of nothing");
    write(&store, Ino(8), 0, &pattern(1, 10)).await;
    for _ in 0..2 {
        store.remove(Ino(8)).await.expect("a removal");
    }
    assert_eq!(store.scan(Ino(0), 10).await.expect("a scan"), []);
}

pub async fn scans_go_by_number_in_pages(fixture: &mut impl ContentStoreFixture) {
    let store = fixture.open();
    let mut numbers: Vec<u64> = NUMBERS.into_iter().chain(3000..3040).collect();
    for number in numbers.iter().rev() {
        write(&store, Ino(*number), 0, &pattern(1, 1 + number % 100)).await;
    }
    numbers.sort_unstable();
    for limit in [1, 3, 7, numbers.len(), 1000] {
        let mut found = Vec::new();
        loop {
            let after = found.last().map_or(Ino(0), |(id, _)| *id);
            let page = store.scan(after, limit).await.expect("a page");
            assert!(page.len() <= limit, "{} of {limit}", page.len());
            let is_last = page.len() < limit;
            found.extend(page.into_iter().map(|(id, size)| (id, size.len)));
            if is_last {
                break;
            }
        }
        let expected: Vec<_> = numbers.iter().map(|number| (Ino(*number), 1 + number % 100)).collect();
        assert_eq!(found, expected, "in pages of {limit}");
    }
    assert_eq!(store.scan(Ino(u64::MAX), 10).await.expect("a page"), []);
    let between = store.scan(Ino(5 * KIB), 1).await.expect("a page");
    assert_eq!(between.first().map(|(id, _)| id.0), Some(0xf_ffff));
}
