//! Changes on their way into the metadata store.
//!
//! A change is made in memory first, under the locks of its inodes, and recorded in the *running* transaction. Whoever has to know that
//! it is durable waits for that transaction. One transaction commits at a time, as one batch; meanwhile the next one is running and
//! gathers. So changes that come at once share one flush, whatever the store is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dittofs_framework::fs::{FsError, FsResult};
use dittofs_framework::storage::{Batch, Entry, Ino, Mutation, VolumeRecord, Xattr};
use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::inode::{Inode, Life, State, Unsaved};

/// Numbers that are given out ahead of what the store knows to be given: none is ever given twice, crash or not.
const INOS_AHEAD: u64 = 1 << 16;

/// The number of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Seq(u64);

/// Resolves when a transaction is durable or has failed.
#[must_use]
pub(super) struct Ticket(oneshot::Receiver<FsResult<()>>);

impl Ticket {
    /// Waits for it. Somebody has to see to it that the transaction commits.
    pub(super) async fn wait(self) -> FsResult<()> {
        // A sender is dropped only by a panic of whoever commits.
        self.0.await.unwrap_or(Err(FsError::Fault))
    }
}

/// A transaction that gathers changes, or one that commits.
#[derive(Default)]
pub(super) struct Transaction {
    pub(super) seq: Seq,
    mutations: Vec<Mutation>,
    /// Where the record of an inode is in `mutations`: the last one counts.
    inode_at: HashMap<Ino, usize, RandomState>,
    /// The inodes that it changes: in memory at least until it has ended.
    pub(super) touched: Vec<Arc<Inode>>,
    pub(super) waiters: Vec<oneshot::Sender<FsResult<()>>>,
    changes_volume: bool,
}

impl Transaction {
    fn is_empty(&self) -> bool {
        self.mutations.is_empty() && self.waiters.is_empty()
    }

    /// What is to go into the store.
    pub(super) fn take_batch(&mut self) -> Batch {
        Batch { mutations: std::mem::take(&mut self.mutations) }
    }
}

struct Inner {
    running: Transaction,
    is_committing: bool,
    /// A transaction failed, and what it changed in memory is being undone.
    is_undoing: bool,
    /// How often that was so.
    undos: u64,
    /// The last one that is in the store.
    durable: Seq,
    /// As of the running transaction.
    volume: VolumeRecord,
}

/// The running transaction, and who commits.
pub(super) struct Journal {
    inner: Mutex<Inner>,
    ended: AtomicU64,
}

impl Journal {
    pub(super) fn new(volume: VolumeRecord) -> Self {
        let inner = Inner {
            running: Transaction { seq: Seq(1), ..Transaction::default() },
            is_committing: false,
            is_undoing: false,
            undos: 0,
            durable: Seq(0),
            volume,
        };
        Self { inner: Mutex::new(inner), ended: AtomicU64::new(0) }
    }

    /// How many transactions have ended: what was read from the store is current if no other has meanwhile.
    #[inline]
    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    /// Opens the running transaction for a change. All inodes of the change are locked before; nothing is locked after.
    ///
    /// # Errors
    /// [`FsError::Delay`] while the failure of an earlier one is dealt with.
    pub(super) fn begin(&self) -> FsResult<Change<'_>> {
        let inner = self.inner.lock();
        if inner.is_undoing { Err(FsError::Delay) } else { Ok(Change { inner }) }
    }

    /// Objects that there are.
    pub(super) fn inodes(&self) -> u64 {
        self.inner.lock().volume.inodes
    }

    /// The running transaction, to commit it; `None` if it is empty or another one commits. Whoever gets it goes on with
    /// [`next`](Self::next) until there is none.
    pub(super) fn start(&self) -> Option<Transaction> {
        let mut inner = self.inner.lock();
        if inner.is_committing || inner.is_undoing || inner.running.is_empty() {
            return None;
        }
        inner.is_committing = true;
        Some(inner.close_running())
    }

    /// The next one to commit, by whoever commits.
    pub(super) fn next(&self) -> Option<Transaction> {
        let mut inner = self.inner.lock();
        if inner.running.is_empty() {
            inner.is_committing = false;
            return None;
        }
        Some(inner.close_running())
    }

    /// Notes that a transaction is in the store.
    pub(super) fn note_durable(&self, seq: Seq) {
        self.inner.lock().durable = seq;
        self.note_end();
    }

    /// Notes that a transaction has ended, one way or the other.
    pub(super) fn note_end(&self) {
        self.ended.fetch_add(1, Ordering::Release);
    }

    /// Whether everything is in the store.
    pub(super) fn is_idle(&self) -> bool {
        let inner = self.inner.lock();
        inner.running.is_empty() && !inner.is_committing
    }

    /// The last transaction that is in the store.
    pub(super) fn durable(&self) -> Seq {
        self.inner.lock().durable
    }

    /// How often changes were undone.
    pub(super) fn undos(&self) -> u64 {
        self.inner.lock().undos
    }

    /// Whether a transaction is in the store.
    pub(super) fn is_durable(&self, seq: Seq) -> bool {
        seq <= self.inner.lock().durable
    }

    /// Begins to undo: no change is taken until [`undone`](Self::undone). Returns the transaction behind the one that failed, which
    /// builds on it.
    pub(super) fn undo(&self) -> Transaction {
        let mut inner = self.inner.lock();
        inner.is_undoing = true;
        inner.undos += 1;
        inner.close_running()
    }

    /// All is as the store says again.
    pub(super) fn undone(&self, volume: VolumeRecord) {
        let mut inner = self.inner.lock();
        // Numbers that were given stay given.
        let next_ino = inner.volume.next_ino.max(volume.next_ino);
        inner.volume = VolumeRecord { next_ino, ..volume };
        inner.is_undoing = false;
    }
}

impl Inner {
    fn close_running(&mut self) -> Transaction {
        let seq = Seq(self.running.seq.0 + 1);
        let mut closed = std::mem::replace(&mut self.running, Transaction { seq, ..Transaction::default() });
        if closed.changes_volume {
            closed.mutations.push(Mutation::PutVolume(self.volume));
        }
        closed
    }
}

/// The running transaction, held open for a change.
pub(super) struct Change<'a> {
    inner: MutexGuard<'a, Inner>,
}

impl Change<'_> {
    fn push(&mut self, mutation: Mutation) {
        self.inner.running.mutations.push(mutation);
    }

    fn touch(&mut self, inode: &Arc<Inode>, state: &mut State) {
        let running = &mut self.inner.running;
        if state.seq != running.seq {
            state.seq = running.seq;
            running.touched.push(Arc::clone(inode));
        }
    }

    /// Records an inode as it is now, but for a size that rests on contents which are not durable.
    pub(super) fn put(&mut self, inode: &Arc<Inode>, state: &mut State) {
        inode.take_access(state);
        self.touch(inode, state);
        let mut record = state.record.clone();
        if state.unsaved == Unsaved::Written {
            record.size = state.durable_size;
        }
        let mutation = Mutation::PutInode(inode.ino, record);
        let running = &mut self.inner.running;
        let place = running.inode_at.get(&inode.ino).and_then(|at| running.mutations.get_mut(*at));
        if let Some(place) = place {
            *place = mutation;
        } else {
            running.inode_at.insert(inode.ino, running.mutations.len());
            running.mutations.push(mutation);
        }
    }

    /// Records a new inode. `given` is how far numbers are given out.
    pub(super) fn put_new(&mut self, inode: &Arc<Inode>, state: &mut State, given: u64) {
        self.inner.volume.inodes += 1;
        self.inner.running.changes_volume = true;
        self.reserve_inos(given);
        self.put(inode, state);
    }

    /// Sees to it that numbers can be given out ahead of the store.
    fn reserve_inos(&mut self, given: u64) {
        let volume = &mut self.inner.volume;
        if volume.next_ino.saturating_sub(given) < INOS_AHEAD / 2 {
            volume.next_ino = given.saturating_add(INOS_AHEAD);
        }
    }

    /// Records that an inode is no more.
    pub(super) fn remove(&mut self, inode: &Arc<Inode>, state: &mut State) {
        state.life = Life::Gone;
        self.touch(inode, state);
        self.inner.volume.inodes = self.inner.volume.inodes.saturating_sub(1);
        self.inner.running.changes_volume = true;
        self.push(Mutation::RemoveInode(inode.ino));
    }

    /// Records a new entry, and counts it in the directory's record, which is to be [put](Self::put) after.
    pub(super) fn put_entry(
        &mut self,
        dir: &Arc<Inode>,
        state: &mut State,
        name: &[u8],
        child: &Inode,
    ) -> FsResult<()> {
        let directory = state.directory_mut()?;
        let entry = Entry { cookie: directory.next_cookie, ino: child.ino, file_type: child.file_type };
        directory.next_cookie += 1;
        directory.entries += 1;
        self.touch(dir, state);
        let name = Bytes::copy_from_slice(name);
        state.names.set(self.inner.running.seq, name.clone(), Some(entry));
        self.push(Mutation::PutEntry { dir: dir.ino, name, entry });
        Ok(())
    }

    /// Records that an entry is gone, and counts it in the directory's record, which is to be [put](Self::put) after.
    pub(super) fn remove_entry(
        &mut self,
        dir: &Arc<Inode>,
        state: &mut State,
        name: &[u8],
        entry: Entry,
    ) -> FsResult<()> {
        let directory = state.directory_mut()?;
        directory.entries = directory.entries.saturating_sub(1);
        self.touch(dir, state);
        let name = Bytes::copy_from_slice(name);
        state.names.set(self.inner.running.seq, name.clone(), None);
        self.push(Mutation::RemoveEntry { dir: dir.ino, name, cookie: entry.cookie });
        Ok(())
    }

    /// Records an extended attribute.
    pub(super) fn put_xattr(&mut self, inode: &Arc<Inode>, state: &mut State, name: &[u8], xattr: Xattr) {
        self.touch(inode, state);
        let name = Bytes::copy_from_slice(name);
        state.xattrs.set(self.inner.running.seq, name.clone(), Some(xattr.clone()));
        self.push(Mutation::PutXattr { ino: inode.ino, name, xattr });
    }

    /// Records that an extended attribute is gone.
    pub(super) fn remove_xattr(&mut self, inode: &Arc<Inode>, state: &mut State, name: &[u8], cookie: u64) {
        self.touch(inode, state);
        let name = Bytes::copy_from_slice(name);
        state.xattrs.set(self.inner.running.seq, name.clone(), None);
        self.push(Mutation::RemoveXattr { ino: inode.ino, name, cookie });
    }

    /// Records that an object has lost its last name.
    pub(super) fn mark_orphan(&mut self, ino: Ino) {
        self.push(Mutation::MarkOrphan(ino));
    }

    /// Records that an orphan is being removed.
    pub(super) fn unmark_orphan(&mut self, ino: Ino) {
        self.push(Mutation::UnmarkOrphan(ino));
    }

    /// How often changes were undone.
    pub(super) fn undos(&self) -> u64 {
        self.inner.undos
    }

    /// What to wait for, to know that the change is durable.
    pub(super) fn ticket(&mut self) -> Ticket {
        let (sender, receiver) = oneshot::channel();
        self.inner.running.waiters.push(sender);
        Ticket(receiver)
    }
}

/// The first numbers that a volume gives out, and what its record says of it.
pub(super) fn reserved(next_ino: u64) -> u64 {
    next_ino.saturating_add(INOS_AHEAD)
}
