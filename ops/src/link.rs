//! LINK: RFC 8881 section 18.9.

use dittofs_framework::compound::{CompoundContext, DirEdit, DirOutcome};
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{
    ChangeInfo, Component4, NFS4ERR_GRACE, NFS4ERR_SYMLINK, NFS4ERR_XDEV, OP_LINK,
};
use dittofs_framework::state::RecallReason;
use dittofs_framework::{register_operation, xdr_struct};

use crate::fault::fs_error;
use crate::names::check_component;
use crate::{change, errors};

xdr_struct! {
    /// LINK4args.
    #[derive(Clone)]
    pub struct Link4Args {
        /// The name that the saved filehandle's object gets in the current filehandle's directory.
        pub newname: Component4,
    }
}

xdr_struct! {
    /// LINK4resok.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Link4ResOk {
        /// The directory around the operation.
        pub cinfo: ChangeInfo,
    }
}

/// The operation.
pub struct Link;

impl Operation for Link {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        errors_not_in_v4_0: &[NFS4ERR_GRACE, NFS4ERR_SYMLINK],
        flags: OpFlags::MODIFIES.union(OpFlags::NON_IDEMPOTENT).union(OpFlags::NEEDS_SAVED_FH),
        max_reply: 20,
        ..OpDescriptor::new(OP_LINK, errors::LINK)
    };
    type Args = Link4Args;
    type Res = Link4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Link4Args) -> OpResult<Link4ResOk> {
        let (object, dir) = (cx.saved()?, cx.current()?);
        if object.export.id != dir.export.id {
            return Err(NFS4ERR_XDEV.into());
        }
        check_component(&args.newname, dir.fs().info().max_name)?;
        // A name more takes nothing from a client that reclaims, and RFC 7530 section 13.2 does not give LINK the status.
        if cx.minor().has_sessions() {
            cx.check_grace()?;
        }
        let _change = change::begin(cx, object, RecallReason::Names).await?;
        let dir_change = cx.begin_dir_change(dir, DirEdit::Add(&args.newname)).await?;
        let linked = dir.fs().link(&cx.request, &object.node, &dir.node, &args.newname).await;
        dir_change.end(DirOutcome::of(&linked)).await;
        let cinfo = linked.map_err(|error| fs_error(&Self::DESCRIPTOR, error))?;
        Ok(Link4ResOk { cinfo })
    }
}

register_operation!(Link);
