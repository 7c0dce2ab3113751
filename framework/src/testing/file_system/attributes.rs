//! SETATTR. RFC 8881 section 18.30; POSIX chmod, utimensat, truncate.

use super::World;
use super::world::{done, mode, size};
use crate::fs::{FsError, NewNode, SetAttributes, SetTime};
use crate::proto::NfsTime;

fn set() -> SetAttributes {
    SetAttributes::default()
}

pub async fn nothing_is_set_if_something_must_not_be(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    let before = me.attributes(&file).await.expect("a file");
    world.tick().await;
    let bad_time = SetTime::ClientTime(NfsTime { seconds: 0, nseconds: 1_000_000_000 });
    let refused = [
        (SetAttributes { uid: Some(u32::MAX), ..mode(0o600) }, FsError::Inval),
        (SetAttributes { gid: Some(u32::MAX), ..mode(0o600) }, FsError::Inval),
        (SetAttributes { time_modify: Some(bad_time), ..mode(0o600) }, FsError::Inval),
        (SetAttributes { time_access: Some(bad_time), size: Some(7), ..set() }, FsError::Inval),
    ];
    for (set, expected) in refused {
        assert_eq!(done(me.set(&file, &set).await), Err(expected), "{set:?}");
        assert_eq!(me.attributes(&file).await.as_ref(), Ok(&before), "{set:?}");
    }
    assert_eq!(me.set(&file, &set()).await.as_ref(), Ok(&before), "nothing is set");
    assert_eq!(me.attributes(&file).await, Ok(before));
}

pub async fn modes_are_set_and_kept(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    let dir = me.dir("d").await;
    for node in [file, dir] {
        for bits in [0, 0o777, 0o1777, 0o640] {
            let before = me.attributes(&node).await.expect("an object");
            world.tick().await;
            let after = me.chmod(&node, bits).await.expect("a mode");
            assert_eq!(after.mode, bits);
            assert_eq!(me.attributes(&node).await.as_ref(), Ok(&after));
            me.assert_changed(before.change, after.change, "a mode");
            assert!(after.time_metadata > before.time_metadata);
            assert_eq!((after.time_modify, after.size), (before.time_modify, before.size));
        }
    }
}

pub async fn the_size_is_set_and_times_with_it(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    me.write(&file, 0, b"0123456789").await.expect("a write");
    // RFC 8881 section 18.30.4: whatever the size was.
    for new_size in [3, 3, 20, 0] {
        let before = me.attributes(&file).await.expect("a file");
        world.tick().await;
        let after = me.set(&file, &size(new_size)).await.expect("a size");
        assert!(after.time_modify > before.time_modify, "to {new_size}");
        assert!(after.time_metadata > before.time_metadata, "to {new_size}");
        assert_eq!(after.size, new_size);
        me.assert_changed(before.change, after.change, "a size");
        assert_eq!(me.attributes(&file).await, Ok(after));
    }
    let all = SetAttributes { time_modify: Some(SetTime::ServerTime), size: Some(9), ..mode(0o600) };
    let after = me.set(&file, &all).await.expect("all of it");
    assert_eq!((after.mode, after.size), (0o600, 9));
    let then = NfsTime { seconds: 12_345, nseconds: 0 };
    let all = SetAttributes { time_modify: Some(SetTime::ClientTime(then)), size: Some(5), ..mode(0o640) };
    let after = me.set(&file, &all).await.expect("all of it");
    assert_eq!((after.mode, after.size, after.time_modify), (0o640, 5, then));
}

pub async fn only_files_have_a_size_to_set(world: &mut World) {
    let me = world.me();
    let cases = [
        ("directory", NewNode::Directory, FsError::IsDir),
        ("symlink", NewNode::Symlink("x".into()), FsError::Inval),
        ("pipe", NewNode::Fifo, FsError::Inval),
    ];
    for (name, what, expected) in cases {
        let node = me.make(&me.root(), name, &what, &mode(0o777)).await.expect(name).node;
        assert_eq!(done(me.set(&node, &size(0)).await), Err(expected), "{name}");
    }
}

pub async fn the_largest_size(world: &mut World) {
    let me = world.me();
    let largest = me.fs.info().max_file_size;
    let file = me.new_file("f").await;
    assert_eq!(me.set(&file, &size(largest)).await.map(|after| after.size), Ok(largest));
    assert_eq!(me.read(&file, largest - 3, 9).await, Ok(vec![0; 3].into()));
    if let Some(larger) = largest.checked_add(1) {
        assert_eq!(done(me.set(&file, &size(larger)).await), Err(FsError::FileTooBig));
    }
    assert_eq!(done(me.write(&file, largest, b"x").await), Err(FsError::FileTooBig));
    assert_eq!(done(me.write(&file, u64::MAX, b"x").await), Err(FsError::FileTooBig));
    assert_eq!(me.attributes(&file).await.map(|after| after.size), Ok(largest));
    me.set(&file, &size(0)).await.expect("and back");
}

pub async fn times_are_kept_before_and_after_the_epoch(world: &mut World) {
    let me = world.me();
    // As far as the storage of most file systems goes.
    let times = [
        NfsTime { seconds: -1, nseconds: 0 },
        NfsTime { seconds: -2_000_000_000, nseconds: 0 },
        NfsTime { seconds: 0, nseconds: 0 },
        NfsTime { seconds: 1 << 32, nseconds: 0 },
        NfsTime { seconds: 1_700_000_000, nseconds: me.fs.info().time_delta.nseconds },
    ];
    let file = me.new_file("f").await;
    let dir = me.dir("d").await;
    let sets_time_create = me.sets_time_create().await;
    for node in [file, dir] {
        for (time, other) in times.iter().zip(times.iter().cycle().skip(1)) {
            let before = me.attributes(&node).await.expect("an object");
            world.tick().await;
            let time_create = sets_time_create.then_some(*other);
            let set = SetAttributes {
                time_access: Some(SetTime::ClientTime(*time)),
                time_modify: Some(SetTime::ClientTime(*other)),
                time_create,
                ..set()
            };
            let after = me.set(&node, &set).await.expect("times");
            assert_eq!((after.time_access, after.time_modify), (*time, *other));
            assert!(time_create.is_none() || after.time_create == time_create);
            assert_eq!(me.attributes(&node).await.as_ref(), Ok(&after));
            assert!(after.time_metadata > before.time_metadata, "it cannot be set");
            me.assert_changed(before.change, after.change, "times");
        }
    }
}

pub async fn the_time_now(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    let before = me.attributes(&file).await.expect("a file");
    world.tick().await;
    let now = Some(SetTime::ServerTime);
    let after = me.set(&file, &SetAttributes { time_access: now, time_modify: now, ..set() }).await;
    let after = after.expect("times");
    assert!(after.time_access > before.time_access && after.time_modify > before.time_modify);
    assert!(after.time_metadata > before.time_metadata);
    assert_eq!(after.time_create, before.time_create);
    world.tick().await;
    let last = me.set(&file, &SetAttributes { time_access: now, ..set() }).await.expect("a time");
    assert!(last.time_access > after.time_access);
    assert_eq!(last.time_modify, after.time_modify);
}
