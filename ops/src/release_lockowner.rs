//! RELEASE_LOCKOWNER: RFC 7530 section 16.37.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_LOCKS_HELD, OP_RELEASE_LOCKOWNER, StateOwner, Stateid};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;

xdr_struct! {
    /// RELEASE_LOCKOWNER4args.
    #[derive(Clone)]
    pub struct ReleaseLockowner4Args {
        /// The lock-owner.
        pub lock_owner: StateOwner,
    }
}

/// The operation.
pub struct ReleaseLockowner;

impl Operation for ReleaseLockowner {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::V4_0_ONLY,
        flags: OpFlags::NO_CURRENT_FH.union(OpFlags::MODIFIES),
        ..OpDescriptor::new(OP_RELEASE_LOCKOWNER, errors::RELEASE_LOCKOWNER)
    };
    type Args = ReleaseLockowner4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: ReleaseLockowner4Args) -> OpResult<()> {
        cx.client_of(&args.lock_owner)?;
        let (state, owners) = (cx.service().state(), &cx.service().v4_0().owners);
        let stateids = owners.lock_stateids(&args.lock_owner);
        // All or nothing: "no further action will be taken".
        if stateids.iter().any(|other| state.holds_locks(other)) {
            return Err(NFS4ERR_LOCKS_HELD.into());
        }
        for other in stateids {
            let freed = state.free_stateid(cx.caller(), &Stateid { seqid: 0, other });
            // A LOCK came in between. Any other failure says that it is gone already.
            if freed == Err(NFS4ERR_LOCKS_HELD) {
                return Err(NFS4ERR_LOCKS_HELD.into());
            }
        }
        owners.release_lock_owner(&args.lock_owner);
        Ok(())
    }
}

register_operation!(ReleaseLockowner);
