//! What is there when the file system is opened again. Everything that returned is, but for unstable data.

use std::collections::BTreeMap;

use super::World;
use super::create::exclusive;
use super::data::pattern;
use super::world::{Caller, Listed, NO_VERIFIER, done, mode, size};
use crate::attr::Bitmap;
use crate::fs::{
    Attributes, Authority, CreateMode, Created, FsError, NewNode, NodeHandle, ShareAccess, Stability,
    XattrSet,
};
use crate::testing::random::Random;

/// All that is below a directory, by path, with what is read of files.
async fn tree(me: &Caller) -> BTreeMap<String, (NodeHandle, Attributes, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), me.root())];
    while let Some((path, dir)) = open.pop() {
        for entry in me.list(&dir, super::world::ALL, 100).await.expect("a listing") {
            let path = format!("{path}/{}", entry.text());
            let mut attributes = entry.attributes.clone();
            // What reading may set, and what is the storage's own affair.
            attributes.time_access = attributes.time_modify;
            attributes.space_used = 0;
            let content = match attributes.file_type {
                crate::proto::FileType::Reg => {
                    me.read(&entry.node, 0, 1 << 20).await.expect("a read").to_vec()
                }
                crate::proto::FileType::Lnk => {
                    me.fs.readlink(&me.cx, &entry.node).await.expect("a target").to_vec()
                }
                crate::proto::FileType::Dir => {
                    open.push((path.clone(), entry.node));
                    Vec::new()
                }
                _ => Vec::new(),
            };
            if attributes.file_type == crate::proto::FileType::Reg {
                // A crash may leave what was written to a file without its record: a start may take all files for changed.
                attributes.change = 0;
            }
            found.insert(path, (entry.node, attributes, content));
        }
    }
    found
}

pub async fn a_tree_is_there_after_a_restart(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    let below = me.mkdir(&dir, "below", 0o1750).await.expect("a directory");
    let file = me.file(&below, "file", 0o640).await.expect("a file");
    let stable = (Stability::FileSync, Authority::Open);
    me.write_as(&file, 10, &pattern(100_000, 1), stable).await.expect("a write");
    me.link(&file, &dir, "linked").await.expect("a link");
    for (name, what) in [("l", NewNode::Symlink("a/b".into())), ("p", NewNode::Fifo), ("s", NewNode::Socket)]
    {
        me.make(&below, name, &what, &mode(0o604)).await.expect(name);
    }
    me.rename((&below, "p"), (&dir, "pipe")).await.expect("moved");
    me.mkdir(&below, "gone", 0o755).await.expect("a directory");
    me.remove(&below, "gone").await.expect("removed");
    me.set(&file, &size(50_000)).await.expect("a size");
    let before = tree(&me).await;
    assert_eq!(before.len(), 7);
    drop(me);
    for _ in 0..2 {
        world.restart().await;
        assert_eq!(tree(&world.me()).await, before);
    }
}

pub async fn handles_outlive_restarts(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    let file = me.file(&dir, "f", 0o644).await.expect("a file");
    let of = [me.root(), dir, file];
    let mut numbers = Vec::new();
    for node in &of {
        numbers.push(me.attributes(node).await.expect("an object").fileid);
    }
    drop(me);
    world.restart().await;
    let me = world.me();
    assert_eq!(me.root(), of[0]);
    // Also where nothing was looked up before.
    for (node, number) in of.iter().zip(numbers) {
        assert_eq!(me.attributes(node).await.expect("an object").fileid, number);
    }
    assert_eq!(me.parent(&dir).await, Ok(me.root()));
    assert_eq!(me.lookup(&dir, "f").await, Ok(file));
    me.write(&file, 0, b"by an old handle").await.expect("a write");
}

pub async fn what_was_removed_stays_away(world: &mut World) {
    let me = world.me();
    let (file, dir) = (me.new_file("f").await, me.dir("d").await);
    let replaced = me.new_file("g").await;
    me.new_file("h").await;
    me.remove(&me.root(), "f").await.expect("removed");
    me.remove(&me.root(), "d").await.expect("removed");
    me.rename((&me.root(), "h"), (&me.root(), "g")).await.expect("replaced");
    drop(me);
    world.restart().await;
    let me = world.me();
    assert_eq!(me.names(&me.root()).await, ["g"]);
    for node in [file, dir, replaced] {
        assert_eq!(done(me.attributes(&node).await), Err(FsError::Stale));
    }
}

pub async fn stable_data_outlives_a_restart(world: &mut World) {
    let me = world.me();
    let data = pattern(150_000, 5);
    let ways =
        [("sync", Some(Stability::FileSync)), ("data sync", Some(Stability::DataSync)), ("commit", None)];
    for (name, stability) in ways {
        let file = me.new_file(name).await;
        let how = (stability.unwrap_or(Stability::Unstable), Authority::Open);
        me.write_as(&file, 3, &data, how).await.expect("a write");
        if stability.is_none() {
            me.commit(&file).await.expect("a commit");
        }
    }
    drop(me);
    world.restart().await;
    let me = world.me();
    for (name, _) in ways {
        let file = me.lookup(&me.root(), name).await.expect(name);
        assert_eq!(me.attributes(&file).await.expect(name).size, 150_003, "{name}");
        assert!(me.read(&file, 3, 1 << 20).await.expect(name) == data, "{name}");
        assert_eq!(me.read(&file, 0, 3).await, Ok("\0\0\0".into()), "{name}");
    }
}

pub async fn unstable_data_is_committed_or_the_verifier_tells(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    let data = pattern(100_000, 6);
    me.write(&file, 0, &data).await.expect("a write");
    let before = me.fs.write_verifier();
    drop(me);
    world.restart().await;
    let me = world.me();
    let is_there = me.read(&file, 0, 1 << 20).await.expect("a read") == data;
    assert!(is_there || me.fs.write_verifier() != before, "lost, and nobody was told");
    // What a client does that sees another verifier.
    me.write(&file, 0, &data).await.expect("a write");
    me.commit(&file).await.expect("a commit");
    drop(me);
    world.restart().await;
    let me = world.me();
    assert!(me.read(&file, 0, 1 << 20).await.expect("a read") == data);
}

pub async fn an_exclusive_create_is_repeated_after_a_restart(world: &mut World) {
    let how = exclusive(*b"verifier");
    let me = world.me();
    let made = me.open(&me.root(), "f", &how, ShareAccess::BOTH).await.expect("a file").found.node;
    drop(me);
    world.restart().await;
    let me = world.me();
    let again = me.open(&me.root(), "f", &how, ShareAccess::BOTH).await.expect("it again");
    assert_eq!((again.created, again.found.node), (Created::Existing, made));
    let other = me.open(&me.root(), "f", &exclusive([7; 8]), ShareAccess::BOTH).await;
    assert_eq!(done(other), Err(FsError::Exist));
    drop(again);
    me.chmod(&made, 0o644).await.expect("a mode");
    drop(me);
    world.restart().await;
    let me = world.me();
    assert_eq!(done(me.open(&me.root(), "f", &how, ShareAccess::BOTH).await), Err(FsError::Exist));
}

pub async fn xattrs_outlive_a_restart(world: &mut World) {
    let me = world.me();
    if me.fs.xattrs().is_none() {
        return;
    }
    let file = me.new_file("f").await;
    for (name, value) in [("a", "1"), ("b", "2"), ("c", "")] {
        me.set_xattr(&file, name, value, XattrSet::Either).await.expect("an attribute");
    }
    me.set_xattr(&file, "a", "other", XattrSet::Replace).await.expect("an attribute");
    me.remove_xattr(&file, "b").await.expect("removed");
    drop(me);
    world.restart().await;
    let me = world.me();
    assert_eq!(me.xattr_names(&file, 100).await, Ok(vec!["a".into(), "c".into()]));
    assert_eq!(me.xattr(&file, "a").await, Ok("other".into()));
    assert_eq!(me.xattr(&file, "c").await, Ok("".into()));
}

pub async fn numbers_are_not_given_again_after_a_restart(world: &mut World) {
    let mut seen = Vec::new();
    for _ in 0..4 {
        let me = world.me();
        for name in ["a", "b"] {
            let node = me.new_file(name).await;
            assert!(!seen.contains(&node), "{node:?} names two objects");
            seen.push(node);
            me.remove(&me.root(), name).await.expect("removed");
        }
        drop(me);
        world.restart().await;
    }
    let me = world.me();
    me.new_file("c").await;
    for node in seen {
        assert_eq!(done(me.attributes(&node).await), Err(FsError::Stale));
    }
}

pub async fn changes_grow_over_restarts(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    let mut latest = me.attributes(&file).await.expect("a file").change;
    let mut seen = vec![latest];
    drop(me);
    for round in 0..4 {
        let me = world.me();
        for step in 0..3 {
            world.tick().await;
            // Some of this is lost perhaps, but its values are not given to something else.
            me.write(&file, 0, format!("{round} {step}").as_bytes()).await.expect("a write");
            let change = me.attributes(&file).await.expect("a file").change;
            assert!(change > latest && !seen.contains(&change), "{change} after {seen:?}");
            latest = change;
            seen.push(change);
        }
        drop(me);
        world.restart().await;
    }
}

pub async fn listings_go_on_after_a_restart(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    for number in 0..30 {
        me.mkdir(&dir, number.to_string(), 0o755).await.expect("a directory");
    }
    let (first, end) = me.page(&dir, (0, NO_VERIFIER), Bitmap::EMPTY, 10).await.expect("a listing");
    drop(me);
    world.restart().await;
    let me = world.me();
    let from = (first.last().expect("an entry").cookie, end.cookieverf);
    match me.page(&dir, from, Bitmap::EMPTY, 100).await {
        Ok((rest, end)) => {
            assert!(end.eof);
            let mut names: Vec<_> = first.iter().chain(&rest).map(Listed::text).collect();
            names.sort();
            assert_eq!(names, me.names(&dir).await);
        }
        Err(error) => assert_eq!(error, FsError::BadCookie, "or the client begins anew"),
    }
}

pub async fn what_was_unlinked_and_open_goes_at_last(world: &mut World) {
    let me = world.me();
    let opened = me.open(&me.root(), "f", &CreateMode::Guarded(mode(0o644)), ShareAccess::BOTH).await;
    let opened = opened.expect("a file");
    let node = opened.found.node;
    me.write(&node, 0, b"data").await.expect("a write");
    me.remove(&me.root(), "f").await.expect("removed");
    drop((me, opened));
    world.restart().await;
    let me = world.me();
    // It may be there for a client that reclaims its open (RFC 8881 section 18.16.3), and goes when nobody does.
    assert!(me.names(&me.root()).await.is_empty());
    if let Ok(hold) = me.hold(&node, ShareAccess::READ).await {
        assert_eq!(me.attributes(&node).await.expect("it is held").nlink, 0);
        drop(hold);
    }
    drop(me);
    world.restart().await;
}

/// Does what can be done without knowing much; what happens is told by the listings before and after a restart.
async fn wander(me: &Caller, random: &mut Random) {
    let top = me.root();
    let text = |random: &mut Random| format!("n{}", random.below(6));
    let dir = match me.lookup(&top, text(random)).await {
        Ok(node) if random.below(2) == 0 => node,
        _ => top,
    };
    let (name, other) = (text(random), text(random));
    match random.below(9) {
        0 => drop(me.mkdir(&dir, &name, 0o755).await),
        1 => drop(me.file(&dir, &name, 0o644).await),
        2 => drop(me.remove(&dir, &name).await),
        3 | 4 => drop(me.rename((&dir, &name), (&top, &other)).await),
        5 => drop(me.make(&dir, &name, &NewNode::Symlink(other.into()), &mode(0o777)).await),
        _ => {
            let Ok(node) = me.lookup(&dir, &name).await else { return };
            let data = pattern(random.below(9_000), random.below(200).to_le_bytes()[0]);
            match random.below(4) {
                0 => drop(me.link(&node, &top, &other).await),
                1 => drop(me.chmod(&node, 0o600).await),
                2 => drop(me.set(&node, &size(random.below(9_000))).await),
                _ => {
                    let stable = (Stability::FileSync, Authority::Open);
                    let _ = me.write_as(&node, random.below(9_000), &data, stable).await;
                }
            }
        }
    }
}

pub async fn a_random_history_outlives_restarts(world: &mut World) {
    let mut random = Random::new(1);
    for round in 0..6 {
        let me = world.me();
        for _ in 0..60 {
            wander(&me, &mut random).await;
        }
        let before = tree(&me).await;
        drop(me);
        world.restart().await;
        assert_eq!(tree(&world.me()).await, before, "in round {round}");
    }
}
