use std::sync::Arc;

use smallvec::SmallVec;

use super::Client;

/// Why a client is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoneReason {
    /// A new incarnation of it was confirmed (RFC 8881 section 18.36.4, RFC 7530 section 16.34.5).
    Restarted,
    /// Its owner string went to another principal while it held nothing or was expired (RFC 8881 section 18.35.4,
    /// item 3).
    Supplanted,
    /// DESTROY_CLIENTID.
    Destroyed,
    /// Its lease ran out, and it held nothing.
    Expired,
    /// Its lease ran out, and what it held was in the way of others when a limit was met.
    Evicted,
}

/// A confirmed client that does not exist any more: nobody can present its ID from now on, and none of its requests
/// is still running. Its opens, locks and all other state are to be dropped.
#[derive(Debug, Clone)]
pub struct ClientGone {
    /// Which.
    pub client: Arc<Client>,
    /// Why.
    pub reason: GoneReason,
    /// How many sessions ended with it.
    pub sessions: usize,
}

/// What the caller has to do once a table of clients has returned and holds no lock any more.
#[derive(Debug, Default)]
#[must_use = "the state of clients that are gone stays until it is dropped"]
pub struct Departures {
    /// Clients whose state is to be dropped.
    pub clients: SmallVec<[ClientGone; 1]>,
}

impl Departures {
    pub(crate) fn push(&mut self, client: &Arc<Client>, reason: GoneReason, sessions: usize) {
        self.clients.push(ClientGone { client: client.clone(), reason, sessions });
    }
}
