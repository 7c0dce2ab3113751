//! DELEGPURGE: RFC 8881 section 18.5, RFC 7530 section 16.5.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{ClientId, NFS4ERR_STALE_CLIENTID, OP_DELEGPURGE};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;
use crate::open::delegate;

xdr_struct! {
    /// DELEGPURGE4args.
    #[derive(Clone)]
    pub struct Delegpurge4Args {
        /// The client; ignored in minor version 1 and later.
        pub clientid: ClientId,
    }
}

/// The operation: the client has claimed all the delegations that it knows of from before it restarted. Supported where these
/// can be claimed, "and similarly" the other way round (RFC 7530 section 10.2.1).
pub struct DelegPurge;

impl Operation for DelegPurge {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        flags: OpFlags::NO_CURRENT_FH.union(OpFlags::MODIFIES).union(OpFlags::NON_IDEMPOTENT),
        ..OpDescriptor::new(OP_DELEGPURGE, errors::DELEGPURGE)
    };
    type Args = Delegpurge4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Delegpurge4Args) -> OpResult<()> {
        delegate::check_inheritance(cx)?;
        let client = if cx.minor().has_sessions() {
            cx.client()?.clone()
        } else {
            // A client whose lease was canceled is as unknown: NFS4ERR_EXPIRED is not for this operation.
            let client = cx.service().v4_0().clients.renew(cx.now(), args.clientid);
            client.map_err(|_| NFS4ERR_STALE_CLIENTID)?
        };
        cx.service().purge_delegations(&client);
        Ok(())
    }
}

register_operation!(DelegPurge);
