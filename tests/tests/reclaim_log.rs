//! What the log says of restarts. (A program of its own: the lines of one kind are limited for the whole process.)
//!
//! Origin: own scenario.
//! RFC: 8881 section 18.51.
#![allow(clippy::unwrap_used)] // a failed step fails the test

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dittofs_backends::state_store::MemoryStateStore;
use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_ops::lock::{Lock, Lock4Args, NfsLockType4};
use dittofs_ops::open::{Open, Open4Args, OpenClaim4, OpenDelegationType4, OpenFlag4};
use dittofs_ops::reclaim_complete::{ReclaimComplete, ReclaimComplete4Args};
use dittofs_tests::*;

/// Takes the lines of the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The line that says this.
    fn line(&self, what: &str) -> String {
        let all = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        all.lines().rev().find(|line| line.contains(what)).unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn how_much_a_client_has_reclaimed_and_how_long_that_took() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    // The server runs on this thread, as every task of this test.
    let _log = tracing::subscriber::set_default(subscriber);

    let (store, fs) = (
        Arc::new(MemoryStateStore::new()),
        StoreFileSystem::in_memory(MemoryOptions::default()).expect("a share in memory"),
    );
    let fs = Arc::new(fs);
    let boot = || {
        let (store, fs) = (Some(store.clone() as _), fs.clone());
        TestServer::start_with(TestServerOptions { store, fs, ..TestServerOptions::default() })
    };
    let server = boot().await;
    let fh = Client::connect(&server).await.session("client").await.open("file").await.fh;
    server.crash().await;

    let server = boot().await;
    let line = lines.line("grace period");
    assert!(line.contains("clients=1") && line.contains("period=90s"), "{line}");
    let options = SessionOptions::default();
    let mut client = Client::connect(&server).await.session_to_reclaim("client", options).await;
    server.clock.advance(Duration::from_secs(7));
    let previous = OpenClaim4::Previous(OpenDelegationType4::None);
    let args = Open4Args { claim: previous, ..open_args("", BOTH, 0, "owner", OpenFlag4::NoCreate(())) };
    let stateid = client.run_on::<Open>(&fh, &args).await.unwrap().stateid;
    let args = lock_under(stateid, "locker", NfsLockType4::WriteLt, (0, 1));
    client.run_on::<Lock>(&fh, &Lock4Args { reclaim: true, ..args }).await.unwrap();
    let complete = ReclaimComplete4Args { one_fs: false };
    client.run(client.compound().op::<ReclaimComplete>(&complete)).await.ok();

    let line = lines.line("client has reclaimed its state");
    let clientid = format!("clientid={}", client.clientid.0);
    assert!(line.contains(&clientid) && line.contains("after=7s") && line.contains("reclaimed=2"), "{line}");
    let line = lines.line("grace period is over");
    assert!(line.contains("entitled=1") && line.contains("completed=1"), "{line}");
    server.stop().await;
}
