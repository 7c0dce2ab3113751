use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dittofs_framework::fs::{FsError, FsResult, NodeHandle, OpenHold};
use dittofs_framework::proto::{ChangeInfo, FileType, Fsid, NfsTime};
use parking_lot::Mutex;

use super::MemoryOptions;
use super::directory::Directory;
use super::inode::{Body, Inode, InodeId, Life, State, Times};
use super::space::{INODE_CHARGE, Space};
use super::table::Table;
use crate::clock::WallClock;
use crate::content::chunks::Content;
use crate::rules::permission::{Facts, MODE_BITS};

/// Longest name of an entry.
pub(super) const MAX_NAME: u32 = 255;
/// Largest file: what fits in the `off_t` of clients.
pub(super) const MAX_FILE_SIZE: u64 = i64::MAX as u64;
const ROOT: InodeId = InodeId(1);
const HANDLE_LEN: usize = 16;

/// What the calls of the file system and the holds of open files share.
pub(super) struct Volume {
    pub(super) fsid: Fsid,
    pub(super) table: Table,
    pub(super) space: Space,
    pub(super) clock: WallClock,
    /// Held by a rename that moves a directory to another one, so that no other changes who is above whom.
    pub(super) directory_moves: Mutex<()>,
    pub(super) root: Arc<Inode>,
    next_id: AtomicU64,
    /// Differs from volume to volume, so that a handle of one that is gone names nothing here.
    instance: [u8; 8],
}

impl Volume {
    pub(super) fn new(options: MemoryOptions) -> Self {
        let space = Space::new(options.capacity);
        let root = Arc::new(Inode::new(ROOT, root_state(&options)));
        let table = Table::new();
        table.insert(&root);
        // The root is there even where nothing else has room.
        let charged = space.add_file(INODE_CHARGE.min(options.capacity));
        debug_assert!(charged.is_ok());
        Self {
            fsid: options.fsid,
            table,
            space,
            clock: options.clock,
            directory_moves: Mutex::new(()),
            root,
            next_id: AtomicU64::new(ROOT.0 + 1),
            // The hasher's keys are random in each process, and differ from one hasher to the next.
            instance: std::hash::RandomState::new().hash_one(ROOT).to_be_bytes(),
        }
    }

    pub(super) fn now(&self) -> NfsTime {
        (self.clock)()
    }

    /// Also what WRITE's verifier is: unstable data is lost when the volume is, and not before.
    pub(super) fn instance(&self) -> [u8; 8] {
        self.instance
    }

    pub(super) fn new_id(&self) -> InodeId {
        InodeId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn handle(&self, id: InodeId) -> NodeHandle {
        let mut bytes = [0; HANDLE_LEN];
        let (number, instance) = bytes.split_at_mut(HANDLE_LEN / 2);
        number.copy_from_slice(&id.0.to_be_bytes());
        instance.copy_from_slice(&self.instance);
        // Sixteen bytes always fit.
        NodeHandle::new(&bytes).unwrap_or(NodeHandle::from_u64(id.0))
    }

    /// The object of a handle.
    #[inline]
    pub(super) fn resolve(&self, node: &NodeHandle) -> FsResult<Arc<Inode>> {
        let bytes: &[u8; HANDLE_LEN] = node.as_bytes().try_into().map_err(|_| FsError::Stale)?;
        let (number, instance) = bytes.split_first_chunk().ok_or(FsError::Stale)?;
        if *instance != self.instance {
            return Err(FsError::Stale);
        }
        self.table.get(InodeId(u64::from_be_bytes(*number))).ok_or(FsError::Stale)
    }

    /// Takes away one name of an object that the caller has locked; it goes unless it has another name or is open.
    pub(super) fn drop_name(&self, inode: &Inode, state: &mut State, now: NfsTime) {
        // A directory has the name and its own `.`.
        state.nlink = if inode.is_directory() { 0 } else { state.nlink.saturating_sub(1) };
        state.touch(now);
        self.release_if_unused(inode, state);
    }

    fn release_if_unused(&self, inode: &Inode, state: &mut State) {
        if state.nlink > 0 || state.opens > 0 || state.life == Life::Gone {
            return;
        }
        state.life = Life::Gone;
        self.space.remove_file(state.charge());
        if let Body::File(content) = &mut state.body {
            *content = Content::default();
        }
        state.xattrs = None;
        self.table.remove(inode.id);
    }

    /// Counts an open of a file whose state the caller has locked.
    pub(super) fn hold(self: &Arc<Self>, inode: &Arc<Inode>, state: &mut State) -> OpenHold {
        state.opens += 1;
        OpenHold::new(Hold { volume: Arc::clone(self), inode: Arc::clone(inode) })
    }
}

impl Drop for Volume {
    /// Empties all directories first: dropping a deep tree from its top would need as deep a stack.
    fn drop(&mut self) {
        let all = self.table.all();
        for inode in &all {
            if let Ok(directory) = inode.write().directory_mut() {
                *directory = Directory::new(directory.parent);
            }
        }
    }
}

/// An open, as the file system counts it.
struct Hold {
    volume: Arc<Volume>,
    inode: Arc<Inode>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.inode.write();
        state.opens = state.opens.saturating_sub(1);
        self.volume.release_if_unused(&self.inode, &mut state);
    }
}

fn root_state(options: &MemoryOptions) -> State {
    State {
        life: Life::Alive,
        facts: Facts {
            file_type: FileType::Dir,
            mode: options.root_mode & MODE_BITS,
            uid: options.root_uid,
            gid: options.root_gid,
        },
        nlink: 2,
        opens: 0,
        change: 1,
        times: Times::all((options.clock)()),
        exclusive: None,
        xattrs: None,
        body: Body::Directory(Directory::new(ROOT)),
    }
}

/// A change of an object whose change attribute was `before` and which the caller still has locked.
pub(super) fn change_since(before: u64, state: &State) -> ChangeInfo {
    ChangeInfo { atomic: true, before, after: state.change }
}

/// Names that could not be stored.
pub(super) fn check_name(name: &[u8]) -> FsResult<()> {
    if name.len() > MAX_NAME as usize { Err(FsError::NameTooLong) } else { Ok(()) }
}
