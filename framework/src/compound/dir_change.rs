//! Changes of directories by operations, as the clients see them that hold a delegation of the directory (RFC 8881 section 10.9).
//!
//! An operation says what it is about to do with [`CompoundContext::begin_dir_change`], does it, and says how that ended. Who is not
//! told of such changes has returned the delegation before; who is told is told once it is done. Changes of a directory that
//! somebody is told of are made one after the other, so that they are told in the order in which they were made.

use bytes::Bytes;
use smallvec::SmallVec;
use tokio::sync::{Mutex, MutexGuard};

use super::dir_told::{Happened, OldEntry};
use super::{CompoundContext, Nfs4Service};
use crate::attr::{Bitmap, FATTR4_CHANGE};
use crate::export::ExportNode;
use crate::fs::{FsResult, RequestContext};
use crate::proto::{ChangeInfo, ClientId, FileType, Status};
use crate::state::{DirChanging, DirEvent, FileKey, FileStripe, RecallReason};

/// What an operation is about to do to a directory.
#[derive(Debug, Clone, Copy)]
pub enum DirEdit<'n> {
    /// Make an entry where there is none.
    Add(&'n [u8]),
    /// Remove an entry and, if that was its last, the object.
    Remove(&'n [u8]),
    /// Give an entry another name.
    Rename(&'n [u8], &'n [u8]),
    /// Take an entry away that another directory gets.
    MoveOut(&'n [u8]),
    /// Make an entry of one that another directory had, in the place of what has the name.
    MoveIn(&'n [u8]),
    /// Set these attributes of the directory itself.
    Attributes(Bitmap),
}

impl DirEdit<'_> {
    fn event(self) -> DirEvent {
        match self {
            Self::Add(_) | Self::MoveIn(_) => DirEvent::Add,
            Self::Remove(_) | Self::MoveOut(_) => DirEvent::Remove,
            Self::Rename(..) => DirEvent::Rename,
            Self::Attributes(changed) => DirEvent::Attributes(changed),
        }
    }

    /// The names of objects that change themselves, and how: what is known of a directory that goes or moves.
    fn objects(&self) -> SmallVec<[(&[u8], Happened); 2]> {
        // Its change attribute is new (RFC 8881 section 18.26.3).
        let moved = || Happened::Attributes(Bitmap::of(&[FATTR4_CHANGE]));
        match self {
            Self::Add(_) | Self::Attributes(_) => SmallVec::new(),
            Self::Remove(name) | Self::MoveIn(name) => SmallVec::from_iter([(*name, Happened::Other)]),
            Self::MoveOut(name) => SmallVec::from_iter([(*name, moved())]),
            Self::Rename(from, to) => SmallVec::from_iter([(*from, moved()), (*to, Happened::Other)]),
        }
    }
}

const TURNS: usize = 256;

/// Who changes a directory that somebody is told of: one at a time, in groups of directories.
#[derive(Debug)]
pub(super) struct DirTurns(Box<[Mutex<()>]>);

impl Default for DirTurns {
    fn default() -> Self {
        Self((0..TURNS).map(|_| Mutex::default()).collect())
    }
}

impl DirTurns {
    /// The turns of some groups, in one order for everybody.
    async fn take(&self, stripes: impl Iterator<Item = FileStripe>) -> SmallVec<[MutexGuard<'_, ()>; 2]> {
        let mut groups: SmallVec<[usize; 2]> = stripes.map(|stripe| stripe.index() % TURNS).collect();
        groups.sort_unstable();
        groups.dedup();
        let mut turns = SmallVec::new();
        for turn in groups.into_iter().filter_map(|group| self.0.get(group)) {
            turns.push(turn.lock().await);
        }
        turns
    }
}

/// Changes of directories that an operation is making. To be ended by [`end`](Self::end): if it is dropped instead, nobody knows what has happened, and the delegations are recalled.
#[must_use = "holders of delegations wait to be told"]
pub struct DirChange<'a> {
    /// Those of directories that nobody has a delegation of.
    _unwatched: SmallVec<[DirChanging<'a>; 1]>,
    watched: Option<Box<Watched<'a>>>,
}

struct Watched<'a> {
    service: &'a Nfs4Service,
    by: Option<ClientId>,
    parts: SmallVec<[Part<'a>; 2]>,
    _turns: SmallVec<[MutexGuard<'a, ()>; 2]>,
}

/// The change of one directory.
struct Part<'a> {
    dir: ExportNode,
    happening: Happened,
    changing: DirChanging<'a>,
}

impl<'a> CompoundContext<'a> {
    /// Before an operation changes a directory: waits until other clients that are not told of such changes have returned their
    /// delegations of it; NFS4ERR_DELAY if that takes too long. Costs next to nothing if there are no directory delegations.
    #[inline]
    pub async fn begin_dir_change(
        &self,
        dir: &ExportNode,
        edit: DirEdit<'_>,
    ) -> Result<DirChange<'a>, Status> {
        self.begin_dir_changes(&[(dir, edit)]).await
    }

    /// A directory was changed, which could not be known before: whoever is told of it is told, and all others are asked to return their
    /// delegations of it.
    pub async fn dir_changed(&self, dir: &ExportNode, edit: DirEdit<'_>) {
        if self.service.state().has_directory_delegations() {
            let by = self.caller().client;
            Box::pin(async { self.service.tell_dir_changed(by, dir, &happening(dir, edit).await).await })
                .await;
        }
    }

    /// Likewise for an operation that changes two.
    pub async fn begin_dir_changes(
        &self,
        edits: &[(&ExportNode, DirEdit<'_>)],
    ) -> Result<DirChange<'a>, Status> {
        let mut changing = SmallVec::new();
        for (dir, edit) in edits {
            changing.push(self.ask_dir_change(dir, edit.event()).await?);
        }
        if !self.service.state().has_directory_delegations() {
            return Ok(DirChange { _unwatched: changing, watched: None });
        }
        Box::pin(self.watch_dir_changes(edits, changing)).await
    }

    async fn ask_dir_change(&self, dir: &ExportNode, event: DirEvent) -> Result<DirChanging<'a>, Status> {
        let (service, key, caller) = (self.service, FileKey::from(dir), self.caller());
        service.ask_state(self.now(), || service.state().begin_dir_change(caller, &key, event)).await
    }

    /// The same where there are directory delegations, if only of other directories.
    async fn watch_dir_changes(
        &self,
        edits: &[(&ExportNode, DirEdit<'_>)],
        changing: SmallVec<[DirChanging<'a>; 1]>,
    ) -> Result<DirChange<'a>, Status> {
        let service = self.service;
        // Holders are waited for before the turn is taken, which others wait for: within it there is nobody left to ask, unless the
        // name is another directory's by then.
        let mut objects: SmallVec<[DirChanging<'_>; 1]> = SmallVec::new();
        for (dir, edit) in edits {
            for (name, happening) in edit.objects() {
                if let Some(object) = directory_named(dir, name).await {
                    objects.push(self.ask_dir_change(&object, happening.event()).await?);
                }
            }
        }
        let stripe = |dir: &ExportNode| service.state().stripe(&FileKey::from(dir));
        let watched = edits.iter().zip(&changing).filter(|(_, changing)| !changing.wants.is_empty());
        let turns = service.dir_turns.take(watched.map(|((dir, _), _)| stripe(dir))).await;
        let (mut unwatched, mut parts) = (SmallVec::new(), SmallVec::new());
        for ((dir, edit), changing) in edits.iter().zip(changing) {
            for (name, happening) in edit.objects() {
                let Some(object) = directory_named(dir, name).await else { continue };
                let changing = self.ask_dir_change(&object, happening.event()).await?;
                parts.push(Part { dir: object, happening, changing });
            }
            if changing.wants.is_empty() {
                unwatched.push(changing);
            } else {
                let happening = happening(dir, *edit).await;
                parts.push(Part { dir: (*dir).clone(), happening, changing });
            }
        }
        parts.retain(|part: &mut Part<'_>| !part.changing.wants.is_empty());
        let watched = Watched { service, by: self.caller().client, parts, _turns: turns };
        let watched = (!watched.parts.is_empty()).then(|| Box::new(watched));
        Ok(DirChange { _unwatched: unwatched, watched })
    }
}

impl Nfs4Service {
    /// A directory was changed, and nobody was waited for.
    pub(super) async fn tell_dir_changed(&self, by: Option<ClientId>, dir: &ExportNode, happened: &Happened) {
        let key = FileKey::from(dir);
        let wants = self.state.dir_wants(&key);
        if wants.is_empty() {
            return;
        }
        let _turn = self.dir_turns.take([self.state.stripe(&key)].into_iter()).await;
        let told = self.told(dir, happened, &wants).await;
        let effects = self.note_dir_changed(by, dir, happened.event(), &told);
        self.settle_later(effects);
    }
}

/// The object of a name, if it is a directory.
async fn directory_named(dir: &ExportNode, name: &[u8]) -> Option<ExportNode> {
    let found = dir.fs().lookup(&RequestContext::server(), &dir.node, name, Bitmap::EMPTY).await.ok()?;
    let is_directory = found.attributes.file_type == FileType::Dir;
    is_directory.then(|| ExportNode { export: dir.export.clone(), node: found.node })
}

/// What will have happened once an edit is made: the cookies of entries that go must be found out before.
async fn happening(dir: &ExportNode, edit: DirEdit<'_>) -> Happened {
    let bytes = Bytes::copy_from_slice;
    match edit {
        DirEdit::Add(name) => Happened::Added { name: bytes(name), replaced: None },
        DirEdit::Remove(name) | DirEdit::MoveOut(name) => Happened::Removed(old_entry(dir, name).await),
        DirEdit::MoveIn(name) => Happened::Added { name: bytes(name), replaced: replaced(dir, name).await },
        DirEdit::Rename(from, to) => Happened::Renamed {
            old: old_entry(dir, from).await,
            name: bytes(to),
            replaced: replaced(dir, to).await,
        },
        DirEdit::Attributes(changed) => Happened::Attributes(changed),
    }
}

async fn old_entry(dir: &ExportNode, name: &[u8]) -> OldEntry {
    OldEntry { name: Bytes::copy_from_slice(name), cookie: cookie(dir, name).await }
}

async fn replaced(dir: &ExportNode, name: &[u8]) -> Option<OldEntry> {
    let cookie = cookie(dir, name).await?;
    Some(OldEntry { name: Bytes::copy_from_slice(name), cookie: Some(cookie) })
}

async fn cookie(dir: &ExportNode, name: &[u8]) -> Option<u64> {
    let places = dir.fs().entry_places()?;
    places.entry_place(&RequestContext::server(), &dir.node, name).await.ok().map(|place| place.cookie)
}

impl DirChange<'_> {
    /// The operation has done what it was about to do, or failed. Whoever is told of a change is told from now on.
    #[inline]
    pub async fn end(mut self, outcome: DirOutcome) {
        let Some(mut watched) = self.watched.take() else { return };
        match outcome {
            DirOutcome::Changed => Box::pin(watched.tell()).await,
            DirOutcome::Unchanged => watched.parts.clear(),
        }
    }
}

/// Whether an operation has changed a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirOutcome {
    /// It has.
    Changed,
    /// It has not.
    Unchanged,
}

impl DirOutcome {
    /// That of a call to a file system that changes the directory if it succeeds.
    pub fn of<T>(result: &FsResult<T>) -> Self {
        if result.is_ok() { Self::Changed } else { Self::Unchanged }
    }

    /// That of a call that tells how the change attribute went.
    pub fn of_change(result: Option<&ChangeInfo>) -> Self {
        match result {
            Some(change) if change.before != change.after => Self::Changed,
            _ => Self::Unchanged,
        }
    }
}

impl Watched<'_> {
    async fn tell(mut self: Box<Self>) {
        while let Some(part) = self.parts.last() {
            let told = self.service.told(&part.dir, &part.happening, &part.changing.wants).await;
            let effects = self.service.note_dir_changed(self.by, &part.dir, part.happening.event(), &told);
            self.parts.pop();
            self.service.settle_later(effects);
        }
    }
}

/// The operation did not come to its end.
impl Drop for Watched<'_> {
    fn drop(&mut self) {
        for part in &self.parts {
            let dir = FileKey::from(&part.dir);
            let now = self.service.clock.now();
            let effects = self.service.state().recall_all(now, &dir, RecallReason::Notification);
            self.service.settle_later(effects);
        }
    }
}
