//! The exported tree: from handles and names to objects, and never out of it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dittofs_framework::fs::{
    Attributes, Authority, Credentials, FsError, FsInfo, FsResult, FsUsage, NodeHandle, OpenHold, ShareAccess,
};
use dittofs_framework::proto::ChangeInfo;
use parking_lot::Mutex;
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;

use super::attributes::{attributes_of, ctime, file_type};
use super::errno::to_fs;
use super::handle::{Naming, Seal};
use super::identity::as_server;
use super::map::PlaceMap;
use super::node::{Node, NodeTable};
use super::pool::Pool;
use super::stamp::Clock;
use super::sys;
use crate::rules::permission::{self, Facts};

/// How an object is opened to be named, whatever it is: a symbolic link itself, a device without touching it.
pub(super) const NAME_ONLY: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// What a name may lead through: nothing. It is one component below its directory and in the same mount.
pub(super) const ONE_STEP: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV);
/// So often a lookup that a rename elsewhere disturbed is made again.
const TRIES: usize = 16;
/// Deeper than this no path goes that a client could name at once.
const MAX_DEPTH: usize = 2048;

/// An exported directory.
pub(super) struct Volume {
    pub(super) info: FsInfo,
    pub(super) naming: Naming,
    pub(super) seal: Seal,
    /// The exported directory, to be read.
    pub(super) root: OwnedFd,
    pub(super) root_node: Arc<Node>,
    pub(super) nodes: Arc<NodeTable>,
    /// Where objects are, if they cannot be opened by kernel handles.
    pub(super) map: Option<Mutex<PlaceMap>>,
    pub(super) pool: Arc<Pool>,
    pub(super) write_verifier: AtomicU64,
}

/// An object that was found, and what it is like.
pub(super) struct Located {
    pub(super) node: Arc<Node>,
    pub(super) stat: Statx,
}

impl Located {
    /// What is true of a node now.
    pub(super) fn now(node: &Arc<Node>) -> FsResult<Self> {
        Ok(Self { node: Arc::clone(node), stat: stat(node.fd.as_fd())? })
    }

    /// What is true of a node after a change that this call made.
    pub(super) fn after_change(node: &Arc<Node>) -> FsResult<Self> {
        let located = Self::now(node)?;
        let mut stamp = node.stamp.lock();
        match node.clock {
            Clock::Exact => stamp.observe(ctime(&located.stat)),
            Clock::Ticks => stamp.changed(ctime(&located.stat)),
        };
        drop(stamp);
        Ok(located)
    }

    pub(super) fn facts(&self) -> Facts {
        Facts {
            file_type: self.node.file_type,
            mode: u32::from(self.stat.stx_mode) & permission::MODE_BITS,
            uid: self.stat.stx_uid,
            gid: self.stat.stx_gid,
        }
    }

    pub(super) fn attributes(&self) -> Attributes {
        let seen = self.node.stamp.lock().observe(ctime(&self.stat));
        attributes_of(&self.stat, seen)
    }

    /// The change attribute.
    pub(super) fn change(&self) -> u64 {
        self.node.stamp.lock().observe(ctime(&self.stat)).0
    }

    /// Whether a file may be opened like this by the caller.
    pub(super) fn check_open(&self, access: ShareAccess) -> FsResult<()> {
        let read = !access.contains(ShareAccess::READ) || allows_reading(&self.node)?;
        let write = !access.contains(ShareAccess::WRITE) || allows(&self.node, Access::WRITE_OK)?;
        if read && write { Ok(()) } else { Err(FsError::Access) }
    }

    /// Whether data may be read on this authority. Without an open the owner always may: it may have opened the file before
    /// its mode changed, and the server cannot know.
    pub(super) fn check_read(&self, caller: &Credentials, authority: Authority) -> FsResult<()> {
        let may = authority == Authority::Open
            || permission::is_owner(caller, &self.facts())
            || allows_reading(&self.node)?;
        if may { Ok(()) } else { Err(FsError::Access) }
    }

    /// Whether data may be written on this authority; see [`check_read`](Self::check_read).
    pub(super) fn check_write(&self, caller: &Credentials, authority: Authority) -> FsResult<()> {
        let may = authority == Authority::Open
            || permission::is_owner(caller, &self.facts())
            || allows(&self.node, Access::WRITE_OK)?;
        if may { Ok(()) } else { Err(FsError::Access) }
    }

    /// Whether it is a regular file, as calls on data need it.
    pub(super) fn check_file(&self) -> FsResult<()> {
        match self.node.file_type {
            dittofs_framework::proto::FileType::Reg => Ok(()),
            dittofs_framework::proto::FileType::Dir => Err(FsError::IsDir),
            dittofs_framework::proto::FileType::Lnk => Err(FsError::Symlink),
            _ => Err(FsError::WrongType),
        }
    }
}

impl Volume {
    /// The object of a handle.
    ///
    /// `Stale` if the object is gone, if the handle is not of this export, or if the object is not in the exported tree any more.
    pub(super) fn resolve(&self, handle: &NodeHandle) -> FsResult<Located> {
        self.resolve_at(handle, 0)
    }

    fn resolve_at(&self, handle: &NodeHandle, depth: usize) -> FsResult<Located> {
        if let Some(node) = self.nodes.get(handle) {
            let stat = stat(node.fd.as_fd())?;
            if stat.stx_nlink == 0 && !node.is_held() {
                self.nodes.forget(handle);
                return Err(FsError::Stale);
            }
            let located = Located { node, stat };
            self.check_place(&located)?;
            return Ok(located);
        }
        let name = self.seal.open(handle).ok_or(FsError::Stale)?;
        let fd = match &self.map {
            None => as_server(|| sys::open_by_handle(self.root.as_fd(), &name, NAME_ONLY))?
                .map_err(|error| if error == Errno::NOENT { FsError::Stale } else { to_fs(error) })?,
            Some(map) => self.open_by_place(map, handle, depth)?,
        };
        let stat = stat(fd.as_fd())?;
        if stat.stx_nlink == 0 {
            return Err(FsError::Stale);
        }
        let node = self.nodes.insert(*handle, fd, file_type(&stat)?);
        let located = Located { node, stat };
        self.check_place(&located).inspect_err(|_| self.nodes.forget(handle))?;
        Ok(located)
    }

    /// Opens an object where the map says it is, if it still is there.
    fn open_by_place(&self, map: &Mutex<PlaceMap>, handle: &NodeHandle, depth: usize) -> FsResult<OwnedFd> {
        // Places that were left behind the server's back could lead in a circle.
        if depth > MAX_DEPTH {
            return Err(FsError::Stale);
        }
        let places = map.lock().places(handle);
        let mut result = Err(FsError::Stale);
        for place in places {
            let dir = match self.resolve_at(&place.dir, depth + 1) {
                Ok(dir) => dir,
                Err(FsError::Stale) => continue,
                Err(error) => {
                    result = Err(error);
                    continue;
                }
            };
            match as_server(|| open_child(dir.node.fd.as_fd(), &place.name))? {
                Ok(fd) if self.handle_of(fd.as_fd(), &stat(fd.as_fd())?)? == *handle => return Ok(fd),
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::XDEV) => {}
                Err(error) => result = Err(to_fs(error)),
            }
        }
        result
    }

    /// Has the map know where a directory is that was not found by name.
    pub(super) fn note_path(&self, node: &Arc<Node>) -> FsResult<()> {
        let Some(map) = &self.map else { return Ok(()) };
        if Arc::ptr_eq(node, &self.root_node) || !map.lock().places(&node.handle).is_empty() {
            return Ok(());
        }
        let path = path_of(node.fd.as_fd())?;
        let root = path_of(self.root.as_fd())?;
        let rest = path.strip_prefix(root.as_slice()).ok_or(FsError::Stale)?;
        let mut dir = Arc::clone(&self.root_node);
        for name in rest.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            dir = as_server(|| self.child(&dir, name))??.node;
        }
        Ok(())
    }

    /// [`resolve`](Self::resolve), of a directory.
    pub(super) fn resolve_dir(&self, handle: &NodeHandle) -> FsResult<Located> {
        let located = self.resolve(handle)?;
        if located.node.is_directory() { Ok(located) } else { Err(FsError::NotDir) }
    }

    /// Whether an object is below the exported directory now, as far as the kernel knows its place.
    ///
    /// It always knows a directory's. A file that was opened by handle may have none (`/`), or have one that was removed, and with
    /// several names the one that is shown says nothing of the others: then the handle's seal must do, which says that it was
    /// found in the tree once.
    fn check_place(&self, located: &Located) -> FsResult<()> {
        let Located { node, stat } = located;
        if Arc::ptr_eq(node, &self.root_node) || node.is_held() {
            return Ok(());
        }
        let path = path_of(node.fd.as_fd())?;
        let root = path_of(self.root.as_fd())?;
        let below = is_below(&path, &root);
        let unknown =
            !node.is_directory() && (stat.stx_nlink > 1 || path == b"/" || path.ends_with(b" (deleted)"));
        if below || unknown { Ok(()) } else { Err(FsError::Stale) }
    }

    /// What a name in a directory stands for, as the caller sees it.
    pub(super) fn child(&self, dir: &Node, name: &[u8]) -> FsResult<Located> {
        let fd = open_child(dir.fd.as_fd(), name).map_err(|error| match error {
            // A mount point: it is there, and is not served.
            Errno::XDEV => FsError::Access,
            error => to_fs(error),
        })?;
        self.adopt(fd, Some((&dir.handle, name)))
    }

    /// The node of an object that was found in the tree.
    pub(super) fn adopt(&self, fd: OwnedFd, place: Option<(&NodeHandle, &[u8])>) -> FsResult<Located> {
        let stat = stat(fd.as_fd())?;
        let handle = self.handle_of(fd.as_fd(), &stat)?;
        if let (Some(map), Some((dir, name))) = (&self.map, place) {
            map.lock().note(&handle, dir, name)?;
        }
        let node = self.nodes.insert(handle, fd, file_type(&stat)?);
        Ok(Located { node, stat })
    }

    pub(super) fn handle_of(&self, fd: BorrowedFd<'_>, stat: &Statx) -> FsResult<NodeHandle> {
        let name = self.naming.name(fd, stat).map_err(to_fs)?;
        self.seal.handle(&name).map_err(to_fs)
    }

    /// Keeps a file alive until the hold is dropped.
    pub(super) fn hold(self: &Arc<Self>, node: &Arc<Node>) -> OpenHold {
        self.nodes.hold(node);
        OpenHold::new(Hold { volume: Arc::clone(self), node: Arc::clone(node) })
    }

    /// How full the file system is.
    pub(super) fn usage(&self, caller: &Credentials) -> FsResult<FsUsage> {
        let usage = rustix::fs::fstatvfs(&self.root).map_err(to_fs)?;
        let reserve = permission::is_root(caller);
        Ok(FsUsage {
            space_total: usage.f_blocks.saturating_mul(usage.f_frsize),
            space_free: usage.f_bfree.saturating_mul(usage.f_frsize),
            space_avail: (if reserve { usage.f_bfree } else { usage.f_bavail })
                .saturating_mul(usage.f_frsize),
            files_total: usage.f_files,
            files_free: usage.f_ffree,
            files_avail: if reserve { usage.f_ffree } else { usage.f_favail },
        })
    }

    /// Unstable data may have been lost: clients are to write theirs again.
    pub(super) fn data_may_be_lost(&self) {
        self.write_verifier.fetch_add(1, Ordering::Relaxed);
    }
}

/// An open that stands.
struct Hold {
    volume: Arc<Volume>,
    node: Arc<Node>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.node.release() {
            return;
        }
        // Closing a large file that has no name any more takes the time to free it.
        let (volume, node) = (Arc::clone(&self.volume), Arc::clone(&self.node));
        self.volume.pool.submit(move || {
            if stat(node.fd.as_fd()).is_ok_and(|stat| stat.stx_nlink == 0) {
                volume.nodes.forget(&node.handle);
            }
        });
    }
}

/// All that is known of an open object.
pub(super) fn stat(fd: BorrowedFd<'_>) -> FsResult<Statx> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, mask).map_err(to_fs)
}

/// The change of an object that this call changed. The kernel does not say that nothing else did.
pub(super) fn change_since(before: u64, node: &Arc<Node>) -> FsResult<ChangeInfo> {
    Ok(ChangeInfo { atomic: false, before, after: Located::after_change(node)?.change() })
}

/// Whether the kernel lets the caller do this with an object.
pub(super) fn allows(node: &Node, access: Access) -> FsResult<bool> {
    match rustix::fs::accessat(CWD, proc_path(node.fd.as_fd()).as_str(), access, AtFlags::EACCESS) {
        Ok(()) => Ok(true),
        Err(Errno::ACCESS | Errno::PERM) => Ok(false),
        Err(error) => Err(to_fs(error)),
    }
}

/// Whether the caller may read data: whoever may execute a file may read it, since there is no other way to execute it over a
/// network (RFC 8881 section 6.2.1.3.2).
pub(super) fn allows_reading(node: &Node) -> FsResult<bool> {
    Ok(allows(node, Access::READ_OK)? || allows(node, Access::EXEC_OK)?)
}

/// Opens a name in a directory as the caller, in order to name the object.
pub(super) fn open_child(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    open_beneath(dir, name, NAME_ONLY, Mode::empty())
}

/// Opens a name in a directory, and nothing else than what is there.
pub(super) fn open_beneath(
    dir: BorrowedFd<'_>,
    name: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let mut result = Err(Errno::AGAIN);
    for _ in 0..TRIES {
        result = rustix::fs::openat2(dir, name, flags, mode, ONE_STEP);
        if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    result
}

/// Whether one path is below another.
pub(super) fn is_below(path: &[u8], root: &[u8]) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.first() == Some(&b'/') || root == b"/")
}

/// A path by which an open object can be opened once more, or named in calls that want a path.
pub(super) fn proc_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Where the kernel has an open object.
pub(super) fn path_of(fd: BorrowedFd<'_>) -> FsResult<Vec<u8>> {
    rustix::fs::readlink(proc_path(fd).as_str(), Vec::new()).map(std::ffi::CString::into_bytes).map_err(to_fs)
}
