use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use dittofs_framework::fs::{Attributes, Credentials, FsError, FsResult};
use dittofs_framework::proto::{FileType, NfsTime, SpecData};
use dittofs_framework::storage::{DirectoryRecord, Entry, Ino, InodeRecord, RecordBody, RecordTimes, Xattr};
use parking_lot::RwLock;

use super::journal::Seq;
use super::lock::{ReadState, WriteState};
use super::pending::Pending;
use crate::clock::{from_nanos, to_nanos};
use crate::rules::attributes::notes_access;
use crate::rules::limits::DIRECTORY_SIZE;
use crate::rules::permission::{self, Facts};

/// No access since the access time in the record was set.
const NOT_ACCESSED: i64 = i64::MIN;

/// An object of the file system, as it is in memory.
pub(super) struct Inode {
    pub(super) ino: Ino,
    pub(super) file_type: FileType,
    /// Nanoseconds of an access later than the record's: readers hold the lock for reading only.
    accessed: AtomicI64,
    /// Used since the cache last seen.
    pub(super) used: AtomicBool,
    pub(super) state: RwLock<State>,
    /// Held for reading by whoever writes to the contents, and for writing by whoever cuts, punches, clones into or removes them. It is
    /// taken before `state`.
    pub(super) contents: tokio::sync::RwLock<()>,
}

/// Whether an object still is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Alive,
    /// Without name and without open: its handle is stale, and its contents and its record are being removed.
    Leaving,
    /// Its record is removed, too.
    Gone,
}

/// How much of a record in memory no transaction has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unsaved {
    Nothing,
    /// A write that need not be durable yet: contents, size and times.
    Written,
}

/// What can change in an object; the inode's lock guards all of it.
pub(super) struct State {
    pub(super) life: Life,
    pub(super) record: InodeRecord,
    pub(super) opens: u32,
    pub(super) unsaved: Unsaved,
    /// Up to where contents are durable that the record may speak of: of what was written later nobody knows yet.
    pub(super) durable_size: u64,
    /// The last transaction with a record of what was written.
    pub(super) written_in: Seq,
    /// Whether clients were told that contents were lost, and no flush has succeeded since.
    pub(super) loss_told: bool,
    /// Whether the contents are known to be no longer than the record's size.
    pub(super) is_cut: bool,
    /// Whether there may be contents.
    pub(super) has_contents: bool,
    /// The last transaction that changes the object.
    pub(super) seq: Seq,
    /// Grows when something of `names` or `xattrs` went into the store, or was lost.
    pub(super) epoch: u64,
    pub(super) names: Pending<Entry>,
    pub(super) xattrs: Pending<Xattr>,
}

impl State {
    /// Of an object that was found in the store.
    pub(super) fn loaded(record: InodeRecord) -> Self {
        let is_file = record.file_type == FileType::Reg;
        Self {
            life: Life::Alive,
            opens: 0,
            unsaved: Unsaved::Nothing,
            durable_size: record.size,
            written_in: Seq::default(),
            loss_told: false,
            record,
            is_cut: !is_file,
            has_contents: is_file,
            seq: Seq::default(),
            epoch: 0,
            names: Pending::default(),
            xattrs: Pending::default(),
        }
    }

    /// Of an object that is made.
    pub(super) fn made(record: InodeRecord) -> Self {
        Self { is_cut: true, has_contents: false, ..Self::loaded(record) }
    }

    #[inline]
    pub(super) fn alive(&self) -> FsResult<()> {
        if self.life == Life::Alive { Ok(()) } else { Err(FsError::Stale) }
    }

    /// Takes on what the store has, after changes of the record were lost. What was written since is kept: it is in the contents.
    /// `durable` is the last transaction that is in the store.
    pub(super) fn restore(&mut self, record: InodeRecord, durable: Seq) {
        let is_file = record.file_type == FileType::Reg;
        let written = std::mem::replace(&mut self.record, record);
        self.durable_size = self.record.size;
        self.is_cut = !is_file;
        self.has_contents = is_file;
        if self.unsaved == Unsaved::Written || self.written_in > durable {
            self.unsaved = Unsaved::Written;
            self.record.size = written.size;
            self.record.times.modify = written.times.modify;
            self.record.times.metadata = written.times.metadata;
        }
        // No value of the change attribute comes twice.
        self.record.change = self.record.change.max(written.change) + 1;
        // What was being removed goes on to be.
        let is_leaving = self.record.nlink == 0 && self.opens == 0;
        self.life = if is_leaving { Life::Leaving } else { Life::Alive };
    }

    /// Makes the object one that is gone if it has neither name nor open. Whoever is told so has to see to its removal.
    pub(super) fn claim_unused(&mut self) -> bool {
        let is_unused = self.life == Life::Alive && self.opens == 0 && self.record.nlink == 0;
        if is_unused {
            self.life = Life::Leaving;
        }
        is_unused
    }

    /// What permission depends on.
    #[inline]
    pub(super) fn facts(&self) -> Facts {
        let InodeRecord { file_type, mode, uid, gid, .. } = self.record;
        Facts { file_type, mode, uid, gid }
    }

    pub(super) fn directory(&self) -> FsResult<&DirectoryRecord> {
        if let RecordBody::Directory(directory) = &self.record.body {
            Ok(directory)
        } else {
            Err(FsError::NotDir)
        }
    }

    pub(super) fn directory_mut(&mut self) -> FsResult<&mut DirectoryRecord> {
        if let RecordBody::Directory(directory) = &mut self.record.body {
            Ok(directory)
        } else {
            Err(FsError::NotDir)
        }
    }

    /// Whether it is a directory with entries.
    pub(super) fn is_occupied(&self) -> bool {
        self.directory().is_ok_and(|directory| directory.entries > 0)
    }

    /// Whether there are contents to read or write.
    #[inline]
    pub(super) fn check_file(&self) -> FsResult<()> {
        match self.record.file_type {
            FileType::Reg => Ok(()),
            FileType::Dir => Err(FsError::IsDir),
            FileType::Lnk => Err(FsError::Symlink),
            _ => Err(FsError::WrongType),
        }
    }

    /// A change of metadata.
    pub(super) fn touch(&mut self, now: NfsTime, floor: u64) {
        self.change(floor);
        self.record.times.metadata = now;
    }

    /// The next value of the change attribute.
    pub(super) fn change(&mut self, floor: u64) {
        self.record.change = (self.record.change + 1).max(floor);
    }

    /// A change of data, or of the entries of a directory.
    pub(super) fn touch_data(&mut self, now: NfsTime, floor: u64) {
        self.touch(now, floor);
        self.record.times.modify = now;
    }

    /// A change of a file's data by `caller`: set-id bits go unless the superuser does it. Returns whether there were any.
    pub(super) fn touch_data_by(&mut self, caller: &Credentials, now: NfsTime, floor: u64) -> bool {
        let mode = permission::mode_after_write(caller, &self.facts());
        let had_set_ids = mode != self.record.mode;
        self.record.mode = mode;
        self.touch_data(now, floor);
        had_set_ids
    }
}

impl Inode {
    pub(super) fn new(ino: Ino, state: State) -> Self {
        Self {
            ino,
            file_type: state.record.file_type,
            accessed: AtomicI64::new(NOT_ACCESSED),
            used: AtomicBool::new(true),
            state: RwLock::new(state),
            contents: tokio::sync::RwLock::const_new(()),
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

    /// The state, to look at; `Stale` when the object is gone.
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
        let access = self.time_access(state);
        attributes_of(self.ino, &state.record, &RecordTimes { access, ..state.record.times })
    }

    /// The last access.
    pub(super) fn time_access(&self, state: &State) -> NfsTime {
        match self.accessed.load(Ordering::Relaxed) {
            NOT_ACCESSED => state.record.times.access,
            nanos => from_nanos(nanos),
        }
    }

    /// Notes that the object was read, by the rule of `relatime`.
    pub(super) fn note_access(&self, state: &State, now: impl FnOnce() -> NfsTime) {
        let RecordTimes { modify, metadata, .. } = state.record.times;
        let now = now();
        if notes_access(self.time_access(state), modify, metadata, now) {
            self.accessed.store(to_nanos(now), Ordering::Relaxed);
        }
    }

    /// Whether there is an access that the record does not know of.
    pub(super) fn was_accessed(&self) -> bool {
        self.accessed.load(Ordering::Relaxed) != NOT_ACCESSED
    }

    /// Puts the last access into the record; the caller holds the state for a change.
    pub(super) fn take_access(&self, state: &mut State) {
        state.record.times.access = self.time_access(state);
        self.accessed.store(NOT_ACCESSED, Ordering::Relaxed);
    }
}

/// Attributes, from a record.
pub(super) fn attributes_of(ino: Ino, record: &InodeRecord, times: &RecordTimes) -> Attributes {
    let (size, space_used) = match &record.body {
        RecordBody::Directory(_) => (DIRECTORY_SIZE, DIRECTORY_SIZE),
        RecordBody::Symlink(target) => (target.len() as u64, 0),
        RecordBody::Device(_) | RecordBody::Empty => (record.size, record.allocated),
    };
    Attributes {
        file_type: record.file_type,
        mode: record.mode,
        nlink: record.nlink,
        uid: record.uid,
        gid: record.gid,
        size,
        space_used,
        rawdev: match record.body {
            RecordBody::Device(device) => device,
            _ => SpecData::default(),
        },
        fileid: ino.0,
        change: record.change,
        time_access: times.access,
        time_modify: times.modify,
        time_metadata: times.metadata,
        time_create: Some(times.create),
    }
}
