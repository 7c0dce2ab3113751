//! Records, names and values come back as they were.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{MetadataStoreFixture, START, apply, entry, file, name, put_entry, put_inode, put_xattr};
use crate::proto::{FileType, NfsTime, SpecData};
use crate::storage::{
    DirectoryRecord, Ino, InodeRecord, Mutation, RecordBody, RecordTimes, VolumeRecord, Xattr,
};

pub async fn is_empty_at_first(fixture: &mut impl MetadataStoreFixture) {
    // Also when nothing was done but opening it.
    for _ in 0..2 {
        let store = fixture.open().await;
        assert_eq!(store.volume().await.expect("a volume"), None);
        assert_eq!(store.inodes(&[Ino::ROOT, Ino(7)]).await.expect("objects"), [None, None]);
        assert_eq!(store.entry(Ino::ROOT, b"a").await.expect("an entry"), None);
        assert_eq!(store.entries(Ino::ROOT, 0, 10).await.expect("entries"), []);
        assert_eq!(store.entry_before(Ino::ROOT, u64::MAX).await.expect("an entry"), None);
        assert_eq!(store.xattr(Ino::ROOT, b"a").await.expect("an attribute"), None);
        assert_eq!(store.xattrs(Ino::ROOT, 0, 10).await.expect("attributes"), []);
        assert_eq!(store.orphans(START, 10).await.expect("orphans"), []);
        assert_eq!(store.scan(START, 10).await.expect("objects"), []);
        assert_eq!(store.scan_entries((START, 0), 10).await.expect("entries"), []);
    }
}

pub async fn the_volume_is_what_was_put_last(fixture: &mut impl MetadataStoreFixture) {
    let first = VolumeRecord { id: *b"\0\xffvolume", next_ino: 2, inodes: 1, starts: 1 };
    let last = VolumeRecord { next_ino: u64::MAX, inodes: u64::MAX, starts: u32::MAX, ..first };
    for volume in [first, last] {
        let store = fixture.open().await;
        apply(&store, [Mutation::PutVolume(volume)]).await;
        assert_eq!(store.volume().await.expect("a volume"), Some(volume));
    }
    assert_eq!(fixture.open().await.volume().await.expect("a volume"), Some(last));
}

pub async fn inodes_are_what_was_put_last(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    for change in [1, 5, 3] {
        apply(&store, [put_inode(7, change)]).await;
        assert_eq!(store.inodes(&[Ino(7)]).await.expect("an object"), [Some(file(change))]);
    }
}

pub async fn records_come_back_as_they_were(fixture: &mut impl MetadataStoreFixture) {
    let directory = DirectoryRecord { parent: Ino(u64::MAX), entries: u64::MAX, next_cookie: 3 };
    let device = SpecData { specdata1: u32::MAX, specdata2: 0 };
    let bodies = [
        (FileType::Reg, RecordBody::Empty),
        (FileType::Dir, RecordBody::Directory(directory)),
        (FileType::Blk, RecordBody::Device(device)),
        (FileType::Chr, RecordBody::Device(SpecData { specdata1: 0, specdata2: 7 })),
        (FileType::Lnk, RecordBody::Symlink(name(b"\0not \xff UTF-8/"))),
        (FileType::Lnk, RecordBody::Symlink(Bytes::new())),
        (FileType::Lnk, RecordBody::Symlink(vec![b'x'; 4096].into())),
        (FileType::Sock, RecordBody::Empty),
        (FileType::Fifo, RecordBody::Empty),
    ];
    let times = RecordTimes {
        access: NfsTime { seconds: i64::MIN, nseconds: 0 },
        modify: NfsTime { seconds: -1, nseconds: 999_999_999 },
        metadata: NfsTime { seconds: 0, nseconds: 1 },
        create: NfsTime { seconds: i64::MAX, nseconds: 2 },
    };
    let mut records: Vec<_> = bodies
        .into_iter()
        .map(|(file_type, body)| InodeRecord { file_type, times, body, ..file(1) })
        .collect();
    let large = InodeRecord {
        mode: 0o7777,
        uid: u32::MAX,
        gid: u32::MAX - 1,
        nlink: u32::MAX,
        size: u64::MAX,
        allocated: u64::MAX - 1,
        change: u64::MAX,
        exclusive: Some(*b"\0verify\xff"),
        xattr_bytes: u64::MAX,
        next_xattr_cookie: u64::MAX,
        ..file(1)
    };
    let nothing = InodeRecord { mode: 0, uid: 0, gid: 0, nlink: 0, exclusive: Some([0; 8]), ..file(0) };
    records.extend([large, nothing]);

    let store = fixture.open().await;
    let all = || records.iter().zip(1..).map(|(record, ino)| (Ino(ino), record.clone()));
    apply(&store, all().map(|(ino, record)| Mutation::PutInode(ino, record))).await;
    let expected: Vec<_> = all().collect();
    assert_eq!(store.scan(START, 99).await.expect("objects"), expected);
    drop(store);
    assert_eq!(fixture.open().await.scan(START, 99).await.expect("objects"), expected);
}

pub async fn inodes_come_in_the_order_of_the_question(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, [put_inode(1, 10), put_inode(2, 20), put_inode(3, 30)]).await;
    let numbers = [3, 9, 1, 3, u64::MAX, 2, 0].map(Ino);
    let expected = [Some(30), None, Some(10), Some(30), None, Some(20), None];
    let found = store.inodes(&numbers).await.expect("objects");
    assert_eq!(found, expected.map(|change| change.map(file)));
    assert_eq!(store.inodes(&[]).await.expect("objects"), []);
}

pub async fn many_inodes_in_one_call(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, (1..=5_000).map(|ino| put_inode(ino * 2, ino))).await;
    let numbers: Vec<_> = (1..=10_001).rev().map(Ino).collect();
    let found = store.inodes(&numbers).await.expect("objects");
    assert_eq!(found.len(), numbers.len());
    for (Ino(ino), record) in numbers.iter().zip(found) {
        let expected = (ino % 2 == 0).then(|| file(ino / 2));
        assert_eq!(record, expected, "object {ino}");
    }
}

/// Names that are easily mistaken for one another, or for something else.
fn odd_names() -> Vec<Bytes> {
    let mut names: Vec<_> = [0, 1, b'/', b'\'', b'"', b'%', b'\\', b'\n', 0x7f, 0x80, 0xff]
        .iter()
        .flat_map(|byte| [1, 2, 3, 254, 255].map(|len| Bytes::from(vec![*byte; len])))
        .collect();
    let texts: [&[u8]; 16] = [
        b"a",
        b"a\0",
        b"a\0\0",
        b"a\0b",
        b"a\xff",
        b"a\x01",
        b"ab",
        b"A",
        b"aB",
        b"0",
        b"00",
        b" a",
        b"a ",
        b"caf\xc3\xa9",
        b"cafe\xcc\x81",
        b"\xc3",
    ];
    names.extend(texts.map(name));
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    names
}

pub async fn names_of_entries_are_any_bytes(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    let names = odd_names();
    let all = || names.iter().zip(10_u64..);
    apply(&store, all().map(|(name, number)| put_entry(1, name, number, number))).await;
    drop(store);
    for _ in 0..2 {
        let store = fixture.open().await;
        let listed = store.entries(Ino(1), 0, usize::MAX).await.expect("entries");
        let expected: Vec<_> = all().map(|(name, number)| (name.clone(), entry(number, number))).collect();
        assert_eq!(listed.into_iter().map(|named| (named.name, named.entry)).collect::<Vec<_>>(), expected);
        for (name, found) in expected {
            assert_eq!(store.entry(Ino(1), &name).await.expect("an entry"), Some(found), "{name:?}");
        }
        for missing in [&b""[..], b"b", b"a\0\0\0", b"\x02"] {
            assert_eq!(store.entry(Ino(1), missing).await.expect("an entry"), None, "{missing:?}");
        }
    }
}

pub async fn names_of_xattrs_are_any_bytes(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    let names = odd_names();
    let all = || names.iter().zip(10_u64..);
    apply(&store, [put_inode(1, 1)]).await;
    apply(&store, all().map(|(name, number)| put_xattr(1, name, number, name))).await;
    let listed = store.xattrs(Ino(1), 0, usize::MAX).await.expect("attributes");
    let listed: Vec<_> = listed.iter().map(|named| (&named.name, named.cookie)).collect();
    assert_eq!(listed, all().collect::<Vec<_>>());
    for (name, cookie) in all() {
        let expected = Xattr { cookie, value: name.clone() };
        assert_eq!(store.xattr(Ino(1), name).await.expect("an attribute"), Some(expected));
    }
    assert_eq!(store.xattr(Ino(1), b"").await.expect("an attribute"), None);
}

pub async fn values_of_xattrs_are_any_bytes(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    let values: Vec<Vec<u8>> = vec![
        vec![],
        vec![0],
        vec![0xff; 3],
        (0..=u8::MAX).collect(),
        (0..65_536_u32).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect(),
    ];
    apply(&store, [put_inode(1, 1)]).await;
    let put = |(value, cookie): (&Vec<u8>, u64)| put_xattr(1, cookie.to_string(), cookie, value);
    apply(&store, values.iter().zip(1..).map(put)).await;
    drop(store);
    let store = fixture.open().await;
    for (value, cookie) in values.iter().zip(1_u64..) {
        let found = store.xattr(Ino(1), cookie.to_string().as_bytes()).await.expect("an attribute");
        assert_eq!(found, Some(Xattr { cookie, value: name(value) }));
    }
}
