//! LOOKUP, REMOVE and LINK, and the life of objects. RFC 8881 sections 18.9, 18.13 and 18.25; POSIX link, unlink, rmdir.

use super::World;
use super::world::{done, mode};
use crate::fs::{CreateMode, FsError, NewNode, NodeHandle, ShareAccess};

pub async fn objects_are_found_by_name_and_by_handle(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    let nested = me.mkdir(&dir, "nested", 0o755).await.expect("a directory");
    let file = me.file(&nested, "f", 0o644).await.expect("a file");
    assert_eq!(me.lookup(&me.root(), "d").await, Ok(dir));
    assert_eq!(me.lookup(&dir, "nested").await, Ok(nested));
    assert_eq!(me.lookup(&nested, "f").await, Ok(file));
    assert_eq!(me.lookup(&dir, "f").await, Err(FsError::NotFound));
    let numbers = [me.root(), dir, nested, file];
    let mut seen = Vec::new();
    for node in numbers {
        let fileid = me.attributes(&node).await.expect("an object").fileid;
        assert!(!seen.contains(&fileid), "{fileid} was given twice");
        seen.push(fileid);
    }
}

pub async fn an_object_has_its_names_and_its_life(world: &mut World) {
    let me = world.me();
    let top = me.root();
    let dir = me.dir("d").await;
    let file = me.file(&dir, "f", 0o644).await.expect("a file");
    me.write(&file, 0, b"hello").await.expect("a write");
    me.link(&file, &top, "g").await.expect("a link");
    assert_eq!(me.attributes(&file).await.expect("a file").nlink, 2);
    assert_eq!(done(me.remove(&top, "d").await), Err(FsError::NotEmpty));
    me.remove(&dir, "f").await.expect("removed");
    assert_eq!(me.lookup(&dir, "f").await, Err(FsError::NotFound));
    assert_eq!(done(me.remove(&dir, "f").await), Err(FsError::NotFound));
    me.remove(&top, "d").await.expect("removed");
    assert_eq!(done(me.attributes(&dir).await), Err(FsError::Stale));
    assert_eq!(me.lookup(&top, "g").await, Ok(file));
    assert_eq!(me.attributes(&file).await.expect("a file").nlink, 1);
    assert_eq!(me.read(&file, 0, 100).await, Ok("hello".into()));
    me.remove(&top, "g").await.expect("removed");
    assert_eq!(done(me.attributes(&file).await), Err(FsError::Stale));
    assert_eq!(done(me.read(&file, 0, 1).await), Err(FsError::Stale));
    assert_eq!(done(me.write(&file, 0, b"x").await), Err(FsError::Stale));
    assert_eq!(done(me.chmod(&file, 0).await), Err(FsError::Stale));
    assert_eq!(done(me.hold(&file, ShareAccess::READ).await), Err(FsError::Stale));
    assert_eq!(done(me.link(&file, &top, "h").await), Err(FsError::Stale));
}

pub async fn an_open_file_outlives_its_name(world: &mut World) {
    let me = world.me();
    let top = me.root();
    let how = CreateMode::Unchecked(mode(0o600));
    let opened = me.open(&top, "f", &how, ShareAccess::BOTH).await.expect("a file");
    let node = opened.found.node;
    me.write(&node, 0, b"before").await.expect("a write");
    me.remove(&top, "f").await.expect("removed");
    assert_eq!(me.lookup(&top, "f").await, Err(FsError::NotFound));
    assert_eq!(me.attributes(&node).await.expect("it is held").nlink, 0);
    me.write(&node, 6, b" and after").await.expect("a write");
    me.commit(&node).await.expect("a commit");
    assert_eq!(me.read(&node, 0, 99).await, Ok("before and after".into()));
    me.chmod(&node, 0o644).await.expect("a mode");
    assert_eq!(me.link(&node, &top, "again").await.map(drop), Err(FsError::NotFound));
    // The name is free for another.
    let other = me.file(&top, "f", 0o644).await.expect("another file");
    assert_ne!(other, node);
    assert_eq!(me.read(&other, 0, 99).await, Ok("".into()));
    drop(opened);
    assert_eq!(done(me.attributes(&node).await), Err(FsError::Stale));
}

pub async fn an_open_file_outlives_being_replaced(world: &mut World) {
    let me = world.me();
    let top = me.root();
    let (old, new) = (me.new_file("old").await, me.new_file("new").await);
    me.write(&old, 0, b"old").await.expect("a write");
    let hold = me.hold(&old, ShareAccess::READ).await.expect("an open");
    me.rename((&top, "new"), (&top, "old")).await.expect("renamed");
    assert_eq!(me.lookup(&top, "old").await, Ok(new));
    assert_eq!(me.attributes(&old).await.expect("it is held").nlink, 0);
    assert_eq!(me.read(&old, 0, 9).await, Ok("old".into()));
    drop(hold);
    assert_eq!(done(me.attributes(&old).await), Err(FsError::Stale));
}

pub async fn every_hold_counts(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    let first = me.hold(&file, ShareAccess::READ).await.expect("an open");
    let second = me.hold(&file, ShareAccess::BOTH).await.expect("an open");
    let third = second.clone();
    me.remove(&me.root(), "f").await.expect("removed");
    let fourth = me.hold(&file, ShareAccess::READ).await.expect("what is held can be opened");
    for hold in [first, fourth, second] {
        drop(hold);
        assert_eq!(me.attributes(&file).await.expect("it is held").nlink, 0);
    }
    drop(third);
    assert_eq!(done(me.attributes(&file).await), Err(FsError::Stale));
    // Of a file with a name nothing depends on holds.
    let other = me.new_file("g").await;
    drop(me.hold(&other, ShareAccess::WRITE).await.expect("an open"));
    assert_eq!(me.attributes(&other).await.expect("a file").nlink, 1);
}

pub async fn a_handle_is_never_used_again(world: &mut World) {
    let me = world.me();
    let top = me.root();
    let (mut handles, mut numbers) = (Vec::new(), Vec::new());
    for round in 0..20 {
        let node = if round % 2 == 0 { me.new_file("x").await } else { me.dir("x").await };
        assert!(!handles.contains(&node), "{node:?} names two objects");
        numbers.push(me.attributes(&node).await.expect("an object").fileid);
        handles.push(node);
        me.remove(&top, "x").await.expect("removed");
    }
    for node in &handles {
        assert_eq!(done(me.attributes(node).await), Err(FsError::Stale));
    }
}

pub async fn foreign_handles_are_stale(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    let mut other_volume = file.as_bytes().to_vec();
    for byte in &mut other_volume {
        *byte ^= 0x5a;
    }
    let longer = [file.as_bytes(), b"x"].concat();
    let shorter = &file.as_bytes()[..file.as_bytes().len() - 1];
    let foreign: [&[u8]; 6] = [b"", b"x", &other_volume, &longer, shorter, &[0xff; NodeHandle::MAX]];
    for bytes in foreign {
        let Some(node) = NodeHandle::new(bytes) else { continue };
        assert_eq!(done(me.attributes(&node).await), Err(FsError::Stale), "{bytes:?}");
        assert_eq!(done(me.lookup(&node, "x").await), Err(FsError::Stale), "{bytes:?}");
        assert_eq!(done(me.read(&node, 0, 1).await), Err(FsError::Stale), "{bytes:?}");
        assert_eq!(done(me.remove(&node, "x").await), Err(FsError::Stale), "{bytes:?}");
        assert_eq!(done(me.link(&node, &me.root(), "x").await), Err(FsError::Stale), "{bytes:?}");
        assert_eq!(done(me.file(&node, "x", 0o644).await), Err(FsError::Stale), "{bytes:?}");
        let moved = me.rename((&me.root(), "f"), (&node, "x")).await;
        assert_eq!(done(moved), Err(FsError::Stale), "{bytes:?}");
    }
}

pub async fn a_removed_directory_is_stale(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    let file = me.new_file("f").await;
    me.remove(&me.root(), "d").await.expect("removed");
    let stale = Err(FsError::Stale);
    assert_eq!(done(me.attributes(&dir).await), stale);
    assert_eq!(done(me.lookup(&dir, "x").await), stale);
    assert_eq!(done(me.mkdir(&dir, "x", 0o755).await), stale);
    assert_eq!(done(me.file(&dir, "x", 0o644).await), stale);
    assert_eq!(done(me.link(&file, &dir, "x").await), stale);
    assert_eq!(done(me.remove(&dir, "x").await), stale);
    assert_eq!(done(me.rename((&me.root(), "f"), (&dir, "x")).await), stale);
    assert_eq!(done(me.rename((&dir, "x"), (&me.root(), "y")).await), stale);
    assert_eq!(done(me.parent(&dir).await), stale);
    assert_eq!(done(me.chmod(&dir, 0o700).await), stale);
}

pub async fn only_directories_have_names_in_them(world: &mut World) {
    let me = world.me();
    let top = me.root();
    let file = me.file(&top, "f", 0o777).await.expect("a file");
    let link = me.make(&top, "l", &NewNode::Symlink("d".into()), &mode(0o777)).await.expect("a link").node;
    me.dir("d").await;
    for node in [file, link] {
        assert_eq!(me.lookup(&node, "x").await, Err(FsError::NotDir));
        assert_eq!(done(me.remove(&node, "x").await), Err(FsError::NotDir));
        assert_eq!(done(me.link(&file, &node, "x").await), Err(FsError::NotDir));
        assert_eq!(me.mkdir(&node, "x", 0o755).await, Err(FsError::NotDir));
        assert_eq!(me.file(&node, "x", 0o644).await, Err(FsError::NotDir));
        assert_eq!(done(me.rename((&top, "f"), (&node, "x")).await), Err(FsError::NotDir));
        assert_eq!(done(me.rename((&node, "x"), (&top, "x")).await), Err(FsError::NotDir));
    }
    assert_eq!(me.parent(&file).await, Err(FsError::NotDir));
}

pub async fn only_empty_directories_are_removed(world: &mut World) {
    let me = world.me();
    let top = me.root();
    for what in [NewNode::Directory, NewNode::Fifo, NewNode::Symlink("x".into())] {
        let dir = me.dir("d").await;
        me.make(&dir, "x", &what, &mode(0o755)).await.expect("an object");
        assert_eq!(done(me.remove(&top, "d").await), Err(FsError::NotEmpty), "{what:?}");
        assert_eq!(me.lookup(&top, "d").await, Ok(dir));
        me.remove(&dir, "x").await.expect("removed");
        me.remove(&top, "d").await.expect("removed");
    }
}

pub async fn links_are_names_of_one_object(world: &mut World) {
    let me = world.me();
    let (top, dir) = (me.root(), me.dir("d").await);
    let pipe = me.make(&top, "pipe", &NewNode::Fifo, &mode(0o644)).await.expect("a pipe").node;
    let file = me.new_file("f").await;
    if !me.fs.info().link_support {
        return assert_eq!(done(me.link(&file, &dir, "g").await), Err(FsError::NotSupported));
    }
    for node in [pipe, file] {
        let before = me.attributes(&node).await.expect("an object");
        let dir_before = me.attributes(&dir).await.expect("a directory").change;
        world.tick().await;
        let name = before.fileid.to_string();
        let change = me.link(&node, &dir, &name).await.expect("a link");
        let after = me.attributes(&node).await.expect("an object");
        assert_eq!((after.nlink, after.fileid), (2, before.fileid));
        me.assert_changed(before.change, after.change, "a link");
        me.assert_changed(dir_before, me.attributes(&dir).await.expect("it").change, "a name");
        assert!(!change.atomic || change.before == dir_before);
        assert_eq!(me.lookup(&dir, &name).await, Ok(node));
        assert_eq!(done(me.link(&node, &dir, &name).await), Err(FsError::Exist));
    }
    me.write(&file, 0, b"seen by both").await.expect("a write");
    me.remove(&top, "f").await.expect("removed");
    assert_eq!(me.read(&file, 0, 99).await, Ok("seen by both".into()));
    assert_eq!(done(me.link(&file, &dir, "d").await), Ok(()));
    assert_eq!(done(me.link(&file, &top, "d").await), Err(FsError::Exist));
}

pub async fn directories_have_one_name(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    let linked = done(me.link(&dir, &me.root(), "e").await);
    assert!(matches!(linked, Err(FsError::IsDir | FsError::Perm)), "{linked:?}");
    assert_eq!(me.names(&me.root()).await, ["d"]);
}

pub async fn changes_of_directories_are_told(world: &mut World) {
    let me = world.me();
    let (top, dir) = (me.root(), me.dir("d").await);
    let mut last = me.attributes(&top).await.expect("the root");
    for step in 0..6 {
        world.tick().await;
        let change = match step {
            0 => me.fs.create(&me.cx, &top, b"x", &NewNode::Fifo, &mode(0o644)).await.expect("a pipe").1,
            1 => me.rename((&top, "x"), (&top, "y")).await.expect("renamed").0,
            2 => me.rename((&top, "y"), (&dir, "z")).await.expect("moved").0,
            3 => me.rename((&dir, "z"), (&top, "x")).await.expect("moved back").1,
            4 => me.remove(&top, "x").await.expect("removed"),
            _ => me.remove(&top, "d").await.expect("removed"),
        };
        let now = me.attributes(&top).await.expect("the root");
        assert_eq!(change.after, now.change, "step {step}");
        assert!(!change.atomic || change.before == last.change, "step {step}: {change:?} of {}", last.change);
        me.assert_changed(last.change, now.change, "a name");
        assert!(now.time_modify > last.time_modify && now.time_metadata > last.time_metadata, "step {step}");
        last = now;
    }
}

pub async fn parents_of_directories(world: &mut World) {
    let me = world.me();
    let mut dir = me.root();
    for depth in 0..40 {
        let below = me.mkdir(&dir, format!("{depth}"), 0o755).await.expect("a directory");
        assert_eq!(me.parent(&below).await, Ok(dir));
        dir = below;
    }
}
