use crate::callback::DialLimits;

/// Limits of minor version 0, which has no sessions to negotiate them.
#[derive(Debug, Clone)]
pub struct V4_0Limits {
    /// Operations of one COMPOUND; one with more is NFS4ERR_RESOURCE and nothing of it is carried out.
    pub operations: u32,
    /// Bytes of one reply; an operation that would make it longer is NFS4ERR_RESOURCE.
    pub reply: u32,
    /// Open-owners and lock-owners of one client; one more is NFS4ERR_DELAY: idle ones go in time.
    pub owners_per_client: usize,
    /// Open-owners and lock-owners of all clients; one more is NFS4ERR_DELAY.
    pub owners_total: usize,
    /// Stateids of clients that restarted or expired which are still told from those that never were.
    pub purged_stateids: usize,
    /// Connections for callbacks.
    pub dial: DialLimits,
}

impl Default for V4_0Limits {
    fn default() -> Self {
        Self {
            operations: 128,
            reply: (1 << 20) + (16 << 10),
            owners_per_client: 65_536,
            owners_total: 262_144,
            purged_stateids: 65_536,
            dial: DialLimits::default(),
        }
    }
}
