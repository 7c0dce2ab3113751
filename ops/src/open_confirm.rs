//! OPEN_CONFIRM: RFC 7530 section 16.18.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_BAD_STATEID, OP_OPEN_CONFIRM, Stateid};
use dittofs_framework::state::FileKey;
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;
use crate::lock::explain;

xdr_struct! {
    /// OPEN_CONFIRM4args.
    #[derive(Clone)]
    pub struct OpenConfirm4Args {
        /// The open.
        pub open_stateid: Stateid,
        /// Of the open-owner.
        pub seqid: u32,
    }
}

/// The operation.
pub struct OpenConfirm;

impl Operation for OpenConfirm {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::V4_0_ONLY,
        flags: OpFlags::MODIFIES.union(OpFlags::USES_STATEID),
        max_reply: 16,
        ..OpDescriptor::new(OP_OPEN_CONFIRM, errors::OPEN_CONFIRM)
    };
    type Args = OpenConfirm4Args;
    type Res = Stateid;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: OpenConfirm4Args) -> OpResult<Stateid> {
        cx.begin_open_stateid(&args.open_stateid, args.seqid).await?;
        let file = FileKey::from(cx.current()?);
        let confirmed = cx.service().state().confirm_open(cx.caller(), &args.open_stateid, &file);
        // What is confirmed is the owner: without one there is nothing to confirm.
        let confirmed = confirmed.and_then(|stateid| {
            if cx.turns().is_unconfirmed() { Ok(stateid) } else { Err(NFS4ERR_BAD_STATEID) }
        });
        match confirmed {
            Ok(stateid) => {
                cx.turns().confirmed();
                Ok(stateid)
            }
            Err(status) => Err(explain(cx, status, &Self::DESCRIPTOR).await.into()),
        }
    }
}

register_operation!(OpenConfirm);
