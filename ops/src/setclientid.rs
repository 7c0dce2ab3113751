//! SETCLIENTID: RFC 7530 section 16.33.

use dittofs_framework::client::UserId;
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpError, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{
    CbClient4, ClientId, NFS4ERR_CLID_INUSE, NfsClientId4, OP_SETCLIENTID, Verifier4,
};
use dittofs_framework::v4_0::{Callback, InUse, SetClientid as Request};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;

xdr_struct! {
    /// SETCLIENTID4args.
    #[derive(Clone)]
    pub struct SetClientid4Args {
        /// Who the client is.
        pub client: NfsClientId4,
        /// Where to call it back.
        pub callback: CbClient4,
        /// By what it knows such a call.
        pub callback_ident: u32,
    }
}

xdr_struct! {
    /// SETCLIENTID4resok.
    #[derive(Clone, PartialEq, Eq)]
    pub struct SetClientid4ResOk {
        /// The client ID, of use once it is confirmed.
        pub clientid: ClientId,
        /// What confirms it.
        pub setclientid_confirm: Verifier4,
    }
}

/// The operation.
pub struct SetClientid;

impl Operation for SetClientid {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::V4_0_ONLY,
        flags: OpFlags::NO_CURRENT_FH.union(OpFlags::MODIFIES).union(OpFlags::NON_IDEMPOTENT),
        max_reply: 16,
        ..OpDescriptor::new(OP_SETCLIENTID, errors::SETCLIENTID)
    };
    type Args = SetClientid4Args;
    type Res = SetClientid4ResOk;

    async fn call(
        &self,
        cx: &mut CompoundContext<'_>,
        args: SetClientid4Args,
    ) -> OpResult<SetClientid4ResOk> {
        let service = cx.service();
        let peer = cx.connection().peer();
        let to = service.destination(&args.callback, args.callback_ident, cx.principal(), peer);
        let request = Request {
            client: &args.client,
            callback: Callback { addr: args.callback.location.clone(), to },
            user: UserId::from(cx.principal()),
        };
        let is_holding = |client| service.state().has_state(client);
        match service.v4_0().clients.set_clientid(cx.now(), request, &is_holding) {
            Ok((clientid, setclientid_confirm, departures)) => {
                service.settle(departures).await;
                Ok(SetClientid4ResOk { clientid, setclientid_confirm })
            }
            Err(InUse::By(addr)) => Err(OpError::with_body(NFS4ERR_CLID_INUSE, addr)),
            Err(InUse::Status(status)) => Err(status.into()),
        }
    }
}

register_operation!(SetClientid);
