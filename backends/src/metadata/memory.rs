use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dittofs_framework::storage::{
    Batch, Entry, Ino, InodeRecord, MetadataStore, Mutation, NamedEntry, NamedXattr, RecordBody, Room,
    StorageError, StorageResult, VolumeRecord, Xattr,
};
use parking_lot::RwLock;

use crate::budget::Budget;

/// What an object takes but for the target of a symbolic link.
const INODE_CHARGE: u64 = 256;
/// What an entry or an extended attribute takes but for name and value.
const NAME_CHARGE: u64 = 96;
/// What the mark of an orphan takes.
const ORPHAN_CHARGE: u64 = 32;

/// A store that lives as long as the value: it survives the file systems on it, not the process. Every call is done at its first poll.
///
/// Debug builds panic when a batch is not as [`Mutation`] says that it has to be.
#[derive(Debug)]
pub struct MemoryMetadataStore {
    budget: Arc<Budget>,
    tables: RwLock<Tables>,
}

impl MemoryMetadataStore {
    /// An empty store for about so many bytes.
    pub fn new(capacity: u64) -> Self {
        Self::sharing(Arc::new(Budget::new(capacity)))
    }

    /// An empty store whose records are charged to a budget.
    pub(crate) fn sharing(budget: Arc<Budget>) -> Self {
        Self { budget, tables: RwLock::default() }
    }
}

#[derive(Debug, Default)]
struct Tables {
    volume: Option<VolumeRecord>,
    inodes: BTreeMap<Ino, InodeRecord>,
    directories: BTreeMap<Ino, Names<Entry>>,
    xattrs: BTreeMap<Ino, Names<Xattr>>,
    orphans: BTreeSet<Ino>,
    used: u64,
}

/// What an object has by name, and the order of it.
#[derive(Debug)]
struct Names<T> {
    by_name: BTreeMap<Bytes, T>,
    by_cookie: BTreeMap<u64, Bytes>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { by_name: BTreeMap::new(), by_cookie: BTreeMap::new() }
    }
}

impl<T> Names<T> {
    /// Names with cookies above `after`, in order.
    fn after(&self, after: u64) -> impl Iterator<Item = (u64, &Bytes)> {
        self.by_cookie.range((Bound::Excluded(after), Bound::Unbounded)).map(|(cookie, name)| (*cookie, name))
    }

    /// Returns what the name had before.
    fn put(&mut self, name: Bytes, cookie: u64, value: T) -> Option<T> {
        let other = self.by_cookie.insert(cookie, name.clone());
        debug_assert!(other.is_none_or(|other| other == name), "cookie {cookie} is that of another name");
        self.by_name.insert(name, value)
    }

    fn remove(&mut self, name: &[u8], cookie: u64) -> Option<T> {
        let removed = self.by_cookie.remove(&cookie);
        debug_assert!(removed.is_some_and(|removed| removed == name), "{name:?} has another cookie");
        self.by_name.remove(name)
    }
}

impl Names<Entry> {
    fn entries(&self, after: u64) -> impl Iterator<Item = NamedEntry> {
        self.after(after).filter_map(|(_, name)| self.named(name))
    }

    fn named(&self, name: &Bytes) -> Option<NamedEntry> {
        self.by_name.get(name).map(|entry| NamedEntry { name: name.clone(), entry: *entry })
    }
}

/// What takes a change back; `None` where nothing was changed.
type Inverse = Option<Mutation>;

impl Tables {
    fn apply(&mut self, mutation: Mutation) -> Inverse {
        match mutation {
            Mutation::PutVolume(volume) => self.volume.replace(volume).map(Mutation::PutVolume),
            Mutation::PutInode(ino, record) => Some(self.put_inode(ino, record)),
            Mutation::RemoveInode(ino) => self.remove_inode(ino),
            Mutation::PutEntry { dir, name, entry } => Some(self.put_entry(dir, name, entry)),
            Mutation::RemoveEntry { dir, name, cookie } => self.remove_entry(dir, name, cookie),
            Mutation::PutXattr { ino, name, xattr } => Some(self.put_xattr(ino, name, xattr)),
            Mutation::RemoveXattr { ino, name, cookie } => self.remove_xattr(ino, name, cookie),
            Mutation::MarkOrphan(ino) => {
                let is_new = self.orphans.insert(ino);
                debug_assert!(is_new, "{ino:?} is an orphan already");
                self.used += ORPHAN_CHARGE;
                Some(Mutation::UnmarkOrphan(ino))
            }
            Mutation::UnmarkOrphan(ino) => {
                let was_there = self.orphans.remove(&ino);
                debug_assert!(was_there, "{ino:?} is no orphan");
                self.used -= ORPHAN_CHARGE;
                Some(Mutation::MarkOrphan(ino))
            }
        }
    }

    fn put_inode(&mut self, ino: Ino, record: InodeRecord) -> Mutation {
        self.used += inode_charge(&record);
        match self.inodes.insert(ino, record) {
            Some(before) => {
                self.used -= inode_charge(&before);
                Mutation::PutInode(ino, before)
            }
            None => Mutation::RemoveInode(ino),
        }
    }

    fn remove_inode(&mut self, ino: Ino) -> Inverse {
        debug_assert!(!self.directories.contains_key(&ino), "{ino:?} has entries");
        debug_assert!(!self.xattrs.contains_key(&ino), "{ino:?} has extended attributes");
        debug_assert!(!self.orphans.contains(&ino), "{ino:?} is marked as an orphan");
        let before = self.inodes.remove(&ino);
        debug_assert!(before.is_some(), "{ino:?} is not there");
        let before = before?;
        self.used -= inode_charge(&before);
        Some(Mutation::PutInode(ino, before))
    }

    fn put_entry(&mut self, dir: Ino, name: Bytes, entry: Entry) -> Mutation {
        self.used += name_charge(&name);
        let before = self.directories.entry(dir).or_default().put(name.clone(), entry.cookie, entry);
        debug_assert!(before.is_none(), "{name:?} is in {dir:?} already");
        Mutation::RemoveEntry { dir, name, cookie: entry.cookie }
    }

    fn remove_entry(&mut self, dir: Ino, name: Bytes, cookie: u64) -> Inverse {
        let before = remove_name(&mut self.directories, dir, &name, cookie);
        debug_assert!(before.is_some(), "{name:?} is not in {dir:?}");
        let entry = before?;
        self.used -= name_charge(&name);
        Some(Mutation::PutEntry { dir, name, entry })
    }

    fn put_xattr(&mut self, ino: Ino, name: Bytes, xattr: Xattr) -> Mutation {
        let cookie = xattr.cookie;
        self.used += xattr_charge(&name, &xattr);
        match self.xattrs.entry(ino).or_default().put(name.clone(), cookie, xattr) {
            Some(before) => {
                debug_assert_eq!(before.cookie, cookie, "{name:?} of {ino:?} has another cookie");
                self.used -= xattr_charge(&name, &before);
                Mutation::PutXattr { ino, name, xattr: before }
            }
            None => Mutation::RemoveXattr { ino, name, cookie },
        }
    }

    fn remove_xattr(&mut self, ino: Ino, name: Bytes, cookie: u64) -> Inverse {
        let before = remove_name(&mut self.xattrs, ino, &name, cookie);
        debug_assert!(before.is_some(), "{ino:?} has no {name:?}");
        let xattr = before?;
        self.used -= xattr_charge(&name, &xattr);
        Some(Mutation::PutXattr { ino, name, xattr })
    }

    fn entries(&self, dir: Ino, after: u64) -> impl Iterator<Item = NamedEntry> {
        self.directories.get(&dir).into_iter().flat_map(move |names| names.entries(after))
    }
}

/// Removes a name, and the object's table with the last one.
fn remove_name<T>(tables: &mut BTreeMap<Ino, Names<T>>, ino: Ino, name: &[u8], cookie: u64) -> Option<T> {
    let Slot::Occupied(mut table) = tables.entry(ino) else { return None };
    let removed = table.get_mut().remove(name, cookie);
    if table.get().by_name.is_empty() {
        table.remove();
    }
    removed
}

fn inode_charge(record: &InodeRecord) -> u64 {
    let target = if let RecordBody::Symlink(target) = &record.body { target.len() } else { 0 };
    INODE_CHARGE + target as u64
}

fn name_charge(name: &[u8]) -> u64 {
    NAME_CHARGE + name.len() as u64
}

fn xattr_charge(name: &[u8], xattr: &Xattr) -> u64 {
    name_charge(name) + xattr.value.len() as u64
}

#[async_trait]
impl MetadataStore for MemoryMetadataStore {
    async fn volume(&self) -> StorageResult<Option<VolumeRecord>> {
        Ok(self.tables.read().volume)
    }

    async fn inodes(&self, inos: &[Ino]) -> StorageResult<Vec<Option<InodeRecord>>> {
        let tables = self.tables.read();
        Ok(inos.iter().map(|ino| tables.inodes.get(ino).cloned()).collect())
    }

    async fn entry(&self, dir: Ino, name: &[u8]) -> StorageResult<Option<Entry>> {
        let tables = self.tables.read();
        Ok(tables.directories.get(&dir).and_then(|names| names.by_name.get(name)).copied())
    }

    async fn entries(&self, dir: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedEntry>> {
        Ok(self.tables.read().entries(dir, after).take(limit).collect())
    }

    async fn entry_before(&self, dir: Ino, cookie: u64) -> StorageResult<Option<NamedEntry>> {
        let tables = self.tables.read();
        let Some(names) = tables.directories.get(&dir) else { return Ok(None) };
        let before = names.by_cookie.range(..cookie).next_back();
        Ok(before.and_then(|(_, name)| names.named(name)))
    }

    async fn xattr(&self, ino: Ino, name: &[u8]) -> StorageResult<Option<Xattr>> {
        let tables = self.tables.read();
        Ok(tables.xattrs.get(&ino).and_then(|names| names.by_name.get(name)).cloned())
    }

    async fn xattrs(&self, ino: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedXattr>> {
        let tables = self.tables.read();
        let names = tables.xattrs.get(&ino).into_iter().flat_map(|names| names.after(after));
        Ok(names.take(limit).map(|(cookie, name)| NamedXattr { name: name.clone(), cookie }).collect())
    }

    async fn orphans(&self, after: Ino, limit: usize) -> StorageResult<Vec<Ino>> {
        let tables = self.tables.read();
        Ok(tables.orphans.range((Bound::Excluded(after), Bound::Unbounded)).take(limit).copied().collect())
    }

    async fn scan(&self, after: Ino, limit: usize) -> StorageResult<Vec<(Ino, InodeRecord)>> {
        let tables = self.tables.read();
        let found = tables.inodes.range((Bound::Excluded(after), Bound::Unbounded)).take(limit);
        Ok(found.map(|(ino, record)| (*ino, record.clone())).collect())
    }

    async fn scan_entries(&self, after: (Ino, u64), limit: usize) -> StorageResult<Vec<(Ino, NamedEntry)>> {
        let tables = self.tables.read();
        let found = tables.directories.range(after.0..).flat_map(|(dir, names)| {
            // Of a directory behind the first one all of them, also one with the cookie 0.
            let from = if *dir == after.0 { Bound::Excluded(after.1) } else { Bound::Unbounded };
            let entries = names.by_cookie.range((from, Bound::Unbounded));
            entries.filter_map(|(_, name)| names.named(name)).map(|entry| (*dir, entry))
        });
        Ok(found.take(limit).collect())
    }

    async fn apply(&self, batch: Batch) -> StorageResult<()> {
        let mut tables = self.tables.write();
        let (volume, used) = (tables.volume, tables.used);
        let inverses: Vec<_> =
            batch.mutations.into_iter().filter_map(|mutation| tables.apply(mutation)).collect();
        let more = tables.used.saturating_sub(used);
        if self.budget.reserve(more).is_ok() {
            self.budget.release(used.saturating_sub(tables.used));
            return Ok(());
        }
        for inverse in inverses.into_iter().rev() {
            tables.apply(inverse);
        }
        tables.volume = volume;
        debug_assert_eq!(tables.used, used);
        Err(StorageError::NoSpace)
    }

    async fn room(&self) -> StorageResult<Room> {
        let free = self.budget.free();
        Ok(Room { total: self.budget.capacity(), free, available: free })
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use dittofs_framework::metadata_store_suite;
    use dittofs_framework::proto::{FileType, NfsTime};
    use dittofs_framework::storage::RecordTimes;
    use dittofs_framework::testing::metadata_store::MetadataStoreFixture;

    use super::*;

    /// The value is what survives.
    struct Fixture(Arc<MemoryMetadataStore>);

    #[async_trait]
    impl MetadataStoreFixture for Fixture {
        async fn open(&mut self) -> Arc<dyn MetadataStore> {
            self.0.clone()
        }
    }

    metadata_store_suite!(|| Fixture(Arc::new(MemoryMetadataStore::new(1 << 30))));

    fn link(target: usize) -> InodeRecord {
        InodeRecord {
            file_type: FileType::Lnk,
            mode: 0o777,
            uid: 0,
            gid: 0,
            nlink: 1,
            size: 0,
            allocated: 0,
            change: 1,
            times: RecordTimes::all(NfsTime { seconds: 0, nseconds: 0 }),
            exclusive: None,
            xattr_bytes: 0,
            next_xattr_cookie: 1,
            body: RecordBody::Symlink(vec![b'x'; target].into()),
        }
    }

    async fn apply(store: &MemoryMetadataStore, mutations: Vec<Mutation>) -> bool {
        let used = store.tables.read().used;
        match store.apply(Batch { mutations }).await {
            Ok(()) => true,
            Err(StorageError::NoSpace) => {
                assert_eq!(store.tables.read().used, used);
                false
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn xattr(value: usize) -> Mutation {
        let xattr = Xattr { cookie: 5, value: vec![1; value].into() };
        Mutation::PutXattr { ino: Ino(2), name: Bytes::from_static(b"x"), xattr }
    }

    // Origin: own. RFC: none; `MetadataStore` says what a full store does.
    #[tokio::test]
    async fn what_finds_no_room_changes_nothing() {
        let store = MemoryMetadataStore::new(1000);
        assert!(apply(&store, vec![Mutation::PutInode(Ino(2), link(10)), xattr(20)]).await);
        let volume = VolumeRecord { id: [1; 8], next_ino: 9, inodes: 1, starts: 1 };
        let entry = Entry { cookie: 7, ino: Ino(2), file_type: FileType::Lnk };
        let name = Bytes::from_static(b"name");
        let batch = vec![
            Mutation::PutVolume(volume),
            Mutation::PutEntry { dir: Ino(1), name: name.clone(), entry },
            Mutation::RemoveEntry { dir: Ino(1), name: name.clone(), cookie: 7 },
            Mutation::PutEntry { dir: Ino(1), name, entry: Entry { cookie: 8, ..entry } },
            Mutation::RemoveXattr { ino: Ino(2), name: Bytes::from_static(b"x"), cookie: 5 },
            xattr(30),
            Mutation::MarkOrphan(Ino(2)),
            Mutation::PutInode(Ino(2), link(900)),
        ];
        assert!(!apply(&store, batch).await);
        assert_eq!(store.volume().await.unwrap(), None);
        assert_eq!(store.inodes(&[Ino(2)]).await.unwrap(), [Some(link(10))]);
        assert_eq!(store.xattr(Ino(2), b"x").await.unwrap().unwrap().value.len(), 20);
        assert_eq!(store.scan_entries((Ino(0), 0), 9).await.unwrap(), []);
        assert_eq!(store.orphans(Ino(0), 9).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_full_store_still_does_what_takes_no_more() {
        let store = MemoryMetadataStore::new(1000);
        let fits = 1000 - usize::try_from(INODE_CHARGE).unwrap();
        assert!(apply(&store, vec![Mutation::PutInode(Ino(2), link(fits))]).await);
        let room = store.room().await.unwrap();
        assert_eq!(room, Room { total: 1000, free: 0, available: 0 });
        assert!(!apply(&store, vec![Mutation::PutInode(Ino(2), link(fits + 1))]).await);
        assert!(!apply(&store, vec![Mutation::MarkOrphan(Ino(2))]).await);
        assert!(apply(&store, vec![Mutation::PutInode(Ino(2), link(fits))]).await);
        assert!(apply(&store, vec![Mutation::RemoveInode(Ino(2))]).await);
        assert_eq!(store.room().await.unwrap().free, 1000);
    }
}
