use async_trait::async_trait;

use super::{
    Batch, Entry, Ino, InodeRecord, NamedEntry, NamedXattr, Room, StorageResult, VolumeRecord, Xattr,
};

/// Keeps inodes, directory entries and extended attributes of one volume.
///
/// # What is kept
/// Five tables, none of which knows of another: the record of the volume; records of objects by number; entries by directory
/// and name, and by directory and cookie; extended attributes in the same two ways; the numbers of orphans. That an entry's object is
/// there, or an object's directory, is the file system's business: a batch may bring them in any order.
///
/// Records are kept as [`InodeRecord::to_bytes`] and [`VolumeRecord::to_bytes`] make them, or in columns of the store's own, and come back
/// as they were. Numbers and cookies are any `u64`; so is `after`, which may come from a client. Names are 1 to 255 bytes of any value, the
/// target of a link up to 4096, the value of an extended attribute up to 65,536. A batch has a few changes when there is little to do and
/// some thousands when there is much.
///
/// # Who calls
/// One file system at a time, which gives all numbers and cookies itself. It calls [`apply`](Self::apply) for one batch at a time,
/// each when the one before has returned. All other calls read; they come at any time and in any number, also while a batch is being
/// applied. That no second process has the same store open is made sure of where it is opened.
///
/// A call that waits for a device gives way: it has a thread of its own or one of `spawn_blocking`. One that can answer at once does so.
/// What becomes of a call whose future is dropped is up to the store: it is carried out wholly or not at all.
///
/// # What readers see
/// A single read sees each batch wholly or not at all: those that have returned `Ok` it sees, one that is being applied it may see.
///
/// # Failure
/// A batch that is refused with [`NoSpace`](super::StorageError::NoSpace) has changed nothing, and the store goes on working. After any
/// other error of `apply` it is unknown whether the batch will be there after a restart; the store may refuse everything from then on,
/// until it is opened again. It must not show readers a batch that failed and then lose it. After a sync that failed nothing is known of
/// what was written before it: a store that tries again and succeeds has proven nothing.
///
/// Batches are as [`Mutation`](super::Mutation) says. One that is not is a defect of the file system; a store need not notice, and if
/// it does, it fails.
///
/// `metadata_store_suite!` (feature `testing`) tests an implementation.
#[async_trait]
pub trait MetadataStore: Send + Sync + 'static {
    /// What is known of the volume; `None` if the store is new and empty.
    async fn volume(&self) -> StorageResult<Option<VolumeRecord>>;

    /// The records of these objects, in this order; `None` for those that are not there.
    async fn inodes(&self, inos: &[Ino]) -> StorageResult<Vec<Option<InodeRecord>>>;

    /// What a name in a directory stands for.
    async fn entry(&self, dir: Ino, name: &[u8]) -> StorageResult<Option<Entry>>;

    /// Up to `limit` entries of a directory with cookies above `after`, by growing cookie. Fewer than `limit` only at the end. What it
    /// costs does not depend on how many entries there are before `after`.
    async fn entries(&self, dir: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedEntry>>;

    /// The entry with the largest cookie below `cookie`.
    async fn entry_before(&self, dir: Ino, cookie: u64) -> StorageResult<Option<NamedEntry>>;

    /// An extended attribute.
    async fn xattr(&self, ino: Ino, name: &[u8]) -> StorageResult<Option<Xattr>>;

    /// Up to `limit` extended attributes of an object with cookies above `after`, by growing cookie; fewer only at the end.
    async fn xattrs(&self, ino: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedXattr>>;

    /// Up to `limit` objects that are marked as orphans, with numbers above `after`, by growing number; fewer only at the end.
    async fn orphans(&self, after: Ino, limit: usize) -> StorageResult<Vec<Ino>>;

    /// Up to `limit` objects with numbers above `after`, by growing number; fewer only at the end. For checks of a whole volume.
    async fn scan(&self, after: Ino, limit: usize) -> StorageResult<Vec<(Ino, InodeRecord)>>;

    /// Entries of all directories, up to `limit`, above this directory and cookie, by growing directory and cookie; fewer only at the
    /// end. For checks of a whole volume: it also finds entries of directories that are not there.
    async fn scan_entries(&self, after: (Ino, u64), limit: usize) -> StorageResult<Vec<(Ino, NamedEntry)>>;

    /// Carries out all changes of a batch or none. When this returns `Ok` they are durable: they outlive a crash of the machine.
    async fn apply(&self, batch: Batch) -> StorageResult<()>;

    /// How much room there is for metadata. A file system refuses what grows while little is left, so that removing still works: a
    /// removal may need room as well. It need not be exact, nor what the next batch finds.
    async fn room(&self) -> StorageResult<Room>;
}
