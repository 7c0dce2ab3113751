//! Who may remove, link and rename. POSIX unlink, link, rename; RFC 8881 sections 18.9, 18.25 and 18.26.

use super::{Caller, OTHER, OWNER, World, mode};
use crate::fs::{FsError, FsResult, NewNode, NodeHandle};
use crate::testing::file_system::world::done;

/// A directory of `OTHER` with this mode.
async fn directory(me: &Caller, parent: &NodeHandle, name: &str, bits: u32) -> NodeHandle {
    let dir = me.mkdir(parent, name, 0o777).await.expect("a directory");
    me.chown(&dir, OTHER, OTHER).await;
    me.chmod(&dir, bits).await.expect("a mode");
    dir
}

pub async fn who_may_remove(world: &mut World) {
    let me = world.me();
    let (pipe, directory) = (NewNode::Fifo, NewNode::Directory);
    let cases = [
        ("file", &pipe, 0o777, OTHER, Ok(())),
        ("empty directory", &directory, 0o777, OTHER, Ok(())),
        ("no write", &pipe, 0o755, OTHER, Err(FsError::Access)),
        ("no search", &pipe, 0o776, OTHER, Err(FsError::Access)),
        ("sticky foreign", &pipe, 0o1777, OTHER, Err(FsError::Perm)),
        ("sticky foreign directory", &directory, 0o1777, OTHER, Err(FsError::Perm)),
        ("sticky own", &pipe, 0o1777, OWNER, Ok(())),
        ("sticky own without write", &pipe, 0o1755, OWNER, Err(FsError::Access)),
        ("sticky root", &directory, 0o1777, 0, Ok(())),
    ];
    for (name, what, bits, uid, expected) in cases {
        let dir = me.dir(name).await;
        let node = me.make(&dir, "x", what, &mode(0o777)).await.expect("an object").node;
        me.chown(&node, OWNER, OWNER).await;
        me.chmod(&dir, bits).await.expect("a mode");
        let before = me.attributes(&dir).await.expect("a directory");
        world.tick().await;
        assert_eq!(done(world.user(uid, &[]).remove(&dir, "x").await), expected, "{name}");
        let after = me.attributes(&dir).await.expect("a directory");
        if expected.is_ok() {
            me.assert_changed(before.change, after.change, name);
            assert_eq!(done(me.attributes(&node).await), Err(FsError::Stale), "{name}");
        } else {
            assert_eq!(after, before, "{name}");
        }
    }
}

pub async fn who_may_link(world: &mut World) {
    let me = world.me();
    let cases = [
        ("a new name", 0o777, "new", Ok(())),
        ("a name that is there", 0o777, "there", Err(FsError::Exist)),
        ("a name that is there without write", 0o555, "there", Err(FsError::Exist)),
        ("no write", 0o555, "new", Err(FsError::Access)),
        ("no search", 0o776, "new", Err(FsError::Access)),
    ];
    for (what, bits, name, expected) in cases {
        let dir = me.dir(what).await;
        me.file(&dir, "there", 0o644).await.expect("a file");
        me.chmod(&dir, bits).await.expect("a mode");
        let file = me.new_file(&format!("file of {what}")).await;
        // Some systems let only owners make links.
        me.chown(&file, OTHER, OTHER).await;
        assert_eq!(done(world.user(OTHER, &[]).link(&file, &dir, name).await), expected, "{what}");
        let nlink = me.attributes(&file).await.expect("a file").nlink;
        assert_eq!(nlink, if expected.is_ok() { 2 } else { 1 }, "{what}");
    }
}

pub async fn who_may_rename(world: &mut World) {
    let me = world.me();
    let (denied, refused): (FsResult<()>, FsResult<()>) = (Err(FsError::Access), Err(FsError::Perm));
    // Of two directories the modes; who owns the file, and the target if there is one.
    let cases = [
        ("all may", 0o777, 0o777, OTHER, None, Ok(())),
        ("source not writable", 0o755, 0o777, OWNER, None, denied),
        ("source not searchable", 0o776, 0o777, OWNER, None, denied),
        ("target not writable", 0o777, 0o755, OWNER, None, denied),
        ("target not searchable", 0o777, 0o776, OWNER, None, denied),
        ("sticky source, own", 0o1777, 0o777, OWNER, None, Ok(())),
        ("sticky source, foreign", 0o1777, 0o777, OTHER, None, refused),
        ("sticky target, new name", 0o777, 0o1777, OWNER, None, Ok(())),
        ("sticky target, own", 0o777, 0o1777, OWNER, Some(OWNER), Ok(())),
        ("sticky target, foreign", 0o777, 0o1777, OWNER, Some(OTHER), refused),
    ];
    for (what, from_mode, to_mode, owner, target, expected) in cases {
        let dir = me.dir(what).await;
        let from = directory(&me, &dir, "from", from_mode).await;
        let to = directory(&me, &dir, "to", to_mode).await;
        let file = me.file(&from, "f", 0o644).await.expect("a file");
        me.chown(&file, owner, owner).await;
        if let Some(owner) = target {
            let target = me.file(&to, "t", 0o666).await.expect("a file");
            me.chown(&target, owner, owner).await;
        }
        let renamed = world.user(OWNER, &[]).rename((&from, "f"), (&to, "t")).await;
        assert_eq!(done(renamed), expected, "{what}");
        assert_eq!(me.lookup(&from, "f").await.is_ok(), expected.is_err(), "{what}");
    }
}

pub async fn a_directory_that_gets_another_parent_must_be_writable(world: &mut World) {
    let me = world.me();
    let cases = [
        ("own", OWNER, 0o755, Ok(())),
        ("own but not writable", OWNER, 0o555, Err(FsError::Access)),
        ("foreign and writable", OTHER, 0o777, Ok(())),
        ("foreign", OTHER, 0o755, Err(FsError::Access)),
    ];
    for (what, owner, bits, expected) in cases {
        let dir = me.dir(what).await;
        let from = directory(&me, &dir, "from", 0o777).await;
        let to = directory(&me, &dir, "to", 0o777).await;
        let moved = me.mkdir(&from, "d", 0o755).await.expect("a directory");
        me.chown(&moved, owner, owner).await;
        me.chmod(&moved, bits).await.expect("a mode");
        let caller = world.user(OWNER, &[]);
        assert_eq!(done(caller.rename((&from, "d"), (&to, "d")).await), expected, "{what}");
        if expected.is_err() {
            caller.rename((&from, "d"), (&from, "e")).await.expect("its `..` stays");
        }
    }
}
