//! Giving delegations, and taking them back from those who return them (RFC 8881 section 10.4, 18.5 and 18.6).

use std::sync::Arc;

use super::caller::Caller;
use super::client::{ClientRecord, Quota};
use super::delegation::{Delegation, DelegationType, ReferringCall, Shadow};
use super::effects::Effects;
use super::file::{FileInner, FileState, check_seqid};
use super::ids::{FileKey, StateKey};
use super::share::ShareDeny;
use super::table::{Place, StateRef, StateTable};
use crate::client::Client;
use crate::clock::Timestamp;
use crate::fs::{OpenHold, ShareAccess};
use crate::proto::{ClientId, NFS4ERR_BAD_STATEID, NFS4ERR_OPENMODE, NfsTime, Stateid, Status};

/// A delegation that is to be given if nothing is in its way.
#[derive(Debug, Clone, Copy)]
pub struct DelegationRequest {
    /// Which.
    pub kind: DelegationType,
    /// The request that asks.
    pub origin: Option<ReferringCall>,
    /// Whether the holder is to keep the timestamps of a file that it may write (RFC 9754 section 4).
    pub timestamps: Timestamps,
    /// Whether the client can do without the open (RFC 9754 section 5).
    pub open: BesideOpen,
    /// By what right.
    pub claim: DelegationClaim,
}

/// Who keeps the timestamps of a delegated file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// The server.
    Server,
    /// The holder.
    Holder,
}

/// Whether an OPEN that gives a delegation makes an open too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BesideOpen {
    /// It does.
    Always,
    /// Not if the delegation stands for it (OPEN4_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION).
    UnlessDelegated,
}

/// By what right a delegation is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DelegationClaim {
    /// It is a new one.
    New,
    /// The client held it before the server restarted.
    Reclaim,
    /// This earlier incarnation of the client held it, and still does: the delegation passes from it to the client.
    Inherit(ClientId),
}

impl DelegationClaim {
    /// Who has the delegation that is asked for.
    pub(super) fn predecessor(self) -> Option<ClientId> {
        match self {
            Self::Inherit(predecessor) => Some(predecessor),
            Self::New | Self::Reclaim => None,
        }
    }
}

/// A delegation that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantedDelegation {
    /// Its stateid.
    pub stateid: Stateid,
    /// What it is.
    pub kind: DelegationType,
    /// Whether the holder keeps the timestamps.
    pub timestamps: Timestamps,
}

/// Why no delegation was given (why_no_delegation4, as far as files go).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyNot {
    /// Others use the file, or did a moment before.
    Contention,
    /// There are too many delegations.
    Resource,
    /// The client has one for reading.
    HoldsRead,
    /// The client has one for writing.
    HoldsWrite,
}

impl StateTable {
    /// Whether a delegation can be given. The rules are those of RFC 8881 section 10.4: one for reading is in conflict with
    /// other clients' opens that write or deny reading, one for writing with all their opens; and one of either with one for writing.
    pub(super) fn check_grant(
        &self,
        file: &FileKey,
        inner: &FileInner,
        client: ClientId,
        now: Timestamp,
        request: &DelegationRequest,
    ) -> Result<(), WhyNot> {
        if let Some(held) = inner.delegations.of(client) {
            return Err(match held.kind {
                DelegationType::Write => WhyNot::HoldsWrite,
                DelegationType::Read | DelegationType::Directory => WhyNot::HoldsRead,
            });
        }
        let stripe = self.stripes.of(file);
        let last_recall = self.stripes.last_recall(stripe);
        let was_recalled = last_recall.is_some_and(|at| now.since(at) < self.limits.regrant_after);
        let is_new = request.claim == DelegationClaim::New;
        if self.stripes.is_changing(stripe) || (is_new && was_recalled) {
            return Err(WhyNot::Contention);
        }
        let excludes_open = |modes: (ShareAccess, ShareDeny)| match request.kind {
            DelegationType::Read => modes.0.contains(ShareAccess::WRITE) || modes.1.contains(ShareDeny::READ),
            DelegationType::Write => true,
            DelegationType::Directory => false,
        };
        let excludes =
            |held: &Delegation| request.kind == DelegationType::Write || held.kind == DelegationType::Write;
        let others = || inner.opens.values().filter(|open| open.client.id() != client);
        // With many readers and no writer nobody is looked at.
        let may_exclude = request.kind == DelegationType::Write || inner.shares.may_exclude_read_delegation();
        let is_open =
            may_exclude && others().any(|open| excludes_open((open.modes.access(), open.modes.deny())));
        if is_open || inner.delegations.others(Some(client)).any(excludes) {
            return Err(WhyNot::Contention);
        }
        Ok(())
    }

    /// Gives a delegation that [`check_grant`](Self::check_grant) has nothing against.
    pub(super) fn delegate(
        &self,
        file: &Arc<FileState>,
        inner: &mut FileInner,
        client: &Arc<ClientRecord>,
        hold: OpenHold,
        (principal, checked): (u32, ShareAccess),
        request: &DelegationRequest,
    ) -> Result<GrantedDelegation, WhyNot> {
        self.delegations.take(1, self.limits.delegations_total).map_err(|_| WhyNot::Resource)?;
        self.count_of(request.kind).take_one();
        // Who begins a change from now on sees that there is a delegation; who has begun one before is seen here.
        if self.stripes.is_changing(self.stripes.of(&file.key)) {
            self.uncount(request.kind);
            return Err(WhyNot::Contention);
        }
        let key = self.new_key();
        // First into the table, then to the client: whoever drops the client finds the file by the key, and waits there.
        let state = StateRef { client: client.clone(), place: Place::File(file.clone()) };
        self.stateids.shard(&key).insert(key, state);
        if !client.add_delegation(key, self.limits.delegations_per_client) {
            self.stateids.shard(&key).remove(&key);
            self.uncount(request.kind);
            return Err(WhyNot::Resource);
        }
        let is_write = request.kind == DelegationType::Write;
        // Of a file that several clients read none could say when it was read last.
        let timestamps = if is_write { request.timestamps } else { Timestamps::Server };
        let has_timestamps = timestamps == Timestamps::Holder;
        inner.delegations.insert(Delegation {
            key,
            client: client.clone(),
            kind: request.kind,
            principal,
            checked,
            recalled_at: None,
            origin: request.origin,
            hold,
            shadow: Shadow { has_timestamps, ..Shadow::default() },
            watch: None,
        });
        self.delegation_counters.granted(request.kind);
        let stateid = self.stateid(key, Delegation::SEQID);
        Ok(GrantedDelegation { stateid, kind: request.kind, timestamps })
    }

    /// Gives a delegation without an open (WANT_DELEGATION, RFC 8881 section 18.49). NFS4ERR_EXPIRED if the client is gone.
    pub fn want_delegation(
        &self,
        now: Timestamp,
        client: ClientId,
        file: &FileKey,
        hold: &OpenHold,
        checked: (u32, ShareAccess),
        request: &DelegationRequest,
    ) -> Result<Result<GrantedDelegation, WhyNot>, Status> {
        let client = self.client(client)?;
        let mut effects = Effects::default();
        let given = self.on_new_file(file, |state, inner| {
            if let Some(predecessor) = request.claim.predecessor() {
                effects.add(self.drop_delegation(inner, file, predecessor));
            }
            self.check_grant(file, inner, client.id(), now, request)?;
            self.delegate(state, inner, &client, hold.clone(), checked, request)
        });
        // The hold of the predecessor alone: the file is held for the client now.
        effects.run();
        Ok(given)
    }

    /// The delegation of a file that one of these clients has: they are earlier incarnations of one client.
    pub fn inheritance(
        &self,
        file: &FileKey,
        predecessors: &[Arc<Client>],
    ) -> Option<(Arc<Client>, DelegationType, Timestamps)> {
        self.on_file(file, |inner| {
            let mut found = predecessors.iter().filter_map(|client| inner.delegations.of(client.id()));
            let held = found.find(|held| held.kind != DelegationType::Directory)?;
            let timestamps = if held.shadow.has_timestamps { Timestamps::Holder } else { Timestamps::Server };
            Some((held.client.client.clone(), held.kind, timestamps))
        })?
    }

    fn count_of(&self, kind: DelegationType) -> &Quota {
        let [read, write, directory] = &self.delegations_by_type;
        match kind {
            DelegationType::Read => read,
            DelegationType::Write => write,
            DelegationType::Directory => directory,
        }
    }

    fn uncount(&self, kind: DelegationType) {
        self.count_of(kind).give_back(1);
        self.delegations.give_back(1);
    }

    /// Whether somebody has a directory delegation.
    #[inline]
    pub fn has_directory_delegations(&self) -> bool {
        self.count_of(DelegationType::Directory).count() > 0
    }

    /// Takes out a client's delegation.
    pub(super) fn take_delegation(&self, inner: &mut FileInner, client: ClientId) -> Option<Delegation> {
        let taken = inner.delegations.remove(client)?;
        self.uncount(taken.kind);
        taken.client.remove_delegation(taken.key);
        self.stateids.shard(&taken.key).remove(&taken.key);
        Some(taken)
    }

    /// Answers DELEGRETURN.
    pub fn return_delegation(
        &self,
        caller: Caller,
        stateid: &Stateid,
        file: &FileKey,
    ) -> Result<Effects, Status> {
        self.on_state(caller, stateid, Some(file), |at, inner| {
            inner.delegations.find(at.client, at.key).ok_or(NFS4ERR_BAD_STATEID)?;
            check_seqid(Delegation::SEQID, stateid.seqid)?;
            let taken = self.take_delegation(inner, at.client).ok_or(NFS4ERR_BAD_STATEID)?;
            self.delegation_counters.returned(taken.kind);
            Ok(Effects::returned(taken.hold, self.stripes.of(&at.file.key)))
        })
    }

    /// Takes back a delegation that no client has seen, or whose client is gone.
    pub(super) fn drop_delegation(&self, inner: &mut FileInner, file: &FileKey, client: ClientId) -> Effects {
        let Some(taken) = self.take_delegation(inner, client) else { return Effects::default() };
        self.delegation_counters.dropped(taken.kind);
        Effects::returned(taken.hold, self.stripes.of(file))
    }

    /// Takes back a delegation whose stateid no client has seen.
    pub(super) fn undo_grant(&self, stateid: &Stateid) -> Effects {
        let Some(key) = StateKey::from_other(stateid.other, self.epoch) else { return Effects::default() };
        let undone =
            self.on_delegation(key, |file, inner, client| Some(self.drop_delegation(inner, file, client)));
        undone.unwrap_or_default()
    }

    /// Whether a client holds this delegation of a file and may open the file by it with this access (CLAIM_DELEGATE_CUR). In minor
    /// version 0 the stateid names the client.
    ///
    /// NFS4ERR_OPENMODE if the delegation does not allow the access, which is not in OPEN's list.
    pub fn check_delegation(
        &self,
        caller: Caller,
        stateid: &Stateid,
        file: &FileKey,
        access: ShareAccess,
    ) -> Result<DelegatedFile, Status> {
        self.on_state(caller, stateid, Some(file), |at, inner| {
            let held = inner.delegations.find(at.client, at.key).ok_or(NFS4ERR_BAD_STATEID)?;
            check_seqid(Delegation::SEQID, stateid.seqid)?;
            if !held.kind.access().contains(access) {
                return Err(NFS4ERR_OPENMODE);
            }
            let checked_for = held.checked.contains(access).then_some(held.principal);
            Ok(DelegatedFile { client: at.client, hold: held.hold.clone(), checked_for })
        })
    }

    /// Whose state a stateid is, for a request of minor version 0 that brings one.
    pub fn holder(&self, caller: Caller, stateid: &Stateid) -> Option<ClientId> {
        let at: Result<ClientId, Status> = self.on_state(caller, stateid, None, |at, _| Ok(at.client));
        at.ok()
    }

    /// Whether a client has delegations.
    pub fn has_delegations(&self, client: ClientId) -> bool {
        self.delegations_of(client) > 0
    }

    /// How many delegations a client has.
    pub fn delegations_of(&self, client: ClientId) -> usize {
        self.client(client).map_or(0, |record| record.delegation_count())
    }

    /// How many delegations there are.
    pub fn delegations_in_all(&self) -> usize {
        self.delegations.count()
    }

    /// Who is to return delegations, as there are nearly as many as a limit allows: of seven eighths, a quarter is to go. Nobody
    /// is looked at as long as even all of them together would be no reason.
    pub fn delegation_pressure(&self) -> Vec<DelegationPressure> {
        let (most, most_of_one) = (self.limits.delegations_total, self.limits.delegations_per_client);
        let is_near = |count: usize, limit: usize| count >= limit - limit / 8;
        let in_all = self.delegations.count();
        if !is_near(in_all, most) && !is_near(in_all, most_of_one) {
            return Vec::new();
        }
        let records = self.clients.map_all(|_, record| record.clone());
        let holders: Vec<_> =
            records.iter().map(|record| (record.client.clone(), record.delegation_count())).collect();
        let average = in_all / holders.len().max(1);
        let asked = holders.into_iter().filter(|(_, held)| {
            // Where there are too many in all, those who have few are left in peace.
            is_near(*held, most_of_one) || (is_near(in_all, most) && *held > 0 && *held >= average)
        });
        asked.map(|(client, held)| DelegationPressure { client, keep: held - held.div_ceil(4) }).collect()
    }

    /// Whether anybody holds a write delegation.
    #[inline]
    pub fn has_write_delegations(&self) -> bool {
        self.count_of(DelegationType::Write).count() > 0
    }

    /// The client that holds a write delegation of a file, if it is another than the caller: it may have changed what the
    /// server tells of the file (RFC 8881 section 10.4.3). One atomic load when there are none.
    #[inline]
    pub fn write_delegated(&self, caller: Caller, file: &FileKey) -> Option<WriteDelegated> {
        if !self.has_write_delegations() {
            return None;
        }
        self.find_write_delegated(caller, file)
    }

    fn find_write_delegated(&self, caller: Caller, file: &FileKey) -> Option<WriteDelegated> {
        self.on_file(file, |inner| {
            let mut others = inner.delegations.others(caller.client);
            let held = others.find(|held| held.kind == DelegationType::Write)?;
            Some(WriteDelegated {
                client: held.client.client.clone(),
                stateid: self.stateid(held.key, Delegation::SEQID),
                change: held.shadow.change,
                is_modified: held.shadow.is_modified,
                is_mute: held.shadow.is_mute,
                time_modify: held.shadow.time_modify,
                timestamps: if held.shadow.has_timestamps { Timestamps::Holder } else { Timestamps::Server },
            })
        })?
    }

    /// Notes what change and time_modify were when a write delegation was given: the first is "sc" of RFC 8881 section 10.4.3, the
    /// second the "original time" of RFC 9754 section 5.
    pub fn note_granted(&self, stateid: &Stateid, change: u64, time_modify: NfsTime) {
        self.with_shadow(stateid, |shadow| {
            (shadow.change, shadow.time_modify) = (Some(change), time_modify);
        });
    }

    /// Whether a client keeps the timestamps of a file by this delegation (RFC 9754 section 5): what time_modify was when it was
    /// given. NFS4ERR_BAD_STATEID if it does not.
    pub fn timestamps_kept(
        &self,
        caller: Caller,
        stateid: &Stateid,
        file: &FileKey,
    ) -> Result<NfsTime, Status> {
        self.on_state(caller, stateid, Some(file), |at, inner| {
            let held = inner.delegations.find(at.client, at.key).ok_or(NFS4ERR_BAD_STATEID)?;
            check_seqid(Delegation::SEQID, stateid.seqid)?;
            if held.shadow.has_timestamps { Ok(held.shadow.time_modify) } else { Err(NFS4ERR_BAD_STATEID) }
        })
    }

    /// Notes that the holder of a write delegation has modified the file, and gives the change attribute that is told of it,
    /// which grows with each call: at least `current`. `None` if it has no write delegation any more.
    pub fn note_modified(&self, stateid: &Stateid, current: u64) -> Option<u64> {
        self.with_shadow(stateid, |shadow| {
            let told = shadow.change.unwrap_or(0).wrapping_add(1).max(current);
            (shadow.is_modified, shadow.change) = (true, Some(told));
            told
        })
    }

    /// Notes that the holder of a write delegation was asked for its attributes and did not say them.
    pub fn note_mute(&self, stateid: &Stateid) {
        self.with_shadow(stateid, |shadow| shadow.is_mute = true);
    }

    fn with_shadow<R>(&self, stateid: &Stateid, f: impl FnOnce(&mut Shadow) -> R) -> Option<R> {
        let key = StateKey::from_other(stateid.other, self.epoch)?;
        self.on_delegation(key, |_, inner, client| {
            inner.delegations.of_mut(client).map(|held| f(&mut held.shadow))
        })
    }
}

/// A client that is to return some of its delegations.
#[derive(Debug, Clone)]
pub struct DelegationPressure {
    /// The client.
    pub client: Arc<Client>,
    /// How many it may keep.
    pub keep: usize,
}

/// A file that is to be opened by a delegation.
#[derive(Debug, Clone)]
pub struct DelegatedFile {
    /// The holder.
    pub client: ClientId,
    /// What the delegation keeps the file alive with.
    pub hold: OpenHold,
    /// The user whose permission for this access was checked when the delegation was given.
    pub checked_for: Option<u32>,
}

/// A file that a client other than the asking one may have changed on its own.
#[derive(Debug, Clone)]
pub struct WriteDelegated {
    /// The client.
    pub client: Arc<Client>,
    /// Its delegation.
    pub stateid: Stateid,
    /// The change attribute that it knows, or that was told others since.
    pub change: Option<u64>,
    /// It was seen to have modified the file.
    pub is_modified: bool,
    /// It was asked, and did not say what it has.
    pub is_mute: bool,
    /// time_modify when it was given the delegation.
    pub time_modify: NfsTime,
    /// Who keeps the timestamps.
    pub timestamps: Timestamps,
}
