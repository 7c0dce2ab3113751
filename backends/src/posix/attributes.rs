//! Attributes: what statx tells, and SETATTR.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use dittofs_framework::fs::{
    AccessMask, Attributes, Authority, Credentials, FsError, FsResult, NodeHandle, SetAttributes, SetTime,
};
use dittofs_framework::proto::{FileType, NfsTime, SpecData};
use rustix::fs::{Access, AtFlags, Gid, Mode, Statx, StatxFlags, StatxTimestamp, Timespec, Timestamps, Uid};
use rustix::fs::{UTIME_NOW, UTIME_OMIT};

use super::data::For;
use super::errno::to_fs;
use super::exclusive;
use super::identity::as_server;
use super::node::Node;
use super::volume::{Located, Volume, allows, proc_path};
use crate::rules::attributes::valid_time;
use crate::rules::limits::{check_id, check_size};
use crate::rules::permission::{self, Facts};

/// Attributes of an object with this change attribute and time_metadata.
pub(super) fn attributes_of(stat: &Statx, (change, time_metadata): (u64, NfsTime)) -> Attributes {
    let birth = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
    Attributes {
        file_type: file_type(stat).unwrap_or(FileType::Reg),
        mode: u32::from(stat.stx_mode) & permission::MODE_BITS,
        nlink: stat.stx_nlink,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        size: stat.stx_size,
        space_used: stat.stx_blocks.saturating_mul(512),
        rawdev: SpecData { specdata1: stat.stx_rdev_major, specdata2: stat.stx_rdev_minor },
        fileid: stat.stx_ino,
        change,
        time_access: time(stat.stx_atime),
        time_modify: time(stat.stx_mtime),
        time_metadata,
        time_create: birth.then(|| time(stat.stx_btime)),
    }
}

pub(super) fn ctime(stat: &Statx) -> NfsTime {
    time(stat.stx_ctime)
}

fn time(time: StatxTimestamp) -> NfsTime {
    NfsTime { seconds: time.tv_sec, nseconds: time.tv_nsec }
}

pub(super) fn file_type(stat: &Statx) -> FsResult<FileType> {
    Ok(match rustix::fs::FileType::from_raw_mode(u32::from(stat.stx_mode)) {
        rustix::fs::FileType::RegularFile => FileType::Reg,
        rustix::fs::FileType::Directory => FileType::Dir,
        rustix::fs::FileType::Symlink => FileType::Lnk,
        rustix::fs::FileType::Fifo => FileType::Fifo,
        rustix::fs::FileType::Socket => FileType::Sock,
        rustix::fs::FileType::CharacterDevice => FileType::Chr,
        rustix::fs::FileType::BlockDevice => FileType::Blk,
        rustix::fs::FileType::Unknown => return Err(FsError::Io),
    })
}

impl Volume {
    pub(super) fn attributes(&self, node: &NodeHandle) -> FsResult<Attributes> {
        Ok(self.resolve(node)?.attributes())
    }

    pub(super) fn access(&self, node: &NodeHandle, wanted: AccessMask) -> FsResult<AccessMask> {
        let located = self.resolve(node)?;
        let node = &located.node;
        let dir = node.is_directory();
        let read = allows(node, Access::READ_OK)?;
        // Nobody may write in a read-only file system, and to ask is no error.
        let write = match allows(node, Access::WRITE_OK) {
            Err(FsError::ReadOnly | FsError::Access) => false,
            other => other?,
        };
        let execute = allows(node, Access::EXEC_OK)?;
        let has_xattrs = dir || node.file_type == FileType::Reg;
        let mut granted = AccessMask::empty();
        granted.set(AccessMask::READ, read);
        granted.set(AccessMask::LOOKUP, dir && execute);
        // An entry can be changed only where it can be looked up.
        granted.set(AccessMask::MODIFY | AccessMask::EXTEND, write && (execute || !dir));
        granted.set(AccessMask::DELETE, dir && write && execute);
        granted.set(AccessMask::EXECUTE, !dir && execute);
        granted.set(AccessMask::XAREAD | AccessMask::XALIST, has_xattrs && read);
        granted.set(AccessMask::XAWRITE, has_xattrs && write);
        Ok(granted & wanted)
    }

    pub(super) fn set_attributes(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        set: &SetAttributes,
        authority: Authority,
    ) -> FsResult<Attributes> {
        let located = self.resolve(node)?;
        if set.is_empty() {
            return Ok(located.attributes());
        }
        check_set(caller, &located, set, authority)?;
        let before = located.attributes();
        self.apply(caller, &located, set)?;
        if located.node.file_type == FileType::Reg {
            exclusive::clear(&located.node)?;
        }
        self.make_durable(&located.node)?;
        note_set(&located.node, set, &before)
    }

    /// Sets what the caller may set on an object.
    pub(super) fn apply(&self, caller: &Credentials, located: &Located, set: &SetAttributes) -> FsResult<()> {
        let truncate = |size| {
            let file = self.data_fd(&located.node, For::Writing)?;
            rustix::fs::ftruncate(file.as_fd(), size).map_err(to_fs)
        };
        apply(caller, located.node.fd.as_fd(), &located.stat, set, truncate)
    }
}

/// The attributes after SETATTR. Times that the holder of a delegation kept are not a change at the clock's time, as the kernel has
/// it: of a time of modification clients see as much as it says, of one of access nothing (RFC 9754 section 5).
fn note_set(node: &Arc<Node>, set: &SetAttributes, before: &Attributes) -> FsResult<Attributes> {
    let kept = |time: Option<SetTime>| matches!(time, Some(SetTime::Delegated(_)));
    let rest = SetAttributes {
        time_access: set.time_access.filter(|time| !kept(Some(*time))),
        time_modify: set.time_modify.filter(|time| !kept(Some(*time))),
        ..set.clone()
    };
    if !rest.is_empty() {
        return Ok(Located::after_change(node)?.attributes());
    }
    let located = Located::now(node)?;
    let (change, shown) = if kept(set.time_modify) {
        (before.change + 1, before.time_metadata.max(time(located.stat.stx_mtime)))
    } else {
        (before.change, before.time_metadata)
    };
    node.stamp.lock().pin(ctime(&located.stat), change, shown);
    Ok(located.attributes())
}

/// Whether the caller may set all of it, in the order in which Linux asks.
fn check_set(
    caller: &Credentials,
    located: &Located,
    set: &SetAttributes,
    authority: Authority,
) -> FsResult<()> {
    let facts = &located.facts();
    if let Some(size) = set.size {
        match facts.file_type {
            FileType::Reg => {}
            FileType::Dir => return Err(FsError::IsDir),
            _ => return Err(FsError::Inval),
        }
        located.check_write(caller, authority)?;
        check_size(size)?;
    }
    check_owners(caller, facts, set)?;
    if set.mode.is_some() && !permission::is_owner(caller, facts) {
        return Err(FsError::Perm);
    }
    // The kernel does not let anybody set it (RFC 8881 section 5.5: an attribute that is not writable).
    if set.time_create.is_some() {
        return Err(FsError::Inval);
    }
    check_times(caller, located, set, authority)
}

/// A time of the caller's choice is the owner's to set; the current one is anyone's who may write. Whoever truncates changes the
/// time of modification anyway. Times that the holder of a delegation kept rest on the open behind it.
fn check_times(
    caller: &Credentials,
    located: &Located,
    set: &SetAttributes,
    authority: Authority,
) -> FsResult<()> {
    for time in [set.time_access, set.time_modify] {
        if let Some(SetTime::ClientTime(time) | SetTime::Delegated(time)) = time {
            valid_time(time)?;
        }
    }
    if permission::is_owner(caller, &located.facts()) {
        return Ok(());
    }
    let kept = |time: &SetTime| authority == Authority::Open && matches!(time, SetTime::Delegated(_));
    let times = [set.time_access, set.time_modify].map(|time| time.filter(|time| !kept(time)));
    if times.iter().any(|time| matches!(time, Some(SetTime::ClientTime(_) | SetTime::Delegated(_)))) {
        return Err(FsError::Perm);
    }
    let implied = set.size.is_some() && set.time_access.is_none();
    if implied || times == [None, None] || allows(&located.node, Access::WRITE_OK)? {
        Ok(())
    } else {
        Err(FsError::Access)
    }
}

/// Whether the caller may make these the owner and the group.
pub(super) fn check_owners(caller: &Credentials, facts: &Facts, set: &SetAttributes) -> FsResult<()> {
    if let Some(uid) = set.uid {
        check_id(uid)?;
        permission::check_new_owner(caller, facts, uid)?;
    }
    if let Some(gid) = set.gid {
        check_id(gid)?;
        permission::check_new_group(caller, facts, gid)?;
    }
    Ok(())
}

/// Sets what the caller may set; what was set before something failed is set back.
pub(super) fn apply(
    caller: &Credentials,
    fd: BorrowedFd<'_>,
    stat: &Statx,
    set: &SetAttributes,
    truncate: impl FnOnce(u64) -> FsResult<()>,
) -> FsResult<()> {
    let chown = set.uid.is_some() || set.gid.is_some();
    if chown {
        set_owners(fd, set.uid, set.gid)?;
    }
    let rest = set.size.map_or(Ok(()), truncate).and_then(|()| {
        match set.mode.filter(|_| file_type(stat) != Ok(FileType::Lnk)) {
            Some(mode) => set_mode(fd, mode_after(caller, stat, set, mode)),
            None => Ok(()),
        }
    });
    let rest = rest.and_then(|()| set_times(fd, stat, set));
    if rest.is_err() && chown {
        as_server(|| {
            set_owners(fd, Some(stat.stx_uid), Some(stat.stx_gid))?;
            set_mode(fd, u32::from(stat.stx_mode) & permission::MODE_BITS)
        })??;
    }
    rest
}

fn mode_after(caller: &Credentials, stat: &Statx, set: &SetAttributes, mode: u32) -> u32 {
    let after = Facts {
        file_type: file_type(stat).unwrap_or(FileType::Reg),
        mode,
        uid: set.uid.unwrap_or(stat.stx_uid),
        gid: set.gid.unwrap_or(stat.stx_gid),
    };
    if set.uid.is_some() || set.gid.is_some() {
        permission::mode_with_chown(caller, &after, mode)
    } else {
        permission::mode_after_chmod(caller, after.gid, mode)
    }
}

fn set_owners(fd: BorrowedFd<'_>, uid: Option<u32>, gid: Option<u32>) -> FsResult<()> {
    let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    rustix::fs::chownat(fd, c"", uid, gid, AtFlags::EMPTY_PATH).map_err(to_fs)
}

fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> FsResult<()> {
    rustix::fs::chmod(proc_path(fd).as_str(), Mode::from_raw_mode(mode)).map_err(to_fs)
}

/// Sets times. Who may was checked: the kernel would ask more of somebody who may write and sets only one to now.
fn set_times(fd: BorrowedFd<'_>, stat: &Statx, set: &SetAttributes) -> FsResult<()> {
    let access = match set.time_access {
        Some(SetTime::Delegated(kept)) if kept < time(stat.stx_atime) => None,
        other => other,
    };
    if access.is_none() && set.time_modify.is_none() {
        return Ok(());
    }
    let times = Timestamps { last_access: timespec(access), last_modification: timespec(set.time_modify) };
    as_server(|| rustix::fs::utimensat(fd, c"", &times, AtFlags::EMPTY_PATH))?.map_err(to_fs)
}

fn timespec(time: Option<SetTime>) -> Timespec {
    match time {
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        Some(SetTime::Delegated(time)) if time > now() => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        Some(SetTime::ServerTime) => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        Some(SetTime::ClientTime(time) | SetTime::Delegated(time)) => {
            Timespec { tv_sec: time.seconds, tv_nsec: i64::from(time.nseconds) }
        }
    }
}

fn now() -> NfsTime {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    NfsTime { seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX), nseconds: now.subsec_nanos() }
}
