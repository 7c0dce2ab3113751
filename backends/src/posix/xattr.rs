//! Extended attributes of the user name space (RFC 8276): the kernel's, with its rules.

use std::hash::Hasher;
use std::os::fd::AsFd;

use bytes::Bytes;
use dittofs_framework::fs::{FsError, FsResult, NodeHandle, XattrPage, XattrSet};
use dittofs_framework::proto::ChangeInfo;
use dittofs_framework::proto::FileType;
use rustix::buffer::spare_capacity;
use rustix::fs::{Access, XattrFlags};
use rustix::io::Errno;
use siphasher::sip::SipHasher13;

use super::errno::to_fs;
use super::exclusive;
use super::node::Node;
use super::volume::{Volume, allows, change_since, proc_path};
use crate::rules::xattr::check_limits;

/// The longest name that the kernel has (`XATTR_NAME_MAX`).
const MAX_NAME: usize = 255;
const PREFIX: &[u8] = b"user.";
/// The largest value that the kernel has (`XATTR_SIZE_MAX`), and the longest list of names.
const MAX_VALUE: usize = 64 << 10;

impl Volume {
    pub(super) fn xattr(&self, node: &NodeHandle, name: &[u8]) -> FsResult<Bytes> {
        let located = self.resolve(node)?;
        let name = full_name(name)?;
        if !has_xattrs(&located.node) || is_own(&name) {
            return Err(FsError::NoXattr);
        }
        let mut value = Vec::with_capacity(MAX_VALUE);
        let path = proc_path(located.node.fd.as_fd());
        rustix::fs::getxattr(path.as_str(), name.as_slice(), spare_capacity(&mut value)).map_err(to_fs)?;
        value.shrink_to_fit();
        Ok(value.into())
    }

    pub(super) fn set_xattr(
        &self,
        node: &NodeHandle,
        name: &[u8],
        value: &Bytes,
        when: XattrSet,
    ) -> FsResult<ChangeInfo> {
        let located = self.resolve(node)?;
        check_limits(name, value)?;
        let name = full_name(name)?;
        if !has_xattrs(&located.node) || is_own(&name) {
            return Err(FsError::Perm);
        }
        let before = located.change();
        let flags = match when {
            XattrSet::Either => XattrFlags::empty(),
            XattrSet::Create => XattrFlags::CREATE,
            XattrSet::Replace => XattrFlags::REPLACE,
        };
        let path = proc_path(located.node.fd.as_fd());
        rustix::fs::setxattr(path.as_str(), name.as_slice(), value, flags).map_err(to_fs)?;
        self.make_durable(&located.node)?;
        change_since(before, &located.node)
    }

    pub(super) fn remove_xattr(&self, node: &NodeHandle, name: &[u8]) -> FsResult<ChangeInfo> {
        let located = self.resolve(node)?;
        let name = full_name(name)?;
        if !has_xattrs(&located.node) {
            return Err(FsError::Perm);
        }
        if is_own(&name) {
            return Err(FsError::NoXattr);
        }
        let before = located.change();
        let path = proc_path(located.node.fd.as_fd());
        rustix::fs::removexattr(path.as_str(), name.as_slice()).map_err(to_fs)?;
        self.make_durable(&located.node)?;
        change_since(before, &located.node)
    }

    pub(super) fn list_xattrs(&self, node: &NodeHandle, cookie: u64, max_bytes: u32) -> FsResult<XattrPage> {
        let located = self.resolve(node)?;
        if !has_xattrs(&located.node) {
            return Ok(XattrPage { names: Vec::new(), cookie, eof: true });
        }
        if !allows(&located.node, Access::READ_OK)? {
            return Err(FsError::Access);
        }
        let mut list = Vec::with_capacity(MAX_VALUE);
        let path = proc_path(located.node.fd.as_fd());
        match rustix::fs::listxattr(path.as_str(), spare_capacity(&mut list)) {
            Ok(_) | Err(Errno::OPNOTSUPP) => {}
            Err(error) => return Err(to_fs(error)),
        }
        Ok(page_of(&list, cookie, max_bytes))
    }
}

/// The names after `cookie` that fit. The kernel has no positions in its lists: a name's is its hash, by which they are given.
fn page_of(list: &[u8], cookie: u64, max_bytes: u32) -> XattrPage {
    let names = list.split(|byte| *byte == 0).filter(|name| !is_own(name));
    let mut names: Vec<(u64, &[u8])> =
        names.filter_map(|name| name.strip_prefix(PREFIX)).map(|name| (position_of(name), name)).collect();
    names.sort_unstable();
    let mut page = XattrPage { names: Vec::new(), cookie, eof: true };
    let mut left = u64::from(max_bytes);
    for (position, name) in names.into_iter().filter(|(position, _)| *position > cookie) {
        let Some(rest) = left.checked_sub(4 + (name.len() as u64).next_multiple_of(4)) else {
            page.eof = false;
            break;
        };
        left = rest;
        page.cookie = position;
        page.names.push(Bytes::copy_from_slice(name));
    }
    page
}

/// Never 0, which is the start.
fn position_of(name: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(name);
    hasher.finish().max(1)
}

/// The user name space is one of files and directories.
fn has_xattrs(node: &Node) -> bool {
    matches!(node.file_type, FileType::Reg | FileType::Dir)
}

/// What the server keeps for itself.
fn is_own(name: &[u8]) -> bool {
    name == exclusive::NAME.as_bytes()
}

fn full_name(name: &[u8]) -> FsResult<Vec<u8>> {
    if name.is_empty() || name.contains(&0) {
        Err(FsError::Inval)
    } else if PREFIX.len() + name.len() > MAX_NAME {
        Err(FsError::NameTooLong)
    } else {
        Ok([PREFIX, name].concat())
    }
}
