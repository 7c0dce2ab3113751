//! Calls that come at once, and what is left when one of them had bad luck.
//!
//! Origin: sequences that a reading of the code found.
//! RFC: 8881 sections 18.3, 18.23 and 18.32; POSIX.

use std::sync::Arc;

use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    Authority, FileSystem, FsError, NewNode, RequestContext, SetAttributes, Stability,
};
use dittofs_framework::proto::NfsTime;
use dittofs_framework::storage::{Entry, Ino};
use dittofs_framework::testing::faults::{Calls, Fault, Loss};

use super::history::{History, Names, data};
use super::stores::Stores;

const PART: usize = 100;

async fn open(stores: &Stores) -> History {
    History::new(stores.open(Arc::new(|| NfsTime { seconds: 1_000, nseconds: 0 })).await)
}

fn mode(mode: u32) -> SetAttributes {
    SetAttributes { mode: Some(mode), ..SetAttributes::default() }
}

/// Parts of a file are written stably at once, in no order, while others write unstably and change its mode.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stable_writes_beside_each_other_stay() {
    for round in 0..40_u64 {
        let stores = Stores::new(1 << 30);
        let history = open(&stores).await;
        history.create("f").await.unwrap();
        let file = history.find("f").await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for part in 0..8_u64 {
            let history = history.clone();
            tasks.spawn(async move {
                let at = ((part * 5 + round) % 8) * PART as u64;
                history.write("f", at, data(PART, 1), Stability::FileSync).await.unwrap();
            });
        }
        while tasks.join_next().await.is_some() {}
        let cx = RequestContext::server();
        history.write("f", 8 * PART as u64, data(PART, 2), Stability::Unstable).await.unwrap();
        history.fs.set_attributes(&cx, &file, &mode(0o640), Authority::Open).await.unwrap();
        stores.crash(Loss::All).await;
        drop(history);
        let history = open(&stores).await;
        // The next writer cuts what the record does not speak of.
        history.write("f", 0, data(1, 1), Stability::FileSync).await.unwrap();
        let found = history.read("f", 1 << 20).await.unwrap();
        assert_eq!(found.len(), 8 * PART, "round {round}");
        for part in found.chunks(PART) {
            assert_eq!(part, data(PART, 1), "round {round}");
        }
    }
}

/// A stable write learns that its bytes are durable after another one has, which wrote behind it.
#[tokio::test]
async fn who_comes_later_does_not_take_back_what_is_durable() {
    let stores = Stores::new(1 << 30);
    let fs = stores.open_store(Arc::new(|| NfsTime { seconds: 1_000, nseconds: 0 })).await;
    let history = History::new(fs.clone());
    history.create("f").await.unwrap();
    let fileid = fs
        .lookup(&RequestContext::server(), &fs.root(), b"f", Bitmap::EMPTY)
        .await
        .unwrap()
        .attributes
        .fileid;
    let inode = fs.volume.load(Ino(fileid)).await.unwrap();
    let gate = stores.faults.hold(Calls::SYNC);
    let writer = history.clone();
    let writing = tokio::spawn(async move { writer.write("f", 0, data(PART, 1), Stability::FileSync).await });
    gate.waiting(1).await;
    {
        // The other one, which shared the flush.
        let mut state = inode.write();
        state.record.size = 2 * PART as u64;
        state.durable_size = state.record.size;
        state.record.change += 1;
        let mut change = fs.volume.journal.begin().unwrap();
        change.put(&inode, &mut state);
    }
    drop(gate);
    writing.await.unwrap().unwrap();
    assert_eq!(inode.read().durable_size, 2 * PART as u64);
    let records = fs.volume.metadata.inodes(&[inode.ino]).await.unwrap();
    assert_eq!(records[0].as_ref().map(|record| record.size), Some(2 * PART as u64));
}

/// The store has entries of a transaction of which nobody was told yet.
#[tokio::test]
async fn a_listing_meets_what_the_store_has_just_got() {
    let stores = Stores::new(1 << 30);
    let fs = stores.open_store(Arc::new(|| NfsTime { seconds: 1_000, nseconds: 0 })).await;
    let volume = &fs.volume;
    let cx = RequestContext::server();
    let root = fs.root();
    for number in 0..150 {
        let name = format!("{number:03}");
        fs.create(&cx, &root, name.as_bytes(), &NewNode::Fifo, &SetAttributes::default()).await.unwrap();
    }
    for number in (0..150_u32).step_by(3) {
        let name = format!("{number:03}");
        let entry: Entry = volume.metadata.entry(volume.root.ino, name.as_bytes()).await.unwrap().unwrap();
        let mut state = volume.root.write();
        let seq = state.seq;
        state.names.set(seq, name.into(), Some(entry));
    }
    let mut names = Names::default();
    let end = fs.readdir(&cx, &root, 0, [0; 8], Bitmap::EMPTY, &mut names).await.unwrap();
    assert!(end.eof);
    let expected: Vec<_> = (0..150).map(|number| format!("{number:03}")).collect();
    let found: Vec<_> = names.0.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
    assert_eq!(found, expected);
}

/// What cannot be made durable can be cut to nothing, and is said to be lost once.
#[tokio::test]
async fn a_file_whose_flush_failed_is_cut_to_nothing() {
    let stores = Stores::new(1 << 30);
    let history = open(&stores).await;
    history.create("f").await.unwrap();
    let file = history.find("f").await.unwrap();
    let cx = RequestContext::server();
    history.write("f", 0, data(PART, 1), Stability::Unstable).await.unwrap();
    stores.faults.fail_all(Calls::SYNC, Fault::Failed);
    let before = history.fs.write_verifier();
    assert_eq!(history.commit("f").await, Err(FsError::Io));
    let told = history.fs.write_verifier();
    assert_ne!(told, before);
    assert_eq!(history.commit("f").await, Err(FsError::Io));
    assert_eq!(history.fs.write_verifier(), told, "no more is lost than was said");
    let nothing = SetAttributes { size: Some(0), ..SetAttributes::default() };
    let cut = history.fs.set_attributes(&cx, &file, &nothing, Authority::Open).await;
    assert_eq!(cut.map(|attributes| attributes.size), Ok(0));
}

/// A name goes while its empty file is being given contents by somebody who has no open of it.
#[tokio::test]
async fn contents_of_a_file_that_goes_meanwhile_go_too() {
    let stores = Stores::new(1 << 30);
    let history = open(&stores).await;
    history.create("f").await.unwrap();
    let file = history.find("f").await.unwrap();
    let gate = stores.faults.hold(Calls::WRITE);
    let writer = history.clone();
    let writing = tokio::spawn(async move {
        let cx = RequestContext::server();
        writer.fs.write(&cx, &file, 0, data(PART, 1), Stability::FileSync, Authority::Credentials).await
    });
    gate.waiting(1).await;
    let remover = history.clone();
    let removing = tokio::spawn(async move { remover.remove("f").await });
    tokio::task::yield_now().await;
    drop(gate);
    assert_eq!(removing.await.unwrap(), Ok(()));
    assert!(matches!(writing.await.unwrap(), Err(FsError::Stale)));
    assert_eq!(stores.contents().await, 0);
    stores.crash(Loss::Nothing).await;
}
