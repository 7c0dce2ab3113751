//! PUTROOTFH: RFC 8881 section 18.21.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::OP_PUTROOTFH;
use dittofs_framework::register_operation;

use crate::errors;

/// The operation.
pub struct PutRootFh;

impl Operation for PutRootFh {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        flags: OpFlags::NO_CURRENT_FH.union(OpFlags::SETS_FH),
        ..OpDescriptor::new(OP_PUTROOTFH, errors::PUTROOTFH)
    };
    type Args = ();
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, (): ()) -> OpResult<()> {
        cx.set_current(cx.service().namespace().root());
        Ok(())
    }
}

register_operation!(PutRootFh);
