//! LOOKUP, REMOVE and LINK, and the life of objects.
//!
//! RFC: 8881 sections 18.9, 18.13, 18.25. Origin: POSIX link, unlink, rmdir.

use dittofs_framework::fs::{
    CreateMode, Created, FileSystem, FsError, FsResult, NewNode, NodeHandle, ShareAccess,
};
use rstest::rstest;

use super::fixture::{World, mode, root, user};
use crate::memory::inode::MAX_LINK;
use crate::memory::{MemoryFileSystem, MemoryOptions};

#[test]
fn an_object_has_its_names_and_its_life() {
    let world = World::new();
    let top = world.root();
    let dir = world.mkdir(&root(), &top, "d", 0o755).unwrap();
    let file = world.file(&root(), &dir, "f", 0o644).unwrap();
    world.write(&file, 0, b"hello").unwrap();
    assert_eq!(&world.read(&file, 0, 100).unwrap()[..], b"hello");
    world.link(&root(), &file, &top, "g").unwrap();
    assert_eq!(world.attributes(&file).unwrap().nlink, 2);
    assert_eq!(world.remove(&root(), &top, "d"), Err(FsError::NotEmpty));
    world.remove(&root(), &dir, "f").unwrap();
    world.remove(&root(), &top, "d").unwrap();
    assert_eq!(world.attributes(&dir).unwrap_err(), FsError::Stale);
    assert_eq!(world.lookup(&root(), &top, "g").unwrap(), file);
    world.fs.check_invariants();
}

#[test]
fn an_open_file_outlives_its_name() {
    let world = World::new();
    let top = world.root();
    let opened =
        world.open(&user(7, &[]), &top, "f", &CreateMode::Unchecked(mode(0o600)), ShareAccess::BOTH).unwrap();
    assert_eq!(opened.created, Created::New);
    let node = opened.found.node;
    world.remove(&user(7, &[]), &top, "f").unwrap();
    assert_eq!(world.attributes(&node).unwrap().nlink, 0);
    world.write(&node, 0, b"still").unwrap();
    assert_eq!(&world.read(&node, 0, 9).unwrap()[..], b"still");
    assert_eq!(world.link(&root(), &node, &top, "again").unwrap_err(), FsError::NotFound);
    world.fs.check_invariants();
    drop(opened);
    assert_eq!(world.attributes(&node).unwrap_err(), FsError::Stale);
    world.fs.check_invariants();
}

#[test]
fn a_deep_tree_can_be_dropped() {
    let world = World::new();
    let mut dir = world.root();
    for _ in 0..20_000 {
        dir = world.make(&root(), &dir, "d", &NewNode::Directory, &mode(0o755)).unwrap().node;
    }
    drop(world);
}

#[rstest]
#[case::file(NewNode::Fifo, 0o777, 7, Ok(()))]
#[case::empty_directory(NewNode::Directory, 0o777, 7, Ok(()))]
#[case::no_write(NewNode::Fifo, 0o755, 7, Err(FsError::Access))]
#[case::no_search(NewNode::Fifo, 0o776, 7, Err(FsError::Access))]
#[case::sticky_foreign(NewNode::Fifo, 0o1777, 7, Err(FsError::Perm))]
#[case::sticky_foreign_directory(NewNode::Directory, 0o1777, 7, Err(FsError::Perm))]
#[case::sticky_own(NewNode::Fifo, 0o1777, 8, Ok(()))]
#[case::sticky_root(NewNode::Directory, 0o1777, 0, Ok(()))]
fn removing(#[case] what: NewNode, #[case] bits: u32, #[case] uid: u32, #[case] expected: FsResult<()>) {
    let world = World::new();
    let dir = world.mkdir(&root(), &world.root(), "d", 0o777).unwrap();
    let node = world.make(&user(8, &[]), &dir, "x", &what, &mode(0o777)).unwrap().node;
    world.chmod(&root(), &dir, bits).unwrap();
    let before = world.attributes(&dir).unwrap();
    let result = world.remove(&user(uid, &[]), &dir, "x");
    assert_eq!(result.map(|_| ()), expected);
    let after = world.attributes(&dir).unwrap();
    if let Ok(change) = result {
        assert_eq!((change.before, change.after), (before.change, after.change));
        assert_eq!((after.change, after.nlink), (before.change + 1, 2));
        assert_eq!(world.attributes(&node).unwrap_err(), FsError::Stale);
    } else {
        assert_eq!(after, before);
    }
    assert_eq!(world.remove(&root(), &dir, "never there"), Err(FsError::NotFound));
    world.fs.check_invariants();
}

/// Where a call goes wrong, for REMOVE, LOOKUP and the directory of a LINK alike.
#[test]
fn only_directories_have_names_in_them() {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o777).unwrap();
    assert_eq!(world.lookup(&root(), &file, "x"), Err(FsError::NotDir));
    assert_eq!(world.remove(&root(), &file, "x"), Err(FsError::NotDir));
    assert_eq!(world.link(&root(), &file, &file, "x"), Err(FsError::NotDir));
    assert_eq!(world.mkdir(&root(), &file, "x", 0o755), Err(FsError::NotDir));
    assert_eq!(world.parent(&file), Err(FsError::NotDir));
    assert_eq!(world.rename(&root(), (&world.root(), "f"), (&file, "x")), Err(FsError::NotDir));
}

#[rstest]
#[case::new_name(0o777, "new", Ok(()))]
#[case::name_that_is_there(0o777, "there", Err(FsError::Exist))]
#[case::name_that_is_there_without_write(0o555, "there", Err(FsError::Exist))]
#[case::no_write(0o555, "new", Err(FsError::Access))]
#[case::no_search(0o776, "new", Err(FsError::Access))]
fn linking(#[case] bits: u32, #[case] name: &str, #[case] expected: FsResult<()>) {
    let world = World::new();
    let dir = world.mkdir(&root(), &world.root(), "d", bits).unwrap();
    world.file(&root(), &dir, "there", 0o644).unwrap();
    let file = world.file(&root(), &world.root(), "f", 0).unwrap();
    assert_eq!(world.link(&user(7, &[]), &file, &dir, name).map(|_| ()), expected);
    assert_eq!(world.attributes(&file).unwrap().nlink, if expected.is_ok() { 2 } else { 1 });
    world.fs.check_invariants();
}

#[test]
fn directories_have_one_name() {
    let world = World::new();
    let dir = world.mkdir(&root(), &world.root(), "d", 0o777).unwrap();
    assert_eq!(world.link(&root(), &dir, &world.root(), "e"), Err(FsError::IsDir));
}

#[test]
fn there_are_so_many_links_and_no_more() {
    let world = World::new();
    let top = world.root();
    let set = |node: &NodeHandle, nlink| world.fs.volume.resolve(node).unwrap().write().nlink = nlink;
    let file = world.file(&root(), &top, "f", 0o644).unwrap();
    set(&file, MAX_LINK);
    assert_eq!(world.link(&root(), &file, &top, "g"), Err(FsError::TooManyLinks));
    set(&file, MAX_LINK - 1);
    world.link(&root(), &file, &top, "g").unwrap();

    let (full, other) =
        (world.mkdir(&root(), &top, "full", 0o755).unwrap(), world.mkdir(&root(), &top, "o", 0o755).unwrap());
    world.mkdir(&root(), &full, "inside", 0o755).unwrap();
    world.mkdir(&root(), &other, "moves", 0o755).unwrap();
    set(&full, MAX_LINK);
    assert_eq!(world.mkdir(&root(), &full, "new", 0o755), Err(FsError::TooManyLinks));
    assert_eq!(world.rename(&root(), (&other, "moves"), (&full, "new")), Err(FsError::TooManyLinks));
    world.rename(&root(), (&other, "moves"), (&full, "inside")).expect("it takes the other one's place");
    world.file(&root(), &full, "file", 0o644).expect("files are no links of their directory");
}

#[test]
fn a_handle_names_one_object_of_one_file_system_for_ever() {
    let world = World::new();
    let top = world.root();
    let first = world.file(&root(), &top, "f", 0o644).unwrap();
    world.remove(&root(), &top, "f").unwrap();
    let second = world.file(&root(), &top, "f", 0o644).unwrap();
    assert_ne!(first, second);
    assert_eq!(world.attributes(&first).unwrap_err(), FsError::Stale);
    let another = World::new();
    assert_eq!(another.attributes(&top).unwrap_err(), FsError::Stale);
    assert_eq!(another.attributes(&NodeHandle::from_u64(1)).unwrap_err(), FsError::Stale);
    assert_ne!(another.fs.write_verifier(), world.fs.write_verifier());
}

#[test]
fn the_root_is_as_the_options_say() {
    let options = MemoryOptions { root_mode: 0o2750, root_uid: 5, root_gid: 6, ..MemoryOptions::default() };
    let world = World { fs: MemoryFileSystem::new(options), ..World::new() };
    let made = world.attributes(&world.root()).unwrap();
    assert_eq!((made.mode, made.uid, made.gid, made.nlink), (0o2750, 5, 6, 2));
    assert!(made.time_create.is_some_and(|time| time.seconds > 1_700_000_000), "the machine's clock");
    assert_eq!(world.parent(&world.root()), Err(FsError::NotFound));
    assert_eq!(world.remove(&root(), &world.root(), "x"), Err(FsError::NotFound));
}
