//! EXCHANGE_ID: RFC 8881 section 18.35, RFC 7862 section 14.1.

use dittofs_framework::client::UserId;
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{ExchangeId4Args, ExchangeId4ResOk, OP_EXCHANGE_ID};
use dittofs_framework::register_operation;

use crate::errors;

/// The operation.
pub struct ExchangeId;

impl Operation for ExchangeId {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_1,
        flags: OpFlags::WITHOUT_SEQUENCE.union(OpFlags::NO_CURRENT_FH).union(OpFlags::MODIFIES),
        // Client ID, sequence, flags, no protection; owner and scope of up to 1,024 bytes; an implementation ID, which
        // the server makes itself and keeps short.
        max_reply: 20 + 8 + 2 * (4 + 1024) + 512,
        ..OpDescriptor::new(OP_EXCHANGE_ID, errors::EXCHANGE_ID)
    };
    type Args = ExchangeId4Args;
    type Res = ExchangeId4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: ExchangeId4Args) -> OpResult<ExchangeId4ResOk> {
        let service = cx.service();
        let user = UserId::from(cx.principal());
        let has_state = |client| service.state().has_state(client);
        let (reply, departures) =
            service.sessions().exchange_id(cx.now(), &args, user, cx.minor(), cx.within(), &has_state)?;
        service.settle(departures).await;
        Ok(reply)
    }
}

register_operation!(ExchangeId);
