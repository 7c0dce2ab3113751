use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::{CallbackPath, CallbackStanding, Protocol, Reclaims};
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

/// What a client says of itself (client_owner4, nfs_client_id4), and who said it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientName {
    /// By which part of the protocol.
    pub protocol: Protocol,
    /// co_ownerid, or the id of nfs_client_id4: the client's name for itself.
    pub owner: OpaqueId,
    /// Which incarnation it is: another one after the client restarted.
    pub verifier: Verifier4,
    /// Who sent it.
    pub user: UserId,
}

/// One incarnation of a client: what its EXCHANGE_ID or SETCLIENTID made.
///
/// A client whose lease ran out is a *courtesy client* (RFC 8881 section 8.4.3): it keeps its state until that is in
/// somebody's way. Nothing marks it; renewal makes it an ordinary client again.
#[derive(Debug)]
pub struct Client {
    id: ClientId,
    name: ClientName,
    lease: Duration,
    // Atomics: any request of the client may touch them, and none waits for another.
    renewed_ns: AtomicU64,
    status: AtomicU32,
    reclaim_complete: AtomicBool,
    reclaims: Reclaims,
    callbacks: CallbackStanding,
}

impl Client {
    /// A client that was just heard of. `lease` is the server's.
    pub fn new(id: ClientId, name: ClientName, lease: Duration, now: Timestamp) -> Self {
        Self {
            id,
            name,
            lease,
            renewed_ns: AtomicU64::new(now.as_nanos()),
            status: AtomicU32::new(0),
            reclaim_complete: AtomicBool::new(false),
            reclaims: Reclaims::default(),
            callbacks: CallbackStanding::default(),
        }
    }

    /// Its client ID.
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// What it says of itself.
    pub fn name(&self) -> &ClientName {
        &self.name
    }

    /// In which table it is.
    pub fn protocol(&self) -> Protocol {
        self.name.protocol
    }

    /// How long its lease is.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// Renews the lease (RFC 8881 section 8.3, RFC 7530 section 9.5).
    #[inline]
    pub fn renew(&self, now: Timestamp) {
        // The time of a request is that of its beginning: one that takes long must not take back what a later one renewed.
        self.renewed_ns.fetch_max(now.as_nanos(), Ordering::Relaxed);
    }

    /// How long ago the lease was renewed.
    pub fn idle(&self, now: Timestamp) -> Duration {
        now.since(Timestamp::from_nanos(self.renewed_ns.load(Ordering::Relaxed)))
    }

    /// Whether the lease ran out: its state does not stand in the way of others any more.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.idle(now) > self.lease
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
    pub fn status(&self) -> SequenceStatus {
        SequenceStatus::from_bits_retain(self.status.load(Ordering::Relaxed))
    }

    /// Whether a global RECLAIM_COMPLETE came, before which nothing but reclaims obtains locks (RFC 8881 section 18.51.3).
    pub fn has_reclaim_complete(&self) -> bool {
        self.reclaim_complete.load(Ordering::Acquire)
    }

    /// Whether it held state before the server restarted, and may reclaim it while the grace period lasts.
    pub fn may_reclaim(&self) -> bool {
        self.reclaims.may_reclaim()
    }

    /// Whether callbacks reach it through one of its sessions.
    pub fn callback_path(&self) -> CallbackPath {
        self.callbacks.path()
    }

    /// The same, once it is known, for which it waits for so long at the most.
    pub(crate) async fn settled_callback_path(&self, most: Duration) -> CallbackPath {
        self.callbacks.settled(most).await;
        self.callbacks.path()
    }

    /// One of its sessions has another standing as a way for callbacks. SEQ4_STATUS_CB_PATH_DOWN is shown as long as there was a
    /// way and there is none (RFC 8881 section 18.46.3).
    pub(crate) fn change_callback_path(&self, from: CallbackPath, to: CallbackPath) {
        self.callbacks.change(from, to, |path| match path {
            CallbackPath::Down => self.set_status(SequenceStatus::CB_PATH_DOWN),
            _ => self.clear_status(SequenceStatus::CB_PATH_DOWN),
        });
    }

    /// How it stands to recovery.
    pub(crate) fn reclaims(&self) -> &Reclaims {
        &self.reclaims
    }

    /// Notes RECLAIM_COMPLETE; false if it came before.
    pub(crate) fn complete_reclaim(&self) -> bool {
        !self.reclaim_complete.swap(true, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // Origin: requests that renew a lease out of their order. RFC: 8881 section 8.3, 7530 section 9.5.
    #[rstest]
    #[case::once(&[5], 95)]
    #[case::again(&[5, 40], 60)]
    #[case::by_a_request_that_began_before(&[40, 5], 60)]
    fn a_lease_lasts_from_the_latest_request(#[case] renewed: &[u64], #[case] idle: u64) {
        let at = |second: u64| Timestamp::default() + Duration::from_secs(second);
        let name = ClientName {
            protocol: Protocol::V4_0,
            owner: OpaqueId::from(&b"client"[..]),
            verifier: [0; 8],
            user: UserId { flavor: AuthFlavor::Sys, uid: 0 },
        };
        let client = Client::new(ClientId(1), name, Duration::from_secs(90), at(0));
        for second in renewed {
            client.renew(at(*second));
        }
        assert_eq!(client.idle(at(100)), Duration::from_secs(idle));
    }
}
