use std::collections::BTreeMap;
use std::io;
use std::ops::RangeBounds;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use dittofs_framework::storage::StorageError;
use fjall::{
    Database, Error, Keyspace, KeyspaceCreateOptions, LsmError, PersistMode, Readable, UserKey, UserValue,
};

use super::{keys, manifest};

/// Memory for what was read from tables.
const CACHE: u64 = 64 << 20;
/// Changes that are in memory before they are written as a table.
const MEMTABLE: u64 = 16 << 20;
/// When journals reach this, what is in them is written as tables. What an open has to read.
const JOURNALS: u64 = 64 << 20;
/// Tables that were not merged yet: the engine lets batches wait from 30 on.
const UNMERGED: usize = 20;
/// Tables that are kept open.
const OPEN_TABLES: usize = 256;

/// Why the engine did not do what it was told.
#[derive(Debug)]
pub(super) enum EngineError {
    /// The disk is full.
    Full(io::Error),
    /// It stopped because of something earlier, without doing anything.
    Stopped,
    /// Anything else.
    Failed(StorageError),
}

impl From<EngineError> for StorageError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Full(error) => Self::failed(error),
            EngineError::Stopped => Self::failed(io::Error::other("the engine has stopped")),
            EngineError::Failed(error) => error,
        }
    }
}

/// A key and its value.
pub(super) type Pair = (UserKey, UserValue);

pub(super) type EngineResult<T> = Result<T, EngineError>;

/// Sorted keys with values, durable. A panic of the engine is an error: it is one of the ways in which it takes damage.
pub(super) struct Engine {
    space: Keyspace,
    database: Database,
}

impl Engine {
    /// Opens the engine in a directory, or makes it there.
    pub(super) fn open(dir: &Path) -> EngineResult<Self> {
        guarded(|| {
            manifest::verify(dir)?;
            let database = Database::builder(dir)
                .cache_size(CACHE)
                .max_journaling_size(JOURNALS)
                .max_cached_files(Some(OPEN_TABLES))
                .manual_journal_persist(true)
                .worker_threads(1)
                .open()?;
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE);
            let space = database.keyspace("metadata", options)?;
            Ok(Self { space, database })
        })
    }

    /// The number of the last batch.
    pub(super) fn applied(&self) -> EngineResult<u64> {
        let Some(value) = self.get(keys::APPLIED)? else { return Ok(0) };
        match value.as_ref().try_into() {
            Ok(bytes) => Ok(u64::from_be_bytes(bytes)),
            Err(_) => Err(EngineError::Failed(StorageError::Damaged("number of the last batch".to_owned()))),
        }
    }

    /// Makes all changes and makes them durable, or none; only then can they be read.
    pub(super) fn commit(&self, changes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> EngineResult<()> {
        guarded(|| {
            let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
            for (key, value) in changes {
                match value {
                    Some(value) => batch.insert(&self.space, key.as_slice(), value.as_slice()),
                    None => batch.remove(&self.space, key.as_slice()),
                }
            }
            batch.commit()
        })
    }

    /// The value of a key. It may be that of a batch of which other keys are not to be seen yet.
    pub(super) fn get(&self, key: &[u8]) -> EngineResult<Option<UserValue>> {
        guarded(|| self.space.get(key))
    }

    /// The values of several keys, all as of one moment.
    pub(super) fn get_all(
        &self,
        keys: impl IntoIterator<Item = Vec<u8>>,
    ) -> EngineResult<Vec<Option<UserValue>>> {
        guarded(|| {
            let snapshot = self.database.snapshot();
            keys.into_iter().map(|key| snapshot.get(&self.space, key)).collect()
        })
    }

    /// The first keys of a range with their values, up to `limit`, all as of one moment.
    //
    // `Keyspace::range` would see parts of a batch.
    pub(super) fn range(&self, range: impl RangeBounds<Vec<u8>>, limit: usize) -> EngineResult<Vec<Pair>> {
        guarded(|| {
            let found = self.database.snapshot().range(&self.space, range);
            found.take(limit).map(fjall::Guard::into_inner).collect()
        })
    }

    /// The last key of a range with its value.
    pub(super) fn last(&self, range: impl RangeBounds<Vec<u8>>) -> EngineResult<Option<Pair>> {
        guarded(|| {
            let mut found = self.database.snapshot().range(&self.space, range);
            found.next_back().map(fjall::Guard::into_inner).transpose()
        })
    }

    /// Writes what is in memory as a table, in the background.
    #[cfg(test)]
    pub(super) fn begin_flush(&self) {
        self.space.rotate_memtable().unwrap();
    }

    /// Whether that is done.
    #[cfg(test)]
    pub(super) fn is_flushed(&self) -> bool {
        self.space.sealed_memtable_count() == 0
    }

    /// Whether so many tables wait to be merged that batches may soon have to wait for it.
    pub(super) fn is_behind(&self) -> bool {
        self.space.l0_table_count() >= UNMERGED
    }

    /// Whether it has stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.database.persist(PersistMode::Buffer).is_err()
    }
}

fn guarded<T>(call: impl FnOnce() -> fjall::Result<T>) -> EngineResult<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(classify),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
            Err(EngineError::Failed(StorageError::Damaged(format!("the engine panicked: {text}"))))
        }
    }
}

fn classify(error: Error) -> EngineError {
    match error {
        Error::Poisoned => EngineError::Stopped,
        Error::Io(error) | Error::Storage(LsmError::Io(error)) => classify_io(error),
        Error::Locked | Error::KeyspaceDeleted => EngineError::Failed(StorageError::failed(error)),
        damage => EngineError::Failed(StorageError::Damaged(damage.to_string())),
    }
}

fn classify_io(error: io::Error) -> EngineError {
    use io::ErrorKind::{
        FileTooLarge, InvalidData, InvalidInput, NotFound, Other, QuotaExceeded, StorageFull, UnexpectedEof,
    };
    match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => EngineError::Full(error),
        // A file that ends early, is not there, or does not hold what it should.
        InvalidData | InvalidInput | UnexpectedEof | NotFound | Other => {
            EngineError::Failed(StorageError::Damaged(error.to_string()))
        }
        _ => EngineError::Failed(StorageError::failed(error)),
    }
}
