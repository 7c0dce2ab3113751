//! SEQUENCE: RFC 8881 section 18.46.

use dittofs_framework::client::UserId;
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpError, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{OP_SEQUENCE, Sequence4Args, Sequence4ResOk};
use dittofs_framework::register_operation;
use dittofs_framework::session::{Admission, SequenceRequest};

use crate::errors;

/// SEQUENCE4args on the wire.
const ARGS: usize = 32;
/// SEQUENCE4resok on the wire.
const RESOK: u32 = 36;

/// The operation.
pub struct Sequence;

impl Operation for Sequence {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_1,
        flags: OpFlags::MUST_BE_FIRST.union(OpFlags::NO_CURRENT_FH),
        max_reply: RESOK,
        ..OpDescriptor::new(OP_SEQUENCE, errors::SEQUENCE)
    };
    type Args = Sequence4Args;
    type Res = Sequence4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Sequence4Args) -> OpResult<Sequence4ResOk> {
        let connection = cx.connection_sessions();
        let request = SequenceRequest {
            connection: &connection,
            user: UserId::from(cx.principal()),
            record_len: cx.record_len(),
            reply_len: cx.reply_used().saturating_add(RESOK as usize + cx.reply_reserved()),
            op_count: cx.position().count,
            operations: cx.undecoded().get(ARGS..).unwrap_or_default(),
        };
        match cx.service().sessions().admit(cx.now(), &args, &request) {
            Admission::New(admitted) => {
                cx.bind_slot(admitted.slot);
                Ok(admitted.reply)
            }
            Admission::Replay(reply) => Err(OpError::Replay(reply)),
            Admission::Refused(status) => Err(status.into()),
        }
    }
}

register_operation!(Sequence);
