use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::proto::{ClientId, OpaqueId, SequenceStatus, Verifier4};
use crate::rpc::{AuthFlavor, Principal};

/// Whom a request is from, as far as the identity of clients and retries goes: the user, without the groups, which may
/// change between two requests of the same user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserId {
    /// How the user was known.
    pub flavor: AuthFlavor,
    /// The user.
    pub uid: u32,
}

impl From<&Principal> for UserId {
    fn from(principal: &Principal) -> Self {
        Self { flavor: principal.flavor, uid: principal.credentials.uid }
    }
}

/// One incarnation of a client: what its EXCHANGE_ID made.
#[derive(Debug)]
pub struct Client {
    id: ClientId,
    owner: OpaqueId,
    verifier: Verifier4,
    user: UserId,
    // Atomics: any request of the client may touch them, and none waits for another.
    renewed_ns: AtomicU64,
    status: AtomicU32,
    reclaim_complete: AtomicBool,
}

impl Client {
    pub(super) fn new(
        id: ClientId,
        owner: OpaqueId,
        verifier: Verifier4,
        user: UserId,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            owner,
            verifier,
            user,
            renewed_ns: AtomicU64::new(now.as_nanos()),
            status: AtomicU32::new(0),
            reclaim_complete: AtomicBool::new(false),
        }
    }

    /// Its client ID.
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// co_ownerid: the client's name for itself.
    pub fn owner(&self) -> &OpaqueId {
        &self.owner
    }

    /// co_verifier: which incarnation it is.
    pub(super) fn verifier(&self) -> Verifier4 {
        self.verifier
    }

    /// Who sent the EXCHANGE_ID.
    pub(super) fn user(&self) -> UserId {
        self.user
    }

    /// Renews the lease (RFC 8881 section 8.3).
    #[inline]
    pub(super) fn renew(&self, now: Timestamp) {
        self.renewed_ns.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// How long ago the lease was renewed.
    pub fn idle(&self, now: Timestamp) -> Duration {
        now.since(Timestamp::from_nanos(self.renewed_ns.load(Ordering::Relaxed)))
    }

    /// Shows `flags` in every SEQUENCE of the client until they are [cleared](Self::clear_status).
    pub fn set_status(&self, flags: SequenceStatus) {
        self.status.fetch_or(flags.bits(), Ordering::Relaxed);
    }

    /// Shows `flags` no more.
    pub fn clear_status(&self, flags: SequenceStatus) {
        self.status.fetch_and(!flags.bits(), Ordering::Relaxed);
    }

    /// sr_status_flags as they are now.
    #[inline]
    pub(super) fn status(&self) -> SequenceStatus {
        SequenceStatus::from_bits_retain(self.status.load(Ordering::Relaxed))
    }

    /// Whether a global RECLAIM_COMPLETE came, before which nothing but reclaims obtains locks (RFC 8881 section 18.51.3).
    pub fn has_reclaim_complete(&self) -> bool {
        self.reclaim_complete.load(Ordering::Acquire)
    }

    /// Notes RECLAIM_COMPLETE; false if it came before.
    pub(super) fn complete_reclaim(&self) -> bool {
        !self.reclaim_complete.swap(true, Ordering::AcqRel)
    }
}
