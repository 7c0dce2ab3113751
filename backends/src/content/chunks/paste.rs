use std::collections::BTreeMap;

use bytes::Bytes;

use super::chunk::{CHUNK, CHUNK_LEN, Chunk, RunPart, Shape};
use super::write::{BrokenRuns, note};
use super::{Content, parts, position, usize_of};

/// Data of a part of a range; what lies between two of them is a hole.
pub(crate) struct Piece {
    /// Where it is, from the start of the range.
    at: u64,
    data: Bytes,
    run: Option<RunPart>,
}

impl Piece {
    /// Where it is, from the start of the range.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Bytes of data.
    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    /// The same in a range that begins `by` bytes later.
    pub(crate) fn behind(self, by: u64) -> Self {
        Self { at: self.at - by, ..self }
    }
}

impl Content {
    /// The data of a range that lies within the file, shared and not copied.
    pub(crate) fn pieces(&self, offset: u64, len: u64) -> Vec<Piece> {
        let end = offset + len;
        let mut pieces = Vec::new();
        for (index, chunk) in self.chunks.range(offset / CHUNK..end.div_ceil(CHUNK)) {
            let start = index * CHUNK;
            let stop = usize_of((end - start).min(CHUNK)).min(chunk.data.len());
            let mut at = usize_of(offset.saturating_sub(start));
            while let Some(from) = chunk.find(at, true).filter(|from| *from < stop) {
                let to = chunk.find(from, false).map_or(stop, |hole| hole.min(stop));
                let run = (to - from == CHUNK_LEN).then(|| chunk.run.clone()).flatten();
                pieces.push(Piece {
                    at: start + from as u64 - offset,
                    data: chunk.data.slice(from..to),
                    run,
                });
                at = to;
            }
        }
        pieces
    }

    /// By how much the charge grows at most when the pieces replace the range.
    pub(crate) fn cost_of_paste(&self, to: u64, len: u64, pieces: &[Piece]) -> u64 {
        let mut shapes: BTreeMap<u64, Shape> = BTreeMap::new();
        for piece in pieces {
            let at = to + piece.at;
            for part in parts(at, at + piece.data.len() as u64) {
                let shape =
                    shapes.entry(part.index).or_insert_with(|| self.shape_without(part.index, to, to + len));
                shape.write(part.at, part.end);
            }
        }
        let after: u64 = shapes.values().map(|shape| shape.charge()).sum();
        let before: u64 = shapes.keys().map(|index| self.shape(*index).charge()).sum();
        after.saturating_sub(before)
    }

    /// What a chunk is like once the range from `from` to `end` is a hole.
    fn shape_without(&self, index: u64, from: u64, end: u64) -> Shape {
        let mut shape = self.shape(index);
        let start = index * CHUNK;
        let end = end.min(self.size);
        if from < end && start < end {
            let at = usize_of(from.saturating_sub(start));
            shape.punch(at, usize_of((end - start).min(CHUNK)), self.end_in_chunk(index));
        }
        shape
    }

    /// Replaces the range with all of `copy`, whose first chunk lies over the chunk in which the range begins. Nothing but what shares a
    /// chunk with other data is copied: at the two ends of the range.
    pub(crate) fn graft(&mut self, to: u64, len: u64, copy: Self) {
        self.punch(to, len);
        let mut broken = BrokenRuns::new();
        let (first, begin) = position(to);
        for (index, grafted) in copy.chunks {
            self.change(first + index, &mut broken, |chunk| {
                if chunk.blocks == 0 {
                    *chunk = grafted;
                    return;
                }
                // Before the range the copy has zeros, and this file its own data.
                let mut at = if index == 0 { begin } else { 0 };
                while let Some(from) = grafted.find(at, true).filter(|from| *from < grafted.data.len()) {
                    let until = grafted.find(from, false).unwrap_or(CHUNK_LEN).min(grafted.data.len());
                    chunk.write(from, grafted.data.get(from..until).unwrap_or_default());
                    at = until;
                }
            });
        }
        self.size = self.size.max(to + len);
        self.mend(broken);
    }

    /// Replaces the range with the pieces, and extends the file to its end.
    pub(crate) fn paste(&mut self, to: u64, len: u64, pieces: Vec<Piece>) {
        self.punch(to, len);
        let mut broken = BrokenRuns::new();
        for piece in pieces {
            let (index, at) = position(to + piece.at);
            if at == 0 && piece.data.len() == CHUNK_LEN {
                let full = match piece.run {
                    None => Chunk::full(piece.data, None),
                    Some(part) if part.number <= index => {
                        // The copy may have too few of the run's chunks to be worth all of its memory.
                        note(&mut broken, index - part.number, &part.run);
                        Chunk::full(piece.data, Some(part))
                    }
                    // The run would begin before the file does.
                    Some(_) => Chunk::full(Bytes::copy_from_slice(&piece.data), None),
                };
                self.change(index, &mut broken, |chunk| *chunk = full);
            } else {
                let mut from = 0;
                for part in parts(to + piece.at, to + piece.at + piece.data.len() as u64) {
                    let until = from + part.end - part.at;
                    let bytes = piece.data.get(from..until).unwrap_or_default();
                    self.change(part.index, &mut broken, |chunk| chunk.write(part.at, bytes));
                    from = until;
                }
            }
        }
        self.size = self.size.max(to + len);
        self.mend(broken);
    }
}
