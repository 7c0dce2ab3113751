//! SETCLIENTID and SETCLIENTID_CONFIRM (RFC 7530 sections 16.33 and 16.34), RENEW (section 16.28).

use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;
use parking_lot::RwLock;
use siphasher::sip::SipHasher13;

use crate::callback::{Destination, DialedPath};
use crate::client::{Client, ClientIds, ClientName, Departures, GoneReason, Protocol, UserId};
use crate::clock::Timestamp;
use crate::proto::{
    ClientAddr4, ClientId, NFS4ERR_CLID_INUSE, NFS4ERR_DELAY, NFS4ERR_EXPIRED, NFS4ERR_STALE_CLIENTID,
    NfsClientId4, OpaqueId, Status, Verifier4,
};

/// Where and how a client wants to be called back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// Its address, as it says.
    pub addr: ClientAddr4,
    /// What the server makes of it.
    pub to: Destination,
}

/// One to keep: its strings are copies, as those of the argument are slices of the connection's buffer.
fn compact(ClientAddr4 { netid, addr }: &ClientAddr4) -> ClientAddr4 {
    ClientAddr4 { netid: netid[..].into(), addr: addr[..].into() }
}

/// What SETCLIENTID asks for.
#[derive(Debug)]
pub struct SetClientid<'a> {
    /// Who the client says it is.
    pub client: &'a NfsClientId4,
    /// How to call it.
    pub callback: Callback,
    /// Who sent it.
    pub user: UserId,
}

/// NFS4ERR_CLID_INUSE and where the client is that has the name, or another status.
#[derive(Debug, PartialEq, Eq)]
pub enum InUse {
    /// Somebody else has the name.
    By(ClientAddr4),
    /// Another reason to refuse.
    Status(Status),
}

/// The clients of minor version 0.
#[derive(Debug)]
pub struct ClientTable {
    lease: Duration,
    limit: usize,
    ids: Arc<ClientIds>,
    confirms: SipHasher13,
    next_confirm: AtomicU64,
    records: RwLock<Records>,
}

#[derive(Debug, Default)]
struct Records {
    by_name: HashMap<Bytes, Named, RandomState>,
    by_id: HashMap<ClientId, Bytes, RandomState>,
    /// Those of `by_id` that were never confirmed; the first is the oldest.
    unconfirmed: BTreeMap<ClientId, Bytes>,
}

/// The records of one id string.
#[derive(Debug, Default)]
struct Named {
    confirmed: Option<Confirmed>,
    /// What a SETCLIENTID_CONFIRM would make the confirmed one. Of the same client ID, it is an update of the callback.
    unconfirmed: Option<Record>,
}

#[derive(Debug)]
struct Confirmed {
    record: Record,
    lease: Lease,
}

/// A record { v, x, c, k, s } of RFC 7530 section 16.33.5: v, x and c are the client's.
#[derive(Debug)]
struct Record {
    client: Arc<Client>,
    addr: ClientAddr4,
    path: Arc<DialedPath>,
    confirm: Verifier4,
    since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lease {
    /// In force, or over with the state kept as a courtesy.
    Kept,
    /// RFC 7530 section 9.6.3.2: state of the client was in the way of others, and is lost.
    Canceled,
}

/// How many leases an unconfirmed record is kept.
const LEASES_UNCONFIRMED: u32 = 2;
/// How many leases a client is told that its lease was canceled; after that it is not known any more.
const LEASES_CANCELED: u32 = 10;

impl ClientTable {
    /// No clients yet. `limit` is how many records there may be; `seed` is to be random: who knows it can guess the
    /// setclientid_confirm of others.
    pub fn new(ids: Arc<ClientIds>, limit: usize, lease: Duration, seed: [u8; 16]) -> Self {
        Self {
            lease,
            limit,
            ids,
            confirms: SipHasher13::new_with_key(&seed),
            next_confirm: AtomicU64::new(1),
            records: RwLock::default(),
        }
    }

    /// Answers SETCLIENTID with the client ID and the verifier that confirm it.
    ///
    /// `is_holding` tells whether a client has state. It is called with the table locked.
    pub fn set_clientid(
        &self,
        now: Timestamp,
        request: SetClientid<'_>,
        is_holding: &dyn Fn(ClientId) -> bool,
    ) -> Result<(ClientId, Verifier4, Departures), InUse> {
        let mut records = self.records.write();
        let id = &request.client.id.0;
        let known = records.by_name.get(id).and_then(|named| named.confirmed.as_ref());
        if let Some(holder) = known
            && holder.is_held_against(request.user, now, is_holding)
        {
            return Err(InUse::By(holder.record.addr.clone()));
        }
        // The first case, a probable callback update: the client ID stays. One whose lease was canceled needs a new one.
        let updated = known.filter(|known| {
            let name = known.record.client.name();
            known.lease == Lease::Kept
                && name.user == request.user
                && name.verifier == request.client.verifier
        });
        let updated = updated.map(|known| known.record.client.clone());
        // Whatever was not confirmed of this name gives way in all cases.
        records.remove_unconfirmed(id);
        let mut departures = Departures::default();
        let client = if let Some(client) = updated {
            client
        } else {
            if records.by_id.len() >= self.limit && !records.remove_oldest_unconfirmed() {
                records.evict(now, &|_| true, &mut departures).ok_or(InUse::Status(NFS4ERR_DELAY))?;
            }
            self.new_client(&records, &request, now)
        };
        let confirm = self.next_confirm();
        let clientid = client.id();
        let Callback { addr, to } = request.callback;
        let path = Arc::new(DialedPath::new(client.clone(), to));
        let record = Record { client, addr: compact(&addr), path, confirm, since: now };
        records.insert_unconfirmed(record);
        Ok((clientid, confirm, departures))
    }

    fn new_client(&self, records: &Records, request: &SetClientid<'_>, now: Timestamp) -> Arc<Client> {
        let name = ClientName {
            protocol: Protocol::V4_0,
            // A copy: the argument is a slice of the connection's buffer.
            owner: OpaqueId::from(&request.client.id[..]),
            verifier: request.client.verifier,
            user: request.user,
        };
        let id =
            std::iter::repeat_with(|| self.ids.next_clientid()).find(|id| !records.by_id.contains_key(id));
        Arc::new(Client::new(id.unwrap_or(ClientId(0)), name, self.lease, now))
    }

    /// A number that was not given before, hashed so that nobody can guess another's.
    fn next_confirm(&self) -> Verifier4 {
        let mut hasher = self.confirms;
        hasher.write_u64(self.next_confirm.fetch_add(1, Ordering::Relaxed));
        // Zero looks like no verifier at all.
        hasher.finish().max(1).to_be_bytes()
    }

    /// Answers SETCLIENTID_CONFIRM. It never renews a lease (RFC 7530 section 9.5).
    ///
    /// `on_confirmed` is called when a client becomes one that can have state, before anybody can use its ID, and like
    /// `is_holding` with the table locked.
    pub fn confirm(
        &self,
        now: Timestamp,
        clientid: ClientId,
        confirm: Verifier4,
        user: UserId,
        is_holding: &dyn Fn(ClientId) -> bool,
        on_confirmed: &dyn Fn(&Arc<Client>),
    ) -> Result<Departures, Status> {
        let mut records = self.records.write();
        let Records { by_name, by_id, unconfirmed } = &mut *records;
        let named =
            by_id.get(&clientid).and_then(|name| by_name.get_mut(name)).ok_or(NFS4ERR_STALE_CLIENTID)?;
        let mut departures = Departures::default();
        let is_it = |record: &Record| record.client.id() == clientid && record.confirm == confirm;
        let Some(record) = named.unconfirmed.take_if(|record| is_it(record)) else {
            // The second case: a retransmission, after which all stays as it is.
            let confirmed = named.confirmed.as_ref().filter(|confirmed| is_it(&confirmed.record));
            let confirmed = confirmed.ok_or(NFS4ERR_STALE_CLIENTID)?;
            let is_same = confirmed.record.client.name().user == user;
            return if is_same { Ok(departures) } else { Err(NFS4ERR_CLID_INUSE) };
        };
        // RFC 7530 section 9.1.1: the state of one principal is not canceled by another.
        let is_held = named.confirmed.as_ref().is_some_and(|old| old.is_held_against(user, now, is_holding));
        if record.client.name().user != user || is_held {
            named.unconfirmed = Some(record);
            return Err(NFS4ERR_CLID_INUSE);
        }
        let is_update = |old: &Confirmed| old.record.client.id() == clientid;
        match named.confirmed.take() {
            // The first case: the callback is updated.
            Some(old) if is_update(&old) => {
                record.path.open();
                old.record.path.close();
                named.confirmed = Some(Confirmed { record, lease: old.lease });
            }
            // The third case: a new client, or a new incarnation, of which the old one goes with all that it had.
            old => {
                if let Some(Confirmed { record: old, lease }) = old {
                    by_id.remove(&old.client.id());
                    let reason = match lease {
                        Lease::Canceled => GoneReason::Expired,
                        Lease::Kept if old.client.name().user == user => GoneReason::Restarted,
                        Lease::Kept => GoneReason::Supplanted,
                    };
                    departures.push(&old.client, reason, 0);
                }
                on_confirmed(&record.client);
                unconfirmed.remove(&clientid);
                record.client.renew(now);
                record.path.open();
                named.confirmed = Some(Confirmed { record, lease: Lease::Kept });
            }
        }
        Ok(departures)
    }

    /// The client with this ID. NFS4ERR_EXPIRED if the lease was canceled, NFS4ERR_STALE_CLIENTID if there is no confirmed
    /// client with this ID.
    pub fn get(&self, clientid: ClientId) -> Result<Arc<Client>, Status> {
        let records = self.records.read();
        let confirmed = records.confirmed(clientid).ok_or(NFS4ERR_STALE_CLIENTID)?;
        match confirmed.lease {
            Lease::Kept => Ok(confirmed.record.client.clone()),
            Lease::Canceled => Err(NFS4ERR_EXPIRED),
        }
    }

    /// The same for a client that uses its ID, and so renews its lease (RFC 7530 section 9.5).
    pub fn renew(&self, now: Timestamp, clientid: ClientId) -> Result<Arc<Client>, Status> {
        let client = self.get(clientid)?;
        client.renew(now);
        Ok(client)
    }

    /// The way to call a client, as it was confirmed last.
    pub fn path(&self, clientid: ClientId) -> Option<Arc<DialedPath>> {
        self.records.read().confirmed(clientid).map(|confirmed| confirmed.record.path.clone())
    }

    /// How a client wants to be called.
    #[cfg(any(test, feature = "testing"))]
    pub fn callback(&self, clientid: ClientId) -> Option<Callback> {
        let records = self.records.read();
        let record = &records.confirmed(clientid)?.record;
        Some(Callback { addr: record.addr.clone(), to: record.path.destination().clone() })
    }

    /// Notes that state of a client whose lease ran out was in the way of others: the whole lease is canceled, until the
    /// client has confirmed another client ID (RFC 7530 section 9.6.3.2). False if it was before, or there is no such client.
    pub fn cancel(&self, clientid: ClientId) -> bool {
        let mut records = self.records.write();
        let Some(confirmed) = records.confirmed_mut(clientid) else { return false };
        std::mem::replace(&mut confirmed.lease, Lease::Canceled) == Lease::Kept
    }

    /// Forgets records that nobody confirmed, and clients whose lease ran out and that hold nothing. `is_holding` is called
    /// with the table locked.
    pub fn reap(&self, now: Timestamp, is_holding: &dyn Fn(ClientId) -> bool) -> Departures {
        let mut departures = Departures::default();
        let mut records = self.records.write();
        let records = &mut *records;
        for named in records.by_name.values_mut() {
            let late = |record: &mut Record| now.since(record.since) > self.lease * LEASES_UNCONFIRMED;
            if let Some(late) = named.unconfirmed.take_if(late) {
                forget_id(&mut records.by_id, &mut records.unconfirmed, late.client.id());
            }
            let over = |confirmed: &mut Confirmed| {
                let client = &confirmed.record.client;
                match confirmed.lease {
                    Lease::Kept => client.is_expired(now) && !is_holding(client.id()),
                    Lease::Canceled => client.idle(now) > self.lease * LEASES_CANCELED,
                }
            };
            if let Some(over) = named.confirmed.take_if(over) {
                let client = over.record.client;
                // An update of its callback goes with it.
                named.unconfirmed.take_if(|record| record.client.id() == client.id());
                records.by_id.remove(&client.id());
                departures.push(&client, GoneReason::Expired, 0);
            }
        }
        records.by_name.retain(|_, named| named.confirmed.is_some() || named.unconfirmed.is_some());
        departures
    }

    /// Lets go the client whose lease ran out longest ago, with all that it holds: to be called when a limit is met. `None` if
    /// there is no such client among those that `may_go`, which is called with the table locked.
    pub fn evict(&self, now: Timestamp, may_go: &dyn Fn(ClientId) -> bool) -> Option<Departures> {
        let mut departures = Departures::default();
        self.records.write().evict(now, may_go, &mut departures)?;
        Some(departures)
    }

    /// How long the client that [`evict`](Self::evict) would take has been silent.
    pub fn longest_expired(&self, now: Timestamp, may_go: &dyn Fn(ClientId) -> bool) -> Option<Duration> {
        self.records.read().longest_expired(now, may_go).map(|client| client.idle(now))
    }

    /// How many clients are confirmed.
    pub fn confirmed(&self) -> usize {
        let records = self.records.read();
        // An update of a confirmed client's callback is of its ID.
        records.by_id.len() - records.unconfirmed.len()
    }

    /// The confirmed clients.
    pub fn clients(&self) -> Vec<Arc<Client>> {
        let records = self.records.read();
        let confirmed = records.by_name.values().filter_map(|named| named.confirmed.as_ref());
        confirmed.map(|confirmed| confirmed.record.client.clone()).collect()
    }

    /// How many client IDs are known, confirmed or not.
    #[cfg(any(test, feature = "testing"))]
    pub fn len(&self) -> usize {
        self.records.read().by_id.len()
    }

    /// Whether none is.
    #[cfg(any(test, feature = "testing"))]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asserts the invariant N4.
    ///
    /// # Panics
    /// When it does not hold.
    #[cfg(any(test, feature = "testing"))]
    pub fn check_invariants(&self) {
        let records = self.records.read();
        let mut ids = 0;
        for (name, named) in &records.by_name {
            let of = |record: &Record| record.client.id();
            let confirmed = named.confirmed.as_ref().map(|confirmed| of(&confirmed.record));
            let unconfirmed = named.unconfirmed.as_ref().map(of).filter(|id| Some(*id) != confirmed);
            assert!(named.confirmed.is_some() || named.unconfirmed.is_some(), "N4: a name without records");
            let is_listed = |id: ClientId| records.unconfirmed.get(&id) == Some(name);
            assert!(
                unconfirmed.is_none_or(is_listed) && !confirmed.is_some_and(is_listed),
                "N4: unconfirmed or not"
            );
            for id in confirmed.into_iter().chain(unconfirmed) {
                assert_eq!(records.by_id.get(&id), Some(name), "N4: {id:?} does not lead to its name");
                ids += 1;
            }
        }
        assert_eq!(ids, records.by_id.len(), "N4: an ID without a record");
        let unconfirmed = records.unconfirmed.keys();
        assert!(
            unconfirmed.clone().all(|id| records.by_id.contains_key(id)),
            "N4: an unconfirmed ID without a record"
        );
    }
}

impl Confirmed {
    /// Whether the name is refused to `user`: it is another's, who has state and a lease (RFC 7530 section 9.1.2).
    fn is_held_against(&self, user: UserId, now: Timestamp, is_holding: &dyn Fn(ClientId) -> bool) -> bool {
        let client = &self.record.client;
        client.name().user != user
            && self.lease == Lease::Kept
            && !client.is_expired(now)
            && is_holding(client.id())
    }
}

impl Records {
    fn confirmed(&self, id: ClientId) -> Option<&Confirmed> {
        let confirmed = self.by_name.get(self.by_id.get(&id)?)?.confirmed.as_ref()?;
        (confirmed.record.client.id() == id).then_some(confirmed)
    }

    fn confirmed_mut(&mut self, id: ClientId) -> Option<&mut Confirmed> {
        let confirmed = self.by_name.get_mut(self.by_id.get(&id)?)?.confirmed.as_mut()?;
        (confirmed.record.client.id() == id).then_some(confirmed)
    }

    fn longest_expired(&self, now: Timestamp, may_go: &dyn Fn(ClientId) -> bool) -> Option<Arc<Client>> {
        let confirmed = self.by_name.values().filter_map(|named| named.confirmed.as_ref());
        let clients = confirmed.map(|confirmed| &confirmed.record.client);
        let expired = clients.filter(|client| client.is_expired(now) && may_go(client.id()));
        expired.max_by_key(|client| client.idle(now)).cloned()
    }

    fn evict(
        &mut self,
        now: Timestamp,
        may_go: &dyn Fn(ClientId) -> bool,
        departures: &mut Departures,
    ) -> Option<()> {
        let client = self.longest_expired(now, may_go)?;
        let named = self.by_name.get_mut(&client.name().owner.0)?;
        named.confirmed = None;
        // An update of its callback goes with it.
        named.unconfirmed.take_if(|record| record.client.id() == client.id());
        if named.unconfirmed.is_none() {
            self.by_name.remove(&client.name().owner.0);
        }
        self.by_id.remove(&client.id());
        departures.push(&client, GoneReason::Evicted, 0);
        Some(())
    }

    fn insert_unconfirmed(&mut self, record: Record) {
        let name = record.client.name().owner.0.clone();
        let id = record.client.id();
        if self.by_id.insert(id, name.clone()).is_none() {
            self.unconfirmed.insert(id, name.clone());
        }
        self.by_name.entry(name).or_default().unconfirmed = Some(record);
    }

    /// Takes out the record that waits longest to be confirmed: it holds nothing, and its client can make another. False if
    /// there is none that is of no confirmed client.
    fn remove_oldest_unconfirmed(&mut self) -> bool {
        let unconfirmed = self.unconfirmed.values().next().cloned();
        unconfirmed.inspect(|name| self.remove_unconfirmed(name)).is_some()
    }

    fn remove_unconfirmed(&mut self, name: &Bytes) {
        let Some(named) = self.by_name.get_mut(name) else { return };
        if let Some(record) = named.unconfirmed.take() {
            forget_id(&mut self.by_id, &mut self.unconfirmed, record.client.id());
        }
        if named.confirmed.is_none() {
            self.by_name.remove(name);
        }
    }
}

/// Forgets the ID of an unconfirmed record, unless it is the confirmed one's as well.
fn forget_id(
    by_id: &mut HashMap<ClientId, Bytes, RandomState>,
    unconfirmed: &mut BTreeMap<ClientId, Bytes>,
    id: ClientId,
) {
    if unconfirmed.remove(&id).is_some() {
        by_id.remove(&id);
    }
}
