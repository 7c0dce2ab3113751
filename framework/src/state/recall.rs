//! Delegations that are in somebody's way: they are recalled, and revoked if they are not returned (RFC 8881 sections 10.4.4 to
//! 10.4.6, RFC 7530 section 10.4.6).

use super::caller::Caller;
use super::delegation::{Delegation, DelegationType, DelegationView, Recall, RecallReason};
use super::delegation_counters::{DelegationCounts, RevokeReason};
use super::effects::{Effects, Refused};
use super::file::FileInner;
use super::ids::{FileKey, StateKey};
use super::stripes::{Changing, FileStripe};
use super::table::StateTable;
use crate::client::Protocol;
use crate::clock::Timestamp;
use crate::fs::ShareAccess;
use crate::proto::{ClientId, Stateid};

/// A recall that was sent, as the table waits for it.
pub(super) struct Awaited {
    /// When the delegation is to be revoked.
    pub(super) due: Timestamp,
    pub(super) key: StateKey,
}

impl StateTable {
    /// Recalls the delegations of clients other than `me` that are in the way. Those whose holder has no lease, or had a lease's
    /// time to return them, are revoked.
    pub(super) fn recall_conflicts<E>(
        &self,
        file: &FileKey,
        inner: &mut FileInner,
        now: Timestamp,
        (me, reason): (Option<ClientId>, RecallReason),
        conflicts: impl Fn(&Delegation) -> bool,
    ) -> Result<(), Refused<E>> {
        if inner.delegations.is_empty() {
            return Ok(());
        }
        let in_the_way = inner.delegations.others(me).filter(|held| conflicts(held));
        let in_the_way: Vec<_> = in_the_way.map(|held| held.client.id()).collect();
        if in_the_way.is_empty() {
            return Ok(());
        }
        let stripe = self.stripes.of(file);
        self.stripes.note_recall(stripe, now);
        let mut effects = Effects::default();
        let mut waits = false;
        for holder in in_the_way {
            match self.recall_or_revoke(file, inner, now, holder, reason) {
                Met::Waits(recall) => {
                    waits = true;
                    effects.recalls.extend(recall);
                }
                Met::Revoked(revoked) => effects.add(revoked),
            }
        }
        Err(if waits { Refused::Recalled(effects, stripe) } else { Refused::Revoked(effects) })
    }

    pub(super) fn recall_or_revoke(
        &self,
        file: &FileKey,
        inner: &mut FileInner,
        now: Timestamp,
        holder: ClientId,
        reason: RecallReason,
    ) -> Met {
        let Some(held) = inner.delegations.of_mut(holder) else { return Met::Waits(None) };
        if let Some(why) = why_revoked(held, now) {
            return Met::Revoked(self.revoke_delegation(inner, file, holder, why));
        }
        if held.recalled_at.is_some() {
            return Met::Waits(None);
        }
        Met::Waits(Some(self.begin_recall(file, held, now, reason)))
    }

    fn begin_recall(
        &self,
        file: &FileKey,
        held: &mut Delegation,
        now: Timestamp,
        reason: RecallReason,
    ) -> Recall {
        held.recalled_at = Some(now);
        if let Some(watch) = &mut held.watch {
            watch.end();
        }
        let due = now + held.client.client.lease();
        self.awaited.lock().push_back(Awaited { due, key: held.key });
        self.delegation_counters.recalled(held.kind, reason);
        Recall {
            client: held.client.client.clone(),
            stateid: self.stateid(held.key, Delegation::SEQID),
            file: *file,
            kind: held.kind,
            referring: held.origin,
            reason,
        }
    }

    /// Takes away a delegation; it stays known as revoked until the client frees it, or in minor version 0 until it has been told.
    pub(super) fn revoke_delegation(
        &self,
        inner: &mut FileInner,
        file: &FileKey,
        holder: ClientId,
        why: RevokeReason,
    ) -> Effects {
        let Some(taken) = self.take_delegation(inner, holder) else { return Effects::default() };
        self.delegation_counters.revoked(taken.kind, why);
        let mut effects = self.revoked_from(&taken.client, why);
        self.remember_revoked(&taken.client, taken.key, None, why);
        effects.add(Effects::returned(taken.hold, self.stripes.of(file)));
        effects
    }

    /// Whether an open of the request's kind would be in conflict with a delegation.
    pub(super) fn open_conflicts(held: DelegationType, writes: bool, denies_read: bool) -> bool {
        match held {
            DelegationType::Write => true,
            DelegationType::Read => writes || denies_read,
            DelegationType::Directory => false,
        }
    }

    /// Whether somebody may do I/O on a file without an open: READs and WRITEs with a special stateid are "the functional
    /// equivalents of a corresponding type of OPEN" (RFC 8881 section 10.4.1).
    pub(super) fn recall_for_io<E>(
        &self,
        caller: Caller,
        file: &FileKey,
        inner: &mut FileInner,
        access: ShareAccess,
    ) -> Result<(), Refused<E>> {
        let writes = access.contains(ShareAccess::WRITE);
        let by = (caller.client, RecallReason::Io);
        let conflicts = |held: &Delegation| Self::open_conflicts(held.kind, writes, false);
        self.recall_conflicts(file, inner, caller.now, by, conflicts)
    }

    /// Begins a change of a file: of its data, its attributes or its names. Until it ends nobody is given a delegation of the file.
    ///
    /// [`Refused::Recalled`] as long as other clients have delegations of it: all of them if it is not known who asks. Those of
    /// directories are not looked at.
    pub fn begin_change(
        &self,
        caller: Caller,
        file: &FileKey,
        reason: RecallReason,
    ) -> Result<Changing<'_>, Refused> {
        let changing = self.stripes.begin_change(self.stripes.of(file));
        let conflicts = |held: &Delegation| held.kind != DelegationType::Directory;
        // The file is looked for however few delegations there are: their count says nothing of one that is just being given.
        let recalled = self.on_file(file, |inner| {
            self.recall_conflicts(file, inner, caller.now, (caller.client, reason), conflicts)
        });
        recalled.unwrap_or(Ok(()))?;
        Ok(changing)
    }

    /// Recalls all delegations of a file: of everybody, whatever they are.
    pub fn recall_all(&self, now: Timestamp, file: &FileKey, reason: RecallReason) -> Effects {
        let recalled = self
            .on_file(file, |inner| self.recall_conflicts::<()>(file, inner, now, (None, reason), |_| true));
        match recalled {
            Some(Err(Refused::Recalled(effects, _) | Refused::Revoked(effects))) => effects,
            _ => Effects::default(),
        }
    }

    /// Recalls one delegation; `None` if there is no such.
    pub fn recall(&self, now: Timestamp, stateid: &Stateid, reason: RecallReason) -> Option<Effects> {
        let key = StateKey::from_other(stateid.other, self.epoch)?;
        self.on_delegation(key, |file, inner, client| {
            self.stripes.note_recall(self.stripes.of(file), now);
            let mut effects = Effects::default();
            match self.recall_or_revoke(file, inner, now, client, reason) {
                Met::Waits(recall) => effects.recalls.extend(recall),
                Met::Revoked(revoked) => effects = revoked,
            }
            Some(effects)
        })
    }

    /// Revokes the delegations whose return has been waited for for a lease. To be called now and then.
    pub fn revoke_overdue(&self, now: Timestamp) -> Effects {
        let mut effects = Effects::default();
        while let Some(key) = self.next_overdue(now) {
            let revoked = self.on_delegation(key, |file, inner, client| {
                let overdue = inner.delegations.of(client).filter(|held| held.is_overdue(now))?;
                let why = why_revoked(overdue, now)?;
                Some(self.revoke_delegation(inner, file, client, why))
            });
            effects.add(revoked.unwrap_or_default());
        }
        effects
    }

    /// The next recall that is due; those that were answered go as well.
    fn next_overdue(&self, now: Timestamp) -> Option<StateKey> {
        let mut awaited = self.awaited.lock();
        // All leases of a server are alike, so the first is due first.
        awaited.front().filter(|first| now >= first.due)?;
        awaited.pop_front().map(|first| first.key)
    }

    /// Whether a delegation that was recalled is still there.
    pub fn is_awaited(&self, stateid: &Stateid) -> bool {
        let Some(key) = StateKey::from_other(stateid.other, self.epoch) else { return false };
        self.stateids.shard(&key).get(&key).is_some_and(|state| state.file().is_some())
    }

    /// What happened to delegations.
    pub fn delegation_counts(&self) -> DelegationCounts {
        self.delegation_counters.snapshot()
    }

    /// The delegations of a client, or of all, with a stateid behind `after`, at most so many of them, in the order of their stateids.
    pub fn delegations(
        &self,
        of: Option<ClientId>,
        after: Option<&Stateid>,
        limit: usize,
    ) -> Vec<DelegationView> {
        let after = after.and_then(|stateid| StateKey::from_other(stateid.other, self.epoch));
        let clients = match of {
            Some(client) => self.client(client).into_iter().collect(),
            None => self.clients.map_all(|_, record| record.clone()),
        };
        let mut keys: Vec<_> = clients.iter().flat_map(|record| record.delegation_keys()).collect();
        keys.retain(|key| after.is_none_or(|after| *key > after));
        keys.sort_unstable();
        keys.into_iter().filter_map(|key| self.view(key)).take(limit).collect()
    }

    fn view(&self, key: StateKey) -> Option<DelegationView> {
        self.on_delegation(key, |file, inner, client| {
            let held = inner.delegations.of(client)?;
            Some(DelegationView {
                client: held.client.client.clone(),
                stateid: self.stateid(key, Delegation::SEQID),
                file: *file,
                kind: held.kind,
                recalled_at: held.recalled_at,
            })
        })
    }

    /// Runs `f` on the file of a delegation, under its lock, with the holder.
    pub(super) fn on_delegation<R>(
        &self,
        key: StateKey,
        f: impl FnOnce(&FileKey, &mut FileInner, ClientId) -> Option<R>,
    ) -> Option<R> {
        let (client, file) = {
            let shard = self.stateids.shard(&key);
            let state = shard.get(&key)?;
            (state.client.id(), state.file()?)
        };
        self.enter(&file, |inner| {
            inner.delegations.find(client, key)?;
            f(&file.key, inner, client)
        })?
    }

    /// The group of a file, by which those who wait for a delegation are woken.
    pub fn stripe(&self, file: &FileKey) -> FileStripe {
        self.stripes.of(file)
    }
}

/// Why a delegation that is in the way is revoked now, if it is.
///
/// A client that answers no recall may be silent altogether: what it has to be told is which delegation it did not return. One of minor
/// version 0 whose lease ran out can be told nothing but that it has lost everything (RFC 7530 section 9.6.3).
fn why_revoked(held: &Delegation, now: Timestamp) -> Option<RevokeReason> {
    let client = &held.client.client;
    let is_expired = client.is_expired(now);
    let is_overdue = held.is_overdue(now) && !(is_expired && client.protocol() == Protocol::V4_0);
    if is_overdue {
        Some(RevokeReason::NotReturned)
    } else {
        is_expired.then_some(RevokeReason::LeaseExpired)
    }
}

/// What became of a delegation that was in the way.
pub(super) enum Met {
    /// Its return is waited for; it is recalled now, or was before.
    Waits(Option<Recall>),
    /// It is gone.
    Revoked(Effects),
}
