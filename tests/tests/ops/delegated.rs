//! What the tables of delegations share: a server that gives one to whoever asks, without asking whether it can be called back, and
//! two clients of it. What crosses the wire in callbacks is tested where clients answer them.

use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::compound::Limits;
use dittofs_framework::op::Operation;
use dittofs_framework::proto::{Minor, Stateid, Status};
use dittofs_framework::state::StateLimits;
use dittofs_framework::xdr::{XdrDecode, XdrEncode};
use dittofs_ops::delegreturn::{DelegReturn, Delegreturn4Args};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::open::{
    OPEN4_SHARE_ACCESS_WANT_NO_DELEG, Open, Open4Args, Open4ResOk, OpenClaim4, OpenFlag4,
};
use dittofs_ops::write::{Write, Write4Args};
use dittofs_tests::{
    Client, OfferAlways, OpenFile, READ, Session, SessionOptions, TestServer, TestServerOptions, WRITE,
    open_args, unchecked, walk,
};

/// What is in the file at the beginning.
pub(crate) const CONTENT: &[u8] = b"0123456789";

/// A server and two of its clients.
pub(crate) struct Delegated {
    pub(crate) server: TestServer,
    /// Who is given delegations.
    pub(crate) holder: Session,
    /// Who is not.
    pub(crate) other: Session,
}

/// A file that is delegated.
pub(crate) struct Held {
    /// As it is open; the anonymous stateid if it is not.
    pub(crate) file: OpenFile,
    /// The delegation.
    pub(crate) stateid: Stateid,
}

pub(crate) fn options() -> TestServerOptions {
    let state = StateLimits { recall_wait: Duration::ZERO, ..StateLimits::default() };
    TestServerOptions {
        limits: Limits { state, ..Limits::default() },
        delegations: Some(Arc::new(OfferAlways)),
        ..TestServerOptions::default()
    }
}

impl Delegated {
    /// In minor version 2.
    pub(crate) async fn new() -> Self {
        Self::of(Minor::V2).await
    }

    /// In this minor version.
    pub(crate) async fn of(minor: Minor) -> Self {
        Self::with(options(), minor).await
    }

    /// On this server.
    pub(crate) async fn with(server: TestServerOptions, minor: Minor) -> Self {
        let server = TestServer::start_with(server).await;
        let session = |name| {
            let options = SessionOptions { minor, ..SessionOptions::default() };
            let server = &server;
            async move { Client::connect(server).await.session_with(name, options).await }
        };
        let (holder, mut other) = (session("holder").await, session("other").await);
        let file = other.open_as("file", READ | WRITE | OPEN4_SHARE_ACCESS_WANT_NO_DELEG, 0, "maker").await;
        other.write(&file, 0, CONTENT).await;
        other.close(&file).await;
        Self { server, holder, other }
    }

    /// Lets the holder open the file, with these bits of share_access, and take the delegation that comes with it.
    pub(crate) async fn delegate(&mut self, share_access: u32) -> Held {
        let (file, answer) = open(&mut self.holder, share_access).await.expect("an open");
        let stateid = answer.delegation.stateid().expect("a delegation");
        Held { file, stateid }
    }

    /// Runs an operation of the holder on the file.
    pub(crate) async fn run<O>(&mut self, held: &Held, args: &O::Args) -> Result<O::Res, Status>
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        self.holder.run_on::<O>(&held.file.fh, args).await
    }

    /// Returns a delegation.
    pub(crate) async fn give_back(&mut self, held: &Held) -> Result<(), Status> {
        let args = Delegreturn4Args { deleg_stateid: held.stateid };
        self.run::<DelegReturn>(held, &args).await
    }

    /// Whether the return of a delegation is waited for; `None` if it is gone.
    pub(crate) fn is_recalled(&self, held: &Held) -> Option<bool> {
        let views = self.server.service.state().delegations(None, None, usize::MAX);
        let view = views.iter().find(|view| view.stateid == held.stateid)?;
        Some(view.recalled_at.is_some())
    }

    /// Stops the server and checks the invariants of its state.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// OPEN of the file by name, with these bits of share_access.
pub(crate) async fn open(session: &mut Session, share_access: u32) -> Result<(OpenFile, Open4ResOk), Status> {
    open_with(session, &open_args("file", share_access, 0, "opener", OpenFlag4::NoCreate(()))).await
}

/// OPEN in the first share.
pub(crate) async fn open_with(
    session: &mut Session,
    args: &Open4Args,
) -> Result<(OpenFile, Open4ResOk), Status> {
    let compound = walk(session.compound(), &["export"]).op::<Open>(args).op::<GetFh>(&());
    let reply = session.run(compound).await;
    if !reply.status.is_ok() {
        return Err(reply.status);
    }
    let answer = reply.get::<Open>();
    Ok((OpenFile { fh: reply.get::<GetFh>().object, stateid: answer.stateid }, answer))
}

/// OPEN of the file by another claim.
pub(crate) fn claiming(claim: OpenClaim4, share_access: u32) -> Open4Args {
    Open4Args { claim, ..open_args("", share_access, 0, "claimer", OpenFlag4::NoCreate(())) }
}

/// OPEN that empties the file.
pub(crate) fn truncating(share_access: u32) -> Open4Args {
    use dittofs_ops::open::CreateHow4;
    let how = OpenFlag4::Create(CreateHow4::Unchecked(dittofs_tests::size_attr(0)));
    open_args("file", share_access, 0, "truncating owner", how)
}

/// OPEN that makes a new file.
pub(crate) fn making(name: &str, share_access: u32) -> Open4Args {
    open_args(name, share_access, 0, "maker", unchecked())
}

/// WRITE's arguments.
pub(crate) fn write_args(stateid: Stateid, data: &'static [u8]) -> Write4Args {
    use dittofs_framework::xdr::Opaque;
    Write4Args {
        stateid,
        offset: 0,
        stable: dittofs_ops::io::StableHow4::FileSync,
        data: Opaque(data.into()),
    }
}

/// WRITE with this stateid.
pub(crate) async fn try_write(
    session: &mut Session,
    file: &OpenFile,
    stateid: Stateid,
) -> Result<(), Status> {
    session.run_on::<Write>(&file.fh, &write_args(stateid, b"xyz")).await.map(drop)
}
