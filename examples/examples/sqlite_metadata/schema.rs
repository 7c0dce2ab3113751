//! The tables, and how the database is opened.
use std::path::Path;

use dittofs_framework::storage::{StorageError, StorageResult};
use rusqlite::Connection;

use super::error::{SqlError, SqlResult};

/// In the header of the database: whose it is.
const APPLICATION_ID: i32 = 0x4446_534d;
/// Which tables it has. Others are refused: a later version of this program would change them here.
const FORMAT: i32 = 1;

/// More SQLite does not take.
const MAX_PAGES: u32 = u32::MAX - 1;

/// What is looked for by name has an index by name; listings go by the primary key, so that a page costs as much at the end of a
/// directory as at its start.
const TABLES: &str = "
    CREATE TABLE volume (one INTEGER PRIMARY KEY CHECK (one = 1), record BLOB NOT NULL);
    CREATE TABLE inodes (ino INTEGER PRIMARY KEY, record BLOB NOT NULL);
    CREATE TABLE entries (
        dir INTEGER NOT NULL, cookie INTEGER NOT NULL, name BLOB NOT NULL, ino INTEGER NOT NULL,
        file_type INTEGER NOT NULL, PRIMARY KEY (dir, cookie)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX entries_by_name ON entries (dir, name);
    CREATE TABLE xattrs (
        ino INTEGER NOT NULL, cookie INTEGER NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (ino, cookie)
    );
    CREATE UNIQUE INDEX xattrs_by_name ON xattrs (ino, name);
    CREATE TABLE orphans (ino INTEGER PRIMARY KEY);
";

/// Opens the database for writing; makes it if need be.
pub(crate) fn open(path: &Path, max_bytes: u64) -> StorageResult<Connection> {
    let mut connection = Connection::open(path).map_err(SqlError::from)?;
    let (application, format) = identify(&connection)?;
    match (application, format) {
        (APPLICATION_ID, FORMAT) => {}
        (0, 0) if is_empty(&connection)? => create(&mut connection)?,
        (APPLICATION_ID, found) => {
            return Err(StorageError::Damaged(format!("format {found}, and {FORMAT} is what can be read")));
        }
        _ => return Err(StorageError::Damaged("the database is another program's".to_owned())),
    }
    set_up(&connection, max_bytes)?;
    Ok(connection)
}

fn identify(connection: &Connection) -> SqlResult<(i32, i32)> {
    let application = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok((application, connection.pragma_query_value(None, "user_version", |row| row.get(0))?))
}

fn is_empty(connection: &Connection) -> SqlResult<bool> {
    Ok(connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?)
}

/// All of it or nothing: a crash leaves an empty database.
fn create(connection: &mut Connection) -> SqlResult<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    Ok(transaction.commit()?)
}

fn set_up(connection: &Connection, max_bytes: u64) -> SqlResult<()> {
    // Readers neither wait for the writer nor stop it.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Each commit syncs the log. NORMAL, which many use with WAL, would lose the last ones when the power goes.
    connection.pragma_update(None, "synchronous", "FULL")?;
    let page_size: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = u32::try_from(max_bytes / u64::from(page_size)).unwrap_or(MAX_PAGES).min(MAX_PAGES);
    connection.pragma_update(None, "max_page_count", pages)?;
    // A batch has a dozen kinds of statements, and a reader as many.
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// A number as SQLite keeps it. Its integers have a sign: numbers are moved, so that all of them fit and their order stays.
pub(crate) fn to_sql(number: u64) -> i64 {
    (number ^ (1 << 63)).cast_signed()
}

/// And back.
pub(crate) fn from_sql(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}
