//! Making objects: CREATE, and OPEN with creation.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::fs::{
    CreateMode, Created, Credentials, Found, FsError, FsResult, NewNode, NodeHandle, Opened, SetAttributes,
    ShareAccess,
};
use dittofs_framework::proto::{ChangeInfo, FileType, NfsTime};

use super::attributes::{self, check_id};
use super::directory::{Directory, entry_charge};
use super::inode::{Body, Inode, InodeId, Life, MAX_LINK, State, Times};
use super::space::INODE_CHARGE;
use super::volume::{Volume, change_since, check_name};
use crate::content::chunks::Content;
use crate::rules::permission::{self, Want};

/// Longest content of a symbolic link: a path of 4096 bytes on Linux ends with a NUL.
pub(super) const MAX_SYMLINK: usize = 4095;
/// Permission bits where the client names none.
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;
const SYMLINK_MODE: u32 = 0o777;
/// An exclusive create gets its mode in a later SETATTR: until then nobody else is to open the file.
const EXCLUSIVE_MODE: u32 = 0o600;

/// An object about to be made.
struct Draft<'a> {
    file_type: FileType,
    body: Body,
    mode: u32,
    set: &'a SetAttributes,
    exclusive: Option<[u8; 8]>,
}

impl Volume {
    pub(super) fn create(
        &self,
        caller: &Credentials,
        dir: &NodeHandle,
        name: &[u8],
        what: &NewNode,
        set: &SetAttributes,
    ) -> FsResult<(Found, ChangeInfo)> {
        let dir = self.resolve(dir)?;
        let mut state = dir.write_live()?;
        check_addition(caller, &state, name)?;
        let draft = draft_of(what, set)?;
        let before = state.change;
        let (inode, found) = self.add(caller, &dir, &mut state, name, draft)?;
        drop(inode);
        Ok((found, change_since(before, &state)))
    }

    pub(super) fn open_create(
        self: &Arc<Self>,
        caller: &Credentials,
        dir: &NodeHandle,
        name: &[u8],
        mode: &CreateMode,
        access: ShareAccess,
    ) -> FsResult<Opened> {
        let dir = self.resolve(dir)?;
        loop {
            let (existing, change) = {
                let state = dir.read_live()?;
                (search(caller, &state, name)?.get(name).cloned(), state.change)
            };
            if let Some(inode) = existing {
                match self.open_existing(caller, &inode, change, mode, access) {
                    // Replaced or removed since it was looked up.
                    Err(FsError::Stale) => continue,
                    other => return other,
                }
            }
            let mut state = dir.write_live()?;
            match check_addition(caller, &state, name) {
                // Somebody was faster.
                Err(FsError::Exist) => continue,
                other => other?,
            }
            let before = state.change;
            let (inode, found) = self.add(caller, &dir, &mut state, name, draft_of_file(mode))?;
            let dir_change = change_since(before, &state);
            // The new file's number is larger than the directory's, as the order of locks wants it.
            let hold = self.hold(&inode, &mut inode.write());
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
            CreateMode::Exclusive(verifier, _) if state.exclusive != Some(*verifier) => {
                return Err(FsError::Exist);
            }
            CreateMode::Exclusive(..) => true,
            CreateMode::Unchecked(_) => false,
        };
        state.content()?;
        // A retried exclusive create opens what its first try made, whatever the mode.
        if !(replay && permission::is_owner(caller, &state.facts)) {
            permission::check_open(caller, &state.facts, access)?;
        }
        let hold = self.hold(inode, &mut state);
        Ok(Opened {
            found: Found { node: self.handle(inode.id), attributes: inode.attributes(&state) },
            hold,
            created: Created::Existing,
            dir_change: ChangeInfo { atomic: true, before: change, after: change },
        })
    }

    /// Makes an object and its entry in a directory that the caller has locked and checked.
    fn add(
        &self,
        caller: &Credentials,
        dir: &Inode,
        dir_state: &mut State,
        name: &[u8],
        draft: Draft<'_>,
    ) -> FsResult<(Arc<Inode>, Found)> {
        let is_directory = draft.file_type == FileType::Dir;
        if is_directory && dir_state.nlink >= MAX_LINK {
            return Err(FsError::TooManyLinks);
        }
        let now = self.now();
        let mut state = new_state(caller, dir_state, draft, now)?;
        let charge = state.charge();
        self.space.reserve(entry_charge(name))?;
        if let Err(error) = self.space.add_file(charge) {
            self.space.release(entry_charge(name));
            return Err(error);
        }
        let id = self.new_id();
        if let Body::Directory(directory) = &mut state.body {
            directory.parent = dir.id;
            dir_state.nlink += 1;
        }
        let inode = Arc::new(Inode::new(id, state));
        let found = Found { node: self.handle(id), attributes: inode.attributes(&inode.read()) };
        self.table.insert(&inode);
        dir_state.directory_mut()?.entries.insert(name, Arc::clone(&inode));
        dir_state.touch_data(now);
        Ok((inode, found))
    }
}

/// The entries of a directory, for a caller who may look names up in it.
pub(super) fn search<'a>(
    caller: &Credentials,
    dir: &'a State,
    name: &[u8],
) -> FsResult<&'a super::cookie_map::CookieMap<super::inode::Child>> {
    let directory = dir.directory()?;
    permission::check(caller, &dir.facts, Want::EXECUTE)?;
    check_name(name)?;
    Ok(&directory.entries)
}

/// Whether the caller may add an entry of this name.
pub(super) fn check_addition(caller: &Credentials, dir: &State, name: &[u8]) -> FsResult<()> {
    if search(caller, dir, name)?.contains(name) {
        return Err(FsError::Exist);
    }
    permission::check(caller, &dir.facts, Want::WRITE)
}

fn draft_of<'a>(what: &NewNode, set: &'a SetAttributes) -> FsResult<Draft<'a>> {
    let (file_type, body, mode) = match what {
        NewNode::Directory => (FileType::Dir, Body::Directory(Directory::new(InodeId(0))), DIRECTORY_MODE),
        NewNode::Symlink(target) if target.len() > MAX_SYMLINK => return Err(FsError::NameTooLong),
        // A copy, so that a few bytes do not keep the request's whole buffer.
        NewNode::Symlink(target) => {
            (FileType::Lnk, Body::Symlink(Bytes::copy_from_slice(target)), SYMLINK_MODE)
        }
        NewNode::BlockDevice(device) => (FileType::Blk, Body::Device(*device), FILE_MODE),
        NewNode::CharDevice(device) => (FileType::Chr, Body::Device(*device), FILE_MODE),
        NewNode::Fifo => (FileType::Fifo, Body::Rendezvous, FILE_MODE),
        NewNode::Socket => (FileType::Sock, Body::Rendezvous, FILE_MODE),
    };
    if set.size.is_some() {
        return Err(FsError::Inval);
    }
    Ok(Draft { file_type, body, mode, set, exclusive: None })
}

fn draft_of_file(mode: &CreateMode) -> Draft<'_> {
    let (set, exclusive, mode) = match mode {
        CreateMode::Unchecked(set) | CreateMode::Guarded(set) => (set, None, FILE_MODE),
        CreateMode::Exclusive(verifier, set) => (set, Some(*verifier), EXCLUSIVE_MODE),
    };
    Draft { file_type: FileType::Reg, body: Body::File(Content::default()), mode, set, exclusive }
}

/// The state of a new object; an owner or group that the caller may not give away is refused.
fn new_state(caller: &Credentials, dir: &State, draft: Draft<'_>, now: NfsTime) -> FsResult<State> {
    let Draft { file_type, body, mode, set, exclusive } = draft;
    let mut facts = permission::facts_of_new(caller, &dir.facts, file_type, set.mode.unwrap_or(mode));
    if let Some(uid) = set.uid {
        check_id(uid)?;
        permission::check_new_owner(caller, &facts, uid)?;
        facts.uid = uid;
    }
    if let Some(gid) = set.gid {
        check_id(gid)?;
        permission::check_new_group(caller, &facts, gid)?;
        facts.gid = gid;
    }
    let mut times = Times::all(now);
    times.access = attributes::time_to_set(set.time_access, now)?.unwrap_or(now);
    times.modify = attributes::time_to_set(set.time_modify, now)?.unwrap_or(now);
    if let Some(created) = set.time_create {
        times.create = attributes::valid_time(created)?;
    }
    let mut state = State {
        life: Life::Alive,
        facts,
        nlink: if file_type == FileType::Dir { 2 } else { 1 },
        opens: 0,
        change: 1,
        times,
        exclusive,
        xattrs: None,
        body,
    };
    if let Some(size) = set.size {
        attributes::check_size(size)?;
        state.content_mut()?.resize(size);
    }
    debug_assert!(state.charge() >= INODE_CHARGE);
    Ok(state)
}
