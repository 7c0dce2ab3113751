use std::future::Future;
use std::pin::Pin;

use super::{OpDescriptor, OpError, Operation};
use crate::compound::CompoundContext;
use crate::proto::NFS4ERR_BADXDR;
use crate::xdr::{XdrDecode, XdrReader, XdrWriter};

/// The future of one operation: done, its good answer is written; failed, nothing of it counts.
pub type OpFuture<'a> = Pin<Box<dyn Future<Output = Result<(), OpError>> + Send + 'a>>;

/// An operation without its types: what the registry holds and layers wrap.
pub trait DynOperation: Send + Sync {
    /// The row.
    fn descriptor(&self) -> &OpDescriptor;

    /// Reads the arguments, carries the operation out, and writes the body of a good answer.
    fn run<'a>(
        &'a self,
        cx: &'a mut CompoundContext<'_>,
        args: &'a mut XdrReader<'_>,
        reply: &'a mut XdrWriter,
    ) -> OpFuture<'a>;
}

/// Makes a [`DynOperation`] of an [`Operation`]: the one place where arguments are decoded and results encoded.
pub(crate) struct Adapter<O> {
    op: O,
    descriptor: OpDescriptor,
}

impl<O: Operation> Adapter<O> {
    pub(crate) fn new(op: O) -> Self {
        Self { op, descriptor: O::DESCRIPTOR }
    }
}

impl<O: Operation> DynOperation for Adapter<O> {
    fn descriptor(&self) -> &OpDescriptor {
        &self.descriptor
    }

    fn run<'a>(
        &'a self,
        cx: &'a mut CompoundContext<'_>,
        args: &'a mut XdrReader<'_>,
        reply: &'a mut XdrWriter,
    ) -> OpFuture<'a> {
        let args = O::Args::decode(args);
        Box::pin(async move {
            let args = args.map_err(|_| OpError::Status(NFS4ERR_BADXDR))?;
            self.op.call_into(cx, args, reply).await
        })
    }
}
