//! OPEN_DOWNGRADE: RFC 8881 section 18.18, RFC 7530 section 16.19.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::fs::ShareAccess;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{Minor, NFS4ERR_INVAL, OP_OPEN_DOWNGRADE, Stateid, Status};
use dittofs_framework::state::FileKey;
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;
use crate::open::{OPEN4_SHARE_ACCESS_WANT_DELEG_MASK, parse_deny};

xdr_struct! {
    /// OPEN_DOWNGRADE4args.
    #[derive(Clone)]
    pub struct OpenDowngrade4Args {
        /// The open.
        pub open_stateid: Stateid,
        /// Of the open-owner; ignored in minor version 1 and later.
        pub seqid: u32,
        /// The access that is left.
        pub share_access: u32,
        /// The denial that is left.
        pub share_deny: u32,
    }
}

/// The operation.
pub struct OpenDowngrade;

impl Operation for OpenDowngrade {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        flags: OpFlags::MODIFIES.union(OpFlags::USES_STATEID).union(OpFlags::SETS_STATEID),
        max_reply: 16,
        ..OpDescriptor::new(OP_OPEN_DOWNGRADE, errors::OPEN_DOWNGRADE)
    };
    type Args = OpenDowngrade4Args;
    type Res = Stateid;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: OpenDowngrade4Args) -> OpResult<Stateid> {
        cx.begin_open_stateid(&args.open_stateid, args.seqid).await?;
        let access = parse_access(cx.minor(), args.share_access)?;
        let deny = parse_deny(args.share_deny)?;
        let stateid = cx.exact_stateid(args.open_stateid)?;
        let file = FileKey::from(cx.current()?);
        let stateid = cx.service().state().open_downgrade(cx.caller(), &stateid, &file, access, deny)?;
        cx.set_current_stateid(stateid);
        Ok(stateid)
    }
}

register_operation!(OpenDowngrade);

/// RFC 8881 section 18.18.3: of the bits beyond the access, only those of the delegation wants are passed over.
fn parse_access(minor: Minor, share_access: u32) -> Result<ShareAccess, Status> {
    let wants = if minor.has_sessions() { OPEN4_SHARE_ACCESS_WANT_DELEG_MASK } else { 0 };
    ShareAccess::from_bits(share_access & !wants).filter(|access| !access.is_empty()).ok_or(NFS4ERR_INVAL)
}
