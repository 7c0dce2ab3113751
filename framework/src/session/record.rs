//! The tables of client records. All of it is guarded by one lock: the operations that come here are rare.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::session::{StillInUse, end_sessions};
use super::{Session, Within};
use crate::client::{Client, Departures, GoneReason};
use crate::clock::Timestamp;
use crate::proto::{ClientId, CreateSession4ResOk, NFS4ERR_SEQ_MISORDERED, Status};

/// Whether a CREATE_SESSION made a session of the client (RFC 8881 section 18.35.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmed {
    Yes,
    No,
}

/// The slot of a client ID's CREATE_SESSION (RFC 8881 section 18.36.4).
#[derive(Debug)]
pub(super) struct CreateSlot {
    pub(super) sequence: u32,
    pub(super) reply: Result<CreateSession4ResOk, Status>,
}

impl CreateSlot {
    /// eir_sequenceid of a new client ID.
    pub(super) const FIRST: u32 = 1;
}

/// What is known of one client ID.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) client: Arc<Client>,
    pub(super) confirmed: Confirmed,
    pub(super) create_slot: CreateSlot,
    pub(super) sessions: Vec<Arc<Session>>,
}

impl Record {
    pub(super) fn new(client: Client) -> Self {
        let create_slot =
            CreateSlot { sequence: CreateSlot::FIRST.wrapping_sub(1), reply: Err(NFS4ERR_SEQ_MISORDERED) };
        Self { client: Arc::new(client), confirmed: Confirmed::No, create_slot, sessions: Vec::new() }
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed == Confirmed::Yes
    }

    /// RFC 8881 section 18.35.4: an unconfirmed record SHOULD go after a lease. It gets two, for a client that is slow to
    /// confirm.
    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        !self.is_confirmed() && self.client.idle(now) > self.client.lease() * 2
    }

    /// Whether it is a confirmed client whose lease ran out.
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.is_confirmed() && self.client.is_expired(now)
    }
}

/// The records of one co_ownerid. Both exist between the EXCHANGE_ID of a restarted client and its CREATE_SESSION.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct OwnerRecords {
    pub(super) confirmed: Option<ClientId>,
    pub(super) unconfirmed: Option<ClientId>,
}

/// All client records.
#[derive(Debug, Default)]
pub(super) struct Records {
    by_id: HashMap<ClientId, Record, RandomState>,
    by_owner: HashMap<Bytes, OwnerRecords, RandomState>,
    /// In the order in which they were made: IDs ascend.
    unconfirmed: BTreeSet<ClientId>,
}

impl Records {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn contains(&self, id: ClientId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(super) fn get(&self, id: ClientId) -> Option<&Record> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ClientId) -> Option<&mut Record> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.by_id.values()
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn owners(&self) -> impl Iterator<Item = (&Bytes, &OwnerRecords)> {
        self.by_owner.iter()
    }

    pub(super) fn of_owner(&self, owner: &Bytes) -> OwnerRecords {
        self.by_owner.get(owner).copied().unwrap_or_default()
    }

    /// Adds an unconfirmed record. The owner must have none.
    pub(super) fn insert_unconfirmed(&mut self, client: Client) -> &Record {
        let id = client.id();
        let owner = self.by_owner.entry(client.name().owner.0.clone()).or_default();
        debug_assert!(owner.unconfirmed.is_none(), "one unconfirmed record for an owner");
        owner.unconfirmed = Some(id);
        self.unconfirmed.insert(id);
        self.by_id.entry(id).or_insert(Record::new(client))
    }

    /// Makes an unconfirmed record the confirmed one of its owner, whose confirmed record must be gone.
    pub(super) fn confirm(&mut self, id: ClientId) {
        let Some(record) = self.by_id.get_mut(&id) else { return };
        record.confirmed = Confirmed::Yes;
        self.unconfirmed.remove(&id);
        if let Some(owner) = self.by_owner.get_mut(&record.client.name().owner.0) {
            debug_assert!(owner.confirmed.is_none(), "one confirmed record for an owner");
            *owner = OwnerRecords { confirmed: Some(id), unconfirmed: None };
        }
    }

    /// Takes a record out. Its sessions must have ended.
    pub(super) fn remove(&mut self, id: ClientId) -> Option<Record> {
        let record = self.by_id.remove(&id)?;
        self.unconfirmed.remove(&id);
        let key = &record.client.name().owner.0;
        if let Some(owner) = self.by_owner.get_mut(key) {
            match record.confirmed {
                Confirmed::Yes => owner.confirmed = None,
                Confirmed::No => owner.unconfirmed = None,
            }
            if owner.confirmed.is_none() && owner.unconfirmed.is_none() {
                self.by_owner.remove(key);
            }
        }
        Some(record)
    }

    /// Takes out the unconfirmed record that was made first: it holds nothing, and its client can make another. False if there
    /// is none.
    pub(super) fn remove_oldest_unconfirmed(&mut self) -> bool {
        let oldest = self.unconfirmed.first().copied();
        oldest.is_some_and(|id| self.remove(id).is_some())
    }

    pub(super) fn unconfirmed(&self) -> usize {
        self.unconfirmed.len()
    }

    /// Ends the sessions of a client and takes its record out, unless one of its requests is still running. The sessions
    /// that have ended are returned for the session table.
    pub(super) fn remove_with_sessions(
        &mut self,
        id: ClientId,
        reason: GoneReason,
        within: Within<'_>,
        departures: &mut Departures,
    ) -> Result<Vec<Arc<Session>>, StillInUse> {
        let Some(record) = self.by_id.get(&id) else { return Ok(Vec::new()) };
        end_sessions(&record.sessions, within)?;
        if record.is_confirmed() {
            departures.push(&record.client, reason, record.sessions.len());
        }
        Ok(self.remove(id).map(|record| record.sessions).unwrap_or_default())
    }
}
