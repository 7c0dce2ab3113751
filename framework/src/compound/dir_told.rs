//! What the holders of directory delegations are told of a change (RFC 8881 section 20.4).

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::Nfs4Service;
use crate::attr::{AttrSource, Bitmap, encode_fattr4};
use crate::export::ExportNode;
use crate::fs::{Attributes, EntryPlace, FsError, FsResult, FsUsage, NodeHandle, RequestContext};
use crate::proto::{
    AtMostOne, Component4, Fattr4, Minor, NFS4_OK, Notification, Notify4, NotifyAdd4, NotifyAttr4,
    NotifyEntry4, NotifyRemove4, NotifyRename4, NotifyType, PrevEntry4,
};
use crate::state::{DirEvent, DirTold, DirWants};
use crate::xdr::{Opaque, XdrWriter, decode_all};

/// An entry that was there before a change.
#[derive(Debug, Clone)]
pub(super) struct OldEntry {
    pub(super) name: Bytes,
    /// `None` if it is not known: then nobody can be told.
    pub(super) cookie: Option<u64>,
}

/// What happened to a directory.
#[derive(Debug, Clone)]
pub(super) enum Happened {
    /// A new entry, perhaps in the place of an old one.
    Added { name: Bytes, replaced: Option<OldEntry> },
    /// An entry is gone.
    Removed(OldEntry),
    /// An entry has another name, perhaps in the place of an old one.
    Renamed { old: OldEntry, name: Bytes, replaced: Option<OldEntry> },
    /// These attributes changed.
    Attributes(Bitmap),
    /// Something that nobody can be told of.
    Other,
}

impl Happened {
    pub(super) fn event(&self) -> DirEvent {
        match self {
            Self::Added { .. } => DirEvent::Add,
            Self::Removed(_) => DirEvent::Remove,
            Self::Renamed { .. } => DirEvent::Rename,
            Self::Attributes(changed) => DirEvent::Attributes(*changed),
            Self::Other => DirEvent::Other,
        }
    }

    /// The name that is new.
    fn new_name(&self) -> Option<&Bytes> {
        match self {
            Self::Added { name, .. } | Self::Renamed { name, .. } => Some(name),
            Self::Removed(_) | Self::Attributes(_) | Self::Other => None,
        }
    }
}

/// What has to be asked of the file system, once for all holders.
struct Facts {
    entry: Option<NewEntry>,
    dir: Option<Attributes>,
}

struct NewEntry {
    place: EntryPlace,
    node: NodeHandle,
    attributes: Attributes,
}

impl Nfs4Service {
    /// What each of those with these wants is told of what happened to `dir`.
    pub(super) async fn told(
        &self,
        dir: &ExportNode,
        happened: &Happened,
        wants: &[DirWants],
    ) -> SmallVec<[DirTold; 1]> {
        let event = happened.event();
        let covered: SmallVec<[DirWants; 1]> =
            wants.iter().copied().filter(|wants| wants.covers(event)).collect();
        if covered.is_empty() {
            return SmallVec::new();
        }
        let facts = self.facts(dir, happened, &covered).await.ok();
        let told = |wants: DirWants| {
            let changes = facts.as_ref().and_then(|facts| self.changes(dir, happened, facts, wants));
            DirTold { wants, changes }
        };
        covered.into_iter().map(told).collect()
    }

    async fn facts(&self, dir: &ExportNode, happened: &Happened, wants: &[DirWants]) -> FsResult<Facts> {
        let cx = RequestContext::server();
        let of_children = wants.iter().fold(Bitmap::EMPTY, |all, wants| all.or(wants.child_attributes));
        let of_dir = wants.iter().fold(Bitmap::EMPTY, |all, wants| all.or(wants.dir_attributes));
        let entry = match happened.new_name() {
            Some(name) => {
                let places = dir.fs().entry_places().ok_or(FsError::NotSupported)?;
                let place = places.entry_place(&cx, &dir.node, name).await?;
                let found = dir.fs().lookup(&cx, &dir.node, name, of_children).await?;
                Some(NewEntry { place, node: found.node, attributes: found.attributes })
            }
            None => None,
        };
        let mut facts = Facts { entry, dir: None };
        if !of_dir.is_empty() {
            facts.dir = Some(dir.fs().attributes(&cx, &dir.node, of_dir).await?);
        }
        Ok(facts)
    }

    /// `None` if a part is missing.
    fn changes(
        &self,
        dir: &ExportNode,
        happened: &Happened,
        facts: &Facts,
        wants: DirWants,
    ) -> Option<SmallVec<[Notify4; 2]>> {
        let mut changes = smallvec![];
        let added = |replaced: &Option<OldEntry>, name: &Bytes| -> Option<NotifyAdd4> {
            let entry = facts.entry.as_ref()?;
            let attrs = self.fattr(dir, &entry.node, &entry.attributes, wants.child_attributes);
            let previous = entry.place.previous.as_ref().map(|(name, cookie)| PrevEntry4 {
                prev_entry: without_attrs(name),
                prev_entry_cookie: *cookie,
            });
            Some(NotifyAdd4 {
                old_entry: AtMostOne(match replaced {
                    Some(old) => Some(removed(old)?),
                    None => None,
                }),
                new_entry: NotifyEntry4 { file: component(name), attrs },
                new_entry_cookie: AtMostOne(Some(entry.place.cookie)),
                prev_entry: AtMostOne(previous),
                last_entry: entry.place.is_last,
            })
        };
        let of_entry = match happened {
            Happened::Added { name, replaced } => Some(Notification::AddEntry(added(replaced, name)?)),
            Happened::Removed(old) => Some(Notification::RemoveEntry(removed(old)?)),
            Happened::Renamed { old, name, replaced } => Some(Notification::RenameEntry(NotifyRename4 {
                old_entry: removed(old)?,
                new_entry: added(replaced, name)?,
            })),
            Happened::Attributes(_) => None,
            Happened::Other => return None,
        };
        changes.extend(of_entry.map(|notification| notification.to_notify4()));
        if wants.has(NotifyType::ChangeDirAttrs)
            && let Some(attributes) = &facts.dir
        {
            let attrs = self.fattr(dir, &dir.node, attributes, wants.dir_attributes);
            let changed_entry = NotifyEntry4 { file: Component4::default(), attrs };
            changes.push(Notification::ChangeDirAttrs(NotifyAttr4 { changed_entry }).to_notify4());
        }
        Some(changes)
    }

    fn fattr(&self, at: &ExportNode, node: &NodeHandle, attributes: &Attributes, wanted: Bitmap) -> Fattr4 {
        let handle = self.filehandles().encode(at.export.id, node);
        let source = AttrSource {
            // What may be asked for was settled when the delegation was given.
            server: &self.attr_server(&at.export, Minor::V2),
            attributes,
            info: &at.fs().info(),
            usage: &FsUsage::default(),
            filehandle: handle.as_bytes(),
            mounted_on_fileid: attributes.fileid,
            rdattr_error: NFS4_OK,
        };
        let mut w = XdrWriter::new();
        encode_fattr4(&mut w, wanted, &source);
        decode_all(&w.finish().to_bytes()).unwrap_or_default()
    }
}

fn component(name: &Bytes) -> Component4 {
    Opaque(name.clone())
}

fn without_attrs(name: &Bytes) -> NotifyEntry4 {
    NotifyEntry4 { file: component(name), attrs: Fattr4::default() }
}

/// Of an object that may be gone there are no attributes to tell.
fn removed(old: &OldEntry) -> Option<NotifyRemove4> {
    Some(NotifyRemove4 { old_entry: without_attrs(&old.name), old_entry_cookie: old.cookie? })
}
