//! An operation that no RFC has: number 900 answers how many bytes are free below the current filehandle.
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_BADXDR, NFS4ERR_IO, OpNum};
use dittofs_framework::register_operation;

/// The operation. It is registered by being linked, and runs like those of the RFCs: behind SEQUENCE, with a current filehandle.
pub(crate) struct FreeBytes;

impl Operation for FreeBytes {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        name: "FREE_BYTES",
        minors: Minors::SINCE_V4_1,
        ..OpDescriptor::new(OpNum::from_code(900), &[NFS4ERR_BADXDR, NFS4ERR_IO])
    };
    type Args = ();
    type Res = u64;

    async fn call(&self, cx: &mut CompoundContext<'_>, (): ()) -> OpResult<u64> {
        let usage = cx.current()?.fs().usage(&cx.request).await.map_err(|_| NFS4ERR_IO)?;
        Ok(usage.space_avail)
    }
}

register_operation!(FreeBytes);
