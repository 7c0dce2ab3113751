//! SETCLIENTID_CONFIRM: RFC 7530 section 16.34.

use std::sync::Arc;

use dittofs_framework::client::{Client, UserId};
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{ClientId, OP_SETCLIENTID_CONFIRM, Verifier4};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;

xdr_struct! {
    /// SETCLIENTID_CONFIRM4args.
    #[derive(Clone)]
    pub struct SetClientidConfirm4Args {
        /// What SETCLIENTID answered.
        pub clientid: ClientId,
        /// And this.
        pub setclientid_confirm: Verifier4,
    }
}

/// The operation.
pub struct SetClientidConfirm;

impl Operation for SetClientidConfirm {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::V4_0_ONLY,
        flags: OpFlags::NO_CURRENT_FH.union(OpFlags::MODIFIES).union(OpFlags::NON_IDEMPOTENT),
        ..OpDescriptor::new(OP_SETCLIENTID_CONFIRM, errors::SETCLIENTID_CONFIRM)
    };
    type Args = SetClientidConfirm4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: SetClientidConfirm4Args) -> OpResult<()> {
        let service = cx.service();
        let is_holding = |client| service.state().has_state(client);
        let on_confirmed = |client: &Arc<Client>| {
            service.confirm(client, cx.now());
            service.v4_0().owners.add_client(client.id());
        };
        let departures = service.v4_0().clients.confirm(
            cx.now(),
            args.clientid,
            args.setclientid_confirm,
            UserId::from(cx.principal()),
            &is_holding,
            &on_confirmed,
        )?;
        cx.note_client(args.clientid);
        service.settle(departures).await;
        service.probe_v4_0(args.clientid);
        Ok(())
    }
}

register_operation!(SetClientidConfirm);
