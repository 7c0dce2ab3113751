use std::sync::{Arc, Weak};

use super::Session;
use crate::proto::SessionId;
use crate::sync::RwLock;

/// Sessions that one connection is remembered to be associated with. The one not used for longest is forgotten first:
/// its next SEQUENCE associates the connection anew.
const REMEMBERED: usize = 32;

/// The sessions whose fore channel a connection serves (RFC 8881 section 2.10.3.1), kept with the connection.
///
/// It is also the fast way from session ID to session: a request on a connection is almost always for the session of
/// the request before it.
#[derive(Debug, Default)]
pub struct ConnectionSessions {
    /// Written only when an association is made.
    sessions: RwLock<Vec<(SessionId, Weak<Session>)>>,
}

impl ConnectionSessions {
    /// The session with this ID, if the connection is associated with it and it has not ended.
    #[inline]
    pub(super) fn find(&self, id: &SessionId) -> Option<Arc<Session>> {
        let sessions = self.sessions.read();
        let (_, session) = sessions.iter().find(|(known, _)| known == id)?;
        session.upgrade().filter(|session| !session.has_ended())
    }

    /// Whether the connection is associated with the session.
    pub(super) fn is_associated(&self, id: &SessionId) -> bool {
        self.find(id).is_some()
    }

    /// Associates the connection with the session.
    pub(super) fn associate(&self, session: &Arc<Session>) {
        let mut sessions = self.sessions.write();
        sessions.retain(|(id, known)| *id != session.id() && known.strong_count() > 0);
        sessions.truncate(REMEMBERED - 1);
        sessions.insert(0, (session.id(), Arc::downgrade(session)));
    }
}
