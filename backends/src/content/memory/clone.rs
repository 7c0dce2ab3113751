//! CLONE where chunks cannot be shared: data is copied, a little of it at a time, into chunks that no file has yet and that then become the
//! target's in one step, since a clone is seen whole or not at all (RFC 7862 section 15.13.3).

use crate::content::chunks::{CHUNK, Content, Piece};

/// Bytes that are copied before other tasks have their turn.
const STEP: usize = 4 << 20;

/// A clone whose data is copied while no lock is held.
pub(super) struct Staging {
    to_offset: u64,
    len: u64,
    /// The source as it was, in reverse.
    pieces: Vec<Piece>,
    /// From the start of the range.
    copied: u64,
    /// The copy: contents that begin with the chunk in which the range begins.
    copy: Content,
}

impl Staging {
    pub(super) fn new(to_offset: u64, len: u64, mut pieces: Vec<Piece>) -> Self {
        pieces.reverse();
        Self { to_offset, len, pieces, copied: 0, copy: Content::default() }
    }

    /// By how much the copy grows what is charged, at most.
    pub(super) fn cost(&self) -> u64 {
        Content::default().cost_of_paste(self.to_offset % CHUNK, self.len, &self.pieces)
    }

    /// Copies some of the data; false when there is no more.
    pub(super) fn step(&mut self) -> bool {
        let mut some = Vec::new();
        let mut bytes = 0;
        while bytes < STEP
            && let Some(piece) = self.pieces.pop()
        {
            bytes += piece.len();
            some.push(piece.behind(self.copied));
        }
        let end = self.pieces.last().map_or(self.len, Piece::at);
        self.copy.paste(self.to_offset % CHUNK + self.copied, end - self.copied, some);
        self.copied = end;
        self.copied < self.len
    }

    /// Makes the copy a part of the target.
    pub(super) fn graft_into(self, target: &mut Content) {
        target.graft(self.to_offset, self.len, self.copy);
    }
}
