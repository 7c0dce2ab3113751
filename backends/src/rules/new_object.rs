//! What a new object is like.

use dittofs_framework::fs::{CreateMode, Credentials, FsError, FsResult, NewNode, SetAttributes};
use dittofs_framework::proto::{FileType, NfsTime};
use dittofs_framework::storage::RecordTimes;

use super::attributes::{time_to_set, valid_time};
use super::limits::{MAX_SYMLINK, check_id, check_size};
use super::permission::{self, Facts};

/// Permission bits where the client names none.
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;
const SYMLINK_MODE: u32 = 0o777;
/// An exclusive create gets its mode in a later SETATTR: until then nobody else is to open the file.
const EXCLUSIVE_MODE: u32 = 0o600;

/// An object about to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft<'a> {
    pub(crate) file_type: FileType,
    mode: u32,
    set: &'a SetAttributes,
    /// The verifier of an exclusive create.
    pub(crate) exclusive: Option<[u8; 8]>,
}

/// The object as it will be.
#[derive(Debug)]
pub(crate) struct NewObject {
    pub(crate) facts: Facts,
    pub(crate) times: RecordTimes,
    pub(crate) size: u64,
}

/// What CREATE is to make.
pub(crate) fn draft_of<'a>(what: &NewNode, set: &'a SetAttributes) -> FsResult<Draft<'a>> {
    let (file_type, mode) = match what {
        NewNode::Directory => (FileType::Dir, DIRECTORY_MODE),
        NewNode::Symlink(target) if target.len() > MAX_SYMLINK => return Err(FsError::NameTooLong),
        NewNode::Symlink(_) => (FileType::Lnk, SYMLINK_MODE),
        NewNode::BlockDevice(_) => (FileType::Blk, FILE_MODE),
        NewNode::CharDevice(_) => (FileType::Chr, FILE_MODE),
        NewNode::Fifo => (FileType::Fifo, FILE_MODE),
        NewNode::Socket => (FileType::Sock, FILE_MODE),
    };
    if set.size.is_some() {
        return Err(FsError::Inval);
    }
    Ok(Draft { file_type, mode, set, exclusive: None })
}

/// What OPEN is to make.
pub(crate) fn draft_of_file(mode: &CreateMode) -> Draft<'_> {
    let (set, exclusive, mode) = match mode {
        CreateMode::Unchecked(set) | CreateMode::Guarded(set) => (set, None, FILE_MODE),
        CreateMode::Exclusive(verifier, set) => (set, Some(*verifier), EXCLUSIVE_MODE),
    };
    Draft { file_type: FileType::Reg, mode, set, exclusive }
}

impl Draft<'_> {
    /// The object that `caller` makes of it in `dir`; an owner or group that the caller may not give away is refused.
    pub(crate) fn finish(&self, caller: &Credentials, dir: &Facts, now: NfsTime) -> FsResult<NewObject> {
        let set = self.set;
        let mut facts = permission::facts_of_new(caller, dir, self.file_type, set.mode.unwrap_or(self.mode));
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
        let mut times = RecordTimes::all(now);
        times.access = time_to_set(set.time_access, now)?.unwrap_or(now);
        times.modify = time_to_set(set.time_modify, now)?.unwrap_or(now);
        if let Some(created) = set.time_create {
            times.create = valid_time(created)?;
        }
        let size = set.size.unwrap_or_default();
        check_size(size)?;
        Ok(NewObject { facts, times, size })
    }
}
