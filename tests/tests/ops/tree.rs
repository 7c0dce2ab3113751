//! What the tables of the operations on names and attributes share: one object of each kind, and ways to run an operation on it.

use dittofs_framework::attr::{Bitmap, FATTR4_CHANGE};
use dittofs_framework::op::Operation;
use dittofs_framework::proto::{
    ChangeInfo, Component4, NFS4ERR_BADCHAR, NFS4ERR_BADNAME, NFS4ERR_BADXDR, NFS4ERR_INVAL,
    NFS4ERR_NAMETOOLONG, NFS4ERR_NOFILEHANDLE, NFS4ERR_STALE, NfsFh4, SpecData, Status, component,
};
use dittofs_framework::testing::{Compound, CompoundReply};
use dittofs_framework::xdr::{Opaque, XdrDecode, XdrEncode, decode_all, encode_to_bytes};
use dittofs_ops::create::CreateType4;
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::restorefh::RestoreFh;
use dittofs_ops::savefh::SaveFh;
pub(crate) use dittofs_tests::fattr;
use dittofs_tests::{Client, Session, SessionOptions, TestServer, TestServerOptions, walk};

/// The kind of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Dir,
    Symlink,
    Block,
    Char,
    Fifo,
    Socket,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] =
        [Self::File, Self::Dir, Self::Symlink, Self::Block, Self::Char, Self::Fifo, Self::Socket];

    /// createtype4 of it, unless OPEN creates it.
    pub(crate) fn create_type(self) -> Option<CreateType4> {
        let device = SpecData { specdata1: 1, specdata2: 3 };
        Some(match self {
            Self::File => return None,
            Self::Dir => CreateType4::Dir,
            Self::Symlink => CreateType4::Link(component("target")),
            Self::Block => CreateType4::Block(device),
            Self::Char => CreateType4::Char(device),
            Self::Fifo => CreateType4::Fifo,
            Self::Socket => CreateType4::Socket,
        })
    }
}

/// Names that no component may have, and what they are refused with.
pub(crate) const BAD_NAMES: [(&[u8], Status); 6] = [
    (b"", NFS4ERR_INVAL),
    (b".", NFS4ERR_BADNAME),
    (b"..", NFS4ERR_BADNAME),
    (b"a/b", NFS4ERR_BADCHAR),
    (b"a\0b", NFS4ERR_BADCHAR),
    (&[b'x'; 256], NFS4ERR_NAMETOOLONG),
];

/// A component of any bytes.
pub(crate) fn name(bytes: &[u8]) -> Component4 {
    Opaque::from(bytes)
}

/// A server and a session of root; the share is `/export`.
pub(crate) struct Tree {
    pub(crate) server: TestServer,
    pub(crate) session: Session,
}

impl Tree {
    /// In minor version 2.
    pub(crate) async fn new() -> Self {
        Self::with(TestServerOptions::default(), SessionOptions::default()).await
    }

    /// With these options.
    pub(crate) async fn with(server: TestServerOptions, session: SessionOptions) -> Self {
        let server = TestServer::start_with(server).await;
        let session = Client::connect(&server).await.session_with("client", session).await;
        Self { server, session }
    }

    /// Makes an object in the share.
    pub(crate) async fn make(&mut self, name: &str, kind: Kind) -> NfsFh4 {
        match kind.create_type() {
            Some(what) => self.session.create(name, what, 0o755).await,
            None => self.session.open(name).await.fh,
        }
    }

    /// A compound that begins with this path.
    pub(crate) fn at(&self, path: &[&str]) -> Compound {
        walk(self.session.compound(), path)
    }

    /// Runs an operation on the object at a path.
    pub(crate) async fn run<O>(&mut self, path: &[&str], args: &O::Args) -> Result<O::Res, Status>
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let compound = self.at(path).op::<O>(args);
        let reply = self.session.run(compound).await;
        result_of::<O>(&reply)
    }

    /// Runs an operation with the object at one path saved and the one at the other current.
    pub(crate) async fn run_saved<O>(
        &mut self,
        saved: &[&str],
        current: &[&str],
        args: &O::Args,
    ) -> Result<O::Res, Status>
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let compound = walk(self.at(saved).op::<SaveFh>(&()), current).op::<O>(args);
        let reply = self.session.run(compound).await;
        result_of::<O>(&reply)
    }

    /// Runs an operation on an object of each kind: the kinds, and how it went.
    pub(crate) async fn statuses<O>(&mut self, args: &O::Args) -> Vec<(Kind, Status)>
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let mut statuses = Vec::new();
        for kind in Kind::ALL {
            self.make("object", kind).await;
            let compound = self.at(&["export", "object"]).op::<O>(args);
            statuses.push((kind, self.session.run(compound).await.status));
            self.remove("object").await;
        }
        statuses
    }

    /// Removes a name from the share.
    pub(crate) async fn remove(&mut self, name: &str) -> ChangeInfo {
        let args = Remove4Args { target: component(name) };
        self.run::<Remove>(&["export"], &args).await.expect("removed").cinfo
    }

    /// Checks what every operation does that needs a current filehandle: without one, with one whose object is gone if it
    /// asks the file system at all, and with arguments that end too early.
    pub(crate) async fn check_common<O>(&mut self, args: &O::Args, asks: Asks)
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let reply = self.session.run(self.session.compound().op::<O>(args)).await;
        assert_eq!(reply.status, NFS4ERR_NOFILEHANDLE);
        let whole = encode_to_bytes(args);
        for len in (0..whole.len()).step_by(4) {
            let compound = self.at(&["export"]).op_with_args::<O>(&whole[..len]);
            assert_eq!(self.session.run(compound).await.status, NFS4ERR_BADXDR, "cut to {len} bytes");
        }
        if asks == Asks::FileSystem {
            self.session.mkdir("gone").await;
            let compound = self.at(&["export", "gone"]).op::<SaveFh>(&());
            let removal = Remove4Args { target: component("gone") };
            let compound = walk(compound, &["export"]).op::<Remove>(&removal);
            let compound = compound.op::<RestoreFh>(&()).op::<O>(args);
            assert_eq!(self.session.run(compound).await.status, NFS4ERR_STALE);
        }
    }

    /// The raw values of one attribute of the object at a path.
    pub(crate) async fn attribute<T: XdrDecode>(&mut self, path: &[&str], number: u32) -> T {
        let args = Getattr4Args { attr_request: Bitmap::of(&[number]) };
        let fattr = self.run::<GetAttr>(path, &args).await.expect("attributes").obj_attributes;
        decode_all(&fattr.attr_vals.0).expect("the attribute's value")
    }

    /// The change attribute of the share's root.
    pub(crate) async fn change(&mut self) -> u64 {
        self.attribute(&["export"], FATTR4_CHANGE).await
    }

    /// Stops the server and checks the invariants of its state.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// Whether an operation asks the file system about the current filehandle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    FileSystem,
    Nobody,
}

/// What the last operation of a compound answered.
pub(crate) fn result_of<O>(reply: &CompoundReply) -> Result<O::Res, Status>
where
    O: Operation<Res: XdrDecode>,
{
    if !reply.status.is_ok() {
        let last = reply.results.last().expect("a result");
        assert_eq!(last.opnum, O::DESCRIPTOR.opnum, "another operation failed with {}", reply.status);
        return Err(reply.status);
    }
    let last = reply.results.last().expect("a result");
    Ok(decode_all(&last.body).expect("a good answer"))
}

/// The statuses of all kinds where they differ by kind.
pub(crate) fn by_kind(status: impl Fn(Kind) -> Status) -> Vec<(Kind, Status)> {
    Kind::ALL.into_iter().map(|kind| (kind, status(kind))).collect()
}
