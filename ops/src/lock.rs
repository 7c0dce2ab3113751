//! LOCK: RFC 8881 section 18.10, with the semantics of section 9; RFC 7530 section 16.10.

use dittofs_framework::client::Client;
use dittofs_framework::compound::{Claim, ClaimPermit, CompoundContext};
use dittofs_framework::op::{OpDescriptor, OpError, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{
    NFS4ERR_BAD_STATEID, NFS4ERR_DENIED, NFS4ERR_RECLAIM_CONFLICT, NFS4ERR_ROFS, NFS4ERR_SYMLINK, OP_LOCK,
    StateOwner, Stateid, Status,
};
use dittofs_framework::state::{ByteRange, FileKey, LockConflict, LockError, LockKind, Locker};
use dittofs_framework::{register_operation, xdr_enum, xdr_struct, xdr_union};

use crate::errors;
use crate::fault::{file_type, fs_error};
use crate::file_type::check_regular;

xdr_enum! {
    /// nfs_lock_type4.
    pub enum NfsLockType4 {
        /// READ_LT.
        ReadLt = 1,
        /// WRITE_LT.
        WriteLt = 2,
        /// READW_LT.
        ReadwLt = 3,
        /// WRITEW_LT.
        WritewLt = 4,
    }
}

impl From<NfsLockType4> for LockKind {
    /// The lock, whether the client is going to wait for it or not.
    fn from(locktype: NfsLockType4) -> Self {
        match locktype {
            NfsLockType4::ReadLt | NfsLockType4::ReadwLt => Self::Read,
            NfsLockType4::WriteLt | NfsLockType4::WritewLt => Self::Write,
        }
    }
}

xdr_struct! {
    /// LOCK4args.
    #[derive(Clone)]
    pub struct Lock4Args {
        /// Shared or exclusive.
        pub locktype: NfsLockType4,
        /// Whether it is a lock from before the server restarted.
        pub reclaim: bool,
        /// First byte.
        pub offset: u64,
        /// Bytes, all ones for "to the end of the file".
        pub length: u64,
        /// In whose name.
        pub locker: Locker4,
    }
}

xdr_union! {
    /// locker4.
    #[derive(Clone)]
    pub enum Locker4 {
        /// By a lock stateid.
        0 => LockOwner(ExistLockOwner4),
        /// By an open stateid and a lock-owner.
        1 => OpenOwner(OpenToLockOwner4),
    }
}

xdr_struct! {
    /// exist_lock_owner4.
    #[derive(Clone)]
    pub struct ExistLockOwner4 {
        /// The lock stateid.
        pub lock_stateid: Stateid,
        /// Of the lock-owner; ignored in minor version 1 and later.
        pub lock_seqid: u32,
    }
}

xdr_struct! {
    /// open_to_lock_owner4.
    #[derive(Clone)]
    pub struct OpenToLockOwner4 {
        /// Of the open-owner; ignored in minor version 1 and later.
        pub open_seqid: u32,
        /// The open stateid.
        pub open_stateid: Stateid,
        /// Of the lock-owner; ignored in minor version 1 and later.
        pub lock_seqid: u32,
        /// The lock-owner; its clientid is ignored in minor version 1 and later.
        pub lock_owner: StateOwner,
    }
}

xdr_struct! {
    /// LOCK4denied.
    #[derive(Clone)]
    pub struct Lock4Denied {
        /// First byte of the lock that is in the way.
        pub offset: u64,
        /// Its bytes, all ones for "to the end of the file".
        pub length: u64,
        /// What it is.
        pub locktype: NfsLockType4,
        /// Whose it is.
        pub owner: StateOwner,
    }
}

impl From<LockConflict> for Lock4Denied {
    fn from(conflict: LockConflict) -> Self {
        let locktype = match conflict.kind {
            LockKind::Read => NfsLockType4::ReadLt,
            LockKind::Write => NfsLockType4::WriteLt,
        };
        let (offset, length) = (conflict.range.offset(), conflict.range.length());
        Self { offset, length, locktype, owner: conflict.owner }
    }
}

/// The operation.
pub struct Lock;

impl Operation for Lock {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        errors_not_in_v4_0: &[NFS4ERR_ROFS, NFS4ERR_SYMLINK],
        flags: OpFlags::MODIFIES.union(OpFlags::USES_STATEID).union(OpFlags::SETS_STATEID),
        max_reply: 16,
        ..OpDescriptor::new(OP_LOCK, errors::LOCK)
    };
    type Args = Lock4Args;
    type Res = Stateid;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Lock4Args) -> OpResult<Stateid> {
        let holder = begin(cx, &args.locker).await?;
        let range = ByteRange::new(args.offset, args.length)?;
        let client = cx.claimant()?;
        let claim = if args.reclaim { Claim::Reclaim } else { Claim::New };
        let permit = check_claim(cx, client.as_deref(), claim).await?;
        match lock(cx, &args, &holder, &range).await {
            Ok(stateid) => {
                permit.into_iter().for_each(ClaimPermit::granted);
                cx.set_current_stateid(stateid);
                cx.turns().locked(&stateid);
                Ok(stateid)
            }
            // What is in the way was reclaimed by somebody else (RFC 8881 section 15.1.9.5).
            Err(LockError::Denied(_)) if args.reclaim => Err(NFS4ERR_RECLAIM_CONFLICT.into()),
            Err(LockError::Denied(conflict)) => {
                Err(OpError::with_body(NFS4ERR_DENIED, Lock4Denied::from(conflict)))
            }
            Err(LockError::Status(status)) => Err(explain(cx, status, &Self::DESCRIPTOR).await.into()),
        }
    }
}

register_operation!(Lock);

/// Who locks, with the stateids that the request means.
enum Holder {
    New { open: Stateid, owner: StateOwner },
    Existing(Stateid),
}

/// Takes the turns of the owners that the request names.
///
/// A lock-owner may name itself although it has a lock stateid under the open, if only its seqid is right. RFC 7530 section
/// 16.10.5 has NFS4ERR_BAD_SEQID for it; the seqids alone tell a retransmission from a client that lost its stateid.
async fn begin(cx: &mut CompoundContext<'_>, locker: &Locker4) -> OpResult<Holder> {
    match locker {
        Locker4::LockOwner(existing) => {
            cx.begin_lock_stateid(&existing.lock_stateid, existing.lock_seqid).await?;
            Ok(Holder::Existing(cx.stateid(existing.lock_stateid)?))
        }
        Locker4::OpenOwner(new) => {
            cx.begin_open_stateid(&new.open_stateid, new.open_seqid).await?;
            let clientid = cx.begin_lock(&new.lock_owner, new.lock_seqid).await?;
            let owner = StateOwner { clientid, owner: new.lock_owner.owner.clone() };
            Ok(Holder::New { open: cx.stateid(new.open_stateid)?, owner })
        }
    }
}

/// Whether the client may lock now. Without an owner's turn there is none, and the stateid is wrong: that is then the answer.
async fn check_claim<'a: 'c, 'c>(
    cx: &CompoundContext<'a>,
    client: Option<&'c Client>,
    claim: Claim,
) -> Result<Option<ClaimPermit<'c>>, Status> {
    let Some(client) = client else { return Ok(None) };
    let permit = cx.check_claim(client, cx.current()?.export.id, claim)?;
    cx.service().record(client).await?;
    Ok(Some(permit))
}

async fn lock(
    cx: &CompoundContext<'_>,
    args: &Lock4Args,
    holder: &Holder,
    range: &ByteRange,
) -> Result<Stateid, LockError> {
    let caller = cx.caller();
    let file = FileKey::from(cx.current()?);
    let kind = LockKind::from(args.locktype);
    let locker = match holder {
        Holder::New { open, owner } => Locker::New { open: *open, owner },
        Holder::Existing(stateid) => Locker::Existing(*stateid),
    };
    let state = cx.service().state();
    let lock = || match args.locktype {
        NfsLockType4::ReadwLt | NfsLockType4::WritewLt if !args.reclaim => {
            state.lock_or_wait(caller, &file, &locker, range, kind)
        }
        _ => state.lock(caller, &file, &locker, range, kind),
    };
    let outcome = cx.service().ask_state(cx.now(), lock).await;
    // An exclusive lock may have become a shared one, or a request in front of others may have been given up.
    cx.service().notify_of_locks();
    outcome
}

/// A stateid that is not of the current file is NFS4ERR_BAD_STATEID, but if that is no regular file, it is what is wrong: only then
/// its type is asked for.
pub(crate) async fn explain(cx: &CompoundContext<'_>, status: Status, row: &OpDescriptor) -> Status {
    let (NFS4ERR_BAD_STATEID, Ok(at)) = (status, cx.current()) else { return status };
    match file_type(cx, at).await {
        Ok(file_type) => {
            check_regular(file_type).err().filter(|wrong_type| row.allows(*wrong_type)).unwrap_or(status)
        }
        Err(error) => fs_error(row, error),
    }
}
