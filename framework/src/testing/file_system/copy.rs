//! Copies within the file system. RFC 7862 sections 15.2 and 15.13.

use super::World;
use super::data::pattern;
use super::world::{Caller, done};
use crate::fs::{Authority, FsError, FsResult, NodeHandle};

const MIB: u64 = 1 << 20;

impl Caller {
    /// Copies all that is asked for, in as many calls as the file system wants; 0 for all. Returns how much there was.
    async fn copy(&self, from: (&NodeHandle, u64), to: (&NodeHandle, u64), count: u64) -> FsResult<u64> {
        let copies = self.fs.server_side_copy().expect("it copies");
        let mut done = 0;
        loop {
            let left = if count == 0 { 0 } else { count - done };
            let call = copies.copy(&self.cx, from.0, from.1 + done, to.0, to.1 + done, left, Authority::Open);
            let count_now = call.await?;
            done += count_now;
            if count_now == 0 || done == count {
                return Ok(done);
            }
        }
    }

    async fn clone_range(
        &self,
        from: (&NodeHandle, u64),
        to: (&NodeHandle, u64),
        count: u64,
    ) -> FsResult<()> {
        let copies = self.fs.server_side_copy().expect("it copies");
        copies.clone_range(&self.cx, from.0, from.1, to.0, to.1, count, Authority::Open).await
    }
}

fn small(len: u64) -> usize {
    usize::try_from(len).expect("an offset in memory")
}

pub async fn copies_of_ranges(world: &mut World) {
    let me = world.me();
    if me.fs.server_side_copy().is_none() {
        return;
    }
    let source = me.new_file("source").await;
    let data = pattern(200_000, 1);
    me.write(&source, 0, &data).await.expect("a write");
    let cases = [
        ((0, 0, 0), 200_000),
        ((100, 7, 5000), 5000),
        ((150_000, 0, 100_000), 50_000),
        ((200_000, 0, 0), 0),
        ((65_536, 0, 65_536), 65_536),
        ((4096, 3 * MIB, 77_777), 77_777),
    ];
    for (number, ((from, to, count), expected)) in cases.into_iter().enumerate() {
        let what = format!("{number}: {count} from {from} to {to}");
        let target = me.new_file(&number.to_string()).await;
        let before = me.attributes(&target).await.expect("a file").change;
        world.tick().await;
        assert_eq!(me.copy((&source, from), (&target, to), count).await, Ok(expected), "{what}");
        let copied = me.read(&target, to, 999_999).await.expect("a read");
        assert!(copied == data[small(from)..small(from + expected)], "{what}");
        let after = me.attributes(&target).await.expect("a file");
        assert_eq!(after.size, if expected == 0 { 0 } else { to + expected }, "{what}");
        assert!(expected == 0 || after.change != before, "{what}");
        // What was there around the range stays.
        me.write(&target, 0, &pattern(to + expected + 10, 7)).await.expect("a write");
        me.copy((&source, from), (&target, to), count).await.expect("a copy");
        let mut around = pattern(to + expected + 10, 7);
        around[small(to)..small(to + expected)].copy_from_slice(&data[small(from)..small(from + expected)]);
        assert!(me.read(&target, 0, 9_999_999).await.expect("a read") == around, "{what}");
    }
    let too_far = me.fs.info().max_file_size;
    let target = me.new_file("too far").await;
    assert_eq!(done(me.copy((&source, 0), (&target, too_far), 1).await), Err(FsError::FileTooBig));
    assert!(me.read(&source, 0, 999_999).await.expect("a read") == data, "the source is as it was");
}

pub async fn copies_within_a_file(world: &mut World) {
    let me = world.me();
    if me.fs.server_side_copy().is_none() {
        return;
    }
    let file = me.new_file("f").await;
    let data = pattern(100, 1);
    me.write(&file, 0, &data).await.expect("a write");
    assert_eq!(done(me.copy((&file, 0), (&file, 50), 51).await), Err(FsError::Inval), "they overlap");
    assert_eq!(me.copy((&file, 0), (&file, 50), 50).await, Ok(50));
    let expected = [&data[..50], &data[..50]].concat();
    assert!(me.read(&file, 0, 999).await.expect("a read") == expected);
    let cloned = done(me.clone_range((&file, 50), (&file, 49), 2).await);
    assert!(matches!(cloned, Err(FsError::Inval | FsError::NotSupported)), "{cloned:?}");
}

pub async fn clones_are_apart(world: &mut World) {
    let me = world.me();
    if me.fs.server_side_copy().is_none() {
        return;
    }
    let (source, target) = (me.new_file("s").await, me.new_file("t").await);
    let mut data = pattern(2 * MIB, 1);
    me.write(&source, 0, &data).await.expect("a write");
    let beyond = done(me.clone_range((&source, MIB), (&target, 0), 2 * MIB).await);
    assert!(matches!(beyond, Err(FsError::Inval | FsError::NotSupported)), "{beyond:?}");
    assert_eq!(me.attributes(&target).await.expect("a file").size, 0);
    match me.clone_range((&source, 0), (&target, 0), 0).await {
        Ok(()) => {}
        Err(error) => return assert_eq!(error, FsError::NotSupported),
    }
    assert!(me.read(&target, 0, 3 << 20).await.expect("a read") == data);
    me.write(&target, 70_000, b"different").await.expect("a write");
    assert!(me.read(&source, 0, 3 << 20).await.expect("a read") == data, "each has its own");
    me.write(&source, 5, b"too").await.expect("a write");
    assert_eq!(me.read(&target, 5, 3).await.as_deref(), Ok(&data[5..8]));
    data[5..8].copy_from_slice(b"too");
    me.clone_range((&source, MIB), (&target, 5 * MIB), MIB).await.expect("a clone of a part");
    assert!(me.read(&target, 5 * MIB, 3 << 20).await.expect("a read") == data[small(MIB)..]);
    me.remove(&me.root(), "s").await.expect("removed");
    assert!(me.read(&target, 5 * MIB, 3 << 20).await.expect("a read") == data[small(MIB)..]);
}

pub async fn only_files_are_copied(world: &mut World) {
    let me = world.me();
    if me.fs.server_side_copy().is_none() {
        return;
    }
    let (file, dir) = (me.new_file("f").await, me.dir("d").await);
    assert_eq!(done(me.copy((&file, 0), (&dir, 0), 0).await), Err(FsError::IsDir));
    assert_eq!(done(me.copy((&dir, 0), (&file, 0), 0).await), Err(FsError::IsDir));
    let cloned = done(me.clone_range((&dir, 0), (&file, 0), 0).await);
    assert!(matches!(cloned, Err(FsError::IsDir | FsError::NotSupported)), "{cloned:?}");
}
