//! DESTROY_CLIENTID: RFC 8881 section 18.50.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{ClientId, OP_DESTROY_CLIENTID};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;

xdr_struct! {
    /// DESTROY_CLIENTID4args.
    #[derive(Clone)]
    pub struct DestroyClientid4Args {
        /// The client ID.
        pub clientid: ClientId,
    }
}

/// The operation.
pub struct DestroyClientid;

impl Operation for DestroyClientid {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_1,
        flags: OpFlags::WITHOUT_SEQUENCE.union(OpFlags::NO_CURRENT_FH).union(OpFlags::MODIFIES),
        ..OpDescriptor::new(OP_DESTROY_CLIENTID, errors::DESTROY_CLIENTID)
    };
    type Args = DestroyClientid4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: DestroyClientid4Args) -> OpResult<()> {
        let service = cx.service();
        let has_state = |client| service.state().has_state(client);
        let departures =
            service.sessions().destroy_clientid(cx.now(), args.clientid, cx.within(), &has_state)?;
        service.settle(departures).await;
        Ok(())
    }
}

register_operation!(DestroyClientid);
