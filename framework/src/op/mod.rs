//! An operation: a small type that says in its descriptor row what it is, and in `call` what it does.
//!
//! Everything that is a rule about *where* and *when* an operation may run is a column of the row and is enforced
//! by the dispatcher. What is left for `call` is what the RFC's DESCRIPTION section says.

mod adapter;
mod descriptor;
mod error;

use std::future::Future;

pub use adapter::{DynOperation, OpFuture};
pub use descriptor::{Minors, OpDescriptor, OpFlags};
pub use error::{OpError, OpResult};

pub(crate) use adapter::Adapter;

use crate::compound::CompoundContext;
use crate::proto::NFS4ERR_SERVERFAULT;
use crate::xdr::{XdrDecode, XdrEncode, XdrWriter, decode_all};

/// One NFSv4 operation.
///
/// ```
/// use dittofs_framework::compound::CompoundContext;
/// use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
/// use dittofs_framework::proto::{NFS4ERR_NOFILEHANDLE, OP_SAVEFH};
/// use dittofs_framework::register_operation;
///
/// /// SAVEFH (RFC 8881 section 18.28).
/// pub struct SaveFh;
///
/// impl Operation for SaveFh {
///     const DESCRIPTOR: OpDescriptor = OpDescriptor::new(OP_SAVEFH, &[NFS4ERR_NOFILEHANDLE]);
///     type Args = ();
///     type Res = ();
///
///     async fn call(&self, cx: &mut CompoundContext<'_>, (): ()) -> OpResult<()> {
///         cx.save_current();
///         Ok(())
///     }
/// }
///
/// register_operation!(SaveFh);
/// ```
pub trait Operation: Send + Sync + 'static {
    /// Everything about the operation that is not code.
    const DESCRIPTOR: OpDescriptor;
    /// The arguments, as the RFC's `…4args`.
    type Args: XdrDecode + Send;
    /// The body of a good answer, as the RFC's `…4resok`.
    type Res: XdrEncode + Send;

    /// Carries the operation out. Every error must be in the descriptor's list.
    fn call(
        &self,
        cx: &mut CompoundContext<'_>,
        args: Self::Args,
    ) -> impl Future<Output = OpResult<Self::Res>> + Send;

    /// Carries the operation out and writes the body of a good answer: what the dispatcher runs. What is written before a
    /// failure is cut off again.
    ///
    /// An operation whose answer is large or frequent (READDIR, GETATTR) writes it here without building it first, and makes
    /// [`call`](Self::call) of this with [`built`].
    fn call_into(
        &self,
        cx: &mut CompoundContext<'_>,
        args: Self::Args,
        reply: &mut XdrWriter,
    ) -> impl Future<Output = OpResult<()>> + Send {
        async move {
            self.call(cx, args).await?.encode(reply);
            Ok(())
        }
    }
}

/// The answer of an operation that writes it, as a value: for code that calls it by its type, to change what it answers.
pub async fn built<O: Operation<Res: XdrDecode>>(
    op: &O,
    cx: &mut CompoundContext<'_>,
    args: O::Args,
) -> OpResult<O::Res> {
    let mut w = XdrWriter::new();
    op.call_into(cx, args, &mut w).await?;
    decode_all(&w.finish().to_bytes()).map_err(|_| OpError::Status(NFS4ERR_SERVERFAULT))
}
