//! The reaper that a server runs: that it runs, and that it ends with the server.
//!
//! Origin: a server that has a reaper which nobody starts passes every test that calls it.
//! RFC: 8881 sections 8.3 and 18.35.4.
//! Time is tokio's, which moves on by itself when nothing else is to be done: nobody waits.
#![allow(clippy::unwrap_used)] // a failed step fails the test

use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::clock::TestClock;
use dittofs_framework::compound::Nfs4Service;
use dittofs_framework::export::{ExportId, Namespace};
use dittofs_framework::nfs_server::NfsServer;
use dittofs_framework::proto::{Minor, NFS4_OK, NFS4ERR_BADSESSION};
use dittofs_framework::server::ServerLimits;
use dittofs_tests::LocalSession;
use tokio::sync::oneshot;
use tokio::time::sleep;

const LEASE: Duration = Duration::from_secs(90);

fn service(clock: &Arc<TestClock>) -> Arc<Nfs4Service> {
    let share = dittofs_tests::share_in_memory();
    let namespace = Namespace::builder().export(ExportId(1), "/export", share).build().unwrap();
    Arc::new(Nfs4Service::builder(namespace).lease(LEASE).clock(clock.clone()).build().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_server_reaps_as_long_as_it_serves() {
    let clock = Arc::new(TestClock::default());
    let service = service(&clock);
    let limits = ServerLimits::default();
    let server = NfsServer::bind_with(service.clone(), "127.0.0.1:0", limits).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.serve(async move { drop(stopped.await) }));

    let mut session = LocalSession::open(&service, Minor::V2);
    sleep(LEASE).await;
    assert_eq!(session.run(session.compound()).status, NFS4_OK, "its lease is not over by the clock");
    clock.advance(LEASE + Duration::from_secs(1));
    sleep(LEASE / 5).await;
    assert_eq!(session.run(session.compound()).status, NFS4ERR_BADSESSION);

    drop(session);
    let mut last = LocalSession::open(&service, Minor::V2);
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(
        Arc::strong_count(&service),
        2,
        "the session's and this one: nothing runs on behind the server"
    );
    clock.advance(LEASE + Duration::from_secs(1));
    sleep(LEASE).await;
    assert_eq!(last.run(last.compound()).status, NFS4_OK, "nobody reaps any more");
}
