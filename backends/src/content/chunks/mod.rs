//! The bytes of a file: chunks of 64 KiB by number, with holes of blocks of 4 KiB.

mod chunk;
mod paste;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use dittofs_framework::fs::DataOrHole;

pub(crate) use chunk::CHUNK;
use chunk::{CHUNK_LEN, Chunk, zeros};
pub(crate) use paste::Piece;

/// What is in a regular file.
#[derive(Default)]
pub(crate) struct Content {
    size: u64,
    chunks: BTreeMap<u64, Chunk>,
    allocated: u64,
    charge: u64,
}

/// What a range has of one chunk.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// Number of the chunk.
    index: u64,
    /// Where in the chunk the part begins and ends.
    at: usize,
    end: usize,
}

/// The chunks that the bytes from `offset` to `end` lie in.
fn parts(offset: u64, end: u64) -> impl Iterator<Item = Part> {
    let mut next = offset;
    std::iter::from_fn(move || {
        (next < end).then(|| {
            let (index, at) = position(next);
            let stop = end.min(index.saturating_add(1).saturating_mul(CHUNK));
            let part = Part { index, at, end: at + usize_of(stop - next) };
            next = stop;
            part
        })
    })
}

/// Number of the chunk of an offset, and where it is in the chunk.
fn position(offset: u64) -> (u64, usize) {
    (offset / CHUNK, usize_of(offset % CHUNK))
}

/// Lengths within a chunk or a payload always fit.
fn usize_of(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

impl Content {
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of allocated blocks.
    pub(crate) fn allocated(&self) -> u64 {
        self.allocated
    }

    /// Bytes that the content is charged.
    pub(crate) fn charge(&self) -> u64 {
        self.charge
    }

    /// `count` bytes from `offset` on, or as many as there are.
    pub(crate) fn bytes(&self, offset: u64, count: u64) -> Bytes {
        if offset >= self.size {
            return Bytes::new();
        }
        self.range(offset, self.size.min(offset.saturating_add(count)))
    }

    fn range(&self, offset: u64, end: u64) -> Bytes {
        let (index, at) = position(offset);
        let len = usize_of(end - offset);
        let first = self.chunks.get(&index);
        if at + len <= CHUNK_LEN {
            let slice = first.map_or_else(|| Some(zeros(len)), |chunk| chunk.slice(at, at + len));
            if let Some(bytes) = slice {
                return bytes;
            }
        }
        self.range_of_run(first, index, at, len).unwrap_or_else(|| self.copied_range(offset, end))
    }

    /// The range as one slice, if it came in one write.
    fn range_of_run(&self, first: Option<&Chunk>, index: u64, at: usize, len: usize) -> Option<Bytes> {
        let part = first?.run.as_ref()?;
        let from = usize_of(part.number) * CHUNK_LEN + at;
        if from + len > part.run.whole.len() {
            return None;
        }
        let last = index + (at + len - 1) as u64 / CHUNK;
        let belongs = |(chunk_index, chunk): (&u64, &Chunk)| {
            chunk.run.as_ref().is_some_and(|other| {
                std::sync::Arc::ptr_eq(&other.run, &part.run)
                    && other.number == part.number + (chunk_index - index)
            })
        };
        let mut rest = 0;
        let all = self.chunks.range(index + 1..=last).inspect(|_| rest += 1).all(belongs);
        (all && rest == last - index).then(|| part.run.whole.slice(from..from + len))
    }

    fn copied_range(&self, offset: u64, end: u64) -> Bytes {
        let mut out = BytesMut::with_capacity(usize_of(end - offset));
        for part in parts(offset, end) {
            match self.chunks.get(&part.index) {
                Some(chunk) => chunk.append_to(&mut out, part.at, part.end),
                None => out.resize(out.len() + part.end - part.at, 0),
            }
        }
        out.freeze()
    }

    /// The first offset from `offset` on that is data or hole; `offset` lies before the end of the file.
    pub(crate) fn seek(&self, offset: u64, what: DataOrHole) -> Option<u64> {
        let (first, at) = position(offset);
        match what {
            DataOrHole::Data => self.chunks.range(first..).find_map(|(index, chunk)| {
                let from = if *index == first { at } else { 0 };
                chunk.find(from, true).map(|found| index * CHUNK + found as u64)
            }),
            DataOrHole::Hole => Some(self.first_hole(offset, first, at).min(self.size)),
        }
        .filter(|found| *found < self.size || what == DataOrHole::Hole)
    }

    fn first_hole(&self, offset: u64, first: u64, at: usize) -> u64 {
        let mut expected = first;
        for (index, chunk) in self.chunks.range(first..) {
            if *index != expected {
                break;
            }
            let from = if *index == first { at } else { 0 };
            if let Some(found) = chunk.find(from, false) {
                return index * CHUNK + found as u64;
            }
            expected += 1;
        }
        (expected * CHUNK).max(offset)
    }

    /// Whether the sums are those of the chunks, and no chunk has what it must not have.
    #[cfg(test)]
    pub(crate) fn is_consistent(&self) -> bool {
        let allocated: u64 = self.chunks.values().map(|chunk| chunk.shape().allocated()).sum();
        let charge: u64 = self.chunks.values().map(|chunk| chunk.shape().charge()).sum();
        allocated == self.allocated
            && charge == self.charge
            && self.chunks.iter().all(|(index, chunk)| {
                chunk.blocks != 0
                    && chunk.data.len() <= CHUNK_LEN
                    && index * CHUNK < self.size
                    && index * CHUNK + chunk.data.len() as u64 <= self.size
            })
    }
}
