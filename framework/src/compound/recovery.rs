//! Restarts of the server: who may reclaim, who has to wait, and what is put on record (RFC 8881 sections 8.4.2 and 8.4.3).

use std::sync::Arc;
use std::time::Duration;

use super::{CompoundContext, Nfs4Service};
use crate::client::Client;
use crate::clock::Timestamp;
use crate::export::ExportId;
use crate::log_limited;
use crate::proto::{
    NFS4ERR_COMPLETE_ALREADY, NFS4ERR_DELAY, NFS4ERR_GRACE, NFS4ERR_NO_GRACE, SequenceStatus, Status,
};
use crate::recovery::{Grace, Reclaiming, StoreError};

/// By what right an open or a lock is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is a new one.
    New,
    /// The client held it before the server restarted (CLAIM_PREVIOUS, or LOCK with reclaim).
    Reclaim,
    /// It is part of a delegation that the client has (CLAIM_DELEGATE_CUR): "valid both during and after the grace period" (RFC
    /// 8881 section 18.16.3), as nothing that could be reclaimed is in conflict with the delegation.
    Delegated,
}

/// An open or a lock may be granted, as far as the grace period goes.
#[derive(Debug)]
#[must_use = "to be held until it is granted"]
pub struct ClaimPermit<'a> {
    client: &'a Client,
    claim: Claim,
    /// The grace period does not end before this is dropped.
    reclaiming: Option<Reclaiming<'a>>,
}

impl ClaimPermit<'_> {
    /// Who asks.
    pub fn client(&self) -> &Client {
        self.client
    }

    /// By what right.
    pub fn claim(&self) -> Claim {
        self.claim
    }

    /// It was granted.
    pub fn granted(self) {
        if let Some(reclaiming) = self.reclaiming {
            self.client.reclaims().count_one();
            reclaiming.granted();
        }
    }
}

impl<'a> CompoundContext<'a> {
    /// NFS4ERR_GRACE for whatever could take from a client what it is about to reclaim, as long as somebody may. One atomic
    /// load when nobody does.
    #[inline]
    pub fn check_grace(&self) -> Result<(), Status> {
        if self.service().grace().is_in_force() { Err(NFS4ERR_GRACE) } else { Ok(()) }
    }

    /// Whether a client may ask for an open or a lock on `export` now: NFS4ERR_GRACE, or for a reclaim NFS4ERR_NO_GRACE.
    pub fn check_claim<'c>(
        &self,
        client: &'c Client,
        export: ExportId,
        claim: Claim,
    ) -> Result<ClaimPermit<'c>, Status>
    where
        'a: 'c,
    {
        let has_reclaimed = !self.minor().has_sessions() || client.has_reclaim_complete();
        match claim {
            // RFC 8881 section 18.51.3: before the client has said that it has reclaimed all, whether there is a grace period
            // or not.
            Claim::New if !has_reclaimed => Err(NFS4ERR_GRACE),
            Claim::New => self.check_grace().map(|()| ClaimPermit { client, claim, reclaiming: None }),
            Claim::Delegated => Ok(ClaimPermit { client, claim, reclaiming: None }),
            Claim::Reclaim => {
                let is_over = client.has_reclaim_complete() || client.reclaims().is_complete_for(export);
                if is_over || !client.may_reclaim() {
                    return Err(NFS4ERR_NO_GRACE);
                }
                let reclaiming = self.service().grace().begin_reclaim(self.now()).ok_or(NFS4ERR_NO_GRACE)?;
                Ok(ClaimPermit { client, claim, reclaiming: Some(reclaiming) })
            }
        }
    }
}

impl Nfs4Service {
    /// The grace period after a restart of the server.
    pub fn grace(&self) -> &Grace {
        self.recovery.grace()
    }

    /// Lets a client have state that was just confirmed, and reclaim what it held before a restart of the server. Must not wait: it
    /// is called with a table of clients locked.
    pub fn confirm(&self, client: &Arc<Client>, now: Timestamp) {
        self.recovery.confirm(client, now);
        self.state.add_client(client);
    }

    /// Makes sure that a client may reclaim after a restart: to be waited for before it is given an open or a lock. NFS4ERR_DELAY
    /// if that cannot be recorded. One atomic load for a client that is.
    #[inline]
    pub async fn record(&self, client: &Client) -> Result<(), Status> {
        let has_revoked = || self.state.has_revoked(client.id());
        self.recovery.record(client, has_revoked).await.map_err(|error| not_recorded(&error))
    }

    /// Answers a global RECLAIM_COMPLETE (RFC 8881 section 18.51): from here on the client may hold state that it may reclaim the
    /// next time. Ends the grace period if it was the last.
    pub async fn reclaim_complete(&self, client: &Client, now: Timestamp) -> Result<(), Status> {
        if client.has_reclaim_complete() {
            return Err(NFS4ERR_COMPLETE_ALREADY);
        }
        let had_standing = client.may_reclaim();
        let has_revoked = || self.state.has_revoked(client.id());
        self.recovery.record_complete(client, has_revoked).await.map_err(|error| not_recorded(&error))?;
        self.sessions.reclaim_complete(client)?;
        client.clear_status(SequenceStatus::RESTART_RECLAIM_NEEDED);
        let reclaims = client.reclaims();
        log_limited!(
            info,
            clientid = client.id().0,
            after = ?reclaims.since_confirmation(now),
            reclaimed = reclaims.count(),
            "client has reclaimed its state"
        );
        if had_standing {
            self.recovery.completed(client);
            self.end_grace_if_due(now).await;
        }
        Ok(())
    }

    /// Answers a RECLAIM_COMPLETE for one file system: the client reclaims nothing more there. COMPLETE_ALREADY on a repeat.
    pub fn reclaim_complete_for(&self, client: &Client, export: ExportId) -> Result<(), Status> {
        if client.reclaims().complete_for(export) { Ok(()) } else { Err(NFS4ERR_COMPLETE_ALREADY) }
    }

    /// Ends the grace period now, whoever has not reclaimed: that client never may. No effect if there is none.
    ///
    /// # Errors
    /// The end could not be recorded, and the grace period goes on.
    pub async fn end_grace(&self) -> Result<(), StoreError> {
        if !self.grace().is_in_force() {
            return Ok(());
        }
        let counts = self.grace().counts();
        self.recovery.end_grace().await?;
        tracing::info!(entitled = counts.entitled, completed = counts.completed, "grace period is over");
        Ok(())
    }

    /// Ends the grace period if its time is over or nobody is waited for. What cannot be recorded is tried again by the reaper.
    pub(super) async fn end_grace_if_due(&self, now: Timestamp) {
        if self.grace().is_due(now)
            && let Err(error) = self.end_grace().await
        {
            tracing::error!(%error, "the grace period goes on, as its end cannot be recorded");
        }
    }

    /// What a start of the server has to say of recovery.
    pub(super) fn announce_grace(&self, period: Duration) {
        if self.grace().is_in_force() {
            let clients = self.grace().counts().entitled;
            tracing::info!(clients, ?period, "grace period: waiting for clients to reclaim their state");
        }
    }
}

/// The store never fails for good as far as a client can know: it may try again.
pub(super) fn not_recorded(error: &StoreError) -> Status {
    log_limited!(error, %error, "what a client holds cannot be recorded");
    NFS4ERR_DELAY
}
