//! Each call once or twice, and what the kernel's way of doing it must not show.
//!
//! Origin: own tables.
//! RFC: 8881 sections 18.4, 18.16 and 18.30, 7862 section 15, 8276.

use bytes::Bytes;
use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    AccessMask, Authority, CreateMode, Created, DataOrHole, FileSystem, FsError, FsResult, NewNode,
    SetAttributes, SetTime, ShareAccess, Stability, XattrSet,
};
use dittofs_framework::proto::{FileType, NfsTime, SpecData};
use rstest::rstest;

use super::fixture::{World, mode, root, run, user};
use crate::posix::Handles;

const VERIFIER: [u8; 8] = *b"verifier";

fn exclusive(set: SetAttributes) -> CreateMode {
    CreateMode::Exclusive(VERIFIER, set)
}

#[rstest]
#[case::best(Handles::Best)]
#[case::map(Handles::Map)]
fn a_file_from_its_making_to_its_end(#[case] handles: Handles) {
    let world = World::by(handles);
    let dir = world.mkdir(&root(), &world.root(), "d", 0o755).unwrap();
    let file = world.file(&root(), &dir, "f", 0o640).unwrap();
    assert_eq!(world.write(&file, 3, b"abc").unwrap(), 3);
    assert_eq!(world.read(&file).unwrap(), b"\0\0\0abc"[..]);
    let attributes = world.attributes(&file).unwrap();
    assert_eq!((attributes.file_type, attributes.mode, attributes.size), (FileType::Reg, 0o640, 6));
    assert_eq!(world.lookup(&root(), &dir, "f"), Ok(file));
    assert_eq!(world.parent(&dir), Ok(world.root()));
    world.link(&root(), &file, &world.root(), "g").unwrap();
    assert_eq!(world.attributes(&file).unwrap().nlink, 2);
    world.rename(&root(), (&dir, "f"), (&world.root(), "h")).unwrap();
    assert_eq!(world.lookup(&root(), &world.root(), "h"), Ok(file));
    world.remove(&root(), &world.root(), "d").unwrap();
    assert_eq!(world.attributes(&dir), Err(FsError::Stale));
    world.remove(&root(), &world.root(), "h").unwrap();
    assert_eq!(world.read(&file).unwrap().len(), 6, "it has another name");
    world.remove(&root(), &world.root(), "g").unwrap();
    assert_eq!(world.attributes(&file), Err(FsError::Stale));
    run(world.fs.commit(&root(), &file, 0, 0)).unwrap_err();
}

#[rstest]
#[case::directory(NewNode::Directory, FileType::Dir, 0o6755)]
#[case::symlink(NewNode::Symlink("target".into()), FileType::Lnk, 0o777)]
#[case::block(NewNode::BlockDevice(SpecData { specdata1: 8, specdata2: 1 }), FileType::Blk, 0o640)]
#[case::character(NewNode::CharDevice(SpecData { specdata1: 8, specdata2: 1 }), FileType::Chr, 0o640)]
#[case::pipe(NewNode::Fifo, FileType::Fifo, 0o640)]
#[case::socket(NewNode::Socket, FileType::Sock, 0o640)]
fn every_type(#[case] what: NewNode, #[case] file_type: FileType, #[case] bits: u32) {
    let world = World::new();
    let set = SetAttributes { uid: Some(7), gid: Some(9), ..mode(bits) };
    let found = world.make(&root(), &world.root(), "x", &what, &set).unwrap();
    let made = world.attributes(&found.node).unwrap();
    assert_eq!(made, found.attributes);
    assert_eq!((made.file_type, made.mode & 0o1777, made.uid, made.gid), (file_type, bits & 0o1777, 7, 9));
    let device = matches!(file_type, FileType::Blk | FileType::Chr);
    assert_eq!((made.rawdev.specdata1, made.rawdev.specdata2), if device { (8, 1) } else { (0, 0) });
    let time = SetTime::ClientTime(NfsTime { seconds: 1000, nseconds: 5 });
    let set = SetAttributes { time_modify: Some(time), uid: Some(8), ..SetAttributes::default() };
    let set = world.set(&root(), &found.node, &set).unwrap();
    assert_eq!((set.uid, set.time_modify), (8, NfsTime { seconds: 1000, nseconds: 5 }));
    let again = world.make(&root(), &world.root(), "x", &what, &mode(0o600));
    assert_eq!(again.map(|_| ()), Err(FsError::Exist));
    let target = run(world.fs.readlink(&root(), &found.node));
    let expected = if file_type == FileType::Lnk { Ok(Bytes::from("target")) } else { Err(FsError::Inval) };
    assert_eq!(target, expected);
    let opened = world.hold(&root(), &found.node, ShareAccess::READ).map(|_| ());
    assert_eq!(
        opened.unwrap_err(),
        match file_type {
            FileType::Dir => FsError::IsDir,
            FileType::Lnk => FsError::Symlink,
            _ => FsError::WrongType,
        }
    );
}

#[rstest]
#[case::unchecked(CreateMode::Unchecked(mode(0o644)), Ok(Created::Existing))]
#[case::guarded(CreateMode::Guarded(mode(0o644)), Err(FsError::Exist))]
#[case::exclusive_again(exclusive(mode(0)), Ok(Created::Existing))]
#[case::exclusive_by_another(CreateMode::Exclusive([0; 8], mode(0)), Err(FsError::Exist))]
fn opening_what_an_exclusive_create_made(#[case] how: CreateMode, #[case] expected: FsResult<Created>) {
    let world = World::new();
    let made = world.open(&root(), &world.root(), "f", &exclusive(mode(0)), ShareAccess::BOTH).unwrap();
    assert_eq!((made.created, made.found.attributes.mode), (Created::New, 0));
    // The verifier is on disk, and no attribute that clients see.
    let world = world.restart();
    let names = run(world.fs.xattrs().unwrap().list_xattrs(&root(), &made.found.node, 0, 4096)).unwrap();
    assert!(names.names.is_empty() && names.eof);
    let hidden = run(world.fs.xattrs().unwrap().xattr(&root(), &made.found.node, b"dittofs.exclusive"));
    assert_eq!(hidden, Err(FsError::NoXattr));
    let again = world.open(&root(), &world.root(), "f", &how, ShareAccess::BOTH);
    assert_eq!(again.map(|opened| opened.created), expected);
}

#[test]
fn the_verifier_lasts_until_attributes_are_set() {
    let world = World::new();
    let made = world.open(&root(), &world.root(), "f", &exclusive(mode(0o600)), ShareAccess::BOTH).unwrap();
    world.write(&made.found.node, 0, b"x").unwrap();
    world
        .open(&root(), &world.root(), "f", &exclusive(mode(0o600)), ShareAccess::BOTH)
        .expect("a write is no SETATTR");
    world.set(&root(), &made.found.node, &mode(0)).unwrap();
    let again = world.open(&root(), &world.root(), "f", &exclusive(mode(0o600)), ShareAccess::BOTH);
    assert_eq!(again.map(|_| ()).unwrap_err(), FsError::Exist);
}

#[rstest]
#[case::own_group(SetAttributes { gid: Some(9), ..mode(0o600) }, Ok(()))]
#[case::foreign_group(SetAttributes { gid: Some(10), ..mode(0o600) }, Err(FsError::Perm))]
#[case::itself(SetAttributes { uid: Some(7), ..mode(0o600) }, Ok(()))]
#[case::somebody_else(SetAttributes { uid: Some(8), ..mode(0o600) }, Err(FsError::Perm))]
#[case::size(SetAttributes { size: Some(77), ..mode(0o600) }, Ok(()))]
#[case::too_large(SetAttributes { size: Some(1 << 63), ..mode(0o600) }, Err(FsError::FileTooBig))]
#[case::larger_than_the_disk_has(SetAttributes { size: Some(1 << 62), ..mode(0o600) }, Err(FsError::FileTooBig))]
#[case::time(
    SetAttributes { time_modify: Some(SetTime::ClientTime(NfsTime { seconds: 1, nseconds: 2 })), ..mode(0o600) }, Ok(())
)]
#[case::birth(
    SetAttributes { time_create: Some(NfsTime { seconds: 1, nseconds: 2 }), ..mode(0o600) }, Err(FsError::Inval)
)]
fn attributes_of_a_new_file(#[case] set: SetAttributes, #[case] expected: FsResult<()>) {
    let world = World::new();
    let how = CreateMode::Guarded(set.clone());
    let opened = world.open(&user(7, &[7, 9]), &world.root(), "f", &how, ShareAccess::BOTH);
    assert_eq!(opened.as_ref().map(|_| ()).map_err(|error| *error), expected);
    // All or nothing.
    assert_eq!(world.path("f").exists(), expected.is_ok());
    if let Ok(opened) = opened {
        let made = opened.found.attributes;
        assert_eq!((made.mode, made.size), (0o600, set.size.unwrap_or(0)));
        assert!(set.time_modify.is_none_or(|time| time == SetTime::ClientTime(made.time_modify)));
    }
}

#[test]
fn every_change_changes_the_change_attribute() {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    let mut last = world.attributes(&file).unwrap().change;
    for round in 0..200 {
        if round % 2 == 0 {
            world.write(&file, 0, b"x").unwrap();
        } else {
            world.set(&root(), &file, &mode(0o644)).unwrap();
        }
        let change = world.attributes(&file).unwrap().change;
        assert!(change > last, "round {round}");
        last = change;
    }
}

#[test]
fn the_time_that_a_delegation_kept_is_all_that_changes() {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    let before = world.attributes(&file).unwrap();
    let time = NfsTime { seconds: before.time_access.seconds + 1_000_000_000, nseconds: 0 };
    let set = SetAttributes { time_access: Some(SetTime::Delegated(time)), ..SetAttributes::default() };
    let after = run(world.fs.set_attributes(&root(), &file, &set, Authority::Open)).unwrap();
    assert!(after.time_access >= before.time_access && after.time_access < time, "no later than the clock");
    assert_eq!((after.change, after.time_metadata), (before.change, before.time_metadata));
    assert_eq!(world.attributes(&file).unwrap().change, before.change);
    let set = SetAttributes {
        time_modify: Some(SetTime::Delegated(after.time_access)),
        ..SetAttributes::default()
    };
    let last = run(world.fs.set_attributes(&root(), &file, &set, Authority::Open)).unwrap();
    assert!(last.change > after.change);
    assert_eq!((last.time_modify, last.time_metadata), (after.time_access, after.time_access));
}

#[test]
fn extended_attributes() {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    let xattrs = world.fs.xattrs().unwrap();
    let set = |name: &str, when| {
        run(xattrs.set_xattr(&root(), &file, name.as_bytes(), &Bytes::from("value"), when))
    };
    assert_eq!(set("a", XattrSet::Replace).map(|_| ()), Err(FsError::NoXattr));
    let change = set("a", XattrSet::Create).unwrap();
    assert!(change.after > change.before);
    assert_eq!(set("a", XattrSet::Create).map(|_| ()), Err(FsError::Exist));
    set("a", XattrSet::Replace).unwrap();
    set("b", XattrSet::Either).unwrap();
    assert_eq!(set(&"n".repeat(255), XattrSet::Either).map(|_| ()), Err(FsError::NameTooLong));
    assert_eq!(set("dittofs.exclusive", XattrSet::Either).map(|_| ()), Err(FsError::Perm));
    assert_eq!(run(xattrs.xattr(&root(), &file, b"a")), Ok(Bytes::from("value")));
    let first = run(xattrs.list_xattrs(&root(), &file, 0, 8)).unwrap();
    assert_eq!((first.names.len(), first.eof), (1, false));
    let second = run(xattrs.list_xattrs(&root(), &file, first.cookie, 8)).unwrap();
    assert_eq!((second.names.len(), second.eof), (1, true));
    assert_ne!(first.names, second.names);
    let none = run(xattrs.list_xattrs(&root(), &file, 0, 4)).unwrap();
    assert_eq!((none.names.len(), none.eof), (0, false));
    run(xattrs.remove_xattr(&root(), &file, b"a")).unwrap();
    assert_eq!(run(xattrs.xattr(&root(), &file, b"a")), Err(FsError::NoXattr));
}

#[test]
fn holes_and_copies() {
    let world = World::new();
    let from = world.file(&root(), &world.root(), "from", 0o644).unwrap();
    let to = world.file(&root(), &world.root(), "to", 0o644).unwrap();
    world.write(&from, 1 << 20, &vec![7; 65536]).unwrap();
    let (sparse, copies) = (world.fs.sparse().unwrap(), world.fs.server_side_copy().unwrap());
    let seek = |offset, what| run(sparse.seek(&root(), &from, offset, what, Authority::Open));
    assert_eq!(seek(0, DataOrHole::Hole), Ok(Some(0)));
    assert_eq!(seek(0, DataOrHole::Data), Ok(Some(1 << 20)));
    run(sparse.deallocate(&root(), &from, (1 << 20) + 32768, u64::MAX, Authority::Open)).unwrap();
    assert_eq!(seek((1 << 20) + 32768, DataOrHole::Data), Ok(None));
    assert_eq!(seek((1 << 20) + 65536, DataOrHole::Data), Err(FsError::NoSuchOffset));
    run(sparse.allocate(&root(), &to, 0, 4096, Authority::Open)).unwrap();
    assert_eq!(world.attributes(&to).unwrap().size, 4096);
    let copy = |count| run(copies.copy(&root(), &from, 1 << 20, &to, 10, count, Authority::Open));
    assert_eq!(copy(0), Ok(65536));
    assert_eq!(world.attributes(&to).unwrap().size, 65546);
    let read = run(world.fs.read(&root(), &to, 10, 4, Authority::Open)).unwrap();
    assert_eq!((read.data, read.eof), (Bytes::from_static(&[7; 4]), false));
    let beyond = run(copies.clone_range(&root(), &from, 2 << 20, &to, 0, 0, Authority::Open));
    assert_eq!(beyond, Err(FsError::Inval));
}

#[rstest]
#[case::unstable(Stability::Unstable, Stability::Unstable)]
#[case::data(Stability::DataSync, Stability::DataSync)]
#[case::file(Stability::FileSync, Stability::FileSync)]
fn data_is_as_durable_as_asked(#[case] asked: Stability, #[case] at_least: Stability) {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    let written = run(world.fs.write(&root(), &file, 0, Bytes::from("x"), asked, Authority::Open)).unwrap();
    assert!(written.committed >= at_least);
    let verifier = world.fs.write_verifier();
    run(world.fs.commit(&root(), &file, 0, 0)).unwrap();
    assert_eq!(world.fs.write_verifier(), verifier);
    assert_ne!(world.restart().fs.write_verifier(), verifier);
}

#[rstest]
#[case::end(3, 0, true)]
#[case::behind(100, 0, true)]
#[case::far(u64::MAX, 0, true)]
#[case::middle(1, 2, true)]
#[case::start(0, 2, false)]
fn reading_to_the_end(#[case] offset: u64, #[case] len: usize, #[case] eof: bool) {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    world.write(&file, 0, b"abc").unwrap();
    let read = run(world.fs.read(&root(), &file, offset, 2, Authority::Open)).unwrap();
    assert_eq!((read.data.len(), read.eof), (len, eof));
}

#[test]
fn what_access_says() {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o754).unwrap();
    let access = |uid| run(world.fs.access(&user(uid, &[]), &file, AccessMask::all())).unwrap();
    assert_eq!(access(7), AccessMask::READ | AccessMask::XAREAD | AccessMask::XALIST);
    assert!(access(0).contains(AccessMask::EXECUTE | AccessMask::MODIFY));
    let usage = run(world.fs.usage(&root())).unwrap();
    assert!(usage.space_total > usage.space_free && usage.files_total > 0);
    assert!(run(world.fs.attributes(&root(), &file, Bitmap::EMPTY)).unwrap().time_create.is_some());
}
