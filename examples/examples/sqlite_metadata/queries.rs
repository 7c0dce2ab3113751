//! The reads. Each is one statement or one transaction, so it sees every batch wholly or not at all.
use std::path::Path;

use bytes::Bytes;
use dittofs_framework::proto::FileType;
use dittofs_framework::storage::{
    Entry, Ino, InodeRecord, NamedEntry, NamedXattr, Room, VolumeRecord, Xattr,
};
use rusqlite::{Connection, OptionalExtension, Params, Row, Statement, StatementStatus, params};

use super::error::{SqlError, SqlResult};
use super::schema::{from_sql, to_sql};

pub(crate) fn volume(connection: &Connection) -> SqlResult<Option<VolumeRecord>> {
    let record = one(connection, "SELECT record FROM volume WHERE one = 1", [], |row| blob(row, 0))?;
    Ok(record.map(|record| VolumeRecord::from_bytes(&record)).transpose()?)
}

pub(crate) fn inodes(connection: &mut Connection, inos: &[Ino]) -> SqlResult<Vec<Option<InodeRecord>>> {
    // All from one state of the database.
    let transaction = connection.transaction()?;
    let sql = "SELECT record FROM inodes WHERE ino = ?1";
    let records = inos.iter().map(|ino| {
        let record = one(&transaction, sql, [to_sql(ino.0)], |row| blob(row, 0))?;
        Ok(record.map(|record| InodeRecord::from_bytes(&record)).transpose()?)
    });
    records.collect()
}

pub(crate) fn entry(connection: &Connection, dir: Ino, name: &[u8]) -> SqlResult<Option<Entry>> {
    let sql = "SELECT cookie, ino, file_type FROM entries WHERE dir = ?1 AND name = ?2";
    one(connection, sql, params![to_sql(dir.0), name], |row| to_entry(row, 0))
}

pub(crate) fn entries(
    connection: &Connection,
    dir: Ino,
    after: u64,
    limit: usize,
) -> SqlResult<Vec<NamedEntry>> {
    let sql = "SELECT name, cookie, ino, file_type FROM entries WHERE dir = ?1 AND cookie > ?2
               ORDER BY cookie LIMIT ?3";
    all(connection, sql, params![to_sql(dir.0), to_sql(after), rows(limit)], |row| named_entry(row, 0))
}

pub(crate) fn entry_before(connection: &Connection, dir: Ino, cookie: u64) -> SqlResult<Option<NamedEntry>> {
    let sql = "SELECT name, cookie, ino, file_type FROM entries WHERE dir = ?1 AND cookie < ?2
               ORDER BY cookie DESC LIMIT 1";
    one(connection, sql, params![to_sql(dir.0), to_sql(cookie)], |row| named_entry(row, 0))
}

pub(crate) fn xattr(connection: &Connection, ino: Ino, name: &[u8]) -> SqlResult<Option<Xattr>> {
    let sql = "SELECT cookie, value FROM xattrs WHERE ino = ?1 AND name = ?2";
    one(connection, sql, params![to_sql(ino.0), name], |row| {
        Ok(Xattr { cookie: number(row, 0)?, value: blob(row, 1)? })
    })
}

pub(crate) fn xattrs(
    connection: &Connection,
    ino: Ino,
    after: u64,
    limit: usize,
) -> SqlResult<Vec<NamedXattr>> {
    let sql = "SELECT name, cookie FROM xattrs WHERE ino = ?1 AND cookie > ?2 ORDER BY cookie LIMIT ?3";
    all(connection, sql, params![to_sql(ino.0), to_sql(after), rows(limit)], |row| {
        Ok(NamedXattr { name: blob(row, 0)?, cookie: number(row, 1)? })
    })
}

pub(crate) fn orphans(connection: &Connection, after: Ino, limit: usize) -> SqlResult<Vec<Ino>> {
    let sql = "SELECT ino FROM orphans WHERE ino > ?1 ORDER BY ino LIMIT ?2";
    all(connection, sql, params![to_sql(after.0), rows(limit)], |row| number(row, 0).map(Ino))
}

pub(crate) fn scan(connection: &Connection, after: Ino, limit: usize) -> SqlResult<Vec<(Ino, InodeRecord)>> {
    let sql = "SELECT ino, record FROM inodes WHERE ino > ?1 ORDER BY ino LIMIT ?2";
    all(connection, sql, params![to_sql(after.0), rows(limit)], |row| {
        Ok((Ino(number(row, 0)?), InodeRecord::from_bytes(&blob(row, 1)?)?))
    })
}

pub(crate) fn scan_entries(
    connection: &Connection,
    (dir, cookie): (Ino, u64),
    limit: usize,
) -> SqlResult<Vec<(Ino, NamedEntry)>> {
    let sql = "SELECT dir, name, cookie, ino, file_type FROM entries WHERE (dir, cookie) > (?1, ?2)
               ORDER BY dir, cookie LIMIT ?3";
    all(connection, sql, params![to_sql(dir.0), to_sql(cookie), rows(limit)], |row| {
        Ok((Ino(number(row, 0)?), named_entry(row, 1)?))
    })
}

/// As many bytes as the database may still grow by, as long as the disk has them, and those of pages that are unused in it.
pub(crate) fn room(connection: &Connection, path: &Path, max_bytes: u64) -> SqlResult<Room> {
    let value =
        |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, u32>(0)).map(u64::from);
    let page_size = value("page_size")?;
    let (size, unused) = (value("page_count")? * page_size, value("freelist_count")? * page_size);
    let disk = rustix::fs::statvfs(path)?;
    let growth = |blocks: u64| blocks.saturating_mul(disk.f_frsize).min(max_bytes.saturating_sub(size));
    let free = growth(disk.f_bfree) + unused;
    let available = growth(disk.f_bavail) + unused;
    Ok(Room { total: size.saturating_sub(unused) + free, free, available })
}

/// The first row of a statement, if there is one.
fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    map: impl Fn(&Row<'_>) -> SqlResult<T>,
) -> SqlResult<Option<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row(params, |row| Ok(map(row))).optional()?.transpose();
    assert_index(&statement);
    found
}

/// All rows of a statement.
fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    map: impl Fn(&Row<'_>) -> SqlResult<T>,
) -> SqlResult<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(map(row)?);
    }
    drop(rows);
    assert_index(&statement);
    Ok(found)
}

/// No statement looks through a table or sorts: what a call costs does not grow with what is there.
fn assert_index(statement: &Statement<'_>) {
    let status =
        [StatementStatus::FullscanStep, StatementStatus::Sort].map(|status| statement.get_status(status));
    debug_assert_eq!(status, [0, 0], "{}", statement.expanded_sql().unwrap_or_default());
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn number(row: &Row<'_>, column: usize) -> SqlResult<u64> {
    Ok(from_sql(row.get(column)?))
}

fn blob(row: &Row<'_>, column: usize) -> SqlResult<Bytes> {
    Ok(row.get::<_, Vec<u8>>(column)?.into())
}

/// An entry whose name, cookie, number and type begin at this column.
fn named_entry(row: &Row<'_>, column: usize) -> SqlResult<NamedEntry> {
    Ok(NamedEntry { name: blob(row, column)?, entry: to_entry(row, column + 1)? })
}

fn to_entry(row: &Row<'_>, column: usize) -> SqlResult<Entry> {
    let file_type = row.get(column + 2)?;
    let file_type = FileType::from_number(file_type).ok_or(SqlError::FileType(file_type))?;
    Ok(Entry { cookie: number(row, column)?, ino: Ino(number(row, column + 1)?), file_type })
}
