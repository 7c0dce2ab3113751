//! Where contents are on disk, and what else may be there.
//!
//! Origin: own: the layout that the head of the store describes, and what others leave in its directory.
//! RFC: none, a layout of our own.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use dittofs_framework::storage::StorageError;
use rstest::rstest;

use super::*;

#[tokio::test]
async fn a_file_holds_the_bytes_and_nothing_else() {
    let place = Place::new(100);
    let store = place.store();
    store.write(Ino(0x12_3456), 3, Bytes::from_static(b"bytes")).await.unwrap();
    let path = place.directory.path().join("1/8d/123456");
    assert_eq!(path, place.path(Ino(0x12_3456)));
    assert_eq!(std::fs::read(&path).unwrap(), b"\0\0\0bytes");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600,
        "nobody else's to read"
    );
    assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn nothing_is_made_before_the_first_change() {
    let place = Place::new(100);
    let store = place.store();
    store.read(FILE, 0, 10).await.unwrap();
    store.sync(FILE).await.unwrap();
    store.size(FILE).await.unwrap();
    store.punch(FILE, 0, 10).await.unwrap();
    store.copy(FILE, 0, Ino(8), 0, 10).await.unwrap();
    assert_eq!(std::fs::read_dir(place.directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_others_put_there_is_passed_over_and_stays() {
    let place = Place::new(100);
    let store = place.store();
    for number in [1, 1025, 0x10_0000] {
        write(&store, Ino(number), 0, 10).await;
    }
    let foreign = [
        "README",
        "0/README",
        "0/0/README",
        "0/0/01",
        "0/0/0A",
        "0/0/401",
        "0/0/ffffffffffffffff",
        "zz",
        "10000000000000000",
    ];
    for name in foreign {
        std::fs::write(place.directory.path().join(name), b"foreign").unwrap();
    }
    std::fs::create_dir(place.directory.path().join("0/0/2")).unwrap();
    std::fs::create_dir_all(place.directory.path().join("0/400/1")).unwrap();
    std::fs::create_dir_all(place.directory.path().join("100000000000/0/1")).unwrap();
    symlink("/etc/passwd", place.directory.path().join("0/0/3")).unwrap();
    let found = store.scan(Ino(0), 100).await.unwrap();
    assert_eq!(found.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [1, 1025, 0x10_0000]);
    for number in [1, 1025, 0x10_0000] {
        store.remove(Ino(number)).await.unwrap();
    }
    for name in foreign {
        assert_eq!(std::fs::read(place.directory.path().join(name)).unwrap(), b"foreign");
    }
}

#[rstest]
#[case::directory(|path: &std::path::Path| std::fs::create_dir(path))]
#[case::link(|path: &std::path::Path| symlink("/etc/passwd", path))]
#[case::dangling_link(|path: &std::path::Path| symlink("nowhere", path))]
#[tokio::test]
async fn what_is_no_file_in_a_files_place_is_left_alone(
    #[case] make: fn(&std::path::Path) -> std::io::Result<()>,
) {
    let place = Place::new(100);
    let store = place.store();
    write(&store, Ino(1), 0, 10).await;
    make(&place.path(Ino(2))).unwrap();
    assert!(matches!(store.read(Ino(2), 0, 10).await, Err(StorageError::Damaged(_))));
    assert!(matches!(store.write(Ino(2), 0, data(1)).await, Err(StorageError::Damaged(_))));
    assert!(std::fs::symlink_metadata(place.path(Ino(2))).unwrap().nlink() > 0);
    assert!(!place.directory.path().join("nowhere").exists());
}

#[tokio::test]
async fn directories_go_with_their_last_file_but_for_the_newest() {
    let place = Place::new(100);
    let store = place.store();
    let exists = |path: &str| place.directory.path().join(path).exists();
    for number in [1, 2, 1024, 0x10_0000, 0x10_0400] {
        write(&store, Ino(number), 0, 10).await;
    }
    store.remove(Ino(1)).await.unwrap();
    assert!(exists("0/0"));
    store.remove(Ino(2)).await.unwrap();
    assert!(!exists("0/0") && exists("0/1"));
    store.remove(Ino(1024)).await.unwrap();
    assert!(!exists("0"));
    store.remove(Ino(0x10_0400)).await.unwrap();
    assert!(exists("1/1"), "new files are about to come into it");
    store.remove(Ino(0x10_0000)).await.unwrap();
    assert!(exists("1/1") && !exists("1/0"));
    // A directory that went can come again, and is made durable again.
    let before = place.tricks.directory_syncs.load(SeqCst);
    write(&store, Ino(3), 0, 10).await;
    store.sync(Ino(3)).await.unwrap();
    assert_eq!(place.tricks.directory_syncs.load(SeqCst), before + 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_while_directories_go() {
    let place = Place::new(10);
    let store = Arc::new(place.store());
    write(&store, Ino(1 << 40), 0, 1).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let id = Ino(5000 + number);
            write(&store, id, 0, 10).await;
            store.sync(id).await.unwrap();
            store.remove(id).await.unwrap();
        });
    }
    tasks.join_all().await;
    assert!(!place.directory.path().join("0").exists());
}

#[tokio::test]
async fn a_store_makes_its_directory_and_needs_one() {
    let place = Place::new(100);
    let inner = place.directory.path().join("contents");
    let store = LocalContentStore::open(&inner, &LocalOptions::default()).unwrap();
    write(&store, FILE, 0, 10).await;
    let file = inner.join("file");
    std::fs::write(&file, b"").unwrap();
    for unfit in [file, inner.join("a/b")] {
        assert!(LocalContentStore::open(&unfit, &LocalOptions::default()).is_err(), "{}", unfit.display());
    }
}

#[tokio::test]
async fn the_largest_length_is_the_file_systems() {
    let place = Place::new(100);
    let store = place.store();
    let max = store.max_len();
    let path = place.directory.path().join("probe");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(max).unwrap();
    assert!(max == i64::MAX as u64 || file.set_len(max + 1).is_err());
}
