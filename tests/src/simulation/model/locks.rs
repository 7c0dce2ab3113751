//! Byte-range locks: who holds which cell of which file.

use dittofs_framework::proto::{
    ClientId, NFS4_OK, NFS4ERR_DELAY, NFS4ERR_DENIED, NFS4ERR_GRACE, NFS4ERR_LOCK_RANGE, NFS4ERR_OPENMODE,
    NFS4ERR_RECLAIM_CONFLICT, Stateid, Status,
};
use dittofs_framework::testing::OpReply;
use dittofs_framework::xdr::decode_all;
use dittofs_ops::lock::{Lock as LockOp, Lock4Denied, NfsLockType4};
use dittofs_ops::locku::Locku;

use super::revocation::InTheWay;
use super::{Cx, Expect, Model, check, decoded};
use crate::simulation::range::{CELLS, CellRange};
use crate::simulation::request::{FileNo, Kind, Locker, OwnerNo, Right, state_owner};

/// A lock stateid.
#[derive(Debug, Clone)]
pub(crate) struct LockState {
    pub(crate) other: [u8; 12],
    pub(crate) seqid: u32,
    pub(crate) client: ClientId,
    pub(crate) file: FileNo,
    pub(crate) owner: OwnerNo,
    /// The open that it is under.
    pub(crate) open: [u8; 12],
}

/// A cell that is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) file: FileNo,
    pub(crate) cell: usize,
    pub(crate) client: ClientId,
    pub(crate) owner: OwnerNo,
    pub(crate) kind: Kind,
    pub(crate) state: [u8; 12],
}

/// In whose name LOCK is to lock.
struct Holder {
    open: [u8; 12],
    owner: OwnerNo,
    state: Option<[u8; 12]>,
}

/// Which limit there is no room in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exceeds {
    Nothing,
    /// That of the file.
    File,
    /// That of the client.
    Own,
    /// That of the locks of all.
    Locks,
    /// That of the lock stateids of all.
    LockStateids,
}

impl Model {
    pub(super) fn lock(
        &mut self,
        cx: &mut Cx,
        (locker, right): (Locker, Right),
        kind: Kind,
        range: CellRange,
        result: &OpReply,
    ) {
        let refused = self.check_claim(cx, right);
        if refused.is_none() {
            self.asked_for_state(cx.clientid());
        }
        let holder = self.holder(cx, locker);
        let mut wrong = match (&holder, refused) {
            (holder, Some(refused)) => holder.as_ref().err().copied().into_iter().chain([refused]).collect(),
            (Err(status), None) => vec![*status],
            (Ok(holder), None) => self.wrong_with_lock(cx, holder, kind, range),
        };
        for status in wrong.iter_mut().filter(|status| **status == NFS4ERR_DENIED && right == Right::Reclaim)
        {
            *status = NFS4ERR_RECLAIM_CONFLICT;
        }
        if !wrong.is_empty() {
            wrong.extend(cx.file().and_then(|file| self.stale(file)));
        }
        check(&Expect::unless(wrong), result);
        if result.status == NFS4ERR_DENIED {
            let owner = holder.as_ref().map(|holder| holder.owner);
            self.check_denied(cx, owner.expect("a holder"), kind, range, result);
        }
        let Ok(holder) = holder else { return };
        if result.status.is_ok() {
            self.locked(cx, &holder, kind, range, decoded::<LockOp>(result));
        }
    }

    fn holder(&self, cx: &Cx, locker: Locker) -> Result<Holder, Status> {
        match locker {
            Locker::Open(stateid, owner) => {
                let open = self.find_open(cx, cx.resolve(stateid))?.other;
                let known = self.lock_states.iter().find(|lock| lock.open == open && lock.owner == owner);
                Ok(Holder { open, owner, state: known.map(|lock| lock.other) })
            }
            Locker::Existing(stateid) => {
                let lock = self.find_lock(cx, cx.resolve(stateid))?;
                Ok(Holder { open: lock.open, owner: lock.owner, state: Some(lock.other) })
            }
        }
    }

    fn wrong_with_lock(&mut self, cx: &Cx, holder: &Holder, kind: Kind, range: CellRange) -> Vec<Status> {
        let client = cx.clientid();
        let file = cx.file().expect("a file");
        let needed = if kind == Kind::Read { crate::READ } else { crate::WRITE };
        let open = self.opens.iter().find(|open| open.other == holder.open).expect("an open");
        if open.access() & needed == 0 {
            return vec![NFS4ERR_OPENMODE];
        }
        if self.meet_locks(cx, holder.owner, kind, range) == InTheWay::Refused {
            return vec![NFS4ERR_DENIED];
        }
        // The number of a new state does not matter for the count of locks.
        let state = holder.state.unwrap_or([0; 12]);
        loop {
            let after = self.with_lock(file, client, holder.owner, kind, range, state);
            let exceeds = match self.exceeds(&after, file, client) {
                Exceeds::Nothing if holder.state.is_none() => self.lacks_lock_state(client),
                exceeds => exceeds,
            };
            match exceeds {
                Exceeds::Nothing => return Vec::new(),
                Exceeds::File if self.revoke_on_file(cx.now, file) => {}
                Exceeds::Locks if self.evict(cx.now, Self::has_locks) => {}
                Exceeds::LockStateids if self.evict(cx.now, Self::has_lock_states) => {}
                _ => return vec![NFS4ERR_DELAY],
            }
        }
    }

    fn has_locks(&self, client: ClientId) -> bool {
        self.held.iter().any(|held| held.client == client)
    }

    fn has_lock_states(&self, client: ClientId) -> bool {
        self.lock_states.iter().any(|lock| lock.client == client)
    }

    /// Whether there is no room for one more lock stateid.
    fn lacks_lock_state(&self, client: ClientId) -> Exceeds {
        let limits = &self.limits.state;
        let own = self.lock_states.iter().filter(|lock| lock.client == client).count();
        if own >= limits.lock_stateids_per_client {
            Exceeds::Own
        } else if self.lock_states.len() >= limits.lock_stateids_total {
            Exceeds::LockStateids
        } else {
            Exceeds::Nothing
        }
    }

    /// The request meets the locks of others: if all are of clients without a lease, they are revoked.
    fn meet_locks(&mut self, cx: &Cx, owner: OwnerNo, kind: Kind, range: CellRange) -> InTheWay {
        let met: Vec<_> =
            self.conflicts(cx.file().expect("a file"), cx.clientid(), owner, kind, range).copied().collect();
        if met.iter().any(|held| self.has_lease(held.client, cx.now)) {
            return InTheWay::Refused;
        }
        for held in met {
            self.revoke_lock(held.client, held.state);
        }
        InTheWay::Nothing
    }

    /// Makes room on a file: of the clients without a lease, the one that was silent for longest loses its locks there.
    fn revoke_on_file(&mut self, now: u64, file: FileNo) -> bool {
        let on_file =
            |client: ClientId| self.held.iter().any(|held| (held.file, held.client) == (file, client));
        let silent = self.records.iter().filter(|record| self.is_expired(record, now) && on_file(record.id));
        let Some(silent) = silent.min_by_key(|record| record.renewed).map(|record| record.id) else {
            return false;
        };
        let held = self.held.iter().filter(|held| (held.file, held.client) == (file, silent));
        for state in held.map(|held| held.state).collect::<Vec<_>>() {
            self.revoke_lock(silent, state);
        }
        true
    }

    /// What is held after a lock, or an unlock if there is no kind.
    fn with_lock(
        &self,
        file: FileNo,
        client: ClientId,
        owner: OwnerNo,
        kind: Kind,
        range: CellRange,
        state: [u8; 12],
    ) -> Vec<Held> {
        let mut after = self.without(file, client, owner, range);
        after.extend(range.cells().map(|cell| Held { file, cell, client, owner, kind, state }));
        after
    }

    fn without(&self, file: FileNo, client: ClientId, owner: OwnerNo, range: CellRange) -> Vec<Held> {
        let is_there = |held: &&Held| {
            (held.file, held.client, held.owner) == (file, client, owner) && range.contains(held.cell)
        };
        self.held.iter().filter(|held| !is_there(held)).copied().collect()
    }

    /// Whether there would be more locks than now, and more than a limit.
    fn exceeds(&self, after: &[Held], file: FileNo, client: ClientId) -> Exceeds {
        let limits = &self.limits.state;
        let in_all = count(after, |_| true);
        if in_all <= count(&self.held, |_| true) {
            return Exceeds::Nothing;
        }
        if count(after, |held| held.file == file) > limits.locks_per_file {
            return Exceeds::File;
        }
        if count(after, |held| held.client == client) > limits.locks_per_client {
            return Exceeds::Own;
        }
        if in_all > limits.locks_total { Exceeds::Locks } else { Exceeds::Nothing }
    }

    fn conflicts(
        &self,
        file: FileNo,
        client: ClientId,
        owner: OwnerNo,
        kind: Kind,
        range: CellRange,
    ) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(move |held| {
            held.file == file
                && (held.client, held.owner) != (client, owner)
                && range.contains(held.cell)
                && held.kind.conflicts(kind)
        })
    }

    fn locked(&mut self, cx: &mut Cx, holder: &Holder, kind: Kind, range: CellRange, stateid: Stateid) {
        let (client, file) = (cx.clientid(), cx.file().expect("a file"));
        if let Some(other) = holder.state {
            let lock = self.lock_states.iter_mut().find(|lock| lock.other == other).expect("a lock state");
            lock.seqid += 1;
            assert_eq!(stateid, Stateid { seqid: lock.seqid, other }, "the stateid of LOCK");
        } else {
            self.note_new(stateid);
            let (owner, open) = (holder.owner, holder.open);
            self.lock_states.push(LockState { other: stateid.other, seqid: 1, client, file, owner, open });
        }
        self.held = self.with_lock(file, client, holder.owner, kind, range, stateid.other);
        cx.stateid = Some(stateid);
    }

    pub(super) fn unlock(&mut self, cx: &mut Cx, stateid: Stateid, range: CellRange, result: &OpReply) {
        let file = cx.file().expect("a file");
        let found = self.find_lock(cx, cx.resolve(stateid)).map(|lock| (lock.other, lock.owner));
        let (wrong, after) = match found {
            Err(status) => (std::iter::once(status).chain(self.stale(file)).collect(), Vec::new()),
            Ok((_, owner)) => {
                let after = self.without(file, cx.clientid(), owner, range);
                let splits = self.exceeds(&after, file, cx.clientid()) != Exceeds::Nothing;
                (if splits { vec![NFS4ERR_LOCK_RANGE] } else { Vec::new() }, after)
            }
        };
        check(&Expect::unless(wrong), result);
        if let (true, Ok((other, _))) = (result.status.is_ok(), found) {
            self.held = after;
            let lock = self.lock_states.iter_mut().find(|lock| lock.other == other).expect("a lock state");
            lock.seqid += 1;
            let answer = decoded::<Locku>(result);
            assert_eq!(answer, Stateid { seqid: lock.seqid, other }, "the stateid of LOCKU");
            cx.stateid = Some(answer);
        }
    }

    pub(super) fn lock_test(
        &mut self,
        cx: &Cx,
        owner: OwnerNo,
        kind: Kind,
        range: CellRange,
        result: &OpReply,
    ) {
        let file = cx.file().expect("a file");
        let expect = match self.stale(file) {
            Some(stale) => Expect::only(stale),
            None if self.is_in_grace() => Expect::only(NFS4ERR_GRACE),
            None => match self.meet_locks(cx, owner, kind, range) {
                InTheWay::Refused => Expect::only(NFS4ERR_DENIED),
                InTheWay::Nothing => Expect::only(NFS4_OK),
            },
        };
        check(&expect, result);
        if result.status == NFS4ERR_DENIED {
            self.check_denied(cx, owner, kind, range, result);
        }
    }

    /// The lock that LOCK4denied names must be there, all of it, and in the way.
    fn check_denied(&self, cx: &Cx, owner: OwnerNo, kind: Kind, range: CellRange, result: &OpReply) {
        let denied: Lock4Denied = decode_all(&result.body).expect("LOCK4denied");
        let file = cx.file().expect("a file");
        let is_named = |held: &Held| {
            let locktype = if held.kind == Kind::Read { NfsLockType4::ReadLt } else { NfsLockType4::WriteLt };
            let name = state_owner(held.owner).owner;
            let (offset, length) = self.run_of(held).on_the_wire();
            (denied.owner.clientid, &denied.owner.owner, denied.locktype) == (held.client, &name, locktype)
                && (denied.offset, denied.length) == (offset, length)
        };
        let mut in_the_way = self.conflicts(file, cx.clientid(), owner, kind, range);
        assert!(in_the_way.any(is_named), "{denied:?} is not in the way");
    }

    /// The whole lock that a cell is part of.
    fn run_of(&self, held: &Held) -> CellRange {
        let is_same = |cell: usize| self.held.contains(&Held { cell, ..*held });
        let first = (0..=held.cell).rev().take_while(|cell| is_same(*cell)).last().unwrap_or(held.cell);
        let last = (held.cell..CELLS).take_while(|cell| is_same(*cell)).last().unwrap_or(held.cell);
        CellRange { first, last }
    }
}

/// How many locks there are: cells without a like one in front of them.
fn count(held: &[Held], is_meant: impl Fn(&Held) -> bool) -> usize {
    let begins = |lock: &&Held| lock.cell == 0 || !held.contains(&Held { cell: lock.cell - 1, ..**lock });
    held.iter().filter(|lock| is_meant(lock)).filter(begins).count()
}
