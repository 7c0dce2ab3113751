//! A [`MetadataStore`] in a SQLite database.
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use dittofs_framework::storage::{
    Batch, Entry, Ino, InodeRecord, MetadataStore, NamedEntry, NamedXattr, Room, StorageError, StorageResult,
    VolumeRecord, Xattr,
};

use super::queries;
use super::readers::Readers;
use super::schema;
use super::writer::Writer;

/// How a database is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SqliteOptions {
    /// The most bytes that the database takes.
    pub(crate) max_bytes: u64,
    /// How many reads run at a time.
    pub(crate) readers: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { max_bytes: 1 << 40, readers: 8 }
    }
}

/// Inodes, entries and extended attributes in a SQLite database.
///
/// One thread writes, on a connection of its own: a batch is a transaction, and `apply` returns when SQLite has synced it. Reads run on
/// other connections, in threads that may block. In WAL mode they neither wait for the writer nor see what it has not committed.
pub(crate) struct SqliteMetadata {
    writer: Writer,
    readers: Readers,
    path: PathBuf,
    max_bytes: u64,
    /// Locked as long as the store is open. Behind the connections: fields are dropped in this order.
    _lock: File,
}

impl SqliteMetadata {
    /// Opens the database in this file; makes it if the file is not there.
    ///
    /// # Errors
    /// Another process has it open, it is another program's, damaged, or of another format.
    pub(crate) fn open(path: &Path, options: SqliteOptions) -> StorageResult<Self> {
        let lock = lock(path)?;
        let connection = schema::open(path, options.max_bytes)?;
        let writer = Writer::start(connection).map_err(StorageError::failed)?;
        let readers = Readers::new(path, options.readers);
        Ok(Self { writer, readers, path: path.to_owned(), max_bytes: options.max_bytes, _lock: lock })
    }
}

/// SQLite's own locks let two processes take turns; here each would believe that nobody else changes anything.
fn lock(path: &Path) -> StorageResult<File> {
    let file = File::create(path.with_extension("lock")).map_err(StorageError::failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StorageError::failed(io::Error::other("another process has the database open")))
        }
        Err(TryLockError::Error(error)) => Err(StorageError::failed(error)),
    }
}

#[async_trait]
impl MetadataStore for SqliteMetadata {
    async fn volume(&self) -> StorageResult<Option<VolumeRecord>> {
        self.readers.run(|connection| queries::volume(connection)).await
    }

    async fn inodes(&self, inos: &[Ino]) -> StorageResult<Vec<Option<InodeRecord>>> {
        let inos = inos.to_vec();
        self.readers.run(move |connection| queries::inodes(connection, &inos)).await
    }

    async fn entry(&self, dir: Ino, name: &[u8]) -> StorageResult<Option<Entry>> {
        let name = name.to_vec();
        self.readers.run(move |connection| queries::entry(connection, dir, &name)).await
    }

    async fn entries(&self, dir: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedEntry>> {
        self.readers.run(move |connection| queries::entries(connection, dir, after, limit)).await
    }

    async fn entry_before(&self, dir: Ino, cookie: u64) -> StorageResult<Option<NamedEntry>> {
        self.readers.run(move |connection| queries::entry_before(connection, dir, cookie)).await
    }

    async fn xattr(&self, ino: Ino, name: &[u8]) -> StorageResult<Option<Xattr>> {
        let name = name.to_vec();
        self.readers.run(move |connection| queries::xattr(connection, ino, &name)).await
    }

    async fn xattrs(&self, ino: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedXattr>> {
        self.readers.run(move |connection| queries::xattrs(connection, ino, after, limit)).await
    }

    async fn orphans(&self, after: Ino, limit: usize) -> StorageResult<Vec<Ino>> {
        self.readers.run(move |connection| queries::orphans(connection, after, limit)).await
    }

    async fn scan(&self, after: Ino, limit: usize) -> StorageResult<Vec<(Ino, InodeRecord)>> {
        self.readers.run(move |connection| queries::scan(connection, after, limit)).await
    }

    async fn scan_entries(&self, after: (Ino, u64), limit: usize) -> StorageResult<Vec<(Ino, NamedEntry)>> {
        self.readers.run(move |connection| queries::scan_entries(connection, after, limit)).await
    }

    async fn apply(&self, batch: Batch) -> StorageResult<()> {
        self.writer.apply(batch).await
    }

    async fn room(&self) -> StorageResult<Room> {
        let (path, max_bytes) = (self.path.clone(), self.max_bytes);
        self.readers.run(move |connection| queries::room(connection, &path, max_bytes)).await
    }
}
