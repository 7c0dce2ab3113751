//! SECINFO_NO_NAME: RFC 8881 section 18.45.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::OP_SECINFO_NO_NAME;
use dittofs_framework::{register_operation, xdr_enum};

use crate::errors;
use crate::lookupp::parent;
use crate::security::{Secinfo4, accepted};

xdr_enum! {
    /// secinfo_style4, which is SECINFO_NO_NAME4args.
    pub enum SecinfoStyle4 {
        /// SECINFO_STYLE4_CURRENT_FH: the object itself.
        CurrentFh = 0,
        /// SECINFO_STYLE4_PARENT: its parent.
        Parent = 1,
    }
}

/// The operation.
pub struct SecInfoNoName;

impl Operation for SecInfoNoName {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_1,
        flags: OpFlags::SETS_FH,
        ..OpDescriptor::new(OP_SECINFO_NO_NAME, errors::SECINFO_NO_NAME)
    };
    type Args = SecinfoStyle4;
    type Res = Vec<Secinfo4>;

    async fn call(&self, cx: &mut CompoundContext<'_>, style: SecinfoStyle4) -> OpResult<Vec<Secinfo4>> {
        if style == SecinfoStyle4::Parent {
            parent(cx, &Self::DESCRIPTOR).await?;
        }
        cx.clear_current();
        Ok(accepted())
    }
}

register_operation!(SecInfoNoName);
