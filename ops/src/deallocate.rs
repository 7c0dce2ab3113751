//! DEALLOCATE: RFC 7862 section 15.4.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_NOTSUPP, OP_DEALLOCATE, Stateid};
use dittofs_framework::{register_operation, xdr_struct};

use crate::{errors, io};

xdr_struct! {
    /// DEALLOCATE4args.
    #[derive(Clone)]
    pub struct Deallocate4Args {
        /// On whose state.
        pub stateid: Stateid,
        /// The first byte.
        pub offset: u64,
        /// How many bytes.
        pub length: u64,
    }
}

/// DEALLOCATE: makes a hole of a region of a file.
pub struct Deallocate;

impl Operation for Deallocate {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_2,
        flags: OpFlags::USES_STATEID.union(OpFlags::MODIFIES),
        ..OpDescriptor::new(OP_DEALLOCATE, errors::DEALLOCATE)
    };
    type Args = Deallocate4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Deallocate4Args) -> OpResult<()> {
        let row = &Self::DESCRIPTOR;
        let at = cx.current()?;
        io::regular_file_size(cx, row, at).await?;
        let permit = io::check_write(cx, row, args.stateid).await?;
        io::check_region(args.offset, args.length)?;
        let sparse = at.fs().sparse().ok_or(NFS4ERR_NOTSUPP)?;
        let done = sparse.deallocate(&cx.request, &at.node, args.offset, args.length, permit.authority).await;
        done.map_err(|error| io::regular_file_error(row, error).into())
    }
}

register_operation!(Deallocate);
