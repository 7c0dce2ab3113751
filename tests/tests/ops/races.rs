//! Several clients at once: of what only one may get, one gets it.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 9.7, 9.2, 18.10.3 and 18.16.3.

use std::sync::Arc;

use dittofs_framework::proto::{
    NFS4_OK, NFS4ERR_DENIED, NFS4ERR_EXIST, NFS4ERR_NOENT, NFS4ERR_SHARE_DENIED, Status, component,
};
use dittofs_framework::state::ShareDeny;
use dittofs_ops::lock::Lock;
use dittofs_ops::lock::NfsLockType4::WriteLt;
use dittofs_ops::open::{CreateHow4, OpenFlag4};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_tests::{
    BOTH, Client, OpenFile, READ, Session, TO_EOF, TestServer, lock_under, mode_attr, open_args, unchecked,
    walk,
};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

const CLIENTS: usize = 8;
const ROUNDS: usize = 20;

/// Runs the same in each of several clients and returns what each got in the end.
async fn all_at_once<R, F>(server: &TestServer, run: fn(Session, Arc<Barrier>) -> F) -> Vec<R>
where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(CLIENTS));
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        let session = Client::connect(server).await.session(&format!("client {number}")).await;
        tasks.spawn(run(session, barrier.clone()));
    }
    tasks.join_all().await
}

/// How many of each status all clients got.
fn count(results: &[Vec<Status>], status: Status) -> usize {
    results.iter().flatten().filter(|result| **result == status).count()
}

async fn create_guarded(mut session: Session, barrier: Arc<Barrier>) -> Vec<Status> {
    let mut results = Vec::new();
    for round in 0..ROUNDS {
        let how = OpenFlag4::Create(CreateHow4::Guarded(mode_attr(0o644)));
        let args = open_args(&format!("new {round}"), BOTH, 0, "owner", how);
        barrier.wait().await;
        results.push(session.try_open(&["export"], &args).await.err().unwrap_or(NFS4_OK));
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_creates() {
    let server = TestServer::start().await;
    let results = all_at_once(&server, create_guarded).await;
    assert_eq!(count(&results, NFS4_OK), ROUNDS);
    assert_eq!(count(&results, NFS4ERR_EXIST), ROUNDS * (CLIENTS - 1));
    server.stop().await;
}

async fn open_alone(mut session: Session, barrier: Arc<Barrier>) -> Vec<Status> {
    let mut results = Vec::new();
    for _ in 0..ROUNDS {
        let args = open_args("file", BOTH, ShareDeny::BOTH.bits(), "owner", unchecked());
        barrier.wait().await;
        let opened = session.try_open(&["export"], &args).await;
        barrier.wait().await;
        results.push(opened.as_ref().err().copied().unwrap_or(NFS4_OK));
        if let Ok((fh, answer)) = opened {
            session.close(&OpenFile { fh, stateid: answer.stateid }).await;
        }
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_opens_for_itself() {
    let server = TestServer::start().await;
    let results = all_at_once(&server, open_alone).await;
    assert_eq!(count(&results, NFS4_OK), ROUNDS);
    assert_eq!(count(&results, NFS4ERR_SHARE_DENIED), ROUNDS * (CLIENTS - 1));
    server.stop().await;
}

async fn lock_alone(mut session: Session, barrier: Arc<Barrier>) -> Vec<Status> {
    let file = session.open("file").await;
    let mut results = Vec::new();
    for _ in 0..ROUNDS {
        let args = lock_under(file.stateid, "locker", WriteLt, (0, TO_EOF));
        barrier.wait().await;
        let locked = session.run_on::<Lock>(&file.fh, &args).await;
        barrier.wait().await;
        results.push(locked.as_ref().err().copied().unwrap_or(NFS4_OK));
        if let Ok(lock) = locked {
            session.unlock(&file.fh, lock, (0, TO_EOF)).await;
        }
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_locks() {
    let server = TestServer::start().await;
    let results = all_at_once(&server, lock_alone).await;
    assert_eq!(count(&results, NFS4_OK), ROUNDS);
    assert_eq!(count(&results, NFS4ERR_DENIED), ROUNDS * (CLIENTS - 1));
    server.stop().await;
}

/// Opens, writes to, removes and closes one name, against all others who do the same: every open has its file until it is closed.
async fn come_and_go(mut session: Session, barrier: Arc<Barrier>) -> Vec<Status> {
    let mut results = Vec::new();
    barrier.wait().await;
    for _ in 0..ROUNDS {
        let file = session.open("file").await;
        session.write(&file, 0, b"data").await;
        assert_eq!(&session.read(&file, 0, 4).await.data[..], b"data");
        let remove = Remove4Args { target: component("file") };
        let compound = walk(session.compound(), &["export"]).op::<Remove>(&remove);
        results.push(session.run(compound).await.status);
        assert_eq!(&session.read(&file, 0, 4).await.data[..], b"data");
        session.close(&file).await;
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_and_go() {
    let server = TestServer::start().await;
    let results = all_at_once(&server, come_and_go).await;
    assert_eq!(count(&results, NFS4_OK) + count(&results, NFS4ERR_NOENT), ROUNDS * CLIENTS);
    let mut session = Client::connect(&server).await.session("last client").await;
    let args = open_args("file", READ, 0, "owner", OpenFlag4::NoCreate(()));
    assert_eq!(session.try_open(&["export"], &args).await.err(), Some(NFS4ERR_NOENT));
    server.stop().await;
}

/// Opens by name what the others make and remove: it is there or it is not, but the directory is never stale.
async fn open_by_name(mut session: Session, barrier: Arc<Barrier>) -> Vec<Status> {
    let mut results = Vec::new();
    barrier.wait().await;
    for _ in 0..10 * ROUNDS {
        let args = open_args("file", READ, 0, "owner", OpenFlag4::NoCreate(()));
        let opened = session.try_open(&["export"], &args).await;
        results.push(opened.as_ref().err().copied().unwrap_or(NFS4_OK));
        if let Ok((fh, answer)) = opened {
            session.close(&OpenFile { fh, stateid: answer.stateid }).await;
        }
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_there_or_not() {
    let server = TestServer::start().await;
    let (others, results) = tokio::join!(all_at_once(&server, come_and_go), async {
        let lone = Arc::new(Barrier::new(1));
        let session = Client::connect(&server).await.session("opening client").await;
        tokio::spawn(open_by_name(session, lone)).await.unwrap()
    });
    assert_eq!(others.len(), CLIENTS);
    let results = [results];
    assert_eq!(count(&results, NFS4_OK) + count(&results, NFS4ERR_NOENT), 10 * ROUNDS, "{results:?}");
    server.stop().await;
}
