//! The compounds whose cost is measured: by the clock in `benches/request_path.rs`, by counting in `instructions`.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::attr::{
    Bitmap, FATTR4_CHANGE, FATTR4_FILEID, FATTR4_FSID, FATTR4_MODE, FATTR4_NUMLINKS, FATTR4_OWNER,
    FATTR4_OWNER_GROUP, FATTR4_SIZE, FATTR4_SPACE_USED, FATTR4_TIME_ACCESS, FATTR4_TIME_METADATA,
    FATTR4_TIME_MODIFY, FATTR4_TYPE,
};
use dittofs_framework::compound::Nfs4Service;
use dittofs_framework::export::{ExportId, Namespace};
use dittofs_framework::proto::{Minor, NfsFh4, Stateid};
use dittofs_framework::rpc::RpcReply;
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::{Opaque, Rope};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::io::StableHow4;
use dittofs_ops::open::Open;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::write::{Write, Write4Args};
use dittofs_ops::{GetFh, PutFh};

use crate::{BOTH, LocalSession, open_args, put, unchecked, walk};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// SEQUENCE alone.
    Sequence,
    /// SEQUENCE, PUTFH, GETATTR of what a Linux client asks for to revalidate a file.
    GetAttr,
    /// SEQUENCE, PUTFH, READ of 4 KiB.
    Read4K,
    /// SEQUENCE, PUTFH, READ of 1 MiB.
    Read1M,
    /// SEQUENCE, PUTFH, unstable WRITE of 4 KiB.
    Write4K,
}

impl Workload {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sequence, Self::GetAttr, Self::Read4K, Self::Read1M, Self::Write4K];
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sequence => "SEQUENCE",
            Self::GetAttr => "SEQUENCE+PUTFH+GETATTR",
            Self::Read4K => "SEQUENCE+PUTFH+READ 4 KiB",
            Self::Read1M => "SEQUENCE+PUTFH+READ 1 MiB",
            Self::Write4K => "SEQUENCE+PUTFH+WRITE 4 KiB",
        })
    }
}

/// What a Linux client asks for when it revalidates a file.
const REVALIDATE: Bitmap = Bitmap::of(&[
    FATTR4_TYPE,
    FATTR4_CHANGE,
    FATTR4_SIZE,
    FATTR4_FSID,
    FATTR4_FILEID,
    FATTR4_MODE,
    FATTR4_NUMLINKS,
    FATTR4_OWNER,
    FATTR4_OWNER_GROUP,
    FATTR4_SPACE_USED,
    FATTR4_TIME_ACCESS,
    FATTR4_TIME_METADATA,
    FATTR4_TIME_MODIFY,
]);

/// Where sa_sequenceid stands in arguments without a tag: behind tag, minor version, count, opnum and session ID.
const SEQUENCEID_AT: usize = 4 + 4 + 4 + 4 + 16;

/// A service in this process with a file of 1 MiB, and one request to it again and again.
pub struct Loop {
    session: LocalSession,
    /// The encoded request of the last turn.
    request: BytesMut,
    sequenceid: u32,
}

impl Loop {
    /// Sets the service up and encodes the request.
    ///
    /// # Panics
    /// If the service does not do what it is told.
    pub fn new(workload: Workload) -> Self {
        let share =
            Arc::new(StoreFileSystem::in_memory(MemoryOptions::default()).expect("a share in memory"));
        let namespace =
            Namespace::builder().export(ExportId(1), "/export", share).build().expect("an export");
        let service = Arc::new(Nfs4Service::builder(namespace).build().expect("a service"));
        let mut session = LocalSession::open(&service, Minor::V2);
        let compound = session.compound();
        let args = open_args("file", BOTH, 0, "owner", unchecked());
        let reply = session.run(walk(compound, &["export"]).op::<Open>(&args).op::<GetFh>(&())).ok();
        let (stateid, fh) = (reply.get::<Open>().stateid, reply.get::<GetFh>().object);
        let fill = write(session.compound(), &fh, stateid, vec![7; 1 << 20]);
        session.run(fill).ok();
        let compound = request(session.compound(), workload, &fh, stateid);
        let encoded = session.next(compound).encode();
        let bytes = encoded.get(SEQUENCEID_AT..).and_then(|rest| rest.first_chunk()).expect("a SEQUENCE");
        let sequenceid = u32::from_be_bytes(*bytes);
        Self { session, request: BytesMut::from(&encoded[..]), sequenceid }
    }

    /// The next request, encoded.
    pub fn next_request(&mut self) -> Bytes {
        let place = self.request.get_mut(SEQUENCEID_AT..SEQUENCEID_AT + 4).expect("a SEQUENCE");
        place.copy_from_slice(&self.sequenceid.to_be_bytes());
        self.sequenceid = self.sequenceid.wrapping_add(1);
        Bytes::copy_from_slice(&self.request)
    }

    /// Runs a request that [`next_request`](Self::next_request) gave.
    ///
    /// # Panics
    /// If it fails.
    pub fn call(&mut self, request: Bytes) -> Rope {
        let (reply, rope) = self.session.call(request);
        assert_eq!(reply, RpcReply::Success);
        rope
    }
}

fn request(compound: Compound, workload: Workload, fh: &NfsFh4, stateid: Stateid) -> Compound {
    let read = |count| Read4Args { stateid, offset: 0, count };
    match workload {
        Workload::Sequence => compound,
        Workload::GetAttr => {
            compound.op::<PutFh>(&put(fh)).op::<GetAttr>(&Getattr4Args { attr_request: REVALIDATE })
        }
        Workload::Read4K => compound.op::<PutFh>(&put(fh)).op::<Read>(&read(4 << 10)),
        Workload::Read1M => compound.op::<PutFh>(&put(fh)).op::<Read>(&read(1 << 20)),
        Workload::Write4K => write(compound, fh, stateid, vec![8; 4 << 10]),
    }
}

fn write(compound: Compound, fh: &NfsFh4, stateid: Stateid, data: Vec<u8>) -> Compound {
    let args =
        Write4Args { stateid, offset: 0, stable: StableHow4::Unstable, data: Opaque(Bytes::from(data)) };
    compound.op::<PutFh>(&put(fh)).op::<Write>(&args)
}
