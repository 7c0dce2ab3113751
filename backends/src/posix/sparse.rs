//! Holes, allocation, and copies inside of the file system.

use std::os::fd::AsFd;

use dittofs_framework::fs::{Authority, Credentials, DataOrHole, FsError, FsResult, NodeHandle};
use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;

use super::data::{For, write_at};
use super::errno::to_fs;
use super::node::Fd;
use super::sys;
use super::volume::{Located, Volume, stat};
use crate::rules::limits::check_range;

/// Most bytes that one COPY copies: it keeps a thread as long as it runs.
const MAX_COPY: u64 = 64 << 20;
/// Bytes that are read and written at a time where the kernel does not copy.
const STEP: usize = 256 << 10;

/// From where to where; `count` 0 stands for all that is left of the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transfer {
    pub(super) from: NodeHandle,
    pub(super) from_offset: u64,
    pub(super) to: NodeHandle,
    pub(super) to_offset: u64,
    pub(super) count: u64,
}

impl Volume {
    pub(super) fn allocate(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        (offset, len): (u64, u64),
        authority: Authority,
    ) -> FsResult<()> {
        check_range(offset, len)?;
        self.change_range(caller, node, (offset, len), authority, FallocateFlags::empty())
    }

    pub(super) fn deallocate(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        (offset, len): (u64, u64),
        authority: Authority,
    ) -> FsResult<()> {
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        self.change_range(caller, node, (offset, len), authority, punch)
    }

    fn change_range(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        (offset, len): (u64, u64),
        authority: Authority,
        flags: FallocateFlags,
    ) -> FsResult<()> {
        let located = self.resolve(node)?;
        located.check_file()?;
        located.check_write(caller, authority)?;
        let len = if flags.contains(FallocateFlags::PUNCH_HOLE) {
            // Behind the end there is nothing, and some file systems refuse to take it away again; but the last block goes whole.
            let end = located.stat.stx_size.next_multiple_of(u64::from(located.stat.stx_blksize.max(1)));
            len.min(end.saturating_sub(offset))
        } else {
            len
        };
        if len == 0 {
            return Ok(());
        }
        let file = self.data_fd(&located.node, For::Writing)?;
        loop {
            match rustix::fs::fallocate(file.as_fd(), flags, offset, len) {
                Err(Errno::INTR) => {}
                other => break other.map_err(to_fs)?,
            }
        }
        Located::after_change(&located.node)?;
        self.make_durable(&located.node)
    }

    pub(super) fn seek(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        offset: u64,
        what: DataOrHole,
        authority: Authority,
    ) -> FsResult<Option<u64>> {
        let located = self.resolve(node)?;
        located.check_file()?;
        located.check_read(caller, authority)?;
        if offset >= located.stat.stx_size {
            return Err(FsError::NoSuchOffset);
        }
        let file = self.data_fd(&located.node, For::Reading)?;
        let place = match what {
            DataOrHole::Data => SeekFrom::Data(offset),
            DataOrHole::Hole => SeekFrom::Hole(offset),
        };
        match rustix::fs::seek(file.as_fd(), place) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NXIO) if what == DataOrHole::Data => Ok(None),
            Err(error) => Err(to_fs(error)),
        }
    }

    pub(super) fn copy(
        &self,
        caller: &Credentials,
        transfer: Transfer,
        authority: Authority,
    ) -> FsResult<u64> {
        let Transfer { from, from_offset, to, to_offset, count } = transfer;
        let source = self.resolve(&from)?;
        source.check_file()?;
        let target = self.resolve(&to)?;
        target.check_file()?;
        source.check_read(caller, authority)?;
        target.check_write(caller, authority)?;
        let left = source.stat.stx_size.saturating_sub(from_offset);
        let len = (if count == 0 { left } else { count.min(left) }).min(MAX_COPY);
        check_range(to_offset, len)?;
        if from == to && from_offset.abs_diff(to_offset) < len {
            return Err(FsError::Inval);
        }
        let input = self.data_fd(&source.node, For::Reading)?;
        let output = self.data_fd(&target.node, For::Writing)?;
        let copied = copy_data(&input, from_offset, &output, to_offset, len)?;
        if copied > 0 {
            Located::after_change(&target.node)?;
        }
        Ok(copied)
    }

    pub(super) fn clone_range(
        &self,
        caller: &Credentials,
        transfer: Transfer,
        authority: Authority,
    ) -> FsResult<()> {
        let Transfer { from, from_offset, to, to_offset, count } = transfer;
        let source = self.resolve(&from)?;
        source.check_file()?;
        let target = self.resolve(&to)?;
        target.check_file()?;
        source.check_read(caller, authority)?;
        target.check_write(caller, authority)?;
        let left = source.stat.stx_size.checked_sub(from_offset).ok_or(FsError::Inval)?;
        if count > left {
            return Err(FsError::Inval);
        }
        let len = if count == 0 { left } else { count };
        check_range(to_offset, len)?;
        if from == to && from_offset.abs_diff(to_offset) < len {
            return Err(FsError::Inval);
        }
        if len == 0 {
            return Ok(());
        }
        let input = self.data_fd(&source.node, For::Reading)?;
        let output = self.data_fd(&target.node, For::Writing)?;
        sys::clone_range(input.as_fd(), from_offset, output.as_fd(), to_offset, len).map_err(to_fs)?;
        Located::after_change(&target.node)?;
        self.make_durable(&target.node)
    }
}

/// Copies up to `len` bytes: inside of the kernel, which shares blocks where it can, or else through the server.
fn copy_data(from: &Fd, from_offset: u64, to: &Fd, to_offset: u64, len: u64) -> FsResult<u64> {
    let (mut input, mut output) = (from_offset, to_offset);
    let mut left = len;
    while left > 0 {
        let step = usize::try_from(left).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(from.as_fd(), Some(&mut input), to.as_fd(), Some(&mut output), step)
        {
            Ok(0) => break,
            Ok(count) => left = left.saturating_sub(count as u64),
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::XDEV | Errno::INVAL) => {
                let copied = copy_through(from, input, to, output, left)?;
                return Ok(len - left + copied);
            }
            Err(error) if left == len => return Err(to_fs(error)),
            Err(_) => break,
        }
    }
    Ok(len - left)
}

fn copy_through(from: &Fd, from_offset: u64, to: &Fd, to_offset: u64, len: u64) -> FsResult<u64> {
    let mut buffer = vec![0; STEP];
    let mut copied = 0;
    while copied < len && from_offset + copied < stat(from.as_fd())?.stx_size {
        let step = usize::try_from(len - copied).unwrap_or(STEP).min(STEP);
        let room = buffer.get_mut(..step).unwrap_or_default();
        let count = rustix::io::pread(from.as_fd(), room, from_offset + copied).map_err(to_fs)?;
        let data = buffer.get(..count).unwrap_or_default();
        let written = write_at(to, to_offset + copied, data)?;
        if written == 0 {
            break;
        }
        copied += written as u64;
    }
    Ok(copied)
}
