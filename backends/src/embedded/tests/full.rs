//! A disk that is full, as far as the engine can tell: its files may not become longer.

use std::env;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use dittofs_framework::storage::{Ino, MetadataStore, Mutation, StorageError, Xattr};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::fixture::{apply, assert_there, create, open};
use crate::embedded::EmbeddedMetadataStore;
use crate::embedded::engine::Engine;

const TEST: &str = "embedded::tests::full::a_full_disk_is_no_end";
/// Where the process works whose files may not become longer.
const DIRECTORY: &str = "DITTOFS_FULL_TEST";

/// The limit is that of a process, which runs this test with a directory.
//
// Origin: own. RFC: none; `MetadataStore` says what a full store does.
#[tokio::test]
async fn a_full_disk_is_no_end() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return fill_and_go_on(Path::new(&directory)).await;
    }
    let temp = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    // Without this the signal that comes with the error would end the process.
    command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]).arg(env::current_exe().unwrap());
    command.args(["--exact", TEST, "--nocapture"]).env(DIRECTORY, temp.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let store = open(temp.path()).unwrap();
    for number in [1, 3] {
        assert_there(&store, number).await;
    }
    assert_eq!(store.inodes(&[Ino(2)]).await.unwrap(), [None]);
}

async fn fill_and_go_on(directory: &Path) {
    let store = open(directory).unwrap();
    apply(&store, create(1)).await.unwrap();
    let mut written = 0;
    stop_in_the_background(&store, &mut written).await;
    limit_files(Some(3 << 20));
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
    limit_files(None);
    apply(&store, create(3)).await.unwrap();
    assert_there(&store, 3).await;
}

/// Lets a table find no room. The engine stops, and goes on by itself when there is room.
async fn stop_in_the_background(store: &EmbeddedMetadataStore, written: &mut u64) {
    while *written < 32 {
        apply(store, [attribute(*written)]).await.unwrap();
        *written += 1;
    }
    limit_files(Some(1 << 20));
    let with_engine = |call: fn(&Engine) -> bool| call(store.engine().read().as_ref().unwrap());
    with_engine(|engine| {
        engine.begin_flush();
        true
    });
    while !with_engine(Engine::is_stopped) {
        std::thread::yield_now();
    }
    limit_files(None);
    apply(store, [attribute(*written)]).await.unwrap();
    *written += 1;
    assert_eq!(store.xattrs(Ino(1), 0, 1000).await.unwrap().len() as u64, *written);
}

/// An attribute of 64 KiB.
fn attribute(number: u64) -> Mutation {
    let xattr = Xattr { cookie: number + 1, value: vec![1; 64 << 10].into() };
    Mutation::PutXattr { ino: Ino(1), name: Bytes::from(number.to_string()), xattr }
}

fn limit_files(current: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: current.or(maximum), maximum }).unwrap();
}
