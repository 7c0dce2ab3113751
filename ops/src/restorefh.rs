//! RESTOREFH: RFC 8881 section 18.27.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::OP_RESTOREFH;
use dittofs_framework::register_operation;

use crate::errors;

/// The operation. With the saved filehandle comes back the stateid that was the current one when it was saved.
pub struct RestoreFh;

impl Operation for RestoreFh {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        flags: OpFlags::NO_CURRENT_FH.union(OpFlags::NEEDS_SAVED_FH).union(OpFlags::SETS_FH),
        ..OpDescriptor::new(OP_RESTOREFH, errors::RESTOREFH)
    };
    type Args = ();
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, (): ()) -> OpResult<()> {
        cx.restore_saved();
        Ok(())
    }
}

register_operation!(RestoreFh);
