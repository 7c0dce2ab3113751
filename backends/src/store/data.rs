//! What is in objects: OPEN by handle, READ, WRITE, READLINK, and the calls on ranges of files.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dittofs_framework::fs::{
    Authority, Credentials, DataOrHole, FsError, FsResult, NodeHandle, OpenHold, ReadData, ShareAccess,
    Stability, Written,
};
use dittofs_framework::storage::RecordBody;

use super::inode::{Inode, State, Unsaved};
use super::volume::Volume;
use crate::rules::limits::check_range;
use crate::rules::permission;

/// Most bytes that one READ returns.
const MAX_READ: u32 = 4 << 20;

impl Volume {
    pub(super) async fn open_file(
        self: &Arc<Self>,
        caller: &Credentials,
        node: &NodeHandle,
        access: ShareAccess,
    ) -> FsResult<OpenHold> {
        let inode = self.resolve(node).await?;
        let mut state = inode.write_live()?;
        state.check_file()?;
        permission::check_open(caller, &state.facts(), access)?;
        Ok(self.hold(&inode, &mut state))
    }

    pub(super) async fn read(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        offset: u64,
        count: u32,
        authority: Authority,
    ) -> FsResult<ReadData> {
        let inode = self.resolve(node).await?;
        let mut size = {
            let state = inode.read_live()?;
            state.check_file()?;
            permission::check_read(caller, &state.facts(), authority)?;
            if count > 0 {
                inode.note_access(&state, || self.now());
            }
            state.record.size
        };
        loop {
            let left = u32::try_from(size.saturating_sub(offset)).unwrap_or(u32::MAX);
            let wanted = count.min(left).min(MAX_READ);
            let eof = offset.saturating_add(u64::from(wanted)) >= size;
            if wanted == 0 {
                return Ok(ReadData { data: Bytes::new(), eof });
            }
            let data = self.content.read(inode.ino, offset, wanted).await?;
            if data.len() >= wanted as usize {
                return Ok(ReadData { data, eof });
            }
            // The contents end before the file does: a hole; unless the file was cut meanwhile.
            let now = inode.read_live()?.record.size;
            if now >= size {
                return Ok(ReadData { data: padded(&data, wanted as usize), eof });
            }
            size = now;
        }
    }

    pub(super) async fn write(
        self: &Arc<Self>,
        caller: &Credentials,
        node: &NodeHandle,
        offset: u64,
        data: Bytes,
        stability: Stability,
        authority: Authority,
    ) -> FsResult<Written> {
        let inode = self.resolve(node).await?;
        let len = data.len() as u64;
        let count = u32::try_from(len).map_err(|_| FsError::Inval)?;
        check_writing(caller, &*inode.read_live()?, authority)?;
        if len == 0 {
            // POSIX: nothing is to happen, except that errors are found.
            return Ok(Written { count, committed: Stability::FileSync });
        }
        self.check_growth(&inode, offset, len).await?;
        let contents = self.for_writing(&inode).await?;
        let outcome = self.content.write(inode.ino, offset, data).await;
        Self::note_contents(&inode, outcome)?;
        let ticket = self.note_write(caller, &inode, offset.saturating_add(len))?;
        if stability > Stability::Unstable && !self.volatile {
            self.save(&inode).await?;
            return Ok(Written { count, committed: Stability::FileSync });
        }
        drop(contents);
        if let Some(ticket) = ticket {
            self.commit(ticket).await?;
        }
        let committed = if self.volatile { Stability::FileSync } else { Stability::Unstable };
        Ok(Written { count, committed })
    }

    /// Whether a range may be filled.
    async fn check_growth(&self, inode: &Inode, offset: u64, len: u64) -> FsResult<()> {
        check_range(offset, len)?;
        let end = offset.saturating_add(len);
        if end > self.content.max_len() {
            return Err(FsError::FileTooBig);
        }
        let is_filled = {
            let record = &inode.read_live()?.record;
            end <= record.size && record.size <= record.allocated
        };
        // What has its storage already can be written to without more.
        if is_filled { Ok(()) } else { self.check_room_for(len).await }
    }

    /// Notes that contents were written, up to `end`. Set-id bits that go are recorded at once.
    fn note_write(
        &self,
        caller: &Credentials,
        inode: &Arc<Inode>,
        end: u64,
    ) -> FsResult<Option<super::journal::Ticket>> {
        let mut state = inode.write_live()?;
        state.record.size = state.record.size.max(end);
        let had_set_ids = state.touch_data_by(caller, self.now(), self.floor());
        if state.unsaved != Unsaved::Written {
            state.unsaved = Unsaved::Written;
            self.note_unsaved(inode);
        }
        if !had_set_ids {
            return Ok(None);
        }
        let mut change = self.journal.begin()?;
        change.put(inode, &mut state);
        Ok(Some(change.ticket()))
    }

    pub(super) async fn commit_data(self: &Arc<Self>, node: &NodeHandle) -> FsResult<()> {
        let inode = self.resolve(node).await?;
        inode.read_live()?.check_file()?;
        let _contents = inode.contents.read().await;
        self.save(&inode).await
    }

    pub(super) async fn readlink(&self, node: &NodeHandle) -> FsResult<Bytes> {
        let inode = self.resolve(node).await?;
        let state = inode.read_live()?;
        let RecordBody::Symlink(target) = &state.record.body else { return Err(FsError::Inval) };
        inode.note_access(&state, || self.now());
        Ok(target.clone())
    }

    pub(super) async fn allocate(
        self: &Arc<Self>,
        caller: &Credentials,
        node: &NodeHandle,
        (offset, len): (u64, u64),
        authority: Authority,
    ) -> FsResult<()> {
        let inode = self.resolve(node).await?;
        check_writing(caller, &*inode.read_live()?, authority)?;
        self.check_growth(&inode, offset, len).await?;
        let _contents = self.for_writing(&inode).await?;
        let outcome = self.content.allocate(inode.ino, offset, len).await;
        Self::note_contents(&inode, outcome)?;
        // What becomes of set-id bits is saved with the rest.
        self.note_write(caller, &inode, offset.saturating_add(len))?;
        self.save(&inode).await
    }

    pub(super) async fn deallocate(
        self: &Arc<Self>,
        caller: &Credentials,
        node: &NodeHandle,
        (offset, len): (u64, u64),
        authority: Authority,
    ) -> FsResult<()> {
        let inode = self.resolve(node).await?;
        check_writing(caller, &*inode.read_live()?, authority)?;
        let _contents = inode.contents.write().await;
        self.cut(&inode).await?;
        let (size, has_contents) = {
            let state = inode.read_live()?;
            (state.record.size, state.has_contents)
        };
        let len = len.min(size.saturating_sub(offset));
        if len > 0 && has_contents {
            let outcome = self.content.punch(inode.ino, offset, len).await;
            Self::note_contents(&inode, outcome)?;
        }
        self.note_write(caller, &inode, 0)?;
        self.save(&inode).await
    }

    pub(super) async fn seek(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        offset: u64,
        what: DataOrHole,
        authority: Authority,
    ) -> FsResult<Option<u64>> {
        let inode = self.resolve(node).await?;
        let size = {
            let state = inode.read_live()?;
            state.check_file()?;
            permission::check_read(caller, &state.facts(), authority)?;
            state.record.size
        };
        if offset >= size {
            return Err(FsError::NoSuchOffset);
        }
        let len = self.content.size(inode.ino).await?.unwrap_or_default().len;
        if offset >= len {
            // The file goes on as a hole where its contents end.
            return Ok((what == DataOrHole::Hole).then_some(offset));
        }
        let found = self.content.seek(inode.ino, offset, what).await?;
        Ok(match what {
            DataOrHole::Data => found.filter(|at| *at < size),
            DataOrHole::Hole => Some(found.unwrap_or(size).min(size)),
        })
    }
}

/// Whether the caller may write to the contents.
pub(super) fn check_writing(caller: &Credentials, state: &State, authority: Authority) -> FsResult<()> {
    state.check_file()?;
    permission::check_write(caller, &state.facts(), authority)
}

/// The data, and zeros up to a length.
fn padded(data: &[u8], len: usize) -> Bytes {
    let mut padded = BytesMut::with_capacity(len);
    padded.extend_from_slice(data);
    padded.resize(len, 0);
    padded.freeze()
}
