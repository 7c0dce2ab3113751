//! Nothing leads out of the exported directory.
//!
//! Origin: own tables.
//! RFC: 8881 sections 4.2.3 and 7.

use std::fs;
use std::os::unix::fs::symlink;

use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{FileSystem, FsError, NodeHandle, ShareAccess};
use rstest::rstest;

use super::fixture::{World, root, run, user};
use crate::posix::{Handles, PosixError, PosixFileSystem, PosixOptions};

#[rstest]
#[case::to_the_root("/")]
#[case::up("..")]
#[case::to_a_file("/etc/passwd")]
#[case::inside("d")]
#[case::magic("/proc/self/root")]
fn a_symlink_is_an_object_and_no_way(#[case] target: &str) {
    let world = World::new();
    fs::create_dir(world.path("d")).unwrap();
    symlink(target, world.path("link")).unwrap();
    let link = world.lookup(&root(), &world.root(), "link").unwrap();
    assert_eq!(world.attributes(&link).unwrap().file_type, dittofs_framework::proto::FileType::Lnk);
    assert_eq!(world.lookup(&root(), &link, "passwd"), Err(FsError::NotDir));
    assert_eq!(world.list(&root(), &link, (0, [0; 8]), 10).map(|_| ()), Err(FsError::NotDir));
    assert_eq!(world.hold(&root(), &link, ShareAccess::READ).map(|_| ()).unwrap_err(), FsError::Symlink);
    assert_eq!(world.file(&root(), &link, "new", 0o644), Err(FsError::NotDir));
}

#[rstest]
#[case::parent("..")]
#[case::path("d/f")]
#[case::up_and_down("../export")]
#[case::absolute("/etc")]
fn names_are_single_components(#[case] name: &str) {
    let world = World::new();
    fs::create_dir(world.path("d")).unwrap();
    fs::write(world.path("d/f"), "").unwrap();
    let found = world.lookup(&root(), &world.root(), name);
    // The operations let no such name through: what is inside does no harm.
    assert!(found.is_err() || name == "d/f", "{name}");
}

#[rstest]
#[case::version(0)]
#[case::seal(1)]
#[case::end_of_the_seal(8)]
#[case::kind(12)]
#[case::inode(13)]
#[case::generation(17)]
fn a_forged_handle_is_stale(#[case] at: usize) {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    let mut bytes = file.as_bytes().to_vec();
    bytes[at] ^= 1;
    let forged = NodeHandle::new(&bytes).unwrap();
    assert_eq!(world.attributes(&forged), Err(FsError::Stale));
    for len in 0..file.as_bytes().len() {
        let short = NodeHandle::new(&file.as_bytes()[..len]).unwrap();
        assert_eq!(world.attributes(&short), Err(FsError::Stale));
    }
}

#[test]
fn a_handle_of_another_export_is_stale() {
    let here = World::new();
    let there = World::new();
    let memory = World::in_dir(tempfile::tempdir_in("/dev/shm").unwrap(), |_| {});
    for other in [&there, &memory] {
        let file = other.file(&root(), &other.root(), "f", 0o644).unwrap();
        assert_eq!(here.attributes(&file), Err(FsError::Stale));
        assert_eq!(here.attributes(&other.root()), Err(FsError::Stale));
    }
    // Nor if both have the same key: it says of which directory a handle is.
    let mut options = PosixOptions::new(there.options.root.clone(), here.outside().join("state2"));
    fs::create_dir(&options.state_dir).unwrap();
    fs::copy(here.outside().join("state/handle-key"), options.state_dir.join("handle-key")).unwrap();
    options.handles = Handles::Best;
    let same_key = PosixFileSystem::open(options).unwrap();
    assert_eq!(here.attributes(&same_key.root()), Err(FsError::Stale));
}

#[rstest]
#[case::in_memory_best(Handles::Best, false)]
#[case::after_a_restart_best(Handles::Best, true)]
#[case::in_memory_map(Handles::Map, false)]
#[case::after_a_restart_map(Handles::Map, true)]
fn what_leaves_the_tree_behind_the_servers_back_is_gone(#[case] handles: Handles, #[case] restart: bool) {
    let world = World::by(handles);
    let dir = world.mkdir(&root(), &world.root(), "d", 0o777).unwrap();
    let sub = world.mkdir(&root(), &dir, "sub", 0o777).unwrap();
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    fs::rename(world.path("d"), world.outside().join("d")).unwrap();
    fs::rename(world.path("f"), world.outside().join("f")).unwrap();
    let world = if restart { world.restart() } else { world };
    for gone in [&dir, &sub] {
        assert_eq!(world.attributes(gone), Err(FsError::Stale));
        assert_eq!(world.file(&root(), gone, "new", 0o644), Err(FsError::Stale));
        assert_eq!(world.parent(gone), Err(FsError::Stale));
        assert_eq!(world.list(&root(), gone, (0, [0; 8]), 10).map(|_| ()), Err(FsError::Stale));
        assert_eq!(world.rename(&root(), (gone, "x"), (&world.root(), "y")).map(|_| ()), Err(FsError::Stale));
    }
    assert_eq!(world.attributes(&file), Err(FsError::Stale));
    // What comes back is there again.
    fs::rename(world.outside().join("d"), world.path("back")).unwrap();
    assert_eq!(world.lookup(&root(), &world.root(), "back"), Ok(dir));
    assert_eq!(world.parent(&sub), Ok(dir));
}

#[test]
fn a_mount_point_is_not_served() {
    // The root of the machine has some, whatever they are: nothing but a lookup is asked of it.
    let state = tempfile::tempdir_in("/dev/shm").unwrap();
    let fs = PosixFileSystem::open(PosixOptions::new("/", state.path().join("state"))).unwrap();
    let found = run(fs.lookup(&root(), &fs.root(), b"proc", Bitmap::EMPTY));
    assert_eq!(found.map(|_| ()).unwrap_err(), FsError::Access);
    let found = run(fs.lookup(&user(7, &[7]), &fs.root(), b"etc", Bitmap::EMPTY));
    assert!(found.is_ok());
}

#[test]
fn the_state_is_not_where_clients_could_read_it() {
    let dir = tempfile::tempdir().unwrap();
    for state in [dir.path().join("state"), dir.path().to_owned(), dir.path().join("a/b")] {
        let opened = PosixFileSystem::open(PosixOptions::new(dir.path(), state)).map(|_| ());
        assert!(matches!(opened, Err(PosixError::StateInside(_))), "{opened:?}");
    }
}
