//! Connections that the server makes: it calls over them, and serves nothing.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::accept::set_options;
use super::connection::ConnectionTask;
use super::programs::Programs;
use super::{ServerLimits, Services};
use crate::callback::{CallError, CallPath, CallbackCall, DialLimits, Dialer};
use crate::rpc::calls::Calls;
use crate::rpc::{BoxFuture, Connection, ConnectionId, SysAuthenticator};

/// The ids of connections that a server accepts are below.
const FIRST_ID: u64 = 1 << 63;

/// Connects by TCP.
#[derive(Clone)]
pub struct TcpDialer {
    inner: Arc<Inner>,
}

struct Inner {
    limits: DialLimits,
    services: Arc<Services>,
    next_id: AtomicU64,
    /// One for each connection that there may be.
    places: Arc<Semaphore>,
}

impl TcpDialer {
    /// A dialer without connections.
    pub fn new(limits: DialLimits) -> Self {
        let server_limits = ServerLimits {
            max_record: limits.max_reply,
            max_calls: limits.calls,
            max_in_flight: 1,
            ..ServerLimits::default()
        };
        let services = Services::new(Programs::none(), Arc::new(SysAuthenticator), server_limits);
        let places = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
        let inner = Inner { limits, services: Arc::new(services), next_id: AtomicU64::new(FIRST_ID), places };
        Self { inner: Arc::new(inner) }
    }
}

impl Dialer for TcpDialer {
    fn dial(&self, addr: SocketAddr) -> BoxFuture<'static, io::Result<Arc<dyn CallPath>>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let connecting = tokio::time::timeout(inner.limits.connect_timeout, inner.connect(addr));
            let (stream, place) = connecting.await.map_err(io::Error::from)??;
            let path: Arc<dyn CallPath> = Arc::new(inner.serve(stream, addr, place));
            Ok(path)
        })
    }
}

impl Inner {
    async fn connect(&self, addr: SocketAddr) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
        let stream = TcpStream::connect(addr).await?;
        set_options(&stream)?;
        Ok((stream, place))
    }

    fn serve(&self, stream: TcpStream, addr: SocketAddr, place: OwnedSemaphorePermit) -> Dialed {
        let id = ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let connection = Arc::new(Connection::new(id, addr));
        let (alive, _) = mpsc::channel::<Infallible>(1);
        let task = ConnectionTask::new(Arc::clone(&self.services), Arc::clone(&connection), stream, alive);
        let idle = idle(Arc::clone(connection.calls()), self.limits.idle);
        let (stop, stopped) = oneshot::channel::<Infallible>();
        tokio::spawn(async move {
            let stop = async {
                tokio::select! {
                    _ = stopped => {}
                    () = idle => {}
                }
            };
            let reason = task.run(stop).await;
            tracing::debug!(peer = %addr, %reason, "connection for callbacks ended");
            drop(place);
        });
        Dialed { connection, _stop: stop }
    }
}

/// Resolves when no call was made for this long, or twice as long at most, and none is under way.
async fn idle(calls: Arc<Calls>, period: std::time::Duration) {
    let mut made = calls.made();
    loop {
        tokio::time::sleep(period).await;
        let before = std::mem::replace(&mut made, calls.made());
        if made == before && !calls.are_pending() {
            return;
        }
    }
}

/// A connection that the server made. It ends when this is dropped.
struct Dialed {
    connection: Arc<Connection>,
    _stop: oneshot::Sender<Infallible>,
}

impl CallPath for Dialed {
    fn call(&self, call: CallbackCall) -> BoxFuture<'static, Result<Bytes, CallError>> {
        self.connection.call(call)
    }

    fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    fn peer(&self) -> SocketAddr {
        self.connection.peer()
    }

    fn id(&self) -> ConnectionId {
        self.connection.id()
    }
}
