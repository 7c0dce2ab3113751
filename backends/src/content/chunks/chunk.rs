use std::sync::Arc;

use bytes::{Bytes, BytesMut};

/// What space is counted in, and the smallest hole.
pub(crate) const BLOCK: u64 = BLOCK_LEN as u64;
/// The unit of storage: what lies in one chunk is read without a copy.
pub(crate) const CHUNK: u64 = CHUNK_LEN as u64;
pub(super) const CHUNK_LEN: usize = 64 * 1024;
const BLOCK_LEN: usize = 4096;
const ALL_BLOCKS: u16 = u16::MAX;

/// Payload of one write, which several chunks share: they hold on to all of it while only one of them is left.
pub(super) struct Run {
    pub(super) whole: Bytes,
    /// How many chunks it was cut into.
    pub(super) chunks: u64,
}

/// One chunk's part of a [`Run`].
#[derive(Clone)]
pub(super) struct RunPart {
    pub(super) run: Arc<Run>,
    /// Which of the run's chunks this is.
    pub(super) number: u64,
}

/// Up to [`CHUNK`] bytes of a file. What is not there reads as zeros.
#[derive(Default, Clone)]
pub(super) struct Chunk {
    /// The bytes from the start of the chunk on; never longer than the chunk, nor than the file.
    pub(super) data: Bytes,
    /// Which blocks are allocated; the others are holes.
    pub(super) blocks: u16,
    pub(super) run: Option<RunPart>,
}

/// What a chunk costs depends on this alone, so that it can be told before anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) blocks: u16,
    pub(super) len: usize,
}

impl Shape {
    /// Allocates what the bytes from `at` to `end` touch.
    pub(super) fn allocate(&mut self, at: usize, end: usize) {
        self.blocks |= blocks_between(at / BLOCK_LEN, end.div_ceil(BLOCK_LEN));
    }

    /// Allocates and fills the bytes from `at` to `end`.
    pub(super) fn write(&mut self, at: usize, end: usize) {
        self.allocate(at, end);
        self.len = self.len.max(end);
    }

    /// Makes a hole of the bytes from `at` to `end`, of the whole blocks among them; the file ends at `file_end`.
    pub(super) fn punch(&mut self, at: usize, end: usize, file_end: usize) {
        let last = if end >= file_end { CHUNK_LEN } else { end };
        let (from, to) = (at.div_ceil(BLOCK_LEN), last / BLOCK_LEN);
        if from < to {
            self.blocks &= !blocks_between(from, to);
        }
        if last >= self.len {
            self.len = self.len.min(at);
        }
        if self.blocks == 0 {
            self.len = 0;
        }
    }

    /// Bytes of the blocks that are allocated.
    pub(super) fn allocated(self) -> u64 {
        u64::from(self.blocks.count_ones()) * BLOCK
    }

    /// Bytes of memory: blocks, or what is kept including the holes before the last block.
    pub(super) fn charge(self) -> u64 {
        self.allocated().max((self.len as u64).next_multiple_of(BLOCK))
    }
}

impl Chunk {
    pub(super) fn shape(&self) -> Shape {
        Shape { blocks: self.blocks, len: self.data.len() }
    }

    /// A full chunk.
    pub(super) fn full(data: Bytes, run: Option<RunPart>) -> Self {
        debug_assert_eq!(data.len(), CHUNK_LEN);
        Self { data, blocks: ALL_BLOCKS, run }
    }

    /// The bytes from `at` to `end`; zeros where nothing is kept. `None` when they are zeros only in part.
    pub(super) fn slice(&self, at: usize, end: usize) -> Option<Bytes> {
        if end <= self.data.len() {
            Some(self.data.slice(at..end))
        } else if at >= self.data.len() {
            Some(zeros(end - at))
        } else {
            None
        }
    }

    /// Appends the bytes from `at` to `end`.
    pub(super) fn append_to(&self, out: &mut BytesMut, at: usize, end: usize) {
        let kept = self.data.get(at.min(self.data.len())..end.min(self.data.len())).unwrap_or_default();
        out.extend_from_slice(kept);
        out.resize(out.len() + (end - at - kept.len()), 0);
    }

    pub(super) fn write(&mut self, at: usize, piece: &[u8]) {
        let end = at + piece.len();
        let mut data = self.take_data(at, end);
        if data.len() < at {
            data.resize(at, 0);
        }
        let overlap = data.len().min(end) - at;
        let (over, rest) = piece.split_at(overlap);
        if let Some(target) = data.get_mut(at..at + overlap) {
            target.copy_from_slice(over);
        }
        data.extend_from_slice(rest);
        self.data = data.freeze();
        let mut shape = self.shape();
        shape.allocate(at, end);
        self.blocks = shape.blocks;
    }

    /// The data, to be changed from `at` to `end`: the same memory if nobody else reads it, otherwise a copy.
    fn take_data(&mut self, at: usize, end: usize) -> BytesMut {
        self.run = None;
        std::mem::take(&mut self.data).try_into_mut().unwrap_or_else(|shared| {
            let mut copy = BytesMut::with_capacity(shared.len().max(end));
            if at > 0 || end < shared.len() {
                copy.extend_from_slice(&shared);
            }
            copy
        })
    }

    /// Makes a hole; see [`Shape::punch`].
    pub(super) fn punch(&mut self, at: usize, end: usize, file_end: usize) {
        let mut shape = self.shape();
        shape.punch(at, end, file_end);
        if shape.len < self.data.len() {
            self.run = None;
            // Half of a buffer would keep all of it.
            if shape.len < self.data.len() / 2 {
                self.data = Bytes::copy_from_slice(self.data.get(..shape.len).unwrap_or_default());
            } else {
                self.data.truncate(shape.len);
            }
        } else if at < self.data.len() {
            let end = end.min(self.data.len());
            let mut data = self.take_data(at, end);
            if let Some(hole) = data.get_mut(at..end) {
                hole.fill(0);
            }
            self.data = data.freeze();
        }
        self.blocks = shape.blocks;
    }

    /// Gives the chunk memory of its own.
    pub(super) fn own(&mut self) {
        self.run = None;
        self.data = Bytes::copy_from_slice(&self.data);
    }

    /// Where the first block at or after `at` that is allocated, or is not, begins.
    pub(super) fn find(&self, at: usize, allocated: bool) -> Option<usize> {
        let wanted = if allocated { self.blocks } else { !self.blocks };
        let block = at / BLOCK_LEN;
        let rest = wanted & blocks_between(block, CHUNK_LEN / BLOCK_LEN);
        (rest != 0).then(|| (rest.trailing_zeros() as usize * BLOCK_LEN).max(at))
    }
}

/// The bits of the blocks from `from` up to but not including `to`.
fn blocks_between(from: usize, to: usize) -> u16 {
    (from..to.min(CHUNK_LEN / BLOCK_LEN)).fold(0, |blocks, block| blocks | 1 << block)
}

/// This many zeros, without memory of their own up to a limit.
pub(super) fn zeros(len: usize) -> Bytes {
    static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
    ZEROS.get(..len).map_or_else(|| Bytes::from(vec![0; len]), Bytes::from_static)
}
