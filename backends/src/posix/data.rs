//! What is in objects: OPEN by handle, READ, WRITE, COMMIT, READLINK.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::fs::{
    Authority, Credentials, FsError, FsResult, NodeHandle, OpenHold, ReadData, ShareAccess, Stability,
    Written,
};
use dittofs_framework::proto::FileType;
use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::errno::to_fs;
use super::identity::as_server;
use super::node::{Fd, Node};
use super::volume::{Located, Volume, proc_path, stat};
use crate::rules::limits::{MAX_FILE_SIZE, check_range};

/// Most bytes that one READ gets.
const MAX_READ: u32 = 4 << 20;

/// What a descriptor is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Reading,
    Writing,
}

impl Volume {
    pub(super) fn open(self: &Arc<Self>, node: &NodeHandle, access: ShareAccess) -> FsResult<OpenHold> {
        let located = self.resolve(node)?;
        located.check_file()?;
        located.check_open(access)?;
        self.open_for(&located.node, access)
    }

    /// Opens a file that the caller may open: from now on it can be read or written whatever becomes of its mode.
    pub(super) fn open_for(self: &Arc<Self>, node: &Arc<Node>, access: ShareAccess) -> FsResult<OpenHold> {
        if access.contains(ShareAccess::WRITE) {
            self.data_fd(node, For::Writing)?;
        }
        if access.contains(ShareAccess::READ) {
            self.data_fd(node, For::Reading)?;
        }
        Ok(self.hold(node))
    }

    /// A descriptor for what is in a file or directory, opened with the server's privilege: who may was checked.
    pub(super) fn data_fd(&self, node: &Node, purpose: For) -> FsResult<Arc<Fd>> {
        let mut data = node.data.lock();
        let there = match purpose {
            For::Reading => &data.reading,
            For::Writing => &data.writing,
        };
        if let Some(fd) = there {
            return Ok(Arc::clone(fd));
        }
        let path = proc_path(node.fd.as_fd());
        let open = |flags: OFlags| {
            let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
            rustix::fs::openat(CWD, path.as_str(), flags, Mode::empty())
        };
        if purpose == For::Reading {
            let fd = Arc::new(self.nodes.count(as_server(|| open(OFlags::RDONLY))?.map_err(to_fs)?));
            data.reading = Some(Arc::clone(&fd));
            return Ok(fd);
        }
        match as_server(|| open(OFlags::RDWR))? {
            Ok(fd) => {
                let fd = Arc::new(self.nodes.count(fd));
                data.reading.get_or_insert_with(|| Arc::clone(&fd));
                data.writing = Some(Arc::clone(&fd));
                Ok(fd)
            }
            // The server is not privileged, and may write it and not read it.
            Err(Errno::ACCESS) => {
                let fd = Arc::new(self.nodes.count(open(OFlags::WRONLY).map_err(to_fs)?));
                data.writing = Some(Arc::clone(&fd));
                Ok(fd)
            }
            Err(error) => Err(to_fs(error)),
        }
    }

    /// Keeps the descriptor with which a file was made.
    pub(super) fn keep_data_fd(&self, node: &Node, fd: OwnedFd) {
        let fd = Arc::new(self.nodes.count(fd));
        let mut data = node.data.lock();
        data.reading = Some(Arc::clone(&fd));
        data.writing = Some(fd);
    }

    pub(super) fn read(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        (offset, count): (u64, u32),
        authority: Authority,
    ) -> FsResult<ReadData> {
        let located = self.resolve(node)?;
        located.check_file()?;
        located.check_read(caller, authority)?;
        let file = self.data_fd(&located.node, For::Reading)?;
        read_at(&file, offset, count)
    }

    pub(super) fn write(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        (offset, data): (u64, &Bytes),
        stability: Stability,
        authority: Authority,
    ) -> FsResult<Written> {
        let located = self.resolve(node)?;
        located.check_file()?;
        located.check_write(caller, authority)?;
        check_range(offset, data.len() as u64)?;
        let file = self.data_fd(&located.node, For::Writing)?;
        let count = write_at(&file, offset, data)?;
        if count > 0 {
            Located::after_change(&located.node)?;
        }
        let mut committed = Stability::Unstable;
        if stability != Stability::Unstable {
            self.make_durable(&located.node)?;
            committed = Stability::FileSync;
        }
        Ok(Written { count: u32::try_from(count).map_err(|_| FsError::Inval)?, committed })
    }

    pub(super) fn commit(&self, node: &NodeHandle) -> FsResult<()> {
        let located = self.resolve(node)?;
        located.check_file()?;
        self.make_durable(&located.node)
    }

    pub(super) fn readlink(&self, node: &NodeHandle) -> FsResult<Bytes> {
        let located = self.resolve(node)?;
        if located.node.file_type != FileType::Lnk {
            return Err(FsError::Inval);
        }
        let target = rustix::fs::readlinkat(located.node.fd.as_fd(), c"", Vec::new()).map_err(to_fs)?;
        Ok(target.into_bytes().into())
    }

    /// Returns when all changes of an object so far would survive a crash: data, attributes, and the entries of a directory.
    pub(super) fn make_durable(&self, node: &Node) -> FsResult<()> {
        // The other types cannot be opened without a meaning of their own.
        let fd = match node.file_type {
            FileType::Reg | FileType::Dir => self.any_data_fd(node),
            _ => None,
        };
        let flushed = node.flush.run(|| match &fd {
            Some(fd) => rustix::fs::fsync(fd.as_fd()),
            None => rustix::fs::syncfs(&self.root),
        });
        flushed.and_then(|()| self.sync_map()).map_err(|error| {
            // The kernel takes what it could not write for written from now on.
            self.data_may_be_lost();
            to_fs(error)
        })
    }

    fn sync_map(&self) -> Result<(), Errno> {
        let unsynced = self.map.as_ref().and_then(|map| map.lock().unsynced());
        unsynced.map_or(Ok(()), |file| rustix::fs::fdatasync(&*file))
    }

    fn any_data_fd(&self, node: &Node) -> Option<Arc<Fd>> {
        let there = {
            let data = node.data.lock();
            data.writing.clone().or_else(|| data.reading.clone())
        };
        there.or_else(|| self.data_fd(node, For::Reading).ok())
    }
}

fn read_at(file: &Fd, offset: u64, count: u32) -> FsResult<ReadData> {
    // The kernel takes no range beyond the largest file.
    let room = MAX_FILE_SIZE.saturating_sub(offset);
    let wanted = usize::try_from(u64::from(count.min(MAX_READ)).min(room)).unwrap_or_default();
    let mut data = Vec::with_capacity(wanted);
    // Nothing is there, and the kernel takes no such offset.
    let mut eof = offset > MAX_FILE_SIZE;
    while !eof && data.len() < wanted {
        let at = offset + data.len() as u64;
        match rustix::io::pread(file.as_fd(), spare_capacity(&mut data), at) {
            Ok(0) => eof = true,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) if data.is_empty() => return Err(to_fs(error)),
            Err(_) => break,
        }
    }
    eof = eof || offset + data.len() as u64 >= stat(file.as_fd())?.stx_size;
    data.truncate(wanted);
    Ok(ReadData { data: data.into(), eof })
}

/// Writes as much as can be: all, if nothing goes wrong.
pub(super) fn write_at(file: &Fd, offset: u64, data: &[u8]) -> FsResult<usize> {
    let mut written = 0;
    while let Some(rest) = data.get(written..)
        && !rest.is_empty()
    {
        match rustix::io::pwrite(file.as_fd(), rest, offset + written as u64) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            Err(error) if written == 0 => return Err(to_fs(error)),
            Err(_) => break,
        }
    }
    Ok(written)
}
