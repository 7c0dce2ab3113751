use std::time::Duration;

/// Limits of clients and sessions.
#[derive(Debug, Clone)]
pub struct SessionLimits {
    /// Client records, confirmed or not. One more takes the place of the oldest that is not confirmed, or else of the one whose
    /// lease ran out longest ago; without those it is NFS4ERR_DELAY.
    pub clients: usize,
    /// Sessions of one client; one more is NFS4ERR_NOSPC.
    pub sessions_per_client: usize,
    /// Slots of all sessions together. An eighth of them is kept for the first slots of new sessions; without one, a session
    /// is refused with NFS4ERR_NOSPC.
    pub slots_total: u32,
    /// Slots that a session can grow to.
    pub slots_per_session: u32,
    /// Slots that a session begins with, if the client asks for as many.
    pub slots_initial: u32,
    /// How long a session's use of its slots is watched before its target follows it down.
    pub slot_window: Duration,
    /// Ceiling of ca_maxrequestsize, in bytes.
    pub max_request_size: u32,
    /// Ceiling of ca_maxresponsesize, in bytes.
    pub max_response_size: u32,
    /// Ceiling of ca_maxresponsesize_cached, in bytes: what a slot may hold.
    pub max_response_size_cached: u32,
    /// Ceiling of ca_maxoperations.
    pub max_operations: u32,
    /// Callbacks under way in a session at a time, if the client takes as many.
    pub back_slots: u32,
    /// Connections of a backchannel; one more takes the place of the oldest.
    pub back_connections: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            clients: 16_384,
            sessions_per_client: 16,
            slots_total: 65_536,
            slots_per_session: 256,
            slots_initial: 64,
            slot_window: Duration::from_secs(10),
            max_request_size: (1 << 20) + (16 << 10),
            max_response_size: (1 << 20) + (16 << 10),
            max_response_size_cached: 8 << 10,
            max_operations: 128,
            back_slots: 16,
            back_connections: 16,
        }
    }
}
