//! RENAME.
//!
//! RFC: 8881 section 18.26. Origin: POSIX rename, and the order of Linux where several errors apply.

use dittofs_framework::fs::{FsError, FsResult, NewNode, NodeHandle};
use rstest::rstest;

use super::fixture::{World, mode, root, user};

const USER: u32 = 10;
const OTHER: u32 = 11;

/// What stands under a name.
#[derive(Debug, Clone, Copy)]
enum Is {
    Nothing,
    File,
    Link,
    Empty,
    Full,
}

fn put(world: &World, dir: &NodeHandle, name: &str, is: Is) -> Option<NodeHandle> {
    match is {
        Is::Nothing => None,
        Is::File => Some(world.file(&root(), dir, name, 0o644).unwrap()),
        Is::Link => {
            Some(world.make(&root(), dir, name, &NewNode::Symlink("x".into()), &mode(0o777)).unwrap().node)
        }
        Is::Empty => Some(world.mkdir(&root(), dir, name, 0o755).unwrap()),
        Is::Full => {
            let made = world.mkdir(&root(), dir, name, 0o755).unwrap();
            world.file(&root(), &made, "inside", 0o644).unwrap();
            Some(made)
        }
    }
}

#[rstest]
#[case::nothing(Is::Nothing, Is::Nothing, Err(FsError::NotFound))]
#[case::nothing_onto_file(Is::Nothing, Is::File, Err(FsError::NotFound))]
#[case::file(Is::File, Is::Nothing, Ok(()))]
#[case::file_onto_file(Is::File, Is::File, Ok(()))]
#[case::file_onto_link(Is::File, Is::Link, Ok(()))]
#[case::link_onto_file(Is::Link, Is::File, Ok(()))]
#[case::file_onto_directory(Is::File, Is::Empty, Err(FsError::IsDir))]
#[case::link_onto_directory(Is::Link, Is::Empty, Err(FsError::IsDir))]
#[case::directory(Is::Full, Is::Nothing, Ok(()))]
#[case::directory_onto_file(Is::Empty, Is::File, Err(FsError::NotDir))]
#[case::directory_onto_link(Is::Empty, Is::Link, Err(FsError::NotDir))]
#[case::directory_onto_empty(Is::Full, Is::Empty, Ok(()))]
#[case::directory_onto_full(Is::Empty, Is::Full, Err(FsError::NotEmpty))]
fn what_goes_onto_what(
    #[case] source: Is,
    #[case] target: Is,
    #[case] expected: FsResult<()>,
    #[values(true, false)] same_directory: bool,
) {
    let world = World::new();
    let from = world.mkdir(&root(), &world.root(), "from", 0o755).unwrap();
    let to = if same_directory { from } else { world.mkdir(&root(), &world.root(), "to", 0o755).unwrap() };
    let source = put(&world, &from, "source", source);
    let target = put(&world, &to, "target", target);
    let before = (world.attributes(&from).unwrap().change, world.attributes(&to).unwrap().change);

    let result = world.rename(&root(), (&from, "source"), (&to, "target"));
    assert_eq!(result.map(|_| ()), expected);
    world.fs.check_invariants();
    let after = (world.attributes(&from).unwrap().change, world.attributes(&to).unwrap().change);
    if let Ok((from_change, to_change)) = result {
        assert_eq!(
            ((from_change.before, to_change.before), (from_change.after, to_change.after)),
            (before, after)
        );
        assert_eq!((before.0 + 1, before.1 + 1), after);
        assert_eq!(world.lookup(&root(), &to, "target").ok(), source);
        assert_eq!(world.lookup(&root(), &from, "source"), Err(FsError::NotFound));
        assert!(target.is_none_or(|target| world.attributes(&target) == Err(FsError::Stale)));
    } else {
        assert_eq!(before, after);
        assert_eq!(world.lookup(&root(), &to, "target").ok(), target);
    }
}

#[rstest]
#[case::into_itself("a", "a/x")]
#[case::into_a_child("a", "a/b/x")]
#[case::into_a_grandchild("a", "a/b/c/x")]
#[case::onto_a_descendant("a", "a/b/c")]
fn a_directory_does_not_go_below_itself(#[case] from: &str, #[case] to: &str) {
    let world = World::new();
    let top = world.root();
    let a = world.mkdir(&root(), &top, "a", 0o755).unwrap();
    let b = world.mkdir(&root(), &a, "b", 0o755).unwrap();
    let c = world.mkdir(&root(), &b, "c", 0o755).unwrap();
    let (dir, name) = match to {
        "a/x" => (a, "x"),
        "a/b/x" => (b, "x"),
        "a/b/c" => (b, "c"),
        _ => (c, "x"),
    };
    assert_eq!(world.rename(&root(), (&top, from), (&dir, name)), Err(FsError::Inval));
    world.fs.check_invariants();
}

#[rstest]
#[case::directory("b", FsError::NotEmpty)]
#[case::file("f", FsError::IsDir)]
fn nothing_goes_onto_its_own_ancestor(#[case] name: &str, #[case] expected: FsError) {
    let world = World::new();
    let a = world.mkdir(&root(), &world.root(), "a", 0o755).unwrap();
    world.mkdir(&root(), &a, "b", 0o755).unwrap();
    world.file(&root(), &a, "f", 0o644).unwrap();
    assert_eq!(world.rename(&root(), (&a, name), (&world.root(), "a")), Err(expected));
}

#[test]
fn two_names_of_one_object_both_stay() {
    let world = World::new();
    let top = world.root();
    let file = world.file(&root(), &top, "f", 0o644).unwrap();
    world.link(&root(), &file, &top, "g").unwrap();
    let before = (world.attributes(&file).unwrap(), world.attributes(&top).unwrap());
    let (from, to) = world.rename(&root(), (&top, "f"), (&top, "g")).unwrap();
    assert_eq!((from.before, to.before), (from.after, to.after));
    assert_eq!((world.attributes(&file).unwrap(), world.attributes(&top).unwrap()), before);
}

#[test]
fn a_moved_directory_has_a_new_parent() {
    let world = World::new();
    let a = world.mkdir(&root(), &world.root(), "a", 0o755).unwrap();
    let b = world.mkdir(&root(), &world.root(), "b", 0o755).unwrap();
    let moved = world.mkdir(&root(), &a, "d", 0o755).unwrap();
    world.rename(&root(), (&a, "d"), (&b, "e")).unwrap();
    assert_eq!(world.attributes(&a).unwrap().nlink, 2);
    assert_eq!(world.attributes(&b).unwrap().nlink, 3);
    assert_eq!(world.parent(&moved), Ok(b));
}

/// Directories `from` and `to` of OTHER with these modes; source and target belong to whom the case says.
#[rstest]
#[case::all_may(0o777, 0o777, (OTHER, 0o644), None, Ok(()))]
#[case::source_not_writable(0o755, 0o777, (USER, 0o644), None, Err(FsError::Access))]
#[case::source_not_searchable(0o776, 0o777, (USER, 0o644), None, Err(FsError::Access))]
#[case::target_not_writable(0o777, 0o755, (USER, 0o644), None, Err(FsError::Access))]
#[case::target_not_searchable(0o777, 0o776, (USER, 0o644), None, Err(FsError::Access))]
#[case::sticky_source_own(0o1777, 0o777, (USER, 0o644), None, Ok(()))]
#[case::sticky_source_foreign(0o1777, 0o777, (OTHER, 0o666), None, Err(FsError::Perm))]
#[case::sticky_target_new_name(0o777, 0o1777, (USER, 0o644), None, Ok(()))]
#[case::sticky_target_own(0o777, 0o1777, (USER, 0o644), Some(USER), Ok(()))]
#[case::sticky_target_foreign(0o777, 0o1777, (USER, 0o644), Some(OTHER), Err(FsError::Perm))]
fn permissions_of_files(
    #[case] from_mode: u32,
    #[case] to_mode: u32,
    #[case] (owner, bits): (u32, u32),
    #[case] target: Option<u32>,
    #[case] expected: FsResult<()>,
) {
    let world = World::new();
    let (from, to) = two_directories(&world, from_mode, to_mode);
    let file = world.file(&root(), &from, "f", bits).unwrap();
    world.chown(&file, owner, owner);
    if let Some(owner) = target {
        let target = world.file(&root(), &to, "t", 0o666).unwrap();
        world.chown(&target, owner, owner);
    }
    assert_eq!(world.rename(&user(USER, &[]), (&from, "f"), (&to, "t")).map(|_| ()), expected);
    world.fs.check_invariants();
}

#[rstest]
#[case::own(USER, 0o755, Ok(()))]
#[case::own_but_not_writable(USER, 0o555, Err(FsError::Access))]
#[case::foreign_and_writable(OTHER, 0o777, Ok(()))]
#[case::foreign(OTHER, 0o755, Err(FsError::Access))]
fn a_directory_that_gets_another_parent_must_be_writable(
    #[case] owner: u32,
    #[case] bits: u32,
    #[case] expected: FsResult<()>,
) {
    let world = World::new();
    let (from, to) = two_directories(&world, 0o777, 0o777);
    let moved = world.mkdir(&root(), &from, "d", bits).unwrap();
    world.chown(&moved, owner, owner);
    let caller = user(USER, &[]);
    assert_eq!(world.rename(&caller, (&from, "d"), (&to, "d")).map(|_| ()), expected);
    if expected.is_err() {
        world.rename(&caller, (&from, "d"), (&from, "e")).expect("its `..` stays");
    }
}

fn two_directories(world: &World, from_mode: u32, to_mode: u32) -> (NodeHandle, NodeHandle) {
    let directory = |name, bits| {
        let dir = world.mkdir(&root(), &world.root(), name, 0o777).unwrap();
        world.chown(&dir, OTHER, OTHER);
        world.chmod(&root(), &dir, bits).unwrap();
        dir
    };
    (directory("from", from_mode), directory("to", to_mode))
}
