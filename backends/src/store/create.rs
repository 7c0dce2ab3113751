//! Making objects: CREATE, and OPEN with creation.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::fs::{
    CreateMode, Created, Credentials, Found, FsError, FsResult, NewNode, NodeHandle, OpenHold, Opened,
    SetAttributes, ShareAccess,
};
use dittofs_framework::proto::ChangeInfo;
use dittofs_framework::storage::{DirectoryRecord, Ino, RecordBody};

use super::inode::{Inode, State};
use super::journal::Ticket;
use super::namespace::{Looked, check_addition, damaged};
use super::volume::{FIRST_COOKIE, InodeOwner, Volume, change_since, new_record};
use crate::rules::limits::MAX_LINK;
use crate::rules::new_object::{Draft, draft_of, draft_of_file};
use crate::rules::permission;

/// An object that was made, and is not durable yet.
struct Made {
    found: Found,
    dir_change: ChangeInfo,
    hold: Option<OpenHold>,
    ticket: Ticket,
}

/// Whether a new object is open from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Yes,
    No,
}

impl Volume {
    pub(super) async fn create(
        self: &Arc<Self>,
        caller: &Credentials,
        dir: &NodeHandle,
        name: &[u8],
        what: &NewNode,
        set: &SetAttributes,
    ) -> FsResult<(Found, ChangeInfo)> {
        let dir = self.resolve(dir).await?;
        loop {
            let seen = self.look(caller, &dir, name).await?;
            check_addition(caller, &*dir.read_live()?, &seen)?;
            let draft = draft_of(what, set)?;
            self.check_room().await?;
            let body = body_of(what, dir.ino);
            if let Some(new) = self.add(caller, &dir, name, &seen, &draft, body, Open::No)? {
                self.commit(new.ticket).await?;
                return Ok((new.found, new.dir_change));
            }
        }
    }

    pub(super) async fn open_create(
        self: &Arc<Self>,
        caller: &Credentials,
        dir: &NodeHandle,
        name: &[u8],
        mode: &CreateMode,
        access: ShareAccess,
    ) -> FsResult<Opened> {
        let dir = self.resolve(dir).await?;
        loop {
            let seen = self.look(caller, &dir, name).await?;
            if let Some(entry) = seen.entry {
                let change = dir.read_live()?.record.change;
                let opened = match self.load(entry.ino).await {
                    Ok(inode) => self.open_existing(caller, &inode, change, mode, access),
                    Err(error) => Err(error),
                };
                match opened {
                    // Replaced or removed since it was seen up.
                    Err(FsError::Stale) if !seen.holds(&*dir.read_live()?, name) => continue,
                    other => return other.map_err(damaged),
                }
            }
            check_addition(caller, &*dir.read_live()?, &seen)?;
            self.check_room().await?;
            let draft = draft_of_file(mode);
            let new = self.add(caller, &dir, name, &seen, &draft, RecordBody::Empty, Open::Yes)?;
            // Somebody was faster.
            let Some(Made { found, dir_change, hold: Some(hold), ticket }) = new else { continue };
            self.commit(ticket).await?;
            return Ok(Opened { found, hold, created: Created::New, dir_change });
        }
    }

    fn open_existing(
        self: &Arc<Self>,
        caller: &Credentials,
        inode: &Arc<Inode>,
        change: u64,
        mode: &CreateMode,
        access: ShareAccess,
    ) -> FsResult<Opened> {
        let mut state = inode.write_live()?;
        let replay = match mode {
            CreateMode::Guarded(_) => return Err(FsError::Exist),
            CreateMode::Exclusive(verifier, _) if state.record.exclusive != Some(*verifier) => {
                return Err(FsError::Exist);
            }
            CreateMode::Exclusive(..) => true,
            CreateMode::Unchecked(_) => false,
        };
        state.check_file()?;
        let facts = state.facts();
        // A retried exclusive create opens what its first try made, whatever the mode.
        if !(replay && permission::is_owner(caller, &facts)) {
            permission::check_open(caller, &facts, access)?;
        }
        let hold = self.hold(inode, &mut state);
        Ok(Opened {
            found: Found { node: self.handle(inode.ino), attributes: inode.attributes(&state) },
            hold,
            created: Created::Existing,
            dir_change: ChangeInfo { atomic: true, before: change, after: change },
        })
    }

    /// Makes an object and its entry in a directory; `None` if the name was taken since it was seen up.
    #[allow(clippy::too_many_arguments)] // who, where, what
    fn add(
        self: &Arc<Self>,
        caller: &Credentials,
        dir: &Arc<Inode>,
        name: &[u8],
        seen: &Looked,
        draft: &Draft<'_>,
        body: RecordBody,
        open: Open,
    ) -> FsResult<Option<Made>> {
        let is_directory = matches!(body, RecordBody::Directory(_));
        let mut dir_state = dir.write_live()?;
        if !seen.holds(&dir_state, name) {
            return Ok(None);
        }
        check_addition(caller, &dir_state, seen)?;
        if is_directory && dir_state.record.nlink >= MAX_LINK {
            return Err(FsError::TooManyLinks);
        }
        let now = self.now();
        let new = draft.finish(caller, &dir_state.facts(), now)?;
        if new.size > self.content.max_len() {
            return Err(FsError::FileTooBig);
        }
        let owner = InodeOwner { mode: new.facts.mode, uid: new.facts.uid, gid: new.facts.gid };
        let mut record = new_record(draft.file_type, body, new.times, owner);
        record.size = new.size;
        record.exclusive = draft.exclusive;
        record.change = self.floor().max(1);

        let mut change = self.journal.begin()?;
        let (ino, given) = self.new_ino();
        let inode = Arc::new(Inode::new(ino, State::made(record)));
        // The new object's number is larger than the directory's, as the order of locks wants it.
        let mut state = inode.write();
        change.put_new(&inode, &mut state, given);
        let before = dir_state.record.change;
        change.put_entry(dir, &mut dir_state, name, &inode)?;
        dir_state.touch_data(now, self.floor());
        if is_directory {
            dir_state.record.nlink += 1;
        }
        change.put(dir, &mut dir_state);
        let hold = (open == Open::Yes).then(|| self.hold(&inode, &mut state));
        let found = Found { node: self.handle(ino), attributes: inode.attributes(&state) };
        let new = Made { found, dir_change: change_since(before, &dir_state), hold, ticket: change.ticket() };
        drop(change);
        drop(state);
        let to_save = self.cache.insert(&inode);
        drop(dir_state);
        self.save_later(to_save);
        Ok(Some(new))
    }
}

fn body_of(what: &NewNode, dir: Ino) -> RecordBody {
    match what {
        NewNode::Directory => {
            RecordBody::Directory(DirectoryRecord { parent: dir, entries: 0, next_cookie: FIRST_COOKIE })
        }
        // A copy, so that a few bytes do not keep the request's whole buffer.
        NewNode::Symlink(target) => RecordBody::Symlink(Bytes::copy_from_slice(target)),
        NewNode::BlockDevice(device) | NewNode::CharDevice(device) => RecordBody::Device(*device),
        NewNode::Fifo | NewNode::Socket => RecordBody::Empty,
    }
}
