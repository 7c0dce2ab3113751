use super::caller::Caller;
use super::client::ClientRecord;
use super::delegation::Delegation;
use super::effects::Refused;
use super::file::{FileInner, Open, check_seqid};
use super::ids::{FileKey, StateKey};
use super::table::{Place, StateRef, StateTable};
use crate::fs::{Authority, ShareAccess};
use crate::proto::{
    ClientId, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_LOCKED, NFS4ERR_LOCKS_HELD, NFS4ERR_OPENMODE, Stateid,
    Status,
};

/// What an operation wants to do with a file's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// Read it.
    Read,
    /// Write it, which setting the size is as well (RFC 8881 section 9.1.2).
    Write,
}

impl Io {
    fn access(self) -> ShareAccess {
        match self {
            Self::Read => ShareAccess::READ,
            Self::Write => ShareAccess::WRITE,
        }
    }
}

impl StateTable {
    /// Whether a request may do I/O on a file under a stateid, and on what authority (RFC 8881 sections 8.2 and 9.1.2).
    ///
    /// A special stateid has no open behind it: the share reservations of all opens count (NFS4ERR_LOCKED), except that the
    /// READ bypass stateid reads past them. A stateid of an open, or of locks under one, must allow the access
    /// (NFS4ERR_OPENMODE), and so must that of a delegation; a READ with an open for writing alone is let through, for the clients whose caches must
    /// read to write, but by the caller's own permission. The current stateid is to be resolved before.
    pub fn check_io(
        &self,
        caller: Caller,
        user: u32,
        stateid: &Stateid,
        file: &FileKey,
        io: Io,
    ) -> Result<Authority, Refused> {
        if stateid.is_special() {
            return self.check_special_io(caller, stateid, file, io);
        }
        self.on_state(caller, stateid, Some(file), |at, inner| {
            if let Some(held) = inner.delegations.find(at.client, at.key) {
                return Ok(check_delegated_io(held, user, stateid, io)?);
            }
            let (own, open) = inner.open_behind(at.key, stateid.seqid)?;
            let principal = open.principal;
            match check_mode(inner, open, io)? {
                // Another user than the one whose permission the OPEN was checked for has its own.
                Mode::Opened if principal == Some(user) => Ok(Authority::Open),
                Mode::Opened | Mode::PassedOver => Ok(Authority::Credentials),
                Mode::Denied => {
                    let denies = |key: &StateKey, open: &Open| *key != own && open.denies(io);
                    Err(self.refuse_or_revoke(inner, caller.now, NFS4ERR_LOCKED, denies))
                }
            }
        })
    }

    fn check_special_io(
        &self,
        caller: Caller,
        stateid: &Stateid,
        file: &FileKey,
        io: Io,
    ) -> Result<Authority, Refused> {
        let bypass = *stateid == Stateid::READ_BYPASS;
        if !bypass && *stateid != Stateid::ANONYMOUS {
            return Err(NFS4ERR_BAD_STATEID.into());
        }
        let checked = self.on_file(file, |inner| {
            self.recall_for_io(caller, file, inner, io.access())?;
            // RFC 8881 section 8.2.3: in anything but READ the bypass stateid is the anonymous one.
            if (bypass && io == Io::Read) || !inner.shares.denies(io.access()) {
                return Ok(Authority::Credentials);
            }
            let denies = |_: &StateKey, open: &Open| open.denies(io);
            Err(self.refuse_or_revoke(inner, caller.now, NFS4ERR_LOCKED, denies))
        });
        checked.unwrap_or(Ok(Authority::Credentials))
    }

    /// The status that a stateid would meet in ordinary use, whatever its type and file (RFC 8881 section 18.48.3).
    pub fn test_stateid(&self, caller: Caller, stateid: &Stateid) -> Status {
        let tested: Result<(), Status> = self.on_state(caller, stateid, None, |at, inner| {
            check_seqid(inner.seqid(at).ok_or(NFS4ERR_BAD_STATEID)?, stateid.seqid)
        });
        tested.err().unwrap_or(NFS4_OK)
    }

    /// Frees a stateid that has no locks, or that was revoked (RFC 8881 section 18.38.3). An open is a lock as well: its
    /// stateid goes by CLOSE.
    pub fn free_stateid(&self, caller: Caller, stateid: &Stateid) -> Result<Freed, Status> {
        let key = self.key(caller, stateid)?;
        if self.free_revoked(caller, key) {
            return Ok(Freed::Revoked);
        }
        self.on_state(caller, stateid, None, |at, inner| {
            check_seqid(inner.seqid(at).ok_or(NFS4ERR_BAD_STATEID)?, stateid.seqid)?;
            match inner.lock_states.get(&at.key) {
                Some(lock) if lock.held == 0 => {
                    let open = inner.opens.get(&lock.open).ok_or(NFS4ERR_BAD_STATEID)?;
                    let client = open.client.clone();
                    self.take_lock_state(inner, &client, at.key);
                    Ok(Freed::LockState)
                }
                _ => Err(NFS4ERR_LOCKS_HELD),
            }
        })
    }

    /// Whether this was a revoked stateid of the caller, which is freed now.
    fn free_revoked(&self, caller: Caller, key: StateKey) -> bool {
        let shard = self.stateids.shard(&key);
        let is_revoked = |client: &ClientId, state: &StateRef| {
            state.client.id() == *client && matches!(state.place, Place::Revoked(_))
        };
        let found = shard.get(&key).zip(caller.client).filter(|(state, client)| is_revoked(client, state));
        let Some(client) = found.map(|(state, _)| state.client.clone()) else { return false };
        drop(shard);
        self.forget_revoked(&client, key);
        true
    }

    /// Forgets a stateid that was revoked.
    pub(super) fn forget_revoked(&self, client: &ClientRecord, key: StateKey) {
        self.stateids.shard(&key).remove(&key);
        client.remove_revoked(key);
    }
}

/// I/O with the stateid of a delegation, as if the file were open by it (RFC 8881 section 9.1.2).
fn check_delegated_io(held: &Delegation, user: u32, stateid: &Stateid, io: Io) -> Result<Authority, Status> {
    check_seqid(Delegation::SEQID, stateid.seqid)?;
    if !held.kind.access().contains(io.access()) {
        return Err(NFS4ERR_OPENMODE);
    }
    let was_checked = held.principal == user && held.checked.contains(io.access());
    Ok(if was_checked { Authority::Open } else { Authority::Credentials })
}

/// What [`StateTable::free_stateid`] freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freed {
    /// A lock stateid without locks.
    LockState,
    /// A stateid that was revoked: the client knows of it now.
    Revoked,
}

/// What an open's access mode says to I/O.
enum Mode {
    /// It allows it.
    Opened,
    /// It does not, and does not matter.
    PassedOver,
    /// It does not, and another open denies it.
    Denied,
}

/// The access mode check of RFC 8881 section 9.1.2.
fn check_mode(inner: &FileInner, open: &Open, io: Io) -> Result<Mode, Status> {
    if open.modes.access().contains(io.access()) {
        return Ok(Mode::Opened);
    }
    match io {
        Io::Write => Err(NFS4ERR_OPENMODE),
        // "The server MUST still check for locks that conflict with the READ": what other opens deny.
        Io::Read if inner.shares.others_deny_read(open.modes.deny()) => Ok(Mode::Denied),
        Io::Read => Ok(Mode::PassedOver),
    }
}

impl Open {
    fn denies(&self, io: Io) -> bool {
        self.modes.deny().bits() & io.access().bits() != 0
    }
}
