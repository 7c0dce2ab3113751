//! CLONE: RFC 7862 section 15.13.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_INVAL, NFS4ERR_NOTSUPP, NFS4ERR_XDEV, OP_CLONE, Stateid};
use dittofs_framework::{register_operation, xdr_struct};

use crate::transfer::{self, Ranges, Stateids};
use crate::{errors, io};

xdr_struct! {
    /// CLONE4args.
    #[derive(Clone)]
    pub struct Clone4Args {
        /// On whose state the source is read.
        pub src_stateid: Stateid,
        /// On whose state the target is written.
        pub dst_stateid: Stateid,
        /// The first byte of the source.
        pub src_offset: u64,
        /// Where it goes in the target.
        pub dst_offset: u64,
        /// How many bytes, 0 for all to the end of the source.
        pub count: u64,
    }
}

/// CLONE: makes a range of the current filehandle's file share the data of the saved filehandle's.
///
/// The clone block size is one byte (clone_blksize, RFC 7862 section 12.2.1), so all offsets are aligned.
pub struct Clone;

impl Operation for Clone {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_2,
        flags: OpFlags::NEEDS_SAVED_FH.union(OpFlags::USES_STATEID).union(OpFlags::MODIFIES),
        ..OpDescriptor::new(OP_CLONE, errors::CLONE)
    };
    type Args = Clone4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Clone4Args) -> OpResult<()> {
        let row = &Self::DESCRIPTOR;
        let (source, target) = (cx.saved()?, cx.current()?);
        let size = io::regular_file_size(cx, row, source).await?;
        io::regular_file_size(cx, row, target).await?;
        if source.export.id != target.export.id {
            return Err(NFS4ERR_XDEV.into());
        }
        let stateids = Stateids { source: args.src_stateid, target: args.dst_stateid };
        let (authorities, _permit) = transfer::check(cx, row, stateids).await?;
        let ranges = Ranges { from: args.src_offset, to: args.dst_offset, count: args.count };
        let length = ranges.length(size)?;
        if source.is_same(target) && ranges.overlap(length) {
            return Err(NFS4ERR_INVAL.into());
        }
        let copier = target.fs().server_side_copy().ok_or(NFS4ERR_NOTSUPP)?;
        let Ranges { from, to, count } = ranges;
        let authority = authorities.stricter();
        let done =
            copier.clone_range(&cx.request, &source.node, from, &target.node, to, count, authority).await;
        done.map_err(|error| io::regular_file_error(row, error).into())
    }
}

register_operation!(Clone);
