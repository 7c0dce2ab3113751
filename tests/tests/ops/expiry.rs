//! What becomes of opens and locks when their client falls silent, comes back, starts anew, or goes on: a client whose lease
//! ran out keeps what is in nobody's way.
//!
//! Origin: the statements of the RFC, one by one. Time is the test clock's: nobody waits.
//! RFC: 8881 sections 8.3, 8.4.1, 8.4.3, 18.35.4 (case 5), 18.38.3, 18.46.3 and 18.48.3.

use std::sync::Arc;
use std::time::Duration;

use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::attr::{Bitmap, FATTR4_SIZE};
use dittofs_framework::compound::Limits;
use dittofs_framework::fs::FileSystem;
use dittofs_framework::proto::{
    Minor, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_BADSESSION, NFS4ERR_DELAY, NFS4ERR_DENIED, NFS4ERR_EXPIRED,
    NFS4ERR_SHARE_DENIED, NFS4ERR_STALE, SequenceStatus, Stateid, Status,
};
use dittofs_framework::state::ShareDeny;
use dittofs_framework::testing::Compound;
use dittofs_ops::destroy_session::{DestroySession, DestroySession4Args};
use dittofs_ops::exchange_id::ExchangeId;
use dittofs_ops::free_stateid::{FreeStateid, FreeStateid4Args};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::lock::Lock;
use dittofs_ops::lock::NfsLockType4::{ReadLt, WriteLt};
use dittofs_ops::locku::Locku;
use dittofs_ops::open::OpenFlag4;
use dittofs_ops::test_stateid::{TestStateid, TestStateid4Args};
use dittofs_tests::{
    BOTH, Client, OpenFile, READ, Session, SessionOptions, TO_EOF, TestServerOptions, WRITE,
    exchange_id_args, lock_under, open_args, unchecked, unlock,
};
use rstest::rstest;

use crate::common::{CONTENT, World};

/// Less than the lease, and more than half of it.
const MOST_OF_THE_LEASE: Duration = Duration::from_mins(1);
const DENY_WRITE: u32 = ShareDeny::WRITE.bits();

async fn try_open(session: &mut Session, access: u32) -> Status {
    let args = open_args("file", access, 0, "owner", OpenFlag4::NoCreate(()));
    session.try_open(&["export"], &args).await.err().unwrap_or(NFS4_OK)
}

async fn try_lock(session: &mut Session, file: &OpenFile) -> Status {
    let args = lock_under(file.stateid, "locker", WriteLt, (0, TO_EOF));
    session.run_on::<Lock>(&file.fh, &args).await.err().unwrap_or(NFS4_OK)
}

/// The world's client with its open and lock on the file, and another client that has it open to read.
async fn locked() -> (World, Session, OpenFile) {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.session.lock(&file, "locker", WriteLt, (0, TO_EOF)).await;
    let mut other = world.client("other client").await;
    let theirs = other.open("file").await;
    (world, other, theirs)
}

impl World {
    /// Lets more than the lease pass, in which these sessions alone say something, and reaps what is due.
    async fn pass_the_lease(&mut self, alive: &mut [&mut Session]) {
        for _ in 0..2 {
            self.server.clock.advance(MOST_OF_THE_LEASE);
            for session in alive.iter_mut() {
                session.sequence().await;
            }
        }
        self.server.service.reap().await;
    }

    /// What SEQUENCE says of the world's client.
    async fn told(&mut self) -> SequenceStatus {
        self.session.sequence().await.status_flags
    }

    async fn test(&mut self, stateids: &[Stateid]) -> Vec<Status> {
        let args = TestStateid4Args { ts_stateids: stateids.to_vec() };
        self.run::<TestStateid>(&args).await.unwrap().tsr_status_codes
    }

    /// What the world's own session is answered with.
    async fn sequence_status(&mut self) -> Status {
        self.session.run(self.session.compound()).await.status
    }
}

/// What is lost is told by SEQUENCE until it is freed, and by whatever it is used for.
#[tokio::test]
async fn the_locks_of_a_silent_client_give_way() {
    let (mut world, mut other, theirs) = locked().await;
    let lock = world.session.lock(&world.file.clone(), "locker", WriteLt, (0, TO_EOF)).await;
    assert_eq!(try_lock(&mut other, &theirs).await, NFS4ERR_DENIED);
    world.pass_the_lease(&mut [&mut other]).await;
    assert_eq!(try_lock(&mut other, &theirs).await, NFS4_OK);
    assert_eq!(world.told().await, SequenceStatus::EXPIRED_SOME_STATE_REVOKED);
    let open = world.file.stateid;
    let tested = world.test(&[open, lock, lock]).await;
    assert_eq!(tested, [NFS4_OK, NFS4ERR_EXPIRED, NFS4ERR_EXPIRED]);
    let fh = world.file.fh.clone();
    let unlocked = world.session.run_on::<Locku>(&fh, &unlock(lock, (0, TO_EOF))).await;
    assert_eq!(unlocked.err(), Some(NFS4ERR_EXPIRED));
    for freed in [NFS4_OK, NFS4ERR_BAD_STATEID] {
        let args = FreeStateid4Args { fsa_stateid: lock };
        assert_eq!(world.run::<FreeStateid>(&args).await.err().unwrap_or(NFS4_OK), freed);
    }
    assert_eq!(world.told().await, SequenceStatus::empty());
    world.stop().await;
}

/// CLOSE frees what was lost under the open, as it frees what was not: the client has given it up.
#[tokio::test]
async fn a_lost_lock_is_forgotten_with_its_open() {
    let (mut world, mut other, theirs) = locked().await;
    let lock = world.session.lock(&world.file.clone(), "locker", WriteLt, (0, TO_EOF)).await;
    let kept = world.session.open("other file").await;
    world.pass_the_lease(&mut [&mut other]).await;
    assert_eq!(try_lock(&mut other, &theirs).await, NFS4_OK);
    assert_eq!(world.told().await, SequenceStatus::EXPIRED_SOME_STATE_REVOKED);
    world.session.close(&kept).await;
    assert_eq!(world.told().await, SequenceStatus::EXPIRED_SOME_STATE_REVOKED);
    let open = world.file.stateid;
    world.close().await;
    assert_eq!(world.told().await, SequenceStatus::empty());
    assert_eq!(world.test(&[open, lock]).await, [NFS4ERR_BAD_STATEID; 2]);
    world.stop().await;
}

/// A client that comes back before anybody asked for what it has finds it as it left it.
#[tokio::test]
async fn a_silent_client_keeps_what_is_in_nobodys_way() {
    let (mut world, mut other, theirs) = locked().await;
    world.pass_the_lease(&mut [&mut other]).await;
    assert_eq!(world.told().await, SequenceStatus::empty());
    assert_eq!(try_lock(&mut other, &theirs).await, NFS4ERR_DENIED);
    assert_eq!(world.content().await, CONTENT);
    world.stop().await;
}

/// A silent client that holds nothing goes with its sessions.
#[tokio::test]
async fn a_silent_client_without_state_goes() {
    let mut world = World::new().await;
    world.close().await;
    let mut other = world.client("other client").await;
    world.pass_the_lease(&mut [&mut other]).await;
    assert_eq!(world.sequence_status().await, NFS4ERR_BADSESSION);
    world.stop().await;
}

/// When a limit is met, the client goes that has been silent for longest.
#[rstest]
#[case::locks_in_all(|limits: &mut Limits| limits.state.locks_total = 1)]
#[case::lock_stateids_in_all(|limits: &mut Limits| limits.state.lock_stateids_total = 1)]
#[case::clients(|limits: &mut Limits| limits.sessions.clients = 2)]
#[tokio::test]
async fn a_silent_client_gives_way_to_a_limit(#[case] limit: fn(&mut Limits)) {
    let mut limits = Limits::default();
    limit(&mut limits);
    let options = TestServerOptions { limits, ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    world.session.lock(&world.file.clone(), "locker", ReadLt, (0, 1)).await;
    let mut other = world.client("other client").await;
    let theirs = other.open("other file").await;
    let lock = lock_under(theirs.stateid, "locker", ReadLt, (0, 1));
    let full = other.run_on::<Lock>(&theirs.fh, &lock).await.err();
    let third = exchange_id_args("third client", [1; 8]);
    let third = Compound::new(Minor::V2).op::<ExchangeId>(&third);
    let refused = other.client.run(&third).await.status;
    assert!(full == Some(NFS4ERR_DELAY) || refused == NFS4ERR_DELAY);
    world.pass_the_lease(&mut [&mut other]).await;
    if full.is_some() {
        assert!(other.run_on::<Lock>(&theirs.fh, &lock).await.is_ok());
    } else {
        other.client.run(&third).await.ok();
    }
    assert_eq!(world.sequence_status().await, NFS4ERR_BADSESSION);
    other.sequence().await;
    world.stop().await;
}

/// Whoever has nothing of what is scarce is in nobody's way, however long it has been silent.
#[tokio::test]
async fn a_silent_client_that_would_make_no_room_stays() {
    let mut limits = Limits::default();
    limits.state.locks_total = 1;
    let options = TestServerOptions { limits, ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    let mut other = world.client("other client").await;
    let theirs = other.open("other file").await;
    other.lock(&theirs, "locker", ReadLt, (0, 1)).await;
    world.pass_the_lease(&mut [&mut other]).await;
    let second = lock_under(theirs.stateid, "second locker", ReadLt, (0, 1));
    assert_eq!(other.run_on::<Lock>(&theirs.fh, &second).await.err(), Some(NFS4ERR_DELAY));
    assert_eq!(world.sequence_status().await, NFS4_OK);
    world.stop().await;
}

/// A file is made for an open only if there is room for it, and then there is.
#[tokio::test]
async fn a_silent_client_gives_way_to_an_open() {
    let mut limits = Limits::default();
    limits.state.opens_total = 1;
    let options = TestServerOptions { limits, ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    let mut other = world.client("other client").await;
    let args = open_args("new", READ, 0, "opener", unchecked());
    assert_eq!(other.try_open(&["export"], &args).await.err(), Some(NFS4ERR_DELAY));
    world.pass_the_lease(&mut [&mut other]).await;
    assert!(other.try_open(&["export"], &args).await.is_ok());
    assert_eq!(world.sequence_status().await, NFS4ERR_BADSESSION);
    world.stop().await;
}

#[tokio::test]
async fn the_share_reservations_of_a_silent_client_give_way() {
    let mut world = World::new().await;
    world.close().await;
    world.session.open_as("file", READ, DENY_WRITE, "owner").await;
    let mut other = world.client("other client").await;
    assert_eq!(try_open(&mut other, WRITE).await, NFS4ERR_SHARE_DENIED);
    world.pass_the_lease(&mut [&mut other]).await;
    assert_eq!(try_open(&mut other, WRITE).await, NFS4_OK);
    assert_eq!(world.told().await, SequenceStatus::EXPIRED_ALL_STATE_REVOKED);
    world.stop().await;
}

#[tokio::test]
async fn an_unlinked_file_of_a_silent_client_goes_with_its_open() {
    let mut world = World::new().await;
    let fh = world.file.fh.clone();
    world.remove("file").await;
    let mut other = world.client("other client").await;
    let size = Getattr4Args { attr_request: Bitmap::of(&[FATTR4_SIZE]) };
    assert!(other.run_on::<GetAttr>(&fh, &size).await.is_ok());
    world.pass_the_lease(&mut [&mut other]).await;
    assert!(other.run_on::<GetAttr>(&fh, &size).await.is_ok());
    let restarted = SessionOptions { verifier: [9; 8], ..SessionOptions::default() };
    drop(Client::connect(&world.server).await.session_with("client", restarted).await);
    assert_eq!(other.run_on::<GetAttr>(&fh, &size).await.err(), Some(NFS4ERR_STALE));
    world.stop().await;
}

/// Every SEQUENCE renews the lease of its client, for all of its sessions (section 8.3).
#[tokio::test]
async fn a_client_that_says_something_keeps_all() {
    let (mut world, mut other, theirs) = locked().await;
    let mut second = world.client("client").await;
    world.pass_the_lease(&mut [&mut other, &mut second]).await;
    assert_eq!(try_lock(&mut other, &theirs).await, NFS4ERR_DENIED);
    assert_eq!(world.content().await, CONTENT);
    world.stop().await;
}

/// Nothing is taken before the lease is over.
#[tokio::test]
async fn a_client_has_its_lease() {
    let (world, mut other, theirs) = locked().await;
    world.server.clock.advance(MOST_OF_THE_LEASE);
    world.server.service.reap().await;
    assert_eq!(try_lock(&mut other, &theirs).await, NFS4ERR_DENIED);
    let mut world = world;
    assert_eq!(world.sequence_status().await, NFS4_OK);
    world.stop().await;
}

/// A new instance of a client, by its verifier, takes the place of the old one when it is confirmed: the state of that is gone at once.
#[rstest]
#[case::same_instance([1; 8], NFS4ERR_DENIED)]
#[case::new_instance([2; 8], NFS4_OK)]
#[tokio::test]
async fn a_client_starts_anew(#[case] verifier: [u8; 8], #[case] expected: Status) {
    let (mut world, mut other, theirs) = locked().await;
    let options = SessionOptions { verifier, ..SessionOptions::default() };
    let mut anew = Client::connect(&world.server).await.session_with("client", options).await;
    anew.sequence().await;
    assert_eq!(try_lock(&mut other, &theirs).await, expected);
    let is_same = expected == NFS4ERR_DENIED;
    assert_eq!(anew.clientid == world.session.clientid, is_same);
    let status = world.sequence_status().await;
    assert_eq!(status, if is_same { NFS4_OK } else { NFS4ERR_BADSESSION });
    world.stop().await;
}

/// A session that goes takes no state with it: that is the client's.
#[tokio::test]
async fn state_outlives_the_session() {
    let (mut world, mut other, theirs) = locked().await;
    let mut second = world.client("client").await;
    let args = DestroySession4Args { sessionid: world.session.sessionid };
    let compound = world.session.compound().op::<DestroySession>(&args);
    world.session.client.run(&compound).await.ok();
    assert_eq!(world.sequence_status().await, NFS4ERR_BADSESSION);
    assert_eq!(try_lock(&mut other, &theirs).await, NFS4ERR_DENIED);
    second.close(&world.file).await;
    assert_eq!(try_lock(&mut other, &theirs).await, NFS4_OK);
    assert_eq!(try_open(&mut second, BOTH).await, NFS4_OK);
    world.stop().await;
}

/// A stateid of an earlier instance of the server is not one of the state that this one numbers from the beginning.
#[tokio::test]
async fn a_server_starts_anew() {
    let fs: Arc<dyn FileSystem> =
        Arc::new(StoreFileSystem::in_memory(MemoryOptions::default()).expect("a share in memory"));
    let options = || TestServerOptions { fs: fs.clone(), ..TestServerOptions::default() };
    let mut before = World::with(options(), SessionOptions::default()).await;
    let old = before.session.open("file").await.stateid;
    before.stop().await;
    let mut after = World::with(options(), SessionOptions::default()).await;
    let new = after.session.open("file").await.stateid;
    let args = TestStateid4Args { ts_stateids: vec![old, new] };
    let tested = after.run::<TestStateid>(&args).await.unwrap();
    assert_eq!(tested.tsr_status_codes, [NFS4ERR_BAD_STATEID, NFS4_OK]);
    after.stop().await;
}
