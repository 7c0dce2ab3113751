//! The TCP server: accepts connections, reads records, runs calls, writes replies, drains.
//!
//! Each connection is one task, which reads what the socket has, runs every request inline as far as it comes
//! without waiting, and sends the replies that are ready together in one vectored write. A request that has to wait
//! goes on in a task of its own. Between the replies go the server's calls to the client, and the client's replies to them come
//! between its requests.

mod accept;
mod budget;
mod connection;
mod dialed;
mod limits;
mod outbound;
mod parked;
mod programs;
mod request;
#[cfg(test)]
mod tests;
mod waiting;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, ToSocketAddrs};

use crate::rpc::{Authenticator, RpcProgram, SysAuthenticator};
pub use accept::Drained;
use budget::Budget;
pub use dialed::TcpDialer;
pub use limits::ServerLimits;
use programs::Programs;

/// Why a server could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] io::Error),
    /// Two programs claim the same version of the same program number.
    #[error("two programs claim version {version} of program {program}")]
    VersionTwice {
        /// The program number.
        program: u32,
        /// The version.
        version: u32,
    },
}

/// What all connections of a server share.
struct Services {
    programs: Programs,
    authenticator: Arc<dyn Authenticator>,
    limits: ServerLimits,
    budget: Arc<Budget>,
}

impl Services {
    fn new(programs: Programs, authenticator: Arc<dyn Authenticator>, limits: ServerLimits) -> Self {
        let budget = Arc::new(Budget::new(limits.max_held));
        Self { programs, authenticator, limits, budget }
    }
}

/// A server that listens, and answers once [`serve`](Self::serve) runs.
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    services: Arc<Services>,
}

impl Server {
    /// A server to configure: without programs, with [`SysAuthenticator`] and the default limits.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            programs: Vec::new(),
            authenticator: Arc::new(SysAuthenticator),
            limits: ServerLimits::default(),
        }
    }

    /// The address that it listens on: with the port that was chosen, where none was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

/// Configures a [`Server`].
pub struct ServerBuilder {
    programs: Vec<Arc<dyn RpcProgram>>,
    authenticator: Arc<dyn Authenticator>,
    limits: ServerLimits,
}

impl ServerBuilder {
    /// Adds a program.
    #[must_use]
    pub fn program(mut self, program: Arc<dyn RpcProgram>) -> Self {
        self.programs.push(program);
        self
    }

    /// Who finds out who is calling.
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticator = Arc::new(authenticator);
        self
    }

    /// The limits.
    #[must_use]
    pub fn limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Listens on `addr`: from here on clients can connect, though nobody answers them yet.
    pub async fn bind(self, addr: impl ToSocketAddrs) -> Result<Server, BindError> {
        let programs = Programs::new(self.programs)?;
        let listener = TcpListener::bind(addr).await?;
        let local_addr = listener.local_addr()?;
        let services = Services::new(programs, self.authenticator, self.limits);
        Ok(Server { listener, local_addr, services: Arc::new(services) })
    }
}
