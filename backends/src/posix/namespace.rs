//! Names: LOOKUP, LOOKUPP, REMOVE, RENAME and LINK.

use std::os::fd::AsFd;
use std::sync::Arc;

use dittofs_framework::fs::{Found, FsError, FsResult, NodeHandle};
use dittofs_framework::proto::ChangeInfo;
use rustix::fs::{AtFlags, CWD, Mode};
use rustix::io::Errno;

use super::errno::to_fs;
use super::node::Node;
use super::volume::{Located, NAME_ONLY, Volume, change_since, proc_path};

impl Volume {
    pub(super) fn lookup(&self, dir: &NodeHandle, name: &[u8]) -> FsResult<Found> {
        let dir = self.resolve_dir(dir)?;
        let found = self.child(&dir.node, name)?;
        Ok(Found { node: found.node.handle, attributes: found.attributes() })
    }

    pub(super) fn parent(&self, dir: &NodeHandle) -> FsResult<NodeHandle> {
        let dir = self.resolve_dir(dir)?;
        if Arc::ptr_eq(&dir.node, &self.root_node) {
            return Err(FsError::NotFound);
        }
        let fd = rustix::fs::openat(dir.node.fd.as_fd(), c"..", NAME_ONLY, Mode::empty()).map_err(to_fs)?;
        let parent = self.adopt(fd, None)?;
        self.note_path(&parent.node)?;
        // The directory may have left the tree since it was looked at.
        Ok(self.resolve_dir(&parent.node.handle)?.node.handle)
    }

    pub(super) fn remove(&self, dir: &NodeHandle, name: &[u8]) -> FsResult<ChangeInfo> {
        let dir = self.resolve_dir(dir)?;
        let before = dir.change();
        let entries = dir.node.entries.lock();
        let victim = self.child(&dir.node, name)?;
        let flags = if victim.node.is_directory() { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        rustix::fs::unlinkat(dir.node.fd.as_fd(), name, flags).map_err(|error| match error {
            // What some file systems say of a directory with entries.
            Errno::EXIST => FsError::NotEmpty,
            error => to_fs(error),
        })?;
        self.name_is_gone(&dir.node, name, &victim.node)?;
        drop(entries);
        self.make_durable(&dir.node)?;
        change_since(before, &dir.node)
    }

    pub(super) fn rename(
        &self,
        from_dir: &NodeHandle,
        from: &[u8],
        to_dir: &NodeHandle,
        to: &[u8],
    ) -> FsResult<(ChangeInfo, ChangeInfo)> {
        let from_dir = self.resolve_dir(from_dir)?;
        let to_dir = self.resolve_dir(to_dir)?;
        let (from_before, to_before) = (from_dir.change(), to_dir.change());
        let (first, second) = in_order(&from_dir.node, &to_dir.node);
        let first = first.entries.lock();
        let second = second.map(|dir| dir.entries.lock());
        let source = self.child(&from_dir.node, from)?;
        let target = self.target(&to_dir, to)?;
        let same = target.as_ref().is_some_and(|target| Arc::ptr_eq(&target.node, &source.node));
        let renamed = rustix::fs::renameat(from_dir.node.fd.as_fd(), from, to_dir.node.fd.as_fd(), to);
        renamed.map_err(|error| match error {
            Errno::EXIST => FsError::NotEmpty,
            error => to_fs(error),
        })?;
        // RFC 8881 section 18.26.3: two names of one object both stay, and nothing has changed.
        if same {
            return Ok((unchanged(&from_dir), unchanged(&to_dir)));
        }
        if let Some(target) = &target {
            self.name_is_gone(&to_dir.node, to, &target.node)?;
        }
        if let Some(map) = &self.map {
            let mut map = map.lock();
            map.forget(&source.node.handle, &from_dir.node.handle, from)?;
            map.note(&source.node.handle, &to_dir.node.handle, to)?;
        }
        Located::after_change(&source.node)?;
        drop(second);
        drop(first);
        // The new name first: a crash in between leaves two rather than none.
        self.make_durable(&to_dir.node)?;
        let to_change = change_since(to_before, &to_dir.node)?;
        if Arc::ptr_eq(&from_dir.node, &to_dir.node) {
            return Ok((to_change, to_change));
        }
        self.make_durable(&from_dir.node)?;
        Ok((change_since(from_before, &from_dir.node)?, to_change))
    }

    /// What a rename would replace.
    fn target(&self, dir: &Located, name: &[u8]) -> FsResult<Option<Located>> {
        match self.child(&dir.node, name) {
            Ok(target) => Ok(Some(target)),
            Err(FsError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn link(&self, node: &NodeHandle, dir: &NodeHandle, name: &[u8]) -> FsResult<ChangeInfo> {
        let located = self.resolve(node)?;
        let dir = self.resolve_dir(dir)?;
        if located.node.is_directory() {
            return Err(FsError::IsDir);
        }
        let before = dir.change();
        let path = proc_path(located.node.fd.as_fd());
        rustix::fs::linkat(CWD, path.as_str(), dir.node.fd.as_fd(), name, AtFlags::SYMLINK_FOLLOW)
            .map_err(to_fs)?;
        if let Some(map) = &self.map {
            map.lock().note(node, &dir.node.handle, name)?;
        }
        Located::after_change(&located.node)?;
        self.make_durable(&dir.node)?;
        change_since(before, &dir.node)
    }

    /// An object has one name less: if it was the last and nobody has it open, it is gone.
    fn name_is_gone(&self, dir: &Node, name: &[u8], node: &Arc<Node>) -> FsResult<()> {
        if let Some(map) = &self.map {
            map.lock().forget(&node.handle, &dir.handle, name)?;
        }
        if Located::after_change(node)?.stat.stx_nlink == 0 {
            self.nodes.forget(&node.handle);
        }
        Ok(())
    }
}

fn unchanged(dir: &Located) -> ChangeInfo {
    let change = dir.change();
    ChangeInfo { atomic: false, before: change, after: change }
}

/// Two directories in the order in which they are locked; only one if they are the same.
fn in_order<'a>(one: &'a Node, other: &'a Node) -> (&'a Node, Option<&'a Node>) {
    match one.handle.as_bytes().cmp(other.handle.as_bytes()) {
        std::cmp::Ordering::Less => (one, Some(other)),
        std::cmp::Ordering::Equal => (one, None),
        std::cmp::Ordering::Greater => (other, Some(one)),
    }
}
