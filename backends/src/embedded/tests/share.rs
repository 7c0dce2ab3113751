//! Whole shares: both stores and the file system on top.
//!
//! Origin: own scenarios.
//! RFC: 8881 sections 4.2.3 (persistent filehandles) and 18.32.

use bytes::Bytes;
use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    Authority, CreateMode, FileSystem, RequestContext, SetAttributes, ShareAccess, Stability,
};
use rstest::rstest;

use crate::embedded::{self, OpenError};
use crate::store::StoreOptions;

// Origin: own. RFC: 8881 section 18.32.3 (what a FILE_SYNC4 WRITE has answered is on stable storage).
#[tokio::test]
async fn a_share_is_found_again() {
    let temp = tempfile::tempdir().unwrap();
    let cx = RequestContext::server();
    let how = CreateMode::Guarded(SetAttributes::default());
    let fs = embedded::open(temp.path(), StoreOptions::default()).await.unwrap();
    let root = fs.root();
    let opened = fs.open_create(&cx, &root, b"file", &how, ShareAccess::BOTH).await.unwrap();
    let data = Bytes::from_static(b"what was written");
    let node = opened.found.node;
    fs.write(&cx, &node, 0, data.clone(), Stability::FileSync, Authority::Open).await.unwrap();
    let error = embedded::open(temp.path(), StoreOptions::default()).await.err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(opened.hold);
    drop(fs);

    let fs = embedded::open(temp.path(), StoreOptions::default()).await.unwrap();
    assert_eq!(fs.root(), root);
    let found = fs.lookup(&cx, &root, b"file", Bitmap::EMPTY).await.unwrap();
    assert_eq!(found.node, node);
    let hold = fs.open(&cx, &node, ShareAccess::BOTH).await.unwrap();
    let read = fs.read(&cx, &node, 0, 100, Authority::Open).await.unwrap();
    assert_eq!(read.data, data);
    drop(hold);
}

/// What makes a store unusable says which share it is in.
#[tokio::test]
async fn a_damaged_store_says_where() {
    let temp = tempfile::tempdir().unwrap();
    drop(embedded::open(temp.path(), StoreOptions::default()).await.unwrap());
    std::fs::write(temp.path().join("metadata/engine/version"), "?").unwrap();
    let error = embedded::open(temp.path(), StoreOptions::default()).await.err().unwrap();
    assert!(matches!(&error, OpenError::Store { path, .. } if path == temp.path()), "{error}");
}

/// What a share is known to have had is not made anew, nor anything else.
#[rstest]
#[case::directory("")]
#[case::format("FORMAT")]
#[case::metadata("metadata")]
#[case::contents("contents")]
#[tokio::test]
async fn what_is_lost_is_named(#[case] lost: &str) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("share");
    drop(embedded::open(&path, StoreOptions::default()).await.unwrap());
    drop(embedded::open_again(&path, StoreOptions::default()).await.unwrap());
    let gone = if lost.is_empty() { path.clone() } else { path.join(lost) };
    std::fs::rename(&gone, temp.path().join("aside")).unwrap();
    let error = embedded::open_again(&path, StoreOptions::default()).await.err().unwrap();
    match error {
        OpenError::Missing { path } => assert_eq!(path, gone),
        // With files in it, and no format, it is no share.
        error => assert!(lost == "FORMAT" && matches!(error, OpenError::Foreign { .. }), "{error}"),
    }
    assert_eq!(gone.exists(), lost == "metadata", "no more than an empty store");
}
