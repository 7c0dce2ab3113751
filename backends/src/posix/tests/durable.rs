//! What outlives restarts, renames, removals and changes behind the server's back.
//!
//! Origin: own tables.
//! RFC: 8881 sections 4.2.3, 18.16.3 (OPEN4_RESULT_PRESERVE_UNLINKED).

use std::fs;

use dittofs_framework::fs::{FsError, ShareAccess};
use rstest::rstest;

use super::fixture::{World, root};
use crate::posix::{Handles, PosixError, PosixFileSystem};

#[rstest]
#[case::best(Handles::Best)]
#[case::map(Handles::Map)]
fn handles_survive_restarts_and_renames(#[case] handles: Handles) {
    let world = World::by(handles);
    let dir = world.mkdir(&root(), &world.root(), "d", 0o755).unwrap();
    let sub = world.mkdir(&root(), &dir, "sub", 0o755).unwrap();
    let file = world.file(&root(), &sub, "f", 0o644).unwrap();
    world.write(&file, 0, b"data").unwrap();
    let fileid = world.attributes(&file).unwrap().fileid;
    let world = world.restart();
    assert_eq!(world.root(), world.parent(&dir).unwrap());
    assert_eq!(world.read(&file).unwrap(), b"data"[..]);
    // A directory above, then the file itself, and between servers nothing is in memory.
    world.rename(&root(), (&world.root(), "d"), (&world.root(), "e")).unwrap();
    let world = world.restart();
    assert_eq!(world.read(&file).unwrap(), b"data"[..]);
    world.rename(&root(), (&sub, "f"), (&dir, "g")).unwrap();
    let world = world.restart();
    assert_eq!(world.attributes(&file).unwrap().fileid, fileid);
    assert_eq!(world.lookup(&root(), &dir, "g"), Ok(file));
    assert_eq!(world.parent(&sub), Ok(dir));
}

#[test]
fn handles_survive_renames_behind_the_servers_back() {
    let world = World::by(Handles::Best);
    let dir = world.mkdir(&root(), &world.root(), "d", 0o755).unwrap();
    let file = world.file(&root(), &dir, "f", 0o644).unwrap();
    fs::rename(world.path("d"), world.path("e")).unwrap();
    fs::rename(world.path("e/f"), world.path("g")).unwrap();
    let world = world.restart();
    assert_eq!(world.attributes(&file).unwrap().nlink, 1);
    assert_eq!(world.lookup(&root(), &world.root(), "g"), Ok(file));
    assert_eq!(world.lookup(&root(), &world.root(), "e"), Ok(dir));
}

#[rstest]
#[case::best(Handles::Best)]
#[case::map(Handles::Map)]
fn a_handle_never_comes_to_name_another_object(#[case] handles: Handles) {
    let world = World::by(handles);
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    let world = world.restart();
    for _ in 0..50 {
        fs::remove_file(world.path("f")).unwrap();
        fs::write(world.path("f"), "another").unwrap();
    }
    assert_eq!(world.attributes(&file), Err(FsError::Stale));
    assert_eq!(world.read(&file).map(|_| ()), Err(FsError::Stale));
    let now = world.lookup(&root(), &world.root(), "f").unwrap();
    assert_ne!(now, file);
    assert_eq!(world.read(&now).unwrap(), b"another"[..]);
}

#[rstest]
#[case::best(Handles::Best)]
#[case::map(Handles::Map)]
fn an_open_file_lives_on_without_a_name(#[case] handles: Handles) {
    let world = World::by(handles);
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    let hold = world.hold(&root(), &file, ShareAccess::BOTH).unwrap();
    let second = world.hold(&root(), &file, ShareAccess::READ).unwrap();
    world.write(&file, 0, b"data").unwrap();
    world.remove(&root(), &world.root(), "f").unwrap();
    drop(second);
    assert_eq!(world.attributes(&file).unwrap().nlink, 0);
    world.write(&file, 4, b" more").unwrap();
    assert_eq!(world.read(&file).unwrap(), b"data more"[..]);
    assert_eq!(world.link(&root(), &file, &world.root(), "g").map(|_| ()), Err(FsError::NotFound));
    drop(hold);
    assert_eq!(world.attributes(&file), Err(FsError::Stale));
}

#[test]
fn a_file_that_was_replaced_lives_on_while_it_is_open() {
    let world = World::new();
    let old = world.file(&root(), &world.root(), "old", 0o644).unwrap();
    let new = world.file(&root(), &world.root(), "new", 0o644).unwrap();
    let hold = world.hold(&root(), &old, ShareAccess::BOTH).unwrap();
    world.rename(&root(), (&world.root(), "new"), (&world.root(), "old")).unwrap();
    assert_eq!(world.attributes(&old).unwrap().nlink, 0);
    assert_eq!(world.lookup(&root(), &world.root(), "old"), Ok(new));
    drop(hold);
    assert_eq!(world.attributes(&old), Err(FsError::Stale));
}

#[test]
fn changes_behind_the_servers_back_are_seen() {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    world.write(&file, 0, b"old").unwrap();
    let before = world.attributes(&file).unwrap();
    let dir = world.attributes(&world.root()).unwrap();
    fs::write(world.path("f"), "newer").unwrap();
    fs::write(world.path("g"), "").unwrap();
    let after = world.attributes(&file).unwrap();
    assert!(after.change > before.change && after.size == 5);
    assert!(world.attributes(&world.root()).unwrap().change > dir.change);
    assert_eq!(world.read(&file).unwrap(), b"newer"[..]);
    fs::remove_file(world.path("f")).unwrap();
    assert_eq!(world.attributes(&file), Err(FsError::Stale));
    assert_eq!(world.lookup(&root(), &world.root(), "f"), Err(FsError::NotFound));
}

#[test]
fn another_server_is_kept_out() {
    let world = World::new();
    let second = PosixFileSystem::open(world.options.clone()).map(|_| ());
    assert!(matches!(second, Err(PosixError::InUse(_))), "{second:?}");
}
