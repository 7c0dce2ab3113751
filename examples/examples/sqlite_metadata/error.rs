//! What SQLite says, as what a store says.
use dittofs_framework::storage::{DecodeError, StorageError};
use rusqlite::ErrorCode;

pub(crate) type SqlResult<T> = Result<T, SqlError>;

/// Why something in the database failed.
#[derive(Debug)]
pub(crate) enum SqlError {
    /// The file system below failed.
    Disk(rustix::io::Errno),
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// What it found is not what was put there.
    Record(DecodeError),
    /// It found a type of object that there is not.
    FileType(u32),
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<rustix::io::Errno> for SqlError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Disk(error)
    }
}

impl From<DecodeError> for SqlError {
    fn from(error: DecodeError) -> Self {
        Self::Record(error)
    }
}

impl From<SqlError> for StorageError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Disk(error) => Self::failed(error),
            SqlError::Record(error) => error.into(),
            SqlError::FileType(number) => Self::Damaged(format!("an entry of type {number}")),
            SqlError::Sqlite(error) => match error.sqlite_error_code() {
                // Of the disk or of the limit: the transaction is rolled back, and the database as it was.
                Some(ErrorCode::DiskFull) => Self::NoSpace,
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    Self::Damaged(error.to_string())
                }
                _ => Self::failed(error),
            },
        }
    }
}
