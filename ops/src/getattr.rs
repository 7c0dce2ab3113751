//! GETATTR: RFC 8881 section 18.7.

use dittofs_framework::attr::Bitmap;
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpResult, Operation, built};
use dittofs_framework::proto::{Fattr4, OP_GETATTR};
use dittofs_framework::xdr::XdrWriter;
use dittofs_framework::{register_operation, xdr_struct};

use crate::attributes::{ObjectAttributes, check_readable};
use crate::errors;

xdr_struct! {
    /// GETATTR4args.
    #[derive(Clone)]
    pub struct Getattr4Args {
        /// Which attributes are wanted.
        pub attr_request: Bitmap,
    }
}

xdr_struct! {
    /// GETATTR4resok.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Getattr4ResOk {
        /// Those of them that are supported.
        pub obj_attributes: Fattr4,
    }
}

/// The operation.
pub struct GetAttr;

impl Operation for GetAttr {
    const DESCRIPTOR: OpDescriptor = OpDescriptor::new(OP_GETATTR, errors::GETATTR);
    type Args = Getattr4Args;
    type Res = Getattr4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Getattr4Args) -> OpResult<Getattr4ResOk> {
        built(self, cx, args).await
    }

    async fn call_into(
        &self,
        cx: &mut CompoundContext<'_>,
        args: Getattr4Args,
        reply: &mut XdrWriter,
    ) -> OpResult<()> {
        let wanted = args.attr_request;
        check_readable(cx.minor(), wanted)?;
        let at = cx.current()?;
        let fetched = ObjectAttributes::fetch_current(cx, &Self::DESCRIPTOR, at, wanted).await?;
        fetched.encode(cx, at, wanted, reply);
        Ok(())
    }
}

register_operation!(GetAttr);
