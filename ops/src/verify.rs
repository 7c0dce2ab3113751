//! VERIFY: RFC 8881 section 18.31.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpResult, Operation};
use dittofs_framework::proto::{Fattr4, NFS4ERR_NOT_SAME, OP_VERIFY};
use dittofs_framework::{register_operation, xdr_struct};

use crate::comparison::is_same;
use crate::errors;

xdr_struct! {
    /// VERIFY4args.
    #[derive(Clone)]
    pub struct Verify4Args {
        /// What the attributes are assumed to be.
        pub obj_attributes: Fattr4,
    }
}

/// The operation.
pub struct Verify;

impl Operation for Verify {
    const DESCRIPTOR: OpDescriptor = OpDescriptor::new(OP_VERIFY, errors::VERIFY);
    type Args = Verify4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Verify4Args) -> OpResult<()> {
        if is_same(cx, &Self::DESCRIPTOR, &args.obj_attributes).await? {
            Ok(())
        } else {
            Err(NFS4ERR_NOT_SAME.into())
        }
    }
}

register_operation!(Verify);
