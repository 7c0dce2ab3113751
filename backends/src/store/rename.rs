//! RENAME.

use std::sync::Arc;

use dittofs_framework::fs::{Credentials, FsError, FsResult, NodeHandle};
use dittofs_framework::proto::ChangeInfo;
use dittofs_framework::storage::{Entry, Ino};

use super::inode::Inode;
use super::journal::{Change, Ticket};
use super::lock::LockSet;
use super::namespace::{Looked, damaged};
use super::volume::{Volume, change_since};
use crate::rules::rename::{Rename as Rules, Replaced};

/// What a rename is about.
struct Rename<'a> {
    from_dir: &'a Arc<Inode>,
    from: &'a [u8],
    from_seen: &'a Looked,
    to_dir: &'a Arc<Inode>,
    to: &'a [u8],
    to_seen: &'a Looked,
    source: &'a Arc<Inode>,
    /// What `to` stood for before.
    target: Option<&'a Arc<Inode>>,
}

/// A rename that was made, and is not durable yet.
struct Made {
    changes: (ChangeInfo, ChangeInfo),
    ticket: Option<Ticket>,
    /// Whether the target is to be discarded.
    is_unused: bool,
}

impl Rename<'_> {
    fn same_directory(&self) -> bool {
        self.from_dir.ino == self.to_dir.ino
    }

    /// Whether a directory gets another parent.
    fn moves_directory(&self) -> bool {
        self.source.is_directory() && !self.same_directory()
    }

    /// Whether both names still stand for what they stood for before they were locked.
    fn is_unchanged(&self, locked: &mut LockSet<'_>) -> FsResult<bool> {
        Ok(self.from_seen.holds(locked.get(self.from_dir)?, self.from)
            && self.to_seen.holds(locked.get(self.to_dir)?, self.to))
    }

    /// Whether the caller may do it.
    fn check(&self, caller: &Credentials, locked: &mut LockSet<'_>) -> FsResult<()> {
        let from_dir = locked.get(self.from_dir)?.facts();
        let to_state = locked.get(self.to_dir)?;
        let (to_dir, to_nlink) = (to_state.facts(), to_state.record.nlink);
        let source = locked.get(self.source)?.facts();
        let target = match self.target {
            Some(target) => {
                let state = locked.get(target)?;
                Some(Replaced { facts: state.facts(), occupied: state.is_occupied() })
            }
            None => None,
        };
        let same_directory = self.same_directory();
        Rules { from_dir, to_dir, to_nlink, same_directory, source, target }.check(caller)
    }
}

impl Volume {
    pub(super) async fn rename(
        self: &Arc<Self>,
        caller: &Credentials,
        (from_dir, from): (&NodeHandle, &[u8]),
        (to_dir, to): (&NodeHandle, &[u8]),
    ) -> FsResult<(ChangeInfo, ChangeInfo)> {
        let from_dir = &self.resolve(from_dir).await?;
        let to_dir = &self.resolve(to_dir).await?;
        loop {
            let from_seen = &self.look(caller, from_dir, from).await?;
            let to_seen = &self.look(caller, to_dir, to).await?;
            let source = match self.child(from_seen).await {
                Err(FsError::Stale) if !from_seen.holds(&*from_dir.read_live()?, from) => continue,
                other => &other.map_err(damaged)?,
            };
            let target = match to_seen.entry {
                None => None,
                Some(entry) => match self.load(entry.ino).await {
                    Err(FsError::Stale) if !to_seen.holds(&*to_dir.read_live()?, to) => continue,
                    other => Some(other.map_err(damaged)?),
                },
            };
            let target = target.as_ref();
            let rename = Rename { from_dir, from, from_seen, to_dir, to, to_seen, source, target };
            // While it is held, nothing that could make a directory its own ancestor goes on elsewhere.
            let moves = if rename.moves_directory() { Some(self.directory_moves.lock().await) } else { None };
            // What an undo takes back may change who is above whom, too.
            let undos = self.journal.undos();
            if moves.is_some() && self.is_below(to_dir, source.ino).await? {
                return Err(FsError::Inval);
            }
            let made = self.try_rename(caller, &rename, undos)?;
            drop(moves);
            let Some(Made { changes, ticket, is_unused }) = made else { continue };
            if let Some(ticket) = ticket {
                self.commit(ticket).await?;
            }
            if let Some(target) = target.filter(|_| is_unused) {
                self.discard_soon(Arc::clone(target)).await;
            }
            return Ok(changes);
        }
    }

    /// `None` if one of the names changed since it was looked up.
    fn try_rename(&self, caller: &Credentials, rename: &Rename<'_>, undos: u64) -> FsResult<Option<Made>> {
        let Rename { from_dir, to_dir, source, target, .. } = *rename;
        let mut locked =
            LockSet::lock_any([Some(&**from_dir), Some(&**to_dir), Some(&**source), target.map(|t| &**t)]);
        locked.get(from_dir)?.alive()?;
        locked.get(to_dir)?.alive()?;
        if !rename.is_unchanged(&mut locked)? {
            return Ok(None);
        }
        if target.is_some_and(|target| target.ino == source.ino) {
            // RFC 8881 section 18.26.3: two names of one object both stay.
            return unchanged(rename, &mut locked).map(Some);
        }
        rename.check(caller, &mut locked)?;
        let entry = rename.from_seen.entry.ok_or(FsError::Fault)?;
        let change = self.journal.begin()?;
        if change.undos() != undos {
            return Ok(None);
        }
        self.carry_out(rename, entry, &mut locked, change).map(Some)
    }

    /// Whether `dir` is the directory `above`, or somewhere below it. No directory gets another parent meanwhile.
    async fn is_below(&self, dir: &Inode, above: Ino) -> FsResult<bool> {
        let mut ino = dir.ino;
        loop {
            if ino == above {
                return Ok(true);
            }
            let parent = self.load(ino).await?.read_live()?.directory()?.parent;
            if parent == ino {
                return Ok(false);
            }
            ino = parent;
        }
    }

    fn carry_out(
        &self,
        rename: &Rename<'_>,
        entry: Entry,
        locked: &mut LockSet<'_>,
        mut change: Change<'_>,
    ) -> FsResult<Made> {
        let Rename { from_dir, from, to_dir, to, source, target, .. } = *rename;
        let now = self.now();
        let before = locked.get(from_dir)?.record.change;
        let to_before = locked.get(to_dir)?.record.change;

        let state = locked.get(from_dir)?;
        change.remove_entry(from_dir, state, from, entry)?;
        if source.is_directory() {
            state.record.nlink -= 1;
        }
        state.touch_data(now, self.floor());
        change.put(from_dir, state);

        let state = locked.get(to_dir)?;
        if let Some(replaced) = rename.to_seen.entry {
            change.remove_entry(to_dir, state, to, replaced)?;
        }
        // A listing that is past the old name must meet the new one: it goes to the end.
        change.put_entry(to_dir, state, to, source)?;
        if source.is_directory() {
            state.record.nlink += 1;
        }
        if target.is_some_and(|target| target.is_directory()) {
            state.record.nlink -= 1;
        }
        if !rename.same_directory() {
            state.touch_data(now, self.floor());
        }
        change.put(to_dir, state);

        let state = locked.get(source)?;
        state.touch(now, self.floor());
        if rename.moves_directory() {
            state.directory_mut()?.parent = to_dir.ino;
        }
        change.put(source, state);
        let is_unused = match target {
            Some(target) => self.drop_name(&mut change, target, locked.get(target)?, now),
            None => false,
        };
        let changes =
            (change_since(before, locked.get(from_dir)?), change_since(to_before, locked.get(to_dir)?));
        Ok(Made { changes, ticket: Some(change.ticket()), is_unused })
    }
}

fn unchanged(rename: &Rename<'_>, locked: &mut LockSet<'_>) -> FsResult<Made> {
    let from = locked.get(rename.from_dir)?;
    let from = change_since(from.record.change, from);
    let to = locked.get(rename.to_dir)?;
    Ok(Made { changes: (from, change_since(to.record.change, to)), ticket: None, is_unused: false })
}
