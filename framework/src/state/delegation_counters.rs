use std::sync::atomic::{AtomicU64, Ordering};

use super::delegation::{DelegationType, RecallReason};

const TYPES: usize = DelegationType::ALL.len();
const REASONS: usize = RecallReason::ALL.len();

/// What happened to delegations since the server started.
#[derive(Debug, Default)]
pub(super) struct DelegationCounters {
    granted: [AtomicU64; TYPES],
    returned: [AtomicU64; TYPES],
    recalled: [[AtomicU64; REASONS]; TYPES],
    revoked: [[AtomicU64; RevokeReason::ALL.len()]; TYPES],
    dropped: [AtomicU64; TYPES],
}

/// Why a delegation was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RevokeReason {
    /// The holder's lease ran out, and the delegation was in somebody's way.
    LeaseExpired,
    /// It was recalled, and not returned within a lease.
    NotReturned,
}

impl RevokeReason {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::LeaseExpired, Self::NotReturned];

    /// A name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::LeaseExpired => "lease_expired",
            Self::NotReturned => "not_returned",
        }
    }
}

/// The counters of delegations at one moment, for each type in the order of [`DelegationType::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DelegationCounts {
    /// Given to clients.
    pub granted: [u64; TYPES],
    /// Given back by clients, asked or not.
    pub returned: [u64; TYPES],
    /// Asked for, by reason in the order of [`RecallReason::ALL`].
    pub recalled: [[u64; REASONS]; TYPES],
    /// Taken away, by reason in the order of [`RevokeReason::ALL`].
    pub revoked: [[u64; RevokeReason::ALL.len()]; TYPES],
    /// Gone with their client, or with the OPEN that was to bring them.
    pub dropped: [u64; TYPES],
}

impl DelegationCounts {
    /// Held by clients now.
    pub fn active(&self, kind: DelegationType) -> u64 {
        let of = |counts: &[u64; TYPES]| counts.get(kind as usize).copied().unwrap_or(0);
        let revoked: u64 = self.revoked.get(kind as usize).map_or(0, |reasons| reasons.iter().sum());
        of(&self.granted).saturating_sub(of(&self.returned) + revoked + of(&self.dropped))
    }
}

#[allow(clippy::indexing_slicing)] // each array is as long as the enum that its index is of
impl DelegationCounters {
    pub(super) fn granted(&self, kind: DelegationType) {
        self.granted[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn returned(&self, kind: DelegationType) {
        self.returned[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn recalled(&self, kind: DelegationType, reason: RecallReason) {
        self.recalled[kind as usize][reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn revoked(&self, kind: DelegationType, reason: RevokeReason) {
        self.revoked[kind as usize][reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, kind: DelegationType) {
        self.dropped[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> DelegationCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        // What ends a delegation is read first: no more have ended than were given.
        let revoked = self.revoked.each_ref().map(|reasons| reasons.each_ref().map(read));
        let (returned, dropped) = (self.returned.each_ref().map(read), self.dropped.each_ref().map(read));
        let recalled = self.recalled.each_ref().map(|reasons| reasons.each_ref().map(read));
        DelegationCounts { granted: self.granted.each_ref().map(read), returned, recalled, revoked, dropped }
    }
}
