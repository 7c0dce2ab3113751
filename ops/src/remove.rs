//! REMOVE: RFC 8881 section 18.25.

use dittofs_framework::compound::{CompoundContext, DirEdit, DirOutcome};
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{ChangeInfo, Component4, OP_REMOVE};
use dittofs_framework::{register_operation, xdr_struct};

use crate::fault::fs_error;
use crate::names::check_component;
use crate::{change, errors};

xdr_struct! {
    /// REMOVE4args.
    #[derive(Clone)]
    pub struct Remove4Args {
        /// The name in the directory that is the current filehandle.
        pub target: Component4,
    }
}

xdr_struct! {
    /// REMOVE4resok.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Remove4ResOk {
        /// The directory around the operation.
        pub cinfo: ChangeInfo,
    }
}

/// The operation. An open file loses its name and lives on, which OPEN promises where it holds through a restart
/// as well (OPEN4_RESULT_PRESERVE_UNLINKED).
pub struct Remove;

impl Operation for Remove {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        flags: OpFlags::MODIFIES.union(OpFlags::NON_IDEMPOTENT),
        max_reply: 20,
        ..OpDescriptor::new(OP_REMOVE, errors::REMOVE)
    };
    type Args = Remove4Args;
    type Res = Remove4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Remove4Args) -> OpResult<Remove4ResOk> {
        let dir = cx.current()?;
        check_component(&args.target, dir.fs().info().max_name)?;
        // A name that a reclaim will come by (RFC 8881 section 8.4.2.1).
        cx.check_grace()?;
        let _change = change::begin_by_name(cx, dir, &args.target).await?;
        let dir_change = cx.begin_dir_change(dir, DirEdit::Remove(&args.target)).await?;
        let removed = dir.fs().remove(&cx.request, &dir.node, &args.target).await;
        dir_change.end(DirOutcome::of(&removed)).await;
        let cinfo = removed.map_err(|error| fs_error(&Self::DESCRIPTOR, error))?;
        Ok(Remove4ResOk { cinfo })
    }
}

register_operation!(Remove);
