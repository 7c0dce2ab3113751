//! Origin: two servers on one file.
//! RFC: none.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use dittofs_framework::recovery::{StateStore, StoreError};

use super::fixture::{Place, holds, open, record};
use crate::state_store::{JournalOptions, JournalStateStore};

#[tokio::test]
async fn a_second_instance_is_refused_until_the_first_is_gone() {
    let place = Place::default();
    let first = open(&place);
    first.begin().await.unwrap();
    let before = fs::read(place.journal()).unwrap();
    let second = JournalStateStore::open(&place.journal());
    assert!(matches!(second, Err(StoreError::InUse)));
    assert_eq!(fs::read(place.journal()).unwrap(), before);
    // Nor after the file was replaced by a shorter one.
    for _ in 0..100 {
        first.append(holds("a")).await.unwrap();
    }
    assert!(matches!(JournalStateStore::open(&place.journal()), Err(StoreError::InUse)));
    drop(first);
    assert_eq!(open(&place).begin().await.unwrap().clients, [record("a")]);
}

#[tokio::test]
async fn what_is_queued_is_written_before_it_is_closed() {
    let place = Place::default();
    let store = open(&place);
    store.begin().await.unwrap();
    drop(store.append(holds("a")));
    drop(store);
    assert_eq!(open(&place).begin().await.unwrap().clients, [record("a")]);
}

#[tokio::test]
async fn a_store_that_was_lost_begins_at_the_time_of_day() {
    fn at(seconds: u64) -> JournalOptions {
        let now = match seconds {
            500 => || UNIX_EPOCH + Duration::from_secs(500),
            _ => || UNIX_EPOCH + Duration::from_secs(601),
        };
        JournalOptions { now, ..JournalOptions::default() }
    }
    let place = Place::default();
    let epoch = async |options| {
        let store = JournalStateStore::open_with(&place.journal(), options).unwrap();
        store.begin().await.unwrap().boot_epoch
    };
    assert_eq!(epoch(at(500)).await, 500);
    assert_eq!(epoch(at(500)).await, 501);
    fs::remove_file(place.journal()).unwrap();
    assert_eq!(epoch(at(601)).await, 601);
    // A clock that was set back.
    assert_eq!(epoch(at(500)).await, 602);
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let place = Place::default();
    let path = place.journal().join("state");
    assert!(matches!(JournalStateStore::open(&path), Err(StoreError::Failed(_))));
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::default();
    drop(open(&place));
    assert_eq!(fs::metadata(place.journal()).unwrap().permissions().mode() & 0o777, 0o600);
}
