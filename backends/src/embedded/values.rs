use bytes::{Buf, BufMut, Bytes};
use dittofs_framework::proto::FileType;
use dittofs_framework::storage::{Entry, Ino, NamedEntry, NamedXattr, Xattr};

const FILE_TYPES: [FileType; 9] = [
    FileType::Reg,
    FileType::Dir,
    FileType::Blk,
    FileType::Chr,
    FileType::Lnk,
    FileType::Sock,
    FileType::Fifo,
    FileType::AttrDir,
    FileType::NamedAttr,
];

pub(super) fn entry(entry: &Entry) -> Vec<u8> {
    let mut value = Vec::with_capacity(17);
    value.put_u64(entry.cookie);
    put_target(&mut value, entry);
    value
}

pub(super) fn named_entry(entry: &Entry, name: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(9 + name.len());
    put_target(&mut value, entry);
    value.put_slice(name);
    value
}

pub(super) fn xattr(xattr: &Xattr) -> Vec<u8> {
    let mut value = Vec::with_capacity(8 + xattr.value.len());
    value.put_u64(xattr.cookie);
    value.put_slice(&xattr.value);
    value
}

/// What [`entry`] made; `None` if it did not make this.
pub(super) fn to_entry(mut value: &[u8]) -> Option<Entry> {
    let cookie = value.try_get_u64().ok()?;
    let (ino, file_type) = take_target(&mut value)?;
    value.is_empty().then_some(Entry { cookie, ino, file_type })
}

/// What [`named_entry`] made.
pub(super) fn to_named_entry(cookie: u64, mut value: &[u8]) -> Option<NamedEntry> {
    let (ino, file_type) = take_target(&mut value)?;
    let name = Bytes::copy_from_slice(value);
    Some(NamedEntry { name, entry: Entry { cookie, ino, file_type } })
}

/// What [`xattr`] made.
pub(super) fn to_xattr(mut value: &[u8]) -> Option<Xattr> {
    let cookie = value.try_get_u64().ok()?;
    Some(Xattr { cookie, value: Bytes::copy_from_slice(value) })
}

pub(super) fn to_named_xattr(cookie: u64, name: &[u8]) -> NamedXattr {
    NamedXattr { name: Bytes::copy_from_slice(name), cookie }
}

fn put_target(out: &mut Vec<u8>, entry: &Entry) {
    out.put_u64(entry.ino.0);
    out.put_u8(entry.file_type as u8);
}

fn take_target(value: &mut &[u8]) -> Option<(Ino, FileType)> {
    let ino = value.try_get_u64().ok()?;
    let number = value.try_get_u8().ok()?;
    let file_type = FILE_TYPES.into_iter().find(|file_type| *file_type as u8 == number)?;
    Some((Ino(ino), file_type))
}
