//! PUTPUBFH: RFC 8881 section 18.20.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::OP_PUTPUBFH;
use dittofs_framework::register_operation;

use crate::errors;

/// The operation. The public filehandle is the root, as it SHOULD be.
pub struct PutPubFh;

impl Operation for PutPubFh {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        flags: OpFlags::NO_CURRENT_FH.union(OpFlags::SETS_FH),
        ..OpDescriptor::new(OP_PUTPUBFH, errors::PUTPUBFH)
    };
    type Args = ();
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, (): ()) -> OpResult<()> {
        cx.set_current(cx.service().namespace().root());
        Ok(())
    }
}

register_operation!(PutPubFh);
