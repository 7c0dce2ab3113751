//! How much there is of everything at a moment, and who the clients are: what an operator looks at.

use std::sync::Arc;
use std::time::Duration;

use super::Nfs4Service;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::session::SessionCensus;
use crate::state::StateCensus;

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Clients of minor version 1 and later, and their sessions.
    pub sessions: SessionCensus,
    /// Confirmed clients of minor version 0.
    pub v4_0_clients: usize,
    /// Opens and locks of all of them.
    pub state: StateCensus,
}

impl Nfs4Service {
    /// The time of the service's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How much there is of everything. The numbers are of slightly different moments.
    pub fn census(&self) -> Census {
        Census {
            sessions: self.sessions.census(),
            v4_0_clients: self.v4_0.clients.confirmed(),
            state: self.state.census(),
        }
    }

    /// All confirmed clients, in the order in which they came. Locks their tables for as long as it takes to list them.
    pub fn clients(&self) -> Vec<Arc<Client>> {
        let mut clients = self.sessions.clients();
        clients.extend(self.v4_0.clients.clients());
        clients.sort_by_key(|client| client.id());
        clients
    }

    /// How long the grace period will last at most; `None` if there is none.
    pub fn grace_remaining(&self) -> Option<Duration> {
        let grace = self.grace();
        grace.is_in_force().then(|| grace.remaining(self.now()))
    }
}
