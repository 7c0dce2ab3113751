use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use dittofs_framework::fs::{FsError, FsResult, FsUsage, NodeHandle, OpenHold};
use dittofs_framework::log_limited;
use dittofs_framework::proto::{ChangeInfo, FileType, Fsid, NfsTime, Verifier4};
use dittofs_framework::storage::{
    Batch, ContentStore, DirectoryRecord, Ino, InodeRecord, MetadataStore, Mutation, RecordBody, RecordTimes,
    StorageError, VolumeRecord,
};
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::StoreOptions;
use super::cache::Cache;
use super::inode::{Inode, Life, State, Unsaved};
use super::journal::{Journal, Ticket, Transaction, reserved};
use super::room::RoomGate;
use crate::clock::WallClock;
use crate::rules::permission::MODE_BITS;

/// Cookies 0, 1 and 2 are not for entries (RFC 8881 section 18.23.3).
pub(super) const FIRST_COOKIE: u64 = 3;
/// Cookie 0 is the start of a list.
const FIRST_XATTR_COOKIE: u64 = 1;
const HANDLE_LEN: usize = 16;
/// What an object and its name take in a metadata store, about.
const INODE_COST: u64 = 512;
/// Values of the change attribute that each start of a volume has for itself, as bits.
const CHANGES_PER_START: u32 = 40;
/// How long to wait before the store is asked again, after a failure, what it has.
const UNDO_RETRY: Duration = Duration::from_secs(1);

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the calls of the file system, the holds of open files and work in the background share.
pub(super) struct Volume {
    pub(super) fsid: Fsid,
    pub(super) metadata: Arc<dyn MetadataStore>,
    pub(super) content: Arc<dyn ContentStore>,
    pub(super) cache: Cache,
    pub(super) journal: Journal,
    pub(super) room: RoomGate,
    /// Held by a rename that moves a directory to another one, so that no other changes who is above whom.
    pub(super) directory_moves: tokio::sync::Mutex<()>,
    pub(super) root: Arc<Inode>,
    /// Files with writes that are not durable, and inodes with times of access to be saved.
    unsaved: Mutex<HashMap<Ino, Arc<Inode>, RandomState>>,
    /// Files whose storage could not be given back, to be tried again.
    leaving: Mutex<Vec<Arc<Inode>>>,
    next_ino: AtomicU64,
    /// Changes when unstable data may have been lost.
    verifier: AtomicU64,
    /// Whether files without a name that an earlier start left may be opened again.
    pub(super) keeps_orphans: AtomicBool,
    /// Whether the stores go with the process.
    pub(super) volatile: bool,
    /// The least value of the change attribute of a file, and of anything else after a change: larger than all that an earlier start
    /// gave.
    floor: AtomicU64,
    id: [u8; 8],
    clock: WallClock,
    /// Where work goes on that nobody waits for; without one it is done by whoever comes.
    pub(super) runtime: Option<Handle>,
}

impl Volume {
    /// Opens the volume in the stores; makes it if they are empty.
    pub(super) async fn open(
        metadata: Arc<dyn MetadataStore>,
        content: Arc<dyn ContentStore>,
        options: &StoreOptions,
    ) -> Result<Self, StorageError> {
        let random = || getrandom::u64().map_err(|error| StorageError::failed(std::io::Error::other(error)));
        let mut first = vec![];
        let (found, starts) = if let Some(found) = metadata.volume().await? {
            (found, found.starts.saturating_add(1))
        } else {
            // Numbers begin anew: files would get what others had in theirs.
            if !content.scan(Ino(0), 1).await?.is_empty() {
                return Err(StorageError::Damaged("there are contents, but no metadata of them".to_owned()));
            }
            first.push(Mutation::PutInode(Ino::ROOT, root_record(options)));
            let id = random()?.to_be_bytes();
            (VolumeRecord { id, next_ino: Ino::ROOT.0 + 1, inodes: 1, starts: 0 }, 0)
        };
        let volume = VolumeRecord { next_ino: reserved(found.next_ino), starts, ..found };
        first.push(Mutation::PutVolume(volume));
        metadata.apply(Batch { mutations: first }).await?;
        let root = metadata.inodes(&[Ino::ROOT]).await?.pop().flatten();
        let root = root.ok_or_else(|| StorageError::Damaged("no root directory".to_owned()))?;
        let root = Arc::new(Inode::new(Ino::ROOT, State::loaded(root)));
        let cache = Cache::new(options.cached_inodes);
        cache.insert(&root);
        Ok(Self {
            fsid: options.fsid,
            metadata,
            content,
            cache,
            journal: Journal::new(volume),
            room: RoomGate::new(options.reserve),
            directory_moves: tokio::sync::Mutex::new(()),
            root,
            unsaved: Mutex::default(),
            leaving: Mutex::default(),
            next_ino: AtomicU64::new(found.next_ino),
            verifier: AtomicU64::new(random()?),
            keeps_orphans: AtomicBool::new(true),
            volatile: options.volatile,
            floor: AtomicU64::new(u64::from(starts) << CHANGES_PER_START),
            id: volume.id,
            clock: Arc::clone(&options.clock),
            runtime: Handle::try_current().ok(),
        })
    }

    /// The least value of the change attribute after a change.
    pub(super) fn floor(&self) -> u64 {
        self.floor.load(Ordering::Relaxed)
    }

    pub(super) fn now(&self) -> NfsTime {
        (self.clock)()
    }

    pub(super) fn verifier(&self) -> Verifier4 {
        self.verifier.load(Ordering::Relaxed).to_be_bytes()
    }

    /// Says to clients that unstable data may be lost.
    pub(super) fn lose_unstable(&self) {
        self.verifier.fetch_add(1, Ordering::Relaxed);
    }

    /// A number for a new object, and how far they are given out by then.
    pub(super) fn new_ino(&self) -> (Ino, u64) {
        let ino = self.next_ino.fetch_add(1, Ordering::Relaxed);
        (Ino(ino), ino + 1)
    }

    pub(super) fn handle(&self, ino: Ino) -> NodeHandle {
        let mut bytes = [0; HANDLE_LEN];
        let (number, id) = bytes.split_at_mut(HANDLE_LEN / 2);
        number.copy_from_slice(&ino.0.to_be_bytes());
        id.copy_from_slice(&self.id);
        // Sixteen bytes always fit.
        NodeHandle::new(&bytes).unwrap_or(NodeHandle::from_u64(ino.0))
    }

    /// The object of a handle.
    #[inline]
    pub(super) async fn resolve(&self, node: &NodeHandle) -> FsResult<Arc<Inode>> {
        let bytes: &[u8; HANDLE_LEN] = node.as_bytes().try_into().map_err(|_| FsError::Stale)?;
        let (number, id) = bytes.split_first_chunk().ok_or(FsError::Stale)?;
        if *id != self.id {
            return Err(FsError::Stale);
        }
        self.load(Ino(u64::from_be_bytes(*number))).await
    }

    /// An object that is in memory, or in the store.
    #[inline]
    pub(super) async fn load(&self, ino: Ino) -> FsResult<Arc<Inode>> {
        match self.cache.get(ino) {
            Some(inode) => Ok(inode),
            None => self.load_from_store(ino, self.keeps_orphans.load(Ordering::Relaxed)).await,
        }
    }

    /// An object that may be one without a name.
    pub(super) async fn load_orphan(&self, ino: Ino) -> FsResult<Arc<Inode>> {
        self.load_from_store(ino, true).await
    }

    #[cold]
    async fn load_from_store(&self, ino: Ino, or_orphan: bool) -> FsResult<Arc<Inode>> {
        loop {
            let ended = self.journal.ended();
            let record = self.metadata.inodes(&[ino]).await?.pop().flatten();
            let is_current = || self.journal.ended() == ended;
            let Some(record) = record else {
                if let Some(inode) = self.cache.get(ino) {
                    return Ok(inode);
                }
                if is_current() {
                    return Err(FsError::Stale);
                }
                continue;
            };
            if record.nlink == 0 && !or_orphan {
                return Err(FsError::Stale);
            }
            if let Some((inode, to_save)) =
                self.cache.insert_loaded(ino, State::loaded(self.renewed(record)), is_current)
            {
                self.save_later(to_save);
                return Ok(inode);
            }
        }
    }

    /// A record as it is in this start. An earlier one may have written to the file without its record, and a crash taken some of that:
    /// clients are to take the file for changed.
    pub(super) fn renewed(&self, mut record: InodeRecord) -> InodeRecord {
        if record.file_type == FileType::Reg {
            record.change = record.change.max(self.floor());
        }
        record
    }

    /// Has inodes saved when somebody has time.
    pub(super) fn save_later(&self, inodes: impl IntoIterator<Item = Arc<Inode>>) {
        let mut inodes = inodes.into_iter().peekable();
        if inodes.peek().is_some() {
            self.unsaved.lock().extend(inodes.map(|inode| (inode.ino, inode)));
        }
    }

    /// Has a file saved that was written to.
    pub(super) fn note_unsaved(&self, inode: &Arc<Inode>) {
        self.unsaved.lock().insert(inode.ino, Arc::clone(inode));
    }

    /// What is to be saved, until now.
    pub(super) fn take_unsaved(&self) -> Vec<Arc<Inode>> {
        self.unsaved.lock().drain().map(|(_, inode)| inode).collect()
    }

    /// Has a file discarded that could not be.
    pub(super) fn note_leaving(&self, inode: &Arc<Inode>) {
        self.leaving.lock().push(Arc::clone(inode));
    }

    /// What is to be discarded, until now.
    pub(super) fn take_leaving(&self) -> Vec<Arc<Inode>> {
        std::mem::take(&mut *self.leaving.lock())
    }

    /// Waits until a change is durable.
    pub(super) async fn commit(self: &Arc<Self>, ticket: Ticket) -> FsResult<()> {
        self.start_commit().await;
        ticket.wait().await
    }

    /// Sees to it that the running transaction commits, now or when the one before has.
    pub(super) async fn start_commit(self: &Arc<Self>) {
        if let Some(transaction) = self.journal.start() {
            let volume = Arc::clone(self);
            self.run(Box::pin(async move { volume.commit_all(transaction).await })).await;
        }
    }

    /// Runs a job to its end, whether the caller goes on or not: inline if it need not wait, else as a task.
    pub(super) async fn run(&self, mut job: Job) {
        let is_done = poll_fn(|cx| Poll::Ready(job.as_mut().poll(cx).is_ready())).await;
        if is_done {
            return;
        }
        match &self.runtime {
            Some(runtime) => drop(runtime.spawn(job)),
            None => job.await,
        }
    }

    /// [`run`](Self::run), where nothing can be waited for.
    pub(super) fn run_detached(&self, mut job: Job) {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        if job.as_mut().poll(&mut cx).is_pending()
            && let Some(runtime) = &self.runtime
        {
            drop(runtime.spawn(job));
        }
    }

    async fn commit_all(&self, first: Transaction) {
        let mut next = Some(first);
        while let Some(mut transaction) = next {
            match self.metadata.apply(transaction.take_batch()).await {
                Ok(()) => self.end(transaction),
                Err(error) => self.undo(transaction, &error).await,
            }
            next = self.journal.next();
        }
    }

    /// What a transaction changed is in the store.
    fn end(&self, transaction: Transaction) {
        self.journal.note_durable(transaction.seq);
        for inode in &transaction.touched {
            let mut state = inode.write();
            let forgot = [state.names.forget(transaction.seq), state.xattrs.forget(transaction.seq)];
            if forgot.contains(&true) {
                state.epoch += 1;
            }
            if state.life == Life::Gone && state.seq == transaction.seq {
                self.cache.remove(inode.ino);
                self.unsaved.lock().remove(&inode.ino);
            }
        }
        for waiter in transaction.waiters {
            let _ = waiter.send(Ok(()));
        }
    }

    /// A transaction failed: what it and the one behind it changed in memory is loaded again.
    async fn undo(&self, failed: Transaction, error: &StorageError) {
        log_limited!(error, %error, "a change of metadata failed");
        // Among it can be the records of files that were written to: clients have to write that again.
        self.lose_unstable();
        let behind = self.journal.undo();
        let tell = |waiters: &mut Vec<oneshot::Sender<FsResult<()>>>| {
            for waiter in waiters.drain(..) {
                let _ = waiter.send(Err(error.clone().into()));
            }
        };
        let mut waiters = failed.waiters;
        waiters.extend(behind.waiters);
        let volume = loop {
            match self.reload(failed.touched.iter().chain(&behind.touched)).await {
                Ok(volume) => break volume,
                Err(again) => {
                    log_limited!(error, error = %again, "the metadata store cannot be read");
                    tell(&mut waiters);
                    tokio::time::sleep(UNDO_RETRY).await;
                }
            }
        };
        // Once more, for who has asked since: some of what was written then was undone, too.
        self.lose_unstable();
        self.journal.note_end();
        self.journal.undone(volume);
        tell(&mut waiters);
    }

    async fn reload(&self, inodes: impl Iterator<Item = &Arc<Inode>>) -> Result<VolumeRecord, StorageError> {
        for inode in inodes {
            let record = self.metadata.inodes(&[inode.ino]).await?.pop().flatten();
            let mut state = inode.write();
            state.epoch += 1;
            state.names.clear();
            state.xattrs.clear();
            // A value that somebody saw does not come again, whatever leaves memory before it is saved.
            self.floor.fetch_max(state.record.change + 2, Ordering::Relaxed);
            if let Some(record) = record {
                state.restore(record, self.journal.durable());
                if state.unsaved == Unsaved::Written {
                    self.note_unsaved(inode);
                }
                if state.life == Life::Leaving {
                    self.note_leaving(inode);
                }
            } else {
                state.life = Life::Gone;
                drop(state);
                self.cache.remove(inode.ino);
                self.unsaved.lock().remove(&inode.ino);
            }
        }
        let volume = self.metadata.volume().await?;
        volume.ok_or_else(|| StorageError::Damaged("no record of the volume".to_owned()))
    }

    /// How full the stores are.
    pub(super) async fn usage(&self) -> FsResult<FsUsage> {
        let contents = self.content.room().await?;
        let metadata = self.metadata.room().await?;
        let files_free = self.room.beyond(metadata) / INODE_COST;
        Ok(FsUsage {
            space_total: contents.total,
            space_free: contents.free,
            space_avail: self.room.beyond(contents),
            files_total: self.journal.inodes().saturating_add(files_free),
            files_free,
            files_avail: files_free,
        })
    }

    /// Counts an open of a file whose state the caller has locked.
    pub(super) fn hold(self: &Arc<Self>, inode: &Arc<Inode>, state: &mut State) -> OpenHold {
        state.opens += 1;
        OpenHold::new(Hold { volume: Arc::clone(self), inode: Arc::clone(inode) })
    }
}

/// An open, as the file system counts it.
struct Hold {
    volume: Arc<Volume>,
    inode: Arc<Inode>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let is_unused = {
            let mut state = self.inode.write();
            state.opens = state.opens.saturating_sub(1);
            state.claim_unused()
        };
        if is_unused {
            let (volume, inode) = (Arc::clone(&self.volume), Arc::clone(&self.inode));
            self.volume.run_detached(Box::pin(async move { volume.discard(&inode).await }));
        }
    }
}

fn root_record(options: &StoreOptions) -> InodeRecord {
    new_record(
        FileType::Dir,
        RecordBody::Directory(DirectoryRecord { parent: Ino::ROOT, entries: 0, next_cookie: FIRST_COOKIE }),
        RecordTimes::all((options.clock)()),
        InodeOwner { mode: options.root_mode & MODE_BITS, uid: options.root_uid, gid: options.root_gid },
    )
}

/// Whose an object is, and who else may use it.
#[derive(Debug, Clone, Copy)]
pub(super) struct InodeOwner {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// The record of a new object.
pub(super) fn new_record(
    file_type: FileType,
    body: RecordBody,
    times: RecordTimes,
    owner: InodeOwner,
) -> InodeRecord {
    InodeRecord {
        file_type,
        mode: owner.mode,
        uid: owner.uid,
        gid: owner.gid,
        nlink: if file_type == FileType::Dir { 2 } else { 1 },
        size: 0,
        allocated: 0,
        change: 1,
        times,
        exclusive: None,
        xattr_bytes: 0,
        next_xattr_cookie: FIRST_XATTR_COOKIE,
        body,
    }
}

/// A change of an object whose change attribute was `before` and which the caller still has locked.
pub(super) fn change_since(before: u64, state: &State) -> ChangeInfo {
    ChangeInfo { atomic: true, before, after: state.record.change }
}
