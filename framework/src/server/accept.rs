use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};

use super::connection::{Alive, ConnectionTask, Ending};
use super::{Server, Services};
use crate::log_limited;
use crate::rpc::{Connection, ConnectionId};

/// How long nothing is accepted after the system had no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A connection is kept as long as its client lives: this long after its last sign of life it is asked.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every running request was answered.
    Complete,
    /// The drain timeout ended before some did.
    TimedOut,
}

impl Server {
    /// Serves until `shutdown` resolves, then drains: nothing more is accepted or read, running requests finish,
    /// bounded by [`drain_timeout`](super::ServerLimits::drain_timeout), and the connections close.
    ///
    /// Dropping the future closes all connections at once. Must run within a tokio runtime with I/O and time.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Drained {
        let Self { listener, services, .. } = self;
        let drain_timeout = services.limits.drain_timeout;
        let (stop, stopped) = watch::channel(());
        let (alive, mut drained) = mpsc::channel::<Infallible>(1);
        let mut acceptor =
            Acceptor { services, tasks: JoinSet::new(), next_id: 0, stopped, alive, resume_at: None };
        let mut shutdown = pin!(shutdown);
        loop {
            let resume_at = acceptor.resume_at;
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(ended) = acceptor.tasks.join_next() => Acceptor::log_ending(ended),
                accepted = accept(&listener, resume_at) => acceptor.take(accepted),
            }
        }
        drop(listener);
        drop(stop);
        // The acceptor holds one `alive` itself; its tasks go on.
        let Acceptor { tasks, alive, .. } = acceptor;
        drop(alive);
        let outcome = tokio::time::timeout(drain_timeout, drained.recv()).await;
        drop(tasks);
        if outcome.is_ok() { Drained::Complete } else { Drained::TimedOut }
    }
}

struct Acceptor {
    services: Arc<Services>,
    /// One per connection.
    tasks: JoinSet<(SocketAddr, Ending)>,
    next_id: u64,
    /// Closes when the server stops.
    stopped: watch::Receiver<()>,
    alive: Alive,
    resume_at: Option<tokio::time::Instant>,
}

impl Acceptor {
    fn take(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        self.resume_at = None;
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => return self.pause(&error),
        };
        if self.tasks.len() >= self.services.limits.max_connections.max(1) {
            log_limited!(warn, %peer, "connection refused: too many are open");
            return;
        }
        if let Err(error) = set_options(&stream) {
            tracing::debug!(%peer, %error, "connection gone before it was served");
            return;
        }
        let connection = Arc::new(Connection::new(ConnectionId(self.next_id), peer));
        self.next_id += 1;
        tracing::debug!(%peer, id = connection.id().0, "connection accepted");
        let task = ConnectionTask::new(Arc::clone(&self.services), connection, stream, self.alive.clone());
        let mut stopped = self.stopped.clone();
        self.tasks.spawn(async move {
            // An error says that the other half is gone, which is the signal.
            let stop = async move { while stopped.changed().await.is_ok() {} };
            (peer, task.run(stop).await)
        });
    }

    /// Nothing is accepted for a while when the system lacks something; other errors are of one connection only.
    fn pause(&mut self, error: &io::Error) {
        if is_of_one_connection(error) {
            return;
        }
        self.resume_at = Some(tokio::time::Instant::now() + ACCEPT_PAUSE);
        log_limited!(error, %error, "cannot accept connections");
    }

    fn log_ending(ended: Result<(SocketAddr, Ending), JoinError>) {
        match ended {
            Ok((peer, reason @ (Ending::Closed | Ending::Dropped | Ending::Io(_)))) => {
                tracing::debug!(%peer, %reason, "connection ended");
            }
            Ok((peer, reason)) => log_limited!(warn, %peer, %reason, "connection closed"),
            Err(error) => log_limited!(error, %error, "the task of a connection failed"),
        }
    }
}

async fn accept(
    listener: &TcpListener,
    resume_at: Option<tokio::time::Instant>,
) -> io::Result<(TcpStream, SocketAddr)> {
    if let Some(resume_at) = resume_at {
        tokio::time::sleep_until(resume_at).await;
    }
    listener.accept().await
}

pub(super) fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))
}

/// Whether an error of accept(2) is about the connection that was to be accepted, and not about the server.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | WouldBlock)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::aborted_by_the_client(io::ErrorKind::ConnectionAborted.into(), true)]
    #[case::interrupted(io::ErrorKind::Interrupted.into(), true)]
    #[case::no_descriptor_left_in_the_process(io::Error::from_raw_os_error(24), false)]
    #[case::no_descriptor_left_in_the_system(io::Error::from_raw_os_error(23), false)]
    #[case::no_memory(io::Error::from_raw_os_error(12), false)]
    fn accept_errors_that_concern_one_connection(#[case] error: io::Error, #[case] expected: bool) {
        assert_eq!(is_of_one_connection(&error), expected);
    }
}
