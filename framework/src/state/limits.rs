use std::time::Duration;

/// How much state there may be. What a limit refuses is answered with NFS4ERR_DELAY, or NFS4ERR_LOCK_RANGE where an
/// unlock would split a lock: see [`StateTable`](super::StateTable).
#[derive(Debug, Clone)]
pub struct StateLimits {
    /// Open files of one client.
    pub opens_per_client: usize,
    /// Open files of all clients.
    pub opens_total: usize,
    /// Lock stateids of one client: pairs of a lock-owner and an open file, with or without locks.
    pub lock_stateids_per_client: usize,
    /// Lock stateids of all clients.
    pub lock_stateids_total: usize,
    /// Byte-range locks on one file. Adjoining locks of one owner and type count as one.
    pub locks_per_file: usize,
    /// Byte-range locks of one client.
    pub locks_per_client: usize,
    /// Byte-range locks of all clients.
    pub locks_total: usize,
    /// Requests that have a place in the queue for locks on one file. Who finds no room there waits without a place.
    pub waiters_per_file: usize,
    /// Requests of one client that have a place in such a queue.
    pub waiters_per_client: usize,
    /// Delegations of one client. Who has as many is given no more.
    pub delegations_per_client: usize,
    /// Delegations of all clients.
    pub delegations_total: usize,
    /// How long after a recall no delegation of the file is given.
    pub regrant_after: Duration,
    /// How long a request waits for a delegation to be returned before it gets NFS4ERR_DELAY.
    pub recall_wait: Duration,
    /// Stateids of one TEST_STATEID; more are NFS4ERR_REQ_TOO_BIG.
    pub stateids_per_test: usize,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self {
            opens_per_client: 100_000,
            opens_total: 500_000,
            lock_stateids_per_client: 100_000,
            lock_stateids_total: 500_000,
            locks_per_file: 1_000,
            locks_per_client: 10_000,
            locks_total: 100_000,
            waiters_per_file: 64,
            waiters_per_client: 1_000,
            delegations_per_client: 50_000,
            delegations_total: 200_000,
            regrant_after: Duration::from_secs(5),
            recall_wait: Duration::from_secs(1),
            stateids_per_test: 4_096,
        }
    }
}
