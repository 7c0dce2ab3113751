use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// Identity of a connection: never used twice by one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What a program sees of the connection that a call came by.
///
/// It lives as long as the connection or one of its requests does: who wants to know a connection for longer keeps
/// its id, or a [`Weak`](std::sync::Weak) reference.
pub struct Connection {
    id: ConnectionId,
    peer: SocketAddr,
    /// What the program keeps with the connection; held for the length of a clone of the `Arc`.
    attachment: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
}

impl Connection {
    /// A connection to `peer`.
    pub fn new(id: ConnectionId, peer: SocketAddr) -> Self {
        Self { id, peer, attachment: Mutex::new(None) }
    }

    /// Its identity.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
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

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).field("peer", &self.peer).finish_non_exhaustive()
    }
}
