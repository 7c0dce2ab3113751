use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::chunk::{BLOCK, CHUNK, CHUNK_LEN, Chunk, Run, RunPart, Shape};
use super::{Content, Part, parts, position, usize_of};

/// From this length on a write's payload is kept instead of copied, where it fills whole chunks. The buffer that the
/// payload came in is at most twice as long (WRITE copies what is less than half of its request), so what it keeps beyond its chunks is
/// bounded.
const KEEP_PAYLOAD_LEN: usize = 2 * CHUNK_LEN;

/// Runs that lost a chunk, with the number of the chunk that the run begins at.
pub(super) type BrokenRuns = SmallVec<[(u64, Arc<Run>); 4]>;

impl Content {
    /// By how much the charge grows when `len` bytes are written at `offset`.
    pub(crate) fn cost_of_write(&self, offset: u64, len: u64) -> u64 {
        self.cost_of(offset, len, Shape::write)
    }

    /// By how much the charge grows when the range is allocated.
    pub(crate) fn cost_of_allocate(&self, offset: u64, len: u64) -> u64 {
        self.cost_of(offset, len, Shape::allocate)
    }

    fn cost_of(&self, offset: u64, len: u64, change: impl Fn(&mut Shape, usize, usize)) -> u64 {
        parts(offset, offset + len)
            .map(|part| {
                let before = self.shape(part.index);
                let mut after = before;
                change(&mut after, part.at, part.end);
                after.charge() - before.charge()
            })
            .sum()
    }

    pub(super) fn shape(&self, index: u64) -> Shape {
        self.chunks.get(&index).map_or(Shape { blocks: 0, len: 0 }, Chunk::shape)
    }

    /// Writes; the end of the range is at most the largest file size.
    pub(crate) fn write(&mut self, offset: u64, data: &Bytes) {
        let end = offset + data.len() as u64;
        let keep = data.len() >= KEEP_PAYLOAD_LEN;
        let mut broken = BrokenRuns::new();
        let mut run: Option<(u64, Arc<Run>)> = None;
        let mut from = 0;
        for part in parts(offset, end) {
            let len = part.end - part.at;
            if keep && len == CHUNK_LEN {
                let (first, run) = run.get_or_insert_with(|| (part.index, run_of(data, from)));
                let number = part.index - *first;
                let full =
                    Chunk::full(data.slice(from..from + len), Some(RunPart { run: Arc::clone(run), number }));
                self.change(part.index, &mut broken, |chunk| *chunk = full);
            } else {
                let piece = data.get(from..from + len).unwrap_or_default();
                self.change(part.index, &mut broken, |chunk| chunk.write(part.at, piece));
            }
            from += len;
        }
        self.size = self.size.max(end);
        self.mend(broken);
    }

    /// Sets the size: what is beyond goes, what is new is a hole.
    pub(crate) fn resize(&mut self, size: u64) {
        if size < self.size {
            let mut broken = BrokenRuns::new();
            let (index, at) = position(size);
            if at > 0 {
                let file_end = self.end_in_chunk(index);
                self.change(index, &mut broken, |chunk| chunk.punch(at, CHUNK_LEN, file_end));
            }
            let first = size.div_ceil(CHUNK);
            while let Some((index, chunk)) =
                self.chunks.last_key_value().filter(|(index, _)| **index >= first)
            {
                let shape = chunk.shape();
                self.charge -= shape.charge();
                self.allocated -= shape.allocated();
                if let Some(part) = &chunk.run {
                    note(&mut broken, index - part.number, &part.run);
                }
                self.chunks.pop_last();
            }
            self.size = size;
            self.mend(broken);
        }
        self.size = size;
    }

    /// Makes a hole of the range, as far as the file reaches.
    pub(crate) fn punch(&mut self, offset: u64, len: u64) {
        let end = offset.saturating_add(len).min(self.size);
        if offset >= end {
            return;
        }
        let mut broken = BrokenRuns::new();
        let (first, _) = position(offset);
        let touched: Vec<u64> =
            self.chunks.range(first..end.div_ceil(CHUNK)).map(|(index, _)| *index).collect();
        for index in touched {
            let start = index * CHUNK;
            let part = Part {
                index,
                at: usize_of(offset.saturating_sub(start)),
                end: usize_of((end - start).min(CHUNK)),
            };
            let file_end = self.end_in_chunk(index);
            self.change(index, &mut broken, |chunk| chunk.punch(part.at, part.end, file_end));
        }
        self.mend(broken);
    }

    /// Allocates the range and extends the file to its end.
    pub(crate) fn allocate(&mut self, offset: u64, len: u64) {
        let end = offset + len;
        let mut broken = BrokenRuns::new();
        for part in parts(offset, end) {
            self.change(part.index, &mut broken, |chunk| {
                let mut shape = chunk.shape();
                shape.allocate(part.at, part.end);
                chunk.blocks = shape.blocks;
            });
        }
        self.size = self.size.max(end);
    }

    /// How many blocks of the range are certainly not allocated yet: cheap to tell, whatever the range.
    pub(crate) fn least_cost_of_allocate(&self, offset: u64, len: u64) -> u64 {
        let blocks = (offset + len).div_ceil(BLOCK) - offset / BLOCK;
        (blocks * BLOCK).saturating_sub(self.charge)
    }

    /// Where in a chunk the file ends, if it ends there.
    pub(super) fn end_in_chunk(&self, index: u64) -> usize {
        usize_of(self.size.saturating_sub(index * CHUNK).min(CHUNK))
    }

    /// Changes one chunk, which is made for it and goes if it is a hole afterwards; keeps the sums right.
    pub(super) fn change(&mut self, index: u64, broken: &mut BrokenRuns, change: impl FnOnce(&mut Chunk)) {
        let chunk = self.chunks.entry(index).or_default();
        let before = chunk.shape();
        let run = chunk.run.clone();
        change(chunk);
        let after = chunk.shape();
        if let Some(part) = run {
            let stays = chunk.run.as_ref().is_some_and(|now| Arc::ptr_eq(&now.run, &part.run));
            if !stays {
                note(broken, index - part.number, &part.run);
            }
        }
        if after.blocks == 0 {
            self.chunks.remove(&index);
        }
        self.charge = self.charge + after.charge() - before.charge();
        self.allocated = self.allocated + after.allocated() - before.allocated();
    }

    /// Lets go of payloads of which less than half is left.
    pub(super) fn mend(&mut self, broken: BrokenRuns) {
        for (first, run) in broken {
            let last = first + run.chunks;
            let is_part = |chunk: &Chunk| chunk.run.as_ref().is_some_and(|part| Arc::ptr_eq(&part.run, &run));
            let left = self.chunks.range(first..last).filter(|(_, chunk)| is_part(chunk)).count() as u64;
            if left * 2 < run.chunks {
                let rest = self.chunks.range_mut(first..last).map(|(_, chunk)| chunk);
                rest.filter(|chunk| is_part(chunk)).for_each(Chunk::own);
            }
        }
    }
}

/// The part of a payload, from `from` on, that makes whole chunks.
fn run_of(data: &Bytes, from: usize) -> Arc<Run> {
    let chunks = (data.len() - from) / CHUNK_LEN;
    Arc::new(Run { whole: data.slice(from..from + chunks * CHUNK_LEN), chunks: chunks as u64 })
}

pub(super) fn note(broken: &mut BrokenRuns, first: u64, run: &Arc<Run>) {
    if !broken.last().is_some_and(|(at, last)| *at == first && Arc::ptr_eq(last, run)) {
        broken.push((first, Arc::clone(run)));
    }
}
