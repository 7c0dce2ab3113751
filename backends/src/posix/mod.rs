//! A local directory, exported.
//!
//! Every call becomes system calls, made on threads of its own as the caller: the kernel checks permissions, with whatever ACLs and
//! security modules the file system has. What is served can be used and changed by programs beside the server.
//!
//! # Handles
//!
//! A handle is what the kernel calls the object (`name_to_handle_at`), sealed with a key of the export: it survives restarts and
//! renames, whoever makes them, and never leads to another object. Where the server may not open objects by such handles
//! (`open_by_handle_at` wants `CAP_DAC_READ_SEARCH`, and not every file system can), it keeps a map of where objects are, which follows
//! renames that are made through the server. `docs/adr/0009-posix-handles.md` has the reasons.
//!
//! # Staying inside
//!
//! Names are single components, opened with `openat2` without symbolic links, magic links or mount points in between. A directory that
//! has left the tree is stale. Mount points below the exported directory are not served: export what is mounted there.
//!
//! # Durability
//!
//! A call that changes something returns when the kernel says that it is on disk (`fsync` of the file and of the directories);
//! calls that wait for the same object share the flushes.
//!
//! # Locks
//!
//! In this order: `Node::entries` of directories, by their handles; then, one at a time and for a moment, the table of nodes, a node's
//! stamp or descriptors, the map of places. System calls that can wait are made with `Node::entries` at most.

mod attributes;
mod create;
mod data;
mod errno;
mod exclusive;
mod file_system;
mod flush;
mod handle;
mod identity;
mod map;
mod namespace;
mod node;
mod pool;
mod readdir;
mod sparse;
mod stamp;
mod state;
mod sys;
#[cfg(test)]
mod tests;
mod volume;
mod xattr;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use dittofs_framework::fs::{ChangeAttrType, Credentials, FsInfo};
use dittofs_framework::proto::{Fsid, NfsTime};
use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};
use rustix::process::Resource;
use smallvec::SmallVec;

use handle::{Naming, Seal};
use identity::Power;
use map::PlaceMap;
use node::NodeTable;
use pool::Pool;
use stamp::Clock;
use state::StateDir;
use volume::{NAME_ONLY, Volume, path_of};

use crate::rules::limits::{MAX_FILE_SIZE, MAX_LINK};

/// Changes that are made to see how times of change are taken.
const CLOCK_ROUNDS: u64 = 16;

/// As whom calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// As the caller, with its groups. Takes root.
    Caller,
    /// All as one user, without other groups: whose permissions the kernel then checks, and who owns what is made. A server that is not
    /// root can only be itself, and keeps the groups of its process.
    Squash {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
}

impl Identity {
    /// The best that this process can do: [`Caller`](Self::Caller) as root, or else itself.
    pub fn of_process() -> Self {
        match Power::of_process() {
            Ok(Power::Anybody) => Self::Caller,
            _ => Self::Squash {
                uid: rustix::process::geteuid().as_raw(),
                gid: rustix::process::getegid().as_raw(),
            },
        }
    }
}

/// How handles lead to objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Handles {
    /// By the kernel's handles where that works, or else by the map.
    #[default]
    Best,
    /// By the map of places in the state directory.
    Map,
}

/// How a directory is exported.
#[derive(Debug, Clone)]
pub struct PosixOptions {
    /// The directory.
    pub root: PathBuf,
    /// Identity of the file system, as clients see it.
    pub fsid: Fsid,
    /// As whom calls are made.
    pub identity: Identity,
    /// How handles lead to objects.
    pub handles: Handles,
    /// Most descriptors that are kept open for objects that nobody has open, at most half of what the process may have. Those that
    /// clients have open come on top.
    pub max_open_files: usize,
    /// Most threads on which system calls are made.
    pub threads: usize,
    /// Where the export keeps what is its own; made if need be. It must not be below `root`, and belongs to one server at a time.
    pub state_dir: PathBuf,
}

impl PosixOptions {
    /// Exports `root` in the best way that this process can, and keeps what the export needs in `state_dir`.
    pub fn new(root: impl Into<PathBuf>, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            fsid: Fsid { major: 1, minor: 0 },
            identity: Identity::of_process(),
            handles: Handles::default(),
            max_open_files: 4096,
            threads: 32,
            state_dir: state_dir.into(),
        }
    }
}

/// Why a directory cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum PosixError {
    /// The directory cannot be opened, or is none.
    #[error("cannot export {path}: {source}")]
    Root {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The state directory cannot be used.
    #[error("cannot use {path} for the export's state: {source}")]
    State {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// Clients could read the key of handles.
    #[error("{0} is inside of the exported directory: the export's state must be elsewhere")]
    StateInside(PathBuf),
    /// Another server uses the state directory.
    #[error("{0} is in use by another server")]
    InUse(PathBuf),
    /// Only root can act as callers do.
    #[error(
        "only root, with CAP_SETUID, CAP_SETGID, CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER and CAP_FSETID, can serve callers as \
         themselves: start the server as root, or serve all of them as its own user"
    )]
    NeedsRoot,
    /// Only root can act as somebody else.
    #[error(
        "only root can serve callers as user {uid} and group {gid}; this process is user {own_uid} and group {own_gid}"
    )]
    NotSelf {
        /// The user that was asked for.
        uid: u32,
        /// The group that was asked for.
        gid: u32,
        /// The process's user.
        own_uid: u32,
        /// The process's group.
        own_gid: u32,
    },
    /// The threads for system calls do not start.
    #[error("no worker threads: {0}")]
    Threads(io::Error),
}

/// A local directory that can be exported.
pub struct PosixFileSystem {
    volume: Arc<Volume>,
    /// Whose permissions count; `None` for each caller's own.
    squash: Option<Credentials>,
    _state: StateDir,
}

impl PosixFileSystem {
    /// Takes a directory to be exported.
    ///
    /// Blocks while it looks at the directory and reads the state.
    pub fn open(options: PosixOptions) -> Result<Self, PosixError> {
        let power = Power::of_process().map_err(|error| PosixError::Threads(error.into()))?;
        let squash = squash_of(options.identity, power)?;
        let PosixOptions { root: path, fsid, handles, max_open_files, threads, state_dir, .. } = options;
        let failed = |source: io::Error| PosixError::Root { path: path.clone(), source };
        let root = open_root(&path).map_err(failed)?;
        let state = StateDir::open(&state_dir)?;
        check_outside(&root, &state_dir)?;

        let stat = volume::stat(root.as_fd()).map_err(|error| failed(io::Error::other(error)))?;
        let naming = Naming::of(root.as_fd());
        let name = naming.name(root.as_fd(), &stat).map_err(|error| failed(error.into()))?;
        let filesystem = sys::filesystem_id(root.as_fd()).map_err(|error| failed(error.into()))?;
        let opens = handles == Handles::Best
            && naming == Naming::Kernel
            && sys::open_by_handle(root.as_fd(), &name, NAME_ONLY).is_ok();
        let map = if opens {
            None
        } else {
            let path = state.places();
            Some(PlaceMap::open(&path).map_err(|source| PosixError::State { path, source })?)
        };
        let seal = Seal::new(state.key()?, name.clone(), filesystem);
        let handle = seal.handle(&name).map_err(|error| failed(error.into()))?;
        let nodes = Arc::new(NodeTable::new(max_open_files.min(descriptors() / 2), clock_of(&root)));
        let named = rustix::fs::openat(root.as_fd(), c".", NAME_ONLY, Mode::empty());
        let named = named.map_err(|error| failed(error.into()))?;
        let root_node = nodes.insert(handle, named, dittofs_framework::proto::FileType::Dir);
        // It is never closed.
        nodes.hold(&root_node);
        let info = info_of(&root, &stat, fsid).map_err(|error| failed(error.into()))?;
        let tidied = Arc::clone(&nodes);
        let tidy = move || tidied.close_unused();
        let volume = Volume {
            info,
            naming,
            seal,
            root,
            root_node,
            nodes,
            map: map.map(Mutex::new),
            pool: Arc::new(Pool::start(threads, power, tidy).map_err(PosixError::Threads)?),
            write_verifier: AtomicU64::new(instance().map_err(PosixError::Threads)?),
        };
        Ok(Self { volume: Arc::new(volume), squash, _state: state })
    }
}

fn squash_of(identity: Identity, power: Power) -> Result<Option<Credentials>, PosixError> {
    match (identity, power) {
        (Identity::Caller, Power::Anybody) => Ok(None),
        (Identity::Caller, Power::Itself) => Err(PosixError::NeedsRoot),
        (Identity::Squash { uid, gid }, Power::Anybody) => {
            Ok(Some(Credentials { uid, gid, groups: SmallVec::new() }))
        }
        (Identity::Squash { uid, gid }, Power::Itself) => {
            let own = identity::of_process().map_err(|error| PosixError::Threads(error.into()))?;
            if (own.uid, own.gid) == (uid, gid) {
                Ok(Some(own))
            } else {
                Err(PosixError::NotSelf { uid, gid, own_uid: own.uid, own_gid: own.gid })
            }
        }
    }
}

fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

fn check_outside(root: &OwnedFd, state_dir: &Path) -> Result<(), PosixError> {
    let failed = |source| PosixError::State { path: state_dir.to_owned(), source };
    let state = open_root(state_dir).map_err(failed)?;
    // What is in another mount is not served.
    if mount_of(root).map_err(failed)? != mount_of(&state).map_err(failed)? {
        return Ok(());
    }
    let root = path_of(root.as_fd()).map_err(|error| failed(io::Error::other(error)))?;
    let state = path_of(state.as_fd()).map_err(|error| failed(io::Error::other(error)))?;
    if volume::is_below(&state, &root) || state == root {
        return Err(PosixError::StateInside(state_dir.to_owned()));
    }
    Ok(())
}

fn mount_of(fd: &OwnedFd) -> io::Result<u64> {
    Ok(rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?.stx_mnt_id)
}

/// How many descriptors the process may have.
fn descriptors() -> usize {
    let limit = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn info_of(root: &OwnedFd, stat: &rustix::fs::Statx, fsid: Fsid) -> rustix::io::Result<FsInfo> {
    let usage = rustix::fs::fstatvfs(root)?;
    Ok(FsInfo {
        fsid,
        max_file_size: largest_file(root),
        max_link: MAX_LINK,
        max_name: u32::try_from(usage.f_namemax).unwrap_or(u32::MAX),
        time_delta: NfsTime { seconds: 0, nseconds: 1 },
        link_support: true,
        symlink_support: true,
        case_insensitive: false,
        case_preserving: true,
        change_attr_type: ChangeAttrType::MonotonicIncr,
        has_time_create: StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME),
        // It lives by the descriptor of this process.
        preserves_unlinked: false,
    })
}

/// The largest file, which the kernel does not tell: as large as a file without a name lets itself be made.
fn largest_file(root: &OwnedFd) -> u64 {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(root, c".", flags, Mode::RUSR | Mode::WUSR) else {
        return MAX_FILE_SIZE;
    };
    let (mut fits, mut too_large) = (0, MAX_FILE_SIZE + 1);
    while too_large - fits > 1 {
        let size = fits + (too_large - fits) / 2;
        match rustix::fs::ftruncate(&file, size) {
            Ok(()) => fits = size,
            Err(_) => too_large = size,
        }
    }
    // No room for a file of any size: then for one of every size as soon as there is.
    if fits == 0 { MAX_FILE_SIZE } else { fits }
}

/// Whether changes of a file in quick succession, with a look at it after each, have different times.
fn clock_of(root: &OwnedFd) -> Clock {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root, c".", flags, Mode::RUSR | Mode::WUSR);
    let Ok(file) = file else { return Clock::Ticks };
    let mut last = None;
    for size in 0..CLOCK_ROUNDS {
        let Ok(()) = rustix::fs::ftruncate(&file, size) else { return Clock::Ticks };
        let Ok(stat) = volume::stat(file.as_fd()) else { return Clock::Ticks };
        let now = Some((stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec));
        if now == last {
            return Clock::Ticks;
        }
        last = now;
    }
    Clock::Exact
}

/// A number that no other instance has.
fn instance() -> io::Result<u64> {
    getrandom::u64().map_err(|error| io::Error::other(error.to_string()))
}
