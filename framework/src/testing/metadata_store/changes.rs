//! Each change, and changes in a batch.

use super::model::Model;
use super::{
    MetadataStoreFixture, START, apply, entry, file, name, put_entry, put_inode, put_xattr, remove_entry,
    remove_xattr,
};
use crate::proto::FileType;
use crate::storage::{Entry, Ino, Mutation, NamedEntry, NamedXattr, VolumeRecord, Xattr};

pub async fn entries_are_found_by_name(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    let directory = Entry { cookie: 9, ino: Ino(5), file_type: FileType::Dir };
    let put = Mutation::PutEntry { dir: Ino(1), name: name("d"), entry: directory };
    apply(&store, [put_entry(1, "b", 3, 7), put_entry(1, "a", 4, 7), put]).await;
    assert_eq!(store.entry(Ino(1), b"a").await.expect("an entry"), Some(entry(4, 7)));
    assert_eq!(store.entry(Ino(1), b"b").await.expect("an entry"), Some(entry(3, 7)));
    assert_eq!(store.entry(Ino(1), b"d").await.expect("an entry"), Some(directory));
    assert_eq!(store.entry(Ino(1), b"c").await.expect("an entry"), None);
    assert_eq!(store.entry(Ino(2), b"a").await.expect("an entry"), None);
    let listed = store.entries(Ino(1), 0, 9).await.expect("entries");
    let expected = [("b", entry(3, 7)), ("a", entry(4, 7)), ("d", directory)];
    assert_eq!(listed, expected.map(|(text, entry)| NamedEntry { name: name(text), entry }));
}

pub async fn xattrs_are_found_by_name(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, [put_inode(1, 1), put_inode(2, 1)]).await;
    apply(&store, [put_xattr(1, "b", 1, "x"), put_xattr(1, "a", 2, "y")]).await;
    // Another value at the same place.
    apply(&store, [put_xattr(1, "b", 1, "a longer one")]).await;
    let found = store.xattr(Ino(1), b"b").await.expect("an attribute");
    assert_eq!(found, Some(Xattr { cookie: 1, value: name("a longer one") }));
    assert_eq!(store.xattr(Ino(2), b"b").await.expect("an attribute"), None);
    let listed = store.xattrs(Ino(1), 0, 9).await.expect("attributes");
    assert_eq!(listed, [("b", 1), ("a", 2)].map(|(text, cookie)| NamedXattr { name: name(text), cookie }));
}

pub async fn orphans_are_those_that_are_marked(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, [put_inode(9, 1), put_inode(5, 1), put_inode(7, 1)]).await;
    apply(&store, [Mutation::MarkOrphan(Ino(9)), Mutation::MarkOrphan(Ino(5))]).await;
    assert_eq!(store.orphans(START, 9).await.expect("orphans"), [Ino(5), Ino(9)]);
    apply(&store, [Mutation::UnmarkOrphan(Ino(5))]).await;
    assert_eq!(store.orphans(START, 9).await.expect("orphans"), [Ino(9)]);
    apply(&store, [Mutation::UnmarkOrphan(Ino(9)), Mutation::RemoveInode(Ino(9))]).await;
    assert_eq!(store.orphans(START, 9).await.expect("orphans"), []);
    assert_eq!(store.scan(START, 9).await.expect("objects"), [(Ino(5), file(1)), (Ino(7), file(1))]);
}

pub async fn what_is_removed_is_gone(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, [put_inode(1, 1), put_entry(1, "a", 3, 2), put_entry(1, "b", 4, 2)]).await;
    apply(&store, [put_inode(2, 1), put_xattr(2, "x", 1, "value"), put_xattr(2, "y", 2, "")]).await;
    apply(&store, [remove_entry(1, "a", 3), remove_xattr(2, "x", 1)]).await;
    assert_eq!(store.entry(Ino(1), b"a").await.expect("an entry"), None);
    assert_eq!(store.entries(Ino(1), 0, 9).await.expect("entries").len(), 1);
    assert_eq!(store.entry_before(Ino(1), 4).await.expect("an entry"), None);
    assert_eq!(store.xattr(Ino(2), b"x").await.expect("an attribute"), None);
    assert_eq!(store.xattrs(Ino(2), 0, 9).await.expect("attributes").len(), 1);
    apply(&store, [remove_entry(1, "b", 4), remove_xattr(2, "y", 2), Mutation::RemoveInode(Ino(2))]).await;
    let left = Model { inodes: [(Ino(1), file(1))].into(), ..Model::default() };
    assert_eq!(Model::of(&store, 9).await, left);
    drop(store);
    assert_eq!(Model::of(&fixture.open().await, 9).await, left);
}

pub async fn an_empty_batch_changes_nothing(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, []).await;
    assert_eq!(Model::of(&store, 9).await, Model::default());
}

pub async fn changes_of_a_batch_are_made_in_order(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    let volume = |next_ino| VolumeRecord { id: [1; 8], next_ino, inodes: 0, starts: 1 };
    let batch = [
        Mutation::PutVolume(volume(1)),
        put_inode(1, 1),
        put_xattr(1, "x", 1, "first"),
        put_inode(1, 2),
        put_xattr(1, "x", 1, "second"),
        Mutation::MarkOrphan(Ino(1)),
        Mutation::UnmarkOrphan(Ino(1)),
        Mutation::PutVolume(volume(2)),
    ];
    apply(&store, batch).await;
    assert_eq!(store.volume().await.expect("a volume"), Some(volume(2)));
    assert_eq!(store.inodes(&[Ino(1)]).await.expect("an object"), [Some(file(2))]);
    assert_eq!(store.xattr(Ino(1), b"x").await.expect("an attribute").map(|x| x.value), Some(name("second")));
    assert_eq!(store.orphans(START, 9).await.expect("orphans"), []);
    apply(&store, [Mutation::MarkOrphan(Ino(1))]).await;
    apply(&store, [Mutation::UnmarkOrphan(Ino(1)), Mutation::MarkOrphan(Ino(1))]).await;
    assert_eq!(store.orphans(START, 9).await.expect("orphans"), [Ino(1)]);
}

pub async fn a_name_can_go_and_come_back_in_one_batch(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, [put_inode(5, 1), put_entry(1, "a", 3, 5), put_xattr(5, "x", 1, "old")]).await;
    let batch = [
        remove_entry(1, "a", 3),
        put_entry(1, "a", 8, 6),
        remove_xattr(5, "x", 1),
        put_xattr(5, "x", 2, "new"),
        // And the other way: nothing of these stays.
        put_entry(1, "b", 9, 7),
        remove_entry(1, "b", 9),
        put_xattr(5, "y", 3, "short-lived"),
        remove_xattr(5, "y", 3),
    ];
    apply(&store, batch).await;
    assert_eq!(store.entry(Ino(1), b"a").await.expect("an entry"), Some(entry(8, 6)));
    let found = Model::of(&store, 9).await;
    assert_eq!(found.entries, [((Ino(1), 8), (name("a"), entry(8, 6)))].into());
    assert_eq!(found.xattrs, [((Ino(5), 2), (name("x"), name("new")))].into());
    assert_eq!(store.entry(Ino(1), b"b").await.expect("an entry"), None);
    assert_eq!(store.xattr(Ino(5), b"y").await.expect("an attribute"), None);
}

pub async fn names_can_be_exchanged_in_one_batch(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, [put_entry(1, "a", 3, 10), put_entry(1, "b", 4, 20)]).await;
    let batch = [
        remove_entry(1, "a", 3),
        remove_entry(1, "b", 4),
        // Also a cookie may come back once it is free.
        put_entry(1, "a", 4, 20),
        put_entry(1, "b", 3, 10),
    ];
    apply(&store, batch).await;
    assert_eq!(store.entry(Ino(1), b"a").await.expect("an entry"), Some(entry(4, 20)));
    assert_eq!(store.entry(Ino(1), b"b").await.expect("an entry"), Some(entry(3, 10)));
    let listed = store.entries(Ino(1), 0, 9).await.expect("entries");
    assert_eq!(listed.iter().map(|named| named.name.clone()).collect::<Vec<_>>(), ["b", "a"]);
}

pub async fn an_object_can_come_and_go_in_one_batch(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    let come =
        [put_inode(4, 1), put_xattr(4, "x", 1, "v"), put_entry(4, "e", 3, 9), Mutation::MarkOrphan(Ino(4))];
    let go = [
        remove_xattr(4, "x", 1),
        remove_entry(4, "e", 3),
        Mutation::UnmarkOrphan(Ino(4)),
        Mutation::RemoveInode(Ino(4)),
    ];
    apply(&store, come.clone().into_iter().chain(go.clone())).await;
    assert_eq!(Model::of(&store, 9).await, Model::default());
    apply(&store, come.clone()).await;
    // The same number anew, with nothing of before: a store does not care that file systems never do this.
    apply(&store, go.into_iter().chain([put_inode(4, 2)])).await;
    let left = Model { inodes: [(Ino(4), file(2))].into(), ..Model::default() };
    assert_eq!(Model::of(&store, 9).await, left);
}

pub async fn a_batch_can_be_big(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    let mut model = Model::default();
    let put = (1..=2_500_u64).flat_map(|n| {
        let text = format!("name {n}");
        [
            put_inode(n, n),
            put_entry(1, &text, n + 2, n),
            put_xattr(n, &text, 1, &text),
            Mutation::MarkOrphan(Ino(n)),
        ]
    });
    let put: Vec<_> = put.collect();
    assert_eq!(put.len(), 10_000);
    model.apply_all(&put);
    apply(&store, put).await;
    drop(store);
    let store = fixture.open().await;
    assert!(Model::of(&store, 1_000).await == model);
    let removed = (1..=2_500_u64).flat_map(|n| {
        let text = format!("name {n}");
        let marks = [Mutation::UnmarkOrphan(Ino(n)), Mutation::RemoveInode(Ino(n))];
        [remove_entry(1, &text, n + 2), remove_xattr(n, &text, 1)].into_iter().chain(if n == 1 {
            vec![]
        } else {
            marks.to_vec()
        })
    });
    // The directory itself goes last.
    let last = [Mutation::UnmarkOrphan(Ino(1)), Mutation::RemoveInode(Ino(1))];
    apply(&store, removed.chain(last)).await;
    assert_eq!(Model::of(&store, 9).await, Model::default());
}

pub async fn objects_do_not_share_names(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    // Numbers next to one another, and such whose bytes are alike in part.
    let numbers = [1, 2, 255, 256, 257, 0x100_0000, u64::MAX - 1, u64::MAX];
    for n in numbers {
        apply(&store, [put_inode(n, n), put_entry(n, "name", 3, n), put_xattr(n, "name", 3, n.to_string())])
            .await;
    }
    apply(&store, [remove_entry(256, "name", 3), remove_xattr(256, "name", 3)]).await;
    for n in numbers {
        let expected = (n != 256).then(|| entry(3, n));
        assert_eq!(store.entry(Ino(n), b"name").await.expect("an entry"), expected);
        let listed = store.entries(Ino(n), 0, 9).await.expect("entries");
        assert_eq!(listed.into_iter().map(|named| named.entry).collect::<Vec<_>>(), Vec::from_iter(expected));
        let value = (n != 256).then(|| name(n.to_string()));
        let found = store.xattr(Ino(n), b"name").await.expect("an attribute");
        assert_eq!(found.map(|xattr| xattr.value), value);
        let listed = store.xattrs(Ino(n), 0, 9).await.expect("attributes");
        assert_eq!(listed.len(), usize::from(n != 256));
    }
}

pub async fn a_directory_need_not_be_there(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, [put_entry(77, "lost", 3, 99)]).await;
    let lost = NamedEntry { name: name("lost"), entry: entry(3, 99) };
    assert_eq!(store.scan_entries((START, 0), 9).await.expect("entries"), [(Ino(77), lost)]);
    assert_eq!(store.scan(START, 9).await.expect("objects"), []);
}

pub async fn room_is_not_more_than_there_is(fixture: &mut impl MetadataStoreFixture) {
    let store = fixture.open().await;
    apply(&store, (1..100).map(|ino| put_inode(ino, 1))).await;
    let room = store.room().await.expect("room");
    assert!(room.available <= room.free && room.free <= room.total, "{room:?}");
}
