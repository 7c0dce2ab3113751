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
use crate::xdr::{XdrDecode, XdrEncode};

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
}
