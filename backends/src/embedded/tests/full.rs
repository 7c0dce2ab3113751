//! A disk that is full, as far as the engine can tell: its files may not become longer. And no file can be opened, in addition.
//!
//! Origin: the error numbers of write(2), ftruncate(2) and open(2), by limits of a process.
//! RFC: 8881 section 15.1.4.9 (NFS4ERR_NOSPC): nothing was done.

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dittofs_framework::storage::{Ino, MetadataStore, Mutation, StorageError, Xattr};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::fixture::{apply, assert_there, create, open};
use crate::embedded::engine::Engine;
use crate::embedded::{EmbeddedMetadataStore, ShareDirectory};

/// Where a process works that has limits of its own.
const DIRECTORY: &str = "DITTOFS_FULL_TEST";

/// Runs a test of this file in a process of its own, with a directory.
fn run_alone(test: &str, directory: &Path) {
    let mut command = Command::new("sh");
    // Without this the signal that comes with the error would end the process.
    command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]).arg(env::current_exe().unwrap());
    command
        .args(["--exact", &format!("embedded::tests::full::{test}"), "--nocapture"])
        .env(DIRECTORY, directory);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

// Origin: own. RFC: none; `MetadataStore` says what a full store does.
#[tokio::test]
async fn a_full_disk_is_no_end() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return fill_and_go_on(Path::new(&directory)).await;
    }
    let temp = tempfile::tempdir().unwrap();
    run_alone("a_full_disk_is_no_end", temp.path());
    let store = open(temp.path()).unwrap();
    for number in [1, 3] {
        assert_there(&store, number).await;
    }
    assert_eq!(store.inodes(&[Ino(2)]).await.unwrap(), [None]);
}

/// The engine is closed for want of room, and cannot be opened for want of descriptors.
#[tokio::test]
async fn an_engine_that_cannot_be_opened_is_opened_later() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return close_and_go_on(Path::new(&directory)).await;
    }
    let temp = tempfile::tempdir().unwrap();
    run_alone("an_engine_that_cannot_be_opened_is_opened_later", temp.path());
    let store = open(temp.path()).unwrap();
    for number in [1, 3, 4] {
        assert_there(&store, number).await;
    }
    assert_eq!(store.inodes(&[Ino(2)]).await.unwrap(), [None]);
}

async fn close_and_go_on(directory: &Path) {
    let share = Arc::new(ShareDirectory::open(directory).unwrap());
    let store = EmbeddedMetadataStore::open_with(share, Duration::ZERO).unwrap();
    apply(&store, create(1)).await.unwrap();
    let mut written = 0;

    close(&store, &mut written).await;
    limit(Resource::Nofile, None);
    // Nobody writes.
    while store.inodes(&[Ino(1)]).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.xattrs(Ino(1), 0, 1000).await.unwrap().len() as u64, written);
    limit(Resource::Fsize, None);
    apply(&store, create(3)).await.unwrap();

    close(&store, &mut written).await;
    // Wherever it opens a file it fails once.
    let mut descriptors = 0;
    while let Err(refused) = apply(&store, create(4)).await {
        assert!(matches!(refused, StorageError::Failed(_)), "with {descriptors}: {refused}");
        descriptors += 1;
        limit(Resource::Nofile, Some(descriptors));
    }
    for number in [1, 3, 4] {
        assert_there(&store, number).await;
    }
    assert_eq!(store.xattrs(Ino(1), 0, 1000).await.unwrap().len() as u64, written);
}

/// Lets a batch find no room, and the engine no descriptors.
async fn close(store: &EmbeddedMetadataStore, written: &mut u64) {
    limit(Resource::Fsize, Some(1 << 20));
    limit(Resource::Nofile, Some(0));
    let failed = loop {
        match apply(store, [attribute(*written)]).await {
            Ok(()) => *written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(failed, StorageError::Failed(_)), "it may be there or not: {failed}");
    let refused = apply(store, create(2)).await.unwrap_err();
    assert!(matches!(refused, StorageError::Failed(_)), "{refused}");
    let refused = store.inodes(&[Ino(1)]).await.unwrap_err();
    assert!(matches!(refused, StorageError::Failed(_)), "{refused}");
}

async fn fill_and_go_on(directory: &Path) {
    let store = open(directory).unwrap();
    apply(&store, create(1)).await.unwrap();
    let mut written = 0;
    stop_in_the_background(&store, &mut written).await;
    limit(Resource::Fsize, Some(3 << 20));
    let refused = loop {
        match apply(&store, [attribute(written)]).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StorageError::NoSpace), "{refused}");
    assert!(written > 40, "{written}");
    for _ in 0..2 {
        let refused = apply(&store, create(2).into_iter().chain([attribute(1000)])).await.unwrap_err();
        assert!(matches!(refused, StorageError::NoSpace), "{refused}");
        assert_there(&store, 1).await;
        assert_eq!(store.inodes(&[Ino(2)]).await.unwrap(), [None]);
        assert_eq!(store.xattrs(Ino(1), 0, 1000).await.unwrap().len() as u64, written);
    }
    limit(Resource::Fsize, None);
    apply(&store, create(3)).await.unwrap();
    assert_there(&store, 3).await;
}

/// Lets a table find no room. The engine stops, and goes on by itself when there is room.
async fn stop_in_the_background(store: &EmbeddedMetadataStore, written: &mut u64) {
    while *written < 32 {
        apply(store, [attribute(*written)]).await.unwrap();
        *written += 1;
    }
    limit(Resource::Fsize, Some(1 << 20));
    let with_engine = |call: fn(&Engine) -> bool| call(store.engine().read().as_ref().unwrap());
    with_engine(|engine| {
        engine.begin_flush();
        true
    });
    while !with_engine(Engine::is_stopped) {
        std::thread::yield_now();
    }
    limit(Resource::Fsize, None);
    apply(store, [attribute(*written)]).await.unwrap();
    *written += 1;
    assert_eq!(store.xattrs(Ino(1), 0, 1000).await.unwrap().len() as u64, *written);
}

/// An attribute of 64 KiB.
fn attribute(number: u64) -> Mutation {
    let xattr = Xattr { cookie: number + 1, value: vec![1; 64 << 10].into() };
    Mutation::PutXattr { ino: Ino(1), name: Bytes::from(number.to_string()), xattr }
}

fn limit(resource: Resource, current: Option<u64>) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(resource, Rlimit { current: current.or(maximum), maximum }).unwrap();
}
