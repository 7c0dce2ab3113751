//! COPY and CLONE: data goes from file to file as shared chunks.
//!
//! Chunks can be shared between offsets that are the same modulo the size of a chunk. Between others data is copied: a little of it at
//! once, and for a large CLONE, which must be seen whole or not at all (RFC 7862 section 15.13.3), into chunks that no file has yet
//! and that then become the target's in one step.

use std::sync::Arc;

use dittofs_framework::fs::{Authority, Credentials, FsError, FsResult, NodeHandle};

use super::data::{Change, check_range};
use super::inode::Inode;
use super::lock::LockSet;
use super::space::{Reserved, Space};
use super::volume::Volume;
use crate::content::chunks::{CHUNK, Content, Piece};
use crate::rules::permission;

/// Most bytes that one call copies where chunks cannot be shared: it runs without giving way.
const MAX_COPY: u64 = 32 << 20;
/// Most bytes that one COPY copies by sharing chunks.
const MAX_SHARE: u64 = 1 << 30;
/// Bytes of a large CLONE that are copied before other tasks have their turn.
const STEP: usize = 4 << 20;

/// From where to where; `count` 0 stands for all that is left of the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transfer<'a> {
    pub(super) from: &'a NodeHandle,
    pub(super) from_offset: u64,
    pub(super) to: &'a NodeHandle,
    pub(super) to_offset: u64,
    pub(super) count: u64,
}

/// Whether a transfer may do less than it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// COPY: as far as the source reaches, and not too much at once.
    UpTo,
    /// CLONE: all or nothing.
    Whole,
}

/// What became of a transfer.
enum Transferred {
    /// So many bytes are in the target.
    Done(u64),
    /// The data is to be copied first.
    Staging(Staging),
}

/// A CLONE whose data is copied while no lock is held.
struct Staging {
    target: Arc<Inode>,
    to_offset: u64,
    len: u64,
    /// The source as it was, in reverse.
    pieces: Vec<Piece>,
    /// From the start of the range.
    copied: u64,
    /// The copy: a file that begins with the chunk in which the range begins.
    copy: Content,
}

impl Staging {
    /// Takes the room that the copy needs.
    fn reserve<'a>(&self, space: &'a Space) -> FsResult<Reserved<'a>> {
        let cost = Content::default().cost_of_paste(self.to_offset % CHUNK, self.len, &self.pieces);
        Reserved::new(space, cost)
    }

    /// Copies some of the data; false when there is no more.
    fn step(&mut self) -> bool {
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
}

impl Volume {
    /// Copies data from file to file; returns how many bytes.
    pub(super) async fn transfer(
        &self,
        caller: &Credentials,
        transfer: Transfer<'_>,
        extent: Extent,
        authority: Authority,
    ) -> FsResult<u64> {
        let mut staging = match self.transfer_at_once(caller, transfer, extent, authority)? {
            Transferred::Done(len) => return Ok(len),
            Transferred::Staging(staging) => staging,
        };
        let len = staging.len;
        let reserved = staging.reserve(&self.space)?;
        while staging.step() {
            tokio::task::yield_now().await;
        }
        self.finish(caller, staging, reserved, authority)?;
        Ok(len)
    }

    /// Copies the data, if chunks can be shared or there is only a little.
    fn transfer_at_once(
        &self,
        caller: &Credentials,
        transfer: Transfer<'_>,
        extent: Extent,
        authority: Authority,
    ) -> FsResult<Transferred> {
        let Transfer { from, from_offset, to, to_offset, .. } = transfer;
        let source = self.resolve(from)?;
        let target = self.resolve(to)?;
        let mut locked = LockSet::lock([Some(&*source), Some(&*target)])?;

        let state = locked.get(&source)?;
        let content = state.content()?;
        permission::check_read(caller, &state.facts, authority)?;
        let len = transfer.length(content, extent)?;
        check_range(to_offset, len)?;
        if source.id == target.id && from_offset.abs_diff(to_offset) < len {
            return Err(FsError::Inval);
        }
        let mut pieces = content.pieces(from_offset, len);
        source.note_access(state, || self.now());

        let state = locked.get(&target)?;
        let content = state.content()?;
        permission::check_write(caller, &state.facts, authority)?;
        if len > MAX_COPY && !transfer.shares() {
            pieces.reverse();
            let target = Arc::clone(&target);
            let copy = Content::default();
            return Ok(Transferred::Staging(Staging { target, to_offset, len, pieces, copied: 0, copy }));
        }
        if len > 0 {
            let cost = content.cost_of_paste(to_offset, len, &pieces);
            self.apply(
                caller,
                state,
                Change { cost, apply: |content: &mut Content| content.paste(to_offset, len, pieces) },
            )?;
        }
        Ok(Transferred::Done(len))
    }

    /// Makes what was copied the target's.
    fn finish(
        &self,
        caller: &Credentials,
        staging: Staging,
        reserved: Reserved<'_>,
        authority: Authority,
    ) -> FsResult<()> {
        let Staging { target, to_offset, len, copy, .. } = staging;
        let mut state = target.write_live()?;
        permission::check_write(caller, &state.facts, authority)?;
        let content = state.content_mut()?;
        let before = content.charge();
        content.graft(to_offset, len, copy);
        let after = content.charge();
        self.space.settle(reserved.keep(), before, after);
        state.touch_data_by(caller, self.now());
        Ok(())
    }
}

impl Transfer<'_> {
    /// Whether chunks of the source can be the target's too.
    fn shares(&self) -> bool {
        self.from_offset % CHUNK == self.to_offset % CHUNK
    }

    /// How many bytes to copy.
    fn length(&self, source: &Content, extent: Extent) -> FsResult<u64> {
        let left = source.size().saturating_sub(self.from_offset);
        let wanted = if self.count == 0 { left } else { self.count };
        match extent {
            Extent::Whole if self.from_offset > source.size() || wanted > left => Err(FsError::Inval),
            Extent::Whole => Ok(wanted),
            Extent::UpTo => Ok(wanted.min(left).min(if self.shares() { MAX_SHARE } else { MAX_COPY })),
        }
    }
}
