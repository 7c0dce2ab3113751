//! Making objects: CREATE, and OPEN with creation.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use dittofs_framework::fs::{
    CreateMode, Created, Credentials, Found, FsError, FsResult, NewNode, NodeHandle, Opened, SetAttributes,
    ShareAccess,
};
use dittofs_framework::proto::{ChangeInfo, FileType};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, makedev};
use rustix::io::Errno;

use super::attributes::{self, check_owners};
use super::errno::to_fs;
use super::exclusive;
use super::volume::{Located, Volume, change_since, open_beneath, open_child, proc_path, stat};
use crate::rules::limits::check_size;
use crate::rules::permission::{self, Facts};

/// Permission bits where the client names none.
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;
/// An exclusive create gets its mode in a later SETATTR: until then nobody else is to open the file.
const EXCLUSIVE_MODE: u32 = 0o600;
/// What `mkdir` takes of a mode.
const MKDIR_BITS: u32 = 0o1777;
/// So often an open that others are always faster than is tried again.
const TRIES: usize = 64;

impl Volume {
    pub(super) fn create(
        &self,
        caller: &Credentials,
        dir: &NodeHandle,
        name: &[u8],
        what: &NewNode,
        set: &SetAttributes,
    ) -> FsResult<(Found, ChangeInfo)> {
        let dir = self.resolve_dir(dir)?;
        if set.size.is_some() || set.time_create.is_some() {
            return Err(FsError::Inval);
        }
        let before = dir.change();
        let entries = dir.node.entries.lock();
        let mode = make(caller, &dir, name, what, set)?;
        let object = self.child(&dir.node, name);
        drop(entries);
        let object = object?;
        // What could not be given with the call that made it.
        let rest = SetAttributes { mode, ..set.clone() };
        if !rest.is_empty()
            && let Err(error) = self.apply(caller, &object, &rest)
        {
            self.undo(&dir, name, &object);
            return Err(error);
        }
        Located::after_change(&object.node)?;
        if object.node.is_directory() {
            self.make_durable(&object.node)?;
        }
        self.make_durable(&dir.node)?;
        let found = Found { node: object.node.handle, attributes: Located::now(&object.node)?.attributes() };
        Ok((found, change_since(before, &dir.node)?))
    }

    /// Takes back what could not be made as it was asked for.
    fn undo(&self, dir: &Located, name: &[u8], object: &Located) {
        let flags = if object.node.is_directory() { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        if let Err(error) = rustix::fs::unlinkat(dir.node.fd.as_fd(), name, flags) {
            tracing::warn!(%error, "an object whose attributes could not be set stays");
        }
        self.nodes.forget(&object.node.handle);
    }

    pub(super) fn open_create(
        self: &Arc<Self>,
        caller: &Credentials,
        dir: &NodeHandle,
        name: &[u8],
        mode: &CreateMode,
        access: ShareAccess,
    ) -> FsResult<Opened> {
        let dir = self.resolve_dir(dir)?;
        for _ in 0..TRIES {
            match self.child(&dir.node, name) {
                Ok(there) => return self.open_existing(caller, &dir, &there, mode, access),
                Err(FsError::NotFound) => {}
                Err(error) => return Err(error),
            }
            match self.make_file(caller, &dir, name, mode) {
                // Somebody was faster.
                Err(FsError::Exist) => {}
                other => {
                    let (object, dir_change) = other?;
                    let found = Found { node: object.node.handle, attributes: object.attributes() };
                    return Ok(Opened {
                        found,
                        hold: self.hold(&object.node),
                        created: Created::New,
                        dir_change,
                    });
                }
            }
        }
        Err(FsError::Delay)
    }

    fn open_existing(
        self: &Arc<Self>,
        caller: &Credentials,
        dir: &Located,
        there: &Located,
        mode: &CreateMode,
        access: ShareAccess,
    ) -> FsResult<Opened> {
        let replay = match mode {
            CreateMode::Guarded(_) => return Err(FsError::Exist),
            CreateMode::Exclusive(verifier, _) => {
                let file = there.node.file_type == FileType::Reg;
                if !file || !exclusive::matches(&there.node, &there.stat, *verifier)? {
                    return Err(FsError::Exist);
                }
                true
            }
            CreateMode::Unchecked(_) => false,
        };
        there.check_file()?;
        // A retried exclusive create opens what its first try made, whatever the mode.
        if !(replay && permission::is_owner(caller, &there.facts())) {
            there.check_open(access)?;
        }
        let hold = self.open_for(&there.node, access)?;
        let change = dir.change();
        Ok(Opened {
            found: Found { node: there.node.handle, attributes: there.attributes() },
            hold,
            created: Created::Existing,
            dir_change: ChangeInfo { atomic: false, before: change, after: change },
        })
    }

    /// Makes a file, which is not seen before it is as it was asked for.
    fn make_file(
        &self,
        caller: &Credentials,
        dir: &Located,
        name: &[u8],
        mode: &CreateMode,
    ) -> FsResult<(Located, ChangeInfo)> {
        let (set, verifier, default) = match mode {
            CreateMode::Unchecked(set) | CreateMode::Guarded(set) => (set, None, FILE_MODE),
            CreateMode::Exclusive(verifier, set) => (set, Some(*verifier), EXCLUSIVE_MODE),
        };
        let bits = set.mode.unwrap_or(default) & permission::MODE_BITS;
        check_owners(caller, &facts_of_new(caller, dir, FileType::Reg, bits), set)?;
        set.size.map_or(Ok(()), check_size)?;
        if set.time_create.is_some() {
            return Err(FsError::Inval);
        }
        let before = dir.change();
        let plain = SetAttributes { mode: set.mode, ..SetAttributes::default() };
        let object = if verifier.is_none() && *set == plain {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(bits);
            let file =
                open_beneath(dir.node.fd.as_fd(), name, flags | OFlags::NONBLOCK, mode).map_err(to_fs)?;
            self.adopt_file(dir, name, file)?
        } else {
            let set = SetAttributes { mode: Some(bits), ..set.clone() };
            self.make_file_with(caller, dir, name, &set, verifier)?
        };
        Located::after_change(&object.node)?;
        self.make_durable(&object.node)?;
        self.make_durable(&dir.node)?;
        let change = change_since(before, &dir.node)?;
        Ok((Located::now(&object.node)?, change))
    }

    /// Makes a file without a name, gives it its attributes, and then its name.
    fn make_file_with(
        &self,
        caller: &Credentials,
        dir: &Located,
        name: &[u8],
        set: &SetAttributes,
        verifier: Option<[u8; 8]>,
    ) -> FsResult<Located> {
        let private = Mode::from_raw_mode(EXCLUSIVE_MODE);
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let unnamed = rustix::fs::openat(dir.node.fd.as_fd(), c".", flags | OFlags::TMPFILE, private);
        let (file, named) = match unnamed {
            Ok(file) => (file, false),
            // The file system has no files without names.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => {
                let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                (open_beneath(dir.node.fd.as_fd(), name, flags, private).map_err(to_fs)?, true)
            }
            Err(error) => return Err(to_fs(error)),
        };
        let prepared = prepare_file(caller, &file, set, verifier);
        let linked = prepared.and_then(|()| {
            if named {
                return Ok(());
            }
            let path = proc_path(file.as_fd());
            rustix::fs::linkat(CWD, path.as_str(), dir.node.fd.as_fd(), name, AtFlags::SYMLINK_FOLLOW)
                .map_err(to_fs)
        });
        if let Err(error) = linked {
            if named && let Err(error) = rustix::fs::unlinkat(dir.node.fd.as_fd(), name, AtFlags::empty()) {
                tracing::warn!(%error, "a file whose attributes could not be set stays");
            }
            return Err(error);
        }
        self.adopt_file(dir, name, file)
    }

    /// The node of a new file, which also keeps the descriptor that it was made with.
    fn adopt_file(&self, dir: &Located, name: &[u8], file: OwnedFd) -> FsResult<Located> {
        let stat = stat(file.as_fd())?;
        let place = Some((&dir.node.handle, name));
        let object = match open_child(dir.node.fd.as_fd(), name) {
            Ok(fd) => self.adopt(fd, place)?,
            Err(_) => self.adopt(rustix::io::fcntl_dupfd_cloexec(&file, 0).map_err(to_fs)?, place)?,
        };
        // Somebody removed it at once, and there is another of that name.
        let object = if object.stat.stx_ino == stat.stx_ino {
            object
        } else {
            self.adopt(rustix::io::fcntl_dupfd_cloexec(&file, 0).map_err(to_fs)?, None)?
        };
        self.keep_data_fd(&object.node, file);
        Ok(object)
    }
}

/// Makes an object as the caller; returns the mode that is still to be set.
fn make(
    caller: &Credentials,
    dir: &Located,
    name: &[u8],
    what: &NewNode,
    set: &SetAttributes,
) -> FsResult<Option<u32>> {
    use rustix::fs::FileType as Kind;
    let fd = dir.node.fd.as_fd();
    let (file_type, default) = match what {
        NewNode::Directory => (FileType::Dir, DIRECTORY_MODE),
        NewNode::Symlink(_) => (FileType::Lnk, FILE_MODE),
        _ => (FileType::Reg, FILE_MODE),
    };
    let mode = set.mode.unwrap_or(default) & permission::MODE_BITS;
    if let Err(error) = check_owners(caller, &facts_of_new(caller, dir, file_type, mode), set) {
        // That the name is taken, or the caller may not write here, goes before.
        open_child(fd, name).map_or_else(
            |missing| if missing == Errno::NOENT { Ok(()) } else { Err(to_fs(missing)) },
            |_| Err(FsError::Exist),
        )?;
        return Err(error);
    }
    let node = |kind, device| rustix::fs::mknodat(fd, name, kind, Mode::from_raw_mode(mode), device);
    let object = match what {
        NewNode::Directory => rustix::fs::mkdirat(fd, name, Mode::from_raw_mode(mode & MKDIR_BITS)),
        NewNode::Symlink(target) => rustix::fs::symlinkat(&target[..], fd, name),
        NewNode::BlockDevice(device) => node(Kind::BlockDevice, makedev(device.specdata1, device.specdata2)),
        NewNode::CharDevice(device) => {
            node(Kind::CharacterDevice, makedev(device.specdata1, device.specdata2))
        }
        NewNode::Fifo => node(Kind::Fifo, 0),
        NewNode::Socket => node(Kind::Socket, 0),
    };
    object.map_err(to_fs)?;
    Ok(match what {
        // A directory in one with a set-group-id bit has it too.
        NewNode::Directory if mode & !MKDIR_BITS != 0 => {
            Some(mode | (dir.facts().mode & permission::SET_GID))
        }
        NewNode::Symlink(_) => None,
        _ if set.uid.is_some() || set.gid.is_some() => Some(mode),
        _ => None,
    })
}

/// Owner and group that the kernel gives a new object.
fn facts_of_new(caller: &Credentials, dir: &Located, file_type: FileType, mode: u32) -> Facts {
    permission::facts_of_new(caller, &dir.facts(), file_type, mode)
}

/// Gives a new file its verifier and attributes.
fn prepare_file(
    caller: &Credentials,
    file: &OwnedFd,
    set: &SetAttributes,
    verifier: Option<[u8; 8]>,
) -> FsResult<()> {
    let stat = stat(file.as_fd())?;
    if let Some(verifier) = verifier {
        exclusive::set(file.as_fd(), verifier)?;
    }
    let truncate = |size| rustix::fs::ftruncate(file, size).map_err(to_fs);
    attributes::apply(caller, file.as_fd(), &stat, set, truncate)
}
