//! CLOSE: RFC 8881 section 18.2, RFC 7530 section 16.2.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{Minor, OP_CLOSE, Stateid};
use dittofs_framework::state::FileKey;
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;

xdr_struct! {
    /// CLOSE4args.
    #[derive(Clone)]
    pub struct Close4Args {
        /// Of the open-owner; ignored in minor version 1 and later.
        pub seqid: u32,
        /// The open.
        pub open_stateid: Stateid,
    }
}

/// The operation.
pub struct Close;

impl Operation for Close {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        flags: OpFlags::MODIFIES.union(OpFlags::USES_STATEID).union(OpFlags::SETS_STATEID),
        max_reply: 16,
        ..OpDescriptor::new(OP_CLOSE, errors::CLOSE)
    };
    type Args = Close4Args;
    type Res = Stateid;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Close4Args) -> OpResult<Stateid> {
        cx.begin_open_stateid(&args.open_stateid, args.seqid).await?;
        let stateid = cx.exact_stateid(args.open_stateid)?;
        let file = FileKey::from(cx.current()?);
        let closed = cx.service().state().close(cx.caller(), &stateid, &file)?;
        cx.service().carry_out(closed);
        cx.turns().closed(&stateid);
        if cx.minor() == Minor::V0 {
            // "Not useful", and there is no value for one that is invalid.
            return Ok(Stateid { seqid: stateid.seqid.wrapping_add(1), ..stateid });
        }
        // RFC 8881 section 18.2.4: nothing is left that a stateid could stand for.
        cx.set_current_stateid(Stateid::INVALID);
        Ok(Stateid::INVALID)
    }
}

register_operation!(Close);
