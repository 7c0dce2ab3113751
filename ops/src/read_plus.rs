//! READ_PLUS: RFC 7862 section 15.10.

use bytes::Bytes;
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::fs::DataOrHole;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{OP_READ_PLUS, Stateid};
use dittofs_framework::state::Io;
use dittofs_framework::xdr::Opaque;
use dittofs_framework::{register_operation, xdr_struct, xdr_union};

use crate::segments::{MIN_HOLE, Segment, segments};
use crate::{errors, io};

xdr_struct! {
    /// READ_PLUS4args.
    #[derive(Clone)]
    pub struct ReadPlus4Args {
        /// On whose state.
        pub stateid: Stateid,
        /// The first byte.
        pub offset: u64,
        /// Bytes at the most.
        pub count: u32,
    }
}

xdr_struct! {
    /// data4: data of the file.
    #[derive(PartialEq, Eq)]
    pub struct Data4 {
        /// Where it is.
        pub offset: u64,
        /// The data.
        pub data: Opaque<{ u32::MAX }>,
    }
}

xdr_struct! {
    /// data_info4: a hole of the file.
    #[derive(PartialEq, Eq)]
    pub struct DataInfo4 {
        /// Where it is.
        pub offset: u64,
        /// How long it is.
        pub length: u64,
    }
}

xdr_union! {
    /// read_plus_content.
    #[derive(PartialEq, Eq)]
    pub enum ReadPlusContent {
        /// NFS4_CONTENT_DATA.
        0 => Data(Data4),
        /// NFS4_CONTENT_HOLE.
        1 => Hole(DataInfo4),
    }
}

xdr_struct! {
    /// read_plus_res4.
    #[derive(PartialEq, Eq)]
    pub struct ReadPlusRes4 {
        /// Whether the contents reach the end of the file.
        pub eof: bool,
        /// Data and holes, contiguous from the offset that was asked for, within what was asked for.
        pub contents: Vec<ReadPlusContent>,
    }
}

/// READ_PLUS: reads from a regular file, with its holes told instead of sent.
pub struct ReadPlus;

/// eof, the number of contents, and the header of one.
const OVERHEAD: usize = 8 + 16;

impl Operation for ReadPlus {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_2,
        flags: OpFlags::USES_STATEID,
        ..OpDescriptor::new(OP_READ_PLUS, errors::READ_PLUS)
    };
    type Args = ReadPlus4Args;
    type Res = ReadPlusRes4;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: ReadPlus4Args) -> OpResult<ReadPlusRes4> {
        let row = &Self::DESCRIPTOR;
        let at = cx.current()?;
        let size = io::data_file_size(cx, row, at).await?;
        let authority = io::check_stateid(cx, row, args.stateid, Io::Read).await?;
        let count = io::read_count(cx, args.offset, args.count, OVERHEAD);
        let end = (args.offset + u64::from(count)).min(size).max(args.offset);
        let error = |error| io::data_error(cx, row, error);
        let whole = Segment { what: DataOrHole::Data, start: args.offset, end };
        let segments = match at.fs().sparse() {
            Some(sparse) if args.offset < end => {
                segments(sparse, &cx.request, &at.node, (args.offset, end), authority).await.map_err(error)?
            }
            // An empty range is read as well: whether the caller may read at all is still to be said.
            _ => vec![whole],
        };
        let mut contents = Vec::with_capacity(segments.len());
        let mut reached = args.offset;
        for Segment { what, start, end } in segments {
            if what == DataOrHole::Hole {
                contents.push(ReadPlusContent::Hole(DataInfo4 { offset: start, length: end - start }));
                reached = end;
                continue;
            }
            let wanted = u32::try_from(end - start).unwrap_or(u32::MAX);
            let read = at.fs().read(&cx.request, &at.node, start, wanted, authority).await.map_err(error)?;
            let len = read.data.len() as u64;
            contents.extend(content(start, read.data));
            reached = start + len;
            if reached < end {
                // The file was cut meanwhile, or the file system has a limit: the contents must stay contiguous.
                return Ok(ReadPlusRes4 { eof: read.eof, contents });
            }
        }
        Ok(ReadPlusRes4 { eof: reached >= size, contents })
    }
}

/// What was read as one of the contents; nothing at the end of the file. Data that is all zeros goes as a hole ("the server
/// SHOULD return that data as a hole instead").
fn content(offset: u64, data: Bytes) -> Option<ReadPlusContent> {
    let length = data.len() as u64;
    if length == 0 {
        return None;
    }
    Some(if length >= MIN_HOLE && is_zero(&data) {
        ReadPlusContent::Hole(DataInfo4 { offset, length })
    } else {
        ReadPlusContent::Data(Data4 { offset, data: Opaque(data) })
    })
}

/// By pieces: data is known not to be all zeros after the first few bytes, zeros are compared many at a time.
fn is_zero(data: &[u8]) -> bool {
    data.chunks(256).all(|piece| piece.iter().fold(0, |bits, byte| bits | byte) == 0)
}

register_operation!(ReadPlus);
