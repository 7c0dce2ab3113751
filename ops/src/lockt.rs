//! LOCKT: RFC 8881 section 18.11, RFC 7530 section 16.11.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpError, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_DENIED, NFS4ERR_ROFS, NFS4ERR_SYMLINK, OP_LOCKT, StateOwner};
use dittofs_framework::state::{ByteRange, FileKey, LockError, LockKind};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;
use crate::fault::{file_type, fs_error};
use crate::file_type::check_regular;
use crate::lock::{Lock4Denied, NfsLockType4};

xdr_struct! {
    /// LOCKT4args.
    #[derive(Clone)]
    pub struct Lockt4Args {
        /// Shared or exclusive.
        pub locktype: NfsLockType4,
        /// First byte.
        pub offset: u64,
        /// Bytes, all ones for "to the end of the file".
        pub length: u64,
        /// Who would lock; the clientid is ignored in minor version 1 and later.
        pub owner: StateOwner,
    }
}

/// The operation.
pub struct Lockt;

impl Operation for Lockt {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        errors_not_in_v4_0: &[NFS4ERR_ROFS, NFS4ERR_SYMLINK],
        ..OpDescriptor::new(OP_LOCKT, errors::LOCKT)
    };
    type Args = Lockt4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Lockt4Args) -> OpResult<()> {
        let range = ByteRange::new(args.offset, args.length)?;
        let owner = StateOwner { clientid: cx.client_of(&args.owner)?, owner: args.owner.owner };
        let at = cx.current()?;
        let file_type = file_type(cx, at).await.map_err(|error| fs_error(&Self::DESCRIPTOR, error))?;
        check_regular(file_type)?;
        // Nobody knows yet which locks there are (RFC 8881 section 8.4.2.1).
        cx.check_grace()?;
        let kind = LockKind::from(args.locktype);
        let file = FileKey::from(at);
        let test = || {
            let tested = cx.service().state().test_lock(cx.now(), &owner, &file, &range, kind);
            tested.map_err(|refused| refused.map(LockError::Denied))
        };
        match cx.service().ask_state(cx.now(), test).await {
            Ok(()) => Ok(()),
            Err(LockError::Denied(conflict)) => {
                Err(OpError::with_body(NFS4ERR_DENIED, Lock4Denied::from(conflict)))
            }
            Err(LockError::Status(status)) => Err(status.into()),
        }
    }
}

register_operation!(Lockt);
