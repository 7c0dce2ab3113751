//! DELEGRETURN: RFC 8881 section 18.6, RFC 7530 section 16.6.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{OP_DELEGRETURN, Stateid};
use dittofs_framework::state::FileKey;
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;

xdr_struct! {
    /// DELEGRETURN4args.
    #[derive(Clone)]
    pub struct Delegreturn4Args {
        /// The delegation, of the current filehandle's object.
        pub deleg_stateid: Stateid,
    }
}

/// The operation. Whoever speaks for the client may return its delegations, whatever principal they were given to: "the server
/// MAY require" that principal, which may have left for good.
pub struct DelegReturn;

impl Operation for DelegReturn {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        flags: OpFlags::MODIFIES.union(OpFlags::NON_IDEMPOTENT).union(OpFlags::USES_STATEID),
        ..OpDescriptor::new(OP_DELEGRETURN, errors::DELEGRETURN)
    };
    type Args = Delegreturn4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Delegreturn4Args) -> OpResult<()> {
        let stateid = cx.stateid(args.deleg_stateid)?;
        let file = FileKey::from(cx.current()?);
        let returned = cx.service().state().return_delegation(cx.caller(), &stateid, &file)?;
        cx.service().carry_out(returned);
        Ok(())
    }
}

register_operation!(DelegReturn);
