use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use dittofs_framework::proto::{FileType, NfsTime};
use dittofs_framework::storage::*;
use parking_lot::Mutex;

use crate::content::MemoryContentStore;
use crate::fsck::{FsckOptions, Mode, Report, check};
use crate::metadata::MemoryMetadataStore;

pub(super) const NOW: NfsTime = NfsTime { seconds: 1000, nseconds: 0 };

/// A volume, and what is wrong with its indexes.
pub(super) struct World {
    pub(super) metadata: Crooked,
    pub(super) content: MemoryContentStore,
}

/// A store in which some look-ups find something else than listings, until the name is removed.
pub(super) struct Crooked {
    pub(super) inner: MemoryMetadataStore,
    pub(super) entries: Mutex<HashMap<(Ino, Bytes), Option<Entry>>>,
    pub(super) xattrs: Mutex<HashMap<(Ino, Bytes), Option<Xattr>>>,
}

pub(super) fn name(name: &str) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}

pub(super) fn file(nlink: u32, size: u64) -> InodeRecord {
    InodeRecord {
        file_type: FileType::Reg,
        mode: 0o644,
        uid: 0,
        gid: 0,
        nlink,
        size,
        allocated: 0,
        change: 5,
        times: RecordTimes::all(NfsTime { seconds: 1, nseconds: 0 }),
        exclusive: None,
        xattr_bytes: 0,
        next_xattr_cookie: 1,
        body: RecordBody::Empty,
    }
}

pub(super) fn directory(parent: u64, nlink: u32, entries: u64, next_cookie: u64) -> InodeRecord {
    let body = RecordBody::Directory(DirectoryRecord { parent: Ino(parent), entries, next_cookie });
    InodeRecord { file_type: FileType::Dir, nlink, body, ..file(0, 0) }
}

pub(super) fn entry(dir: u64, name_: &str, cookie: u64, ino: u64, file_type: FileType) -> Mutation {
    Mutation::PutEntry { dir: Ino(dir), name: name(name_), entry: Entry { cookie, ino: Ino(ino), file_type } }
}

pub(super) fn xattr(ino: u64, name_: &str, cookie: u64, value: &'static [u8]) -> Mutation {
    let xattr = Xattr { cookie, value: Bytes::from_static(value) };
    Mutation::PutXattr { ino: Ino(ino), name: name(name_), xattr }
}

pub(super) const VOLUME: VolumeRecord = VolumeRecord { id: *b"12345678", next_ino: 8, inodes: 7, starts: 1 };

/// The file with extended attributes.
pub(super) fn with_xattrs() -> InodeRecord {
    InodeRecord { xattr_bytes: 9, next_xattr_cookie: 3, allocated: 4096, ..file(2, 10) }
}

impl World {
    pub(super) fn empty() -> Self {
        let metadata = Crooked {
            inner: MemoryMetadataStore::new(1 << 30),
            entries: Mutex::default(),
            xattrs: Mutex::default(),
        };
        Self { metadata, content: MemoryContentStore::new(1 << 30) }
    }

    /// A volume with nothing wrong: `/a` is 2, `/f` and `/a/g` are 3, `/l` is 4, `/a/b` is 5, `/a/b/x` is 6, and 7 is an orphan.
    pub(super) async fn sound() -> Self {
        let world = Self::empty();
        let link =
            InodeRecord { file_type: FileType::Lnk, body: RecordBody::Symlink(name("target")), ..file(1, 0) };
        let all = [
            Mutation::PutVolume(VOLUME),
            Mutation::PutInode(Ino(1), directory(1, 3, 3, 6)),
            Mutation::PutInode(Ino(2), directory(1, 3, 2, 9)),
            Mutation::PutInode(Ino(3), with_xattrs()),
            Mutation::PutInode(Ino(4), link),
            Mutation::PutInode(Ino(5), directory(2, 2, 1, 4)),
            Mutation::PutInode(Ino(6), file(1, 0)),
            Mutation::PutInode(Ino(7), InodeRecord { allocated: 4096, ..file(0, 3) }),
            Mutation::MarkOrphan(Ino(7)),
            entry(1, "a", 3, 2, FileType::Dir),
            entry(1, "f", 4, 3, FileType::Reg),
            entry(1, "l", 5, 4, FileType::Lnk),
            entry(2, "g", 3, 3, FileType::Reg),
            entry(2, "b", 8, 5, FileType::Dir),
            entry(5, "x", 3, 6, FileType::Reg),
            xattr(3, "one", 1, b"1"),
            xattr(3, "two", 2, b"22"),
        ];
        world.apply(all).await;
        world.write(3, b"0123456789").await;
        world.write(7, b"abc").await;
        world
    }

    pub(super) async fn apply(&self, mutations: impl IntoIterator<Item = Mutation>) {
        let batch = Batch { mutations: mutations.into_iter().collect() };
        self.metadata.inner.apply(batch).await.unwrap();
    }

    pub(super) async fn write(&self, ino: u64, data: &'static [u8]) {
        self.content.write(Ino(ino), 0, Bytes::from_static(data)).await.unwrap();
    }

    pub(super) async fn fsck(&self, mode: Mode) -> Report {
        let options = FsckOptions { mode, listed: 100, now: NOW };
        check(&self.metadata, &self.content, options).await.unwrap()
    }

    /// The problems that a check finds, as people read them. It changes nothing.
    pub(super) async fn problems(&self) -> Vec<String> {
        let report = self.fsck(Mode::Check).await;
        let problems: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
        assert_eq!((report.found, report.left), (problems.len() as u64, problems.len() as u64));
        problems
    }

    pub(super) async fn record(&self, ino: u64) -> Option<InodeRecord> {
        self.metadata.inodes(&[Ino(ino)]).await.unwrap().pop().unwrap()
    }

    /// The object at a path.
    pub(super) async fn find(&self, path: &str) -> Option<u64> {
        let mut at = Ino::ROOT;
        for name in path.split('/') {
            at = self.metadata.entry(at, name.as_bytes()).await.unwrap()?.ino;
        }
        Some(at.0)
    }
}

#[async_trait]
impl MetadataStore for Crooked {
    async fn volume(&self) -> StorageResult<Option<VolumeRecord>> {
        self.inner.volume().await
    }

    async fn inodes(&self, inos: &[Ino]) -> StorageResult<Vec<Option<InodeRecord>>> {
        self.inner.inodes(inos).await
    }

    async fn entry(&self, dir: Ino, name: &[u8]) -> StorageResult<Option<Entry>> {
        let other = self.entries.lock().get(&(dir, Bytes::copy_from_slice(name))).copied();
        match other {
            Some(other) => Ok(other),
            None => self.inner.entry(dir, name).await,
        }
    }

    async fn entries(&self, dir: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedEntry>> {
        self.inner.entries(dir, after, limit).await
    }

    async fn entry_before(&self, dir: Ino, cookie: u64) -> StorageResult<Option<NamedEntry>> {
        self.inner.entry_before(dir, cookie).await
    }

    async fn xattr(&self, ino: Ino, name: &[u8]) -> StorageResult<Option<Xattr>> {
        let other = self.xattrs.lock().get(&(ino, Bytes::copy_from_slice(name))).cloned();
        match other {
            Some(other) => Ok(other),
            None => self.inner.xattr(ino, name).await,
        }
    }

    async fn xattrs(&self, ino: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedXattr>> {
        self.inner.xattrs(ino, after, limit).await
    }

    async fn orphans(&self, after: Ino, limit: usize) -> StorageResult<Vec<Ino>> {
        self.inner.orphans(after, limit).await
    }

    async fn scan(&self, after: Ino, limit: usize) -> StorageResult<Vec<(Ino, InodeRecord)>> {
        self.inner.scan(after, limit).await
    }

    async fn scan_entries(&self, after: (Ino, u64), limit: usize) -> StorageResult<Vec<(Ino, NamedEntry)>> {
        self.inner.scan_entries(after, limit).await
    }

    async fn apply(&self, batch: Batch) -> StorageResult<()> {
        for mutation in &batch.mutations {
            match mutation {
                Mutation::RemoveEntry { dir, name, .. } => {
                    self.entries.lock().remove(&(*dir, name.clone()));
                }
                Mutation::RemoveXattr { ino, name, .. } => {
                    self.xattrs.lock().remove(&(*ino, name.clone()));
                }
                _ => {}
            }
        }
        self.inner.apply(batch).await
    }

    async fn room(&self) -> StorageResult<Room> {
        self.inner.room().await
    }
}
