//! ALLOCATE: RFC 7862 section 15.1.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_NOTSUPP, OP_ALLOCATE, Stateid};
use dittofs_framework::{register_operation, xdr_struct};

use crate::{errors, io};

xdr_struct! {
    /// ALLOCATE4args.
    #[derive(Clone)]
    pub struct Allocate4Args {
        /// On whose state.
        pub stateid: Stateid,
        /// The first byte.
        pub offset: u64,
        /// How many bytes.
        pub length: u64,
    }
}

/// ALLOCATE: reserves space for a region of a file.
pub struct Allocate;

impl Operation for Allocate {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_2,
        flags: OpFlags::USES_STATEID.union(OpFlags::MODIFIES),
        ..OpDescriptor::new(OP_ALLOCATE, errors::ALLOCATE)
    };
    type Args = Allocate4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Allocate4Args) -> OpResult<()> {
        let row = &Self::DESCRIPTOR;
        let at = cx.current()?;
        io::regular_file_size(cx, row, at).await?;
        let permit = io::check_write(cx, row, args.stateid).await?;
        io::check_region(args.offset, args.length)?;
        let sparse = at.fs().sparse().ok_or(NFS4ERR_NOTSUPP)?;
        let done = sparse.allocate(&cx.request, &at.node, args.offset, args.length, permit.authority).await;
        done.map_err(|error| io::regular_file_error(row, error).into())
    }
}

register_operation!(Allocate);
