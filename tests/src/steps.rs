//! Steps that many tests take: finding, making, opening, reading and writing files.

use bytes::Bytes;
use dittofs_framework::attr::{Bitmap, FATTR4_MODE, FATTR4_SIZE};
use dittofs_framework::op::Operation;
use dittofs_framework::proto::{ClientId, Fattr4, NfsFh4, NfsTime, StateOwner, Stateid, Status, component};
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::{Opaque, XdrDecode, XdrEncode, XdrWriter, decode_all};
use dittofs_ops::close::{Close, Close4Args};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::io::StableHow4;
use dittofs_ops::lookup::{Lookup, Lookup4Args};
use dittofs_ops::open::{CreateHow4, Open, Open4Args, Open4ResOk, OpenClaim4, OpenFlag4};
use dittofs_ops::putfh::{PutFh, Putfh4Args};
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_ops::read::{Read, Read4Args, Read4ResOk};
use dittofs_ops::write::{Write, Write4Args};

use crate::Session;

/// share_access values of OPEN.
pub const READ: u32 = 1;
/// Write.
pub const WRITE: u32 = 2;
/// Read and write.
pub const BOTH: u32 = 3;

/// A file that a session has open.
#[derive(Debug, Clone)]
pub struct OpenFile {
    /// Its filehandle.
    pub fh: NfsFh4,
    /// The stateid of the open.
    pub stateid: Stateid,
}

/// Appends PUTROOTFH and one LOOKUP for each component of the path.
pub fn walk(compound: Compound, path: &[&str]) -> Compound {
    let root = compound.op::<PutRootFh>(&());
    path.iter().fold(root, |compound, name| compound.op::<Lookup>(&named(name)))
}

/// settime4, as a value of time_access_set and time_modify_set.
#[derive(Debug, Clone, Copy)]
pub enum SetTime {
    /// SET_TO_SERVER_TIME4.
    Server,
    /// SET_TO_CLIENT_TIME4.
    Client(NfsTime),
}

impl XdrEncode for SetTime {
    fn encode(&self, w: &mut XdrWriter) {
        match self {
            Self::Server => w.u32(0),
            Self::Client(time) => {
                w.u32(1);
                time.encode(w);
            }
        }
    }
}

/// PUTFH's arguments.
pub fn put(fh: &NfsFh4) -> Putfh4Args {
    Putfh4Args { object: fh.clone() }
}

/// LOOKUP's arguments.
pub fn named(name: &str) -> Lookup4Args {
    Lookup4Args { objname: component(name) }
}

/// fattr4 of attributes and their values, in the order of their numbers.
pub fn fattr(values: &[(u32, &dyn XdrEncode)]) -> Fattr4 {
    let mut w = XdrWriter::new();
    for (_, value) in values {
        value.encode(&mut w);
    }
    let attrmask = values.iter().fold(Bitmap::EMPTY, |mask, (number, _)| mask.with(*number));
    Fattr4 { attrmask, attr_vals: Opaque(w.finish().to_bytes()) }
}

/// fattr4 with a mode alone.
pub fn mode_attr(mode: u32) -> Fattr4 {
    fattr(&[(FATTR4_MODE, &mode)])
}

/// fattr4 with a size alone.
pub fn size_attr(size: u64) -> Fattr4 {
    fattr(&[(FATTR4_SIZE, &size)])
}

/// An owner of opens or locks; the clientid is ignored in minor versions with sessions.
pub fn owner(name: &str) -> StateOwner {
    StateOwner { clientid: ClientId(0), owner: Opaque::from(name) }
}

/// OPEN's arguments.
pub fn open_args(name: &str, access: u32, deny: u32, opener: &str, how: OpenFlag4) -> Open4Args {
    Open4Args {
        seqid: 0,
        share_access: access,
        share_deny: deny,
        owner: owner(opener),
        openhow: how,
        claim: OpenClaim4::Null(component(name)),
    }
}

/// UNCHECKED4 with mode 0644.
pub fn unchecked() -> OpenFlag4 {
    OpenFlag4::Create(CreateHow4::Unchecked(mode_attr(0o644)))
}

impl Session {
    /// Runs an operation on an object.
    pub async fn run_on<O>(&mut self, fh: &NfsFh4, args: &O::Args) -> Result<O::Res, Status>
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let reply = self.run(self.compound().op::<PutFh>(&put(fh)).op::<O>(args)).await;
        if reply.status.is_ok() { Ok(reply.get::<O>()) } else { Err(reply.status) }
    }

    /// The value of one attribute of an object.
    ///
    /// # Panics
    /// If the object does not have it, or it is of another type.
    pub async fn attribute<T: XdrDecode>(&mut self, fh: &NfsFh4, number: u32) -> T {
        let args = Getattr4Args { attr_request: Bitmap::of(&[number]) };
        let found = self.run_on::<GetAttr>(fh, &args).await.expect("attributes").obj_attributes;
        decode_all(&found.attr_vals.0).expect("an attribute of that type")
    }

    /// Closes a file, which must succeed.
    ///
    /// # Panics
    /// If it does not.
    pub async fn close(&mut self, file: &OpenFile) {
        let args = Close4Args { seqid: 0, open_stateid: file.stateid };
        self.run_on::<Close>(&file.fh, &args).await.expect("closed");
    }

    /// The filehandle of a path.
    pub async fn lookup(&mut self, path: &[&str]) -> NfsFh4 {
        let compound = walk(self.compound(), path).op::<GetFh>(&());
        self.run(compound).await.ok().get::<GetFh>().object
    }

    /// The filehandle of the first share.
    pub async fn share(&mut self) -> NfsFh4 {
        self.lookup(&["export"]).await
    }

    /// Opens a file of the first share for reading and writing; makes it with mode 0644 if it is not there.
    pub async fn open(&mut self, name: &str) -> OpenFile {
        self.open_as(name, BOTH, 0, "owner").await
    }

    /// Opens a file of the first share with this share_access, share_deny and owner; makes it if it is not there.
    pub async fn open_as(&mut self, name: &str, access: u32, deny: u32, opener: &str) -> OpenFile {
        let args = open_args(name, access, deny, opener, unchecked());
        let (fh, answer) = self.try_open(&["export"], &args).await.expect("opened");
        OpenFile { fh, stateid: answer.stateid }
    }

    /// What OPEN answers behind a path, and the filehandle that it leaves.
    pub async fn try_open(
        &mut self,
        path: &[&str],
        args: &Open4Args,
    ) -> Result<(NfsFh4, Open4ResOk), Status> {
        let reply = self.run(walk(self.compound(), path).op::<Open>(args).op::<GetFh>(&())).await;
        if !reply.status.is_ok() {
            return Err(reply.status);
        }
        Ok((reply.get::<GetFh>().object, reply.get::<Open>()))
    }

    /// Makes a directory of mode 0755 in the first share.
    pub async fn mkdir(&mut self, name: &str) -> NfsFh4 {
        self.create(name, CreateType4::Dir, 0o755).await
    }

    /// Makes anything but a regular file in the first share.
    pub async fn create(&mut self, name: &str, what: CreateType4, mode: u32) -> NfsFh4 {
        let args = Create4Args { objtype: what, objname: component(name), createattrs: mode_attr(mode) };
        let compound = walk(self.compound(), &["export"]).op::<Create>(&args).op::<GetFh>(&());
        self.run(compound).await.ok().get::<GetFh>().object
    }

    /// Writes all of `data` stably, in one WRITE.
    pub async fn write(&mut self, file: &OpenFile, offset: u64, data: &[u8]) {
        let args = Write4Args {
            stateid: file.stateid,
            offset,
            stable: StableHow4::FileSync,
            data: Opaque(Bytes::copy_from_slice(data)),
        };
        let compound = self.compound().op::<PutFh>(&put(&file.fh)).op::<Write>(&args);
        let written = self.run(compound).await.ok().get::<Write>();
        assert_eq!(usize::try_from(written.count), Ok(data.len()));
    }

    /// Reads once.
    pub async fn read(&mut self, file: &OpenFile, offset: u64, count: u32) -> Read4ResOk {
        let args = Read4Args { stateid: file.stateid, offset, count };
        let compound = self.compound().op::<PutFh>(&put(&file.fh)).op::<Read>(&args);
        self.run(compound).await.ok().get::<Read>()
    }
}
