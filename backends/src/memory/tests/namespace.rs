//! Names and the life of objects.

use dittofs_framework::fs::{CreateMode, Created, FsError, NewNode, ShareAccess};

use super::fixture::{World, mode, root, user};

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
