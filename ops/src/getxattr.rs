//! GETXATTR: RFC 8276 section 8.4.1.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpResult, Operation};
use dittofs_framework::proto::OP_GETXATTR;
use dittofs_framework::xdr::Opaque;
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;
use crate::xattr::{XattrKey4, XattrValue4, check_key, xattr_error, xattrs};

xdr_struct! {
    /// GETXATTR4args.
    #[derive(Clone)]
    pub struct GetXattr4Args {
        /// Which.
        pub name: XattrKey4,
    }
}

/// GETXATTR: the value of an extended attribute. One that the reply has no room for is NFS4ERR_REP_TOO_BIG, as of any operation.
pub struct GetXattr;

impl Operation for GetXattr {
    const DESCRIPTOR: OpDescriptor =
        OpDescriptor { minors: Minors::SINCE_V4_2, ..OpDescriptor::new(OP_GETXATTR, errors::GETXATTR) };
    type Args = GetXattr4Args;
    type Res = XattrValue4;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: GetXattr4Args) -> OpResult<XattrValue4> {
        let row = &Self::DESCRIPTOR;
        let xattrs = xattrs(cx)?;
        check_key(row, &args.name)?;
        let value = xattrs.xattr(&cx.request, &cx.current()?.node, &args.name).await;
        Ok(Opaque(value.map_err(|error| xattr_error(row, error))?))
    }
}

register_operation!(GetXattr);
