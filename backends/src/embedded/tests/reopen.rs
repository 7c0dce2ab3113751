//! Stores that are closed and opened again.
//!
//! Origin: the promises of `MetadataStore`.
//! RFC: none, a store of our own.

use std::fs;

use dittofs_framework::storage::{Ino, MetadataStore, StorageError};
use rstest::rstest;

use super::fixture::{apply, assert_there, create, open};
use crate::embedded::{OpenError, ShareDirectory};

// Origin: own. RFC: none.
#[tokio::test]
async fn everything_is_there_again() {
    let temp = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let store = open(temp.path()).unwrap();
        for number in 1..=round {
            assert_there(&store, number).await;
        }
        apply(&store, create(round + 1)).await.unwrap();
    }
}

/// The lock goes with the store, not with who opened it.
#[tokio::test]
async fn a_store_keeps_its_share_locked() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path()).unwrap();
    let error = ShareDirectory::open(temp.path()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(store);
    open(temp.path()).unwrap();
}

/// A batch that its caller does not wait for any more is applied all the same, and the end of the store waits for it.
#[tokio::test]
async fn what_was_asked_for_is_done() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path()).unwrap();
    let mut call = Box::pin(apply(&store, create(1)));
    assert!(poll_once(&mut call).await.is_none());
    drop(call);
    drop(store);
    assert_there(&open(temp.path()).unwrap(), 1).await;
}

async fn poll_once<F: Future + Unpin>(call: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *call).poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

/// Acknowledged batches that are not there any more are damage: here the engine's files are from a backup.
#[tokio::test]
async fn missing_batches_are_noticed() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path()).unwrap();
    for number in 1..=3 {
        apply(&store, create(number)).await.unwrap();
    }
    drop(store);
    fs::remove_dir_all(temp.path().join("metadata/engine")).unwrap();
    let error = open(temp.path()).unwrap_err();
    assert!(matches!(&error, StorageError::Damaged(what) if what.contains("batch 3")), "{error}");
}

/// The mark is a lower bound: without it nothing is wrong.
#[rstest]
#[case::empty(b"")]
#[case::short(b"abc")]
#[case::wrong(b"abcdefghijkl")]
#[case::long(b"abcdefghijklm")]
#[tokio::test]
async fn a_bad_mark_is_no_mark(#[case] mark: &[u8]) {
    let temp = tempfile::tempdir().unwrap();
    apply(&open(temp.path()).unwrap(), create(1)).await.unwrap();
    fs::write(temp.path().join("metadata/mark"), mark).unwrap();
    assert_there(&open(temp.path()).unwrap(), 1).await;
}

#[tokio::test]
async fn a_long_scan_gives_what_a_short_one_gives() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path()).unwrap();
    apply(&store, (1..=600).flat_map(create)).await.unwrap();
    let all = store.scan(Ino(0), 1000).await.unwrap();
    assert_eq!(all.len(), 600);
    assert_eq!(store.scan(Ino(0), 10).await.unwrap(), all[..10]);
    let inos: Vec<_> = (1..=600).map(Ino).collect();
    let found = store.inodes(&inos).await.unwrap();
    assert_eq!(found.into_iter().flatten().collect::<Vec<_>>().len(), 600);
}
