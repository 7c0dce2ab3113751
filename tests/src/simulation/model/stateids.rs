//! What a stateid stands for: the checks of RFC 8881 section 8.2.4, TEST_STATEID and FREE_STATEID.

use dittofs_framework::proto::{
    ClientId, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_DELEG_REVOKED, NFS4ERR_EXPIRED, NFS4ERR_LOCKS_HELD,
    NFS4ERR_OLD_STATEID, Stateid, Status,
};
use dittofs_framework::testing::OpReply;
use dittofs_ops::test_stateid::TestStateid;

use super::{Cx, Delegation, Expect, LockState, Model, Open, Revoked, Why, check, decoded};

/// The state behind a stateid.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found<'a> {
    Open(&'a Open),
    Lock(&'a LockState),
    Delegation(&'a Delegation),
}

impl Found<'_> {
    pub(super) fn seqid(&self) -> u32 {
        match self {
            Self::Open(open) => open.seqid,
            Self::Lock(lock) => lock.seqid,
            // It never changes.
            Self::Delegation(_) => 1,
        }
    }
}

pub(super) fn check_seqid(current: u32, sent: u32) -> Result<(), Status> {
    match sent {
        0 => Ok(()),
        _ if sent == current => Ok(()),
        _ if sent < current => Err(NFS4ERR_OLD_STATEID),
        _ => Err(NFS4ERR_BAD_STATEID),
    }
}

impl Cx {
    /// RFC 8881 section 16.2.3.1.2: the current stateid, as the most recent one.
    pub(super) fn resolve(&self, stateid: Stateid) -> Stateid {
        match self.stateid {
            Some(current) if stateid == Stateid::CURRENT && !current.is_special() => {
                Stateid { seqid: 0, ..current }
            }
            _ => stateid,
        }
    }

    /// The same for CLOSE and OPEN_DOWNGRADE, which take it as it is.
    pub(super) fn resolve_exact(&self, stateid: Stateid) -> Stateid {
        self.stateid.filter(|_| stateid == Stateid::CURRENT).unwrap_or(stateid)
    }
}

impl Model {
    /// The state of a client with this "other".
    pub(super) fn state(&self, client: ClientId, other: [u8; 12]) -> Result<Found<'_>, Status> {
        self.check_revoked(client, other)?;
        let open = self.opens.iter().find(|open| open.other == other && open.client == client);
        let lock = self.lock_states.iter().find(|lock| lock.other == other && lock.client == client);
        let held = self.delegations.iter().find(|held| held.other == other && held.client == client);
        let found = open.map(Found::Open).or(lock.map(Found::Lock)).or(held.map(Found::Delegation));
        found.ok_or(NFS4ERR_BAD_STATEID)
    }

    /// The state of a client behind a stateid of any type, on any file.
    fn find(&self, client: ClientId, stateid: Stateid) -> Result<Found<'_>, Status> {
        let found = self.state(client, stateid.other)?;
        check_seqid(found.seqid(), stateid.seqid)?;
        Ok(found)
    }

    pub(super) fn check_revoked(&self, client: ClientId, other: [u8; 12]) -> Result<(), Status> {
        let is_it = |revoked: &&Revoked| revoked.other == other && revoked.client == client;
        match self.revoked.iter().find(is_it).map(|revoked| revoked.why) {
            Some(Why::LeaseExpired) => Err(NFS4ERR_EXPIRED),
            Some(Why::NotReturned) => Err(NFS4ERR_DELEG_REVOKED),
            None => Ok(()),
        }
    }

    /// The same for operations on opens and locks: to them a delegation is nothing, whether it was revoked or not.
    fn check_lost(&self, client: ClientId, other: [u8; 12]) -> Result<(), Status> {
        let lost = self.check_revoked(client, other);
        lost.map_err(|status| if status == NFS4ERR_DELEG_REVOKED { NFS4ERR_BAD_STATEID } else { status })
    }

    /// The open with a stateid, on the current file.
    pub(crate) fn find_open(&self, cx: &Cx, stateid: Stateid) -> Result<&Open, Status> {
        let is_it = |open: &&Open| {
            open.other == stateid.other && open.client == cx.clientid() && Some(open.file) == cx.file()
        };
        self.check_lost(cx.clientid(), stateid.other)?;
        let open = self.opens.iter().find(is_it).ok_or(NFS4ERR_BAD_STATEID)?;
        check_seqid(open.seqid, stateid.seqid)?;
        Ok(open)
    }

    /// The lock state with a stateid, on the current file.
    pub(crate) fn find_lock(&self, cx: &Cx, stateid: Stateid) -> Result<&LockState, Status> {
        let is_it = |lock: &&LockState| {
            lock.other == stateid.other && lock.client == cx.clientid() && Some(lock.file) == cx.file()
        };
        self.check_lost(cx.clientid(), stateid.other)?;
        let lock = self.lock_states.iter().find(is_it).ok_or(NFS4ERR_BAD_STATEID)?;
        check_seqid(lock.seqid, stateid.seqid)?;
        Ok(lock)
    }

    /// RFC 8881 section 18.48.3.
    pub(super) fn test_stateid(&self, cx: &Cx, stateids: &[Stateid], result: &OpReply) {
        check(&Expect::only(NFS4_OK), result);
        let answers = decoded::<TestStateid>(result).tsr_status_codes;
        let expected =
            stateids.iter().map(|stateid| self.find(cx.clientid(), *stateid).err().unwrap_or(NFS4_OK));
        assert_eq!(answers, expected.collect::<Vec<_>>(), "TEST_STATEID of {stateids:?}");
    }

    /// RFC 8881 section 18.38.3.
    pub(super) fn free_stateid(&mut self, cx: &Cx, stateid: Stateid, result: &OpReply) {
        let stateid = cx.resolve(stateid);
        let wrong = match self.find(cx.clientid(), stateid) {
            // The client has learned of it.
            Err(NFS4ERR_EXPIRED | NFS4ERR_DELEG_REVOKED) => Vec::new(),
            Err(status) => vec![status],
            Ok(Found::Open(_) | Found::Delegation(_)) => vec![NFS4ERR_LOCKS_HELD],
            Ok(Found::Lock(lock)) if self.held.iter().any(|held| held.state == lock.other) => {
                vec![NFS4ERR_LOCKS_HELD]
            }
            Ok(Found::Lock(_)) => Vec::new(),
        };
        check(&Expect::unless(wrong), result);
        if result.status.is_ok() {
            self.lock_states.retain(|lock| lock.other != stateid.other);
            self.revoked.retain(|revoked| revoked.other != stateid.other);
        }
    }

    /// Notes the stateid of a new state.
    pub(super) fn note_new(&mut self, stateid: Stateid) {
        assert_eq!(stateid.seqid, 1, "the seqid of a new state");
        assert!(!stateid.is_special(), "a special stateid");
        assert!(!self.others.contains(&stateid.other), "{stateid:?} was given out before");
        self.others.push(stateid.other);
        self.epoch.copy_from_slice(&stateid.other[..4]);
    }
}
