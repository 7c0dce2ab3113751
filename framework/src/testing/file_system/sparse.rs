//! Holes and allocation. RFC 7862 sections 15.1, 15.4 and 15.11.

use super::World;
use super::data::pattern;
use super::world::{Caller, done, mode, size};
use crate::fs::{Authority, DataOrHole, FsError, FsResult, NewNode, NodeHandle};

const MIB: u64 = 1 << 20;

impl Caller {
    pub(super) async fn allocate(&self, node: &NodeHandle, offset: u64, len: u64) -> FsResult<()> {
        let sparse = self.fs.sparse().expect("it has holes");
        sparse.allocate(&self.cx, node, offset, len, Authority::Open).await
    }

    pub(super) async fn punch(&self, node: &NodeHandle, offset: u64, len: u64) -> FsResult<()> {
        let sparse = self.fs.sparse().expect("it has holes");
        sparse.deallocate(&self.cx, node, offset, len, Authority::Open).await
    }

    async fn seek(&self, node: &NodeHandle, offset: u64, what: DataOrHole) -> FsResult<Option<u64>> {
        self.fs.sparse().expect("it has holes").seek(&self.cx, node, offset, what, Authority::Open).await
    }
}

pub async fn seeking_finds_data(world: &mut World) {
    let me = world.me();
    if me.fs.sparse().is_none() {
        return;
    }
    let file = me.new_file("f").await;
    let pieces = [(0, 5000), (MIB, 1), (3 * MIB + 77, 200_000)];
    for (offset, len) in pieces {
        me.write(&file, offset, &pattern(len, 1)).await.expect("a write");
    }
    let end = 5 * MIB;
    me.set(&file, &size(end)).await.expect("a size");
    // Everything that was written is data, and what is a hole reads as zeros; how much more is data is the file system's choice.
    let (mut at, mut data) = (0, Vec::new());
    while at < end {
        let start = me.seek(&file, at, DataOrHole::Data).await.expect("an offset").unwrap_or(end);
        let gap = u32::try_from(start - at).expect("a count");
        assert!(me.read(&file, at, gap).await.expect("a read").iter().all(|byte| *byte == 0));
        if start == end {
            break;
        }
        assert_eq!(me.seek(&file, start, DataOrHole::Data).await, Ok(Some(start)));
        let hole =
            me.seek(&file, start, DataOrHole::Hole).await.expect("an offset").expect("the end at last");
        assert!(hole > start && hole <= end, "{start}..{hole}");
        data.push(start..hole);
        at = hole;
    }
    for (offset, len) in pieces {
        let is_data = data.iter().any(|range| range.start <= offset && offset + len <= range.end);
        assert!(is_data, "{len} at {offset} in {data:?}");
    }
}

pub async fn seeking_at_the_ends(world: &mut World) {
    let me = world.me();
    if me.fs.sparse().is_none() {
        return;
    }
    let file = me.new_file("f").await;
    for what in [DataOrHole::Data, DataOrHole::Hole] {
        assert_eq!(me.seek(&file, 0, what).await, Err(FsError::NoSuchOffset), "{what:?} of an empty file");
    }
    me.write(&file, 0, &pattern(10_000, 1)).await.expect("a write");
    assert_eq!(me.seek(&file, 0, DataOrHole::Hole).await, Ok(Some(10_000)), "the end counts as a hole");
    assert_eq!(me.seek(&file, 9_999, DataOrHole::Data).await, Ok(Some(9_999)));
    for offset in [10_000, 10_001, u64::MAX] {
        for what in [DataOrHole::Data, DataOrHole::Hole] {
            assert_eq!(
                me.seek(&file, offset, what).await,
                Err(FsError::NoSuchOffset),
                "{what:?} at {offset}"
            );
        }
    }
}

pub async fn an_allocated_range_reads_as_before(world: &mut World) {
    let me = world.me();
    if me.fs.sparse().is_none() {
        return;
    }
    let file = me.new_file("f").await;
    let data = pattern(10_000, 1);
    me.write(&file, 5_000, &data).await.expect("a write");
    match me.allocate(&file, 0, 100_000).await {
        Ok(()) => {
            let mut expected = vec![0; 100_000];
            expected[5_000..15_000].copy_from_slice(&data);
            assert!(me.read(&file, 0, 200_000).await.expect("a read") == expected);
            assert_eq!(me.attributes(&file).await.expect("a file").size, 100_000, "it is extended");
            me.allocate(&file, 10, 20).await.expect("what is there needs nothing");
            assert!(me.read(&file, 0, 200_000).await.expect("a read") == expected);
            let beyond = me.fs.info().max_file_size - 5;
            assert_eq!(done(me.allocate(&file, beyond, 6).await), Err(FsError::FileTooBig));
        }
        Err(error) => assert_eq!(error, FsError::NotSupported),
    }
}

pub async fn a_deallocated_range_reads_as_zeros(world: &mut World) {
    let me = world.me();
    if me.fs.sparse().is_none() {
        return;
    }
    let file = me.new_file("f").await;
    let mut model = pattern(300_000, 1);
    me.write(&file, 0, &model).await.expect("a write");
    for (offset, len) in [(0, 1), (4_095, 2), (70_000, 100_000), (4_096, 4_096), (299_999, 1)] {
        match me.punch(&file, offset, len).await {
            Ok(()) => {}
            Err(error) => return assert_eq!(error, FsError::NotSupported),
        }
        let (from, len) = (usize::try_from(offset).expect("small"), usize::try_from(len).expect("small"));
        model[from..from + len].fill(0);
        assert!(me.read(&file, 0, 400_000).await.expect("a read") == model, "{len} at {offset}");
    }
    me.punch(&file, 299_000, 10_000_000).await.expect("beyond the end there is nothing to do");
    me.punch(&file, 400_000, 10).await.expect("beyond the end there is nothing to do");
    assert_eq!(me.attributes(&file).await.expect("a file").size, 300_000, "the size stays");
    model[299_000..].fill(0);
    assert!(me.read(&file, 0, 400_000).await.expect("a read") == model);
    me.write(&file, 100_000, b"new").await.expect("a write into the hole");
    assert_eq!(me.read(&file, 99_999, 5).await, Ok("\0new\0".into()));
}

pub async fn only_files_have_ranges(world: &mut World) {
    let me = world.me();
    if me.fs.sparse().is_none() {
        return;
    }
    let dir = me.dir("d").await;
    assert_eq!(done(me.allocate(&dir, 0, 1).await), Err(FsError::IsDir));
    assert_eq!(done(me.punch(&dir, 0, 1).await), Err(FsError::IsDir));
    assert_eq!(done(me.seek(&dir, 0, DataOrHole::Data).await), Err(FsError::IsDir));
    let pipe = me.make(&me.root(), "p", &NewNode::Fifo, &mode(0o644)).await.expect("a pipe").node;
    assert!(me.allocate(&pipe, 0, 1).await.is_err());
    assert!(me.punch(&pipe, 0, 1).await.is_err());
}
