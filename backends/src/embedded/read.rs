//! What is asked of the engine for each reading call of a metadata store.

use std::ops::Bound::{Excluded, Included};

use bytes::Bytes;
use dittofs_framework::storage::{
    Entry, Ino, InodeRecord, NamedEntry, NamedXattr, StorageError, StorageResult, VolumeRecord, Xattr,
};

use super::engine::{Engine, Pair};
use super::{keys, values};

pub(super) fn volume(engine: &Engine) -> StorageResult<Option<VolumeRecord>> {
    let found = engine.get(keys::VOLUME)?;
    let decode = |value: &[u8]| VolumeRecord::from_bytes(&Bytes::copy_from_slice(value));
    let found = found.map(|value| decode(&value)).transpose();
    found.map_err(|error| StorageError::Damaged(format!("record of the volume: {error}")))
}

pub(super) fn inodes(engine: &Engine, inos: &[Ino]) -> StorageResult<Vec<Option<InodeRecord>>> {
    let found = match inos {
        [ino] => vec![engine.get(&keys::inode(*ino))?],
        _ => engine.get_all(inos.iter().map(|ino| keys::inode(*ino)))?,
    };
    let decode = |(ino, value): (&Ino, Option<_>)| value.map(|value| inode(*ino, value)).transpose();
    inos.iter().zip(found).map(decode).collect()
}

pub(super) fn entry(engine: &Engine, dir: Ino, name: &[u8]) -> StorageResult<Option<Entry>> {
    let found = engine.get(&keys::entry(dir, name))?;
    let decode = |value: &[u8]| {
        values::to_entry(value)
            .ok_or_else(|| damaged(format!("entry {} of directory {}", name.escape_ascii(), dir.0)))
    };
    found.map(|value| decode(&value)).transpose()
}

pub(super) fn entries(engine: &Engine, dir: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedEntry>> {
    let range = (Excluded(keys::entry_by_cookie(dir, after)), Included(keys::entry_by_cookie(dir, u64::MAX)));
    let found = engine.range(range, limit)?;
    found.iter().map(|(key, value)| Ok(named_entry(key, value)?.1)).collect()
}

pub(super) fn entry_before(engine: &Engine, dir: Ino, cookie: u64) -> StorageResult<Option<NamedEntry>> {
    let range = keys::entry_by_cookie(dir, 0)..keys::entry_by_cookie(dir, cookie);
    let found = engine.last(range)?;
    found.map(|(key, value)| Ok(named_entry(&key, &value)?.1)).transpose()
}

pub(super) fn xattr(engine: &Engine, ino: Ino, name: &[u8]) -> StorageResult<Option<Xattr>> {
    let found = engine.get(&keys::xattr(ino, name))?;
    let decode = |value: &[u8]| {
        values::to_xattr(value)
            .ok_or_else(|| damaged(format!("attribute {} of object {}", name.escape_ascii(), ino.0)))
    };
    found.map(|value| decode(&value)).transpose()
}

pub(super) fn xattrs(engine: &Engine, ino: Ino, after: u64, limit: usize) -> StorageResult<Vec<NamedXattr>> {
    let range = (Excluded(keys::xattr_by_cookie(ino, after)), Included(keys::xattr_by_cookie(ino, u64::MAX)));
    let decode = |(key, name): &Pair| {
        let cookie = keys::cookie_of(key).ok_or_else(|| bad_key(key))?;
        Ok(values::to_named_xattr(cookie, name))
    };
    engine.range(range, limit)?.iter().map(decode).collect()
}

pub(super) fn orphans(engine: &Engine, after: Ino, limit: usize) -> StorageResult<Vec<Ino>> {
    let range = (Excluded(keys::orphan(after)), Included(keys::orphan(Ino(u64::MAX))));
    let found = engine.range(range, limit)?;
    found.iter().map(|(key, _)| keys::ino_of(key).ok_or_else(|| bad_key(key))).collect()
}

pub(super) fn scan(engine: &Engine, after: Ino, limit: usize) -> StorageResult<Vec<(Ino, InodeRecord)>> {
    let range = (Excluded(keys::inode(after)), Included(keys::inode(Ino(u64::MAX))));
    let decode = |(key, value): Pair| {
        let ino = keys::ino_of(&key).ok_or_else(|| bad_key(&key))?;
        Ok((ino, inode(ino, value)?))
    };
    engine.range(range, limit)?.into_iter().map(decode).collect()
}

pub(super) fn scan_entries(
    engine: &Engine,
    (dir, cookie): (Ino, u64),
    limit: usize,
) -> StorageResult<Vec<(Ino, NamedEntry)>> {
    let range = (
        Excluded(keys::entry_by_cookie(dir, cookie)),
        Included(keys::entry_by_cookie(Ino(u64::MAX), u64::MAX)),
    );
    let found = engine.range(range, limit)?;
    found.iter().map(|(key, value)| named_entry(key, value)).collect()
}

fn inode(ino: Ino, value: impl AsRef<[u8]>) -> StorageResult<InodeRecord> {
    let bytes = Bytes::copy_from_slice(value.as_ref());
    InodeRecord::from_bytes(&bytes).map_err(|error| damaged(format!("record of object {}: {error}", ino.0)))
}

fn named_entry(key: &[u8], value: &[u8]) -> StorageResult<(Ino, NamedEntry)> {
    let (Some(dir), Some(cookie)) = (keys::ino_of(key), keys::cookie_of(key)) else {
        return Err(bad_key(key));
    };
    let named = values::to_named_entry(cookie, value);
    let named = named.ok_or_else(|| damaged(format!("entry {cookie} of directory {}", dir.0)))?;
    Ok((dir, named))
}

fn bad_key(key: &[u8]) -> StorageError {
    damaged(format!("key {}", key.escape_ascii()))
}

fn damaged(place: String) -> StorageError {
    StorageError::Damaged(place)
}
