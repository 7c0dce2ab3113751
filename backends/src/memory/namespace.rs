//! Names: LOOKUP, REMOVE and LINK.

use std::sync::Arc;

use dittofs_framework::fs::{Credentials, Found, FsError, FsResult, NodeHandle};
use dittofs_framework::proto::ChangeInfo;

use super::create::{check_addition, search};
use super::directory::entry_charge;
use super::inode::{Inode, MAX_LINK};
use super::lock::LockSet;
use super::volume::{Volume, change_since};
use crate::rules::permission::{self, Want};

impl Volume {
    pub(super) fn lookup(&self, caller: &Credentials, dir: &NodeHandle, name: &[u8]) -> FsResult<Found> {
        let dir = self.resolve(dir)?;
        loop {
            let child = child_of(caller, &dir, name)?.ok_or(FsError::NotFound)?;
            // Gone since it was looked up: the name is too, or it stands for another object by now.
            let Ok(state) = child.read_live() else { continue };
            return Ok(Found { node: self.handle(child.id), attributes: child.attributes(&state) });
        }
    }

    pub(super) fn parent(&self, caller: &Credentials, dir: &NodeHandle) -> FsResult<NodeHandle> {
        let dir = self.resolve(dir)?;
        let state = dir.read_live()?;
        let parent = state.directory()?.parent;
        permission::check(caller, &state.facts, Want::EXECUTE)?;
        if parent == dir.id { Err(FsError::NotFound) } else { Ok(self.handle(parent)) }
    }

    pub(super) fn remove(&self, caller: &Credentials, dir: &NodeHandle, name: &[u8]) -> FsResult<ChangeInfo> {
        let dir = self.resolve(dir)?;
        loop {
            let child = child_of(caller, &dir, name)?.ok_or(FsError::NotFound)?;
            let mut locked = LockSet::lock_any([Some(&*dir), Some(&*child)]);
            locked.get(&dir)?.alive()?;
            if !is_child(&mut locked, &dir, name, &child)? {
                continue;
            }
            let victim = locked.get(&child)?;
            let facts = victim.facts;
            let occupied = victim.directory().is_ok_and(|directory| !directory.entries.is_empty());
            let state = locked.get(&dir)?;
            permission::check_unlink(caller, &state.facts, &facts)?;
            if occupied {
                return Err(FsError::NotEmpty);
            }
            let now = self.now();
            let before = state.change;
            state.directory_mut()?.entries.remove(name);
            state.touch_data(now);
            if child.is_directory() {
                state.nlink -= 1;
            }
            let change = change_since(before, state);
            self.space.release(entry_charge(name));
            self.drop_name(&child, locked.get(&child)?, now);
            return Ok(change);
        }
    }

    pub(super) fn link(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        dir: &NodeHandle,
        name: &[u8],
    ) -> FsResult<ChangeInfo> {
        let inode = self.resolve(node)?;
        let dir = self.resolve(dir)?;
        if inode.is_directory() {
            return Err(FsError::IsDir);
        }
        let mut locked = LockSet::lock([Some(&*inode), Some(&*dir)])?;
        check_addition(caller, locked.get(&dir)?, name)?;
        let state = locked.get(&inode)?;
        match state.nlink {
            // Unlinked and still open: it has no name any more from which another could be made.
            0 => return Err(FsError::NotFound),
            nlink if nlink >= MAX_LINK => return Err(FsError::TooManyLinks),
            _ => {}
        }
        self.space.reserve(entry_charge(name))?;
        let now = self.now();
        state.nlink += 1;
        state.touch(now);
        let dir_state = locked.get(&dir)?;
        let before = dir_state.change;
        dir_state.directory_mut()?.entries.insert(name, Arc::clone(&inode));
        dir_state.touch_data(now);
        Ok(change_since(before, dir_state))
    }
}

/// What a name stands for now.
pub(super) fn child_of(caller: &Credentials, dir: &Inode, name: &[u8]) -> FsResult<Option<Arc<Inode>>> {
    let state = dir.read_live()?;
    Ok(search(caller, &state, name)?.get(name).cloned())
}

/// Whether a name still stands for `child`, now that the directory is locked.
pub(super) fn is_child(locked: &mut LockSet<'_>, dir: &Inode, name: &[u8], child: &Inode) -> FsResult<bool> {
    let entries = &locked.get(dir)?.directory()?.entries;
    Ok(entries.get(name).is_some_and(|now| now.id == child.id))
}
