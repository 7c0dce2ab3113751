use std::time::Duration;

use bytes::Bytes;
use dittofs_framework::compound::Limits;
use dittofs_framework::op::Operation;
use dittofs_framework::proto::*;
use dittofs_framework::registry::Registry;
use dittofs_framework::session::SessionLimits;
use dittofs_framework::testing::{Compound, CompoundReply};
use dittofs_framework::xdr::XdrDecode;
use dittofs_ops::create_session::CreateSession;
use dittofs_ops::destroy_session::{DestroySession, DestroySession4Args};
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_tests::*;

/// The lease of a [`TestServer`].
pub(crate) const LEASE: Duration = Duration::from_secs(90);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// A second less.
pub(crate) const ALMOST_LEASE: Duration = Duration::from_secs(89);

pub(crate) fn options(minor: Minor) -> SessionOptions {
    SessionOptions { minor, ..SessionOptions::default() }
}

/// A session of a client of its own, on a connection of its own.
pub(crate) async fn session(server: &TestServer, owner: &str, minor: Minor) -> Session {
    Client::connect(server).await.session_with(owner, options(minor)).await
}

/// A server with other limits of sessions.
pub(crate) async fn server_with(sessions: SessionLimits) -> TestServer {
    let limits = Limits { sessions, ..Limits::default() };
    TestServer::start_with(TestServerOptions { limits, ..TestServerOptions::default() }).await
}

/// A server with a gate before an operation.
pub(crate) async fn gated(opnum: OpNum) -> (TestServer, Gate) {
    let gate = Gate::default();
    let registry = Registry::linked().wrap(opnum, gate.clone());
    (TestServer::start_with(TestServerOptions { registry, ..TestServerOptions::default() }).await, gate)
}

/// The statuses of all results; the compound's must be the last.
pub(crate) fn statuses(reply: &CompoundReply) -> Vec<Status> {
    let all: Vec<_> = reply.results.iter().map(|result| result.status).collect();
    assert_eq!(reply.status, all.last().copied().unwrap_or(NFS4_OK));
    all
}

/// A compound that does nothing but PUTROOTFH, so many times.
pub(crate) fn roots(minor: Minor, count: usize) -> Compound {
    (0..count).fold(Compound::new(minor), |compound, _| compound.op::<PutRootFh>(&()))
}

/// A second session of the session's client, by the same connection: on `sequence` of the client's CREATE_SESSION slot.
pub(crate) async fn another_session(session: &mut Session, sequence: u32) -> SessionId {
    let args = create_session_args(session.clientid, sequence, &options(session.minor));
    let compound = session.compound().op::<CreateSession>(&args);
    session.client.run(&compound).await.ok().get::<CreateSession>().sessionid
}

/// DESTROY_SESSION alone.
pub(crate) fn destroy_session(minor: Minor, sessionid: SessionId) -> Compound {
    Compound::new(minor).op::<DestroySession>(&DestroySession4Args { sessionid })
}

/// Every way to cut the arguments of `O` off must be NFS4ERR_BADXDR; behind SEQUENCE or alone, as `wrap` has it.
pub(crate) async fn cut_off_is_bad_xdr<O: Operation<Res: XdrDecode>>(
    client: &mut Client,
    minor: Minor,
    args: &Bytes,
) {
    for cut in cut_off(args) {
        let reply = client.run(&Compound::new(minor).op_with_args::<O>(&cut)).await;
        assert_eq!(statuses(&reply), [NFS4ERR_BADXDR], "{} of {} bytes", cut.len(), args.len());
    }
}

/// A session whose replies have room for SEQUENCE and `results` that are an opnum and a status, and `more` bytes.
pub(crate) async fn narrow_session(
    server: &TestServer,
    owner: &str,
    minor: Minor,
    cache: CacheThis,
    bytes: u32,
) -> Session {
    let mut options = options(minor);
    match cache {
        CacheThis::Yes => options.fore_channel.max_response_size_cached = bytes,
        CacheThis::No => options.fore_channel.max_response_size = bytes,
    }
    // RECLAIM_COMPLETE is sent with sa_cachethis off, and has room in the narrowest session.
    Client::connect(server).await.session_with(owner, options).await
}

/// What a request gets whose reply is too long.
pub(crate) fn too_big(cache: CacheThis) -> Status {
    match cache {
        CacheThis::Yes => NFS4ERR_REP_TOO_BIG_TO_CACHE,
        CacheThis::No => NFS4ERR_REP_TOO_BIG,
    }
}
