//! The server in the same process: what a crash loses is dropped, what it leaves is kept.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::DerefMut;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use dittofs_backends::state_store::MemoryStateStore;
use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::callback::Callback;
use dittofs_framework::clock::TestClock;
use dittofs_framework::compound::{Limits, Nfs4Program, Nfs4Service};
use dittofs_framework::export::{ExportId, FilehandleKey, Namespace};
use dittofs_framework::fs::Credentials;
use dittofs_framework::proto::{Minor, Stateid};
use dittofs_framework::recovery::ReclaimRecord;
use dittofs_framework::rpc::{
    AuthFlavor, Connection, ConnectionId, Principal, RpcCall, RpcProgram, RpcReply,
};
use dittofs_framework::session::ServerIdentity;
use dittofs_framework::xdr::XdrWriter;
use dittofs_ops::getfh::GetFh;
use dittofs_ops::open::Open;

use super::model::Incarnation;
use super::policy::{Manner, Offer, Policy};
use super::request::{ClientNo, Handles, NameNo, name_of, owner_of};
use crate::{BOTH, LocalSession, fattr, open_args, walk};

/// What a server is started with, each time.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) lease: Duration,
    /// Files that there are from the beginning.
    pub(crate) files: usize,
    /// Whether it is on record who may reclaim.
    pub(crate) keeps_record: KeepsRecord,
    /// Which delegations are offered.
    pub(crate) policy: Arc<Policy>,
}

/// Whether clients can reclaim after a crash of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeepsRecord {
    Yes,
    No,
}

/// A server that can crash.
pub(crate) struct Server {
    fs: Arc<StoreFileSystem>,
    clock: Arc<TestClock>,
    settings: Settings,
    /// What outlives a crash, in worlds that have it.
    store: Option<Arc<MemoryStateStore>>,
    service: Arc<Nfs4Service>,
    boots: u32,
    connections: u64,
}

impl Server {
    /// Starts one with some empty files, and tells their handles.
    pub(crate) fn start(settings: Settings, clock: Arc<TestClock>) -> (Self, Handles) {
        let fs = Arc::new(
            StoreFileSystem::in_memory(MemoryOptions { root_mode: 0o777, ..MemoryOptions::default() })
                .expect("a share in memory"),
        );
        let policy = Arc::new(Policy::new(Manner::Never, 0));
        let generous = Settings { limits: Limits::default(), policy, ..settings.clone() };
        let service = boot(&fs, &clock, &generous, (1, None));
        let handles = make_files(&service, settings.files);
        let store = (settings.keeps_record == KeepsRecord::Yes).then(|| Arc::new(MemoryStateStore::new()));
        let mut server = Self { service, fs, clock, settings, store, boots: 1, connections: 0 };
        server.restart();
        (server, handles)
    }

    /// Another service on the same files. The one before is dropped without warning.
    pub(crate) fn restart(&mut self) {
        self.boots += 1;
        self.service = boot(&self.fs, &self.clock, &self.settings, (self.boots, self.store.clone()));
    }

    pub(crate) fn service(&self) -> &Nfs4Service {
        &self.service
    }

    /// A connection that was never used.
    pub(crate) fn connect(&mut self) -> Arc<Connection> {
        self.connections += 1;
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 700));
        Arc::new(Connection::new(ConnectionId(self.connections), peer))
    }

    /// Runs one COMPOUND to its end.
    pub(crate) fn call(&self, connection: &Arc<Connection>, (uid, xid): (u32, u32), args: Bytes) -> Bytes {
        let program = Arc::new(Nfs4Program::new(self.service.clone()));
        let credentials = Credentials { uid, gid: uid, ..Credentials::root() };
        let call = RpcCall {
            xid,
            version: *program.versions().start(),
            procedure: 1,
            principal: Principal { flavor: AuthFlavor::Sys, credentials },
            record_len: u32::try_from(args.len()).expect("a short request"),
            args,
            connection: connection.clone(),
            reply_header_len: 0,
        };
        match at_once(program.call(call, XdrWriter::new())) {
            (RpcReply::Success, writer) => writer.finish().to_bytes(),
            (reply, _) => panic!("the RPC is answered with {reply:?}"),
        }
    }

    /// Who would be able to reclaim if it crashed now.
    pub(crate) fn on_record(&self) -> Option<Vec<Incarnation>> {
        let recovered = self.store.as_ref()?.recovered();
        Some(recovered.clients.iter().map(incarnation).collect())
    }

    /// What the policy was asked since the last time.
    pub(crate) fn take_offers(&self) -> Vec<Offer> {
        self.settings.policy.take_offers()
    }

    /// The next thing that is to be called back.
    pub(crate) fn next_callback(&self) -> Option<Callback> {
        self.service.callbacks().outbox.try_next()
    }

    /// An administrator wants a delegation back.
    pub(crate) fn recall(&self, stateid: &Stateid) {
        at_once(std::pin::pin!(self.service.recall(stateid)));
    }

    /// The reaper comes by.
    pub(crate) fn reap(&self) {
        at_once(std::pin::pin!(self.service.reap()));
    }

    /// Checks the invariants of the state and of the clients.
    pub(crate) fn check(&self) {
        self.service.state().check_invariants().expect("the state's invariants");
        self.service.sessions().check_invariants();
        self.service.v4_0().clients.check_invariants();
    }
}

/// Nothing in a simulated server waits for anything.
fn at_once<T>(mut future: Pin<impl DerefMut<Target: Future<Output = T>>>) -> T {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the call waits"),
    }
}

fn boot(
    fs: &Arc<StoreFileSystem>,
    clock: &Arc<TestClock>,
    settings: &Settings,
    (boots, store): (u32, Option<Arc<MemoryStateStore>>),
) -> Arc<Nfs4Service> {
    let namespace =
        Namespace::builder().export(ExportId(1), "/export", fs.clone()).build().expect("an export");
    let builder = Nfs4Service::builder(namespace)
        .filehandle_key(FilehandleKey::from_bytes([7; 16]))
        .identity(ServerIdentity::new(b"simulated", boots))
        .limits(settings.limits.clone())
        .lease(settings.lease)
        .grace(settings.lease)
        .delegations(settings.policy.clone())
        .clock(clock.clone());
    let builder = match store {
        Some(store) => at_once(Box::pin(builder.recover(store))).expect("a store that works"),
        None => builder,
    };
    Arc::new(builder.build().expect("a service"))
}

/// More than there are clients in a world.
const MACHINES: usize = 16;

fn incarnation(record: &ReclaimRecord) -> Incarnation {
    let owner = (0..MACHINES).map(ClientNo).find(|no| owner_of(*no).as_bytes() == &*record.key.owner);
    Incarnation {
        owner: owner.expect("a machine of this world"),
        verifier: u64::from_be_bytes(record.verifier),
        uid: record.user.uid,
    }
}

fn make_files(service: &Arc<Nfs4Service>, files: usize) -> Handles {
    let mut session = LocalSession::open(service, Minor::V2);
    let dir = walk(session.compound(), &["export"]).op::<GetFh>(&());
    let dir = session.run(dir).ok().get::<GetFh>().object;
    let mode = fattr(&[(dittofs_framework::attr::FATTR4_MODE, &0o666u32)]);
    let how = dittofs_ops::open::OpenFlag4::Create(dittofs_ops::open::CreateHow4::Unchecked(mode));
    let make = |index| {
        let args = open_args(&name_of(NameNo(index)), BOTH, 0, "maker", how.clone());
        let compound = walk(session.compound(), &["export"]).op::<Open>(&args).op::<GetFh>(&());
        session.run(compound).ok().get::<GetFh>().object
    };
    Handles { dir, files: (0..files).map(make).collect() }
}
