//! Origin: a state store that fails for a while, as on a full disk: what cannot be recorded does not happen.
//! RFC: 8881 section 8.4.3 (strategy 2).

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dittofs_backends::state_store::MemoryStateStore;
use dittofs_framework::client::Departures;
use dittofs_framework::clock::Clock;
use dittofs_framework::compound::Nfs4Service;
use dittofs_framework::export::Namespace;
use dittofs_framework::proto::*;
use dittofs_framework::recovery::{ReclaimRecord, Recovered, StateEvent, StateStore, StoreError};
use dittofs_framework::rpc::BoxFuture;
use dittofs_ops::lock::{Lock, NfsLockType4::*};
use dittofs_ops::open::OpenFlag4;
use dittofs_tests::*;
use rstest::rstest;
use tokio::time::timeout;

use crate::world::*;

fn recorded(world: &World) -> Vec<Vec<u8>> {
    let owner = |record: ReclaimRecord| record.key.owner.to_vec();
    world.store.recovered().clients.into_iter().map(owner).collect()
}

#[rstest]
#[tokio::test]
async fn no_open_without_a_record(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let world = World::new();
    let server = world.boot().await;
    let mut other = session(&server, "other", minor).await;
    other.open("file").await;
    other.open("another").await;
    let mut client = back(&server, "client", minor).await;
    // Confirmed, but it can hold nothing before its RECLAIM_COMPLETE.
    assert_eq!(recorded(&world), [b"other"]);
    world.store.break_down();
    assert_eq!(client.complete().await, NFS4ERR_DELAY);
    assert_eq!(client.try_open_new("file").await.unwrap_err(), NFS4ERR_GRACE);
    assert!(!server.service.state().has_state(client.clientid));
    world.store.mend();
    assert_eq!(client.complete().await, NFS4_OK);
    assert_eq!(recorded(&world), [&b"client"[..], b"other"]);
    let file = client.try_open_new("file").await.unwrap();
    // Who is recorded needs nothing more.
    world.store.break_down();
    client.try_open_new("another").await.unwrap();
    client.lock(&file, "locker", WriteLt, (0, 1)).await;
    server.stop().await;
}

/// What tries again when the store works again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    AnotherRequest,
    Reaper,
}

#[rstest]
#[tokio::test]
async fn nothing_is_taken_without_a_record(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[values(Next::AnotherRequest, Next::Reaper)] next: Next,
) {
    let world = World::new();
    let server = world.boot().await;
    let mut client = session(&server, "client", minor).await;
    let file = client.open("file").await;
    client.lock(&file, "locker", WriteLt, (0, 10)).await;
    server.clock.advance(LEASE + SECOND);
    let mut others = Vec::new();
    for owner in ["first", "second"] {
        let mut other = session(&server, owner, minor).await;
        let file = other.open("file").await;
        others.push((other, file));
    }
    world.store.break_down();
    // Not even to the second one, which finds nothing in its way any more.
    for (other, file) in &mut others {
        let lock = lock_under(file.stateid, "locker", ReadLt, (0, 10));
        assert_eq!(other.try_lock(&file.fh, &lock).await, Err(NFS4ERR_DELAY));
    }
    assert_eq!(recorded(&world), [&b"client"[..], b"first", b"second"]);
    world.store.mend();
    match next {
        Next::AnotherRequest => {}
        Next::Reaper => server.service.reap().await,
    }
    assert_eq!(recorded(&world).len(), if next == Next::Reaper { 2 } else { 3 });
    for (other, file) in &mut others {
        other.lock(file, "locker", ReadLt, (0, 10)).await;
    }
    assert_eq!(recorded(&world), [&b"first"[..], b"second"]);
    server.stop().await;
}

/// A store that never answers as long as it is stuck.
struct StuckStore {
    store: Arc<MemoryStateStore>,
    is_stuck: AtomicBool,
}

impl StateStore for StuckStore {
    fn begin(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        self.store.begin()
    }

    fn append(&self, event: StateEvent) -> BoxFuture<'static, Result<(), StoreError>> {
        if self.is_stuck.load(Ordering::SeqCst) { Box::pin(pending()) } else { self.store.append(event) }
    }
}

/// Two clients are let go by a request that is dropped before it is on record.
#[tokio::test]
async fn who_is_gone_is_gone_whoever_waits_for_it() {
    let world = World::new();
    let store = Arc::new(StuckStore { store: world.store.clone(), is_stuck: AtomicBool::new(false) });
    let server = world.boot_on(Some(store.clone())).await;
    let mut clients = Vec::new();
    for owner in ["first", "second"] {
        let mut client = session(&server, owner, Minor::V1).await;
        client.open("file").await;
        clients.push(client.clientid);
    }
    server.clock.advance(LEASE + SECOND);
    let mut departures = Departures::default();
    for _ in &clients {
        let evicted = server.service.sessions().evict(server.clock.now(), &|_| true).unwrap();
        departures.clients.extend(evicted.clients);
    }
    store.is_stuck.store(true, Ordering::SeqCst);
    assert_eq!(timeout(Duration::ZERO, server.service.settle(departures)).await.ok(), None);
    store.is_stuck.store(false, Ordering::SeqCst);
    server.service.reap().await;
    assert!(clients.iter().all(|client| !server.service.state().has_state(*client)));
    assert!(recorded(&world).is_empty());
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn the_state_of_who_is_gone_stays_without_a_record(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let world = World::new();
    let server = world.boot().await;
    let old = session(&server, "client", minor).await.open_as("file", READ, WRITE, "owner").await;
    let mut other = session(&server, "other", minor).await;
    other.open("something").await;
    world.store.break_down();
    let mut new = restarted(&server, "client", minor).await;
    assert_eq!(new.complete().await, NFS4ERR_DELAY);
    let write = open_args("file", WRITE, 0, "owner", OpenFlag4::NoCreate(()));
    assert_eq!(other.try_open(&["export"], &write).await.unwrap_err(), NFS4ERR_SHARE_DENIED);
    server.service.reap().await;
    assert_eq!(other.try_open(&["export"], &write).await.unwrap_err(), NFS4ERR_SHARE_DENIED);
    world.store.mend();
    // What the new incarnation holds is not taken for what the old one held.
    assert_eq!(new.complete().await, NFS4_OK);
    new.open("another").await;
    server.service.reap().await;
    other.try_open(&["export"], &write).await.unwrap();
    assert_eq!(recorded(&world), [&b"client"[..], b"other"]);
    let server = world.reboot(server).await;
    restarted(&server, "client", minor).await.reclaim(&old.fh).await.unwrap();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn grace_does_not_end_without_a_record(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (world, server, fh) = World::after_open(minor).await;
    let mut client = back(&server, "client", minor).await;
    world.store.break_down();
    server.clock.advance(GRACE);
    server.service.reap().await;
    server.service.end_grace().await.unwrap_err();
    assert!(server.service.grace().is_in_force());
    client.reclaim(&fh).await.unwrap();
    // What it has reclaimed cannot be recorded: it is not complete.
    assert_eq!(client.complete().await, NFS4ERR_DELAY);
    assert!(client.is_told_to_reclaim().await);
    world.store.mend();
    assert_eq!(client.complete().await, NFS4_OK);
    assert!(!server.service.grace().is_in_force());
    server.stop().await;
}

#[tokio::test]
async fn no_start_without_a_store() {
    let store = Arc::new(MemoryStateStore::new());
    store.break_down();
    let namespace = Namespace::builder().build().unwrap();
    let error = Nfs4Service::builder(namespace).recover(store).await.err().unwrap();
    assert!(error.to_string().starts_with("the state store failed"), "{error}");
}

#[rstest]
#[tokio::test]
async fn a_denied_lock_is_denied_whatever_the_store_does(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let world = World::new();
    let server = world.boot().await;
    let (mut a, mut b) = (session(&server, "a", minor).await, session(&server, "b", minor).await);
    let (file, other) = (a.open("file").await, b.open("file").await);
    a.lock(&file, "locker", WriteLt, (0, 1)).await;
    world.store.break_down();
    b.denied::<Lock>(&other.fh, &lock_under(other.stateid, "locker", WriteLt, (0, 1))).await;
    server.stop().await;
}
