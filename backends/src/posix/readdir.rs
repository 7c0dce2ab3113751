//! READDIR.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use dittofs_framework::fs::{Attributes, FsError, FsResult, NodeHandle};
use dittofs_framework::proto::Verifier4;
use rustix::fs::{CWD, Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;

use super::attributes::{attributes_of, ctime};
use super::errno::to_fs;
use super::handle::cookie_verifier;
use super::identity::as_server;
use super::volume::{Volume, open_beneath, proc_path, stat};

/// Cookies 0, 1 and 2 are not for entries (RFC 8881 section 18.23.3): the kernel's positions are counted from here.
const FIRST_COOKIE: u64 = 3;
/// Bytes of entries that are asked of the kernel at a time.
const BATCH_BYTES: usize = 8 << 10;

/// An entry, with what is behind it.
pub(super) struct Entry {
    pub(super) cookie: u64,
    pub(super) name: Bytes,
    pub(super) node: NodeHandle,
    pub(super) attributes: Attributes,
}

/// Some entries of a directory.
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// Where to go on; none if that was all.
    pub(super) next: Option<u64>,
    pub(super) verifier: Verifier4,
}

impl Volume {
    /// The entries from after `cookie` on, some of them.
    ///
    /// The positions are those of the file system's own listings: what an entry's cookie leads to is the entry behind it, wherever
    /// that is by then, and all that stay keep their order (ext4 and others by a hash of the name, others by age).
    pub(super) fn list(&self, dir: &NodeHandle, cookie: u64, cookieverf: Verifier4) -> FsResult<Batch> {
        let dir = self.resolve_dir(dir)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Not by way of `.`, for which the caller would have to be able to search the directory.
        let path = proc_path(dir.node.fd.as_fd());
        let fd = rustix::fs::openat(CWD, path.as_str(), flags, Mode::empty()).map_err(to_fs)?;
        let verifier = cookie_verifier(&dir.node.handle);
        if cookie != 0 {
            let position = cookie.checked_sub(FIRST_COOKIE).ok_or(FsError::BadCookie)?;
            if cookieverf != verifier {
                return Err(FsError::BadCookie);
            }
            rustix::fs::seek(&fd, SeekFrom::Start(position)).map_err(|_| FsError::BadCookie)?;
        }
        let mut entries = Vec::new();
        let mut next = None;
        for (position, name) in names(&fd)? {
            let cookie = FIRST_COOKIE + position;
            next = Some(cookie);
            if name == "." || name == ".." {
                continue;
            }
            // Gone by now, or the root of another mount: not one of this file system's.
            let Some((node, attributes)) =
                as_server(|| self.entry(dir.node.fd.as_fd(), &dir.node.handle, &name))??
            else {
                continue;
            };
            entries.push(Entry { cookie, name, node, attributes });
        }
        Ok(Batch { entries, next, verifier })
    }

    fn entry(
        &self,
        dir: BorrowedFd<'_>,
        dir_handle: &NodeHandle,
        name: &[u8],
    ) -> FsResult<Option<(NodeHandle, Attributes)>> {
        let fd = match open_beneath(dir, name, super::volume::NAME_ONLY, Mode::empty()) {
            Err(Errno::NOENT | Errno::XDEV) => return Ok(None),
            other => other.map_err(to_fs)?,
        };
        let stat = stat(fd.as_fd())?;
        let node = self.handle_of(fd.as_fd(), &stat)?;
        if let Some(map) = &self.map {
            map.lock().note(&node, dir_handle, name)?;
        }
        let seen = match self.nodes.peek(&node) {
            Some(known) => known.stamp.lock().observe(ctime(&stat)),
            None => self.nodes.kept_stamp(&node).unwrap_or_default().observe(ctime(&stat)),
        };
        Ok(Some((node, attributes_of(&stat, seen))))
    }
}

/// Some names, each with the position behind it; none at the end.
fn names(fd: &OwnedFd) -> FsResult<Vec<(u64, Bytes)>> {
    let mut buffer = Vec::with_capacity(BATCH_BYTES);
    let mut listing = RawDir::new(fd, buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = listing.next() {
        let entry = entry.map_err(to_fs)?;
        names.push((entry.next_entry_cookie(), Bytes::copy_from_slice(entry.file_name().to_bytes())));
        if listing.is_buffer_empty() {
            break;
        }
    }
    Ok(names)
}
