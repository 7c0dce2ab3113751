//! Minor version 0: the sequences of owners (RFC 7530 sections 9.1.5 to 9.1.11).

use bytes::Bytes;
use dittofs_framework::proto::{
    ClientId, NFS4ERR_BAD_SEQID, NFS4ERR_BAD_STATEID, NFS4ERR_BADXDR, NFS4ERR_EXPIRED, NFS4ERR_MOVED,
    NFS4ERR_NOFILEHANDLE, NFS4ERR_RESOURCE, NFS4ERR_STALE_CLIENTID, NFS4ERR_STALE_STATEID, OpNum, Stateid,
    Status,
};
use dittofs_framework::testing::OpReply;
use dittofs_framework::xdr::decode_all;
use dittofs_ops::open::Open as OpenOp;

use super::{Cx, Expect, Fh, Model, check, decoded};
use crate::simulation::request::{Claim, Locker, Op, OwnerNo, V40};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Lock,
}

/// Which owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) client: ClientId,
    pub(super) kind: Kind,
    pub(super) owner: OwnerNo,
}

/// An open-owner or lock-owner, and the last request that used up its seqid.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(super) name: Name,
    last: Option<Last>,
    pub(super) is_confirmed: bool,
    pub(super) stateids: Vec<[u8; 12]>,
    closed: Option<[u8; 12]>,
    used: u64,
}

#[derive(Debug, Clone)]
struct Last {
    seqid: u32,
    opnum: OpNum,
    status: Status,
    body: Bytes,
    fh: Option<Fh>,
}

/// What becomes of a request that bears a seqid.
enum Turn {
    Runs,
    /// It is answered as before.
    Replay(Last),
    Refused(Status),
}

/// RFC 7530 section 9.1.7.
pub(crate) fn advances(status: Status) -> bool {
    ![
        NFS4ERR_STALE_CLIENTID,
        NFS4ERR_STALE_STATEID,
        NFS4ERR_BAD_STATEID,
        NFS4ERR_BAD_SEQID,
        NFS4ERR_BADXDR,
        NFS4ERR_RESOURCE,
        NFS4ERR_NOFILEHANDLE,
        NFS4ERR_MOVED,
    ]
    .contains(&status)
}

/// The stateid that an operation with a seqid names.
pub(super) fn stateid_of(op: &Op) -> Stateid {
    match op {
        Op::OpenConfirm(stateid)
        | Op::Close(stateid)
        | Op::Downgrade { stateid, .. }
        | Op::Unlock { stateid, .. }
        | Op::Lock { locker: Locker::Open(stateid, _) | Locker::Existing(stateid), .. } => *stateid,
        _ => panic!("{op:?} bears no seqid"),
    }
}

impl Model {
    /// An operation with a seqid: answered again, refused, or carried out.
    pub(super) fn sequenced(&mut self, cx: &mut Cx, v40: &V40, op: &Op, result: &OpReply) {
        let stateid = match op {
            Op::Open { owner, .. } => {
                if let Err(status) = self.client_of(cx, v40.clientid) {
                    return check(&Expect::only(status), result);
                }
                let name = Name { client: v40.clientid, kind: Kind::Open, owner: *owner };
                return self.take_turns(cx, v40, op, name, result);
            }
            _ => stateid_of(op),
        };
        let is_lock = matches!(op, Op::Lock { locker: Locker::Existing(_), .. } | Op::Unlock { .. });
        let kind = if is_lock { Kind::Lock } else { Kind::Open };
        let holder = self.owners.iter().find(|owner| {
            owner.name.kind == kind
                && (owner.stateids.contains(&stateid.other) || owner.closed == Some(stateid.other))
        });
        if let Some(name) = holder.map(|owner| owner.name) {
            return self.take_turns(cx, v40, op, name, result);
        }
        // Nobody has it: nothing comes of it.
        let found = self.use_stateid(cx, stateid);
        let mut wrong = found.err().unwrap_or_else(|| vec![NFS4ERR_BAD_STATEID]);
        wrong.extend(cx.file().and_then(|file| self.stale(file)));
        if let Op::Lock { locker: Locker::Open(..), .. } = op {
            // The lock-owner that it names renews the lease all the same.
            wrong.extend(self.client_of(cx, v40.clientid).err());
        }
        check(&Expect::unless(wrong), result);
    }

    fn take_turns(&mut self, cx: &mut Cx, v40: &V40, op: &Op, name: Name, result: &OpReply) {
        let by_lock_owner = name.kind == Kind::Lock;
        let seqid = if by_lock_owner { v40.lock_seqid } else { v40.seqid };
        match self.begin(cx, name, seqid, op, result.opnum) {
            Turn::Replay(last) => return self.replay(cx, name, &last, result),
            Turn::Refused(status) => return check(&Expect::only(status), result),
            Turn::Runs => {}
        }
        cx.client = Some(name.client);
        let mut second = None;
        if let Op::Lock { locker: Locker::Open(_, lock_owner), .. } = op {
            let lock_name = Name { client: v40.clientid, kind: Kind::Lock, owner: *lock_owner };
            let refused = match self.client_of(cx, v40.clientid) {
                Err(status) => Some(status),
                Ok(()) if v40.clientid != name.client => Some(NFS4ERR_BAD_STATEID),
                Ok(()) => match self.begin_lock_owner(cx, lock_name, v40.lock_seqid, op, result.opnum) {
                    Turn::Runs => None,
                    Turn::Replay(_) => Some(NFS4ERR_BAD_SEQID),
                    Turn::Refused(status) => Some(status),
                },
            };
            if let Some(status) = refused {
                check(&Expect::only(status), result);
                return self.finish(cx, name, seqid, op, result);
            }
            second = Some(lock_name);
        }
        self.run_in_turn(cx, op, name, result);
        self.finish(cx, name, seqid, op, result);
        if let Some(lock_name) = second {
            self.finish(cx, lock_name, v40.lock_seqid, op, result);
        }
    }

    /// A lock-owner without a lock stateid is as one that is not known (RFC 7530 section 9.1.10).
    fn begin_lock_owner(&mut self, cx: &Cx, name: Name, seqid: u32, op: &Op, opnum: OpNum) -> Turn {
        let Self { owners, lock_states, revoked, .. } = self;
        let exists = |other: &[u8; 12]| {
            lock_states.iter().any(|lock| lock.other == *other)
                || revoked.iter().any(|revoked| revoked.other == *other)
        };
        owners.retain(|owner| owner.name != name || owner.stateids.iter().any(exists));
        self.begin(cx, name, seqid, op, opnum)
    }

    /// RFC 7530 sections 9.1.9 to 9.1.11 and 16.18.5.
    fn begin(&mut self, cx: &Cx, name: Name, seqid: u32, op: &Op, opnum: OpNum) -> Turn {
        if !self.owners.iter().any(|owner| owner.name == name) {
            let is_confirmed = name.kind == Kind::Lock;
            let (last, closed, stateids) = (None, None, Vec::new());
            self.owners.push(Owner { name, last, is_confirmed, stateids, closed, used: cx.now });
        }
        let owner = self.owners.iter_mut().find(|owner| owner.name == name).expect("an owner");
        owner.used = cx.now;
        let is_open = matches!(op, Op::Open { .. });
        let is_confirmation = matches!(op, Op::OpenConfirm(_));
        let is_next = owner.last.as_ref().is_none_or(|last| seqid == last.seqid + 1);
        if is_next {
            let fits = is_open || is_confirmation != owner.is_confirmed;
            return if fits { Turn::Runs } else { Turn::Refused(NFS4ERR_BAD_STATEID) };
        }
        if let Some(last) = owner.last.as_ref().filter(|last| (last.seqid, last.opnum) == (seqid, opnum)) {
            return Turn::Replay(last.clone());
        }
        if owner.is_confirmed || !(is_open || is_confirmation) {
            return Turn::Refused(NFS4ERR_BAD_SEQID);
        }
        // Opens that will never be confirmed go.
        let cancelled = std::mem::take(&mut owner.stateids);
        if let Some(last) = cancelled.last() {
            owner.closed = Some(*last);
        }
        if is_open {
            owner.last = None;
        }
        for other in cancelled {
            self.remove_open(other);
        }
        if is_open { Turn::Runs } else { Turn::Refused(NFS4ERR_BAD_SEQID) }
    }

    /// Whether an open-owner of minor version 0 is to be confirmed.
    pub(super) fn is_unconfirmed(&self, client: ClientId, owner: OwnerNo) -> bool {
        let name = Name { client, kind: Kind::Open, owner };
        self.owners.iter().any(|owner| owner.name == name && !owner.is_confirmed)
    }

    fn replay(&mut self, cx: &mut Cx, name: Name, last: &Last, result: &OpReply) {
        if self.is_canceled(name.client) {
            return check(&Expect::only(NFS4ERR_EXPIRED), result);
        }
        assert_eq!(
            (result.status, &result.body),
            (last.status, &last.body),
            "the answer to a retransmission"
        );
        self.renew(name.client, cx.now);
        if last.fh.is_some() {
            cx.fh = last.fh;
        }
    }

    fn finish(&mut self, cx: &Cx, name: Name, seqid: u32, op: &Op, result: &OpReply) {
        let (status, body) = (result.status, result.body.clone());
        let Some(owner) = self.owners.iter_mut().find(|owner| owner.name == name) else { return };
        owner.used = cx.now;
        if advances(status) {
            owner.last = Some(Last { seqid, opnum: result.opnum, status, body: body.clone(), fh: cx.fh });
            owner.closed = None;
        }
        if !status.is_ok() {
            let is_void = name.kind == Kind::Lock || owner.last.is_none();
            if is_void && owner.stateids.is_empty() {
                self.owners.retain(|owner| owner.name != name);
            }
            return;
        }
        let granted = match op {
            Op::Open { .. } => Some(decoded::<OpenOp>(result).stateid.other),
            Op::Lock { .. } if name.kind == Kind::Lock => {
                Some(decode_all::<Stateid>(&body).expect("a stateid").other)
            }
            _ => None,
        };
        if let Some(granted) = granted.filter(|granted| !owner.stateids.contains(granted)) {
            owner.stateids.push(granted);
        }
        if let Op::Close(stateid) = op {
            owner.stateids.retain(|other| *other != stateid.other);
            owner.closed = Some(stateid.other);
        }
        if matches!(op, Op::OpenConfirm(_) | Op::Open { claim: Claim::Previous(_), .. }) {
            owner.is_confirmed = true;
        }
    }

    /// The owners of a client that is gone.
    pub(super) fn drop_owners(&mut self, id: ClientId) {
        for owner in self.owners.extract_if(.., |owner| owner.name.client == id) {
            self.purged.extend(owner.stateids.into_iter().chain(owner.closed));
        }
        self.unconfirmed.retain(|unconfirmed| unconfirmed.id != id);
    }

    pub(super) fn reap_owners(&mut self, now: u64) {
        let mut cancelled = Vec::new();
        let Self { owners, opens, lock_states, revoked, lease, .. } = self;
        let exists = |other: &[u8; 12]| {
            opens.iter().any(|open| open.other == *other)
                || lock_states.iter().any(|lock| lock.other == *other)
                || revoked.iter().any(|revoked| revoked.other == *other)
        };
        owners.retain_mut(|owner| {
            let idle = now - owner.used;
            let is_late = !owner.is_confirmed && idle > *lease;
            if is_late {
                cancelled.append(&mut owner.stateids);
            }
            owner.stateids.retain(exists);
            !(owner.stateids.is_empty() && (is_late || idle > 2 * *lease))
        });
        for other in cancelled {
            self.remove_open(other);
        }
    }
}
