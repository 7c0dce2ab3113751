//! RENAME. RFC 8881 section 18.26; POSIX rename, and the order of Linux where several errors apply.

use super::World;
use super::world::{Caller, done, mode};
use crate::fs::{FsError, FsResult, NewNode, NodeHandle};

/// What stands under a name.
#[derive(Debug, Clone, Copy)]
enum Is {
    Nothing,
    File,
    Link,
    Empty,
    Full,
}

const CASES: [(Is, Is, FsResult<()>); 13] = [
    (Is::Nothing, Is::Nothing, Err(FsError::NotFound)),
    (Is::Nothing, Is::File, Err(FsError::NotFound)),
    (Is::File, Is::Nothing, Ok(())),
    (Is::File, Is::File, Ok(())),
    (Is::File, Is::Link, Ok(())),
    (Is::Link, Is::File, Ok(())),
    (Is::File, Is::Empty, Err(FsError::IsDir)),
    (Is::Link, Is::Empty, Err(FsError::IsDir)),
    (Is::Full, Is::Nothing, Ok(())),
    (Is::Empty, Is::File, Err(FsError::NotDir)),
    (Is::Empty, Is::Link, Err(FsError::NotDir)),
    (Is::Full, Is::Empty, Ok(())),
    (Is::Empty, Is::Full, Err(FsError::NotEmpty)),
];

async fn put(me: &Caller, dir: &NodeHandle, name: &str, is: Is) -> Option<NodeHandle> {
    let made = match is {
        Is::Nothing => return None,
        Is::File => me.file(dir, name, 0o644).await,
        Is::Link => {
            me.make(dir, name, &NewNode::Symlink("x".into()), &mode(0o777)).await.map(|found| found.node)
        }
        Is::Empty => me.mkdir(dir, name, 0o755).await,
        Is::Full => {
            let made = me.mkdir(dir, name, 0o755).await.expect("a directory");
            me.file(&made, "inside", 0o644).await.expect("a file");
            Ok(made)
        }
    };
    Some(made.expect("an object"))
}

pub async fn what_goes_onto_what(world: &mut World) {
    let me = world.me();
    for (number, (source, target, expected)) in CASES.into_iter().enumerate() {
        for is_same in [true, false] {
            let what = format!("{number} {source:?} onto {target:?}, same directory: {is_same}");
            let dir = me.dir(&what).await;
            let from = me.mkdir(&dir, "from", 0o755).await.expect("a directory");
            let to = if is_same { from } else { me.mkdir(&dir, "to", 0o755).await.expect("a directory") };
            let source = put(&me, &from, "source", source).await;
            let target = put(&me, &to, "target", target).await;
            let change = async |node: NodeHandle| me.attributes(&node).await.expect("a directory").change;
            let before = (change(from).await, change(to).await);
            world.tick().await;

            let result = me.rename((&from, "source"), (&to, "target")).await;
            assert_eq!(done(result), expected, "{what}");
            let after = (change(from).await, change(to).await);
            if let Ok((from_change, to_change)) = result {
                assert_eq!((from_change.after, to_change.after), after, "{what}");
                assert!(!from_change.atomic || from_change.before == before.0, "{what}");
                assert!(!to_change.atomic || to_change.before == before.1, "{what}");
                me.assert_changed(before.0, after.0, &what);
                me.assert_changed(before.1, after.1, &what);
                assert_eq!(me.lookup(&to, "target").await.ok(), source, "{what}");
                assert_eq!(me.lookup(&from, "source").await, Err(FsError::NotFound), "{what}");
                if let Some(target) = target {
                    assert_eq!(done(me.attributes(&target).await), Err(FsError::Stale), "{what}");
                }
            } else {
                assert_eq!(before, after, "{what}");
                assert_eq!(me.lookup(&to, "target").await.ok(), target, "{what}");
                assert_eq!(me.lookup(&from, "source").await.ok(), source, "{what}");
            }
        }
    }
}

pub async fn a_directory_does_not_go_below_itself(world: &mut World) {
    let me = world.me();
    let top = me.root();
    let a = me.dir("a").await;
    let b = me.mkdir(&a, "b", 0o755).await.expect("a directory");
    let c = me.mkdir(&b, "c", 0o755).await.expect("a directory");
    for (dir, name) in [(a, "x"), (b, "x"), (b, "c"), (c, "x")] {
        assert_eq!(done(me.rename((&top, "a"), (&dir, name)).await), Err(FsError::Inval), "{name}");
    }
    me.rename((&b, "c"), (&top, "c")).await.expect("up it may go");
    me.rename((&top, "a"), (&c, "a")).await.expect("and now the other way round");
}

pub async fn nothing_goes_onto_its_own_ancestor(world: &mut World) {
    let me = world.me();
    let a = me.dir("a").await;
    me.mkdir(&a, "b", 0o755).await.expect("a directory");
    me.file(&a, "f", 0o644).await.expect("a file");
    for name in ["b", "f"] {
        let moved = done(me.rename((&a, name), (&me.root(), "a")).await);
        // Of a file POSIX says EISDIR, and Linux ENOTEMPTY.
        let is_right = moved == Err(FsError::NotEmpty) || (name == "f" && moved == Err(FsError::IsDir));
        assert!(is_right, "{name}: {moved:?}");
    }
    assert_eq!(me.names(&a).await, ["b", "f"]);
}

pub async fn two_names_of_one_object_both_stay(world: &mut World) {
    let me = world.me();
    let (top, dir) = (me.root(), me.dir("d").await);
    let file = me.new_file("f").await;
    me.link(&file, &top, "g").await.expect("a link");
    me.link(&file, &dir, "h").await.expect("a link");
    for (to_dir, to) in [(top, "g"), (dir, "h")] {
        let before = (me.attributes(&file).await, me.attributes(&top).await, me.attributes(&to_dir).await);
        world.tick().await;
        let (from_change, to_change) = me.rename((&top, "f"), (&to_dir, to)).await.expect("nothing to do");
        assert_eq!((from_change.before, to_change.before), (from_change.after, to_change.after));
        let after = (me.attributes(&file).await, me.attributes(&top).await, me.attributes(&to_dir).await);
        assert_eq!(after, before);
    }
    assert_eq!(me.names(&top).await, ["d", "f", "g"]);
}

pub async fn a_moved_directory_has_a_new_parent(world: &mut World) {
    let me = world.me();
    let (a, b) = (me.dir("a").await, me.dir("b").await);
    let moved = me.mkdir(&a, "d", 0o755).await.expect("a directory");
    let file = me.file(&moved, "f", 0o644).await.expect("a file");
    me.rename((&a, "d"), (&b, "e")).await.expect("moved");
    assert_eq!(me.parent(&moved).await, Ok(b));
    assert_eq!(me.lookup(&b, "e").await, Ok(moved));
    assert_eq!(me.lookup(&moved, "f").await, Ok(file));
    me.remove(&me.root(), "a").await.expect("it is empty");
}

pub async fn a_name_is_renamed_to_itself(world: &mut World) {
    let me = world.me();
    let top = me.root();
    me.new_file("f").await;
    me.dir("d").await;
    let before = me.attributes(&top).await;
    world.tick().await;
    for name in ["f", "d"] {
        let (from, to) = me.rename((&top, name), (&top, name)).await.expect("nothing to do");
        assert_eq!((from.before, to.before), (from.after, to.after), "{name}");
    }
    assert_eq!(me.attributes(&top).await, before);
    assert_eq!(done(me.rename((&top, "x"), (&top, "x")).await), Err(FsError::NotFound));
}
