//! SEEK: RFC 7862 section 15.11.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{Authority, DataOrHole, FsResult};
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_NXIO, NFS4ERR_UNION_NOTSUPP, OP_SEEK, Stateid, Status};
use dittofs_framework::state::Io;
use dittofs_framework::{register_operation, xdr_struct};

use crate::{errors, io};

xdr_struct! {
    /// SEEK4args.
    #[derive(Clone)]
    pub struct Seek4Args {
        /// On whose state.
        pub stateid: Stateid,
        /// Where to begin.
        pub offset: u64,
        /// What to look for: a data_content4. Its other numbers are decoded as well, for an answer of their own.
        pub what: u32,
    }
}

impl Seek4Args {
    /// NFS4_CONTENT_DATA.
    pub const DATA: u32 = 0;
    /// NFS4_CONTENT_HOLE.
    pub const HOLE: u32 = 1;

    /// What to look for. A kind of content that a later minor version may bring is NFS4ERR_UNION_NOTSUPP.
    fn content(&self) -> Result<DataOrHole, Status> {
        match self.what {
            Self::DATA => Ok(DataOrHole::Data),
            Self::HOLE => Ok(DataOrHole::Hole),
            _ => Err(NFS4ERR_UNION_NOTSUPP),
        }
    }
}

xdr_struct! {
    /// seek_res4.
    #[derive(PartialEq, Eq)]
    pub struct SeekRes4 {
        /// Whether there is no such content, or none but the virtual hole at the end of the file.
        pub eof: bool,
        /// Where the content begins; the end of the file when there is none.
        pub offset: u64,
    }
}

/// SEEK: finds the next data or hole.
pub struct Seek;

impl Operation for Seek {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_2,
        flags: OpFlags::USES_STATEID,
        ..OpDescriptor::new(OP_SEEK, errors::SEEK)
    };
    type Args = Seek4Args;
    type Res = SeekRes4;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Seek4Args) -> OpResult<SeekRes4> {
        let row = &Self::DESCRIPTOR;
        let at = cx.current()?;
        let size = io::data_file_size(cx, row, at).await?;
        let what = args.content()?;
        let authority = io::check_stateid(cx, row, args.stateid, Io::Read).await?;
        // "Beyond the end" begins at the end, as for lseek(2) with SEEK_DATA and SEEK_HOLE.
        if args.offset >= size {
            return Err(NFS4ERR_NXIO.into());
        }
        let found = seek(cx, at, args.offset, what, authority).await;
        let found = found.map_err(|error| io::data_error(cx, row, error))?;
        Ok(match (what, found) {
            (DataOrHole::Data, Some(offset)) => SeekRes4 { eof: false, offset },
            (DataOrHole::Hole, Some(offset)) => SeekRes4 { eof: offset >= size, offset },
            (_, None) => SeekRes4 { eof: true, offset: size },
        })
    }
}

/// The next content of that kind. A file system without holes has data up to the end of the file.
async fn seek(
    cx: &CompoundContext<'_>,
    at: &ExportNode,
    offset: u64,
    what: DataOrHole,
    authority: Authority,
) -> FsResult<Option<u64>> {
    if let Some(sparse) = at.fs().sparse() {
        return sparse.seek(&cx.request, &at.node, offset, what, authority).await;
    }
    // Of no use but to check that the caller may read.
    at.fs().read(&cx.request, &at.node, offset, 0, authority).await?;
    Ok(match what {
        DataOrHole::Data => Some(offset),
        DataOrHole::Hole => None,
    })
}

register_operation!(Seek);
