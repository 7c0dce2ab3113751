//! Stores on disk, and batches for them.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::proto::{FileType, NfsTime};
use dittofs_framework::storage::{
    Batch, Entry, Ino, InodeRecord, MetadataStore, Mutation, RecordBody, RecordTimes, StorageResult,
};

use crate::embedded::{EmbeddedMetadataStore, ShareDirectory};

pub(super) fn open(path: &Path) -> StorageResult<EmbeddedMetadataStore> {
    EmbeddedMetadataStore::open(Arc::new(ShareDirectory::open(path).unwrap()))
}

pub(super) fn record(change: u64) -> InodeRecord {
    InodeRecord {
        file_type: FileType::Reg,
        mode: 0o644,
        uid: 1000,
        gid: 100,
        nlink: 1,
        size: change << 20,
        allocated: 0,
        change,
        times: RecordTimes::all(NfsTime { seconds: 1_000_000, nseconds: 7 }),
        exclusive: None,
        xattr_bytes: 0,
        next_xattr_cookie: 1,
        body: RecordBody::Empty,
    }
}

pub(super) fn name(number: u64) -> Bytes {
    format!("file {number}").into()
}

/// A file in directory 1, whose numbers are all the same.
pub(super) fn create(number: u64) -> [Mutation; 2] {
    let entry = Entry { cookie: number, ino: Ino(number), file_type: FileType::Reg };
    [
        Mutation::PutInode(Ino(number), record(number)),
        Mutation::PutEntry { dir: Ino(1), name: name(number), entry },
    ]
}

pub(super) async fn apply(
    store: &EmbeddedMetadataStore,
    mutations: impl IntoIterator<Item = Mutation>,
) -> StorageResult<()> {
    store.apply(Batch { mutations: mutations.into_iter().collect() }).await
}

/// Asserts that a file is there, by all ways that lead to it.
pub(super) async fn assert_there(store: &EmbeddedMetadataStore, number: u64) {
    let entry = Entry { cookie: number, ino: Ino(number), file_type: FileType::Reg };
    assert_eq!(store.inodes(&[Ino(number)]).await.unwrap(), [Some(record(number))]);
    assert_eq!(store.entry(Ino(1), &name(number)).await.unwrap(), Some(entry));
    let listed = store.entries(Ino(1), number - 1, 1).await.unwrap();
    assert_eq!(listed.first().map(|named| named.entry), Some(entry));
}

pub(super) fn remove(number: u64) -> [Mutation; 2] {
    [
        Mutation::RemoveEntry { dir: Ino(1), name: name(number), cookie: number },
        Mutation::RemoveInode(Ino(number)),
    ]
}
