//! Listings: from any cookie or number on, in pages of any size.

use super::model::Model;
use super::{
    MetadataStoreFixture, START, apply, entry, file, name, put_entry, put_inode, put_xattr, remove_entry,
};
use crate::storage::{Ino, Mutation, NamedEntry, NamedXattr};

const LIMITS: [usize; 6] = [1, 2, 3, 7, 100, usize::MAX];

pub async fn entries_come_in_pages(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    // Neither the names nor the numbers of the objects are in the order of the cookies.
    let put = |dir| (1..=20_u64).map(move |n| put_entry(dir, format!("{}", n * 7 % 23), n * 10, 900 - n));
    for dir in 4..=6 {
        apply(&store, put(dir)).await;
    }
    for limit in LIMITS {
        let (mut after, mut all) = (0, Vec::new());
        loop {
            let page = store.entries(Ino(5), after, limit).await.expect("entries");
            assert!(page.len() <= limit);
            let is_last = page.len() < limit;
            after = page.last().map_or(after, |named| named.entry.cookie);
            all.extend(page);
            if is_last {
                break;
            }
        }
        let expected = (1..=20_u64)
            .map(|n| NamedEntry { name: name((n * 7 % 23).to_string()), entry: entry(n * 10, 900 - n) });
        assert_eq!(all, expected.collect::<Vec<_>>(), "in pages of {limit}");
    }
    assert_eq!(store.entries(Ino(5), 0, 0).await.expect("entries"), []);
}

pub async fn entries_come_from_any_cookie_on(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, [10, 20, 30].map(|cookie| put_entry(5, cookie.to_string(), cookie, cookie))).await;
    let cases: [(u64, &[u64]); 9] = [
        (0, &[10, 20]),
        (9, &[10, 20]),
        (10, &[20, 30]),
        (15, &[20, 30]),
        (20, &[30]),
        (29, &[30]),
        (30, &[]),
        (31, &[]),
        (u64::MAX, &[]),
    ];
    for (after, expected) in cases {
        let page = store.entries(Ino(5), after, 2).await.expect("entries");
        let cookies: Vec<_> = page.iter().map(|named| named.entry.cookie).collect();
        assert_eq!(cookies, expected, "after {after}");
    }
}

pub async fn a_page_goes_on_where_its_last_entry_was_removed(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, (1..=9_u64).map(|n| put_entry(5, n.to_string(), n, n))).await;
    apply(&store, [3, 4, 7].map(|n: u64| remove_entry(5, n.to_string(), n))).await;
    let page = store.entries(Ino(5), 3, 3).await.expect("entries");
    assert_eq!(page.iter().map(|named| named.entry.cookie).collect::<Vec<_>>(), [5, 6, 8]);
    let before = store.entry_before(Ino(5), 5).await.expect("an entry");
    assert_eq!(before.map(|named| named.entry.cookie), Some(2));
}

pub async fn the_entry_before_a_cookie(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    for dir in 4..=6 {
        apply(&store, [10, 20].map(|cookie| put_entry(dir, format!("{dir} {cookie}"), cookie, cookie))).await;
    }
    let cases = [
        (0, None),
        (1, None),
        (10, None),
        (11, Some(10)),
        (20, Some(10)),
        (21, Some(20)),
        (u64::MAX, Some(20)),
    ];
    for (cookie, expected) in cases {
        let found = store.entry_before(Ino(5), cookie).await.expect("an entry");
        let expected = expected
            .map(|cookie| NamedEntry { name: name(format!("5 {cookie}")), entry: entry(cookie, cookie) });
        assert_eq!(found, expected, "before {cookie}");
    }
    assert_eq!(store.entry_before(Ino(7), u64::MAX).await.expect("an entry"), None);
    assert_eq!(store.entry_before(Ino(3), u64::MAX).await.expect("an entry"), None);
}

pub async fn xattrs_come_in_pages(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    for ino in 4..=6 {
        apply(&store, [put_inode(ino, 1)]).await;
        apply(&store, (1..=20_u64).map(|n| put_xattr(ino, (n * 7 % 23).to_string(), n * 10, "v"))).await;
    }
    let expected = (1..=20_u64).map(|n| NamedXattr { name: name((n * 7 % 23).to_string()), cookie: n * 10 });
    let expected: Vec<_> = expected.collect();
    for limit in LIMITS {
        let (mut after, mut all) = (0, Vec::new());
        loop {
            let page = store.xattrs(Ino(5), after, limit).await.expect("attributes");
            let is_last = page.len() < limit;
            after = page.last().map_or(after, |named| named.cookie);
            all.extend(page);
            if is_last {
                break;
            }
        }
        assert_eq!(all, expected, "in pages of {limit}");
    }
    for (after, first) in
        [(0, Some(10)), (9, Some(10)), (10, Some(20)), (199, Some(200)), (200, None), (u64::MAX, None)]
    {
        let page = store.xattrs(Ino(5), after, 1).await.expect("attributes");
        assert_eq!(page.first().map(|named| named.cookie), first, "after {after}");
    }
}

pub async fn orphans_come_in_pages(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    let numbers = [2, 3, 255, 256, 65_536, 1 << 40].map(Ino);
    apply(&store, numbers.map(|ino| Mutation::PutInode(ino, file(1)))).await;
    apply(&store, numbers.into_iter().rev().map(Mutation::MarkOrphan)).await;
    for limit in LIMITS {
        let (mut after, mut all) = (START, Vec::new());
        loop {
            let page = store.orphans(after, limit).await.expect("orphans");
            let is_last = page.len() < limit;
            after = page.last().copied().unwrap_or(after);
            all.extend(page);
            if is_last {
                break;
            }
        }
        assert_eq!(all, numbers, "in pages of {limit}");
    }
    assert_eq!(store.orphans(Ino(100), 2).await.expect("orphans"), [255, 256].map(Ino));
    assert_eq!(store.orphans(Ino(1 << 40), 2).await.expect("orphans"), []);
}

pub async fn objects_come_in_pages(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    let numbers = [1, 2, 127, 128, 255, 256, 65_536, 1 << 40];
    apply(&store, numbers.into_iter().rev().map(|ino| put_inode(ino, ino))).await;
    for limit in LIMITS {
        let (mut after, mut all) = (START, Vec::new());
        loop {
            let page = store.scan(after, limit).await.expect("objects");
            let is_last = page.len() < limit;
            after = page.last().map_or(after, |(ino, _)| *ino);
            all.extend(page);
            if is_last {
                break;
            }
        }
        assert_eq!(all, numbers.map(|ino| (Ino(ino), file(ino))), "in pages of {limit}");
    }
    assert_eq!(store.scan(Ino(200), 1).await.expect("objects"), [(Ino(255), file(255))]);
}

pub async fn entries_of_all_directories_come_in_pages(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    let places = [(1, 3), (1, 4), (1, 900), (2, 1), (255, 3), (256, 3), (256, 5), (1 << 40, 3)];
    apply(
        &store,
        places.into_iter().rev().map(|(dir, cookie)| put_entry(dir, format!("{cookie}"), cookie, dir)),
    )
    .await;
    let expected = places.map(|place| (Ino(place.0), place.1));
    for limit in LIMITS {
        let (mut after, mut all) = ((START, 0), Vec::new());
        loop {
            let page = store.scan_entries(after, limit).await.expect("entries");
            let is_last = page.len() < limit;
            let page: Vec<_> = page.into_iter().map(|(dir, named)| (dir, named.entry.cookie)).collect();
            after = page.last().copied().unwrap_or(after);
            all.extend(page);
            if is_last {
                break;
            }
        }
        assert_eq!(all, expected, "in pages of {limit}");
    }
    let cases = [
        ((1, 4), Some((1, 900))),
        ((1, u64::MAX), Some((2, 1))),
        ((100, 0), Some((255, 3))),
        ((1 << 40, 3), None),
    ];
    for ((dir, cookie), first) in cases {
        let page = store.scan_entries((Ino(dir), cookie), 1).await.expect("entries");
        let found = page.first().map(|(dir, named)| (dir.0, named.entry.cookie));
        assert_eq!(found, first, "after {cookie} of {dir}");
    }
}

pub async fn the_largest_cookies_and_numbers(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    let far = [1, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX - 1, u64::MAX];
    let mut model = Model::default();
    for n in far {
        let text = n.to_string();
        let mut batch = vec![put_inode(n, n), Mutation::MarkOrphan(Ino(n))];
        batch.extend(far.map(|cookie| put_entry(n, format!("{cookie}"), cookie, n)));
        batch.extend(far.map(|cookie| put_xattr(n, format!("{cookie}"), cookie, &text)));
        model.apply_all(&batch);
        apply(&store, batch).await;
    }
    for limit in LIMITS {
        assert_eq!(Model::of(&store, limit).await, model, "in pages of {limit}");
    }
    model.check_single_reads(&store).await;
    let largest = Ino(u64::MAX);
    let before = store.entry_before(largest, u64::MAX).await.expect("an entry");
    assert_eq!(before.map(|named| named.entry.cookie), Some(u64::MAX - 1));
    assert_eq!(store.entries(largest, u64::MAX, 9).await.expect("entries"), []);
    assert_eq!(store.xattrs(largest, u64::MAX, 9).await.expect("attributes"), []);
    assert_eq!(store.orphans(largest, 9).await.expect("orphans"), []);
    assert_eq!(store.scan(largest, 9).await.expect("objects"), []);
    assert_eq!(store.scan_entries((largest, u64::MAX), 9).await.expect("entries"), []);
}

const ENTRIES: u64 = 20_000;

pub async fn big_directories(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    for batch in 0..10 {
        let numbers = batch * ENTRIES / 10..(batch + 1) * ENTRIES / 10;
        apply(&store, numbers.map(|n| put_entry(1, format!("entry {n}"), n + 3, n))).await;
    }
    let (mut after, mut next) = (0, 0);
    loop {
        let page = store.entries(Ino(1), after, 777).await.expect("entries");
        for named in &page {
            assert_eq!(named.name, format!("entry {next}"));
            assert_eq!(named.entry, entry(next + 3, next));
            next += 1;
        }
        if page.len() < 777 {
            break;
        }
        after = next + 2;
    }
    assert_eq!(next, ENTRIES);
    let middle = store.entry(Ino(1), b"entry 12345").await.expect("an entry");
    assert_eq!(middle, Some(entry(12_348, 12_345)));
}
