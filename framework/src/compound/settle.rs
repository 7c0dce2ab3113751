//! What is left to do when a table has changed, and what is to be done now and then.

use std::sync::Arc;

use super::Nfs4Service;
use super::recovery::not_recorded;
use super::returns::Waiting;
use crate::callback::Callback;
use crate::client::{Client, ClientGone, Departures, Protocol};
use crate::clock::Timestamp;
use crate::log_limited;
use crate::proto::{NFS4ERR_DELAY, Status};
use crate::state::{Effects, Held, Refused, RevokeReason, Scarce};
use crate::v4_0::StateidOther;

/// How often a request is made again that met state of clients whose lease ran out, or a limit: each time something of such
/// a client is gone, so only a race needs more than a few.
const TRIES: usize = 16;

impl Nfs4Service {
    /// Drops the state of clients that are gone, each when it is on record that it may not reclaim. Where that fails the state stays,
    /// and the [reaper](Self::reap) tries again.
    pub async fn settle(&self, departures: Departures) {
        // All of them before the first wait, after which this may be dropped.
        let departing: Vec<_> =
            departures.clients.into_iter().map(|gone| self.unsettled.departing(gone)).collect();
        for departing in departing {
            let Some(client) = departing.client() else { continue };
            match self.recovery.depart(client).await {
                Ok(()) => departing.recorded().iter().for_each(|gone| self.drop_state(gone)),
                Err(error) => {
                    let clientid = client.id().0;
                    log_limited!(error, %error, clientid, "the state of a client stays, as its end cannot be recorded");
                }
            }
        }
    }

    fn drop_state(&self, gone: &ClientGone) {
        let (held, effects) = self.take_state(gone);
        self.v4_0.owners.drop_client(gone.client.id(), self.clock.now());
        self.carry_out(effects);
        let Held { opens, lock_stateids, locks, delegations, revoked } = held;
        log_limited!(
            info,
            clientid = gone.client.id().0,
            reason = ?gone.reason,
            sessions = gone.sessions,
            opens,
            lock_stateids,
            locks,
            delegations,
            revoked,
            "client is gone"
        );
    }

    /// Does what a change of the state table left to do: puts on record that clients may not reclaim of which something was
    /// revoked. NFS4ERR_DELAY if that fails; until it has succeeded nobody is given anything.
    pub async fn settle_state(&self, mut effects: Effects) -> Result<(), Status> {
        // Before the first wait, after which this may be dropped: nobody would ask the holders again.
        self.send_recalls(&mut effects);
        let mut revoked_from = std::mem::take(&mut effects.revoked_from);
        let expired = |(client, why): &(Arc<Client>, RevokeReason)| {
            (client.protocol() == Protocol::V4_0 && *why == RevokeReason::LeaseExpired).then(|| client.id())
        };
        for client in revoked_from.iter().filter_map(expired).collect::<Vec<_>>() {
            // It cannot be told of a part of its state (RFC 7530 section 9.6.3).
            self.v4_0.clients.cancel(client);
            let mut rest = self.state.revoke_all(client);
            revoked_from.append(&mut rest.revoked_from);
            effects.add(rest);
        }
        for (client, why) in &revoked_from {
            log_limited!(
                info,
                clientid = client.id().0,
                reason = why.name(),
                "state of a client was revoked"
            );
        }
        let revoked_from = revoked_from.into_iter().map(|(client, _)| client);
        self.unsettled.add_revoked(revoked_from);
        let settled = self.settle_revoked().await;
        self.carry_out(effects);
        settled
    }

    /// Does what a change of the state table left to do, for a change that revoked nothing: lets go of files, sends recalls, and wakes
    /// who waits for a delegation.
    pub fn carry_out(&self, mut effects: Effects) {
        debug_assert!(effects.revoked_from.is_empty(), "a revocation is to be settled");
        self.send_recalls(&mut effects);
        for file in &effects.returned {
            self.returns.wake(*file);
        }
        self.notify_of_locks();
        effects.run();
    }

    fn send_recalls(&self, effects: &mut Effects) {
        for recall in effects.recalls.drain(..) {
            self.callbacks.outbox.push(Callback::Recall(recall));
        }
    }

    /// Like [`settle_state`](Self::settle_state) without waiting, where only clients with sessions can have lost something: whoever is
    /// given something next puts it on record, or the reaper.
    pub(super) fn settle_later(&self, mut effects: Effects) {
        let revoked_from = std::mem::take(&mut effects.revoked_from);
        if !revoked_from.is_empty() {
            self.unsettled.add_revoked(revoked_from.into_iter().map(|(client, _)| client));
        }
        self.carry_out(effects);
    }

    /// Waits until all that was revoked is on record, whoever met it.
    async fn settle_revoked(&self) -> Result<(), Status> {
        loop {
            let changed = self.unsettled.changed();
            if self.state.is_settled() {
                return Ok(());
            }
            let batch = self.unsettled.take_revoked();
            if batch.clients().is_empty() {
                // Somebody else is at it.
                drop(batch);
                changed.await;
                continue;
            }
            for client in batch.clients() {
                self.recovery.forget(client).await.map_err(|error| not_recorded(&error))?;
            }
            self.state.settled(batch.clients().len());
            batch.recorded();
        }
    }

    /// Asks the state table for something that others may have lost, and asks again as long as state of clients whose lease ran
    /// out was in the way, or such a client could be let go when a limit was met (RFC 8881 section 8.4.3). NFS4ERR_DELAY if the
    /// limit stays, or it cannot be recorded who has lost something.
    pub async fn ask_state<T, E: From<Status>>(
        &self,
        now: Timestamp,
        ask: impl FnMut() -> Result<T, Refused<E>>,
    ) -> Result<T, E> {
        if !self.state.is_settled() {
            Box::pin(self.settle_revoked()).await?;
        }
        let granted = self.use_state(now, ask).await?;
        // What was granted may be what another request has revoked a moment before.
        if !self.state.is_settled() {
            Box::pin(self.settle_revoked()).await?;
        }
        Ok(granted)
    }

    /// The same for a client that asks for nothing but to use what it has: what others have lost is no matter then.
    pub async fn use_state<T, E: From<Status>>(
        &self,
        now: Timestamp,
        mut ask: impl FnMut() -> Result<T, Refused<E>>,
    ) -> Result<T, E> {
        // Boxed: so rare a thing must not make the future of every READ large.
        let mut waiting: Option<Box<Waiting>> = None;
        let mut tries = 0;
        while tries < TRIES {
            match ask() {
                Ok(granted) => return Ok(granted),
                Err(Refused::Because(reason)) => return Err(reason),
                Err(Refused::Revoked(effects)) => {
                    tries += 1;
                    Box::pin(self.settle_state(effects)).await?;
                }
                Err(Refused::Full(scarce)) => {
                    tries += 1;
                    Box::pin(self.make_room(now, scarce)).await?;
                }
                // No try: a delegation of each of many holders may come back, and the time is bounded.
                Err(Refused::Recalled(effects, file)) => {
                    Box::pin(self.settle_state(effects)).await?;
                    let wait = self.limits.state.recall_wait;
                    let waiting = waiting.get_or_insert_with(|| Box::new(self.returns.wait(file, wait)));
                    // The first time it only begins to listen: the delegation may have come back between the question and here.
                    if !Box::pin(waiting.next()).await {
                        return Err(NFS4ERR_DELAY.into());
                    }
                }
            }
        }
        Err(NFS4ERR_DELAY.into())
    }

    /// Lets go the client whose lease ran out longest ago, of those that have some of what is scarce; NFS4ERR_DELAY if all of
    /// them have a lease.
    async fn make_room(&self, now: Timestamp, scarce: Scarce) -> Result<(), Status> {
        // Those that are to go already come first, and as long as one of them cannot no other has to.
        self.settle_departures().await?;
        let may_go = |client| self.state.holds(client, scarce);
        let of_v4_0 = self.v4_0.clients.longest_expired(now, &may_go);
        let departures = if of_v4_0 > self.sessions.longest_expired(now, &may_go) {
            self.v4_0.clients.evict(now, &may_go)
        } else {
            self.sessions.evict(now, &may_go)
        };
        let departures = departures.ok_or(NFS4ERR_DELAY)?;
        self.settle(departures).await;
        self.settle_departures().await
    }

    /// Tries the departures again that could not be recorded; NFS4ERR_DELAY if they still cannot.
    async fn settle_departures(&self) -> Result<(), Status> {
        self.settle(Departures { clients: self.unsettled.take_gone().into() }).await;
        if self.unsettled.has_gone() { Err(NFS4ERR_DELAY) } else { Ok(()) }
    }

    /// Lets go the clients that were never confirmed, and those whose lease ran out and that hold nothing; ends the grace period
    /// when it is time. To be called now and then: a fraction of the lease is a good interval.
    pub async fn reap(&self) {
        let now = self.clock.now();
        // What still cannot be recorded is tried again the next time.
        let _ = self.settle_departures().await;
        let _ = self.settle_revoked().await;
        let is_holding = |client| self.state.remembers(client, now);
        self.settle(self.sessions.reap(now, &is_holding)).await;
        self.settle(self.v4_0.clients.reap(now, &is_holding)).await;
        let exists = |stateid: &StateidOther| self.state.knows(stateid);
        for unconfirmed in self.v4_0.owners.reap(now, self.lease, &exists).cancelled {
            self.carry_out(self.state.cancel_open(&unconfirmed));
        }
        // What cannot be recorded now is tried again the next time.
        let _ = self.settle_state(self.state.revoke_overdue(now)).await;
        self.purge_unclaimed(now);
        self.relieve_delegations();
        self.recall_unused_slots();
        self.end_grace_if_due(now).await;
    }
}
