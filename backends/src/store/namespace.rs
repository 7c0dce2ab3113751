//! Names: LOOKUP, REMOVE and LINK.

use std::sync::Arc;

use dittofs_framework::fs::{Credentials, Found, FsError, FsResult, NodeHandle};
use dittofs_framework::proto::{ChangeInfo, NfsTime};
use dittofs_framework::storage::Entry;

use super::inode::{Inode, State};
use super::journal::Change;
use super::lock::LockSet;
use super::volume::{Volume, change_since};
use crate::rules::limits::{MAX_LINK, check_name};
use crate::rules::permission::{self, Want};

/// What a name stood for when it was seen up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looked {
    pub(super) entry: Option<Entry>,
    epoch: u64,
}

impl Looked {
    /// Whether it still does, now that the directory is locked.
    pub(super) fn holds(&self, dir: &State, name: &[u8]) -> bool {
        dir.epoch == self.epoch && dir.names.get(name).is_none_or(|now| *now == self.entry)
    }
}

impl Volume {
    /// What a name stands for, for a caller who may look names up.
    pub(super) async fn look(&self, caller: &Credentials, dir: &Inode, name: &[u8]) -> FsResult<Looked> {
        loop {
            let epoch = {
                let state = dir.read_live()?;
                check_search(caller, &state, name)?;
                let epoch = state.epoch;
                if let Some(&entry) = state.names.get(name) {
                    return Ok(Looked { entry, epoch });
                }
                epoch
            };
            let entry = self.metadata.entry(dir.ino, name).await?;
            let seen = Looked { entry, epoch };
            if seen.holds(&*dir.read_live()?, name) {
                return Ok(seen);
            }
        }
    }

    /// The object of a name; `Stale` if the name was faster to change.
    pub(super) async fn child(&self, seen: &Looked) -> FsResult<Arc<Inode>> {
        self.load(seen.entry.ok_or(FsError::NotFound)?.ino).await
    }

    pub(super) async fn lookup(
        &self,
        caller: &Credentials,
        dir: &NodeHandle,
        name: &[u8],
    ) -> FsResult<Found> {
        let dir = self.resolve(dir).await?;
        loop {
            let seen = self.look(caller, &dir, name).await?;
            let child = match self.child(&seen).await {
                // Gone since it was seen up: the name is too, or it stands for another object by now.
                Err(FsError::Stale) if !seen.holds(&*dir.read_live()?, name) => continue,
                other => other.map_err(damaged)?,
            };
            {
                let state = child.read();
                if state.alive().is_ok() {
                    return Ok(Found { node: self.handle(child.ino), attributes: child.attributes(&state) });
                }
            }
            if seen.holds(&*dir.read_live()?, name) {
                // A name of an object that has none: the store is damaged.
                return Err(FsError::Io);
            }
        }
    }

    pub(super) async fn parent(&self, caller: &Credentials, dir: &NodeHandle) -> FsResult<NodeHandle> {
        let dir = self.resolve(dir).await?;
        let state = dir.read_live()?;
        let parent = state.directory()?.parent;
        permission::check(caller, &state.facts(), Want::EXECUTE)?;
        if parent == dir.ino { Err(FsError::NotFound) } else { Ok(self.handle(parent)) }
    }

    pub(super) async fn remove(
        self: &Arc<Self>,
        caller: &Credentials,
        dir: &NodeHandle,
        name: &[u8],
    ) -> FsResult<ChangeInfo> {
        let dir = self.resolve(dir).await?;
        loop {
            let seen = self.look(caller, &dir, name).await?;
            let entry = seen.entry.ok_or(FsError::NotFound)?;
            let child = match self.load(entry.ino).await {
                Err(FsError::Stale) if !seen.holds(&*dir.read_live()?, name) => continue,
                other => other.map_err(damaged)?,
            };
            let (ticket, info, is_unused) = {
                let mut locked = LockSet::lock_any([Some(&*dir), Some(&*child)]);
                let state = locked.get(&dir)?;
                state.alive()?;
                if !seen.holds(state, name) {
                    continue;
                }
                let dir_facts = state.facts();
                let victim = locked.get(&child)?;
                permission::check_unlink(caller, &dir_facts, &victim.facts())?;
                if victim.is_occupied() {
                    return Err(FsError::NotEmpty);
                }
                let now = self.now();
                let mut change = self.journal.begin()?;
                let state = locked.get(&dir)?;
                let before = state.record.change;
                change.remove_entry(&dir, state, name, entry)?;
                state.touch_data(now, self.floor());
                if child.is_directory() {
                    state.record.nlink -= 1;
                }
                change.put(&dir, state);
                let info = change_since(before, state);
                let is_unused = self.drop_name(&mut change, &child, locked.get(&child)?, now);
                (change.ticket(), info, is_unused)
            };
            self.commit(ticket).await?;
            if is_unused {
                self.discard_soon(child).await;
            }
            return Ok(info);
        }
    }

    /// Takes away one name of an object that the caller has locked. Returns whether the caller is to discard it after the commit.
    pub(super) fn drop_name(
        &self,
        change: &mut Change<'_>,
        inode: &Arc<Inode>,
        state: &mut State,
        now: NfsTime,
    ) -> bool {
        // A directory has the name and its own `.`.
        state.record.nlink = if inode.is_directory() { 0 } else { state.record.nlink.saturating_sub(1) };
        state.touch(now, self.floor());
        // Whoever writes to the contents of an empty file may be about to give it some.
        let is_empty =
            !state.has_contents && state.record.xattr_bytes == 0 && inode.contents.try_write().is_ok();
        if state.record.nlink == 0 && state.opens == 0 && is_empty {
            change.remove(inode, state);
            return false;
        }
        if state.record.nlink == 0 {
            change.mark_orphan(inode.ino);
        }
        change.put(inode, state);
        state.claim_unused()
    }

    pub(super) async fn link(
        self: &Arc<Self>,
        caller: &Credentials,
        node: &NodeHandle,
        dir: &NodeHandle,
        name: &[u8],
    ) -> FsResult<ChangeInfo> {
        let inode = self.resolve(node).await?;
        let dir = self.resolve(dir).await?;
        if inode.is_directory() {
            return Err(FsError::IsDir);
        }
        self.check_room().await?;
        loop {
            let seen = self.look(caller, &dir, name).await?;
            let (ticket, info) = {
                let mut locked = LockSet::lock([Some(&*inode), Some(&*dir)])?;
                let state = locked.get(&dir)?;
                if !seen.holds(state, name) {
                    continue;
                }
                check_addition(caller, state, &seen)?;
                let state = locked.get(&inode)?;
                match state.record.nlink {
                    // Unlinked and still open: it has no name any more from which another could be made.
                    0 => return Err(FsError::NotFound),
                    nlink if nlink >= MAX_LINK => return Err(FsError::TooManyLinks),
                    _ => {}
                }
                let now = self.now();
                let mut change = self.journal.begin()?;
                state.record.nlink += 1;
                state.touch(now, self.floor());
                change.put(&inode, state);
                let state = locked.get(&dir)?;
                let before = state.record.change;
                change.put_entry(&dir, state, name, &inode)?;
                state.touch_data(now, self.floor());
                change.put(&dir, state);
                (change.ticket(), change_since(before, state))
            };
            self.commit(ticket).await?;
            return Ok(info);
        }
    }

    /// Whether something may be added to the stores.
    pub(super) async fn check_room(&self) -> FsResult<()> {
        self.check_room_for(0).await
    }

    /// Whether so many bytes of contents may be added.
    pub(super) async fn check_room_for(&self, len: u64) -> FsResult<()> {
        self.room.check(&*self.metadata, &*self.content, len).await
    }
}

/// Whether the caller may look this name up.
pub(super) fn check_search(caller: &Credentials, dir: &State, name: &[u8]) -> FsResult<()> {
    dir.directory()?;
    permission::check(caller, &dir.facts(), Want::EXECUTE)?;
    check_name(name)
}

/// Whether the caller may add an entry, of a name that was seen up.
pub(super) fn check_addition(caller: &Credentials, dir: &State, seen: &Looked) -> FsResult<()> {
    if seen.entry.is_some() {
        return Err(FsError::Exist);
    }
    permission::check(caller, &dir.facts(), Want::WRITE)
}

/// A name that stands for nothing: not the handle is stale but the store damaged.
pub(super) fn damaged(error: FsError) -> FsError {
    if error == FsError::Stale { FsError::Io } else { error }
}
