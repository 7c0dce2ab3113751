use std::sync::Arc;

use foldhash::HashMap;

use super::{ClientKey, Grace, ReclaimRecord, Standing, StateEvent, StateStore, StoreError};
use crate::client::{Client, Protocol};
use crate::clock::Timestamp;
use crate::proto::{ClientId, SequenceStatus};
use crate::sync::Mutex;

/// The grace period of a server, and its record of who may reclaim in the next.
pub(crate) struct Recovery {
    store: Option<Arc<dyn StateStore>>,
    grace: Grace,
    /// Events are appended under this lock, so that they are in the order of what is noted here.
    book: Mutex<Book>,
}

/// Whose entry is in the store under each key, or is on its way there.
#[derive(Default)]
struct Book {
    entries: HashMap<ClientKey, Entry>,
    changes: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    holder: Holder,
    /// Tells this entry from an earlier one under the same key.
    change: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// A client of an earlier instance of the server.
    Earlier,
    /// This one.
    Client(ClientId),
}

impl Book {
    fn put(&mut self, key: ClientKey, holder: Holder) -> u64 {
        self.changes += 1;
        self.entries.insert(key, Entry { holder, change: self.changes });
        self.changes
    }

    /// Takes back a change that did not come to be, unless there was another one since.
    fn restore(&mut self, key: &ClientKey, change: u64, before: Option<Entry>) {
        if let (Some(before), Some(entry)) = (before, self.entries.get_mut(key))
            && entry.change == change
        {
            *entry = before;
        }
    }
}

impl Recovery {
    /// Keeps no record and knows of none: there is no grace period, and nobody may reclaim.
    pub(crate) fn none() -> Self {
        Self { store: None, grace: Grace::none(), book: Mutex::default() }
    }

    /// Keeps the record in `store`, in which `clients` were found.
    pub(crate) fn new(store: Arc<dyn StateStore>, grace: Grace, clients: &[ReclaimRecord]) -> Self {
        let mut book = Book::default();
        for client in clients {
            book.put(client.key.clone(), Holder::Earlier);
        }
        Self { store: Some(store), grace, book: Mutex::new(book) }
    }

    /// The grace period.
    pub(crate) fn grace(&self) -> &Grace {
        &self.grace
    }

    /// Takes note that a client was confirmed, which may make it one that reclaims.
    pub(crate) fn confirm(&self, client: &Client, now: Timestamp) {
        client.reclaims().confirm(now);
        if self.grace.standing(&ReclaimRecord::from(client.name())) == Standing::MayReclaim {
            client.reclaims().grant();
            client.set_status(SequenceStatus::RESTART_RECLAIM_NEEDED);
        }
    }

    /// Makes sure that a client may reclaim after a restart: to be waited for before it is given any state. A client with
    /// something revoked that it has not freed is not recorded anew (RFC 8881 section 8.4.3).
    #[inline]
    pub(crate) async fn record(
        &self,
        client: &Client,
        has_revoked: impl Fn() -> bool,
    ) -> Result<(), StoreError> {
        // Whoever reclaims is recorded from before the restart; what it has reclaimed is recorded when that is all.
        let reclaims_still = || {
            client.may_reclaim() && client.protocol() == Protocol::Sessions && !client.has_reclaim_complete()
        };
        if client.reclaims().is_recorded() || reclaims_still() {
            return Ok(());
        }
        self.record_anew(client, has_revoked).await
    }

    /// Records a client of sessions that has nothing left to reclaim, though it may hold nothing yet: it comes back after a restart to
    /// say so once more. While the one whom the server knows under its name may still reclaim, another user is not recorded.
    pub(crate) async fn record_complete(
        &self,
        client: &Client,
        has_revoked: impl Fn() -> bool,
    ) -> Result<(), StoreError> {
        if !client.may_reclaim() && self.grace.awaits(&ReclaimRecord::from(client.name()).key) {
            return Ok(());
        }
        self.record_anew(client, has_revoked).await
    }

    async fn record_anew(&self, client: &Client, has_revoked: impl Fn() -> bool) -> Result<(), StoreError> {
        let Some(store) = &self.store else { return Ok(()) };
        let reclaims = client.reclaims();
        let times_forgotten = reclaims.times_forgotten();
        if has_revoked() {
            return Ok(());
        }
        let record = ReclaimRecord::from(client.name());
        let key = record.key.clone();
        let (before, change, durable) = {
            let mut book = self.book.lock();
            if reclaims.times_forgotten() != times_forgotten || reclaims.has_departed() {
                // Something was revoked meanwhile, or nothing will be granted.
                return Ok(());
            }
            let before = book.entries.get(&key).copied();
            let change = book.put(key.clone(), Holder::Client(client.id()));
            (before, change, store.append(StateEvent::Holds(record)))
        };
        let result = durable.await;
        let mut book = self.book.lock();
        if let Err(error) = result {
            book.restore(&key, change, before);
            return Err(error);
        }
        if reclaims.times_forgotten() == times_forgotten {
            reclaims.recorded();
        }
        Ok(())
    }

    /// As [`forget`](Self::forget), for a client that is gone: a request of it that is still under way does not record it again.
    pub(crate) async fn depart(&self, client: &Client) -> Result<(), StoreError> {
        {
            let _in_order = self.book.lock();
            client.reclaims().depart();
        }
        self.forget(client).await
    }

    /// Makes sure that a client may not reclaim after a restart: to be waited for before anybody is given what it held. After
    /// an error it is to be tried again.
    pub(crate) async fn forget(&self, client: &Client) -> Result<(), StoreError> {
        let Some(store) = &self.store else { return Ok(()) };
        let key = ReclaimRecord::from(client.name()).key;
        let (change, durable) = {
            let mut book = self.book.lock();
            let had_standing = client.may_reclaim();
            client.reclaims().forget();
            if had_standing {
                self.grace.completed(&key);
            }
            let is_its_own = book.entries.get(&key).is_some_and(|entry| match entry.holder {
                Holder::Earlier => had_standing,
                Holder::Client(id) => id == client.id(),
            });
            if !is_its_own {
                return Ok(());
            }
            (
                book.put(key.clone(), Holder::Client(client.id())),
                store.append(StateEvent::Forgotten(key.clone())),
            )
        };
        durable.await?;
        let mut book = self.book.lock();
        if book.entries.get(&key).is_some_and(|entry| entry.change == change) {
            book.entries.remove(&key);
        }
        Ok(())
    }

    /// Nothing is left for a client to reclaim.
    pub(crate) fn completed(&self, client: &Client) {
        self.grace.completed(&ReclaimRecord::from(client.name()).key);
    }

    /// Ends the grace period, once that is recorded.
    pub(crate) async fn end_grace(&self) -> Result<(), StoreError> {
        let Some(store) = self.store.as_ref().filter(|_| self.grace.is_in_force()) else { return Ok(()) };
        store.append(StateEvent::GraceEnded).await?;
        self.book.lock().entries.retain(|_, entry| entry.holder != Holder::Earlier);
        self.grace.end();
        Ok(())
    }
}
