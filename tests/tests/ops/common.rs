//! What the tables share: a world with one file in it, objects that are no files, and stateids that are none.

use dittofs_framework::attr::FATTR4_CHANGE;
use dittofs_framework::op::Operation;
use dittofs_framework::proto::{
    Minor, NFS4ERR_BAD_STATEID, NFS4ERR_BADXDR, NFS4ERR_INVAL, NFS4ERR_ISDIR, NFS4ERR_NOFILEHANDLE,
    NFS4ERR_OLD_STATEID, NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, NfsFh4, SpecData, Stateid, Status, component,
};
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::{Opaque, XdrDecode, XdrEncode, encode_to_bytes};
use dittofs_ops::create::CreateType4;
use dittofs_ops::lock::NfsLockType4;
use dittofs_ops::putfh::{PutFh, Putfh4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_ops::setxattr::{SetXattr, SetXattr4Args, SetXattrOption4};
use dittofs_tests::{
    Client, LockRange, OpenFile, Session, SessionOptions, TestServer, TestServerOptions, mode_attr,
    size_attr, walk,
};

/// What is in the file at the beginning.
pub(crate) const CONTENT: &[u8] = b"0123456789";

/// A server, a session of root, and a file that root has open for reading and writing.
pub(crate) struct World {
    pub(crate) server: TestServer,
    pub(crate) session: Session,
    pub(crate) file: OpenFile,
}

impl World {
    /// In minor version 2.
    pub(crate) async fn new() -> Self {
        Self::with(TestServerOptions::default(), SessionOptions::default()).await
    }

    /// In this minor version.
    pub(crate) async fn of(minor: Minor) -> Self {
        let session = SessionOptions { minor, ..SessionOptions::default() };
        Self::with(TestServerOptions::default(), session).await
    }

    /// With these options.
    pub(crate) async fn with(server: TestServerOptions, session: SessionOptions) -> Self {
        let server = TestServer::start_with(server).await;
        let mut session = Client::connect(&server).await.session_with("client", session).await;
        let file = session.open("file").await;
        session.write(&file, 0, CONTENT).await;
        Self { server, session, file }
    }

    /// Runs an operation on an object.
    pub(crate) async fn run_on<O>(&mut self, fh: &NfsFh4, args: &O::Args) -> Result<O::Res, Status>
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        self.session.run_on::<O>(fh, args).await
    }

    /// Runs an operation on the file.
    pub(crate) async fn run<O>(&mut self, args: &O::Args) -> Result<O::Res, Status>
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let fh = self.file.fh.clone();
        self.run_on::<O>(&fh, args).await
    }

    /// Runs an operation again and again in one compound, until one fails for want of room.
    pub(crate) async fn fill_reply<O>(&mut self, args: &O::Args) -> Status
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let start = put(self.session.compound(), &self.file.fh);
        let compound = (0..16).fold(start, |compound, _| compound.op::<O>(args));
        self.session.run(compound).await.status
    }

    /// Sets the mode of the file.
    pub(crate) async fn chmod(&mut self, mode: u32) {
        let fh = self.file.fh.clone();
        self.chmod_of(&fh, mode).await;
    }

    /// Sets the mode of an object.
    pub(crate) async fn chmod_of(&mut self, fh: &NfsFh4, mode: u32) {
        let args = Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: mode_attr(mode) };
        self.run_on::<SetAttr>(fh, &args).await.expect("a mode");
    }

    /// Sets the size of the file.
    pub(crate) async fn truncate(&mut self, size: u64) {
        let args = Setattr4Args { stateid: self.file.stateid, obj_attributes: size_attr(size) };
        self.run::<SetAttr>(&args).await.expect("a size");
    }

    /// The change attribute of the file.
    pub(crate) async fn change(&mut self) -> u64 {
        let fh = self.file.fh.clone();
        self.session.attribute(&fh, FATTR4_CHANGE).await
    }

    /// Removes a name from the first share.
    pub(crate) async fn remove(&mut self, name: &str) {
        let compound = walk(self.session.compound(), &["export"]);
        let args = Remove4Args { target: component(name) };
        self.session.run(compound.op::<Remove>(&args)).await.ok();
    }

    /// Closes the file.
    pub(crate) async fn close(&mut self) {
        let file = self.file.clone();
        self.session.close(&file).await;
    }

    /// Sets an extended attribute of the file.
    pub(crate) async fn set_xattr(&mut self, name: &str, value: &str) {
        let fh = self.file.fh.clone();
        self.set_xattr_of(&fh, name, value).await;
    }

    /// Sets an extended attribute of an object.
    pub(crate) async fn set_xattr_of(&mut self, fh: &NfsFh4, name: &str, value: &str) {
        let (key, value) = (component(name), Opaque::from(value));
        let args = SetXattr4Args { option: SetXattrOption4::Either, key, value };
        self.run_on::<SetXattr>(fh, &args).await.expect("an extended attribute");
    }

    /// Checks what every operation does that works on an open file: without a filehandle, and with arguments that end too early.
    pub(crate) async fn refuses_without_handle_and_cut_short<O>(&mut self, args: &O::Args)
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let reply = self.session.run(self.session.compound().op::<O>(args)).await;
        assert_eq!(reply.status, NFS4ERR_NOFILEHANDLE);
        let start = put(self.session.compound(), &self.file.fh);
        self.refuses_cut_short::<O>(&start, args).await;
    }

    /// Likewise for an operation that works on the saved filehandle as well.
    pub(crate) async fn refuses_without_handles_and_cut_short<O>(&mut self, args: &O::Args)
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let reply = self.session.run(self.session.compound().op::<O>(args)).await;
        assert_eq!(reply.status, NFS4ERR_NOFILEHANDLE);
        let start = put(self.session.compound(), &self.file.fh);
        assert_eq!(self.session.run(start.clone().op::<O>(args)).await.status, NFS4ERR_NOFILEHANDLE);
        self.refuses_cut_short::<O>(&start.op::<SaveFh>(&()), args).await;
    }

    /// Checks that arguments that end too early are bad XDR, behind `start`.
    pub(crate) async fn refuses_cut_short<O>(&mut self, start: &Compound, args: &O::Args)
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let whole = encode_to_bytes(args);
        for len in (0..whole.len()).step_by(4) {
            let compound = start.clone().op_with_args::<O>(&whole[..len]);
            assert_eq!(self.session.run(compound).await.status, NFS4ERR_BADXDR, "cut to {len} bytes");
        }
    }

    /// Checks that arguments on the file are bad XDR when the word at one place is another.
    pub(crate) async fn refuses_word<O>(&mut self, args: &O::Args, at: usize, word: u32)
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let mut bytes = encode_to_bytes(args).to_vec();
        bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
        let compound = put(self.session.compound(), &self.file.fh).op_with_args::<O>(&bytes);
        assert_eq!(self.session.run(compound).await.status, NFS4ERR_BADXDR, "{word} at {at}");
    }

    /// Another client of the server.
    pub(crate) async fn client(&self, owner: &str) -> Session {
        Client::connect(&self.server).await.session(owner).await
    }

    /// An object that is no regular file.
    pub(crate) async fn object(&mut self, object: Object) -> NfsFh4 {
        let device = SpecData { specdata1: 1, specdata2: 3 };
        let what = match object {
            Object::Dir => CreateType4::Dir,
            Object::Symlink => CreateType4::Link(component("file")),
            Object::Fifo => CreateType4::Fifo,
            Object::Socket => CreateType4::Socket,
            Object::Block => CreateType4::Block(device),
            Object::Char => CreateType4::Char(device),
        };
        self.session.create("object", what, 0o755).await
    }

    /// A stateid that must be refused with [`Bogus::status`].
    pub(crate) async fn stateid(&mut self, bogus: Bogus) -> Stateid {
        let good = self.file.stateid;
        match bogus {
            Bogus::Garbage => Stateid { seqid: 1, other: *b"never issued" },
            Bogus::Invalid => Stateid::INVALID,
            Bogus::Future => Stateid { seqid: good.seqid + 1, ..good },
            Bogus::Old => {
                self.session.open("file").await;
                good
            }
            Bogus::OtherFile => self.session.open("another file").await.stateid,
            Bogus::OtherClient => {
                let mut other = Client::connect(&self.server).await.session("other client").await;
                other.open("file").await.stateid
            }
            Bogus::Closed => {
                let closing = self.session.open_as("file", dittofs_tests::BOTH, 0, "closing owner").await;
                self.session.close(&closing).await;
                closing.stateid
            }
            Bogus::NoCurrent => Stateid::CURRENT,
        }
    }

    /// A stateid that must be refused with [`Bogus::status`] where one of byte-range locks is needed.
    pub(crate) async fn lock_stateid(&mut self, bogus: Bogus) -> Stateid {
        const FAR: LockRange = (1000, 1);
        let file = match bogus {
            Bogus::Garbage | Bogus::Invalid | Bogus::NoCurrent => return self.stateid(bogus).await,
            Bogus::OtherFile => self.session.open("another file").await,
            Bogus::Closed => self.session.open_as("file", dittofs_tests::BOTH, 0, "closing owner").await,
            Bogus::OtherClient => {
                let mut other = self.client("other client").await;
                let file = other.open("file").await;
                return other.lock(&file, "locker", NfsLockType4::WriteLt, FAR).await;
            }
            Bogus::Future | Bogus::Old => self.file.clone(),
        };
        let lock = self.session.lock(&file, "locker", NfsLockType4::WriteLt, FAR).await;
        match bogus {
            Bogus::Future => return Stateid { seqid: lock.seqid + 1, ..lock },
            Bogus::Old => drop(self.session.unlock(&file.fh, lock, FAR).await),
            Bogus::Closed => self.session.close(&file).await,
            _ => {}
        }
        lock
    }

    /// A stateid for the file that is of no use where an open is needed: a special one, or one of byte-range locks.
    pub(crate) async fn no_open(&mut self, which: NoOpen) -> Stateid {
        match which {
            NoOpen::Anonymous => Stateid::ANONYMOUS,
            NoOpen::ReadBypass => Stateid::READ_BYPASS,
            NoOpen::Locks => {
                let file = self.file.clone();
                self.session.lock(&file, "locker", NfsLockType4::WriteLt, (0, 1)).await
            }
        }
    }

    /// A stateid of root's for the file, by an open with this access alone.
    pub(crate) async fn open_for(&mut self, access: u32) -> Stateid {
        self.session.open_as("file", access, 0, "another owner").await.stateid
    }

    /// Lets another client open the file and deny this access.
    pub(crate) async fn deny(&mut self, deny: u32) -> Session {
        self.close().await;
        let mut other = Client::connect(&self.server).await.session("denying client").await;
        other.open_as("file", dittofs_tests::READ, deny, "denying owner").await;
        other
    }

    /// The whole of the file.
    pub(crate) async fn content(&mut self) -> Vec<u8> {
        let file = self.file.clone();
        let read = self.session.read(&file, 0, 1 << 20).await;
        assert!(read.eof);
        read.data.to_vec()
    }

    /// Stops the server and checks the invariants of its state.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// Appends PUTFH.
pub(crate) fn put(compound: Compound, fh: &NfsFh4) -> Compound {
    compound.op::<PutFh>(&Putfh4Args { object: fh.clone() })
}

/// An object that is no regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object {
    Dir,
    Symlink,
    Fifo,
    Socket,
    Block,
    Char,
}

impl Object {
    /// What operations on data make of it (RFC 8881 section 18.22.3; RFC 7530 section 16.23.4).
    pub(crate) fn data_status(self, minor: Minor) -> Status {
        match (self, minor) {
            (Self::Dir, _) => NFS4ERR_ISDIR,
            (_, Minor::V0) => NFS4ERR_INVAL,
            (Self::Symlink, _) => NFS4ERR_SYMLINK,
            _ => NFS4ERR_WRONG_TYPE,
        }
    }
}

/// A stateid that an operation on the file must refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bogus {
    /// That no server issued.
    Garbage,
    /// The special one that is never valid (RFC 8881 section 8.2.3).
    Invalid,
    /// With a seqid that the server has not come to.
    Future,
    /// With a seqid that was succeeded.
    Old,
    /// Of an open of another file.
    OtherFile,
    /// Of another client's open of the file.
    OtherClient,
    /// Of an open that was closed.
    Closed,
    /// The special one for the current stateid, where there is none.
    NoCurrent,
}

impl Bogus {
    /// What it is refused with (RFC 8881 section 8.2.4).
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Old => NFS4ERR_OLD_STATEID,
            _ => NFS4ERR_BAD_STATEID,
        }
    }
}

/// A stateid that is good in other operations than those that need the one of an open (RFC 8881 section 8.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoOpen {
    /// The anonymous one.
    Anonymous,
    /// The READ bypass one.
    ReadBypass,
    /// Of byte-range locks on the file.
    Locks,
}
