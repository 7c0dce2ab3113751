//! Revocation of the state of clients whose lease ran out (RFC 8881 sections 8.4.3 and 8.5, RFC 7530 section 9.6.3).
//!
//! Of a client with sessions only what is in the way goes, and the client is told: the stateids stay known as revoked
//! until it frees them. A client of minor version 0 cannot be told of a part: the rest of its state follows
//! ([`StateTable::revoke_all`]).

use std::sync::Arc;

use super::client::ClientRecord;
use super::effects::{Effects, Refused};
use super::file::{FileInner, Open};
use super::ids::StateKey;
use super::lock::LockConflict;
use super::range::{ByteRange, LockKind};
use super::range_locks::OwnerKey;
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

    /// Whether a byte-range lock can be had: no other owner's is in the way. Those of clients whose lease ran out are revoked.
    pub(super) fn check_conflict(
        &self,
        inner: &mut FileInner,
        owner: Option<OwnerKey>,
        range: &ByteRange,
        kind: LockKind,
        now: Timestamp,
    ) -> Result<(), Refused<LockConflict>> {
        let mut revoked = None;
        while let Some((holder, range, kind)) = inner.locks.conflict(owner, range, kind) {
            match self.revoke_expired_lock(inner, holder, &range, now) {
                Some(effects) => revoked.get_or_insert_with(Effects::default).add(effects),
                // What was revoked is to be settled first; the request finds this conflict again.
                None if revoked.is_some() => break,
                None => {
                    let owner = inner.lock_owners.owner(holder).map(|owner| StateOwner::clone(owner));
                    let owner =
                        owner.unwrap_or(StateOwner { clientid: ClientId(0), owner: (&b""[..]).into() });
                    return Err(Refused::Because(LockConflict { range, kind, owner }));
                }
            }
        }
        revoked.map_or(Ok(()), |effects| Err(Refused::Revoked(effects)))
    }

    /// Revokes the stateid that holds a lock, if the lease of its client ran out.
    fn revoke_expired_lock(
        &self,
        inner: &mut FileInner,
        holder: OwnerKey,
        range: &ByteRange,
        now: Timestamp,
    ) -> Option<Effects> {
        let state = inner.locks.state_of(holder, range)?;
        let open = inner.lock_states.get(&state)?.open;
        let client = inner.opens.get(&open)?.client.clone();
        if !client.client.is_expired(now) {
            return None;
        }
        self.take_lock_state(inner, &client, state);
        self.remember_revoked(&client, state);
        Some(self.revoked_from(&client))
    }

    /// Revokes an open and the locks under it.
    fn revoke_open(&self, inner: &mut FileInner, key: StateKey) -> Effects {
        let Some(open) = inner.opens.get(&key) else { return Effects::default() };
        let client = open.client.clone();
        let locks = open.lock_states.values().copied().collect::<Vec<_>>();
        let mut effects = self.revoked_from(&client);
        effects.add(self.remove_open(inner, key));
        for key in locks.into_iter().chain([key]) {
            self.remember_revoked(&client, key);
        }
        effects
    }

    /// That something was revoked from a client, which is to be recorded.
    fn revoked_from(&self, client: &ClientRecord) -> Effects {
        self.unsettled.fetch_add(1, Ordering::AcqRel);
        Effects::revoked(&client.client)
    }

    fn remember_revoked(&self, client: &Arc<ClientRecord>, key: StateKey) {
        // First into the table, then to the client: whoever drops the client finds the entry by the key.
        let revoked = StateRef { client: client.clone(), place: Place::Revoked };
        self.stateids.shard(&key).insert(key, revoked);
        if !client.add_revoked(key) {
            self.stateids.shard(&key).remove(&key);
        }
    }

    /// Revokes all that a client holds.
    pub fn revoke_all(&self, client: ClientId) -> Effects {
        let mut effects = Effects::default();
        let Ok(record) = self.client(client) else { return effects };
        for key in record.open_keys() {
            let Some(file) = self.stateids.shard(&key).get(&key).and_then(StateRef::file) else { continue };
            if let Some(revoked) = self.enter(&file, |inner| self.revoke_open(inner, key)) {
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
