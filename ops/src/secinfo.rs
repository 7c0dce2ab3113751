//! SECINFO: RFC 8881 section 18.29.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{Component4, OP_SECINFO};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;
use crate::lookup::find;
use crate::security::{Secinfo4, accepted};

xdr_struct! {
    /// SECINFO4args.
    #[derive(Clone)]
    pub struct Secinfo4Args {
        /// The name in the directory that is the current filehandle.
        pub name: Component4,
    }
}

/// The operation.
pub struct SecInfo;

impl Operation for SecInfo {
    const DESCRIPTOR: OpDescriptor =
        OpDescriptor { flags: OpFlags::SETS_FH, ..OpDescriptor::new(OP_SECINFO, errors::SECINFO) };
    type Args = Secinfo4Args;
    type Res = Vec<Secinfo4>;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Secinfo4Args) -> OpResult<Vec<Secinfo4>> {
        find(cx, &Self::DESCRIPTOR, &args.name).await?;
        // RFC 7530 section 16.31.4 retains the current filehandle; since minor version 1 it is consumed.
        if cx.minor().has_sessions() {
            cx.clear_current();
        }
        Ok(accepted())
    }
}

register_operation!(SecInfo);
