//! IO_ADVISE: RFC 7862 section 15.5.

use dittofs_framework::attr::Bitmap;
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_INVAL, OP_IO_ADVISE, Stateid};
use dittofs_framework::state::Io;
use dittofs_framework::{register_operation, xdr_struct};

use crate::{errors, io};

xdr_struct! {
    /// IO_ADVISE4args.
    #[derive(Clone)]
    pub struct IoAdvise4Args {
        /// On whose state.
        pub stateid: Stateid,
        /// The first byte.
        pub offset: u64,
        /// How many bytes, 0 for all from `offset` on.
        pub count: u64,
        /// The hints: bits numbered by IO_ADVISE_type4.
        pub hints: Bitmap,
    }
}

xdr_struct! {
    /// IO_ADVISE4resok.
    #[derive(PartialEq, Eq)]
    pub struct IoAdvise4ResOk {
        /// The hints that the server intends to follow.
        pub hints: Bitmap,
    }
}

/// IO_ADVISE4_NORMAL: no advice.
const NORMAL: u32 = 0;

/// IO_ADVISE: tells the server how a file is going to be used. "The server MAY ignore the advice": this one does, and says so.
pub struct IoAdvise;

impl Operation for IoAdvise {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_2,
        flags: OpFlags::USES_STATEID,
        ..OpDescriptor::new(OP_IO_ADVISE, errors::IO_ADVISE)
    };
    type Args = IoAdvise4Args;
    type Res = IoAdvise4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: IoAdvise4Args) -> OpResult<IoAdvise4ResOk> {
        let row = &Self::DESCRIPTOR;
        let at = cx.current()?;
        io::data_file_size(cx, row, at).await?;
        io::check_stateid(cx, row, args.stateid, Io::Read).await?;
        if args.offset.checked_add(args.count).is_none() {
            return Err(NFS4ERR_INVAL.into());
        }
        // Hints that are not supported, or that contradict each other, are no error.
        Ok(IoAdvise4ResOk { hints: Bitmap::EMPTY.with(NORMAL) })
    }
}

register_operation!(IoAdvise);
