//! Revocation of the opens and locks of clients whose lease ran out, and of all that a client has (RFC 8881 sections 8.4.3 and 8.5, RFC 7530 section 9.6.3).
//!
//! Of a client with sessions only what is in the way goes, and the client is told: the stateids stay known as revoked
//! until it frees them. A client of minor version 0 cannot be told of a part: the rest of its state follows
//! ([`StateTable::revoke_all`]).

use std::sync::Arc;

use super::client::{ClientRecord, Everything};
use super::delegation_counters::RevokeReason;
use super::effects::{Effects, Refused};
use super::file::{FileInner, LockState, Open};
use super::ids::StateKey;
use super::lock::LockConflict;
use super::range::{ByteRange, LockKind};
use super::range_locks::{HeldLock, OwnerKey};
use super::table::{Place, StateRef, StateTable};
use crate::clock::Timestamp;
use crate::proto::{ClientId, StateOwner, Status};
use crate::sync::atomic::Ordering;

impl StateTable {
    /// Why a request fails that meets the opens of a file for which `is_in_the_way` holds: with `status` if one of them is of
    /// a client with a lease; otherwise they are revoked.
    pub(super) fn refuse_or_revoke(
        &self,
        inner: &mut FileInner,
        now: Timestamp,
        status: Status,
        is_in_the_way: impl Fn(&StateKey, &Open) -> bool,
    ) -> Refused {
        let in_the_way = inner.opens.iter().filter(|(key, open)| is_in_the_way(key, open));
        let mut expired = Vec::new();
        for (key, open) in in_the_way {
            if !open.client.client.is_expired(now) {
                return Refused::Because(status);
            }
            expired.push(*key);
        }
        let mut effects = Effects::default();
        for key in expired {
            effects.add(self.revoke_open(inner, key));
        }
        Refused::Revoked(effects)
    }

    /// Whether a byte-range lock can be had: no other owner's is in the way. If all that are in the way are of clients whose
    /// lease ran out, they are revoked.
    pub(super) fn check_conflict(
        &self,
        inner: &mut FileInner,
        owner: Option<OwnerKey>,
        range: &ByteRange,
        kind: LockKind,
        now: Timestamp,
    ) -> Result<(), Refused<LockConflict>> {
        let Some((holder, first)) = inner.locks.conflict(owner, range, kind) else { return Ok(()) };
        if !inner.is_of_expired(&first, now) {
            return Err(Refused::Because(inner.conflict_with(holder, &first)));
        }
        // Only now all are looked at, which takes time for each lock of the file.
        let mut expired = Vec::new();
        for (holder, lock) in inner.locks.conflicts(owner, range, kind) {
            if !inner.is_of_expired(lock, now) {
                return Err(Refused::Because(inner.conflict_with(holder, lock)));
            }
            expired.push(lock.state);
        }
        Err(Refused::Revoked(self.revoke_lock_states(inner, expired)))
    }

    /// Makes room for locks on a file: revokes those of the client that has been silent for longest. `None` if all clients have
    /// a lease.
    pub(super) fn revoke_for_room(&self, inner: &mut FileInner, now: Timestamp) -> Option<Effects> {
        let holding = inner.lock_states.values().filter(|state| state.held > 0);
        let clients = holding.filter_map(|state| inner.opens.get(&state.open)).map(|open| &open.client);
        let expired = clients.filter(|client| client.client.is_expired(now));
        let silent = expired.max_by_key(|client| client.client.idle(now))?.id();
        let is_silent = |open: &Open| open.client.id() == silent;
        let of_silent = |state: &LockState| inner.opens.get(&state.open).is_some_and(is_silent);
        let states = inner.lock_states.iter().filter(|(_, state)| state.held > 0 && of_silent(state));
        let states = states.map(|(key, _)| *key).collect();
        Some(self.revoke_lock_states(inner, states))
    }

    /// Revokes lock stateids with the locks that are held through them.
    fn revoke_lock_states(&self, inner: &mut FileInner, states: Vec<StateKey>) -> Effects {
        let mut effects = Effects::default();
        for state in states {
            // One that is named twice is gone the second time.
            let Some(open) = inner.lock_states.get(&state).map(|lock| lock.open) else { continue };
            let Some(client) = inner.opens.get(&open).map(|open| open.client.clone()) else { continue };
            self.take_lock_state(inner, &client, state);
            self.remember_revoked(&client, state, Some(open), RevokeReason::LeaseExpired);
            effects.add(self.revoked_from(&client, RevokeReason::LeaseExpired));
        }
        effects
    }

    /// Revokes an open and the locks under it.
    fn revoke_open(&self, inner: &mut FileInner, key: StateKey) -> Effects {
        let Some(open) = inner.opens.get(&key) else { return Effects::default() };
        let client = open.client.clone();
        let locks = open.lock_states.values().copied().collect::<Vec<_>>();
        let mut effects = self.revoked_from(&client, RevokeReason::LeaseExpired);
        effects.add(self.remove_open(inner, key));
        for lock in locks {
            self.remember_revoked(&client, lock, Some(key), RevokeReason::LeaseExpired);
        }
        self.remember_revoked(&client, key, None, RevokeReason::LeaseExpired);
        effects
    }

    /// That something was revoked from a client, which is to be recorded.
    pub(super) fn revoked_from(&self, client: &ClientRecord, why: RevokeReason) -> Effects {
        self.unsettled.fetch_add(1, Ordering::AcqRel);
        Effects::revoked(&client.client, why)
    }

    pub(super) fn remember_revoked(
        &self,
        client: &Arc<ClientRecord>,
        key: StateKey,
        open: Option<StateKey>,
        why: RevokeReason,
    ) {
        // First into the table, then to the client: whoever drops the client finds the entry by the key.
        let revoked = StateRef { client: client.clone(), place: Place::Revoked(why) };
        self.stateids.shard(&key).insert(key, revoked);
        if !client.add_revoked(key, open, why) {
            self.stateids.shard(&key).remove(&key);
        }
    }

    /// Frees what was revoked under an open that the client closes.
    pub(super) fn free_revoked_under(&self, client: &ClientRecord, open: StateKey) {
        for key in client.take_revoked_under(open) {
            self.stateids.shard(&key).remove(&key);
        }
    }

    /// Revokes all that a client of minor version 0 holds, and lets it open nothing more: not by a request that is under way
    /// either, whose stateid would be good although the lease is not.
    pub fn revoke_all(&self, client: ClientId) -> Effects {
        let mut effects = Effects::default();
        let Ok(record) = self.client(client) else { return effects };
        let Everything { opens, delegations, .. } = record.cancel();
        for key in opens {
            let Some(file) = self.stateids.shard(&key).get(&key).and_then(StateRef::file) else { continue };
            if let Some(revoked) = self.enter(&file, |inner| self.revoke_open(inner, key)) {
                effects.add(revoked);
            }
        }
        for key in delegations {
            let Some(file) = self.stateids.shard(&key).get(&key).and_then(StateRef::file) else { continue };
            let why = RevokeReason::LeaseExpired;
            if let Some(revoked) =
                self.enter(&file, |inner| self.revoke_delegation(inner, &file.key, client, why))
            {
                effects.add(revoked);
            }
        }
        effects
    }

    /// Whether something of a client was revoked that it has not freed.
    pub fn has_revoked(&self, client: ClientId) -> bool {
        self.client(client).is_ok_and(|record| record.has_revoked())
    }
}

impl FileInner {
    /// Whether a lock is held by a client whose lease ran out.
    fn is_of_expired(&self, lock: &HeldLock, now: Timestamp) -> bool {
        let open = self.lock_states.get(&lock.state).and_then(|state| self.opens.get(&state.open));
        open.is_some_and(|open| open.client.client.is_expired(now))
    }

    fn conflict_with(&self, holder: OwnerKey, lock: &HeldLock) -> LockConflict {
        let owner = self.lock_owners.owner(holder).map(|owner| StateOwner::clone(owner));
        let owner = owner.unwrap_or(StateOwner { clientid: ClientId(0), owner: (&b""[..]).into() });
        LockConflict { range: lock.range, kind: lock.kind, owner }
    }
}
