use bytes::Bytes;

use crate::client::UserId;
use crate::client::{ClientName, Protocol};
use crate::proto::Verifier4;

/// What a client is known by over restarts of it and of the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey {
    /// By which part of the protocol it made itself known.
    pub protocol: Protocol,
    /// co_ownerid of client_owner4, or the id of nfs_client_id4.
    pub owner: Bytes,
}

/// A client that may reclaim.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReclaimRecord {
    /// Which client.
    pub key: ClientKey,
    /// Which incarnation of it. Another one holds nothing: it lost its state when it restarted itself.
    pub verifier: Verifier4,
    /// Who established it. The owner string alone is no secret (RFC 8881 section 8.4.2.1.1).
    pub user: UserId,
}

impl From<&ClientName> for ReclaimRecord {
    fn from(name: &ClientName) -> Self {
        let key = ClientKey { protocol: name.protocol, owner: name.owner.0.clone() };
        Self { key, verifier: name.verifier, user: name.user }
    }
}
