//! READ: RFC 8881 section 18.22, RFC 7530 section 16.23.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{OP_READ, Stateid};
use dittofs_framework::state::Io;
use dittofs_framework::xdr::Opaque;
use dittofs_framework::{register_operation, xdr_struct};

use crate::{errors, io};

xdr_struct! {
    /// READ4args.
    #[derive(Clone)]
    pub struct Read4Args {
        /// On whose state.
        pub stateid: Stateid,
        /// The first byte.
        pub offset: u64,
        /// Bytes at the most.
        pub count: u32,
    }
}

xdr_struct! {
    /// READ4resok.
    pub struct Read4ResOk {
        /// Whether the data reaches the end of the file.
        pub eof: bool,
        /// The data: fewer bytes than asked for at the end of the file or by a limit of the server.
        pub data: Opaque<{ u32::MAX }>,
    }
}

/// READ: reads from a regular file.
pub struct Read;

/// eof and the length of the data.
const OVERHEAD: usize = 8;

impl Operation for Read {
    const DESCRIPTOR: OpDescriptor =
        OpDescriptor { flags: OpFlags::USES_STATEID, ..OpDescriptor::new(OP_READ, errors::READ) };
    type Args = Read4Args;
    type Res = Read4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Read4Args) -> OpResult<Read4ResOk> {
        let row = &Self::DESCRIPTOR;
        let authority = io::check_stateid(cx, row, args.stateid, Io::Read).await?;
        let count = io::read_count(cx, args.offset, args.count, OVERHEAD);
        let at = cx.current()?;
        let read = at.fs().read(&cx.request, &at.node, args.offset, count, authority).await;
        let read = read.map_err(|error| io::data_error(cx, row, error))?;
        Ok(Read4ResOk { eof: read.eof, data: Opaque(read.data) })
    }
}

register_operation!(Read);
