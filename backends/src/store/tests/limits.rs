//! What is this file system's own choice: limits, cookies, and what an owner may do whatever the mode.
//!
//! Origin: own tables.
//! RFC: 8881 sections 18.23.3 (cookies) and 6.2.1.3.2 (reading what can be executed); 8276 section 8.4.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    Authority, CreateMode, Credentials, DirEntry, DirSink, FileSystem, FsError, FsResult, NewNode,
    NodeHandle, RequestContext, SetAttributes, ShareAccess, SinkFull, XattrSet, Xattrs,
};
use dittofs_framework::proto::{Minor, NfsTime};
use rstest::rstest;

use crate::rules::limits::MAX_SYMLINK;
use crate::rules::xattr::{MAX_XATTR_NAME, MAX_XATTR_VALUE};
use crate::store::{MemoryOptions, StoreFileSystem};

const OWNER: u32 = 10;
const NONE: [u8; 8] = [0; 8];

fn new() -> StoreFileSystem {
    let clock = Arc::new(|| NfsTime { seconds: 1_000, nseconds: 0 });
    StoreFileSystem::in_memory(MemoryOptions { root_mode: 0o777, clock, ..MemoryOptions::default() }).unwrap()
}

fn user(uid: u32) -> RequestContext {
    let credentials = Credentials { uid, gid: uid, groups: std::iter::empty().collect() };
    RequestContext { credentials, client: None, minor: Minor::V2 }
}

fn mode(bits: u32) -> SetAttributes {
    SetAttributes { mode: Some(bits), ..SetAttributes::default() }
}

/// A file of `OWNER`.
async fn file(fs: &StoreFileSystem, bits: u32) -> NodeHandle {
    let how = CreateMode::Guarded(mode(bits));
    let opened = fs.open_create(&user(OWNER), &fs.root(), b"f", &how, ShareAccess::BOTH).await;
    opened.unwrap().found.node
}

struct Count(usize);

impl DirSink for Count {
    fn entry(&mut self, _: DirEntry<'_>) -> Result<(), SinkFull> {
        self.0 += 1;
        Ok(())
    }
}

#[rstest]
#[case::longest(MAX_SYMLINK, Ok(()))]
#[case::longer(MAX_SYMLINK + 1, Err(FsError::NameTooLong))]
#[tokio::test]
async fn symbolic_links(#[case] len: usize, #[case] expected: FsResult<()>) {
    let fs = new();
    let what = NewNode::Symlink("s".repeat(len).into());
    let made = fs.create(&user(OWNER), &fs.root(), b"l", &what, &mode(0o777)).await;
    assert_eq!(made.map(drop), expected);
}

#[rstest]
#[case::longest_name(MAX_XATTR_NAME, 1, Ok(()))]
#[case::longer_name(MAX_XATTR_NAME + 1, 1, Err(FsError::NameTooLong))]
#[case::longest_value(1, MAX_XATTR_VALUE, Ok(()))]
#[case::longer_value(1, MAX_XATTR_VALUE + 1, Err(FsError::XattrTooBig))]
#[case::no_value(1, 0, Ok(()))]
#[tokio::test]
async fn extended_attributes(#[case] name: usize, #[case] value: usize, #[case] expected: FsResult<()>) {
    let fs = new();
    let file = file(&fs, 0o644).await;
    let (name, value) = (vec![b'n'; name], Bytes::from(vec![1; value]));
    let set = fs.set_xattr(&user(OWNER), &file, &name, &value, XattrSet::Either).await;
    assert_eq!(set.map(drop), expected);
}

#[tokio::test]
async fn an_object_has_so_many_extended_attributes_and_no_more() {
    let fs = new();
    let (cx, file, value) = (user(OWNER), file(&fs, 0o644).await, Bytes::from(vec![1; MAX_XATTR_VALUE]));
    let mut number = 0;
    let full = loop {
        let name = number.to_string();
        match fs.set_xattr(&cx, &file, name.as_bytes(), &value, XattrSet::Create).await {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
        assert!(number < 10_000);
    };
    assert_eq!(full, FsError::NoSpace);
    fs.set_xattr(&cx, &file, b"0", &value, XattrSet::Replace).await.expect("it takes the old one's place");
    fs.remove_xattr(&cx, &file, b"0").await.unwrap();
    fs.set_xattr(&cx, &file, b"new", &value, XattrSet::Create).await.expect("there is room again");
}

#[rstest]
#[case::start(0, None, Ok(2))]
#[case::start_with_any_verifier(0, Some([9; 8]), Ok(2))]
#[case::reserved_cookie(1, None, Err(FsError::BadCookie))]
#[case::other_reserved_cookie(2, None, Err(FsError::BadCookie))]
#[case::on_from_the_first(3, None, Ok(1))]
#[case::no_verifier(3, Some(NONE), Err(FsError::BadCookie))]
#[case::foreign_verifier(3, Some([9; 8]), Err(FsError::BadCookie))]
#[case::behind_the_end(99, None, Ok(0))]
#[tokio::test]
async fn cookies(#[case] cookie: u64, #[case] verifier: Option<[u8; 8]>, #[case] expected: FsResult<usize>) {
    let (fs, cx) = (new(), user(OWNER));
    for name in [b"a", b"b"] {
        fs.create(&cx, &fs.root(), name, &NewNode::Fifo, &mode(0o644)).await.unwrap();
    }
    let end = fs.readdir(&cx, &fs.root(), 0, NONE, Bitmap::EMPTY, &mut Count(0)).await.unwrap();
    let mut seen = Count(0);
    let verifier = verifier.unwrap_or(end.cookieverf);
    let listed = fs.readdir(&cx, &fs.root(), cookie, verifier, Bitmap::EMPTY, &mut seen).await;
    assert_eq!(listed.map(|_| seen.0), expected);
}

/// It may have opened the file before the mode changed, and the server cannot know.
#[rstest]
#[case::owner(OWNER, 0, Ok(()))]
#[case::another(11, 0o660, Err(FsError::Access))]
#[case::another_who_may_execute(11, 0o001, Ok(()))]
#[tokio::test]
async fn reading_without_an_open(#[case] uid: u32, #[case] bits: u32, #[case] expected: FsResult<()>) {
    let fs = new();
    let file = file(&fs, bits).await;
    let read = fs.read(&user(uid), &file, 0, 1, Authority::Credentials).await;
    assert_eq!(read.map(drop), expected);
}

#[rstest]
#[case::owner(OWNER, 0o400, Ok(()))]
#[case::another(11, 0o644, Err(FsError::Access))]
#[tokio::test]
async fn truncating_without_an_open(#[case] uid: u32, #[case] bits: u32, #[case] expected: FsResult<()>) {
    let fs = new();
    let file = file(&fs, bits).await;
    let set = SetAttributes { size: Some(7), ..SetAttributes::default() };
    let set = fs.set_attributes(&user(uid), &file, &set, Authority::Credentials).await;
    assert_eq!(set.map(drop), expected);
}

#[tokio::test]
async fn the_root_is_nobodys_child() {
    let fs = new();
    assert_eq!(fs.parent(&user(OWNER), &fs.root()).await, Err(FsError::NotFound));
}
