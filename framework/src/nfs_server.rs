//! An NFSv4 service on the network: what most programs start.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::ToSocketAddrs;
use tokio::time::Instant;

use crate::compound::{Nfs4Program, Nfs4Service};
use crate::server::{BindError, Drained, Server, ServerLimits};

/// How many times in a lease expired clients are looked for.
const REAPS_PER_LEASE: u32 = 10;
/// However short the lease is, they are not looked for more often than this.
const REAP_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// An NFSv4 service that listens.
///
/// A server of more than NFSv4 builds a [`Server`] with several programs instead, and calls
/// [`Nfs4Service::reap`], [`Nfs4Service::run_notices`] and [`Nfs4Service::run_callbacks`] itself.
pub struct NfsServer {
    server: Server,
    service: Arc<Nfs4Service>,
}

impl NfsServer {
    /// Listens on `addr` for `service`.
    pub async fn bind(service: Nfs4Service, addr: impl ToSocketAddrs) -> Result<Self, BindError> {
        Self::bind_with(Arc::new(service), addr, ServerLimits::default()).await
    }

    /// Listens on `addr` for a service that is shared, with these limits.
    pub async fn bind_with(
        service: Arc<Nfs4Service>,
        addr: impl ToSocketAddrs,
        limits: ServerLimits,
    ) -> Result<Self, BindError> {
        let program = Arc::new(Nfs4Program::new(service.clone()));
        let server = Server::builder().program(program).limits(limits).bind(addr).await?;
        Ok(Self { server, service })
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Serves until `shutdown` resolves, then drains. Clients whose lease ran out are let go, and callbacks carried out, meanwhile.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Drained {
        let Self { server, service } = self;
        let every = (service.lease() / REAPS_PER_LEASE).max(REAP_INTERVAL_MIN);
        let reaper = async {
            // Nobody expires at the start.
            let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
            loop {
                ticks.tick().await;
                service.reap().await;
            }
        };
        let notices = service.clone().run_notices();
        tokio::select! {
            drained = server.serve(shutdown) => drained,
            () = reaper => Drained::Complete,
            () = notices => Drained::Complete,
            () = service.clone().run_callbacks() => Drained::Complete,
        }
    }
}
