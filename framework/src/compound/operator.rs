//! What an operator sees and asks for: how much there is of everything at a moment, who the clients are, delegations back.

use std::sync::Arc;
use std::time::Duration;

use super::Nfs4Service;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::proto::Stateid;
use crate::session::SessionCensus;
use crate::state::{RecallReason, StateCensus};

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

/// What became of a delegation that an operator wants back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecallOutcome {
    /// Its return is waited for.
    Recalled,
    /// It is gone: its holder has no lease any more, or was asked for it a lease ago.
    Revoked,
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

    /// Asks the holder of a delegation to return it; `None` if there is no such delegation.
    pub async fn recall(&self, stateid: &Stateid) -> Option<RecallOutcome> {
        let effects = self.state.recall(self.now(), stateid, RecallReason::Administrator)?;
        let is_revoked = !effects.revoked_from.is_empty();
        // Where the revocation cannot be recorded now, the reaper tries again.
        let _ = self.settle_state(effects).await;
        Some(if is_revoked { RecallOutcome::Revoked } else { RecallOutcome::Recalled })
    }

    /// How long the grace period will last at most; `None` if there is none.
    pub fn grace_remaining(&self) -> Option<Duration> {
        let grace = self.grace();
        grace.is_in_force().then(|| grace.remaining(self.now()))
    }
}
