//! What is in objects: OPEN by handle, READ, WRITE, READLINK, and the calls on ranges of files.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::fs::{
    Authority, Credentials, DataOrHole, FsError, FsResult, NodeHandle, OpenHold, ReadData, ShareAccess,
    Stability, Written,
};

use super::inode::{Body, State};
use super::volume::{MAX_FILE_SIZE, Volume};
use crate::content::chunks::Content;
use crate::rules::permission;

impl Volume {
    pub(super) fn open(
        self: &Arc<Self>,
        caller: &Credentials,
        node: &NodeHandle,
        access: ShareAccess,
    ) -> FsResult<OpenHold> {
        let inode = self.resolve(node)?;
        let mut state = inode.write_live()?;
        state.content()?;
        permission::check_open(caller, &state.facts, access)?;
        Ok(self.hold(&inode, &mut state))
    }

    pub(super) fn read(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        offset: u64,
        count: u32,
        authority: Authority,
    ) -> FsResult<ReadData> {
        let inode = self.resolve(node)?;
        let state = inode.read_live()?;
        let content = state.content()?;
        permission::check_read(caller, &state.facts, authority)?;
        let (data, eof) = content.read(offset, count);
        if count > 0 {
            inode.note_access(&state, || self.now());
        }
        Ok(ReadData { data, eof })
    }

    pub(super) fn write(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        offset: u64,
        data: &Bytes,
        authority: Authority,
    ) -> FsResult<Written> {
        let len = data.len() as u64;
        if len > 0 {
            self.change_content(caller, node, authority, |content| {
                check_range(offset, len)?;
                Ok(Change {
                    cost: content.cost_of_write(offset, len),
                    apply: |content: &mut Content| content.write(offset, data),
                })
            })?;
        } else {
            // POSIX: nothing is to happen, except that errors are found.
            let inode = self.resolve(node)?;
            let state = inode.read_live()?;
            state.content()?;
            permission::check_write(caller, &state.facts, authority)?;
        }
        // What is in memory is as stable as it ever gets: the client need not commit.
        Ok(Written { count: u32::try_from(len).map_err(|_| FsError::Inval)?, committed: Stability::FileSync })
    }

    pub(super) fn commit(&self, node: &NodeHandle) -> FsResult<()> {
        self.resolve(node)?.read_live()?.content().map(|_| ())
    }

    pub(super) fn readlink(&self, node: &NodeHandle) -> FsResult<Bytes> {
        let inode = self.resolve(node)?;
        let state = inode.read_live()?;
        let Body::Symlink(target) = &state.body else { return Err(FsError::Inval) };
        inode.note_access(&state, || self.now());
        Ok(target.clone())
    }

    pub(super) fn allocate(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        (offset, len): (u64, u64),
        authority: Authority,
    ) -> FsResult<()> {
        self.change_content(caller, node, authority, |content| {
            check_range(offset, len)?;
            // The range may be huge, and looking at all of it take long: most of those can be told to be too much at once.
            if content.least_cost_of_allocate(offset, len) > self.space.free() {
                return Err(FsError::NoSpace);
            }
            let cost = content.cost_of_allocate(offset, len);
            Ok(Change { cost, apply: |content: &mut Content| content.allocate(offset, len) })
        })
    }

    pub(super) fn deallocate(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        (offset, len): (u64, u64),
        authority: Authority,
    ) -> FsResult<()> {
        self.change_content(caller, node, authority, |_| {
            Ok(Change { cost: 0, apply: |content: &mut Content| content.punch(offset, len) })
        })
    }

    pub(super) fn seek(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        offset: u64,
        what: DataOrHole,
        authority: Authority,
    ) -> FsResult<Option<u64>> {
        let inode = self.resolve(node)?;
        let state = inode.read_live()?;
        let content = state.content()?;
        permission::check_read(caller, &state.facts, authority)?;
        if offset >= content.size() { Err(FsError::NoSuchOffset) } else { Ok(content.seek(offset, what)) }
    }

    /// Changes a file's content: permission, space, set-id bits and times alike for all that do.
    fn change_content<F: FnOnce(&mut Content)>(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        authority: Authority,
        plan: impl FnOnce(&Content) -> FsResult<Change<F>>,
    ) -> FsResult<()> {
        let inode = self.resolve(node)?;
        let mut state = inode.write_live()?;
        let content = state.content()?;
        permission::check_write(caller, &state.facts, authority)?;
        let change = plan(content)?;
        self.apply(caller, &mut state, change)
    }

    /// Carries a change out, if there is room for it.
    pub(super) fn apply<F: FnOnce(&mut Content)>(
        &self,
        caller: &Credentials,
        state: &mut State,
        change: Change<F>,
    ) -> FsResult<()> {
        self.space.reserve(change.cost)?;
        let content = state.content_mut()?;
        let before = content.charge();
        (change.apply)(content);
        self.space.settle(change.cost, before, content.charge());
        state.touch_data_by(caller, self.now());
        Ok(())
    }
}

/// A change of a file's content.
pub(super) struct Change<F> {
    /// By how much the charge grows at most.
    pub(super) cost: u64,
    pub(super) apply: F,
}

/// Whether a range that is to be filled ends where a file may.
pub(super) fn check_range(offset: u64, len: u64) -> FsResult<()> {
    match offset.checked_add(len) {
        Some(end) if end <= MAX_FILE_SIZE => Ok(()),
        _ => Err(FsError::FileTooBig),
    }
}
