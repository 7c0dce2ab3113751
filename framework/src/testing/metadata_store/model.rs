use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::START;
use crate::storage::{
    Entry, Ino, InodeRecord, MetadataStore, Mutation, NamedEntry, NamedXattr, VolumeRecord, Xattr,
};

/// All that a store holds: what it should hold by the changes, or what it says that it does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) volume: Option<VolumeRecord>,
    pub(super) inodes: BTreeMap<Ino, InodeRecord>,
    pub(super) entries: BTreeMap<(Ino, u64), (Bytes, Entry)>,
    pub(super) xattrs: BTreeMap<(Ino, u64), (Bytes, Bytes)>,
    pub(super) orphans: BTreeSet<Ino>,
}

impl Model {
    pub(super) fn apply(&mut self, mutation: &Mutation) {
        match mutation.clone() {
            Mutation::PutVolume(volume) => self.volume = Some(volume),
            Mutation::PutInode(ino, record) => drop(self.inodes.insert(ino, record)),
            Mutation::RemoveInode(ino) => drop(self.inodes.remove(&ino)),
            Mutation::PutEntry { dir, name, entry } => {
                self.entries.insert((dir, entry.cookie), (name, entry));
            }
            Mutation::RemoveEntry { dir, cookie, .. } => drop(self.entries.remove(&(dir, cookie))),
            Mutation::PutXattr { ino, name, xattr } => {
                self.xattrs.insert((ino, xattr.cookie), (name, xattr.value));
            }
            Mutation::RemoveXattr { ino, cookie, .. } => drop(self.xattrs.remove(&(ino, cookie))),
            Mutation::MarkOrphan(ino) => drop(self.orphans.insert(ino)),
            Mutation::UnmarkOrphan(ino) => drop(self.orphans.remove(&ino)),
        }
    }

    pub(super) fn apply_all(&mut self, mutations: &[Mutation]) {
        for mutation in mutations {
            self.apply(mutation);
        }
    }

    /// What a store says by its listings, taken in pages of `limit`. Extended attributes are only found of objects that are there.
    pub(super) async fn of(store: &Arc<dyn MetadataStore>, limit: usize) -> Self {
        let mut found = Self { volume: store.volume().await.expect("a volume"), ..Self::default() };
        let mut after = START;
        loop {
            let page = store.scan(after, limit).await.expect("objects");
            let is_last = page.len() < limit;
            after = page.last().map_or(after, |(ino, _)| *ino);
            for (ino, record) in page {
                found.read_xattrs(store, ino, limit).await;
                assert_eq!(found.inodes.insert(ino, record), None, "{ino:?} is listed twice");
            }
            if is_last {
                break;
            }
        }
        found.read_entries(store, limit).await;
        found.read_orphans(store, limit).await;
        found
    }

    async fn read_entries(&mut self, store: &Arc<dyn MetadataStore>, limit: usize) {
        let mut after = (START, 0);
        loop {
            let page = store.scan_entries(after, limit).await.expect("entries");
            for (dir, NamedEntry { name, entry }) in &page {
                let place = (*dir, entry.cookie);
                assert!(place > after, "{place:?} after {after:?}");
                self.entries.insert(place, (name.clone(), *entry));
                after = place;
            }
            if page.len() < limit {
                return;
            }
        }
    }

    async fn read_xattrs(&mut self, store: &Arc<dyn MetadataStore>, ino: Ino, limit: usize) {
        let mut after = 0;
        loop {
            let page = store.xattrs(ino, after, limit).await.expect("extended attributes");
            for NamedXattr { name, cookie } in &page {
                assert!(*cookie > after, "{cookie} after {after}");
                after = *cookie;
                let xattr =
                    store.xattr(ino, name).await.expect("an extended attribute").expect("it is listed");
                assert_eq!(xattr.cookie, *cookie, "{name:?} of {ino:?}");
                self.xattrs.insert((ino, *cookie), (name.clone(), xattr.value));
            }
            if page.len() < limit {
                return;
            }
        }
    }

    async fn read_orphans(&mut self, store: &Arc<dyn MetadataStore>, limit: usize) {
        let mut after = START;
        loop {
            let page = store.orphans(after, limit).await.expect("orphans");
            for ino in &page {
                assert!(*ino > after, "{ino:?} after {after:?}");
                after = *ino;
            }
            self.orphans.extend(&page);
            if page.len() < limit {
                return;
            }
        }
    }

    /// Asks for each thing by itself.
    pub(super) async fn check_single_reads(&self, store: &Arc<dyn MetadataStore>) {
        let numbers: Vec<_> = self.inodes.keys().copied().collect();
        let records = store.inodes(&numbers).await.expect("objects");
        assert!(records.iter().flatten().eq(self.inodes.values()));
        for ((dir, _), (name, entry)) in &self.entries {
            assert_eq!(store.entry(*dir, name).await.expect("an entry"), Some(*entry), "{name:?} in {dir:?}");
        }
        for ((ino, cookie), (name, value)) in &self.xattrs {
            let expected = Xattr { cookie: *cookie, value: value.clone() };
            let found = store.xattr(*ino, name).await.expect("an extended attribute");
            assert_eq!(found, Some(expected), "{name:?} of {ino:?}");
        }
    }
}
