//! What is left to do when a table has changed, and what is to be done now and then.

use super::Nfs4Service;
use crate::client::{Departures, Protocol};
use crate::clock::Timestamp;
use crate::log_limited;
use crate::proto::{NFS4ERR_DELAY, Status};
use crate::state::{Effects, Held, Refused};
use crate::v4_0::StateidOther;

/// How often a request is made again that met state of clients whose lease ran out, or a limit: each time something of such
/// a client is gone, so only a race needs more than a few.
const TRIES: usize = 16;

impl Nfs4Service {
    /// Drops the state of clients that are gone.
    #[allow(clippy::unused_async)] // a record that survives a crash is waited for here
    pub async fn settle(&self, departures: Departures) {
        for gone in departures.clients {
            let (held, effects) = self.state.drop_client(gone.client.id());
            self.v4_0.owners.drop_client(gone.client.id(), self.clock.now());
            effects.run();
            let Held { opens, lock_stateids, locks, revoked } = held;
            log_limited!(
                info,
                clientid = gone.client.id().0,
                reason = ?gone.reason,
                sessions = gone.sessions,
                opens,
                lock_stateids,
                locks,
                revoked,
                "client is gone"
            );
        }
    }

    /// Does what a change of the state table left to do.
    #[allow(clippy::unused_async)] // a record that survives a crash is waited for here
    pub async fn settle_state(&self, mut effects: Effects) -> Result<(), Status> {
        for client in std::mem::take(&mut effects.revoked_from) {
            if client.protocol() == Protocol::V4_0 {
                // It cannot be told of a part of its state (RFC 7530 section 9.6.3).
                self.v4_0.clients.cancel(client.id());
                self.state.revoke_all(client.id()).run();
            }
            tracing::debug!(clientid = client.id().0, "state of an expired client gave way");
        }
        effects.run();
        Ok(())
    }

    /// Asks the state table, and asks again as long as state of clients whose lease ran out was in the way, or such a client
    /// could be let go when a limit was met (RFC 8881 section 8.4.3). NFS4ERR_DELAY if the limit stays.
    pub async fn ask_state<T, E: From<Status>>(
        &self,
        now: Timestamp,
        mut ask: impl FnMut() -> Result<T, Refused<E>>,
    ) -> Result<T, E> {
        for _ in 0..TRIES {
            match ask() {
                Ok(granted) => return Ok(granted),
                Err(Refused::Because(reason)) => return Err(reason),
                Err(Refused::Revoked(effects)) => self.settle_state(effects).await?,
                Err(Refused::Full) => self.make_room(now).await?,
            }
        }
        Err(NFS4ERR_DELAY.into())
    }

    /// Lets go the client whose lease ran out longest ago; NFS4ERR_DELAY if all clients have one.
    async fn make_room(&self, now: Timestamp) -> Result<(), Status> {
        let departures = if self.v4_0.clients.longest_expired(now) > self.sessions.longest_expired(now) {
            self.v4_0.clients.evict(now)
        } else {
            self.sessions.evict(now)
        };
        let departures = departures.ok_or(NFS4ERR_DELAY)?;
        self.settle(departures).await;
        Ok(())
    }

    /// Lets go the clients that were never confirmed, and those whose lease ran out and that hold nothing. To be called now
    /// and then: a fraction of the lease is a good interval.
    pub async fn reap(&self) {
        let is_holding = |client| self.state.remembers(client);
        self.settle(self.sessions.reap(self.clock.now(), &is_holding)).await;
        self.settle(self.v4_0.clients.reap(self.clock.now(), &is_holding)).await;
        let exists = |stateid: &StateidOther| self.state.knows(stateid);
        for unconfirmed in self.v4_0.owners.reap(self.clock.now(), self.lease, &exists).cancelled {
            self.state.cancel_open(&unconfirmed).run();
        }
    }
}
