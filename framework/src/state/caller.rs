use crate::clock::Timestamp;
use crate::proto::{ClientId, NFS4ERR_BAD_STATEID, NFS4ERR_STALE_STATEID, Status};

/// Who asks the state table, and when.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The client that the session names. `None` in minor version 0, where a stateid itself names its client: then only the
    /// state of that version's clients is found, and its use renews their lease (RFC 7530 section 9.5).
    pub client: Option<ClientId>,
    /// The time.
    pub now: Timestamp,
}

impl Caller {
    /// What a stateid of another instance of the server is answered with: minor version 0 has a status for it (RFC 7530
    /// section 9.1.4.3), in later ones it is as bad as any (RFC 8881 section 8.2.4).
    pub(super) fn stale_stateid(self) -> Status {
        if self.client.is_some() { NFS4ERR_BAD_STATEID } else { NFS4ERR_STALE_STATEID }
    }
}
