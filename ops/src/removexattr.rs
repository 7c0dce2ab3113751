//! REMOVEXATTR: RFC 8276 section 8.4.4.

use dittofs_framework::compound::{CompoundContext, DirEdit, DirOutcome};
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{ChangeInfo, OP_REMOVEXATTR};
use dittofs_framework::state::RecallReason;
use dittofs_framework::{register_operation, xdr_struct};

use crate::xattr::{CHANGED, XattrKey4, check_key, xattr_error, xattrs};
use crate::{change, errors};

xdr_struct! {
    /// REMOVEXATTR4args.
    #[derive(Clone)]
    pub struct RemoveXattr4Args {
        /// Which.
        pub name: XattrKey4,
    }
}

/// REMOVEXATTR: removes an extended attribute.
pub struct RemoveXattr;

impl Operation for RemoveXattr {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_2,
        flags: OpFlags::MODIFIES,
        max_reply: 20,
        ..OpDescriptor::new(OP_REMOVEXATTR, errors::REMOVEXATTR)
    };
    type Args = RemoveXattr4Args;
    type Res = ChangeInfo;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: RemoveXattr4Args) -> OpResult<ChangeInfo> {
        let row = &Self::DESCRIPTOR;
        let xattrs = xattrs(cx)?;
        check_key(row, &args.name)?;
        let at = cx.current()?;
        let _change = change::begin(cx, at, RecallReason::Attributes).await?;
        let dir_change = cx.begin_dir_change(at, DirEdit::Attributes(CHANGED)).await?;
        let change = xattrs.remove_xattr(&cx.request, &at.node, &args.name).await;
        dir_change.end(DirOutcome::of(&change)).await;
        change.map_err(|error| xattr_error(row, error).into())
    }
}

register_operation!(RemoveXattr);
