//! What waits for what, by stores that are held.
//!
//! Origin: own scenarios.
//! RFC: 8881 sections 18.3 and 18.32: a reply says that something is durable only when it is.

use std::sync::Arc;

use dittofs_framework::fs::{FsError, NewNode, Stability};
use dittofs_framework::proto::NfsTime;
use dittofs_framework::testing::faults::{Calls, Loss};
use rstest::rstest;

use super::history::{History, data};
use super::stores::Stores;

async fn open(stores: &Stores) -> History {
    History::new(stores.open(Arc::new(|| NfsTime { seconds: 1_000, nseconds: 0 })).await)
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_durable() {
    let stores = Stores::new(1 << 30);
    let history = open(&stores).await;
    let gate = stores.faults.hold(Calls::APPLY);
    let maker = history.clone();
    let making = tokio::spawn(async move { maker.make("d", NewNode::Directory).await });
    gate.waiting(1).await;
    assert!(!making.is_finished());
    assert!(history.find("d").await.is_ok(), "others see it");
    stores.crash(Loss::Nothing).await;
    drop(gate);
    assert_eq!(making.await.unwrap().err(), Some(FsError::Io), "nobody knows what has become of it");
    drop(history);
    let history = open(&stores).await;
    assert_eq!(history.find("d").await, Err(FsError::NotFound));
}

#[rstest]
#[case::data_sync(Stability::DataSync)]
#[case::file_sync(Stability::FileSync)]
#[tokio::test]
async fn a_stable_write_waits_for_contents_and_record(#[case] stability: Stability) {
    let stores = Stores::new(1 << 30);
    let history = open(&stores).await;
    history.create("f").await.unwrap();
    let (contents, record) = (stores.faults.hold(Calls::SYNC), stores.faults.hold(Calls::APPLY));
    let writer = history.clone();
    let writing = tokio::spawn(async move { writer.write("f", 0, data(1_000, 1), stability).await });
    contents.waiting(1).await;
    assert!(!writing.is_finished());
    assert_eq!(history.read("f", 1 << 20).await, Ok(data(1_000, 1)), "others see it");
    drop(contents);
    record.waiting(1).await;
    assert!(!writing.is_finished(), "the size is durable after the contents");
    drop(record);
    assert_eq!(writing.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn unstable_data_waits_for_nothing() {
    let stores = Stores::new(1 << 30);
    let history = open(&stores).await;
    history.create("f").await.unwrap();
    let _gate = stores.faults.hold(Calls::SYNC | Calls::APPLY);
    history.write("f", 0, data(1_000, 1), Stability::Unstable).await.unwrap();
    assert_eq!(history.read("f", 1 << 20).await, Ok(data(1_000, 1)));
}

#[tokio::test]
async fn changes_that_come_together_share_a_batch() {
    let stores = Stores::new(1 << 30);
    let history = open(&stores).await;
    let before = stores.faults.count(Calls::APPLY);
    let gate = stores.faults.hold(Calls::APPLY);
    let makers: Vec<_> = (0..50)
        .map(|number| {
            let maker = history.clone();
            tokio::spawn(async move { maker.make(&number.to_string(), NewNode::Directory).await })
        })
        .collect();
    gate.waiting(1).await;
    while history.find("49").await.is_err() {
        tokio::task::yield_now().await;
    }
    drop(gate);
    for maker in makers {
        assert_eq!(maker.await.unwrap(), Ok(()));
    }
    let batches = stores.faults.count(Calls::APPLY) - before;
    assert!(batches <= 2, "{batches} batches");
}

#[tokio::test]
async fn a_change_that_builds_on_one_that_fails_fails_with_it() {
    let stores = Stores::new(1 << 30);
    let history = open(&stores).await;
    let gate = stores.faults.hold(Calls::APPLY);
    let maker = history.clone();
    let first = tokio::spawn(async move { maker.make("d", NewNode::Directory).await });
    gate.waiting(1).await;
    let maker = history.clone();
    let second = tokio::spawn(async move { maker.create("d/f").await });
    while history.find("d/f").await.is_err() {
        tokio::task::yield_now().await;
    }
    stores.faults.fail(Calls::APPLY, 1, dittofs_framework::testing::faults::Fault::Failed);
    drop(gate);
    assert_eq!(first.await.unwrap(), Err(FsError::Io));
    assert_eq!(second.await.unwrap(), Err(FsError::Io));
    assert_eq!(history.find("d").await, Err(FsError::NotFound));
    history.make("d", NewNode::Directory).await.unwrap();
    history.create("d/f").await.unwrap();
    drop(history);
    stores.crash(Loss::All).await;
    assert!(open(&stores).await.find("d/f").await.is_ok());
}
