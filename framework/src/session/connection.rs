use std::sync::{Arc, OnceLock, Weak};

use super::Session;
use crate::callback::CallPath;
use crate::proto::{ClientId, SessionId};
use crate::rpc::ConnectionId;
use crate::sync::{Mutex, RwLock};

/// Sessions that one connection is remembered to be associated with. The one not used for longest is forgotten first:
/// its next SEQUENCE associates the connection anew.
const REMEMBERED: usize = 32;

/// The sessions whose channels a connection serves (RFC 8881 section 2.10.3.1), kept with the connection.
///
/// It is also the fast way from session ID to session: a request on a connection is almost always for the session of
/// the request before it.
#[derive(Default)]
pub struct ConnectionSessions {
    /// Those whose fore channel it serves. Written only when an association is made.
    sessions: RwLock<Vec<(SessionId, Weak<Session>)>>,
    /// Those whose backchannel it may serve: they are told when it ends.
    backchannels: Mutex<Vec<Weak<Session>>>,
    path: OnceLock<(ConnectionId, Weak<dyn CallPath>)>,
    /// Who uses the connection without a session.
    v4_0: Mutex<Named>,
}

/// The clients of minor version 0 that have named themselves on a connection.
#[derive(Default)]
enum Named {
    #[default]
    Nobody,
    One(ClientId),
    Several,
}

impl ConnectionSessions {
    /// Of a connection that can carry callbacks.
    pub fn of(path: &Arc<dyn CallPath>) -> Self {
        let sessions = Self::default();
        sessions.can_call(path);
        sessions
    }

    /// The connection can carry callbacks, as long as it is open.
    pub(crate) fn can_call(&self, path: &Arc<dyn CallPath>) {
        self.path.get_or_init(|| (path.id(), Arc::downgrade(path)));
    }

    /// A client of minor version 0 has named itself on the connection. Another one that did so before does not count if it is gone.
    pub(crate) fn note_client(&self, client: ClientId, is_gone: impl FnOnce(ClientId) -> bool) {
        let mut named = self.v4_0.lock();
        match *named {
            Named::One(before) if before != client && !is_gone(before) => *named = Named::Several,
            Named::One(before) if before == client => {}
            Named::Nobody | Named::One(_) => *named = Named::One(client),
            Named::Several => {}
        }
    }

    /// The client of minor version 0 that the connection is of, as long as no other one has named itself on it.
    pub(crate) fn only_client(&self) -> Option<ClientId> {
        match *self.v4_0.lock() {
            Named::One(client) => Some(client),
            Named::Nobody | Named::Several => None,
        }
    }

    /// The session with this ID, if the connection is associated with it and it has not ended.
    #[inline]
    pub(super) fn find(&self, id: &SessionId) -> Option<Arc<Session>> {
        let sessions = self.sessions.read();
        let (_, session) = sessions.iter().find(|(known, _)| known == id)?;
        session.upgrade().filter(|session| !session.has_ended())
    }

    /// Whether the connection serves the session's fore channel.
    pub(super) fn is_fore(&self, id: &SessionId) -> bool {
        self.find(id).is_some()
    }

    /// Whether the connection serves the session's backchannel.
    pub(super) fn is_back(&self, session: &Session) -> bool {
        self.path.get().is_some_and(|(id, _)| session.back().is_bound(*id))
    }

    /// Has the connection serve the session's fore channel.
    pub(super) fn associate(&self, session: &Arc<Session>) {
        let mut sessions = self.sessions.write();
        sessions.retain(|(id, known)| *id != session.id() && known.strong_count() > 0);
        sessions.truncate(REMEMBERED - 1);
        sessions.insert(0, (session.id(), Arc::downgrade(session)));
    }

    /// Has the connection serve the session's backchannel. False if it cannot.
    pub(super) fn bind_back(&self, session: &Arc<Session>) -> bool {
        let Some((id, path)) = self.path.get() else { return false };
        if !session.back().has_slots() || !path.upgrade().is_some_and(|path| path.is_open()) {
            return false;
        }
        let mut backchannels = self.backchannels.lock();
        backchannels.retain(|known| known.strong_count() > 0 && known.as_ptr() != Arc::as_ptr(session));
        backchannels.push(Arc::downgrade(session));
        drop(backchannels);
        session.back().bind(*id, path.clone());
        true
    }
}

impl Drop for ConnectionSessions {
    /// The connection has ended: so that the SEQUENCEs that come by other connections say that callbacks do not reach the client.
    fn drop(&mut self) {
        let Some((id, _)) = self.path.get() else { return };
        for session in self.backchannels.lock().drain(..) {
            if let Some(session) = session.upgrade() {
                session.back().unbind(*id);
            }
        }
    }
}

impl std::fmt::Debug for ConnectionSessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionSessions").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}
