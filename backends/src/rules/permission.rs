//! The permission rules of POSIX, as Linux applies them, as functions of who asks and what is asked about.

use dittofs_framework::fs::{AccessMask, Authority, Credentials, FsError, FsResult, ShareAccess};
use dittofs_framework::proto::FileType;

pub(crate) const SET_UID: u32 = 0o4000;
pub(crate) const SET_GID: u32 = 0o2000;
pub(crate) const STICKY: u32 = 0o1000;
pub(crate) const MODE_BITS: u32 = 0o7777;
const GROUP_EXECUTE: u32 = 0o010;
const ANY_EXECUTE: u32 = 0o111;

bitflags::bitflags! {
    /// What is wanted of an object, with the bits of a mode.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Want: u32 {
        const EXECUTE = 1;
        const WRITE = 2;
        const READ = 4;
    }
}

/// What permission depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) file_type: FileType,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Whether `caller` is the superuser, who has every privilege.
pub(crate) fn is_root(caller: &Credentials) -> bool {
    caller.uid == 0
}

/// Whether `caller` may do what only an owner may.
pub(crate) fn is_owner(caller: &Credentials, of: &Facts) -> bool {
    is_root(caller) || caller.uid == of.uid
}

/// Whether the mode lets `caller` do all of `want`.
pub(crate) fn allows(caller: &Credentials, of: &Facts, want: Want) -> bool {
    if is_root(caller) {
        return of.file_type == FileType::Dir || !want.contains(Want::EXECUTE) || of.mode & ANY_EXECUTE != 0;
    }
    let class = if caller.uid == of.uid {
        of.mode >> 6
    } else if caller.is_in_group(of.gid) {
        of.mode >> 3
    } else {
        of.mode
    };
    class & want.bits() == want.bits()
}

/// [`allows`], as a result.
pub(crate) fn check(caller: &Credentials, of: &Facts, want: Want) -> FsResult<()> {
    if allows(caller, of, want) { Ok(()) } else { Err(FsError::Access) }
}

/// Whether data may be read: whoever may execute a file may read it, since there is no other way to execute it over a
/// network (RFC 8881 section 6.2.1.3.2); the ACCESS operation tells the two apart.
fn allows_reading(caller: &Credentials, of: &Facts) -> bool {
    allows(caller, of, Want::READ) || (of.file_type == FileType::Reg && allows(caller, of, Want::EXECUTE))
}

/// Whether a file may be opened like this.
pub(crate) fn check_open(caller: &Credentials, of: &Facts, access: ShareAccess) -> FsResult<()> {
    let read = !access.contains(ShareAccess::READ) || allows_reading(caller, of);
    let write = !access.contains(ShareAccess::WRITE) || allows(caller, of, Want::WRITE);
    if read && write { Ok(()) } else { Err(FsError::Access) }
}

/// Whether data may be read on this authority. Without an open the owner always may: it may have opened the file before
/// its mode changed, and the server cannot know.
pub(crate) fn check_read(caller: &Credentials, of: &Facts, authority: Authority) -> FsResult<()> {
    match authority {
        Authority::Open => Ok(()),
        Authority::Credentials if is_owner(caller, of) || allows_reading(caller, of) => Ok(()),
        Authority::Credentials => Err(FsError::Access),
    }
}

/// Whether data may be written on this authority; see [`check_read`].
pub(crate) fn check_write(caller: &Credentials, of: &Facts, authority: Authority) -> FsResult<()> {
    match authority {
        Authority::Open => Ok(()),
        Authority::Credentials if is_owner(caller, of) => Ok(()),
        Authority::Credentials => check(caller, of, Want::WRITE),
    }
}

/// Whether an entry may be taken out of a directory, or replaced in it.
pub(crate) fn check_unlink(caller: &Credentials, dir: &Facts, victim: &Facts) -> FsResult<()> {
    check(caller, dir, Want::WRITE | Want::EXECUTE)?;
    let sticky = dir.mode & STICKY != 0;
    if sticky && !is_owner(caller, dir) && !is_owner(caller, victim) { Err(FsError::Perm) } else { Ok(()) }
}

/// Which of `wanted` the caller may do (RFC 8881 section 18.1.3).
pub(crate) fn access(caller: &Credentials, of: &Facts, wanted: AccessMask) -> AccessMask {
    let dir = of.file_type == FileType::Dir;
    let read = allows(caller, of, Want::READ);
    let write = allows(caller, of, Want::WRITE);
    let execute = allows(caller, of, Want::EXECUTE);
    let has_xattrs = dir || of.file_type == FileType::Reg;
    let mut granted = AccessMask::empty();
    granted.set(AccessMask::READ, read);
    granted.set(AccessMask::LOOKUP, dir && execute);
    // An entry can be changed only where it can be looked up.
    granted.set(AccessMask::MODIFY | AccessMask::EXTEND, write && (execute || !dir));
    granted.set(AccessMask::DELETE, dir && write && execute);
    granted.set(AccessMask::EXECUTE, !dir && execute);
    granted.set(AccessMask::XAREAD | AccessMask::XALIST, has_xattrs && read);
    granted.set(AccessMask::XAWRITE, has_xattrs && write);
    granted & wanted
}

/// Whether `caller` may make `uid` the owner: only the superuser gives objects away.
pub(crate) fn check_new_owner(caller: &Credentials, of: &Facts, uid: u32) -> FsResult<()> {
    let keeps = caller.uid == of.uid && uid == of.uid;
    if is_root(caller) || keeps { Ok(()) } else { Err(FsError::Perm) }
}

/// Whether `caller` may make `gid` the group: an owner may choose among its own groups.
pub(crate) fn check_new_group(caller: &Credentials, of: &Facts, gid: u32) -> FsResult<()> {
    let own = caller.uid == of.uid && (gid == of.gid || caller.is_in_group(gid));
    if is_root(caller) || own { Ok(()) } else { Err(FsError::Perm) }
}

/// Whether the set-group-id bit stays in a mode that `caller` gives to an object of group `gid`.
fn may_set_gid(caller: &Credentials, gid: u32) -> bool {
    is_root(caller) || caller.is_in_group(gid)
}

/// Owner, group and mode of an object that `caller` makes in `dir` with the permission bits `mode`.
pub(crate) fn facts_of_new(caller: &Credentials, dir: &Facts, file_type: FileType, mode: u32) -> Facts {
    let gid = if dir.mode & SET_GID != 0 { dir.gid } else { caller.gid };
    let mut mode = mode & MODE_BITS;
    if file_type == FileType::Dir {
        mode |= dir.mode & SET_GID;
    } else if mode & GROUP_EXECUTE != 0 && !may_set_gid(caller, gid) {
        // A program that runs with a group which its maker is not in.
        mode &= !SET_GID;
    }
    Facts { file_type, mode, uid: caller.uid, gid }
}

/// The mode after `caller` changed it to `mode`, of an object that is then in group `gid`.
pub(crate) fn mode_after_chmod(caller: &Credentials, gid: u32, mode: u32) -> u32 {
    let mode = mode & MODE_BITS;
    if may_set_gid(caller, gid) { mode } else { mode & !SET_GID }
}

/// The mode after `caller` gave the object another owner or group: whoever does it, nobody is to run the new owner's
/// program by surprise. A set-group-id bit without group execution is no set-id bit but one of locking.
pub(crate) fn mode_after_chown(caller: &Credentials, of: &Facts) -> u32 {
    if of.file_type == FileType::Dir { of.mode } else { without_set_ids(caller, of) }
}

/// The mode after `caller` changed it to `mode` and gave the object its owner and group, `of`, in one call.
pub(crate) fn mode_with_chown(caller: &Credentials, of: &Facts, mode: u32) -> u32 {
    let mode = mode_after_chmod(caller, of.gid, mode);
    if of.file_type == FileType::Dir {
        mode
    } else if mode & GROUP_EXECUTE != 0 {
        mode & !(SET_UID | SET_GID)
    } else {
        mode & !SET_UID
    }
}

/// The mode after `caller` changed the data of a file.
pub(crate) fn mode_after_write(caller: &Credentials, of: &Facts) -> u32 {
    if is_root(caller) || of.file_type != FileType::Reg { of.mode } else { without_set_ids(caller, of) }
}

fn without_set_ids(caller: &Credentials, of: &Facts) -> u32 {
    let mode = of.mode & !SET_UID;
    if mode & GROUP_EXECUTE != 0 || !may_set_gid(caller, of.gid) { mode & !SET_GID } else { mode }
}
