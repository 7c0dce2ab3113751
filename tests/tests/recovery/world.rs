use std::sync::Arc;
use std::time::Duration;

use dittofs_backends::state_store::MemoryStateStore;
use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::compound::Limits;
use dittofs_framework::proto::*;
use dittofs_framework::recovery::StateStore;
use dittofs_framework::state::DelegationPolicy;
use dittofs_ops::lock::{Lock, Lock4Args};
use dittofs_ops::open::{Open, Open4Args, OpenClaim4, OpenDelegationType4, OpenFlag4};
use dittofs_ops::reclaim_complete::{ReclaimComplete, ReclaimComplete4Args};
use dittofs_tests::*;

pub(crate) const LEASE: Duration = Duration::from_secs(90);
pub(crate) const GRACE: Duration = Duration::from_secs(90);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// A second less.
pub(crate) const ALMOST_GRACE: Duration = Duration::from_secs(89);

/// What outlives an instance of the server.
pub(crate) struct World {
    fs: Arc<StoreFileSystem>,
    pub(crate) store: Arc<MemoryStateStore>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            fs: Arc::new(StoreFileSystem::in_memory(MemoryOptions::default()).expect("a share in memory")),
            store: Arc::new(MemoryStateStore::new()),
        }
    }

    pub(crate) async fn boot(&self) -> TestServer {
        self.boot_on(Some(self.store.clone())).await
    }

    /// With another store, or none.
    pub(crate) async fn boot_on(&self, store: Option<Arc<dyn StateStore>>) -> TestServer {
        let options = TestServerOptions { store, fs: self.fs.clone(), ..TestServerOptions::default() };
        TestServer::start_with(options).await
    }

    /// With another policy of delegations, and no patience for their return.
    pub(crate) async fn boot_with(&self, delegations: Option<Arc<dyn DelegationPolicy>>) -> TestServer {
        let mut limits = Limits::default();
        limits.state.recall_wait = Duration::ZERO;
        let store = Some(self.store.clone() as Arc<dyn StateStore>);
        let fs = self.fs.clone();
        let options = TestServerOptions { store, fs, delegations, limits, ..TestServerOptions::default() };
        TestServer::start_with(options).await
    }

    /// A world in which a client has `file` open, and the server then went down and up again.
    pub(crate) async fn after_open(minor: Minor) -> (Self, TestServer, NfsFh4) {
        let world = Self::new();
        let server = world.boot().await;
        let file = session(&server, "client", minor).await.open("file").await;
        let server = world.reboot(server).await;
        (world, server, file.fh)
    }

    /// The server ends without warning, and starts again.
    pub(crate) async fn reboot(&self, server: TestServer) -> TestServer {
        server.crash().await;
        self.boot().await
    }
}

fn options(minor: Minor) -> SessionOptions {
    SessionOptions { minor, ..SessionOptions::default() }
}

/// A client with nothing left to reclaim.
pub(crate) async fn session(server: &TestServer, owner: &str, minor: Minor) -> Session {
    Client::connect(server).await.session_with(owner, options(minor)).await
}

/// A client that comes back after a restart of the server.
pub(crate) async fn back(server: &TestServer, owner: &str, minor: Minor) -> Session {
    Client::connect(server).await.session_to_reclaim(owner, options(minor)).await
}

/// A client that comes back after it restarted itself.
pub(crate) async fn restarted(server: &TestServer, owner: &str, minor: Minor) -> Session {
    let options = SessionOptions { verifier: [9; 8], ..options(minor) };
    Client::connect(server).await.session_to_reclaim(owner, options).await
}

/// OPEN's arguments with CLAIM_PREVIOUS.
pub(crate) fn previous(access: u32, deny: u32) -> Open4Args {
    let claim = OpenClaim4::Previous(OpenDelegationType4::None);
    Open4Args { claim, ..open_args("", access, deny, "owner", OpenFlag4::NoCreate(())) }
}

/// LOCK's arguments with reclaim.
pub(crate) fn reclaim(args: Lock4Args) -> Lock4Args {
    Lock4Args { reclaim: true, ..args }
}

pub(crate) trait Steps {
    /// Reclaims an open for reading and writing.
    async fn reclaim(&mut self, fh: &NfsFh4) -> Result<OpenFile, Status>;
    /// Reclaims an open with other modes.
    async fn reclaim_as(&mut self, fh: &NfsFh4, access: u32, deny: u32) -> Result<OpenFile, Status>;
    /// Opens a file that is there.
    async fn try_open_new(&mut self, name: &str) -> Result<OpenFile, Status>;
    /// LOCK.
    async fn try_lock(&mut self, fh: &NfsFh4, args: &Lock4Args) -> Result<Stateid, Status>;
    /// RECLAIM_COMPLETE.
    async fn complete(&mut self) -> Status;
    /// Whether SEQUENCE says that there is something to reclaim.
    async fn is_told_to_reclaim(&mut self) -> bool;
}

impl Steps for Session {
    async fn reclaim(&mut self, fh: &NfsFh4) -> Result<OpenFile, Status> {
        self.reclaim_as(fh, BOTH, 0).await
    }

    async fn reclaim_as(&mut self, fh: &NfsFh4, access: u32, deny: u32) -> Result<OpenFile, Status> {
        let opened = self.run_on::<Open>(fh, &previous(access, deny)).await?;
        Ok(OpenFile { fh: fh.clone(), stateid: opened.stateid })
    }

    async fn try_open_new(&mut self, name: &str) -> Result<OpenFile, Status> {
        let args = open_args(name, BOTH, 0, "owner", OpenFlag4::NoCreate(()));
        let (fh, opened) = self.try_open(&["export"], &args).await?;
        Ok(OpenFile { fh, stateid: opened.stateid })
    }

    async fn try_lock(&mut self, fh: &NfsFh4, args: &Lock4Args) -> Result<Stateid, Status> {
        self.run_on::<Lock>(fh, args).await
    }

    async fn complete(&mut self) -> Status {
        let args = ReclaimComplete4Args { one_fs: false };
        self.run(self.compound().op::<ReclaimComplete>(&args)).await.status
    }

    async fn is_told_to_reclaim(&mut self) -> bool {
        self.sequence().await.status_flags.contains(SequenceStatus::RESTART_RECLAIM_NEEDED)
    }
}
