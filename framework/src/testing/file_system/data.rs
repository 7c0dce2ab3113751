//! READ, WRITE and COMMIT. RFC 8881 sections 18.22, 18.32 and 18.3.

use super::World;
use super::world::{Caller, done, size};
use crate::fs::{Authority, FsError, NodeHandle, Stability};
use crate::testing::random::Random;

pub(super) fn pattern(len: u64, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at % 251).to_le_bytes()[0].wrapping_mul(3).wrapping_add(seed) | 1).collect()
}

fn small(len: u64) -> usize {
    usize::try_from(len).expect("an offset in memory")
}

pub async fn what_is_written_is_read(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    let data = pattern(3 << 20, 1);
    me.write(&file, 0, &data).await.expect("a write");
    assert_eq!(me.attributes(&file).await.expect("a file").size, data.len() as u64);
    for (offset, count) in [(0, 1), (1, 4095), (4095, 2), (65_535, 65_538), (1_000_001, 77), (0, 3 << 20)] {
        let read = me.read(&file, offset, count).await.expect("a read");
        assert!(read == data[small(offset)..small(offset + u64::from(count))], "{count} at {offset}");
    }
    // Over what is there, across all borders.
    let other = pattern(300_000, 2);
    me.write(&file, 999_999, &other).await.expect("a write");
    let mut expected = data;
    expected[999_999..1_299_999].copy_from_slice(&other);
    assert!(me.read(&file, 0, 3 << 20).await.expect("a read") == expected);
    me.write(&file, 5, b"").await.expect("nothing is written");
    assert!(me.read(&file, 0, 3 << 20).await.expect("a read") == expected);
}

pub async fn reads_end_at_the_end_of_the_file(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    let read = |offset, count| me.fs.read(&me.cx, &file, offset, count, Authority::Open);
    let empty = read(0, 10).await.expect("a read");
    assert!(empty.data.is_empty() && empty.eof);
    me.write(&file, 0, b"0123456789").await.expect("a write");
    let cases: [(u64, u32, &[u8], bool); 8] = [
        (0, 10, b"0123456789", true),
        (0, 11, b"0123456789", true),
        (0, 9, b"012345678", false),
        (5, u32::MAX, b"56789", true),
        (9, 1, b"9", true),
        (10, 1, b"", true),
        (11, 1, b"", true),
        (u64::MAX, u32::MAX, b"", true),
    ];
    for (offset, count, data, eof) in cases {
        let found = read(offset, count).await.expect("a read");
        assert_eq!((&found.data[..], found.eof), (data, eof), "{count} at {offset}");
    }
    assert!(read(3, 0).await.expect("a read").data.is_empty());
}

pub async fn writes_beyond_the_end_leave_zeros(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    me.write(&file, 3, b"abc").await.expect("a write");
    me.write(&file, 200_000, b"def").await.expect("a write");
    let mut expected = vec![0; 200_003];
    expected[3..6].copy_from_slice(b"abc");
    expected[200_000..].copy_from_slice(b"def");
    assert!(me.read(&file, 0, 300_000).await.expect("a read") == expected);
    assert_eq!(me.attributes(&file).await.expect("a file").size, 200_003);
    let far = (1 << 32) + 5;
    me.write(&file, far, b"far").await.expect("a write");
    assert_eq!(me.read(&file, far - 2, 99).await, Ok("\0\0far".into()));
    assert_eq!(me.attributes(&file).await.expect("a file").size, far + 3);
    me.set(&file, &size(0)).await.expect("a size");
}

pub async fn truncation_and_extension(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    let mut model = pattern(100_000, 3);
    me.write(&file, 0, &model).await.expect("a write");
    // What was cut off does not come back.
    for new_size in [70_001, 80_000, 4096, 4097, 66_000, 10, 100_000, 0, 5000] {
        me.set(&file, &size(new_size)).await.expect("a size");
        model.resize(small(new_size), 0);
        assert!(me.read(&file, 0, 200_000).await.expect("a read") == model, "to {new_size}");
    }
    me.set(&file, &size(0)).await.expect("a size");
    me.write(&file, 10, b"x").await.expect("a write");
    assert_eq!(me.read(&file, 0, 99).await, Ok("\0\0\0\0\0\0\0\0\0\0x".into()));
}

pub async fn stable_writes_are_stable(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    for (number, stability) in
        [Stability::Unstable, Stability::DataSync, Stability::FileSync].into_iter().enumerate()
    {
        let text = number.to_string();
        let before = me.attributes(&file).await.expect("a file");
        world.tick().await;
        me.write_as(&file, number as u64, text.as_bytes(), (stability, Authority::Open))
            .await
            .expect("a write");
        let after = me.attributes(&file).await.expect("a file");
        me.assert_changed(before.change, after.change, "a write");
        assert!(after.time_modify > before.time_modify && after.time_metadata > before.time_metadata);
    }
    assert_eq!(me.read(&file, 0, 9).await, Ok("012".into()));
}

pub async fn commits_of_any_range(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    me.write(&file, 0, &pattern(10_000, 4)).await.expect("a write");
    let before = me.attributes(&file).await.expect("a file");
    for (offset, count) in
        [(0, 0), (0, 100), (5_000, 0), (5_000, 100_000), (u64::MAX, 0), (1 << 40, u64::MAX)]
    {
        assert_eq!(me.fs.commit(&me.cx, &file, offset, count).await, Ok(()), "{count} at {offset}");
    }
    let after = me.attributes(&file).await.expect("a file");
    assert_eq!((after.change, after.size), (before.change, before.size), "a commit is no change");
}

pub async fn the_write_verifier_stays(world: &mut World) {
    let me = world.me();
    let verifier = me.fs.write_verifier();
    let file = me.new_file("f").await;
    me.write(&file, 0, b"x").await.expect("a write");
    me.commit(&file).await.expect("a commit");
    assert_eq!(me.fs.write_verifier(), verifier);
}

pub async fn only_files_have_content(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    assert_eq!(me.read(&dir, 0, 1).await, Err(FsError::IsDir));
    assert_eq!(me.write(&dir, 0, b"x").await, Err(FsError::IsDir));
    assert_eq!(done(me.commit(&dir).await), Err(FsError::IsDir));
}

/// Files of the test go up to here.
const LIMIT: u64 = 300_000;

/// A file and what it should hold.
struct Model {
    me: Caller,
    file: NodeHandle,
    bytes: Vec<u8>,
    random: Random,
}

impl Model {
    /// An offset, rather near the borders of blocks.
    fn offset(&mut self) -> u64 {
        let at = self.random.below(LIMIT);
        if self.random.below(2) == 0 {
            at
        } else {
            (at / 4096 * 4096 + self.random.below(3)).saturating_sub(1)
        }
    }

    fn len(&mut self) -> u64 {
        match self.random.below(3) {
            0 => self.random.below(200),
            1 => self.random.below(5) * 4096,
            _ => self.random.below(LIMIT / 2),
        }
    }

    fn put(&mut self, offset: u64, data: &[u8]) {
        let end = small(offset) + data.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[small(offset)..end].copy_from_slice(data);
    }

    async fn step(&mut self) {
        let (offset, len) = (self.offset(), self.len());
        match self.random.below(10) {
            0..4 => {
                let data = pattern(len, self.random.below(256).to_le_bytes()[0]);
                self.me.write(&self.file, offset, &data).await.expect("a write");
                if !data.is_empty() {
                    self.put(offset, &data);
                }
            }
            4 => {
                self.me.set(&self.file, &size(offset)).await.expect("a size");
                self.bytes.resize(small(offset), 0);
            }
            5 => self.deallocate(offset, len).await,
            6 => self.copy(offset, len).await,
            _ => {
                let count = u32::try_from(len).expect("a count");
                let read = self.me.read(&self.file, offset, count).await.expect("a read");
                let end = small(offset + len).min(self.bytes.len());
                assert!(read == self.bytes[small(offset).min(end)..end], "{len} at {offset}");
            }
        }
    }

    async fn deallocate(&mut self, offset: u64, len: u64) {
        let Some(sparse) = self.me.fs.sparse() else { return };
        match sparse.deallocate(&self.me.cx, &self.file, offset, len, Authority::Open).await {
            Ok(()) => self.bytes.iter_mut().skip(small(offset)).take(small(len)).for_each(|byte| *byte = 0),
            Err(error) => assert_eq!(error, FsError::NotSupported),
        }
    }

    async fn copy(&mut self, from: u64, len: u64) {
        let to = self.offset();
        let Some(copy) = self.me.fs.server_side_copy() else { return };
        let is_apart = from.abs_diff(to) >= len;
        if len == 0 || !is_apart || from >= self.bytes.len() as u64 {
            return;
        }
        let copied = copy.copy(&self.me.cx, &self.file, from, &self.file, to, len, Authority::Open).await;
        let copied = copied.expect("a copy");
        let data = self.bytes[small(from)..small(from + copied)].to_vec();
        assert!(copied > 0 && copied <= len);
        self.put(to, &data);
    }
}

pub async fn a_file_is_what_a_model_says(world: &mut World) {
    let me = world.me();
    for seed in 1..=3 {
        let file = me.new_file(&seed.to_string()).await;
        let mut model = Model { me: me.clone(), file, bytes: Vec::new(), random: Random::new(seed) };
        for _ in 0..60 {
            model.step().await;
            let size = me.attributes(&model.file).await.expect("a file").size;
            assert_eq!(size, model.bytes.len() as u64);
        }
        let count = u32::try_from(2 * LIMIT).expect("a count");
        assert!(me.read(&model.file, 0, count).await.expect("a read") == model.bytes);
    }
}
