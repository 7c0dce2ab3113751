//! PUTFH: RFC 8881 section 18.19.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{NfsFh4, OP_PUTFH};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;

xdr_struct! {
    /// PUTFH4args.
    #[derive(Clone)]
    pub struct Putfh4Args {
        /// What becomes the current filehandle.
        pub object: NfsFh4,
    }
}

/// The operation. It does not ask the file system: that the object is gone is found by whichever operation uses the handle.
pub struct PutFh;

impl Operation for PutFh {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        flags: OpFlags::NO_CURRENT_FH.union(OpFlags::SETS_FH),
        ..OpDescriptor::new(OP_PUTFH, errors::PUTFH)
    };
    type Args = Putfh4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Putfh4Args) -> OpResult<()> {
        let named = cx.resolve_handle(&args.object)?;
        cx.set_current(named);
        Ok(())
    }
}

register_operation!(PutFh);
