use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::callback::CallbackAddresses;
use dittofs_framework::clock::TestClock;
use dittofs_framework::compound::{Limits, Nfs4Service, RestartedClients};
use dittofs_framework::export::{ExportId, FilehandleKey, Namespace};
use dittofs_framework::fs::FileSystem;
use dittofs_framework::nfs_server::NfsServer;
use dittofs_framework::proto::{Fsid, Minor};
use dittofs_framework::recovery::StateStore;
use dittofs_framework::registry::Registry;
use dittofs_framework::server::ServerLimits;
use dittofs_framework::state::DelegationPolicy;
use dittofs_ops as _;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How a [`TestServer`] is set up.
pub struct TestServerOptions {
    /// The operations.
    pub registry: Registry,
    /// The minor versions that are served, if not those that the service would serve by itself.
    pub minors: Option<Vec<Minor>>,
    /// The limits of the service.
    pub limits: Limits,
    /// To which addresses it connects for callbacks of minor version 0.
    pub callback_addresses: CallbackAddresses,
    /// The limits of its connections.
    pub server_limits: ServerLimits,
    /// The lease, in the time of the test clock.
    pub lease: Duration,
    /// Where clients are recorded that may reclaim after a restart.
    pub store: Option<Arc<dyn StateStore>>,
    /// How long they may, in the time of the test clock.
    pub grace: Duration,
    /// Which delegations are offered, if not those that the service would offer by itself.
    pub delegations: Option<Arc<dyn DelegationPolicy>>,
    /// What becomes of the delegations of clients that restart.
    pub restarted_clients: RestartedClients,
    /// What filehandles are signed with: the same for all instances of a server.
    pub filehandle_key: FilehandleKey,
    /// Served as `/export`.
    pub fs: Arc<dyn FileSystem>,
    /// Served as `/other`.
    pub other: Arc<dyn FileSystem>,
}

/// An empty share in memory, with nothing special about it.
pub fn share_in_memory() -> Arc<StoreFileSystem> {
    Arc::new(StoreFileSystem::in_memory(MemoryOptions::default()).expect("a share in memory"))
}

impl Default for TestServerOptions {
    fn default() -> Self {
        let memory = |minor| {
            let fsid = Fsid { major: 1, minor };
            Arc::new(
                StoreFileSystem::in_memory(MemoryOptions { fsid, ..MemoryOptions::default() })
                    .expect("a share in memory"),
            )
        };
        Self {
            registry: Registry::linked(),
            minors: None,
            limits: Limits::default(),
            callback_addresses: CallbackAddresses::default(),
            server_limits: ServerLimits::default(),
            lease: Duration::from_secs(90),
            store: None,
            grace: Duration::from_secs(90),
            delegations: None,
            restarted_clients: RestartedClients::default(),
            filehandle_key: FilehandleKey::from_bytes([7; 16]),
            fs: memory(0),
            other: memory(1),
        }
    }
}

/// A server on a free port of the loopback interface, with two memory shares and a clock that the test moves.
pub struct TestServer {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The service, to look at its state.
    pub service: Arc<Nfs4Service>,
    /// The clock of its leases.
    pub clock: Arc<TestClock>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl TestServer {
    /// Starts one with the defaults.
    pub async fn start() -> Self {
        Self::start_with(TestServerOptions::default()).await
    }

    /// Starts one with these options.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn start_with(options: TestServerOptions) -> Self {
        let namespace = Namespace::builder()
            .export(ExportId(1), "/export", options.fs)
            .export(ExportId(2), "/other", options.other)
            .build()
            .expect("two exports");
        let clock = Arc::new(TestClock::default());
        let mut builder = Nfs4Service::builder(namespace)
            .registry(options.registry)
            .limits(options.limits)
            .callback_addresses(options.callback_addresses)
            .lease(options.lease)
            .grace(options.grace)
            .filehandle_key(options.filehandle_key)
            .restarted_clients(options.restarted_clients)
            .clock(clock.clone());
        if let Some(minors) = options.minors {
            builder = builder.minors(&minors);
        }
        if let Some(policy) = options.delegations {
            builder = builder.delegations(policy);
        }
        if let Some(store) = options.store {
            builder = builder.recover(store).await.expect("a store");
        }
        let service = Arc::new(builder.build().expect("a service"));
        let server = NfsServer::bind_with(service.clone(), "127.0.0.1:0", options.server_limits)
            .await
            .expect("a free port");
        let addr = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async move {
            server.serve(async move { drop(stopped.await) }).await;
        });
        Self { addr, service, clock, stop, running }
    }

    /// Ends it without warning: nothing that it has in memory is put anywhere.
    pub async fn crash(self) {
        self.running.abort();
        drop(self.running.await);
    }

    /// Stops it, after a last look at the invariants of its state.
    ///
    /// # Panics
    /// If an invariant does not hold, or the server failed.
    pub async fn stop(self) {
        self.service.state().check_invariants().expect("the state's invariants");
        self.service.sessions().check_invariants();
        self.service.v4_0().clients.check_invariants();
        self.service.v4_0().owners.check_invariants();
        drop(self.stop);
        self.running.await.expect("a good end");
    }
}
