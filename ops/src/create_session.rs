//! CREATE_SESSION: RFC 8881 section 18.36.

use std::sync::Arc;

use dittofs_framework::client::{Client, UserId};
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{
    CreateSession4Args, CreateSession4ResOk, CreateSessionFlags, OP_CREATE_SESSION,
};
use dittofs_framework::register_operation;
use dittofs_framework::session::SessionCaller;

use crate::errors;

/// The operation.
pub struct CreateSession;

impl Operation for CreateSession {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_1,
        flags: OpFlags::WITHOUT_SEQUENCE.union(OpFlags::NO_CURRENT_FH).union(OpFlags::MODIFIES),
        max_reply: 24 + 2 * 32,
        ..OpDescriptor::new(OP_CREATE_SESSION, errors::CREATE_SESSION)
    };
    type Args = CreateSession4Args;
    type Res = CreateSession4ResOk;

    async fn call(
        &self,
        cx: &mut CompoundContext<'_>,
        args: CreateSession4Args,
    ) -> OpResult<CreateSession4ResOk> {
        let service = cx.service();
        let connection = cx.callback_connection();
        let caller = SessionCaller {
            now: cx.now(),
            user: UserId::from(cx.principal()),
            minor: cx.minor(),
            connection: &connection,
            within: cx.within(),
        };
        let on_confirmed = |client: &Arc<Client>| service.confirm(client, cx.now());
        let (reply, departures) = service.sessions().create_session(&caller, &args, &on_confirmed)?;
        service.settle(departures).await;
        if reply.flags.contains(CreateSessionFlags::CONN_BACK_CHAN) {
            service.probe_session(&reply.sessionid);
        }
        Ok(reply)
    }
}

register_operation!(CreateSession);
