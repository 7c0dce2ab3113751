//! A file system without room.

use super::World;
use super::world::{Caller, mode};
use crate::fs::{FsError, FsResult, NewNode, NodeHandle, Stability};

const BLOCK: usize = 64 << 10;
/// More than the file system has room for, in blocks.
const BLOCKS: u64 = 1024;

fn block(byte: u8) -> Vec<u8> {
    vec![byte; BLOCK]
}

/// Makes what was written durable: some find out only then that there is no room.
async fn write(me: &Caller, file: &NodeHandle, offset: u64, data: &[u8]) -> FsResult<()> {
    me.write_as(file, offset, data, (Stability::FileSync, crate::fs::Authority::Open)).await
}

/// Writes until nothing has room any more; returns how much there is.
async fn fill(me: &Caller, file: &NodeHandle) -> u64 {
    for number in 0..BLOCKS {
        match write(me, file, number * BLOCK as u64, &block(1)).await {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error, FsError::NoSpace);
                return number * BLOCK as u64;
            }
        }
    }
    panic!("there is room for more than {BLOCKS} blocks");
}

pub async fn a_full_file_system_refuses_and_recovers(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    let offset = fill(&me, &file).await;
    assert!(offset > 0);
    for _ in 0..3 {
        assert_eq!(write(&me, &file, offset, &block(1)).await, Err(FsError::NoSpace));
    }
    let size = me.attributes(&file).await.expect("a file").size;
    assert!(size >= offset && size < offset + BLOCK as u64, "{size} after {offset}");
    let read = me.read(&file, offset - 10, 10).await.expect("a read");
    assert_eq!(read, vec![1; 10]);
    me.remove(&me.root(), "f").await.expect("removing works when nothing else does");
    let next = me.new_file("next").await;
    write(&me, &next, 0, &block(2)).await.expect("there is room again");
    assert_eq!(me.read(&next, 0, 3).await, Ok(vec![2; 3].into()));
}

pub async fn names_find_no_room_and_then_some(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    fill(&me, &file).await;
    let mut made = 0;
    // The rest is used up by names, or they have room of their own.
    while made < 2_000 {
        let what = NewNode::Symlink(vec![b'x'; 1000].into());
        match me.make(&me.root(), made.to_string(), &what, &mode(0o777)).await {
            Ok(_) => made += 1,
            Err(error) => {
                assert_eq!(error, FsError::NoSpace);
                assert_eq!(me.lookup(&me.root(), made.to_string()).await, Err(FsError::NotFound));
                break;
            }
        }
    }
    assert_eq!(me.names(&me.root()).await.len(), made + 1);
    me.remove(&me.root(), "f").await.expect("removing works when nothing else does");
    for number in 0..made {
        me.remove(&me.root(), number.to_string()).await.expect("removed");
    }
    me.new_file("yes").await;
}

pub async fn a_write_that_finds_no_room_leaves_what_was_there(world: &mut World) {
    let me = world.me();
    let (kept, file) = (me.new_file("kept").await, me.new_file("f").await);
    write(&me, &kept, 0, b"what was there").await.expect("a write");
    fill(&me, &file).await;
    let refused = write(&me, &kept, 0, &vec![9; 128 << 20]).await;
    assert_eq!(refused, Err(FsError::NoSpace));
    me.remove(&me.root(), "f").await.expect("removed");
    write(&me, &kept, 0, b"What").await.expect("a write");
    assert_eq!(me.read(&kept, 0, 14).await, Ok("What was there".into()));
}

pub async fn what_goes_gives_its_space_back(world: &mut World) {
    let me = world.me();
    let free = async || me.fs.usage(&me.cx).await.expect("usage").space_free;
    let before = free().await;
    let file = me.new_file("f").await;
    write(&me, &file, 0, &vec![1; 8 * BLOCK]).await.expect("a write");
    assert!(me.attributes(&file).await.expect("a file").space_used >= 8 * BLOCK as u64);
    let with_file = free().await;
    assert!(with_file + 8 * BLOCK as u64 <= before, "{with_file} of {before}");
    me.set(&file, &super::world::size(0)).await.expect("a size");
    assert!(free().await >= with_file + 7 * BLOCK as u64);
    write(&me, &file, 0, &vec![1; 8 * BLOCK]).await.expect("a write");
    me.remove(&me.root(), "f").await.expect("removed");
    assert!(free().await >= with_file + 8 * BLOCK as u64, "{} of {before}", free().await);
}
