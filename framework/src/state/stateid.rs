use super::file::{FileInner, Open, check_seqid};
use super::ids::FileKey;
use super::table::StateTable;
use crate::fs::{Authority, RequestContext, ShareAccess};
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
    /// (NFS4ERR_OPENMODE); a READ with an open for writing alone is let through, for the clients whose caches must
    /// read to write, but by the caller's own permission. The current stateid is to be resolved before.
    pub fn check_io(
        &self,
        cx: &RequestContext,
        stateid: &Stateid,
        file: &FileKey,
        io: Io,
    ) -> Result<Authority, Status> {
        if stateid.is_special() {
            return self.check_special_io(stateid, file, io);
        }
        let client = cx.client.ok_or(NFS4ERR_BAD_STATEID)?;
        self.on_state(client, stateid, Some(file), |_, inner, key| {
            let open = inner.open_behind(key, stateid.seqid)?;
            check_mode(inner, open, io).map(|authority| match authority {
                Authority::Open if open.principal == Some(cx.credentials.uid) => Authority::Open,
                // Another user than the one whose permission the OPEN was checked for.
                _ => Authority::Credentials,
            })
        })
    }

    fn check_special_io(&self, stateid: &Stateid, file: &FileKey, io: Io) -> Result<Authority, Status> {
        let bypass = *stateid == Stateid::READ_BYPASS;
        if !bypass && *stateid != Stateid::ANONYMOUS {
            return Err(NFS4ERR_BAD_STATEID);
        }
        // RFC 8881 section 8.2.3: in anything but READ the bypass stateid is the anonymous one.
        let denied = (!bypass || io == Io::Write)
            && self.on_file(file, |inner| inner.shares.denies(io.access())).unwrap_or(false);
        if denied { Err(NFS4ERR_LOCKED) } else { Ok(Authority::Credentials) }
    }

    /// The status that a stateid would meet in ordinary use, whatever its type and file (RFC 8881 section 18.48.3).
    pub fn test_stateid(&self, client: ClientId, stateid: &Stateid) -> Status {
        let tested = self.on_state(client, stateid, None, |_, inner, key| {
            check_seqid(inner.seqid(key).ok_or(NFS4ERR_BAD_STATEID)?, stateid.seqid)
        });
        tested.err().unwrap_or(NFS4_OK)
    }

    /// Frees a stateid that has no locks (RFC 8881 section 18.38.3). An open is a lock as well: its stateid goes by CLOSE.
    pub fn free_stateid(&self, client: ClientId, stateid: &Stateid) -> Result<(), Status> {
        self.on_state(client, stateid, None, |_, inner, key| {
            check_seqid(inner.seqid(key).ok_or(NFS4ERR_BAD_STATEID)?, stateid.seqid)?;
            match inner.lock_states.get(&key) {
                Some(lock) if lock.held == 0 => {
                    let open = inner.opens.get_mut(&lock.open).ok_or(NFS4ERR_BAD_STATEID)?;
                    open.lock_states.retain(|state| *state != key);
                    let client = open.client.clone();
                    self.remove_lock_state(inner, &client, key);
                    Ok(())
                }
                _ => Err(NFS4ERR_LOCKS_HELD),
            }
        })
    }
}

/// The access mode check of RFC 8881 section 9.1.2.
fn check_mode(inner: &FileInner, open: &Open, io: Io) -> Result<Authority, Status> {
    if open.modes.access().contains(io.access()) {
        return Ok(Authority::Open);
    }
    match io {
        Io::Write => Err(NFS4ERR_OPENMODE),
        // "The server MUST still check for locks that conflict with the READ": what other opens deny.
        Io::Read if inner.shares.others_deny_read(open.modes.deny()) => Err(NFS4ERR_LOCKED),
        Io::Read => Ok(Authority::Credentials),
    }
}
