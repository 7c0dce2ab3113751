//! BACKCHANNEL_CTL: RFC 8881 section 18.33.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{BackchannelCtl4Args, NFS4ERR_OP_NOT_IN_SESSION, OP_BACKCHANNEL_CTL};
use dittofs_framework::register_operation;

use crate::errors;

/// The operation.
pub struct BackchannelCtl;

impl Operation for BackchannelCtl {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_1,
        flags: OpFlags::NO_CURRENT_FH.union(OpFlags::MODIFIES),
        ..OpDescriptor::new(OP_BACKCHANNEL_CTL, errors::BACKCHANNEL_CTL)
    };
    type Args = BackchannelCtl4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: BackchannelCtl4Args) -> OpResult<()> {
        let session = cx.session().ok_or(NFS4ERR_OP_NOT_IN_SESSION)?;
        session.control_backchannel(&args)?;
        cx.service().probe_session(&session.id());
        Ok(())
    }
}

register_operation!(BackchannelCtl);
