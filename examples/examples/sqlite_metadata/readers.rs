//! Connections for reading.
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use dittofs_framework::storage::{StorageError, StorageResult};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::error::{SqlError, SqlResult};

/// So many connections at the most, opened when they are needed.
pub(crate) struct Readers {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(path: &Path, limit: usize) -> Self {
        let path = Arc::new(path.to_owned());
        Self { path, idle: Arc::default(), permits: Arc::new(Semaphore::new(limit)) }
    }

    /// Runs a query on one of them, in a thread that may block: SQLite reads from the disk when it has to.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> SqlResult<T> + Send + 'static,
    ) -> StorageResult<T> {
        let permit = self.permits.clone().acquire_owned().await.map_err(StorageError::failed)?;
        let (path, idle) = (self.path.clone(), self.idle.clone());
        let run = move || {
            // Held until the query is over, also if nobody waits for it any more.
            let _permit = permit;
            let free = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = free.map_or_else(|| connect(&path), Ok)?;
            let found = query(&mut connection)?;
            // One that failed is not used again.
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            Ok::<_, SqlError>(found)
        };
        Ok(tokio::task::spawn_blocking(run).await.map_err(StorageError::failed)??)
    }
}

fn connect(path: &Path) -> SqlResult<Connection> {
    // Of one thread at a time, so SQLite needs no lock of its own.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}
