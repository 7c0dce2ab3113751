//! GETFH: RFC 8881 section 18.8.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpResult, Operation, built};
use dittofs_framework::proto::{NfsFh4, OP_GETFH};
use dittofs_framework::xdr::XdrWriter;
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;

xdr_struct! {
    /// GETFH4resok.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Getfh4ResOk {
        /// The current filehandle.
        pub object: NfsFh4,
    }
}

/// The operation.
pub struct GetFh;

impl Operation for GetFh {
    const DESCRIPTOR: OpDescriptor = OpDescriptor::new(OP_GETFH, errors::GETFH);
    type Args = ();
    type Res = Getfh4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, (): ()) -> OpResult<Getfh4ResOk> {
        built(self, cx, ()).await
    }

    async fn call_into(&self, cx: &mut CompoundContext<'_>, (): (), reply: &mut XdrWriter) -> OpResult<()> {
        let at = cx.current()?;
        reply.opaque(cx.service().filehandles().encode(at.export.id, &at.node).as_bytes());
        Ok(())
    }
}

register_operation!(GetFh);
