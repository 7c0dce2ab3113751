use std::io::{self, IsTerminal};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dittofs::api::{ApiServer, Phase};
use dittofs_framework::callback::CallbackAddresses;
use dittofs_framework::compound::{BuildError, Nfs4Service, Nfs4ServiceBuilder};
use dittofs_framework::export::NamespaceError;
use dittofs_framework::nfs_server::NfsServer;
use dittofs_framework::recovery::StoreError;
use dittofs_framework::registry::RegistryError;
use dittofs_framework::server::{BindError, Drained, ServerLimits};
use dittofs_framework::state::NoDelegations;
use dittofs_ops as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::cli::StartOptions;
use crate::data_dir::{DataDir, DataDirError, default_place};
use crate::storage::{Storage, StorageError, Wanted};
use crate::{identity, recovery};

const MIB: u64 = 1 << 20;

/// Why the server did not start, or did not end well.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, BindError),
    #[error("cannot listen on {0} for the API: {1}")]
    BindApi(SocketAddr, io::Error),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("who may reclaim after the restart is not known: {0}")]
    StateStore(#[from] StoreError),
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("DFS_LOG: {0}")]
    LogFilter(#[from] ParseError),
    #[error("cannot set up the runtime: {0}")]
    Runtime(io::Error),
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    #[error("stopped with requests still running")]
    DrainTimedOut,
}

/// `dfs start`.
pub(crate) fn run(options: &StartOptions) -> Result<(), StartError> {
    log_to_stderr()?;
    raise_open_file_limit();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::Runtime)?;
    runtime.block_on(serve(options))
}

fn log_to_stderr() -> Result<(), StartError> {
    let wanted = std::env::var_os("DFS_LOG").unwrap_or_else(|| "info".into());
    let filter = EnvFilter::try_new(wanted.to_string_lossy())?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    Ok(())
}

/// Every connection is an open file: the soft limit, often 1,024, is raised to the hard one.
fn raise_open_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

async fn serve(options: &StartOptions) -> Result<(), StartError> {
    let stop = stop_signals().map_err(StartError::Runtime)?;
    let (storage, service) = set_up(options).await?;
    let server = NfsServer::bind_with(service.clone(), options.listen, ServerLimits::default())
        .await
        .map_err(|error| StartError::Bind(options.listen, error))?;
    let (phase, phases) = watch::channel(Phase::Serving);
    let api = match options.api {
        Some(addr) => Some(listen_for_operators(service, addr, phases).await?),
        None => None,
    };
    announce(server.local_addr(), api.as_ref().map(ApiServer::local_addr), &storage);
    let api = api.map(|api| tokio::spawn(api.serve()));
    let stop = async {
        stop.await;
        phase.send_replace(Phase::Draining);
    };
    let drained = server.serve(stop).await;
    let flushed = storage.flush().await;
    phase.send_replace(Phase::Over);
    if let Some(api) = api {
        drop(api.await);
    }
    flushed?;
    match drained {
        Drained::Complete => Ok(()),
        Drained::TimedOut => Err(StartError::DrainTimedOut),
    }
}

/// Opens what is served, and builds the service of it.
async fn set_up(options: &StartOptions) -> Result<(Storage, Arc<Nfs4Service>), StartError> {
    let lease = Duration::from_secs(u64::from(options.lease));
    if options.ephemeral {
        let storage = Storage::in_memory(options.capacity_mib * MIB)?;
        let mut service = configure(&storage, options, lease)?;
        if let Some(identity) = identity::of_server(options.listen).map_err(BuildError::from)? {
            service = service.identity(identity);
        }
        return Ok((storage, Arc::new(service.build()?)));
    }
    let place = options.data_dir.clone().map_or_else(default_place, Ok)?;
    let dir = Arc::new(DataDir::open_or_make(&place)?);
    let grace = recovery::grace(recovery::longest_lease(&dir, lease)?);
    let wanted = Wanted::new(&options.shares, &options.directories);
    let storage = Storage::open(dir.clone(), &wanted, grace).await?;
    let service = recovery::resume(configure(&storage, options, lease)?, &dir, grace).await?;
    let service = Arc::new(service.build()?);
    tokio::spawn(recovery::forget_longer_lease(service.clone(), dir));
    Ok((storage, service))
}

fn configure(
    storage: &Storage,
    options: &StartOptions,
    lease: Duration,
) -> Result<Nfs4ServiceBuilder, StartError> {
    let mut service = Nfs4Service::builder(storage.namespace()?).lease(lease);
    if options.no_delegations {
        service = service.delegations(Arc::new(NoDelegations));
    }
    if options.callback_any_address {
        service = service.callback_addresses(CallbackAddresses::Any);
    }
    Ok(service)
}

async fn listen_for_operators(
    service: Arc<Nfs4Service>,
    addr: SocketAddr,
    phases: watch::Receiver<Phase>,
) -> Result<ApiServer, StartError> {
    if !addr.ip().is_loopback() {
        tracing::warn!(%addr, "the API has no authentication: whoever reaches this address can use it");
    }
    ApiServer::bind(service, addr, phases).await.map_err(|error| StartError::BindApi(addr, error))
}

/// The lines that scripts wait for, and those for people.
fn announce(at: SocketAddr, api: Option<SocketAddr>, storage: &Storage) {
    eprintln!("listening on {at}");
    if let Some(api) = api {
        eprintln!("API on {api}");
    }
    let (host, port) = (at.ip(), at.port());
    let host = match host {
        _ if host.is_unspecified() => "HOST".to_owned(),
        IpAddr::V4(host) => host.to_string(),
        IpAddr::V6(host) => format!("[{host}]"),
    };
    for (what, path) in storage.announced() {
        tracing::info!("{what}; mount it with: mount -t nfs4 -o vers=4.2,port={port} {host}:{path} /mnt");
    }
}

/// Resolves at SIGTERM or Ctrl-C. The handlers are in place when this returns: a signal during the start is not lost.
fn stop_signals() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: running requests are finished first");
    })
}
