//! BIND_CONN_TO_SESSION: RFC 8881 section 18.34.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{
    BindConnToSession4Args, BindConnToSession4ResOk, ChannelDirFromServer, OP_BIND_CONN_TO_SESSION,
};
use dittofs_framework::register_operation;

use crate::errors;

/// The operation.
pub struct BindConnToSession;

impl Operation for BindConnToSession {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_1,
        flags: OpFlags::WITHOUT_SEQUENCE.union(OpFlags::MUST_BE_ALONE).union(OpFlags::NO_CURRENT_FH),
        ..OpDescriptor::new(OP_BIND_CONN_TO_SESSION, errors::BIND_CONN_TO_SESSION)
    };
    type Args = BindConnToSession4Args;
    type Res = BindConnToSession4ResOk;

    async fn call(
        &self,
        cx: &mut CompoundContext<'_>,
        args: BindConnToSession4Args,
    ) -> OpResult<BindConnToSession4ResOk> {
        let connection = cx.callback_connection();
        let reply = cx.service().sessions().bind_conn_to_session(&args, &connection)?;
        if reply.dir != ChannelDirFromServer::Fore {
            cx.service().probe_session(&reply.sessionid);
        }
        Ok(reply)
    }
}

register_operation!(BindConnToSession);
