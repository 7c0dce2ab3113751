//! NVERIFY: RFC 8881 section 18.15.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpResult, Operation};
use dittofs_framework::proto::{Fattr4, NFS4ERR_SAME, OP_NVERIFY};
use dittofs_framework::{register_operation, xdr_struct};

use crate::comparison::is_same;
use crate::errors;

xdr_struct! {
    /// NVERIFY4args.
    #[derive(Clone)]
    pub struct Nverify4Args {
        /// What the attributes are assumed not to be.
        pub obj_attributes: Fattr4,
    }
}

/// The operation.
pub struct NVerify;

impl Operation for NVerify {
    const DESCRIPTOR: OpDescriptor = OpDescriptor::new(OP_NVERIFY, errors::NVERIFY);
    type Args = Nverify4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Nverify4Args) -> OpResult<()> {
        if is_same(cx, &Self::DESCRIPTOR, &args.obj_attributes).await? {
            Err(NFS4ERR_SAME.into())
        } else {
            Ok(())
        }
    }
}

register_operation!(NVerify);
