//! What the calls answer: permissions, changes, listings, handles.
//!
//! Origin: own scenarios; POSIX for permissions.
//! RFC: 8881 sections 18.1, 18.13, 18.22 and 18.23; 15.1.4.11 (NFS4ERR_ROFS).

use bytes::Bytes;
use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    AccessMask, Authority, CreateMode, Created, FileSystem, FsError, NewNode, NodeHandle, RequestContext,
    SetAttributes, ShareAccess, Stability,
};
use rstest::rstest;
use tar::EntryType;

use crate::file_system::ArchiveFileSystem;
use crate::fixture::{Archive, Names, find, header, user};

fn new() -> Archive {
    Archive::default()
}

/// A file of user 1000 and group 1000 with this mode, in a directory of the same.
fn with_modes(dir: u32, file: u32) -> ArchiveFileSystem {
    let mut dir_header = header(EntryType::Directory, b"d", 0);
    dir_header.set_mode(dir);
    let mut file_header = header(EntryType::Regular, b"d/f", 1);
    file_header.set_mode(file);
    new().member(dir_header, b"").member(file_header, b"1").open()
}

#[rstest]
#[case::owner(1000, 1, &[], 0o400, true)]
#[case::owner_without(1000, 1000, &[], 0o077, false)]
#[case::group(1, 1000, &[], 0o040, true)]
#[case::supplementary_group(1, 1, &[5, 1000], 0o040, true)]
#[case::group_without(1, 1000, &[], 0o704, false)]
#[case::others(1, 1, &[], 0o004, true)]
#[case::others_without(1, 1, &[], 0o770, false)]
#[case::root(0, 0, &[], 0, true)]
#[case::who_executes_reads(1, 1, &[], 0o001, true)]
#[tokio::test]
async fn a_file_is_opened(
    #[case] uid: u32,
    #[case] gid: u32,
    #[case] groups: &[u32],
    #[case] mode: u32,
    #[case] expected: bool,
) {
    let fs = with_modes(0o777, mode);
    let (cx, node) = (user(uid, gid, groups), find(&fs, "d/f").await);
    let opened = fs.open(&cx, &node, ShareAccess::READ).await;
    assert_eq!(opened.map(drop), if expected { Ok(()) } else { Err(FsError::Access) });
    let read = fs.read(&cx, &node, 0, 1, Authority::Credentials).await;
    // An owner may have opened it while it still could.
    assert_eq!(read.is_ok(), expected || uid == 1000);
    assert!(fs.read(&cx, &node, 0, 1, Authority::Open).await.is_ok());
}

#[rstest]
#[case::search_and_read(0o705, Ok(()), Ok(()))]
#[case::search(0o701, Ok(()), Err(FsError::Access))]
#[case::read(0o704, Err(FsError::Access), Ok(()))]
#[tokio::test]
async fn a_directory_lets(
    #[case] mode: u32,
    #[case] lookup: Result<(), FsError>,
    #[case] readdir: Result<(), FsError>,
) {
    let fs = with_modes(mode, 0o644);
    let (cx, dir) = (user(1, 1, &[]), find(&fs, "d").await);
    assert_eq!(fs.lookup(&cx, &dir, b"f", Bitmap::EMPTY).await.map(drop), lookup);
    assert_eq!(fs.parent(&cx, &dir).await.map(drop), lookup);
    let mut names = Names::with_room(9);
    assert_eq!(fs.readdir(&cx, &dir, 0, [0; 8], Bitmap::EMPTY, &mut names).await.map(drop), readdir);
}

#[rstest]
#[case::file_of_owner("d/f", 1000, AccessMask::READ)]
#[case::file_of_others("d/f", 1, AccessMask::empty())]
#[case::program_of_root("d/f", 0, AccessMask::READ)]
#[case::directory("d", 1, AccessMask::READ | AccessMask::LOOKUP)]
#[tokio::test]
async fn access_never_has_what_changes(#[case] path: &str, #[case] uid: u32, #[case] expected: AccessMask) {
    let fs = with_modes(0o777, 0o600);
    let granted = fs.access(&user(uid, 1, &[]), &find(&fs, path).await, AccessMask::all()).await;
    assert_eq!(granted, Ok(expected));
}

#[tokio::test]
async fn every_change_is_refused() {
    let fs = new().file("f", "1").open();
    let (cx, root, file) = (RequestContext::server(), fs.root(), find(&fs, "f").await);
    let none = SetAttributes::default();
    let write = fs.write(&cx, &file, 0, Bytes::new(), Stability::FileSync, Authority::Open).await.map(drop);
    let unchecked = CreateMode::Unchecked(none.clone());
    let sparse = fs.sparse().unwrap();
    for (call, answer) in [
        ("write", write),
        ("set", fs.set_attributes(&cx, &file, &none, Authority::Open).await.map(drop)),
        ("create", fs.create(&cx, &root, b"n", &NewNode::Directory, &none).await.map(drop)),
        ("remove", fs.remove(&cx, &root, b"f").await.map(drop)),
        ("rename", fs.rename(&cx, &root, b"f", &root, b"n").await.map(drop)),
        ("link", fs.link(&cx, &file, &root, b"n").await.map(drop)),
        ("open for writing", fs.open(&cx, &file, ShareAccess::BOTH).await.map(drop)),
        ("open new", fs.open_create(&cx, &root, b"n", &unchecked, ShareAccess::READ).await.map(drop)),
        ("allocate", sparse.allocate(&cx, &file, 0, 1, Authority::Open).await),
        ("deallocate", sparse.deallocate(&cx, &file, 0, 1, Authority::Open).await),
    ] {
        assert_eq!(answer, Err(FsError::ReadOnly), "{call}");
    }
    assert_eq!(fs.commit(&cx, &file, 0, 0).await, Ok(()));
}

#[rstest]
#[case::unchecked(CreateMode::Unchecked(SetAttributes::default()), Ok(()))]
#[case::guarded(CreateMode::Guarded(SetAttributes::default()), Err(FsError::Exist))]
#[case::exclusive(CreateMode::Exclusive([0; 8], SetAttributes::default()), Err(FsError::Exist))]
#[tokio::test]
async fn an_existing_file_opened_with_creation_is(
    #[case] mode: CreateMode,
    #[case] expected: Result<(), FsError>,
) {
    let fs = new().file("f", "1").open();
    let cx = RequestContext::server();
    let opened = fs.open_create(&cx, &fs.root(), b"f", &mode, ShareAccess::READ).await;
    assert_eq!(opened.map(|opened| assert_eq!(opened.created, Created::Existing)), expected);
}

#[tokio::test]
async fn listings_go_on_where_they_stopped() {
    let fs = new().file("a", "").file("b", "").file("c", "").file("a", "again").open();
    let cx = RequestContext::server();
    let (mut cookie, mut cookieverf, mut found) = (0, [0; 8], Vec::new());
    loop {
        let mut names = Names::with_room(1);
        let end = fs.readdir(&cx, &fs.root(), cookie, cookieverf, Bitmap::EMPTY, &mut names).await.unwrap();
        found.extend(names.given.into_iter().map(|(name, _)| name));
        if end.eof {
            break;
        }
        assert!(names.last >= 3, "cookie {}", names.last);
        (cookie, cookieverf) = (names.last, end.cookieverf);
    }
    assert_eq!(found, ["a", "b", "c"]);
}

#[rstest]
#[case::reserved(2, None, Err(FsError::BadCookie))]
#[case::other_verifier(3, Some([9; 8]), Err(FsError::BadCookie))]
#[case::behind_the_last(u64::MAX, None, Ok(true))]
#[tokio::test]
async fn cookies_are_checked(
    #[case] cookie: u64,
    #[case] verifier: Option<[u8; 8]>,
    #[case] expected: Result<bool, FsError>,
) {
    let fs = new().file("a", "").open();
    let cx = RequestContext::server();
    let mut names = Names::with_room(9);
    let good = fs.readdir(&cx, &fs.root(), 0, [0; 8], Bitmap::EMPTY, &mut names).await.unwrap().cookieverf;
    let verifier = verifier.unwrap_or(good);
    let end = fs.readdir(&cx, &fs.root(), cookie, verifier, Bitmap::EMPTY, &mut names).await;
    assert_eq!(end.map(|end| end.eof), expected);
}

#[tokio::test]
async fn handles_are_good_for_the_same_archive_alone() {
    let archive = new().file("a", "1").file("b", "2");
    let handle = find(&archive.open(), "b").await;
    let cx = RequestContext::server();
    let again = archive.open();
    assert_eq!(find(&again, "b").await, handle);
    assert!(again.attributes(&cx, &handle, Bitmap::EMPTY).await.is_ok());
    let other = new().file("a", "1").file("c", "2").open();
    assert_eq!(other.attributes(&cx, &handle, Bitmap::EMPTY).await.map(drop), Err(FsError::Stale));
    for bytes in [&[][..], &[1; 15], &[1; 17], &[0xff; 16]] {
        let forged = NodeHandle::new(bytes).unwrap();
        assert_eq!(again.attributes(&cx, &forged, Bitmap::EMPTY).await.map(drop), Err(FsError::Stale));
    }
}

#[rstest]
#[case::file_is_no_directory("f", Err(FsError::NotDir), Ok(()))]
#[case::directory_is_no_file("d", Ok(()), Err(FsError::IsDir))]
#[case::link_is_neither("s", Err(FsError::NotDir), Err(FsError::Symlink))]
#[case::nor_is_a_pipe("p", Err(FsError::NotDir), Err(FsError::WrongType))]
#[tokio::test]
async fn kinds_are_told_apart(
    #[case] path: &str,
    #[case] parent: Result<(), FsError>,
    #[case] open: Result<(), FsError>,
) {
    let archive = new().file("f", "1").dir("d").symlink("s", "f").of(EntryType::Fifo, "p", "");
    let fs = archive.open();
    let (cx, node) = (RequestContext::server(), find(&fs, path).await);
    assert_eq!(fs.parent(&cx, &node).await.map(drop), parent);
    assert_eq!(fs.open(&cx, &node, ShareAccess::READ).await.map(drop), open);
    let target = fs.readlink(&cx, &node).await;
    assert_eq!(target.is_ok(), path == "s");
}
