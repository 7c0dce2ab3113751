//! Files of the engine that are not as it wrote them.
//!
//! Origin: own: bits that flip, files that end early, parts that are overwritten.
//! RFC: 8881 section 15.1.4.6 (NFS4ERR_IO) for what cannot be read.

use std::fs;
use std::path::{Path, PathBuf};

use dittofs_framework::storage::{Entry, Ino, MetadataStore, StorageError};
use rstest::rstest;
use tempfile::TempDir;

use super::fixture::{apply, create, name, open, record};
use crate::embedded::EmbeddedMetadataStore;
use crate::embedded::engine::Engine;

const FILES: u64 = 100;
/// Places of each file that are damaged, one after another.
const PLACES: usize = 8;

/// Damage is an error where the store is opened or where the record is read, and never a panic or a wrong answer. Half of the records
/// are in a table, half in the journal.
//
// Origin: own. RFC: none.
#[rstest]
#[case::a_bit_is_flipped(|bytes: &mut Vec<u8>, at| bytes[at] ^= 0x10)]
#[case::the_end_is_missing(|bytes: &mut Vec<u8>, at| bytes.truncate(at))]
#[case::a_sector_was_not_written(|bytes: &mut Vec<u8>, at| { let end = bytes.len().min(at + 512); bytes[at..end].fill(0) })]
#[case::a_sector_is_something_elses(|bytes: &mut Vec<u8>, at| { let end = bytes.len().min(at + 512); bytes[at..end].fill(0xa5) })]
#[tokio::test]
async fn damage_is_noticed(#[case] damage: fn(&mut Vec<u8>, usize)) {
    let temp = share().await;
    let good = temp.path().join("share");
    let mut noticed = 0;
    for file in files(&good.join("metadata/engine")) {
        let bytes = fs::read(&file).unwrap();
        // The journal is longer than what is in it.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for place in 0..PLACES.min(used) {
            let at = used * place / PLACES + place % 7;
            let mut damaged = bytes.clone();
            damage(&mut damaged, at.min(used - 1));
            let bad = temp.path().join("bad");
            copy(&good, &bad);
            fs::write(bad.join(file.strip_prefix(&good).unwrap()), damaged).unwrap();
            noticed += match open(&bad) {
                Err(StorageError::Damaged(_)) => 1,
                Err(other) => panic!("{}, {at} of {used}: {other}", file.display()),
                Ok(store) => assert_right_or_refused(&store).await,
            };
            fs::remove_dir_all(&bad).unwrap();
        }
    }
    assert!(noticed > PLACES, "{noticed}");
}

/// A share with files in a table and others in the journal.
async fn share() -> TempDir {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("share");
    apply(&open(&path).unwrap(), (1..=FILES / 2).flat_map(create)).await.unwrap();
    let engine = Engine::open(&path.join("metadata/engine")).unwrap();
    engine.begin_flush();
    while !engine.is_flushed() {
        std::thread::yield_now();
    }
    drop(engine);
    let store = open(&path).unwrap();
    for number in FILES / 2 + 1..=FILES {
        apply(&store, create(number)).await.unwrap();
    }
    temp
}

/// Returns how many of the reads were refused.
async fn assert_right_or_refused(store: &EmbeddedMetadataStore) -> usize {
    let mut refused = 0;
    for number in 1..=FILES {
        match store.inodes(&[Ino(number)]).await {
            Ok(found) => assert_eq!(found, [Some(record(number))]),
            Err(error) => refused += assert_damaged(&error),
        }
        match store.entry(Ino(1), &name(number)).await {
            Ok(found) => assert_eq!(found.map(|entry: Entry| entry.ino), Some(Ino(number))),
            Err(error) => refused += assert_damaged(&error),
        }
    }
    match store.entries(Ino(1), 0, usize::MAX).await {
        Ok(found) => assert_eq!(found.len() as u64, FILES),
        Err(error) => refused += assert_damaged(&error),
    }
    refused
}

fn assert_damaged(error: &StorageError) -> usize {
    assert!(matches!(error, StorageError::Damaged(_)), "{error}");
    1
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
