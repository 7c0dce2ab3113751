use std::sync::Arc;
use std::time::Duration;

use super::DuplicateLimits;
use super::dir_change::DirTurns;
use super::duplicates::Duplicates;
use super::notices::Notices;
use super::predecessors::{Predecessors, RestartedClients};
use super::returns::Returns;
use super::unsettled::Unsettled;
use super::upcalls::UpcallQueue;
use crate::attr::{IdMapper, NumericIds};
use crate::callback::{CallbackAddresses, CallbackLimits, Callbacks, Dialer, Dialing};
use crate::client::ClientIds;
use crate::clock::{Clock, SystemClock};
use crate::export::{FilehandleKey, Filehandles, Namespace};
use crate::proto::{Minor, Offers, OpenArguments4};
use crate::recovery::{Grace, Recovered, Recovery, StateStore, StoreError};
use crate::registry::{OpTable, Registry, RegistryError};
use crate::server::TcpDialer;
use crate::session::{ServerIdentity, SessionCore, SessionLimits};
use crate::state::{DelegationPolicy, GrantWhenUncontended, NotifyLimits, StateLimits, StateTable};
use crate::v4_0::{ClientTable, Owners, V4_0, V4_0Limits};

/// Every limit of the NFSv4 service. Those of connections are in [`ServerLimits`](crate::server::ServerLimits).
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most bytes of one READ or WRITE.
    pub max_io: u32,
    /// Most bytes of the tag of a COMPOUND; a longer one is NFS4ERR_REQ_TOO_BIG. Every slot keeps the tag of its last
    /// request, as a part of the reply.
    pub max_tag: u32,
    /// Clients and sessions.
    pub sessions: SessionLimits,
    /// Opens and locks.
    pub state: StateLimits,
    /// Word to clients of changes in directories, and from file systems.
    pub notifications: NotifyLimits,
    /// What is remembered of the requests of NFSv4.0, for when they are sent again.
    pub duplicates: DuplicateLimits,
    /// What sessions negotiate and minor version 0 cannot.
    pub v4_0: V4_0Limits,
    /// Calls to clients.
    pub callbacks: CallbackLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_io: 1 << 20,
            max_tag: 1024,
            sessions: SessionLimits::default(),
            state: StateLimits::default(),
            notifications: NotifyLimits::default(),
            duplicates: DuplicateLimits::default(),
            v4_0: V4_0Limits::default(),
            callbacks: CallbackLimits::default(),
        }
    }
}

/// Why a service cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The operations.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The system gave no randomness.
    #[error("no randomness from the system: {0}")]
    Randomness(#[from] getrandom::Error),
}

/// The NFSv4 server without its network: operations, exports, clients and their state.
pub struct Nfs4Service {
    pub(crate) ops: OpTable,
    pub(crate) minors: Vec<Minor>,
    pub(crate) namespace: Namespace,
    pub(crate) filehandles: Filehandles,
    pub(crate) ids: Arc<dyn IdMapper>,
    pub(crate) limits: Limits,
    pub(crate) lease: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sessions: SessionCore,
    pub(crate) state: StateTable,
    pub(super) duplicates: Duplicates,
    pub(super) v4_0: Box<V4_0>,
    pub(super) recovery: Recovery,
    pub(super) unsettled: Unsettled,
    pub(crate) callbacks: Callbacks,
    /// Who waits for delegations.
    pub(super) returns: Returns,
    /// Who changes directories that clients are told of.
    pub(super) dir_turns: DirTurns,
    pub(super) notices: Notices,
    pub(super) upcalls: Arc<UpcallQueue>,
    pub(super) delegation_policy: Arc<dyn DelegationPolicy>,
    /// What OPEN takes, in minor versions 1 and 2.
    pub(super) open_arguments: [OpenArguments4; 2],
    pub(super) predecessors: Predecessors,
}

impl Nfs4Service {
    /// Starts a service of these exports.
    pub fn builder(namespace: Namespace) -> Nfs4ServiceBuilder {
        Nfs4ServiceBuilder {
            namespace,
            registry: Registry::linked(),
            minors: Minor::ALL.to_vec(),
            key: None,
            ids: Arc::new(NumericIds),
            identity: None,
            clock: Arc::new(SystemClock::default()),
            limits: Limits::default(),
            lease: Duration::from_secs(90),
            grace: Duration::from_secs(90),
            recovered: None,
            dialer: None,
            callback_addresses: CallbackAddresses::default(),
            delegation_policy: Arc::new(GrantWhenUncontended),
            restarted_clients: RestartedClients::default(),
        }
    }

    /// Whether compounds of this minor version are served.
    pub fn serves(&self, minor: Minor) -> bool {
        self.minors.contains(&minor)
    }

    /// The operations.
    pub fn ops(&self) -> &OpTable {
        &self.ops
    }

    /// The tree of exports.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What makes and reads wire filehandles.
    pub fn filehandles(&self) -> &Filehandles {
        &self.filehandles
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Clients and their sessions.
    pub fn sessions(&self) -> &SessionCore {
        &self.sessions
    }

    /// The clients of minor version 0 and their owners.
    pub fn v4_0(&self) -> &V4_0 {
        &self.v4_0
    }

    /// The opens and locks of all clients.
    pub fn state(&self) -> &StateTable {
        &self.state
    }

    /// What clients are called back for.
    pub fn callbacks(&self) -> &Callbacks {
        &self.callbacks
    }

    /// Which delegations are offered.
    pub fn delegation_policy(&self) -> &dyn DelegationPolicy {
        &*self.delegation_policy
    }

    /// The lease.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// The lease in whole seconds, as clients are told.
    pub fn lease_seconds(&self) -> u32 {
        u32::try_from(self.lease.as_secs()).unwrap_or(u32::MAX)
    }
}

/// Builds an [`Nfs4Service`].
pub struct Nfs4ServiceBuilder {
    namespace: Namespace,
    registry: Registry,
    minors: Vec<Minor>,
    key: Option<FilehandleKey>,
    ids: Arc<dyn IdMapper>,
    identity: Option<ServerIdentity>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    lease: Duration,
    grace: Duration,
    recovered: Option<(Arc<dyn StateStore>, Recovered)>,
    dialer: Option<Arc<dyn Dialer>>,
    callback_addresses: CallbackAddresses,
    delegation_policy: Arc<dyn DelegationPolicy>,
    restarted_clients: RestartedClients,
}

impl Nfs4ServiceBuilder {
    /// The operations; by default all of the linked crates.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// The minor versions that are served; by default all of them.
    pub fn minors(mut self, minors: &[Minor]) -> Self {
        self.minors = minors.to_vec();
        self
    }

    /// The key that filehandles are signed with; by default a new one, with which handles do not outlive the process.
    pub fn filehandle_key(mut self, key: FilehandleKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Names of users and groups; by default their numbers.
    pub fn ids(mut self, ids: Arc<dyn IdMapper>) -> Self {
        self.ids = ids;
        self
    }

    /// Who the server is to its clients; by default nobody who was known before.
    pub fn identity(mut self, identity: ServerIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The clock of leases; by default the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What connects to the clients of minor version 0 that are called back; by default a [`TcpDialer`].
    pub fn dialer(mut self, dialer: Arc<dyn Dialer>) -> Self {
        self.dialer = Some(dialer);
        self
    }

    /// To which addresses it connects; by default to none but the client's own.
    pub fn callback_addresses(mut self, addresses: CallbackAddresses) -> Self {
        self.callback_addresses = addresses;
        self
    }

    /// The lease; by default 90 seconds.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Which delegations are offered; by default one to each client that can be called back.
    pub fn delegations(mut self, policy: Arc<dyn DelegationPolicy>) -> Self {
        self.delegation_policy = policy;
        self
    }

    /// What becomes of the delegations of a client that restarts; by default they are lost.
    pub fn restarted_clients(mut self, policy: RestartedClients) -> Self {
        self.restarted_clients = policy;
        self
    }

    /// How long clients have to reclaim after a restart, at most; by default 90 seconds. At least the lease that the server had
    /// before (RFC 8881 section 8.4.2.1).
    pub fn grace(mut self, period: Duration) -> Self {
        self.grace = period;
        self
    }

    /// Begins where the instance of the server before left off: its clients may reclaim, and those of this one are recorded. The boot
    /// epoch of the [identity](Self::identity) becomes the store's.
    ///
    /// Without a store nobody may reclaim and there is no grace period: right for files that do not outlive the process.
    ///
    /// # Errors
    /// The store's. A server that starts all the same, without it, would have to forget its clients for good.
    pub async fn recover(mut self, store: Arc<dyn StateStore>) -> Result<Self, StoreError> {
        let recovered = store.begin().await?;
        self.recovered = Some((store, recovered));
        Ok(self)
    }

    /// Builds the service. The grace period, if there is one, begins.
    pub fn build(self) -> Result<Nfs4Service, BuildError> {
        let key = match self.key {
            Some(key) => key,
            None => FilehandleKey::random()?,
        };
        let mut identity = match self.identity {
            Some(identity) => identity,
            None => ServerIdentity::new(&random()?, getrandom::u32()?),
        };
        let recovery = match self.recovered {
            Some((store, Recovered { boot_epoch, clients })) => {
                identity.boot_epoch = boot_epoch;
                let grace = Grace::new(self.clock.now(), self.grace, clients.clone());
                Recovery::new(store, grace, &clients)
            }
            None => Recovery::none(),
        };
        let epoch = identity.boot_epoch;
        let client_ids = Arc::new(ClientIds::new(epoch));
        let most_clients = self.limits.sessions.clients;
        let dialer = self.dialer.unwrap_or_else(|| Arc::new(TcpDialer::new(self.limits.v4_0.dial.clone())));
        let v4_0 = V4_0 {
            clients: ClientTable::new(client_ids.clone(), most_clients, self.lease, random()?),
            owners: Owners::new(self.limits.v4_0.clone()),
            dialing: Dialing { dialer, addresses: self.callback_addresses },
        };
        let notices = Notices::new(&self.limits.notifications);
        let upcalls = UpcallQueue::new(self.limits.notifications.upcalls);
        let service = Nfs4Service {
            ops: self.registry.build()?,
            minors: self.minors,
            namespace: self.namespace,
            filehandles: Filehandles::new(key),
            ids: self.ids,
            clock: self.clock,
            sessions: SessionCore::new(
                identity,
                self.limits.sessions.clone(),
                self.lease,
                client_ids,
                random()?,
            ),
            // Stateids of an earlier instance of the server are of another epoch.
            state: StateTable::new(epoch, self.limits.state.clone()),
            v4_0: Box::new(v4_0),
            duplicates: Duplicates::new(&self.limits.duplicates, random()?),
            limits: self.limits,
            lease: self.lease,
            recovery,
            unsettled: Unsettled::default(),
            returns: Returns::default(),
            dir_turns: DirTurns::default(),
            notices,
            upcalls,
            open_arguments: open_arguments(&*self.delegation_policy, self.restarted_clients),
            delegation_policy: self.delegation_policy,
            predecessors: Predecessors::new(self.restarted_clients),
            callbacks: Callbacks::default(),
        };
        service.upcalls.watch(&service.namespace);
        service.announce_grace(self.grace);
        Ok(service)
    }
}

fn open_arguments(policy: &dyn DelegationPolicy, restarted: RestartedClients) -> [OpenArguments4; 2] {
    let mut offers = Offers::empty();
    if policy.is_enabled() {
        offers |= Offers::DELEGATIONS;
        offers.set(Offers::TIMESTAMPS, policy.offers_timestamps());
        offers.set(Offers::PREVIOUS, restarted == RestartedClients::KeepDelegations);
    }
    [Minor::V1, Minor::V2].map(|minor| OpenArguments4::of(minor, offers))
}

fn random() -> Result<[u8; 16], getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
