//! RENEW: RFC 7530 section 16.28.

use dittofs_framework::client::{CallbackPath, UserId};
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{ClientId, NFS4ERR_ACCESS, NFS4ERR_CB_PATH_DOWN, OP_RENEW};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;

xdr_struct! {
    /// RENEW4args.
    #[derive(Clone)]
    pub struct Renew4Args {
        /// Whose leases.
        pub clientid: ClientId,
    }
}

/// The operation.
pub struct Renew;

impl Operation for Renew {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::V4_0_ONLY,
        flags: OpFlags::NO_CURRENT_FH,
        ..OpDescriptor::new(OP_RENEW, errors::RENEW)
    };
    type Args = Renew4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Renew4Args) -> OpResult<()> {
        let client = cx.service().v4_0().clients.get(args.clientid)?;
        let user = UserId::from(cx.principal());
        // "The server MUST reject a RENEW that does not use" the principal of SETCLIENTID or that of a file that is open.
        let is_clients = client.name().user == user
            || (client.name().user.flavor == user.flavor
                && cx.service().state().has_open_by(client.id(), user.uid));
        if !is_clients {
            return Err(NFS4ERR_ACCESS.into());
        }
        client.renew(cx.now());
        cx.note_client(client.id());
        if client.callback_path() == CallbackPath::Down {
            cx.service().probe_v4_0(client.id());
            if cx.service().state().has_delegations(client.id()) {
                return Err(NFS4ERR_CB_PATH_DOWN.into());
            }
        }
        Ok(())
    }
}

register_operation!(Renew);
