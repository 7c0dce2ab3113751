use std::sync::Arc;

use bytes::Bytes;

use crate::op::{OpDescriptor, Operation};
use crate::proto::{Minor, OpNum, Status};
use crate::xdr::{XdrDecode, XdrEncode, XdrError, XdrReader, XdrWriter};

type Skip = fn(&mut XdrReader<'_>) -> Result<(), XdrError>;

/// What the reader of a reply must know of an operation: its row, and how long its good answer is.
#[derive(Clone, Copy)]
struct Expected {
    descriptor: Option<OpDescriptor>,
    skip: Skip,
}

/// A COMPOUND, built from the types of its operations.
///
/// The reply to it is read with the same types, by [`reply`](Self::reply).
#[derive(Clone)]
pub struct Compound {
    minorversion: u32,
    tag: Vec<u8>,
    ops: Vec<Bytes>,
    expected: Vec<Expected>,
    claimed_count: Option<u32>,
}

impl Compound {
    /// An empty compound of this minor version.
    pub fn new(minor: Minor) -> Self {
        Self::of_number(minor.number())
    }

    /// An empty compound of any minor version number.
    pub fn of_number(minorversion: u32) -> Self {
        Self { minorversion, tag: Vec::new(), ops: Vec::new(), expected: Vec::new(), claimed_count: None }
    }

    /// Sets the tag.
    pub fn tag(mut self, tag: &[u8]) -> Self {
        self.tag = tag.to_vec();
        self
    }

    /// Claims another number of operations than there are.
    pub fn claim_count(mut self, count: u32) -> Self {
        self.claimed_count = Some(count);
        self
    }

    /// Appends an operation.
    pub fn op<O>(self, args: &O::Args) -> Self
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let mut w = XdrWriter::new();
        args.encode(&mut w);
        self.op_with_args::<O>(&w.finish().to_bytes())
    }

    /// Appends an operation with arguments that are any bytes.
    pub fn op_with_args<O>(mut self, args: &[u8]) -> Self
    where
        O: Operation<Res: XdrDecode>,
    {
        self.push(O::DESCRIPTOR.opnum, args);
        self.expected
            .push(Expected { descriptor: Some(O::DESCRIPTOR), skip: |r| O::Res::decode(r).map(drop) });
        self
    }

    /// Appends an operation by number, which is expected to fail.
    pub fn raw(mut self, opnum: OpNum, args: &[u8]) -> Self {
        self.push(opnum, args);
        self.expected.push(Expected { descriptor: None, skip: |_| Ok(()) });
        self
    }

    /// This compound with `first` in front of it.
    pub fn after(mut self, first: Self) -> Self {
        let Self { ops, expected, .. } = first;
        self.ops.splice(0..0, ops);
        self.expected.splice(0..0, expected);
        self
    }

    fn push(&mut self, opnum: OpNum, args: &[u8]) {
        let mut w = XdrWriter::new();
        w.u32(opnum.code());
        w.raw(args);
        self.ops.push(w.finish().to_bytes());
    }

    /// COMPOUND4args.
    pub fn encode(&self) -> Bytes {
        let mut w = XdrWriter::new();
        w.opaque(&self.tag);
        w.u32(self.minorversion);
        match self.claimed_count {
            Some(count) => w.u32(count),
            None => w.len_prefix(self.ops.len()),
        }
        self.ops.iter().for_each(|op| w.raw(op));
        w.finish().to_bytes()
    }

    /// Reads COMPOUND4res as the reply to this compound.
    ///
    /// # Panics
    /// If the reply does not decode, or has results that this compound did not ask for.
    #[track_caller]
    pub fn reply(&self, body: &Bytes) -> CompoundReply {
        let mut r = XdrReader::new(body);
        let status = Status::decode(&mut r).expect("status");
        let tag = r.opaque(u32::MAX).expect("tag");
        let count = r.array_len(u32::MAX, 8).expect("count of results");
        let mut results = Vec::with_capacity(count);
        for index in 0..count {
            let opnum = OpNum::from_code(r.u32().expect("opnum"));
            let op_status = Status::decode(&mut r).expect("status of a result");
            let start = r.position();
            let expected = self.expected.get(index).expect("no more results than operations");
            if op_status.is_ok() {
                (expected.skip)(&mut r).unwrap_or_else(|error| panic!("result of {opnum}: {error}"));
            } else {
                assert_eq!(index + 1, count, "{opnum} failed with {op_status} and is not the last result");
                r.seek(body.len());
            }
            if let Some(row) = expected.descriptor {
                assert!(
                    opnum == row.opnum || !op_status.is_ok(),
                    "{opnum} answered in the place of {}",
                    row.name
                );
            }
            results.push(OpReply { opnum, status: op_status, body: body.slice(start..r.position()) });
        }
        r.finish().expect("the reply ends with its last result");
        CompoundReply { status, tag, results: results.into(), raw: body.clone() }
    }
}

/// One nfs_resop4.
#[derive(Debug, Clone)]
pub struct OpReply {
    /// The operation that answered.
    pub opnum: OpNum,
    /// Its status.
    pub status: Status,
    /// What follows the status.
    pub body: Bytes,
}

/// COMPOUND4res.
#[derive(Debug, Clone)]
pub struct CompoundReply {
    /// The status of the last operation that ran.
    pub status: Status,
    /// The tag.
    pub tag: Bytes,
    /// The results.
    pub results: Arc<[OpReply]>,
    /// All of it, as it came.
    pub raw: Bytes,
}

impl CompoundReply {
    /// The good answer of the first operation of that type.
    ///
    /// # Panics
    /// If there is none or it failed.
    #[track_caller]
    pub fn get<O: Operation<Res: XdrDecode>>(&self) -> O::Res {
        self.get_nth::<O>(0)
    }

    /// The good answer of the operation of that type after `nth` others of it.
    ///
    /// # Panics
    /// If there is none or it failed.
    #[track_caller]
    pub fn get_nth<O: Operation<Res: XdrDecode>>(&self, nth: usize) -> O::Res {
        let name = O::DESCRIPTOR.name;
        let mut of_type = self.results.iter().filter(|result| result.opnum == O::DESCRIPTOR.opnum);
        let result = of_type.nth(nth).unwrap_or_else(|| panic!("no result of {name} in {self:?}"));
        assert!(result.status.is_ok(), "{name} failed with {}", result.status);
        crate::xdr::decode_all(&result.body).unwrap_or_else(|error| panic!("result of {name}: {error}"))
    }

    /// The body that goes with the status of the operation that failed.
    ///
    /// # Panics
    /// If nothing failed or the body is another.
    #[track_caller]
    pub fn error_body<T: XdrDecode>(&self) -> T {
        let last = self.results.last().expect("a result");
        assert!(!last.status.is_ok(), "nothing failed");
        crate::xdr::decode_all(&last.body).expect("the body of the error")
    }

    /// This reply, which must be good.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn ok(self) -> Self {
        let last = self.results.last().map(|result| result.opnum);
        assert!(self.status.is_ok(), "the compound failed with {} at {last:?}", self.status);
        self
    }
}
