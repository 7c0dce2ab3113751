//! CREATE, and OPEN with creation.
//!
//! Origin: own tables.
//! RFC: 8881 sections 18.4 and 18.16.3.

use dittofs_framework::fs::{
    CreateMode, Created, FsError, FsResult, NewNode, SetAttributes, SetTime, ShareAccess,
};
use dittofs_framework::proto::{FileType, NfsTime, SpecData};
use rstest::rstest;

use super::fixture::{World, mode, root, user};

const VERIFIER: [u8; 8] = *b"verifier";

fn unchecked(bits: u32) -> CreateMode {
    CreateMode::Unchecked(mode(bits))
}

fn exclusive(verifier: [u8; 8]) -> CreateMode {
    CreateMode::Exclusive(verifier, SetAttributes::default())
}

#[rstest]
#[case::unchecked(unchecked(0o644), Ok(Created::Existing))]
#[case::guarded(CreateMode::Guarded(mode(0o644)), Err(FsError::Exist))]
#[case::exclusive_again(exclusive(VERIFIER), Ok(Created::Existing))]
#[case::exclusive_by_another(exclusive([0; 8]), Err(FsError::Exist))]
fn opening_what_an_exclusive_create_made(#[case] how: CreateMode, #[case] expected: FsResult<Created>) {
    let world = World::new();
    let made =
        world.open(&user(7, &[]), &world.root(), "f", &exclusive(VERIFIER), ShareAccess::BOTH).unwrap();
    assert_eq!((made.created, made.dir_change.after), (Created::New, made.dir_change.before + 1));
    let again = world.open(&user(7, &[]), &world.root(), "f", &how, ShareAccess::BOTH);
    if let Ok(again) = &again {
        assert_eq!(again.found.node, made.found.node);
        assert_eq!(again.dir_change.before, again.dir_change.after);
    }
    assert_eq!(again.map(|opened| opened.created), expected);
}

#[test]
fn the_verifier_lasts_until_attributes_are_set() {
    let world = World::new();
    let caller = user(7, &[]);
    let made = world.open(&caller, &world.root(), "f", &exclusive(VERIFIER), ShareAccess::BOTH).unwrap();
    world.write(&made.found.node, 0, b"x").unwrap();
    world
        .open(&caller, &world.root(), "f", &exclusive(VERIFIER), ShareAccess::BOTH)
        .expect("a write is no SETATTR");
    world.chmod(&caller, &made.found.node, 0).unwrap();
    let again = world.open(&caller, &world.root(), "f", &exclusive(VERIFIER), ShareAccess::BOTH);
    assert_eq!(again.map(|_| ()).unwrap_err(), FsError::Exist);
}

#[rstest]
#[case::mode_does_not_matter_to_its_maker(7, Ok(()))]
#[case::others_need_permission(8, Err(FsError::Access))]
fn a_retried_exclusive_create(#[case] uid: u32, #[case] expected: FsResult<()>) {
    let world = World::new();
    let how = CreateMode::Exclusive(VERIFIER, mode(0));
    world.open(&user(7, &[]), &world.root(), "f", &how, ShareAccess::BOTH).unwrap();
    assert_eq!(
        world.open(&user(uid, &[]), &world.root(), "f", &how, ShareAccess::BOTH).map(|_| ()),
        expected
    );
}

#[rstest]
#[case::directory(NewNode::Directory, FsError::IsDir)]
#[case::symlink(NewNode::Symlink("x".into()), FsError::Symlink)]
#[case::pipe(NewNode::Fifo, FsError::WrongType)]
fn only_files_are_opened(#[case] what: NewNode, #[case] expected: FsError) {
    let world = World::new();
    let node = world.make(&root(), &world.root(), "x", &what, &mode(0o777)).unwrap().node;
    let opened = world.open(&root(), &world.root(), "x", &unchecked(0o644), ShareAccess::READ);
    assert_eq!(opened.map(|_| ()).unwrap_err(), expected);
    assert_eq!(world.hold(&root(), &node, ShareAccess::READ).map(|_| ()).unwrap_err(), expected);
    let guarded = world.open(&root(), &world.root(), "x", &CreateMode::Guarded(mode(0)), ShareAccess::READ);
    assert_eq!(guarded.map(|_| ()).unwrap_err(), FsError::Exist);
}

#[rstest]
#[case::no_write(0o755, "new", Err(FsError::Access))]
#[case::no_search(0o776, "new", Err(FsError::Access))]
#[case::there_without_write(0o755, "there", Err(FsError::Exist))]
#[case::there_without_search(0o776, "there", Err(FsError::Access))]
#[case::both(0o773, "new", Ok(()))]
fn permission_on_the_directory(#[case] bits: u32, #[case] name: &str, #[case] expected: FsResult<()>) {
    let world = World::new();
    let dir = world.mkdir(&root(), &world.root(), "d", bits).unwrap();
    world.file(&root(), &dir, "there", 0o666).unwrap();
    let caller = user(7, &[]);
    assert_eq!(world.file(&caller, &dir, name, 0o644).map(|_| ()), expected);
    assert_eq!(world.mkdir(&caller, &dir, &format!("{name}2"), 0o755).is_ok(), bits & 3 == 3);
}

#[test]
fn a_new_file_is_opened_whatever_its_mode_and_an_existing_one_is_not() {
    let world = World::new();
    let caller = user(7, &[]);
    world.open(&caller, &world.root(), "f", &unchecked(0), ShareAccess::BOTH).unwrap();
    let again = world.open(&caller, &world.root(), "f", &unchecked(0o777), ShareAccess::BOTH);
    assert_eq!(again.map(|_| ()).unwrap_err(), FsError::Access);
}

#[rstest]
#[case::directory(NewNode::Directory, FileType::Dir, 2, 0)]
#[case::symlink(NewNode::Symlink("target".into()), FileType::Lnk, 1, 6)]
#[case::block(NewNode::BlockDevice(SpecData { specdata1: 8, specdata2: 1 }), FileType::Blk, 1, 0)]
#[case::character(NewNode::CharDevice(SpecData { specdata1: 8, specdata2: 1 }), FileType::Chr, 1, 0)]
#[case::pipe(NewNode::Fifo, FileType::Fifo, 1, 0)]
#[case::socket(NewNode::Socket, FileType::Sock, 1, 0)]
fn every_type(#[case] what: NewNode, #[case] file_type: FileType, #[case] nlink: u32, #[case] size: u64) {
    let world = World::new();
    let found = world.make(&user(7, &[9]), &world.root(), "x", &what, &mode(0o640)).unwrap();
    let made = world.attributes(&found.node).unwrap();
    assert_eq!(made, found.attributes);
    assert_eq!((made.file_type, made.nlink, made.mode, made.uid, made.gid), (file_type, nlink, 0o640, 7, 9));
    let device = matches!(file_type, FileType::Blk | FileType::Chr);
    assert_eq!((made.rawdev.specdata1, made.rawdev.specdata2), if device { (8, 1) } else { (0, 0) });
    assert!(file_type == FileType::Dir || made.size == size);
    world.fs.check_invariants();
}

#[rstest]
#[case::own_group(SetAttributes { gid: Some(9), ..mode(0o600) }, Ok(()))]
#[case::foreign_group(SetAttributes { gid: Some(10), ..mode(0o600) }, Err(FsError::Perm))]
#[case::itself(SetAttributes { uid: Some(7), ..mode(0o600) }, Ok(()))]
#[case::somebody_else(SetAttributes { uid: Some(8), ..mode(0o600) }, Err(FsError::Perm))]
#[case::size(SetAttributes { size: Some(77), ..mode(0o600) }, Ok(()))]
#[case::too_large(SetAttributes { size: Some(1 << 63), ..mode(0o600) }, Err(FsError::FileTooBig))]
#[case::time(
    SetAttributes { time_modify: Some(SetTime::ClientTime(NfsTime { seconds: 1, nseconds: 2 })), ..mode(0o600) }, Ok(())
)]
#[case::no_time(
    SetAttributes { time_access: Some(SetTime::ClientTime(NfsTime { seconds: 1, nseconds: 1 << 30 })), ..mode(0o600) },
    Err(FsError::Inval)
)]
fn attributes_of_a_new_file(#[case] set: SetAttributes, #[case] expected: FsResult<()>) {
    let world = World::new();
    let how = CreateMode::Guarded(set.clone());
    let opened = world.open(&user(7, &[7, 9]), &world.root(), "f", &how, ShareAccess::BOTH);
    assert_eq!(opened.as_ref().map(|_| ()).map_err(|error| *error), expected);
    if let Ok(opened) = opened {
        let made = opened.found.attributes;
        assert_eq!((made.mode, made.size), (0o600, set.size.unwrap_or(0)));
        assert!(set.time_modify.is_none_or(|time| time == SetTime::ClientTime(made.time_modify)));
    }
    world.fs.check_invariants();
}

#[rstest]
#[case::longest_name(255, Ok(()))]
#[case::longer_name(256, Err(FsError::NameTooLong))]
fn names(#[case] len: usize, #[case] expected: FsResult<()>) {
    let world = World::new();
    let (top, name) = (world.root(), "n".repeat(len));
    assert_eq!(world.file(&root(), &top, &name, 0o644).map(|_| ()), expected);
    assert!(world.mkdir(&root(), &top, &name, 0o644).is_err());
    assert_eq!(world.lookup(&root(), &top, &name).map(|_| ()), expected);
    assert_eq!(world.rename(&root(), (&top, &name), (&top, "x")).map(|_| ()), expected);
    assert!(world.remove(&root(), &top, &name).is_err());
}

#[rstest]
#[case::longest(4095, Ok(()))]
#[case::longer(4096, Err(FsError::NameTooLong))]
fn symlinks(#[case] len: usize, #[case] expected: FsResult<()>) {
    let world = World::new();
    let what = NewNode::Symlink("s".repeat(len).into());
    assert_eq!(world.make(&root(), &world.root(), "l", &what, &mode(0o777)).map(|_| ()), expected);
}

#[test]
fn a_setgid_directory_hands_its_group_down() {
    let world = World::new();
    let dir = world.mkdir(&root(), &world.root(), "d", 0o777).unwrap();
    world.chown(&dir, 0, 33);
    world.chmod(&root(), &dir, 0o2777).unwrap();
    let caller = user(7, &[7]);
    let sub = world.mkdir(&caller, &dir, "sub", 0o755).unwrap();
    let sub = world.attributes(&sub).unwrap();
    assert_eq!((sub.gid, sub.mode), (33, 0o2755));
    let file = world.file(&caller, &dir, "f", 0o2755).unwrap();
    let file = world.attributes(&file).unwrap();
    assert_eq!((file.gid, file.mode), (33, 0o755));
}
