use dittofs_framework::storage::{Ino, Mutation};

use super::values;

/// The number of the last batch.
pub(super) const APPLIED: &[u8] = b"a";
/// The record of the volume.
pub(super) const VOLUME: &[u8] = b"v";

const INODE: u8 = b'i';
const ENTRY: u8 = b'n';
const ENTRY_BY_COOKIE: u8 = b'c';
const XATTR: u8 = b'x';
const XATTR_BY_COOKIE: u8 = b'y';
const ORPHAN: u8 = b'o';

/// A key and its new value; `None` removes it.
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);

pub(super) fn inode(ino: Ino) -> Vec<u8> {
    numbered(INODE, ino)
}

pub(super) fn orphan(ino: Ino) -> Vec<u8> {
    numbered(ORPHAN, ino)
}

pub(super) fn entry(dir: Ino, name: &[u8]) -> Vec<u8> {
    named(ENTRY, dir, name)
}

pub(super) fn entry_by_cookie(dir: Ino, cookie: u64) -> Vec<u8> {
    named(ENTRY_BY_COOKIE, dir, &cookie.to_be_bytes())
}

pub(super) fn xattr(ino: Ino, name: &[u8]) -> Vec<u8> {
    named(XATTR, ino, name)
}

pub(super) fn xattr_by_cookie(ino: Ino, cookie: u64) -> Vec<u8> {
    named(XATTR_BY_COOKIE, ino, &cookie.to_be_bytes())
}

fn numbered(kind: u8, ino: Ino) -> Vec<u8> {
    named(kind, ino, &[])
}

fn named(kind: u8, ino: Ino, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(9 + rest.len());
    key.push(kind);
    key.extend_from_slice(&ino.0.to_be_bytes());
    key.extend_from_slice(rest);
    key
}

/// The number behind the kind of a key.
pub(super) fn ino_of(key: &[u8]) -> Option<Ino> {
    key.get(1..)?.first_chunk().map(|bytes| Ino(u64::from_be_bytes(*bytes)))
}

/// The cookie in the key of something by cookie.
pub(super) fn cookie_of(key: &[u8]) -> Option<u64> {
    key.get(9..)?.try_into().ok().map(u64::from_be_bytes)
}

/// What a mutation does to the engine's keys, in order.
pub(super) fn changes(mutation: &Mutation, mut each: impl FnMut(Change)) {
    match mutation {
        Mutation::PutVolume(volume) => each((VOLUME.to_vec(), Some(volume.to_bytes().to_vec()))),
        Mutation::PutInode(ino, record) => each((inode(*ino), Some(record.to_bytes().to_vec()))),
        Mutation::RemoveInode(ino) => each((inode(*ino), None)),
        Mutation::PutEntry { dir, name, entry: target } => {
            each((entry(*dir, name), Some(values::entry(target))));
            each((entry_by_cookie(*dir, target.cookie), Some(values::named_entry(target, name))));
        }
        Mutation::RemoveEntry { dir, name, cookie } => {
            each((entry(*dir, name), None));
            each((entry_by_cookie(*dir, *cookie), None));
        }
        Mutation::PutXattr { ino, name, xattr: value } => {
            each((xattr(*ino, name), Some(values::xattr(value))));
            each((xattr_by_cookie(*ino, value.cookie), Some(name.to_vec())));
        }
        Mutation::RemoveXattr { ino, name, cookie } => {
            each((xattr(*ino, name), None));
            each((xattr_by_cookie(*ino, *cookie), None));
        }
        Mutation::MarkOrphan(ino) => each((orphan(*ino), Some(Vec::new()))),
        Mutation::UnmarkOrphan(ino) => each((orphan(*ino), None)),
    }
}
