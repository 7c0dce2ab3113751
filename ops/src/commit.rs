//! COMMIT: RFC 8881 section 18.3, RFC 7530 section 16.3.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpResult, Operation};
use dittofs_framework::proto::{Minor, NFS4ERR_INVAL, OP_COMMIT, Verifier4};
use dittofs_framework::{register_operation, xdr_struct};

use crate::{errors, io};

xdr_struct! {
    /// COMMIT4args.
    #[derive(Clone)]
    pub struct Commit4Args {
        /// The first byte to commit.
        pub offset: u64,
        /// Bytes to commit, 0 for all from `offset` on.
        pub count: u32,
    }
}

xdr_struct! {
    /// COMMIT4resok.
    #[derive(PartialEq, Eq)]
    pub struct Commit4ResOk {
        /// Differs from that of the WRITEs when their data may have been lost.
        pub writeverf: Verifier4,
    }
}

/// COMMIT: makes unstable writes durable.
pub struct Commit;

impl Operation for Commit {
    const DESCRIPTOR: OpDescriptor = OpDescriptor::new(OP_COMMIT, errors::COMMIT);
    type Args = Commit4Args;
    type Res = Commit4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Commit4Args) -> OpResult<Commit4ResOk> {
        let mut count = u64::from(args.count);
        if args.offset.checked_add(count).is_none() {
            // A range past the largest offset is NFS4ERR_INVAL in minor version 0 (RFC 7530 section 13.2). RFC 8881 section
            // 15.2 took that status from COMMIT: the range then goes to the end of the file.
            if cx.minor() == Minor::V0 {
                return Err(NFS4ERR_INVAL.into());
            }
            count = 0;
        }
        let at = cx.current()?;
        let done = at.fs().commit(&cx.request, &at.node, args.offset, count).await;
        done.map_err(|error| io::data_error(cx, &Self::DESCRIPTOR, error))?;
        // Taken after the data is safe: whatever was lost before shows.
        Ok(Commit4ResOk { writeverf: at.fs().write_verifier() })
    }
}

register_operation!(Commit);
