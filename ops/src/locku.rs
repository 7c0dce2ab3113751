//! LOCKU: RFC 8881 section 18.12, RFC 7530 section 16.12.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{OP_LOCKU, Stateid};
use dittofs_framework::state::{ByteRange, FileKey};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;
use crate::lock::{NfsLockType4, explain};

xdr_struct! {
    /// LOCKU4args.
    #[derive(Clone)]
    pub struct Locku4Args {
        /// Any type; it makes no difference (RFC 8881 section 18.12.3).
        pub locktype: NfsLockType4,
        /// Of the lock-owner; ignored in minor version 1 and later.
        pub seqid: u32,
        /// The lock stateid.
        pub lock_stateid: Stateid,
        /// First byte.
        pub offset: u64,
        /// Bytes, all ones for "to the end of the file".
        pub length: u64,
    }
}

/// The operation.
pub struct Locku;

impl Operation for Locku {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        flags: OpFlags::MODIFIES.union(OpFlags::USES_STATEID).union(OpFlags::SETS_STATEID),
        max_reply: 16,
        ..OpDescriptor::new(OP_LOCKU, errors::LOCKU)
    };
    type Args = Locku4Args;
    type Res = Stateid;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Locku4Args) -> OpResult<Stateid> {
        cx.begin_lock_stateid(&args.lock_stateid, args.seqid).await?;
        let range = ByteRange::new(args.offset, args.length)?;
        let stateid = cx.stateid(args.lock_stateid)?;
        let file = FileKey::from(cx.current()?);
        match cx.service().state().unlock(cx.caller(), &stateid, &file, &range) {
            Ok(stateid) => {
                cx.service().notify_of_locks();
                cx.set_current_stateid(stateid);
                Ok(stateid)
            }
            Err(status) => Err(explain(cx, status, &Self::DESCRIPTOR).await.into()),
        }
    }
}

register_operation!(Locku);
