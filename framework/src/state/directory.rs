//! Directory delegations (RFC 8881 section 10.9): who relies on the entries of a directory, and is told of changes or asked to return
//! the delegation.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::caller::Caller;
use super::delegation::{Delegation, DelegationType, RecallReason};
use super::effects::{Effects, Refused};
use super::file::FileInner;
use super::grant::{DelegationRequest, GrantedDelegation, WhyNot};
use super::ids::{FileKey, StateKey};
use super::lock_order::{Ranked, SHARD};
use super::notify_queue::{Batch, NotifyLimits, NotifyQueue};
use super::recall::Met;
use super::stripes::Changing;
use super::table::StateTable;
use crate::attr::Bitmap;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::export::ExportId;
use crate::fs::{OpenHold, ShareAccess};
use crate::proto::{ClientId, Notify4, NotifyType, Stateid, Status};

/// What a holder of a directory delegation is told, as it was agreed when it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirTerms {
    /// Of which changes ([`NotifyType::bit`]); any other needs the delegation back.
    pub types: Bitmap,
    /// Which attributes of entries.
    pub child_attributes: Bitmap,
    /// Which attributes of the directory.
    pub dir_attributes: Bitmap,
    /// How long a change of the directory's attributes may wait.
    pub dir_delay: Duration,
}

impl DirTerms {
    /// What is made of a change for this holder, besides when it is told.
    pub fn wants(&self) -> DirWants {
        DirWants {
            types: self.types,
            child_attributes: self.child_attributes,
            dir_attributes: self.dir_attributes,
        }
    }
}

/// What holders with equal terms are told of a change: the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirWants {
    /// Of which changes.
    pub types: Bitmap,
    /// Which attributes of entries.
    pub child_attributes: Bitmap,
    /// Which attributes of the directory.
    pub dir_attributes: Bitmap,
}

impl DirWants {
    /// Whether changes of this type are told.
    pub fn has(&self, kind: NotifyType) -> bool {
        self.types.contains(kind.bit())
    }

    /// Whether a change is told, so that the delegation can stay.
    pub fn covers(&self, event: DirEvent) -> bool {
        match event {
            DirEvent::Add => self.has(NotifyType::AddEntry),
            DirEvent::Remove => self.has(NotifyType::RemoveEntry),
            DirEvent::Rename => self.has(NotifyType::RenameEntry),
            DirEvent::Attributes(changed) => {
                self.has(NotifyType::ChangeDirAttrs) && changed.minus(self.dir_attributes).is_empty()
            }
            DirEvent::Other => false,
        }
    }
}

/// A change of a directory, as delegations see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirEvent {
    /// A new entry.
    Add,
    /// An entry goes.
    Remove,
    /// An entry gets another name in the same directory.
    Rename,
    /// These attributes of the directory itself change. That any other change moves its change attribute and times goes without saying.
    Attributes(Bitmap),
    /// One that nobody can be told of: the directory goes, or it is not known what changed.
    Other,
}

impl DirEvent {
    /// Whether whoever makes the change knows what it is without being told (RFC 8881 section 20.4.3: "if the client holding the
    /// delegation is making attribute or cookie verifier changes only").
    fn is_known_to_changer(self) -> bool {
        matches!(self, Self::Attributes(_))
    }
}

/// What holders with certain wants are told of one change.
#[derive(Debug, Clone)]
pub struct DirTold {
    /// Who.
    pub wants: DirWants,
    /// What; `None` if that could not be found out.
    pub changes: Option<SmallVec<[Notify4; 2]>>,
}

/// A directory change that is under way: nobody is given a delegation of the directory until this is dropped.
#[derive(Debug)]
#[must_use = "delegations may be given as soon as this is dropped"]
pub struct DirChanging<'a> {
    _changing: Changing<'a>,
    /// What those who hold a delegation are to be told, each once; empty if nobody holds one.
    pub wants: SmallVec<[DirWants; 1]>,
}

/// A directory delegation whose holder may have to be told something.
#[derive(Debug)]
pub struct DueNotice {
    /// The holder.
    pub client: Arc<Client>,
    key: StateKey,
}

/// Changes that a client is to be told now.
#[derive(Debug, Clone)]
pub struct DirNotice {
    /// The client.
    pub client: Arc<Client>,
    /// Its delegation.
    pub stateid: Stateid,
    /// The directory.
    pub dir: FileKey,
    /// The changes, in the order in which they were made.
    pub changes: Vec<Notify4>,
}

/// What a directory delegation has besides.
#[derive(Debug)]
pub(super) struct DirWatch {
    terms: DirTerms,
    queue: NotifyQueue,
}

/// When which queue is to be looked at. A time at which there is nothing to tell any more does no harm.
pub(super) type DueNotices = Ranked<BTreeSet<(Timestamp, StateKey)>, SHARD>;

impl DirWatch {
    fn new(terms: DirTerms) -> Self {
        Self { terms, queue: NotifyQueue::default() }
    }

    /// The holder is asked for the delegation, and told nothing more: what waits need not be kept until it is returned.
    pub(super) fn end(&mut self) {
        self.queue = NotifyQueue::default();
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_idle()
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn is_consistent(&self) -> bool {
        self.queue.is_consistent()
    }

    /// Adds what is told of a change to what waits. False if it cannot be told.
    fn tell(&mut self, now: Timestamp, changes: &[Notify4], limits: &NotifyLimits) -> bool {
        let attr_delay = self.terms.dir_delay.clamp(limits.delay, limits.attr_delay_max.max(limits.delay));
        changes.iter().all(|change| {
            let is_attributes = change.mask.contains(NotifyType::ChangeDirAttrs.bit());
            let delay = if is_attributes { attr_delay } else { limits.delay };
            self.queue.push(change.clone(), now + delay, limits).is_ok()
        })
    }
}

impl Delegation {
    /// Whether the holder of a directory delegation is told of a change. One that was asked to return it is told nothing more: it is
    /// waited for.
    fn covers(&self, event: DirEvent) -> bool {
        self.recalled_at.is_none()
            && self.watch.as_ref().is_some_and(|watch| watch.terms.wants().covers(event))
    }
}

impl StateTable {
    /// Gives a directory delegation (GET_DIR_DELEGATION, RFC 8881 section 18.39). NFS4ERR_EXPIRED if the client is gone.
    pub fn delegate_directory(
        &self,
        now: Timestamp,
        client: ClientId,
        dir: &FileKey,
        principal: u32,
        request: &DelegationRequest,
        terms: DirTerms,
    ) -> Result<Result<GrantedDelegation, WhyNot>, Status> {
        let client = self.client(client)?;
        Ok(self.on_new_file(dir, |state, inner| {
            self.check_grant(dir, inner, client.id(), now, request)?;
            // A directory cannot be read without a name, so there is nothing to hold.
            let hold = OpenHold::new(());
            let checked = (principal, ShareAccess::empty());
            let granted = self.delegate(state, inner, &client, hold, checked, request)?;
            if let Some(held) = inner.delegations.of_mut(client.id()) {
                held.watch = Some(Box::new(DirWatch::new(terms)));
            }
            Ok(granted)
        }))
    }

    /// Begins a change of a directory. Until it ends nobody is given a delegation of it. One atomic load, and one count, if there are no
    /// directory delegations.
    ///
    /// [`Refused::Recalled`] as long as other clients have delegations and are not told of such changes: all of them if it is not
    /// known who asks (RFC 8881 section 10.9.2).
    #[inline]
    pub fn begin_dir_change(
        &self,
        caller: Caller,
        dir: &FileKey,
        event: DirEvent,
    ) -> Result<DirChanging<'_>, Refused> {
        let changing = self.stripes.begin_change(self.stripes.of(dir));
        let wants = if self.has_directory_delegations() {
            self.recall_uncovered(caller, dir, event)?
        } else {
            SmallVec::new()
        };
        Ok(DirChanging { _changing: changing, wants })
    }

    fn recall_uncovered(
        &self,
        caller: Caller,
        dir: &FileKey,
        event: DirEvent,
    ) -> Result<SmallVec<[DirWants; 1]>, Refused> {
        let uncovered = |held: &Delegation| held.kind == DelegationType::Directory && !held.covers(event);
        let by = (caller.client, reason(event));
        let wants = self.on_file(dir, |inner| {
            self.recall_conflicts(dir, inner, caller.now, by, uncovered)?;
            Ok(wants_of(inner))
        });
        wants.unwrap_or_else(|| Ok(SmallVec::new()))
    }

    /// What those who have a delegation of a directory are told, each once.
    pub fn dir_wants(&self, dir: &FileKey) -> SmallVec<[DirWants; 1]> {
        if self.has_directory_delegations() {
            self.on_file(dir, |inner| wants_of(inner)).unwrap_or_default()
        } else {
            SmallVec::new()
        }
    }

    /// A directory was changed: tells the holders of delegations, or recalls where that is not possible. `by` is the client that made the
    /// change, if it is one that did.
    pub fn dir_changed(
        &self,
        now: Timestamp,
        by: Option<ClientId>,
        dir: &FileKey,
        event: DirEvent,
        told: &[DirTold],
        limits: &NotifyLimits,
    ) -> Effects {
        let changed = self.on_file(dir, |inner| {
            let holders: Vec<_> = inner.delegations.iter().map(|held| held.client.id()).collect();
            let mut effects = Effects::default();
            for holder in holders {
                let is_changer = Some(holder) == by;
                if is_changer && event.is_known_to_changer() {
                    continue;
                }
                let Some(held) = inner.delegations.of_mut(holder) else { continue };
                let is_covered = held.covers(event);
                // Of a directory that it removed the changer has no use for the delegation either (RFC 8881 section 10.9.4).
                let may_keep = is_changer && event != DirEvent::Other;
                if (may_keep && !is_covered) || held.watch.is_none() {
                    continue;
                }
                if is_covered && self.tell(now, held, told, limits) {
                    continue;
                }
                let reason = if is_covered { RecallReason::Notification } else { reason(event) };
                effects.add(self.recall_of(dir, inner, now, holder, reason));
            }
            effects
        });
        changed.unwrap_or_default()
    }

    /// Puts what one holder is told into its queue. False if it cannot be told.
    fn tell(&self, now: Timestamp, held: &mut Delegation, told: &[DirTold], limits: &NotifyLimits) -> bool {
        let Some(watch) = &mut held.watch else { return false };
        let wants = watch.terms.wants();
        let changes = told.iter().find(|told| told.wants == wants).and_then(|told| told.changes.as_ref());
        let Some(changes) = changes else { return false };
        let before = watch.queue.due();
        let is_told = watch.tell(now, changes, limits);
        let after = watch.queue.due();
        if before != after {
            self.note_due(held.key, after);
        }
        is_told
    }

    fn note_due(&self, key: StateKey, due: Option<Timestamp>) {
        if let Some(due) = due {
            self.due_notices.lock().insert((due, key));
        }
    }

    /// When there may be something to tell.
    pub fn next_notice_due(&self) -> Option<Timestamp> {
        self.due_notices.lock().first().map(|(due, _)| *due)
    }

    /// The next delegation whose holder may have to be told something now.
    pub fn next_due_notice(&self, now: Timestamp) -> Option<DueNotice> {
        loop {
            let key = self.pop_due(now)?;
            let client = self.stateids.shard(&key).get(&key).map(|state| state.client.client.clone());
            if let Some(client) = client {
                return Some(DueNotice { client, key });
            }
        }
    }

    /// What the holder is to be told: so many bytes of changes at most. A change that does not fit is recalled for: these effects come
    /// instead.
    pub fn take_notice(
        &self,
        now: Timestamp,
        due: DueNotice,
        room: usize,
    ) -> Option<Result<DirNotice, Effects>> {
        let DueNotice { client, key } = due;
        self.on_delegation(key, |dir, inner, holder| {
            let held = inner.delegations.of_mut(holder)?;
            let watch = held.watch.as_mut().filter(|_| held.recalled_at.is_none())?;
            match watch.queue.take(now, room) {
                Batch::Nothing => None,
                Batch::Changes(changes) => Some(Ok(DirNotice {
                    client,
                    stateid: self.stateid(key, Delegation::SEQID),
                    dir: *dir,
                    changes,
                })),
                Batch::TooBig => {
                    Some(Err(self.recall_of(dir, inner, now, holder, RecallReason::Notification)))
                }
            }
        })
    }

    /// Makes a notice due again that was not taken.
    pub fn renew_notice(&self, due: &DueNotice, at: Timestamp) {
        self.note_due(due.key, Some(at));
    }

    fn pop_due(&self, now: Timestamp) -> Option<StateKey> {
        let mut due = self.due_notices.lock();
        due.first().filter(|(at, _)| *at <= now)?;
        due.pop_first().map(|(_, key)| key)
    }

    /// A CB_NOTIFY has arrived: the next may follow.
    pub fn notice_arrived(&self, stateid: &Stateid) {
        let Some(key) = StateKey::from_other(stateid.other, self.epoch) else { return };
        self.on_delegation(key, |_, inner, holder| {
            let watch = inner.delegations.of_mut(holder)?.watch.as_mut()?;
            watch.queue.arrived();
            self.note_due(key, watch.queue.due());
            Some(())
        });
    }

    /// Recalls the delegation of one holder, or revokes it if that is due.
    fn recall_of(
        &self,
        dir: &FileKey,
        inner: &mut FileInner,
        now: Timestamp,
        holder: ClientId,
        reason: RecallReason,
    ) -> Effects {
        self.stripes.note_recall(self.stripes.of(dir), now);
        match self.recall_or_revoke(dir, inner, now, holder, reason) {
            Met::Waits(recall) => {
                let mut effects = Effects::default();
                effects.recalls.extend(recall);
                effects
            }
            Met::Revoked(revoked) => revoked,
        }
    }

    /// The files of an export that somebody has a delegation of.
    pub fn delegated_files(&self, export: ExportId) -> Vec<FileKey> {
        let mut files = self.files.map_all(|key, _| *key);
        files.retain(|key| key.export == export);
        files.retain(|key| self.on_file(key, |inner| !inner.delegations.is_empty()).unwrap_or(false));
        files
    }
}

fn wants_of(inner: &FileInner) -> SmallVec<[DirWants; 1]> {
    let mut all = SmallVec::new();
    for watch in inner.delegations.iter().filter_map(|held| held.watch.as_ref()) {
        let wants = watch.terms.wants();
        if !all.contains(&wants) {
            all.push(wants);
        }
    }
    all
}

/// Why a delegation is recalled whose holder is not told of such changes.
fn reason(event: DirEvent) -> RecallReason {
    match event {
        DirEvent::Attributes(_) => RecallReason::Attributes,
        DirEvent::Add | DirEvent::Remove | DirEvent::Rename | DirEvent::Other => RecallReason::Names,
    }
}
