//! Durability, locks, formats, room.
//!
//! Origin: the promises of `MetadataStore`, and the manual of SQLite for what makes a commit durable.
//! RFC: none, a store of its own.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use dittofs_framework::proto::FileType;
use dittofs_framework::storage::{
    Batch, Entry, Ino, MetadataStore, Mutation, StorageError, StorageResult, Xattr,
};
use rstest::rstest;
use rusqlite::Connection;

use crate::schema::{from_sql, to_sql};
use crate::store::{SqliteMetadata, SqliteOptions};

fn open(dir: &Path) -> StorageResult<SqliteMetadata> {
    SqliteMetadata::open(&dir.join("metadata.sqlite"), SqliteOptions::default())
}

fn refused(dir: &Path) -> String {
    open(dir).map(drop).unwrap_err().to_string()
}

fn put_entry(name: &str, cookie: u64) -> Mutation {
    let entry = Entry { cookie, ino: Ino(cookie), file_type: FileType::Reg };
    Mutation::PutEntry { dir: Ino::ROOT, name: Bytes::copy_from_slice(name.as_bytes()), entry }
}

fn put_xattr(ino: u64, len: usize) -> Mutation {
    let xattr = Xattr { cookie: 1, value: vec![1; len].into() };
    Mutation::PutXattr { ino: Ino(ino), name: Bytes::from_static(b"x"), xattr }
}

async fn apply(store: &SqliteMetadata, mutation: Mutation) -> StorageResult<()> {
    store.apply(Batch { mutations: vec![mutation] }).await
}

#[rstest]
#[case::order_of_small(0, 1)]
#[case::order_at_the_sign((1 << 63) - 1, 1 << 63)]
#[case::order_of_large(u64::MAX - 1, u64::MAX)]
fn numbers_keep_their_order(#[case] less: u64, #[case] more: u64) {
    assert!(to_sql(less) < to_sql(more));
    assert_eq!((from_sql(to_sql(less)), from_sql(to_sql(more))), (less, more));
}

/// What is in the files when `apply` returns is what a process that dies then leaves behind.
#[tokio::test]
async fn every_batch_is_in_the_files_when_it_returns() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for cookie in 3..20 {
        apply(&store, put_entry(&cookie.to_string(), cookie)).await.unwrap();
        let left = tempfile::tempdir().unwrap();
        for file in ["metadata.sqlite", "metadata.sqlite-wal"] {
            fs::copy(dir.path().join(file), left.path().join(file)).unwrap();
        }
        let found = open(left.path()).unwrap().entries(Ino::ROOT, 0, 100).await.unwrap();
        assert_eq!(found.last().unwrap().entry.cookie, cookie);
    }
}

#[test]
fn commits_are_synced() {
    let dir = tempfile::tempdir().unwrap();
    let connection = crate::schema::open(&dir.path().join("metadata.sqlite"), 1 << 30).unwrap();
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, String>(0));
    assert_eq!(pragma("journal_mode").unwrap(), "wal");
    let synchronous = connection.pragma_query_value(None, "synchronous", |row| row.get::<_, u32>(0));
    assert_eq!(synchronous.unwrap(), 2, "FULL");
}

#[tokio::test]
async fn one_has_it_open_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    assert!(refused(dir.path()).contains("another process"), "{}", refused(dir.path()));
    drop(store);
    open(dir.path()).unwrap();
}

#[rstest]
#[case::later_format("PRAGMA user_version = 2", "format 2, and 1 is what can be read")]
#[case::of_another_program("PRAGMA application_id = 7", "another program's")]
fn other_databases_are_refused(#[case] change: &str, #[case] expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    Connection::open(dir.path().join("metadata.sqlite")).unwrap().execute_batch(change).unwrap();
    assert!(refused(dir.path()).contains(expected), "{}", refused(dir.path()));
}

#[test]
fn tables_of_others_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let other = Connection::open(dir.path().join("metadata.sqlite")).unwrap();
    other.execute_batch("CREATE TABLE inodes (mine)").unwrap();
    assert!(refused(dir.path()).contains("another program's"));
}

#[test]
fn what_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("metadata.sqlite"), [b'x'; 4096]).unwrap();
    assert!(refused(dir.path()).contains("damaged"), "{}", refused(dir.path()));
}

#[tokio::test]
async fn a_full_store_goes_on_working() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions { max_bytes: 1 << 20, ..SqliteOptions::default() };
    let store = SqliteMetadata::open(&dir.path().join("metadata.sqlite"), options).unwrap();
    let mut made = 0;
    let error = loop {
        match apply(&store, put_xattr(made + 1, 60_000)).await {
            Ok(()) => made += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StorageError::NoSpace), "{error}");
    assert!((10..20).contains(&made), "{made} values of 60,000 bytes in a mebibyte");
    let room = store.room().await.unwrap();
    assert!(room.free < 65_536 && room.total == 1 << 20, "{room:?}");
    // Both in one batch or none of them.
    let both = vec![put_entry("a", 3), put_xattr(made + 1, 60_000)];
    assert!(matches!(store.apply(Batch { mutations: both }).await, Err(StorageError::NoSpace)));
    assert_eq!(store.entry(Ino::ROOT, b"a").await.unwrap(), None);
    let name = Bytes::from_static(b"x");
    apply(&store, Mutation::RemoveXattr { ino: Ino(1), name, cookie: 1 }).await.unwrap();
    assert!(store.room().await.unwrap().free > 57_344);
    apply(&store, put_xattr(made + 1, 50_000)).await.unwrap();
}

#[tokio::test]
async fn nothing_is_built_on_a_batch_that_failed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    apply(&store, put_entry("a", 3)).await.unwrap();
    // No file system puts a name twice; here it stands for a disk that fails.
    let error = apply(&store, put_entry("a", 4)).await.unwrap_err();
    assert!(matches!(error, StorageError::Failed(_)), "{error}");
    assert!(apply(&store, put_entry("b", 5)).await.is_err());
    assert_eq!(store.entries(Ino::ROOT, 0, 9).await.unwrap().len(), 1, "reads go on");
    drop(store);
    let store = open(dir.path()).unwrap();
    apply(&store, put_entry("b", 5)).await.unwrap();
    assert_eq!(store.entries(Ino::ROOT, 0, 9).await.unwrap().len(), 2);
}

/// A caller that goes away takes nothing back, and stops nothing.
#[tokio::test]
async fn a_dropped_call_is_done_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    {
        let mut call = std::pin::pin!(apply(&store, put_entry("a", 3)));
        let waker = std::task::Waker::noop();
        let _ = std::future::Future::poll(call.as_mut(), &mut std::task::Context::from_waker(waker));
    }
    drop(store);
    assert!(open(dir.path()).unwrap().entry(Ino::ROOT, b"a").await.unwrap().is_some());
}
