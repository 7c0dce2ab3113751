use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::record::{Record, Records};
use super::session::{StillInUse, end_sessions};
use super::slots::SlotBudget;
use super::{ConnectionSessions, ServerIdentity, Session, SessionLimits, Within};
use crate::client::{Client, ClientIds, Departures, GoneReason};
use crate::clock::Timestamp;
use crate::proto::{
    BindConnToSession4Args, BindConnToSession4ResOk, ChannelDirFromClient, ChannelDirFromServer, ClientId,
    NFS4ERR_BADSESSION, NFS4ERR_CLIENTID_BUSY, NFS4ERR_COMPLETE_ALREADY, NFS4ERR_CONN_NOT_BOUND_TO_SESSION,
    NFS4ERR_DELAY, NFS4ERR_INVAL, NFS4ERR_STALE_CLIENTID, SessionId, Status,
};
use crate::state::ReferringCall;
use crate::sync::{Mutex, RwLock};

/// Clients and their sessions.
///
/// Lock order: `records`, then a shard of `sessions`, then the slots of sessions.
#[derive(Debug)]
pub struct SessionCore {
    pub(super) limits: SessionLimits,
    pub(super) lease: Duration,
    pub(super) identity: ServerIdentity,
    pub(super) client_ids: Arc<ClientIds>,
    pub(super) ids: SessionIds,
    pub(super) budget: Arc<SlotBudget>,
    pub(super) records: Mutex<Records>,
    pub(super) sessions: SessionTable,
}

impl SessionCore {
    /// No clients yet. `seed` is to be random: who knows it can guess session IDs.
    pub fn new(
        identity: ServerIdentity,
        limits: SessionLimits,
        lease: Duration,
        client_ids: Arc<ClientIds>,
        seed: [u8; 16],
    ) -> Self {
        Self {
            lease,
            client_ids,
            ids: SessionIds::new(identity.boot_epoch, seed),
            identity,
            budget: Arc::new(SlotBudget::new(limits.slots_total)),
            records: Mutex::default(),
            sessions: SessionTable::default(),
            limits,
        }
    }

    /// Answers DESTROY_SESSION (RFC 8881 section 18.37).
    ///
    /// NFS4ERR_DELAY while other requests of the session are running: when it is answered, they are over.
    pub fn destroy_session(
        &self,
        id: SessionId,
        connection: &ConnectionSessions,
        within: Within<'_>,
    ) -> Result<(), Status> {
        let mut records = self.records.lock();
        let session = self.sessions.find(&id).ok_or(NFS4ERR_BADSESSION)?;
        if !connection.is_fore(&id) && !connection.is_back(&session) {
            return Err(NFS4ERR_CONN_NOT_BOUND_TO_SESSION);
        }
        end_sessions(std::slice::from_ref(&session), within).map_err(|StillInUse| NFS4ERR_DELAY)?;
        if let Some(record) = records.get_mut(session.client().id()) {
            record.sessions.retain(|other| other.id() != id);
        }
        self.sessions.remove(&id);
        Ok(())
    }

    /// Answers BIND_CONN_TO_SESSION (RFC 8881 section 18.34).
    ///
    /// A connection that serves the session already may get the backchannel besides the fore channel, or the other way round, if the client
    /// leaves it to the server; that it demands other channels than before is NFS4ERR_INVAL.
    pub fn bind_conn_to_session(
        &self,
        args: &BindConnToSession4Args,
        connection: &ConnectionSessions,
    ) -> Result<BindConnToSession4ResOk, Status> {
        let session = self.sessions.find(&args.sessionid).ok_or(NFS4ERR_BADSESSION)?;
        let (is_fore, is_back) = (connection.is_fore(&args.sessionid), connection.is_back(&session));
        let wants_other = match args.dir {
            ChannelDirFromClient::Fore => is_back,
            ChannelDirFromClient::Back => is_fore,
            ChannelDirFromClient::ForeOrBoth => is_back && !is_fore,
            ChannelDirFromClient::BackOrBoth => is_fore && !is_back,
        };
        if wants_other {
            return Err(NFS4ERR_INVAL);
        }
        let gets_back = args.dir != ChannelDirFromClient::Fore && connection.bind_back(&session);
        let dir = match (args.dir, gets_back) {
            (ChannelDirFromClient::Fore | ChannelDirFromClient::ForeOrBoth, false) => {
                ChannelDirFromServer::Fore
            }
            (ChannelDirFromClient::Back, true) => ChannelDirFromServer::Back,
            (_, true) => ChannelDirFromServer::Both,
            (_, false) => return Err(NFS4ERR_INVAL),
        };
        if dir != ChannelDirFromServer::Back {
            connection.associate(&session);
        }
        Ok(BindConnToSession4ResOk { sessionid: args.sessionid, dir, use_conn_in_rdma_mode: false })
    }

    /// The session with this ID.
    pub fn session(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.sessions.find(id)
    }

    /// The sessions of a client, the newest last.
    pub fn sessions_of(&self, client: &Client) -> Vec<Arc<Session>> {
        self.records.lock().get(client.id()).map(|record| record.sessions.clone()).unwrap_or_default()
    }

    /// The sessions that have more slots than they use, when no session can grow, and the highest slot that each is to use. Each is given
    /// back once for each number.
    pub fn recall_slots(&self, now: Timestamp) -> Vec<(Arc<Session>, u32)> {
        if !self.budget.is_short() {
            return Vec::new();
        }
        self.sessions
            .all()
            .filter_map(|session| Some((session.clone(), session.slots().recall(now)?)))
            .collect()
    }

    /// Whether the client may not have seen the reply of that request yet: it has sent no other one in its slot (RFC 8881 section
    /// 2.10.6.3).
    pub(crate) fn may_be_unseen(&self, call: &ReferringCall) -> bool {
        let session = self.sessions.find(&call.session);
        session.is_some_and(|session| {
            session.slots().slot(call.slotid).is_some_and(|slot| slot.lock().is_last(call.sequenceid))
        })
    }

    /// Answers DESTROY_CLIENTID (RFC 8881 section 18.50). `has_state` is called with the table of clients locked.
    pub fn destroy_clientid(
        &self,
        now: Timestamp,
        id: ClientId,
        within: Within<'_>,
        has_state: &dyn Fn(ClientId) -> bool,
    ) -> Result<Departures, Status> {
        let mut records = self.records.lock();
        let record = records.get(id).ok_or(NFS4ERR_STALE_CLIENTID)?;
        if matches!(within, Within::Session(own) if own.client().id() == id) {
            return Err(NFS4ERR_CLIENTID_BUSY);
        }
        let is_holding = !record.sessions.is_empty() || has_state(id);
        if is_holding && !record.is_expired(now) {
            return Err(NFS4ERR_CLIENTID_BUSY);
        }
        let mut departures = Departures::default();
        let ended = records
            .remove_with_sessions(id, GoneReason::Destroyed, within, &mut departures)
            .map_err(|StillInUse| NFS4ERR_CLIENTID_BUSY)?;
        self.forget_sessions(&ended);
        Ok(departures)
    }

    /// Answers a global RECLAIM_COMPLETE (RFC 8881 section 18.51).
    pub fn reclaim_complete(&self, client: &Client) -> Result<(), Status> {
        if client.complete_reclaim() { Ok(()) } else { Err(NFS4ERR_COMPLETE_ALREADY) }
    }

    /// Lets go clients whose lease ran out and that hold nothing, and records that nobody confirmed. A client with a request
    /// still running is alive. `is_holding` is called with the table of clients locked.
    pub fn reap(&self, now: Timestamp, is_holding: &dyn Fn(ClientId) -> bool) -> Departures {
        let mut departures = Departures::default();
        let mut records = self.records.lock();
        let is_due = |record: &&Record| {
            record.is_forgotten(now) || (record.is_expired(now) && !is_holding(record.client.id()))
        };
        let due: Vec<_> = records.iter().filter(is_due).map(|record| record.client.clone()).collect();
        for client in due {
            self.let_go(&mut records, &client, now, (GoneReason::Expired, Within::Nothing), &mut departures);
        }
        departures
    }

    /// Lets go the client whose lease ran out longest ago, with all that it holds: to be called when a limit is met. `None` if
    /// there is no such client among those that `may_go`, which is called with the table of clients locked.
    pub fn evict(&self, now: Timestamp, may_go: &dyn Fn(ClientId) -> bool) -> Option<Departures> {
        let mut departures = Departures::default();
        self.evict_from(
            &mut self.records.lock(),
            now,
            Within::Nothing,
            |record| may_go(record.client.id()),
            &mut departures,
        )?;
        Some(departures)
    }

    /// How long the client that [`evict`](Self::evict) would take has been silent.
    pub fn longest_expired(&self, now: Timestamp, may_go: &dyn Fn(ClientId) -> bool) -> Option<Duration> {
        let records = self.records.lock();
        let may_go = |record: &&Record| record.is_expired(now) && may_go(record.client.id());
        records.iter().filter(may_go).map(|record| record.client.idle(now)).max()
    }

    /// Lets go that one of the clients `may_go` names whose lease ran out longest ago.
    pub(super) fn evict_from(
        &self,
        records: &mut Records,
        now: Timestamp,
        within: Within<'_>,
        may_go: impl Fn(&Record) -> bool,
        departures: &mut Departures,
    ) -> Option<()> {
        // One whose request is still running is alive, and renewed: the next one is tried.
        loop {
            let expired = records.iter().filter(|record| record.is_expired(now) && may_go(record));
            let oldest = expired.max_by_key(|record| record.client.idle(now))?.client.clone();
            if self.let_go(records, &oldest, now, (GoneReason::Evicted, within), departures) {
                return Some(());
            }
        }
    }

    /// Whether the client could go.
    fn let_go(
        &self,
        records: &mut Records,
        client: &Client,
        now: Timestamp,
        (reason, within): (GoneReason, Within<'_>),
        departures: &mut Departures,
    ) -> bool {
        let ended = records.remove_with_sessions(client.id(), reason, within, departures);
        match &ended {
            Ok(sessions) => self.forget_sessions(sessions),
            Err(StillInUse) => client.renew(now),
        }
        ended.is_ok()
    }

    pub(super) fn forget_sessions(&self, ended: &[Arc<Session>]) {
        for session in ended {
            self.sessions.remove(&session.id());
        }
    }

    /// How many clients and sessions there are.
    pub fn census(&self) -> SessionCensus {
        let records = self.records.lock();
        let clients = records.len() - records.unconfirmed();
        drop(records);
        SessionCensus { clients, sessions: self.sessions.len(), slots: self.budget.in_use() }
    }

    /// The confirmed clients.
    pub fn clients(&self) -> Vec<Arc<Client>> {
        let records = self.records.lock();
        records.iter().filter(|record| record.is_confirmed()).map(|record| record.client.clone()).collect()
    }

    /// Asserts the invariants S1 to S8.
    ///
    /// # Panics
    /// When one does not hold.
    #[cfg(any(test, feature = "testing"))]
    pub fn check_invariants(&self) {
        let records = self.records.lock();
        let mut listed = 0;
        let mut granted = 0;
        for (owner, of_owner) in records.owners() {
            let ids = [(of_owner.confirmed, true), (of_owner.unconfirmed, false)];
            assert!(ids.iter().any(|(id, _)| id.is_some()), "S1: an owner without records");
            for (id, is_confirmed) in ids.iter().filter_map(|(id, is)| id.map(|id| (id, *is))) {
                let record = records.get(id);
                let fits = |record: &Record| {
                    record.is_confirmed() == is_confirmed && record.client.name().owner.0 == *owner
                };
                assert!(record.is_some_and(fits), "S1: {id:?} does not fit its owner's entry");
                listed += 1;
            }
        }
        assert_eq!(listed, records.len(), "S1: a record that its owner does not know");
        let unconfirmed = records.iter().filter(|record| !record.is_confirmed()).count();
        assert_eq!(unconfirmed, records.unconfirmed(), "S1: unconfirmed records");
        let mut sessions = 0;
        for record in records.iter() {
            assert!(
                record.is_confirmed() || record.sessions.is_empty(),
                "S2: an unconfirmed client has sessions"
            );
            assert!(record.sessions.len() <= self.limits.sessions_per_client, "S2: too many sessions");
            for session in &record.sessions {
                assert!(Arc::ptr_eq(session.client(), &record.client), "S3: a session of another client");
                assert!(!session.has_ended(), "S3: a session that has ended is listed");
                let found = self.sessions.find(&session.id());
                assert!(
                    found.is_some_and(|found| Arc::ptr_eq(&found, session)),
                    "S3: a session nobody finds"
                );
                session.slots().check();
                session.back().check();
                granted += session.slots().accepted();
                sessions += 1;
            }
        }
        assert_eq!(sessions, self.sessions.len(), "S3: a session that its client does not know");
        assert!(
            granted <= self.budget.in_use(),
            "S8: {granted} slots granted, {} counted",
            self.budget.in_use()
        );
    }
}

/// How much there is of clients and sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionCensus {
    /// Confirmed clients.
    pub clients: usize,
    /// Their sessions.
    pub sessions: usize,
    /// Slots of the sessions.
    pub slots: u32,
}

/// Where session IDs come from.
#[derive(Debug)]
pub(super) struct SessionIds {
    boot_epoch: u32,
    key: SipHasher13,
    sessions: AtomicU32,
}

impl SessionIds {
    fn new(boot_epoch: u32, seed: [u8; 16]) -> Self {
        let key = SipHasher13::new_with_key(&seed);
        Self { boot_epoch, key, sessions: AtomicU32::new(1) }
    }

    /// A count, which makes it unique, and 96 bits of its keyed hash, which nobody can guess.
    pub(super) fn next_sessionid(&self) -> SessionId {
        let count = self.sessions.fetch_add(1, Ordering::Relaxed);
        let mut hasher = self.key;
        hasher.write_u32(self.boot_epoch);
        hasher.write_u32(count);
        let mut id = hasher.finish128().as_bytes();
        if let Some(head) = id.first_chunk_mut() {
            *head = count.to_be_bytes();
        }
        SessionId(id)
    }
}

const SHARDS: usize = 64;

/// Sessions by ID, in shards: no two requests of different sessions are likely to meet in one.
#[derive(Debug)]
pub(super) struct SessionTable {
    shards: [RwLock<HashMap<SessionId, Arc<Session>, RandomState>>; SHARDS],
}

impl Default for SessionTable {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::default()) }
    }
}

impl SessionTable {
    fn shard(&self, id: &SessionId) -> &RwLock<HashMap<SessionId, Arc<Session>, RandomState>> {
        let [.., last] = id.0;
        #[allow(clippy::indexing_slicing)] // below the length by the remainder
        &self.shards[usize::from(last) % SHARDS]
    }

    pub(super) fn find(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.shard(id).read().get(id).cloned()
    }

    fn all(&self) -> impl Iterator<Item = Arc<Session>> {
        self.shards.iter().flat_map(|shard| shard.read().values().cloned().collect::<Vec<_>>())
    }

    pub(super) fn insert(&self, session: Arc<Session>) {
        self.shard(&session.id()).write().insert(session.id(), session);
    }

    pub(super) fn remove(&self, id: &SessionId) {
        let removed = self.shard(id).write().remove(id);
        drop(removed);
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }
}
