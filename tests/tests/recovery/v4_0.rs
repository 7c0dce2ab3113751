//! Origin: restarts as clients of minor version 0 see them, alone and beside clients with sessions.
//! RFC: 7530 sections 9.1.11, 9.6.2, 9.6.3.4 and 16.16.

use dittofs_framework::proto::*;
use dittofs_ops::link::{Link, Link4Args};
use dittofs_ops::lock::{Lock, Lock4Args, NfsLockType4::*};
use dittofs_ops::lockt::{Lockt, Lockt4Args};
use dittofs_ops::open::{OPEN4_RESULT_CONFIRM, Open, Open4Args, OpenClaim4, OpenDelegationType4, OpenFlag4};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::renew::{Renew, Renew4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_tests::*;
use rstest::rstest;

use crate::world::*;

async fn client(server: &TestServer) -> ClientV4_0 {
    ClientV4_0::connect(server, "client").await
}

async fn another_incarnation(server: &TestServer) -> ClientV4_0 {
    ClientV4_0::establish(Client::connect(server).await, "client", [9; 8]).await
}

/// A client has a file open; then the server restarts.
async fn after_open() -> (World, TestServer, OpenFile) {
    let world = World::new();
    let server = world.boot().await;
    let file = client(&server).await.open("file").await;
    let server = world.reboot(server).await;
    (world, server, file)
}

fn previous_of(client: &mut ClientV4_0, access: u32) -> Open4Args {
    client.claim_args(access, "opener", OpenClaim4::Previous(OpenDelegationType4::None))
}

async fn reclaim_open(client: &mut ClientV4_0, fh: &NfsFh4) -> Result<OpenFile, Status> {
    let args = previous_of(client, BOTH);
    let opened = client.run_on::<Open>(fh, &args).await?;
    assert_eq!(opened.rflags & OPEN4_RESULT_CONFIRM, 0, "a reclaim is not to be confirmed");
    Ok(OpenFile { fh: fh.clone(), stateid: opened.stateid })
}

async fn try_open_new(client: &mut ClientV4_0, name: &str) -> Result<(), Status> {
    let args = client.open_args(name, BOTH, 0, "opener", OpenFlag4::NoCreate(()));
    client.try_open(&args).await.map(drop)
}

fn lock_args(client: &mut ClientV4_0, file: &OpenFile, range: LockRange) -> Lock4Args {
    client.lock_args(file.stateid, "opener", "locker", WriteLt, range)
}

#[tokio::test]
async fn opens_and_locks_are_as_they_were() {
    let world = World::new();
    let server = world.boot().await;
    let mut first = client(&server).await;
    let old = first.open("file").await;
    first.lock(&old, (0, 10)).await;

    let server = world.reboot(server).await;
    first.client = Client::connect(&server).await;
    let renew = first.compound().op::<Renew>(&Renew4Args { clientid: first.clientid });
    assert_eq!(first.run(renew).await.status, NFS4ERR_STALE_CLIENTID);
    let read = Read4Args { stateid: old.stateid, offset: 0, count: 1 };
    assert_eq!(first.run_on::<Read>(&old.fh, &read).await.err(), Some(NFS4ERR_STALE_STATEID));

    let mut first = client(&server).await;
    assert_eq!(try_open_new(&mut first, "file").await, Err(NFS4ERR_GRACE));
    let file = reclaim_open(&mut first, &old.fh).await.unwrap();
    let read = Read4Args { stateid: file.stateid, ..read };
    first.run_on::<Read>(&file.fh, &read).await.unwrap();
    let args = lock_args(&mut first, &file, (0, 10));
    assert_eq!(first.run_on::<Lock>(&file.fh, &args).await, Err(NFS4ERR_GRACE));
    let args = reclaim(lock_args(&mut first, &file, (0, 10)));
    let lock = first.run_on::<Lock>(&file.fh, &args).await.unwrap();
    let args = reclaim(first.relock_args(lock, "locker", WriteLt, (20, 10)));
    first.run_on::<Lock>(&file.fh, &args).await.unwrap();

    // It never says that it has reclaimed all: the whole time is waited.
    server.clock.advance(ALMOST_GRACE);
    server.service.reap().await;
    assert_eq!(try_open_new(&mut first, "file").await, Err(NFS4ERR_GRACE));
    server.clock.advance(SECOND);
    server.service.reap().await;
    try_open_new(&mut first, "file").await.unwrap();
    let mut other = session(&server, "other", Minor::V2).await;
    let other_file = other.open("file").await;
    other.denied::<Lock>(&file.fh, &lock_under(other_file.stateid, "locker", WriteLt, (5, 1))).await;
    server.stop().await;
}

#[tokio::test]
async fn a_reclaim_that_is_sent_again_is_answered_again() {
    let (_world, server, file) = after_open().await;
    let mut client = client(&server).await;
    let args = previous_of(&mut client, BOTH);
    let first = client.run_on::<Open>(&file.fh, &args).await.unwrap();
    let again = client.run_on::<Open>(&file.fh, &args).await.unwrap();
    assert_eq!(again.stateid, first.stateid);
    server.stop().await;
}

#[derive(Clone, Copy)]
enum Claimant {
    Stranger,
    Restarted,
    AnotherUser,
    /// A client with sessions under the same name.
    WithSessions,
    Late,
}

#[rstest]
#[case::stranger(Claimant::Stranger)]
#[case::restarted(Claimant::Restarted)]
#[case::another_user(Claimant::AnotherUser)]
#[case::with_sessions(Claimant::WithSessions)]
#[case::late(Claimant::Late)]
#[tokio::test]
async fn who_may_not_reclaim(#[case] who: Claimant) {
    let (_world, server, file) = after_open().await;
    let mut claimant = match who {
        Claimant::Stranger => ClientV4_0::connect(&server, "stranger").await,
        Claimant::Restarted => another_incarnation(&server).await,
        Claimant::AnotherUser => {
            let mut client = Client::connect(&server).await;
            client.act_as(1000, 1000, &[]);
            ClientV4_0::establish(client, "client", [1; 8]).await
        }
        Claimant::WithSessions => {
            let mut session = back(&server, "client", Minor::V1).await;
            assert_eq!(session.reclaim(&file.fh).await.unwrap_err(), NFS4ERR_NO_GRACE);
            server.stop().await;
            return;
        }
        Claimant::Late => {
            server.service.end_grace().await.unwrap();
            client(&server).await
        }
    };
    assert_eq!(reclaim_open(&mut claimant, &file.fh).await.unwrap_err(), NFS4ERR_NO_GRACE);
    server.stop().await;
}

#[tokio::test]
async fn others_wait() {
    let (_world, server, file) = after_open().await;
    let mut other = ClientV4_0::connect(&server, "other").await;
    let anonymous = Read4Args { stateid: Stateid::ANONYMOUS, offset: 0, count: 1 };
    let test = Lockt4Args { owner: other.owner("tester"), ..lock_test("tester", WriteLt, (0, 1)) };
    let remove = Remove4Args { target: component("file") };
    let share = walk(other.compound(), &["export"]);
    for (status, is_over) in [(NFS4ERR_GRACE, false), (NFS4_OK, true)] {
        if is_over {
            server.service.end_grace().await.unwrap();
        }
        assert_eq!(try_open_new(&mut other, "file").await.err().unwrap_or(NFS4_OK), status);
        let read = other.run_on::<Read>(&file.fh, &anonymous).await;
        assert_eq!(read.err().unwrap_or(NFS4_OK), status);
        let tested = other.run_on::<Lockt>(&file.fh, &test).await;
        assert_eq!(tested.err().unwrap_or(NFS4_OK), status);
        assert_eq!(other.run(share.clone().op::<Remove>(&remove)).await.status, status);
    }
    server.stop().await;
}

#[tokio::test]
async fn who_restarted_is_not_waited_for() {
    let (_world, server, _) = after_open().await;
    another_incarnation(&server).await;
    server.service.reap().await;
    assert!(!server.service.grace().is_in_force());
    server.stop().await;
}

/// RFC 7530 section 13.2 has no NFS4ERR_GRACE for it.
#[tokio::test]
async fn a_name_more_is_no_matter() {
    let (_world, server, file) = after_open().await;
    let mut other = ClientV4_0::connect(&server, "other").await;
    let link = Link4Args { newname: component("name") };
    let compound = other.compound().op::<PutFh>(&put(&file.fh)).op::<SaveFh>(&());
    other.run(walk(compound, &["export"]).op::<Link>(&link)).await.ok();
    server.stop().await;
}

/// Whether the client may reclaim in the instance after one in which these things happened.
#[derive(Clone, Copy)]
enum Meanwhile {
    /// It did not come back in time.
    Absent,
    /// It reclaimed, and the grace period ended.
    Reclaimed,
    /// The server went down again.
    Nothing,
    /// It reclaimed, and was cut off until somebody else had the file.
    CutOff,
}

#[rstest]
#[case::second_edge_condition(Meanwhile::Absent, false)]
#[case::reclaimed(Meanwhile::Reclaimed, true)]
#[case::two_restarts_in_a_row(Meanwhile::Nothing, true)]
#[case::first_edge_condition(Meanwhile::CutOff, false)]
#[tokio::test]
async fn histories(#[case] meanwhile: Meanwhile, #[case] expected: bool) {
    let (world, server, file) = after_open().await;
    match meanwhile {
        Meanwhile::Absent => server.service.end_grace().await.unwrap(),
        Meanwhile::Nothing => {}
        Meanwhile::Reclaimed | Meanwhile::CutOff => {
            let mut client = client(&server).await;
            reclaim_open(&mut client, &file.fh).await.unwrap();
            server.service.end_grace().await.unwrap();
        }
    }
    if matches!(meanwhile, Meanwhile::CutOff) {
        server.clock.advance(LEASE + SECOND);
        let mut other = ClientV4_0::connect(&server, "other").await;
        let taken = other.open_as("file", READ, BOTH, "opener").await;
        other.close(&taken, "opener").await.unwrap();
    }
    let server = world.reboot(server).await;
    let reclaimed = reclaim_open(&mut client(&server).await, &file.fh).await;
    assert_eq!(reclaimed.is_ok(), expected);
    assert!(expected || reclaimed.unwrap_err() == NFS4ERR_NO_GRACE);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn clients_of_both_kinds_reclaim(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let world = World::new();
    let server = world.boot().await;
    let mut old = client(&server).await;
    let file = old.open("file").await;
    old.lock(&file, (0, 10)).await;
    let mut new = session(&server, "new", minor).await;
    let other = new.open("file").await;
    new.lock(&other, "locker", WriteLt, (10, 10)).await;

    let server = world.reboot(server).await;
    let mut new = back(&server, "new", minor).await;
    let other = new.reclaim(&file.fh).await.unwrap();
    new.try_lock(&file.fh, &reclaim(lock_under(other.stateid, "locker", WriteLt, (10, 10)))).await.unwrap();
    assert_eq!(new.complete().await, NFS4_OK);
    // The other kind is still waited for.
    assert_eq!(new.try_open_new("file").await.unwrap_err(), NFS4ERR_GRACE);
    let mut old = client(&server).await;
    let file = reclaim_open(&mut old, &file.fh).await.unwrap();
    let args = reclaim(lock_args(&mut old, &file, (5, 10)));
    assert_eq!(old.run_on::<Lock>(&file.fh, &args).await, Err(NFS4ERR_RECLAIM_CONFLICT));
    let args = reclaim(lock_args(&mut old, &file, (0, 10)));
    old.run_on::<Lock>(&file.fh, &args).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn no_open_without_a_record() {
    let world = World::new();
    let server = world.boot().await;
    let mut client = client(&server).await;
    world.store.break_down();
    let args = client.open_args("file", BOTH, 0, "opener", unchecked());
    assert_eq!(client.try_open(&args).await.unwrap_err(), NFS4ERR_DELAY);
    assert!(!server.service.state().has_state(client.clientid));
    world.store.mend();
    client.open("file").await;
    assert_eq!(world.store.recovered().clients.len(), 1);
    server.stop().await;
}
