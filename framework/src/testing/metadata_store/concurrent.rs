//! Reads while batches are being applied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{
    MetadataStoreFixture, START, apply, put_entry, put_inode, put_xattr, remove_entry, remove_xattr,
};
use crate::storage::{Ino, MetadataStore, Mutation};

const OBJECTS: u64 = 8;
const BATCHES: u64 = 300;
/// Objects from here on are orphans.
const ORPHANS: u64 = 1000;

/// What is common to a writer and its readers.
struct Shared {
    store: Arc<dyn MetadataStore>,
    /// The latest batch that has returned.
    applied: AtomicU64,
    is_done: AtomicBool,
}

/// Everything that there is at a time: [`OBJECTS`] of everything, numbered after the batch.
fn batch(number: u64) -> Vec<Mutation> {
    let first = |batch: u64| batch * OBJECTS + 1;
    let mut mutations = Vec::new();
    for n in 1..=OBJECTS {
        let text = format!("name {n}");
        mutations.push(put_inode(n, number));
        if number > 0 {
            let before = first(number - 1) + n;
            mutations.push(remove_entry(1, &text, before));
            mutations.push(remove_xattr(1, &text, before));
            mutations.push(Mutation::UnmarkOrphan(Ino(ORPHANS + before)));
            mutations.push(Mutation::RemoveInode(Ino(ORPHANS + before)));
        }
        let now = first(number) + n;
        mutations.push(put_entry(1, &text, now, number));
        mutations.push(put_xattr(1, &text, now, number.to_string()));
        mutations.push(put_inode(ORPHANS + now, number));
        mutations.push(Mutation::MarkOrphan(Ino(ORPHANS + now)));
    }
    mutations
}

/// One reader: what it sees is of one batch, and not of one before the latest that had returned when it looked.
async fn read(shared: &Shared, kind: usize) {
    let store = &shared.store;
    let latest = shared.applied.load(Ordering::Acquire);
    let seen: Vec<u64> = match kind {
        0 => {
            let numbers: Vec<_> = (1..=OBJECTS).map(Ino).collect();
            let found = store.inodes(&numbers).await.expect("objects");
            found.into_iter().flatten().map(|record| record.change).collect()
        }
        1 => {
            let found = store.scan(START, 100).await.expect("objects");
            found.into_iter().map(|(_, record)| record.change).collect()
        }
        2 => {
            let found = store.entries(Ino(1), 0, 100).await.expect("entries");
            found.into_iter().map(|named| named.entry.ino.0).collect()
        }
        3 => {
            let found = store.scan_entries((START, 0), 100).await.expect("entries");
            found.into_iter().map(|(_, named)| named.entry.ino.0).collect()
        }
        4 => {
            let found = store.xattrs(Ino(1), 0, 100).await.expect("attributes");
            found.into_iter().map(|named| (named.cookie - 2) / OBJECTS).collect()
        }
        _ => {
            let found = store.orphans(START, 100).await.expect("orphans");
            found.into_iter().map(|ino| (ino.0 - ORPHANS - 2) / OBJECTS).collect()
        }
    };
    let expected = if kind == 1 { 2 * OBJECTS } else { OBJECTS };
    assert_eq!(seen.len() as u64, expected, "read {kind} sees a part of a batch");
    assert!(seen.iter().all(|batch| *batch == seen[0]), "read {kind} sees {seen:?}");
    assert!(seen[0] >= latest, "read {kind} sees {} after {latest}", seen[0]);
}

pub async fn readers_see_batches_whole(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, batch(0)).await;
    let shared = Arc::new(Shared { store, applied: AtomicU64::new(0), is_done: AtomicBool::new(false) });
    let readers: Vec<_> = (0..6)
        .map(|kind| {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                while !shared.is_done.load(Ordering::Acquire) {
                    read(&shared, kind).await;
                    tokio::task::yield_now().await;
                }
                read(&shared, kind).await;
            })
        })
        .collect();
    for number in 1..BATCHES {
        apply(&shared.store, batch(number)).await;
        shared.applied.store(number, Ordering::Release);
        tokio::task::yield_now().await;
    }
    shared.is_done.store(true, Ordering::Release);
    for reader in readers {
        reader.await.expect("a reader");
    }
}

pub async fn what_has_returned_is_seen(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    for number in 0..50 {
        apply(&store, [put_inode(number + 1, number), put_entry(1, number.to_string(), number + 3, 7)]).await;
        let reader = Arc::clone(&store);
        let seen = tokio::spawn(async move {
            let record = reader.inodes(&[Ino(number + 1)]).await.expect("an object");
            let entry = reader.entry(Ino(1), number.to_string().as_bytes()).await.expect("an entry");
            (record.into_iter().flatten().count(), entry.map(|entry| entry.cookie))
        });
        assert_eq!(seen.await.expect("a reader"), (1, Some(number + 3)));
    }
}

pub async fn readers_of_pages_miss_nothing_that_stays(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, (0..200_u64).map(|n| put_entry(1, format!("stays {n}"), n * 10 + 5, n))).await;
    let writer = Arc::clone(&store);
    let writing = tokio::spawn(async move {
        for round in 0..40_u64 {
            let come = (0..20).map(|n| put_entry(1, format!("comes {n}"), n * 100 + 7 + round % 2, 999));
            apply(&writer, come).await;
            let go = (0..20).map(|n| remove_entry(1, format!("comes {n}"), n * 100 + 7 + round % 2));
            apply(&writer, go).await;
        }
    });
    let mut is_last_round = false;
    while !is_last_round {
        is_last_round = writing.is_finished();
        let (mut after, mut stayed) = (0, Vec::new());
        loop {
            let page = store.entries(Ino(1), after, 9).await.expect("entries");
            after = page.last().map_or(after, |named| named.entry.cookie);
            stayed.extend(
                page.iter().filter(|named| named.entry.ino != Ino(999)).map(|named| named.entry.ino.0),
            );
            if page.len() < 9 {
                break;
            }
        }
        assert!(stayed.iter().copied().eq(0..200), "{stayed:?}");
    }
    writing.await.expect("the writer");
}
