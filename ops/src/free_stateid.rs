//! FREE_STATEID: RFC 8881 section 18.38.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{OP_FREE_STATEID, Stateid};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;

xdr_struct! {
    /// FREE_STATEID4args.
    #[derive(Clone)]
    pub struct FreeStateid4Args {
        /// The stateid.
        pub fsa_stateid: Stateid,
    }
}

/// The operation.
pub struct FreeStateid;

impl Operation for FreeStateid {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_1,
        flags: OpFlags::NO_CURRENT_FH.union(OpFlags::MODIFIES).union(OpFlags::USES_STATEID),
        ..OpDescriptor::new(OP_FREE_STATEID, errors::FREE_STATEID)
    };
    type Args = FreeStateid4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: FreeStateid4Args) -> OpResult<()> {
        let stateid = cx.stateid(args.fsa_stateid)?;
        cx.service().state().free_stateid(cx.caller(), &stateid)?;
        Ok(())
    }
}

register_operation!(FreeStateid);
