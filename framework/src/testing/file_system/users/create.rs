//! Who may make what, and whose it is then. RFC 8881 sections 18.4 and 18.16.3.

use super::{Caller, GROUP, OTHER, OWNER, World, mode};
use crate::fs::{CreateMode, FsError, FsResult, NewNode, NodeHandle, SetAttributes, ShareAccess};
use crate::proto::{FileType, SpecData};
use crate::testing::file_system::world::done;

/// A directory of the superuser with this mode, which no umask has changed.
async fn directory(me: &Caller, name: &str, bits: u32) -> NodeHandle {
    let dir = me.mkdir(&me.root(), name, bits).await.expect("a directory");
    me.chmod(&dir, bits).await.expect("a mode");
    dir
}

pub async fn who_may_make(world: &mut World) {
    let me = world.me();
    let cases = [
        ("no write", 0o755, "new", Err(FsError::Access)),
        ("no search", 0o776, "new", Err(FsError::Access)),
        ("there without write", 0o755, "there", Err(FsError::Exist)),
        ("there without search", 0o776, "there", Err(FsError::Access)),
        ("both", 0o773, "new", Ok(())),
    ];
    for (what, bits, name, expected) in cases {
        let dir = directory(&me, what, bits).await;
        me.file(&dir, "there", 0o666).await.expect("a file");
        let other = world.user(OTHER, &[]);
        assert_eq!(done(other.file(&dir, name, 0o644).await), expected, "{what}");
        let made = other.mkdir(&dir, "directory", 0o755).await;
        assert_eq!(done(made), if bits & 3 == 3 { Ok(()) } else { Err(FsError::Access) }, "{what}");
    }
}

pub async fn who_may_open_what_is_there(world: &mut World) {
    let me = world.me();
    let dir = directory(&me, "d", 0o755).await;
    let file = me.file(&dir, "f", 0o604).await.expect("a file");
    me.chmod(&file, 0o604).await.expect("a mode");
    let other = world.user(OTHER, &[]);
    let how = CreateMode::Unchecked(mode(0o777));
    assert_eq!(done(other.open(&dir, "f", &how, ShareAccess::READ).await), Ok(()), "nothing is made");
    assert_eq!(done(other.open(&dir, "f", &how, ShareAccess::BOTH).await), Err(FsError::Access));
    assert_eq!(done(other.open(&dir, "new", &how, ShareAccess::READ).await), Err(FsError::Access));
    me.chmod(&dir, 0o744).await.expect("a mode");
    assert_eq!(done(other.open(&dir, "f", &how, ShareAccess::READ).await), Err(FsError::Access));
}

pub async fn a_retried_exclusive_create(world: &mut World) {
    let me = world.me();
    let dir = directory(&me, "d", 0o777).await;
    let how = CreateMode::Exclusive(*b"verifier", mode(0));
    let maker = world.user(OWNER, &[]);
    maker.open(&dir, "f", &how, ShareAccess::BOTH).await.expect("a file");
    let again = maker.open(&dir, "f", &how, ShareAccess::BOTH).await;
    assert_eq!(done(again), Ok(()), "the mode does not matter to its maker");
    let other = world.user(OTHER, &[]).open(&dir, "f", &how, ShareAccess::BOTH).await;
    assert_eq!(done(other), Err(FsError::Access));
}

pub async fn a_new_file_is_its_makers(world: &mut World) {
    let me = world.me();
    let dir = directory(&me, "d", 0o777).await;
    let maker = world.user(OWNER, &[GROUP, 30]);
    let how = CreateMode::Unchecked(mode(0));
    let opened = maker.open(&dir, "f", &how, ShareAccess::BOTH).await.expect("whatever its mode");
    let made = &opened.found.attributes;
    assert_eq!((made.uid, made.gid, made.mode), (OWNER, GROUP, 0));
    let again = maker.open(&dir, "f", &how, ShareAccess::BOTH).await;
    assert_eq!(done(again), Err(FsError::Access), "it is there now");
    let what = [NewNode::Directory, NewNode::Symlink("x".into()), NewNode::Fifo, NewNode::Socket];
    for (number, what) in what.into_iter().enumerate() {
        let made = maker.make(&dir, number.to_string(), &what, &mode(0o640)).await.expect("an object");
        assert_eq!((made.attributes.uid, made.attributes.gid), (OWNER, GROUP), "{what:?}");
        assert!(made.attributes.file_type == FileType::Lnk || made.attributes.mode == 0o640, "{what:?}");
    }
}

pub async fn attributes_that_a_maker_may_give(world: &mut World) {
    let me = world.me();
    let dir = directory(&me, "d", 0o777).await;
    let cases = [
        ("an own group", SetAttributes { gid: Some(30), ..mode(0o600) }, Ok(())),
        ("a foreign group", SetAttributes { gid: Some(31), ..mode(0o600) }, Err(FsError::Perm)),
        ("itself", SetAttributes { uid: Some(OWNER), ..mode(0o600) }, Ok(())),
        ("somebody else", SetAttributes { uid: Some(OTHER), ..mode(0o600) }, Err(FsError::Perm)),
    ];
    for (what, set, expected) in cases {
        let maker = world.user(OWNER, &[GROUP, 30]);
        let how = CreateMode::Guarded(set.clone());
        let opened = maker.open(&dir, what, &how, ShareAccess::BOTH).await;
        if let Ok(opened) = &opened {
            let made = &opened.found.attributes;
            assert_eq!((made.uid, made.gid), (OWNER, set.gid.unwrap_or(GROUP)), "{what}");
        } else {
            assert_eq!(me.lookup(&dir, what).await, Err(FsError::NotFound), "{what}");
        }
        assert_eq!(done(opened), expected, "{what}");
        let name = format!("directory of {what}");
        assert_eq!(done(maker.make(&dir, &name, &NewNode::Directory, &set).await), expected, "{what}");
        assert_eq!(done(me.lookup(&dir, &name).await).is_ok(), expected.is_ok(), "{what}");
    }
}

pub async fn a_setgid_directory_hands_its_group_down(world: &mut World) {
    let me = world.me();
    let dir = me.mkdir(&me.root(), "d", 0o777).await.expect("a directory");
    me.chown(&dir, 0, 33).await;
    me.chmod(&dir, 0o2777).await.expect("a mode");
    let maker = world.user(OWNER, &[OWNER]);
    let sub = maker.mkdir(&dir, "sub", 0o755).await.expect("a directory");
    let sub = me.attributes(&sub).await.expect("a directory");
    assert_eq!((sub.gid, sub.mode), (33, 0o2755));
    let file = maker.file(&dir, "f", 0o2755).await.expect("a file");
    let file = me.attributes(&file).await.expect("a file");
    assert_eq!((file.gid, file.mode), (33, 0o755), "no program of a group that its maker is not in");
    let member = world.user(OWNER, &[OWNER, 33]);
    let file = member.file(&dir, "g", 0o2755).await.expect("a file");
    let file = me.attributes(&file).await.expect("a file");
    assert_eq!((file.gid, file.mode), (33, 0o2755));
}

pub async fn devices_are_made_by_the_superuser(world: &mut World) {
    let me = world.me();
    let numbers = SpecData { specdata1: 8, specdata2: 1 };
    let cases = [
        ("block", NewNode::BlockDevice(numbers), FileType::Blk),
        ("character", NewNode::CharDevice(numbers), FileType::Chr),
    ];
    for (name, what, file_type) in cases {
        let made: FsResult<_> = me.make(&me.root(), name, &what, &mode(0o640)).await;
        let made = made.expect(name).attributes;
        assert_eq!((made.file_type, made.mode, made.nlink), (file_type, 0o640, 1), "{name}");
        assert_eq!((made.rawdev.specdata1, made.rawdev.specdata2), (8, 1), "{name}");
    }
}
