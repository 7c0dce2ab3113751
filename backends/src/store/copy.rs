//! COPY and CLONE.

use std::sync::Arc;

use dittofs_framework::fs::{Authority, Credentials, FsError, FsResult, NodeHandle};
use tokio::sync::RwLockWriteGuard;

use super::data::check_writing;
use super::inode::{Inode, Unsaved};
use super::volume::Volume;
use crate::rules::limits::check_range;
use crate::rules::permission;

/// Most bytes that one COPY copies.
const MAX_COPY: u64 = 1 << 30;

/// From where to where; `count` 0 stands for all that is left of the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transfer<'a> {
    pub(super) from: &'a NodeHandle,
    pub(super) from_offset: u64,
    pub(super) to: &'a NodeHandle,
    pub(super) to_offset: u64,
    pub(super) count: u64,
}

impl Volume {
    /// Copies data from file to file; returns how many bytes.
    pub(super) async fn copy(
        &self,
        caller: &Credentials,
        transfer: Transfer<'_>,
        authority: Authority,
    ) -> FsResult<u64> {
        let Transfer { from_offset, to_offset, count, .. } = transfer;
        let (source, target) = self.ends(caller, &transfer, authority).await?;
        let size = source.read_live()?.record.size;
        let left = size.saturating_sub(from_offset);
        let len = if count == 0 { left } else { count.min(left) }.min(MAX_COPY);
        self.check_ranges(&source, &target, &transfer, len)?;
        if len == 0 {
            return Ok(0);
        }
        self.check_room().await?;
        let _contents = target.contents.write().await;
        self.cut(&target).await?;
        let copied = self.content.copy(source.ino, from_offset, target.ino, to_offset, len).await;
        let mut done = match copied {
            Ok(copied) => {
                Self::note_contents(&target, Ok(copied.to))?;
                copied.count
            }
            Err(error) => return Self::note_contents(&target, Err(error)).map(|()| 0),
        };
        if done == 0 {
            // The source goes on as a hole where its contents end.
            let outcome = self.content.punch(target.ino, to_offset, len).await;
            Self::note_contents(&target, outcome)?;
            done = len;
        }
        self.note_copy(caller, &target, to_offset.saturating_add(done))?;
        Ok(done)
    }

    /// Makes the target's range share the source's.
    pub(super) async fn clone_range(
        &self,
        caller: &Credentials,
        transfer: Transfer<'_>,
        authority: Authority,
    ) -> FsResult<()> {
        let Transfer { from_offset, to_offset, count, .. } = transfer;
        let (source, target) = self.ends(caller, &transfer, authority).await?;
        let (_first, _second) = both_contents(&source, &target).await;
        self.cut(&source).await?;
        self.cut(&target).await?;
        let size = source.read_live()?.record.size;
        let left = size.saturating_sub(from_offset);
        let len = if count == 0 { left } else { count };
        if from_offset > size || len > left {
            return Err(FsError::Inval);
        }
        self.check_ranges(&source, &target, &transfer, len)?;
        if len == 0 {
            return Ok(());
        }
        self.check_room().await?;
        let there = self.content.size(source.ino).await?.unwrap_or_default().len;
        if there < from_offset.saturating_add(len) {
            let outcome = self.content.truncate(source.ino, size).await;
            Self::note_contents(&source, outcome)?;
        }
        let outcome = self.content.clone_range(source.ino, from_offset, target.ino, to_offset, len).await;
        Self::note_contents(&target, outcome)?;
        self.note_copy(caller, &target, to_offset.saturating_add(len))
    }

    /// Source and target, if the caller may read the one and write the other.
    async fn ends(
        &self,
        caller: &Credentials,
        transfer: &Transfer<'_>,
        authority: Authority,
    ) -> FsResult<(Arc<Inode>, Arc<Inode>)> {
        let source = self.resolve(transfer.from).await?;
        let target = self.resolve(transfer.to).await?;
        {
            let state = source.read_live()?;
            state.check_file()?;
            permission::check_read(caller, &state.facts(), authority)?;
            source.note_access(&state, || self.now());
        }
        check_writing(caller, &*target.read_live()?, authority)?;
        Ok((source, target))
    }

    fn note_copy(&self, caller: &Credentials, target: &Arc<Inode>, end: u64) -> FsResult<()> {
        let mut state = target.write_live()?;
        state.record.size = state.record.size.max(end);
        state.unsaved = Unsaved::Written;
        state.touch_data_by(caller, self.now(), self.floor());
        self.note_unsaved(target);
        Ok(())
    }

    fn check_ranges(
        &self,
        source: &Inode,
        target: &Inode,
        transfer: &Transfer<'_>,
        len: u64,
    ) -> FsResult<()> {
        check_range(transfer.to_offset, len)?;
        if transfer.to_offset.saturating_add(len) > self.content.max_len() {
            return Err(FsError::FileTooBig);
        }
        let overlap = transfer.from_offset.abs_diff(transfer.to_offset) < len;
        if source.ino == target.ino && overlap { Err(FsError::Inval) } else { Ok(()) }
    }
}

/// Keeps everybody else from the contents of two files, or of one.
async fn both_contents<'a>(
    one: &'a Inode,
    other: &'a Inode,
) -> (RwLockWriteGuard<'a, ()>, Option<RwLockWriteGuard<'a, ()>>) {
    let (first, second) = if one.ino <= other.ino { (one, other) } else { (other, one) };
    let guard = first.contents.write().await;
    let rest = if first.ino == second.ino { None } else { Some(second.contents.write().await) };
    (guard, rest)
}
