//! RENAME.

use std::sync::Arc;

use dittofs_framework::fs::{Credentials, FsError, FsResult, NodeHandle};
use dittofs_framework::proto::ChangeInfo;

use super::directory::entry_charge;
use super::inode::{Inode, InodeId, MAX_LINK};
use super::lock::LockSet;
use super::namespace::{child_of, is_child};
use super::volume::{Volume, change_since};
use crate::rules::permission::{self, Want};

/// What a rename is about.
struct Rename<'a> {
    from_dir: &'a Inode,
    from: &'a [u8],
    to_dir: &'a Inode,
    to: &'a [u8],
    source: &'a Arc<Inode>,
    /// What `to` stood for before.
    target: Option<&'a Arc<Inode>>,
}

impl Rename<'_> {
    fn same_directory(&self) -> bool {
        self.from_dir.id == self.to_dir.id
    }

    /// Whether a directory gets another parent.
    fn moves_directory(&self) -> bool {
        self.source.is_directory() && !self.same_directory()
    }
}

impl Volume {
    pub(super) fn rename(
        &self,
        caller: &Credentials,
        from_dir: &NodeHandle,
        from: &[u8],
        to_dir: &NodeHandle,
        to: &[u8],
    ) -> FsResult<(ChangeInfo, ChangeInfo)> {
        let from_dir = self.resolve(from_dir)?;
        let to_dir = self.resolve(to_dir)?;
        loop {
            let source = child_of(caller, &from_dir, from)?;
            let target = child_of(caller, &to_dir, to)?;
            let source = &source.ok_or(FsError::NotFound)?;
            let rename =
                Rename { from_dir: &from_dir, from, to_dir: &to_dir, to, source, target: target.as_ref() };
            // While it is held, nothing that could make a directory its own ancestor goes on elsewhere.
            let moves = rename.moves_directory().then(|| self.directory_moves.lock());
            if moves.is_some() && self.is_below(&to_dir, source.id)? {
                return Err(FsError::Inval);
            }
            let mut locked =
                LockSet::lock_any([Some(&*from_dir), Some(&*to_dir), Some(&**source), target.as_deref()]);
            locked.get(&from_dir)?.alive()?;
            locked.get(&to_dir)?.alive()?;
            if !rename.is_unchanged(&mut locked)? {
                continue;
            }
            if rename.target.is_some_and(|target| target.id == source.id) {
                // RFC 8881 section 18.26.3: two names of one object both stay.
                return unchanged(&rename, &mut locked);
            }
            rename.check(caller, &mut locked)?;
            return self.carry_out(&rename, &mut locked);
        }
    }

    /// Whether `dir` is the directory `above`, or somewhere below it. No directory gets another parent meanwhile.
    fn is_below(&self, dir: &Inode, above: InodeId) -> FsResult<bool> {
        let mut id = dir.id;
        loop {
            if id == above {
                return Ok(true);
            }
            let inode = self.table.get(id).ok_or(FsError::Stale)?;
            let parent = inode.read_live()?.directory()?.parent;
            if parent == id {
                return Ok(false);
            }
            id = parent;
        }
    }

    fn carry_out(&self, rename: &Rename<'_>, locked: &mut LockSet<'_>) -> FsResult<(ChangeInfo, ChangeInfo)> {
        let Rename { from_dir, from, to_dir, to, source, target } = *rename;
        if target.is_none() {
            self.space.reserve(entry_charge(to))?;
        }
        let now = self.now();
        let before = locked.get(from_dir)?.change;
        let to_before = locked.get(to_dir)?.change;

        let state = locked.get(from_dir)?;
        state.directory_mut()?.entries.remove(from);
        if source.is_directory() {
            state.nlink -= 1;
        }
        state.touch_data(now);
        self.space.release(entry_charge(from));

        let state = locked.get(to_dir)?;
        let entries = &mut state.directory_mut()?.entries;
        // A listing that is past the old name must meet the new one: it goes to the end.
        entries.remove(to);
        entries.insert(to, Arc::clone(source));
        if source.is_directory() {
            state.nlink += 1;
        }
        if target.is_some_and(|target| target.is_directory()) {
            state.nlink -= 1;
        }
        if !rename.same_directory() {
            state.touch_data(now);
        }

        let state = locked.get(source)?;
        state.touch(now);
        if rename.moves_directory() {
            state.directory_mut()?.parent = to_dir.id;
        }
        if let Some(target) = target {
            self.drop_name(target, locked.get(target)?, now);
        }
        Ok((change_since(before, locked.get(from_dir)?), change_since(to_before, locked.get(to_dir)?)))
    }
}

impl Rename<'_> {
    /// Whether both names still stand for what they stood for before they were locked.
    fn is_unchanged(&self, locked: &mut LockSet<'_>) -> FsResult<bool> {
        let same_target = match self.target {
            Some(target) => is_child(locked, self.to_dir, self.to, target)?,
            None => !locked.get(self.to_dir)?.directory()?.entries.contains(self.to),
        };
        Ok(same_target && is_child(locked, self.from_dir, self.from, self.source)?)
    }

    /// Whether the caller may do it, in the order in which Linux asks.
    fn check(&self, caller: &Credentials, locked: &mut LockSet<'_>) -> FsResult<()> {
        let source = locked.get(self.source)?.facts;
        let from_dir = locked.get(self.from_dir)?.facts;
        let to_state = locked.get(self.to_dir)?;
        let (to_dir, to_nlink) = (to_state.facts, to_state.nlink);
        permission::check_unlink(caller, &from_dir, &source)?;
        match self.target {
            None => permission::check(caller, &to_dir, Want::WRITE | Want::EXECUTE)?,
            Some(target) => {
                permission::check_unlink(caller, &to_dir, &locked.get(target)?.facts)?;
                match (self.source.is_directory(), target.is_directory()) {
                    (true, false) => return Err(FsError::NotDir),
                    (false, true) => return Err(FsError::IsDir),
                    _ => {}
                }
            }
        }
        if self.moves_directory() {
            // Its `..` changes, which is a write to the directory itself.
            permission::check(caller, &source, Want::WRITE)?;
            if self.target.is_none() && to_nlink >= MAX_LINK {
                return Err(FsError::TooManyLinks);
            }
        }
        let occupied = match self.target {
            Some(target) => {
                locked.get(target)?.directory().is_ok_and(|directory| !directory.entries.is_empty())
            }
            None => false,
        };
        if occupied { Err(FsError::NotEmpty) } else { Ok(()) }
    }
}

fn unchanged(rename: &Rename<'_>, locked: &mut LockSet<'_>) -> FsResult<(ChangeInfo, ChangeInfo)> {
    let from = locked.get(rename.from_dir)?;
    let from = change_since(from.change, from);
    let to = locked.get(rename.to_dir)?;
    Ok((from, change_since(to.change, to)))
}
