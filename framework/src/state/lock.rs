use std::sync::Arc;

use super::caller::Caller;
use super::client::{ClientRecord, Full};
use super::effects::{Refused, Scarce};
use super::file::{FileInner, FileState, LockState};
use super::ids::{FileKey, Seqid, StateKey};
use super::range::{ByteRange, LockKind};
use super::range_locks::{Change, HeldLock, OwnerKey};
use super::table::{Place, StateRef, StateTable};
use super::waiters::{Asker, LockNotice, Room, Wanted};
use crate::clock::Timestamp;
use crate::fs::ShareAccess;
use crate::proto::{
    NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, NFS4ERR_LOCK_RANGE, NFS4ERR_OPENMODE, NFS4ERR_SERVERFAULT,
    StateOwner, Stateid, Status,
};

/// A lock that is in the way (LOCK4denied).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockConflict {
    /// Where it is.
    pub range: ByteRange,
    /// What it is.
    pub kind: LockKind,
    /// Whose it is.
    pub owner: StateOwner,
}

/// Why a lock was not granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockError {
    /// Another owner's lock is in the way (NFS4ERR_DENIED).
    Denied(LockConflict),
    /// Anything else.
    Status(Status),
}

impl From<Status> for LockError {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// In whose name a lock is asked for (locker4).
#[derive(Debug)]
pub enum Locker<'a> {
    /// The lock-owner's first lock under an open, or one for which the client has no lock stateid.
    New {
        /// The open stateid.
        open: Stateid,
        /// The lock-owner, with the client that the session names.
        owner: &'a StateOwner,
    },
    /// Another lock of the owner whose lock stateid this is.
    Existing(Stateid),
}

/// What a lock-owner does when it is denied a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IfDenied {
    Leaves,
    Waits,
}

/// Who locks, found in the file.
#[derive(Clone, Copy)]
struct Holder {
    open: StateKey,
    owner: OwnerKey,
    /// The lock stateid, if there is one already.
    state: Option<StateKey>,
}

impl StateTable {
    /// Locks a range of bytes and returns the lock stateid. A lock of the same owner on the range, or on a part of it,
    /// becomes one of this kind. If it is denied, the owner does not come back for it (READ_LT, WRITE_LT).
    pub fn lock(
        &self,
        caller: Caller,
        file: &FileKey,
        locker: &Locker<'_>,
        range: &ByteRange,
        kind: LockKind,
    ) -> Result<Stateid, Refused<LockError>> {
        self.lock_or(IfDenied::Leaves, caller, file, locker, &Wanted { range: *range, kind })
    }

    /// As [`lock`](Self::lock), but if it is denied, the owner will ask again, and has a turn before those who come later
    /// (READW_LT, WRITEW_LT; RFC 8881 section 9.6).
    pub fn lock_or_wait(
        &self,
        caller: Caller,
        file: &FileKey,
        locker: &Locker<'_>,
        range: &ByteRange,
        kind: LockKind,
    ) -> Result<Stateid, Refused<LockError>> {
        self.lock_or(IfDenied::Waits, caller, file, locker, &Wanted { range: *range, kind })
    }

    fn lock_or(
        &self,
        if_denied: IfDenied,
        caller: Caller,
        file: &FileKey,
        locker: &Locker<'_>,
        wanted: &Wanted,
    ) -> Result<Stateid, Refused<LockError>> {
        let sent = match locker {
            Locker::New { open, .. } => open,
            Locker::Existing(state) => state,
        };
        self.on_open_or_lock(caller, sent, file, |at, inner| {
            let (file, key) = (&at.file, at.key);
            let holder = find_holder(inner, key, sent.seqid, locker)?;
            check_open_mode(inner, holder.open, wanted.kind)?;
            inner.waiters.expire(caller.now);
            if if_denied == IfDenied::Waits
                && let Some(owner) = waiting_name(inner, &holder, locker)
            {
                inner.waiters.waits_anew(&owner, wanted);
            }
            let (range, kind) = (&wanted.range, wanted.kind);
            let free = self
                .check_conflict(inner, Some(holder.owner), range, kind, caller.now)
                .and_then(|()| check_turn(inner, &holder, locker, wanted));
            match free {
                Ok(()) => {}
                Err(Refused::Because(conflict)) => {
                    self.note_denied(inner, &holder, locker, wanted, if_denied, caller.now);
                    return Err(LockError::Denied(conflict).into());
                }
                Err(refused) => return Err(refused.map(LockError::Denied)),
            }
            let granted = self.grant(caller.now, file, inner, holder, locker, wanted);
            if granted.is_ok()
                && let Some(owner) = waiting_name(inner, &holder, locker)
            {
                inner.waiters.granted(&owner, wanted);
            }
            granted.map_err(|refused| refused.map(LockError::Status))
        })
    }

    fn note_denied(
        &self,
        inner: &mut FileInner,
        holder: &Holder,
        locker: &Locker<'_>,
        wanted: &Wanted,
        if_denied: IfDenied,
        now: Timestamp,
    ) {
        match if_denied {
            IfDenied::Waits => {
                let Some(open) = inner.opens.get(&holder.open) else { return };
                let Some(owner) = name_of(inner, holder, locker) else { return };
                let asker = Asker { owner: &owner, open: holder.open, client: &open.client };
                let room =
                    Room { on_file: self.limits.waiters_per_file, of_client: self.limits.waiters_per_client };
                inner.waiters.wait(asker, *wanted, now, room);
            }
            IfDenied::Leaves => {
                if let Some(owner) = waiting_name(inner, holder, locker) {
                    inner.waiters.give_up(&owner, wanted);
                }
            }
        }
    }

    fn grant(
        &self,
        now: Timestamp,
        file: &Arc<FileState>,
        inner: &mut FileInner,
        holder: Holder,
        locker: &Locker<'_>,
        wanted: &Wanted,
    ) -> Result<Stateid, Refused> {
        let state = holder.state.unwrap_or_else(|| self.new_key());
        let lock = HeldLock { range: wanted.range, kind: wanted.kind, state };
        let change = inner.locks.plan_lock(holder.owner, lock);
        let client = inner.opens.get(&holder.open).ok_or(NFS4ERR_SERVERFAULT)?.client.clone();
        if self.is_file_full(inner, &change)
            && let Some(effects) = self.revoke_for_room(inner, now)
        {
            return Err(Refused::Revoked(effects));
        }
        self.admit_change(inner, &client, &change)?;
        if holder.state.is_none()
            && let Err(refused) = self.add_lock_state(file, inner, &client, holder, state, locker)
        {
            self.give_back(&client, change.growth());
            return Err(refused);
        }
        self.make_change(inner, &client, &change);
        Ok(self.advance(inner, state)?)
    }

    /// Whether another owner's lock stands in the way of one on this range (LOCKT). The owner need not have any state.
    pub fn test_lock(
        &self,
        now: Timestamp,
        owner: &StateOwner,
        file: &FileKey,
        range: &ByteRange,
        kind: LockKind,
    ) -> Result<(), Refused<LockConflict>> {
        let tested = self.on_file(file, |inner| {
            let owner = inner.lock_owners.key(owner);
            self.check_conflict(inner, owner, range, kind, now)
        });
        tested.unwrap_or(Ok(()))
    }

    /// Unlocks a range of bytes, whatever of it is locked, and returns the lock stateid, which stays valid.
    pub fn unlock(
        &self,
        caller: Caller,
        stateid: &Stateid,
        file: &FileKey,
        range: &ByteRange,
    ) -> Result<Stateid, Status> {
        self.on_open_or_lock(caller, stateid, file, |at, inner| {
            let lock = inner.lock_state(at.key, stateid.seqid)?;
            let change = inner.locks.plan_unlock(lock.owner, range);
            let client = inner.opens.get(&lock.open).ok_or(NFS4ERR_SERVERFAULT)?.client.clone();
            self.admit_change(inner, &client, &change).map_err(|_| NFS4ERR_LOCK_RANGE)?;
            self.make_change(inner, &client, &change);
            self.advance(inner, at.key)
        })
    }

    /// Whether a change leaves more locks on a file than there may be.
    fn is_file_full(&self, inner: &FileInner, change: &Change) -> bool {
        let growth = change.growth();
        growth > 0 && inner.locks.count().saturating_add(growth) > self.limits.locks_per_file
    }

    /// Counts in the locks that a change adds, if no limit is in the way.
    fn admit_change(&self, inner: &FileInner, client: &ClientRecord, change: &Change) -> Result<(), Refused> {
        let growth = change.growth();
        if growth == 0 {
            return Ok(());
        }
        if self.is_file_full(inner, change) {
            return Err(NFS4ERR_DELAY.into());
        }
        client.locks.take(growth, self.limits.locks_per_client).map_err(|Full| NFS4ERR_DELAY)?;
        self.locks.take(growth, self.limits.locks_total).map_err(|Full| {
            client.locks.give_back(growth);
            Refused::Full(Scarce::Locks)
        })
    }

    /// Makes a change that was admitted, and counts out the locks that it takes away.
    fn make_change(&self, inner: &mut FileInner, client: &ClientRecord, change: &Change) {
        inner.locks.apply(change);
        inner.waiters.locks_changed();
        for lock in &change.removed {
            if let Some(state) = inner.lock_states.get_mut(&lock.state) {
                state.held -= 1;
            }
        }
        for lock in &change.added {
            if let Some(state) = inner.lock_states.get_mut(&lock.state) {
                state.held += 1;
            }
        }
        self.give_back(client, change.shrinkage());
    }

    fn give_back(&self, client: &ClientRecord, locks: usize) {
        client.locks.give_back(locks);
        self.locks.give_back(locks);
    }

    /// A lock stateid for an owner that has none under this open. The first change makes its seqid 1.
    fn add_lock_state(
        &self,
        file: &Arc<FileState>,
        inner: &mut FileInner,
        client: &Arc<ClientRecord>,
        holder: Holder,
        key: StateKey,
        locker: &Locker<'_>,
    ) -> Result<(), Refused> {
        let Locker::New { owner, .. } = locker else { return Err(NFS4ERR_SERVERFAULT.into()) };
        client.lock_stateids.take(1, self.limits.lock_stateids_per_client).map_err(|Full| NFS4ERR_DELAY)?;
        self.lock_stateids.take(1, self.limits.lock_stateids_total).map_err(|Full| {
            client.lock_stateids.give_back(1);
            Refused::Full(Scarce::LockStateids)
        })?;
        self.stateids
            .shard(&key)
            .insert(key, StateRef { client: client.clone(), place: Place::File(file.clone()) });
        inner.lock_owners.add_state(holder.owner, owner);
        let state = LockState { open: holder.open, owner: holder.owner, seqid: Seqid::BEFORE_FIRST, held: 0 };
        inner.lock_states.insert(key, state);
        if let Some(open) = inner.opens.get_mut(&holder.open) {
            open.lock_states.insert(holder.owner, key);
        }
        Ok(())
    }

    /// Takes a lock stateid, and the locks that are held through it, off its open.
    pub(super) fn take_lock_state(&self, inner: &mut FileInner, client: &ClientRecord, key: StateKey) {
        let Some(state) = inner.lock_states.get(&key) else { return };
        if let Some(open) = inner.opens.get_mut(&state.open) {
            open.lock_states.remove(&state.owner);
        }
        self.remove_lock_state(inner, client, key);
    }

    /// Takes out a lock stateid with the locks that are held through it. The caller takes it off its open.
    pub(super) fn remove_lock_state(&self, inner: &mut FileInner, client: &ClientRecord, key: StateKey) {
        let Some(state) = inner.lock_states.remove(&key) else { return };
        // The owner may have very many locks through other stateids, which the search would visit.
        let released = if state.held == 0 { 0 } else { inner.locks.release(state.owner, key) };
        inner.waiters.locks_changed();
        inner.lock_owners.remove_state(state.owner);
        self.stateids.shard(&key).remove(&key);
        client.lock_stateids.give_back(1);
        self.lock_stateids.give_back(1);
        self.give_back(client, released);
    }

    fn advance(&self, inner: &mut FileInner, key: StateKey) -> Result<Stateid, Status> {
        let state = inner.lock_states.get_mut(&key).ok_or(NFS4ERR_SERVERFAULT)?;
        state.seqid = state.seqid.next();
        Ok(self.stateid(key, state.seqid))
    }
}

/// Those whose turn to lock it has become.
pub(super) fn new_turns(file: &FileKey, inner: &mut FileInner) -> Vec<LockNotice> {
    let FileInner { waiters, locks, lock_owners, .. } = inner;
    waiters.new_turns(*file, |owner, wanted| {
        locks.conflict(lock_owners.key(owner), &wanted.range, wanted.kind).is_none()
    })
}

/// Whether it is the turn of nobody who waits for a lock that this one would be in the way of.
fn check_turn(
    inner: &FileInner,
    holder: &Holder,
    locker: &Locker<'_>,
    wanted: &Wanted,
) -> Result<(), Refused<LockConflict>> {
    let Some(owner) = waiting_name(inner, holder, locker) else { return Ok(()) };
    let is_free = |owner: &StateOwner, wanted: &Wanted| {
        let owner = inner.lock_owners.key(owner);
        inner.locks.conflict(owner, &wanted.range, wanted.kind).is_none()
    };
    match inner.waiters.turn_before(&owner, wanted, is_free) {
        None => Ok(()),
        Some((owner, Wanted { range, kind })) => {
            Err(Refused::Because(LockConflict { range, kind, owner: StateOwner::clone(owner) }))
        }
    }
}

/// Who locks, by name, if anybody waits: nearly always nobody does, and the name is not needed.
fn waiting_name(inner: &FileInner, holder: &Holder, locker: &Locker<'_>) -> Option<StateOwner> {
    if inner.waiters.is_empty() { None } else { name_of(inner, holder, locker) }
}

fn name_of(inner: &FileInner, holder: &Holder, locker: &Locker<'_>) -> Option<StateOwner> {
    match locker {
        Locker::New { owner, .. } => Some(StateOwner::clone(owner)),
        Locker::Existing(_) => inner.lock_owners.owner(holder.owner).map(|owner| StateOwner::clone(owner)),
    }
}

/// The type and seqid checks of RFC 8881 section 8.2.4, and who locks.
fn find_holder(inner: &FileInner, key: StateKey, seqid: u32, locker: &Locker<'_>) -> Result<Holder, Status> {
    let Locker::New { owner, .. } = locker else {
        let lock = inner.lock_state(key, seqid)?;
        return Ok(Holder { open: lock.open, owner: lock.owner, state: Some(key) });
    };
    let open = inner.open(key, seqid)?;
    let Some(owner) = inner.lock_owners.key(owner) else {
        return Ok(Holder { open: key, owner: inner.lock_owners.unused_key(), state: None });
    };
    // RFC 8881 section 18.10.3: the client may have a lock stateid and not know it.
    Ok(Holder { open: key, owner, state: open.lock_states.get(&owner).copied() })
}

/// As POSIX has it, and RFC 8881 section 18.10.4 allows: a shared lock needs a file open for reading, an exclusive one a
/// file open for writing.
fn check_open_mode(inner: &FileInner, open: StateKey, kind: LockKind) -> Result<(), Status> {
    let needed = match kind {
        LockKind::Read => ShareAccess::READ,
        LockKind::Write => ShareAccess::WRITE,
    };
    let open = inner.opens.get(&open).ok_or(NFS4ERR_BAD_STATEID)?;
    if open.modes.access().contains(needed) { Ok(()) } else { Err(NFS4ERR_OPENMODE) }
}
