//! DESTROY_SESSION: RFC 8881 section 18.37.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_NOT_ONLY_OP, OP_DESTROY_SESSION, SessionId};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;

xdr_struct! {
    /// DESTROY_SESSION4args.
    #[derive(Clone)]
    pub struct DestroySession4Args {
        /// The session.
        pub sessionid: SessionId,
    }
}

/// The operation.
pub struct DestroySession;

impl Operation for DestroySession {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_1,
        flags: OpFlags::WITHOUT_SEQUENCE.union(OpFlags::NO_CURRENT_FH).union(OpFlags::MODIFIES),
        ..OpDescriptor::new(OP_DESTROY_SESSION, errors::DESTROY_SESSION)
    };
    type Args = DestroySession4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: DestroySession4Args) -> OpResult<()> {
        let is_own = cx.session().is_some_and(|session| session.id() == args.sessionid);
        // RFC 8881 section 18.37.3: in the session that it destroys it must be the last operation. Of the statuses that it
        // may answer this is the one about positions.
        if is_own && !cx.position().is_last() {
            return Err(NFS4ERR_NOT_ONLY_OP.into());
        }
        let connection = cx.connection_sessions();
        cx.service().sessions().destroy_session(args.sessionid, &connection, cx.within())?;
        Ok(())
    }
}

register_operation!(DestroySession);
