//! RECLAIM_COMPLETE: RFC 8881 section 18.51.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::OP_RECLAIM_COMPLETE;
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;

xdr_struct! {
    /// RECLAIM_COMPLETE4args.
    #[derive(Clone)]
    pub struct ReclaimComplete4Args {
        /// Whether it is about the file system of the current filehandle alone.
        pub one_fs: bool,
    }
}

/// The operation.
pub struct ReclaimComplete;

impl Operation for ReclaimComplete {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_1,
        // RFC 8881 section 18.51.3: the current filehandle is required only for one file system.
        flags: OpFlags::NO_CURRENT_FH.union(OpFlags::MODIFIES),
        ..OpDescriptor::new(OP_RECLAIM_COMPLETE, errors::RECLAIM_COMPLETE)
    };
    type Args = ReclaimComplete4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: ReclaimComplete4Args) -> OpResult<()> {
        if args.one_fs {
            // The end of what a client reclaims after a file system moved here. None ever does, but what the client says holds.
            let export = cx.current()?.export.id;
            return Ok(cx.service().reclaim_complete_for(cx.client()?, export)?);
        }
        Ok(cx.service().reclaim_complete(cx.client()?, cx.now()).await?)
    }
}

register_operation!(ReclaimComplete);
