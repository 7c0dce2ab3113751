//! SETXATTR: RFC 8276 section 8.4.2.

use dittofs_framework::compound::{CompoundContext, DirEdit, DirOutcome};
use dittofs_framework::fs::XattrSet;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{ChangeInfo, OP_SETXATTR};
use dittofs_framework::state::RecallReason;
use dittofs_framework::{register_operation, xdr_enum, xdr_struct};

use crate::xattr::{CHANGED, XattrKey4, XattrValue4, check_key, xattr_error, xattrs};
use crate::{change, errors};

xdr_enum! {
    /// setxattr_option4.
    pub enum SetXattrOption4 {
        /// SETXATTR4_EITHER: whether it is there or not.
        Either = 0,
        /// SETXATTR4_CREATE: only when it is not there; otherwise NFS4ERR_EXIST.
        Create = 1,
        /// SETXATTR4_REPLACE: only when it is there; otherwise NFS4ERR_NOXATTR.
        Replace = 2,
    }
}

xdr_struct! {
    /// SETXATTR4args.
    #[derive(Clone)]
    pub struct SetXattr4Args {
        /// When to set it.
        pub option: SetXattrOption4,
        /// Which.
        pub key: XattrKey4,
        /// To what.
        pub value: XattrValue4,
    }
}

/// SETXATTR: sets an extended attribute.
pub struct SetXattr;

impl Operation for SetXattr {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_2,
        flags: OpFlags::MODIFIES,
        max_reply: 20,
        ..OpDescriptor::new(OP_SETXATTR, errors::SETXATTR)
    };
    type Args = SetXattr4Args;
    type Res = ChangeInfo;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: SetXattr4Args) -> OpResult<ChangeInfo> {
        let row = &Self::DESCRIPTOR;
        let xattrs = xattrs(cx)?;
        check_key(row, &args.key)?;
        let when = match args.option {
            SetXattrOption4::Either => XattrSet::Either,
            SetXattrOption4::Create => XattrSet::Create,
            SetXattrOption4::Replace => XattrSet::Replace,
        };
        let at = cx.current()?;
        let _change = change::begin(cx, at, RecallReason::Attributes).await?;
        let dir_change = cx.begin_dir_change(at, DirEdit::Attributes(CHANGED)).await?;
        let change = xattrs.set_xattr(&cx.request, &at.node, &args.key, &args.value.0, when).await;
        dir_change.end(DirOutcome::of(&change)).await;
        change.map_err(|error| xattr_error(row, error).into())
    }
}

register_operation!(SetXattr);
