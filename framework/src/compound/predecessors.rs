//! Clients that restarted and left delegations behind: RFC 8881 section 10.2.1, RFC 7530 section 10.2.1.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Nfs4Service;
use crate::client::{Client, ClientGone, GoneReason};
use crate::clock::Timestamp;
use crate::state::{DelegationType, Effects, FileKey, Held, Timestamps};

/// What becomes of the delegations of a client that restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RestartedClients {
    /// They go with all its other state. CLAIM_DELEGATE_PREV, CLAIM_DELEG_PREV_FH and DELEGPURGE are NFS4ERR_NOTSUPP.
    #[default]
    LoseDelegations,
    /// The next incarnation of the client may claim them: for a lease from when it was confirmed, or has last claimed one. As long
    /// are they in the way of others, also where the client has forgotten them.
    KeepDelegations,
}

/// Earlier incarnations of clients that have delegations yet.
#[derive(Debug, Default)]
pub(super) struct Predecessors {
    policy: RestartedClients,
    clients: Mutex<Vec<Arc<Client>>>,
}

impl Predecessors {
    pub(super) fn new(policy: RestartedClients) -> Self {
        Self { policy, clients: Mutex::default() }
    }

    /// Takes out those for which `is_wanted` holds.
    fn take(&self, is_wanted: impl Fn(&Client) -> bool) -> Vec<Arc<Client>> {
        let mut clients = self.clients.lock();
        let (taken, kept) = clients.drain(..).partition(|client: &Arc<Client>| is_wanted(client));
        *clients = kept;
        taken
    }
}

/// Whether one was an earlier incarnation of the other.
fn is_before(earlier: &Client, client: &Client) -> bool {
    let (before, now) = (earlier.name(), client.name());
    (before.protocol, &before.owner, before.user) == (now.protocol, &now.owner, now.user)
}

impl Nfs4Service {
    /// What becomes of the delegations of clients that restart.
    pub fn restarted_clients(&self) -> RestartedClients {
        self.predecessors.policy
    }

    /// Takes the state of a client that is gone, but for what its next incarnation may claim.
    pub(super) fn take_state(&self, gone: &ClientGone) -> (Held, Effects) {
        let client = &gone.client;
        let keeps = self.predecessors.policy == RestartedClients::KeepDelegations
            && gone.reason == GoneReason::Restarted
            && self.state.has_delegations(client.id());
        if !keeps {
            return self.state.drop_client(client.id());
        }
        client.renew(self.clock.now());
        self.predecessors.clients.lock().push(client.clone());
        self.state.drop_all_but_delegations(client.id())
    }

    /// The delegation of a file that a client had before it restarted.
    pub fn inheritance(
        &self,
        client: &Client,
        file: &FileKey,
    ) -> Option<(Arc<Client>, DelegationType, Timestamps)> {
        let mut predecessors = self.predecessors.clients.lock().clone();
        predecessors.retain(|earlier| is_before(earlier, client));
        self.state.inheritance(file, &predecessors)
    }

    /// A client has claimed one of the delegations that it had before it restarted: the others are kept for another lease.
    pub fn inherited(&self, predecessor: &Client, now: Timestamp) {
        predecessor.renew(now);
    }

    /// Drops the delegations that a client had before it restarted and has not claimed (DELEGPURGE).
    pub fn purge_delegations(&self, client: &Client) {
        self.drop_predecessors(|earlier| is_before(earlier, client));
    }

    /// Drops those that nobody has claimed for a lease.
    pub(super) fn purge_unclaimed(&self, now: Timestamp) {
        self.drop_predecessors(|earlier| earlier.is_expired(now));
    }

    fn drop_predecessors(&self, is_wanted: impl Fn(&Client) -> bool) {
        for client in self.predecessors.take(is_wanted) {
            let (_, effects) = self.state.drop_client(client.id());
            self.carry_out(effects);
        }
    }
}
