use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use dittofs_framework::fs::{Attributes, Credentials, FsError, FsResult};
use dittofs_framework::proto::{FileType, NfsTime, SpecData};
use parking_lot::RwLock;

use super::directory::Directory;
use super::lock::{ReadState, WriteState};
use super::space::INODE_CHARGE;
use super::xattr::XattrMap;
use crate::clock::{from_nanos, to_nanos};
use crate::content::chunks::Content;
use crate::rules::permission::{self, Facts};

/// Number of an object: grows, and is never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct InodeId(pub(super) u64);

/// Most hard links of an object, and one more than most subdirectories of a directory.
pub(super) const MAX_LINK: u32 = i32::MAX as u32;

/// What a directory says its size is: entries are not bytes that anyone could read.
const DIRECTORY_SIZE: u64 = 4096;
/// Access times are written at least this often (the rule of Linux's `relatime`).
const ACCESS_TIME_LAG_SECONDS: i64 = 24 * 60 * 60;
/// No access since the access time in [`State`] was set.
const NOT_ACCESSED: i64 = i64::MIN;

/// An object of the file system.
pub(super) struct Inode {
    pub(super) id: InodeId,
    pub(super) file_type: FileType,
    /// Nanoseconds of an access later than `state.times.access`: readers hold the lock for reading only.
    accessed: AtomicI64,
    pub(super) state: RwLock<State>,
}

/// The four times of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) access: NfsTime,
    pub(super) modify: NfsTime,
    pub(super) metadata: NfsTime,
    pub(super) create: NfsTime,
}

impl Times {
    pub(super) fn all(now: NfsTime) -> Self {
        Self { access: now, modify: now, metadata: now, create: now }
    }
}

/// Whether an object still is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Alive,
    /// Without name and without open: its space is given back, its handle is stale.
    Gone,
}

/// What can change in an object; the inode's lock guards all of it.
pub(super) struct State {
    pub(super) life: Life,
    pub(super) facts: Facts,
    pub(super) nlink: u32,
    pub(super) opens: u32,
    pub(super) change: u64,
    pub(super) times: Times,
    /// The verifier of the exclusive create that made the file, until attributes are set.
    pub(super) exclusive: Option<[u8; 8]>,
    pub(super) xattrs: Option<Box<XattrMap>>,
    pub(super) body: Body,
}

/// What only some types of object have.
pub(super) enum Body {
    File(Content),
    Directory(Directory),
    Symlink(Bytes),
    Device(SpecData),
    /// Named pipe or socket.
    Rendezvous,
}

impl Inode {
    pub(super) fn new(id: InodeId, state: State) -> Self {
        Self {
            id,
            file_type: state.facts.file_type,
            accessed: AtomicI64::new(NOT_ACCESSED),
            state: RwLock::new(state),
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        self.file_type == FileType::Dir
    }

    pub(super) fn read(&self) -> ReadState<'_> {
        ReadState::lock(self)
    }

    pub(super) fn write(&self) -> WriteState<'_> {
        WriteState::lock(self)
    }

    /// The state, to look at it; `Stale` when the object is gone.
    #[inline]
    pub(super) fn read_live(&self) -> FsResult<ReadState<'_>> {
        let state = self.read();
        state.alive()?;
        Ok(state)
    }

    /// The state, to change it; `Stale` when the object is gone.
    pub(super) fn write_live(&self) -> FsResult<WriteState<'_>> {
        let state = self.write();
        state.alive()?;
        Ok(state)
    }

    /// Attributes, from the locked state of this inode.
    pub(super) fn attributes(&self, state: &State) -> Attributes {
        Attributes {
            file_type: self.file_type,
            mode: state.facts.mode,
            nlink: state.nlink,
            uid: state.facts.uid,
            gid: state.facts.gid,
            size: state.size(),
            space_used: state.space_used(),
            rawdev: match state.body {
                Body::Device(device) => device,
                _ => SpecData::default(),
            },
            fileid: self.id.0,
            change: state.change,
            time_access: self.time_access(state),
            time_modify: state.times.modify,
            time_metadata: state.times.metadata,
            time_create: Some(state.times.create),
        }
    }

    fn time_access(&self, state: &State) -> NfsTime {
        match self.accessed.load(Ordering::Relaxed) {
            NOT_ACCESSED => state.times.access,
            nanos => from_nanos(nanos),
        }
    }

    /// Notes that the object was read, by the rule of `relatime`: when the access time is not after the last change, or old.
    pub(super) fn note_access(&self, state: &State, now: impl FnOnce() -> NfsTime) {
        let last = self.time_access(state);
        let now = now();
        let old = now.seconds.saturating_sub(last.seconds) >= ACCESS_TIME_LAG_SECONDS;
        if old || last <= state.times.modify || last <= state.times.metadata {
            self.accessed.store(to_nanos(now), Ordering::Relaxed);
        }
    }

    /// Sets the access time; the caller holds the state for a change.
    pub(super) fn set_time_access(&self, state: &mut State, time: NfsTime) {
        state.times.access = time;
        self.accessed.store(NOT_ACCESSED, Ordering::Relaxed);
    }
}

impl State {
    #[inline]
    pub(super) fn alive(&self) -> FsResult<()> {
        if self.life == Life::Alive { Ok(()) } else { Err(FsError::Stale) }
    }

    pub(super) fn directory(&self) -> FsResult<&Directory> {
        if let Body::Directory(directory) = &self.body { Ok(directory) } else { Err(FsError::NotDir) }
    }

    pub(super) fn directory_mut(&mut self) -> FsResult<&mut Directory> {
        if let Body::Directory(directory) = &mut self.body { Ok(directory) } else { Err(FsError::NotDir) }
    }

    #[inline]
    pub(super) fn content(&self) -> FsResult<&Content> {
        if let Body::File(content) = &self.body { Ok(content) } else { Err(self.not_a_file()) }
    }

    pub(super) fn content_mut(&mut self) -> FsResult<&mut Content> {
        let error = self.not_a_file();
        if let Body::File(content) = &mut self.body { Ok(content) } else { Err(error) }
    }

    fn not_a_file(&self) -> FsError {
        match self.facts.file_type {
            FileType::Dir => FsError::IsDir,
            FileType::Lnk => FsError::Symlink,
            _ => FsError::WrongType,
        }
    }

    pub(super) fn size(&self) -> u64 {
        match &self.body {
            Body::File(content) => content.size(),
            Body::Directory(_) => DIRECTORY_SIZE,
            Body::Symlink(target) => target.len() as u64,
            Body::Device(_) | Body::Rendezvous => 0,
        }
    }

    fn space_used(&self) -> u64 {
        match &self.body {
            Body::File(content) => content.allocated(),
            Body::Directory(_) => DIRECTORY_SIZE,
            Body::Symlink(_) | Body::Device(_) | Body::Rendezvous => 0,
        }
    }

    /// What the object itself is charged, the entries of a directory aside.
    pub(super) fn charge(&self) -> u64 {
        let body = match &self.body {
            Body::File(content) => content.charge(),
            Body::Symlink(target) => target.len() as u64,
            Body::Directory(_) | Body::Device(_) | Body::Rendezvous => 0,
        };
        INODE_CHARGE + body + self.xattrs.as_ref().map_or(0, |xattrs| xattrs.charge())
    }

    /// A change of metadata.
    pub(super) fn touch(&mut self, now: NfsTime) {
        self.change += 1;
        self.times.metadata = now;
    }

    /// A change of data, or of the entries of a directory.
    pub(super) fn touch_data(&mut self, now: NfsTime) {
        self.touch(now);
        self.times.modify = now;
    }

    /// A change of a file's data by `caller`: set-id bits go unless the superuser does it.
    pub(super) fn touch_data_by(&mut self, caller: &Credentials, now: NfsTime) {
        self.facts.mode = permission::mode_after_write(caller, &self.facts);
        self.touch_data(now);
    }
}

/// What a name in a directory stands for.
pub(super) type Child = Arc<Inode>;
