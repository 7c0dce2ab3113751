use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{CallPath, CallbackAddresses};
use crate::rpc::BoxFuture;

/// Makes connections to clients that are not called over their own: those of minor version 0.
pub trait Dialer: Send + Sync + 'static {
    /// Connects, in bounded time. The connection ends when the path is dropped, and may end before, when it was idle.
    fn dial(&self, addr: SocketAddr) -> BoxFuture<'static, io::Result<Arc<dyn CallPath>>>;
}

/// How clients of minor version 0 are reached.
pub struct Dialing {
    /// What connects to them.
    pub dialer: Arc<dyn Dialer>,
    /// To which addresses.
    pub addresses: CallbackAddresses,
}

impl std::fmt::Debug for Dialing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialing").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// The limits of connections to clients.
#[derive(Debug, Clone)]
pub struct DialLimits {
    /// Connections at the same time. One more waits for one to end, as long as it would wait for its client.
    pub connections: usize,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// A connection without a call for this long, or twice as long at most, is closed.
    pub idle: Duration,
    /// Calls under way at the same time over each.
    pub calls: usize,
    /// Bytes of the longest reply; a longer one closes its connection.
    pub max_reply: usize,
}

impl Default for DialLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connect_timeout: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            calls: 64,
            max_reply: 64 << 10,
        }
    }
}
