//! Space, holes and copies, through the file system.
//!
//! Origin: own tables.
//! RFC: 7862 sections 15.1, 15.2, 15.4, 15.11 and 15.13.

use bytes::Bytes;
use dittofs_framework::fs::{
    Authority, DataOrHole, FileSystem, FsError, FsResult, NodeHandle, ServerSideCopy, Sparse, Stability,
};
use rstest::rstest;

use super::fixture::{World, root, run, user};

const CHUNK: u64 = 64 * 1024;
const MAX: u64 = i64::MAX as u64;

impl World {
    fn used(&self) -> u64 {
        let usage = run(self.fs.usage(&root())).unwrap();
        assert_eq!(usage.space_free, usage.space_avail);
        usage.space_total - usage.space_free
    }

    fn allocate(&self, node: &NodeHandle, offset: u64, len: u64) -> FsResult<()> {
        run(self.fs.allocate(&root(), node, offset, len, Authority::Open))
    }

    fn punch(&self, node: &NodeHandle, offset: u64, len: u64) -> FsResult<()> {
        run(self.fs.deallocate(&root(), node, offset, len, Authority::Open))
    }

    fn seek(&self, node: &NodeHandle, offset: u64, what: DataOrHole) -> FsResult<Option<u64>> {
        run(self.fs.seek(&root(), node, offset, what, Authority::Open))
    }

    fn copy(&self, from: (&NodeHandle, u64), to: (&NodeHandle, u64), count: u64) -> FsResult<u64> {
        run(self.fs.copy(&root(), from.0, from.1, to.0, to.1, count, Authority::Open))
    }

    fn clone(&self, from: (&NodeHandle, u64), to: (&NodeHandle, u64), count: u64) -> FsResult<()> {
        run(self.fs.clone_range(&root(), from.0, from.1, to.0, to.1, count, Authority::Open))
    }

    fn new_file(&self, name: &str) -> NodeHandle {
        self.file(&root(), &self.root(), name, 0o644).unwrap()
    }
}

#[test]
fn a_full_file_system_refuses_and_recovers() {
    let world = World::with_capacity(1 << 20);
    let file = world.new_file("f");
    let block = vec![1; CHUNK as usize];
    let mut offset = 0;
    while world.write(&file, offset, &block).is_ok() {
        offset += CHUNK;
    }
    assert_eq!(world.write(&file, offset, &block), Err(FsError::NoSpace));
    assert_eq!(world.allocate(&file, offset, CHUNK), Err(FsError::NoSpace));
    assert_eq!(world.attributes(&file).unwrap().size, offset, "a failed write changes nothing");
    world.write(&file, 0, &block).expect("overwriting takes no space");
    let mut made = 0;
    while world.file(&root(), &world.root(), &made.to_string(), 0o644).is_ok() {
        made += 1;
    }
    assert_eq!(world.file(&root(), &world.root(), "no", 0o644), Err(FsError::NoSpace));
    world.fs.check_invariants();
    world.remove(&root(), &world.root(), "f").expect("removing works when nothing else does");
    world.file(&root(), &world.root(), "yes", 0o644).unwrap();
    world.fs.check_invariants();
}

#[test]
fn what_goes_gives_its_space_back() {
    let world = World::new();
    let empty = world.used();
    let file = world.new_file("f");
    let with_file = world.used();
    world.write(&file, 10 * CHUNK, &[1; 5000]).unwrap();
    assert_eq!(world.attributes(&file).unwrap().space_used, 2 * 4096);
    assert_eq!(world.used(), with_file + 2 * 4096);
    world.punch(&file, 10 * CHUNK, 4096).unwrap();
    assert_eq!(world.attributes(&file).unwrap().space_used, 4096);
    world.punch(&file, 0, MAX).unwrap();
    let attributes = world.attributes(&file).unwrap();
    assert_eq!((attributes.size, attributes.space_used, world.used()), (10 * CHUNK + 5000, 0, with_file));
    world.remove(&root(), &world.root(), "f").unwrap();
    assert_eq!(world.used(), empty);
}

#[rstest]
#[case::last_byte(MAX - 1, Ok(1))]
#[case::beyond(MAX, Err(FsError::FileTooBig))]
#[case::overflow(u64::MAX, Err(FsError::FileTooBig))]
fn the_largest_file(#[case] offset: u64, #[case] expected: FsResult<u32>) {
    let world = World::new();
    let file = world.new_file("f");
    assert_eq!(world.write(&file, offset, b"x"), expected);
    if expected.is_ok() {
        assert_eq!(&world.read(&file, offset, 9).unwrap()[..], b"x");
        assert_eq!(world.seek(&file, 0, DataOrHole::Data), Ok(Some(MAX / 4096 * 4096)));
        assert_eq!(world.clone((&file, 0), (&world.new_file("g"), CHUNK), 0), Err(FsError::FileTooBig));
        world.fs.check_invariants();
    }
}

#[rstest]
#[case::data_at_data(0, DataOrHole::Data, Ok(Some(0)))]
#[case::data_within(5, DataOrHole::Data, Ok(Some(5)))]
#[case::data_after_hole(4096, DataOrHole::Data, Ok(Some(3 * CHUNK)))]
#[case::no_more_data(3 * CHUNK + 4096, DataOrHole::Data, Ok(None))]
#[case::hole_at_hole(5000, DataOrHole::Hole, Ok(Some(5000)))]
#[case::hole_after_data(0, DataOrHole::Hole, Ok(Some(4096)))]
#[case::hole_at_the_end(3 * CHUNK, DataOrHole::Hole, Ok(Some(3 * CHUNK + 4096)))]
#[case::at_the_end(4 * CHUNK, DataOrHole::Hole, Err(FsError::NoSuchOffset))]
#[case::after_the_end(u64::MAX, DataOrHole::Data, Err(FsError::NoSuchOffset))]
fn seeking(#[case] offset: u64, #[case] what: DataOrHole, #[case] expected: FsResult<Option<u64>>) {
    let world = World::new();
    let file = world.new_file("f");
    world.write(&file, 0, &[1; 4096]).unwrap();
    world.write(&file, 3 * CHUNK, &[1; 4096]).unwrap();
    world
        .set(
            &root(),
            &file,
            &dittofs_framework::fs::SetAttributes { size: Some(4 * CHUNK), ..Default::default() },
        )
        .unwrap();
    assert_eq!(world.seek(&file, offset, what), expected);
}

#[test]
fn allocation_takes_space_and_extends() {
    let world = World::new();
    let file = world.new_file("f");
    let before = world.used();
    world.allocate(&file, 5000, 10_000).unwrap();
    let attributes = world.attributes(&file).unwrap();
    assert_eq!((attributes.size, attributes.space_used), (15_000, 3 * 4096));
    assert_eq!(world.used(), before + 3 * 4096);
    assert_eq!(world.read(&file, 0, 99_999).unwrap(), vec![0; 15_000]);
    assert_eq!(world.allocate(&file, 0, MAX), Err(FsError::NoSpace));
    assert_eq!(world.allocate(&file, 1, MAX), Err(FsError::FileTooBig));
    assert_eq!(world.attributes(&file).unwrap().size, 15_000);
    world.write(&file, 5000, &[1; 10_000]).unwrap();
    assert_eq!(world.used(), before + 4 * 4096, "4 blocks from the start of the file to the last byte");
}

#[test]
fn a_large_write_is_kept_and_read_without_a_copy() {
    let world = World::new();
    let file = world.new_file("f");
    let payload = Bytes::from((0..16 * CHUNK).map(|i| (i / 777) as u8).collect::<Vec<_>>());
    let caller = root();
    let write = world.fs.write(&caller, &file, 0, payload.clone(), Stability::Unstable, Authority::Open);
    assert_eq!(run(write).unwrap().count, payload.len() as u32);
    let all = world.read(&file, 0, payload.len() as u32).unwrap();
    assert_eq!(all.as_ptr(), payload.as_ptr());
    let some = world.read(&file, CHUNK + 5, 3 * CHUNK as u32).unwrap();
    assert_eq!(some.as_ptr(), payload[CHUNK as usize + 5..].as_ptr());
    // Overwriting copies what somebody else still holds.
    world.write(&file, CHUNK + 5, b"new").unwrap();
    assert_eq!(some, payload[CHUNK as usize + 5..][..3 * CHUNK as usize]);
    assert_eq!(&world.read(&file, CHUNK + 5, 3).unwrap()[..], b"new");
}

#[test]
fn a_payload_goes_when_little_of_it_is_left() {
    let world = World::new();
    let file = world.new_file("f");
    let payload = Bytes::from(vec![7; 16 * CHUNK as usize]);
    let seen = payload.clone();
    run(world.fs.write(&root(), &file, 0, payload, Stability::Unstable, Authority::Open)).unwrap();
    world.punch(&file, 0, 8 * CHUNK).unwrap();
    assert!(!seen.is_unique(), "half of it is still worth keeping");
    world.punch(&file, 8 * CHUNK, CHUNK).unwrap();
    assert!(seen.is_unique());
    assert_eq!(world.read(&file, 9 * CHUNK, CHUNK as u32).unwrap(), vec![7; CHUNK as usize]);
    world.fs.check_invariants();
}

#[rstest]
#[case::all((0, 0, 0), Ok(200_000))]
#[case::part((100, 7, 5000), Ok(5000))]
#[case::up_to_the_end((150_000, 0, 100_000), Ok(50_000))]
#[case::from_the_end((200_000, 0, 0), Ok(0))]
#[case::aligned((CHUNK, 0, CHUNK), Ok(CHUNK))]
#[case::too_far((0, MAX, 1), Err(FsError::FileTooBig))]
fn copying(#[case] (from, to, count): (u64, u64, u64), #[case] expected: FsResult<u64>) {
    let world = World::new();
    let (source, target) = (world.new_file("s"), world.new_file("t"));
    let data: Vec<u8> = (0..200_000u32).map(|i| (i / 300) as u8).collect();
    world.write(&source, 0, &data).unwrap();
    assert_eq!(world.copy((&source, from), (&target, to), count), expected);
    if let Ok(copied) = expected {
        let range = &data[from as usize..(from + copied) as usize];
        assert_eq!(world.read(&target, to, 999_999).unwrap(), range);
    }
    world.fs.check_invariants();
}

#[rstest]
#[case::all((0, 0, 0), Ok(()))]
#[case::part((CHUNK, CHUNK, CHUNK), Ok(()))]
#[case::beyond_the_end((CHUNK, 0, 2 * CHUNK), Err(FsError::Inval))]
#[case::after_the_end((3 * CHUNK, 0, 0), Err(FsError::Inval))]
fn cloning(#[case] (from, to, count): (u64, u64, u64), #[case] expected: FsResult<()>) {
    let world = World::new();
    let (source, target) = (world.new_file("s"), world.new_file("t"));
    world.write(&source, 0, &vec![3; 2 * CHUNK as usize]).unwrap();
    assert_eq!(world.clone((&source, from), (&target, to), count), expected);
    if expected.is_ok() {
        let source_bytes = world.read(&source, from, 9).unwrap();
        let target_bytes = world.read(&target, to, 9).unwrap();
        assert_eq!(source_bytes.as_ptr(), target_bytes.as_ptr(), "both share one memory");
        world.write(&target, to, b"different").unwrap();
        assert_eq!(world.read(&source, from, 9).unwrap(), vec![3; 9]);
    }
    world.fs.check_invariants();
}

/// Data, and holes of blocks and of chunks.
fn write_pattern(world: &World, file: &NodeHandle, size: u64) {
    for at in (0..size).step_by(5 * CHUNK as usize) {
        let len = (3 * CHUNK).min(size - at);
        world.write(file, at, &vec![(at / CHUNK % 250) as u8 + 1; len as usize]).unwrap();
        world.punch(file, at + CHUNK + 4096, 3 * 4096).unwrap();
    }
    run(world.fs.allocate(&root(), file, size - 1, 1, Authority::Open)).unwrap();
}

#[rstest]
#[case::over_an_empty_file(0, 1, 0)]
#[case::to_the_middle_of_a_chunk(0, CHUNK + 5000, 0)]
#[case::from_the_middle_of_a_chunk(70_001, 2 * CHUNK, 0)]
#[case::over_other_data(4096, 100, 50 << 20)]
#[tokio::test]
async fn a_large_clone_between_any_offsets(#[case] from: u64, #[case] to: u64, #[case] target_size: u64) {
    let world = World::new();
    let (source, target) = (world.new_file("s"), world.new_file("t"));
    let size = (40 << 20) + 777;
    write_pattern(&world, &source, size);
    if target_size > 0 {
        world.write(&target, 0, &vec![0xee; target_size as usize]).unwrap();
    }
    let used = world.used();
    let cloned = world.fs.clone_range(&root(), &source, from, &target, to, 0, Authority::Open).await;
    assert_eq!(cloned, Ok(()));

    let len = size - from;
    assert_eq!(world.attributes(&target).unwrap().size, target_size.max(to + len));
    let step = 1 << 20;
    for at in (0..len).step_by(step as usize) {
        let count = step.min(len - at) as u32;
        assert!(world.read(&target, to + at, count) == world.read(&source, from + at, count), "at {at}");
    }
    let before = world.read(&target, 0, to as u32).unwrap();
    assert!(before.iter().all(|byte| *byte == if target_size > 0 { 0xee } else { 0 }));
    if target_size > 0 {
        assert_eq!(world.read(&target, to + len, 9).unwrap(), vec![0xee; 9]);
    } else {
        assert!(world.used() - used < size * 9 / 10, "holes stay holes");
    }
    world.fs.check_invariants();
}

/// A file of 40 MiB, and an empty one.
fn large_and_empty(world: &World) -> (NodeHandle, NodeHandle) {
    let (large, empty) = (world.new_file("large"), world.new_file("empty"));
    for mebibyte in 0..40 {
        world.write(&large, mebibyte << 20, &vec![3; 1 << 20]).unwrap();
    }
    (large, empty)
}

#[tokio::test]
async fn a_large_clone_without_room_changes_nothing() {
    let world = World::with_capacity(60 << 20);
    let (source, target) = large_and_empty(&world);
    let used = world.used();
    let cloned = world.fs.clone_range(&root(), &source, 0, &target, 1, 0, Authority::Open).await;
    assert_eq!(cloned, Err(FsError::NoSpace));
    assert_eq!((world.attributes(&target).unwrap().size, world.used()), (0, used));
    world.fs.check_invariants();
}

/// It gives way while it copies, and nothing of it is to be seen until all of it is; a write to the source after it began has no
/// effect on the target (RFC 7862 section 15.13.3).
#[tokio::test]
async fn a_large_clone_is_seen_whole_or_not_at_all() {
    let world = World::new();
    let (source, target) = large_and_empty(&world);
    let cx = root();
    let mut cloning = world.fs.clone_range(&cx, &source, 0, &target, 1, 0, Authority::Open);
    let mut turns = 0;
    loop {
        tokio::select! {
            biased;
            cloned = &mut cloning => break assert_eq!(cloned, Ok(())),
            () = std::future::ready(()) => {}
        }
        turns += 1;
        assert_eq!(world.attributes(&target).unwrap().size, 0);
        world.write(&source, (40 << 20) - 4096, b"too late").unwrap();
        tokio::task::yield_now().await;
    }
    assert!(turns >= 9, "{turns} turns for others");
    assert_eq!(world.read(&target, (40 << 20) - 4095, 8).unwrap(), vec![3; 8]);
    assert_eq!(world.attributes(&target).unwrap().size, (40 << 20) + 1);
    world.fs.check_invariants();
}

#[test]
fn a_large_clone_that_is_given_up_leaves_nothing() {
    let world = World::new();
    let (source, target) = large_and_empty(&world);
    let used = world.used();
    let cx = root();
    let mut cloning = world.fs.clone_range(&cx, &source, 0, &target, 1, 0, Authority::Open);
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(cloning.as_mut().poll(&mut task).is_pending());
    assert!(world.used() > used);
    drop(cloning);
    assert_eq!(world.used(), used);
    world.fs.check_invariants();
}

#[test]
fn a_copy_is_bounded_and_a_clone_of_shared_chunks_is_not() {
    let world = World::new();
    let (source, target) = (world.new_file("s"), world.new_file("t"));
    world.write(&source, 2 << 30, b"x").unwrap();
    let size = (2 << 30) + 1;
    assert_eq!(world.copy((&source, 0), (&target, 0), 0), Ok(1 << 30));
    assert_eq!(world.copy((&source, 0), (&target, 1), 0), Ok(32 << 20));
    assert_eq!(world.clone((&source, 0), (&target, 0), size), Ok(()));
    assert_eq!(world.attributes(&target).unwrap().size, size);
    assert_eq!(&world.read(&target, 2 << 30, 9).unwrap()[..], b"x");
    world.fs.check_invariants();
}

#[test]
fn within_a_file_ranges_must_not_overlap() {
    let world = World::new();
    let file = world.new_file("f");
    world.write(&file, 0, &[1; 100]).unwrap();
    assert_eq!(world.copy((&file, 0), (&file, 50), 51), Err(FsError::Inval));
    assert_eq!(world.copy((&file, 0), (&file, 50), 50), Ok(50));
    assert_eq!(world.clone((&file, 50), (&file, 49), 2), Err(FsError::Inval));
}

#[test]
fn a_copy_that_has_no_room_changes_nothing() {
    let world = World::with_capacity(5 * CHUNK);
    let (source, target) = (world.new_file("s"), world.new_file("t"));
    world.write(&source, 0, &vec![3; 3 * CHUNK as usize]).unwrap();
    assert_eq!(world.clone((&source, 0), (&target, 0), 0), Err(FsError::NoSpace));
    assert_eq!(world.attributes(&target).unwrap().size, 0);
    world.fs.check_invariants();
}

#[rstest]
#[case::directory(FsError::IsDir)]
fn only_files_have_content(#[case] expected: FsError) {
    let world = World::new();
    let top = world.root();
    let file = world.new_file("f");
    assert_eq!(world.read(&top, 0, 1), Err(expected));
    assert_eq!(world.write(&top, 0, b"x"), Err(expected));
    assert_eq!(world.allocate(&top, 0, 1), Err(expected));
    assert_eq!(world.punch(&top, 0, 1), Err(expected));
    assert_eq!(world.copy((&file, 0), (&top, 0), 0), Err(expected));
    assert_eq!(run(world.fs.commit(&root(), &top, 0, 0)), Err(expected));
}

#[test]
fn ranges_need_permission_like_reads_and_writes() {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o604).unwrap();
    world.write(&file, 0, b"x").unwrap();
    let (other, credentials) = (user(7, &[]), Authority::Credentials);
    assert_eq!(run(world.fs.allocate(&other, &file, 0, 1, credentials)), Err(FsError::Access));
    assert_eq!(run(world.fs.deallocate(&other, &file, 0, 1, credentials)), Err(FsError::Access));
    assert_eq!(run(world.fs.seek(&other, &file, 0, DataOrHole::Data, credentials)), Ok(Some(0)));
    let target = world.file(&other, &world.root(), "t", 0o600).unwrap();
    assert_eq!(run(world.fs.copy(&other, &file, 0, &target, 0, 0, credentials)), Ok(1));
    assert_eq!(run(world.fs.copy(&other, &target, 0, &file, 0, 0, credentials)), Err(FsError::Access));
}
