use smallvec::SmallVec;

use crate::proto::ClientId;

/// Why a client is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoneReason {
    /// A new incarnation of it was confirmed (RFC 8881 section 18.36.4).
    Restarted,
    /// Its owner string went to another principal while it held nothing or was expired (RFC 8881 section 18.35.4,
    /// item 3).
    Supplanted,
    /// DESTROY_CLIENTID.
    Destroyed,
    /// Its lease ran out.
    Expired,
}

/// A confirmed client that does not exist any more: nobody can present its ID from now on, and none of its requests
/// is still running. Its opens, locks and all other state are to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientGone {
    /// Which.
    pub clientid: ClientId,
    /// Why.
    pub reason: GoneReason,
}

/// What the caller has to do once the core has returned and holds no lock any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "the state of clients that are gone stays until it is dropped"]
pub struct Effects {
    /// Clients whose state is to be dropped.
    pub clients_gone: SmallVec<[ClientGone; 1]>,
}

impl Effects {
    pub(super) fn push(&mut self, clientid: ClientId, reason: GoneReason) {
        self.clients_gone.push(ClientGone { clientid, reason });
    }
}
