//! SAVEFH: RFC 8881 section 18.28.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpResult, Operation};
use dittofs_framework::proto::OP_SAVEFH;
use dittofs_framework::register_operation;

use crate::errors;

/// The operation.
pub struct SaveFh;

impl Operation for SaveFh {
    const DESCRIPTOR: OpDescriptor = OpDescriptor::new(OP_SAVEFH, errors::SAVEFH);
    type Args = ();
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, (): ()) -> OpResult<()> {
        cx.save_current();
        Ok(())
    }
}

register_operation!(SaveFh);
