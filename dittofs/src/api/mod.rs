//! The operator's HTTP API: health, metrics, and views of what clients hold.
//!
//! It has no authentication: whoever reaches it may use it, so that it belongs on the loopback interface.

mod clients;
mod delegations;
mod error;
mod grace;
mod health;
mod listen;
mod metrics;
pub mod types;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use dittofs_framework::compound::Nfs4Service;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Where the API is looked for if nothing else is said.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:20490";

/// How far the server is that the API is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It serves.
    Serving,
    /// It finishes the requests that are running.
    Draining,
    /// It has ended, and the API ends.
    Over,
}

/// The API, listening: connections are taken, and answered once [`serve`](Self::serve) runs.
pub struct ApiServer {
    listener: TcpListener,
    local_addr: SocketAddr,
    service: Arc<Nfs4Service>,
    phase: watch::Receiver<Phase>,
}

impl ApiServer {
    /// Listens on `addr`. The API ends with the phase [`Phase::Over`], or when its sender is dropped.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(
        service: Arc<Nfs4Service>,
        addr: SocketAddr,
        phase: watch::Receiver<Phase>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let local_addr = listener.local_addr()?;
        Ok(Self { listener, local_addr, service, phase })
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers until the server is over.
    pub async fn serve(self) {
        let Self { listener, service, phase, .. } = self;
        let router = router(ApiState { service, phase: phase.clone() });
        listen::serve(listener, router, phase).await;
    }
}

/// What handlers ask.
#[derive(Clone)]
struct ApiState {
    service: Arc<Nfs4Service>,
    phase: watch::Receiver<Phase>,
}

fn router(state: ApiState) -> Router {
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/clients", get(clients::list))
        .route("/api/v1/delegations", get(delegations::list))
        .route("/api/v1/delegations/{stateid}/recall", post(delegations::recall))
        .route("/api/v1/grace", get(grace::show))
        .route("/api/v1/grace/end", post(grace::end))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(from_fn(error::limit))
        .with_state(state)
}
