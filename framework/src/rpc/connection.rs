use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::BoxFuture;
use super::calls::Calls;
use crate::callback::{CallError, CallPath, CallbackCall};

/// Identity of a connection: never used twice by one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What a program sees of the connection that a call came by: a [path](CallPath) for calls to the client, too.
///
/// It lives as long as the connection or one of its requests does: who wants to know a connection for longer keeps
/// its id, or a [`Weak`](std::sync::Weak) reference.
pub struct Connection {
    id: ConnectionId,
    peer: SocketAddr,
    /// What the program keeps with the connection; held for the length of a clone of the `Arc`.
    attachment: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
    calls: Arc<Calls>,
}

impl Connection {
    /// A connection to `peer`, over which no calls can be made before it is served.
    pub fn new(id: ConnectionId, peer: SocketAddr) -> Self {
        Self { id, peer, attachment: Mutex::new(None), calls: Arc::new(Calls::new(id)) }
    }

    /// Its identity.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The calls to the other end.
    pub(crate) fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    /// What the program keeps with the connection: an empty one is made if there is none, or one of another type.
    pub fn attachment_or_default<T: Any + Send + Sync + Default>(&self) -> Arc<T> {
        let mut attachment = self.attachment.lock();
        if let Some(Ok(found)) = attachment.clone().map(Arc::downcast) {
            return found;
        }
        let made = Arc::new(T::default());
        let previous = attachment.replace(made.clone());
        drop(attachment);
        drop(previous);
        made
    }
}

/// Calls over the client's own connection. The connection may end while somebody keeps a reference to it: then there are no more
/// calls.
impl CallPath for Connection {
    fn call(&self, call: CallbackCall) -> BoxFuture<'static, Result<Bytes, CallError>> {
        match self.calls.begin(&call) {
            Ok(under_way) => Box::pin(under_way),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn is_open(&self) -> bool {
        self.calls.is_open()
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn id(&self) -> ConnectionId {
        self.id
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).field("peer", &self.peer).finish_non_exhaustive()
    }
}
