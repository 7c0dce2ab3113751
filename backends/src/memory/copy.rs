//! COPY and CLONE: data goes from file to file as shared chunks.

use dittofs_framework::fs::{Authority, Credentials, FsError, FsResult, NodeHandle};

use super::content::{CHUNK, Content};
use super::data::{Change, check_range};
use super::lock::LockSet;
use super::permission;
use super::volume::Volume;

/// Most bytes that one call copies where chunks cannot be shared: it runs without giving way.
const MAX_COPY: u64 = 32 << 20;
/// Most bytes that one COPY copies by sharing chunks.
const MAX_SHARE: u64 = 1 << 30;

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

impl Volume {
    /// Copies data from file to file; returns how many bytes.
    pub(super) fn transfer(
        &self,
        caller: &Credentials,
        transfer: Transfer<'_>,
        extent: Extent,
        authority: Authority,
    ) -> FsResult<u64> {
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
        let pieces = content.pieces(from_offset, len);
        source.note_access(state, || self.now());

        let state = locked.get(&target)?;
        let content = state.content()?;
        permission::check_write(caller, &state.facts, authority)?;
        if len > 0 {
            let cost = content.cost_of_paste(to_offset, len, &pieces);
            self.apply(
                caller,
                state,
                Change { cost, apply: |content: &mut Content| content.paste(to_offset, len, pieces) },
            )?;
        }
        Ok(len)
    }
}

impl Transfer<'_> {
    /// How many bytes to copy.
    fn length(&self, source: &Content, extent: Extent) -> FsResult<u64> {
        let left = source.size().saturating_sub(self.from_offset);
        let wanted = if self.count == 0 { left } else { self.count };
        let shares = self.from_offset % CHUNK == self.to_offset % CHUNK;
        match extent {
            Extent::Whole if self.from_offset > source.size() || wanted > left => Err(FsError::Inval),
            // RFC 7862 section 15.13.3: offsets that are not aligned are NFS4ERR_INVAL; a little of it is copied all the same.
            Extent::Whole if !shares && wanted > MAX_COPY => Err(FsError::Inval),
            Extent::Whole => Ok(wanted),
            Extent::UpTo => Ok(wanted.min(left).min(if shares { MAX_SHARE } else { MAX_COPY })),
        }
    }
}
