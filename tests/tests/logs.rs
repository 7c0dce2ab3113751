//! Whatever a client does as often as it likes leaves some lines in the log, not as many as it likes.
//!
//! Origin: own scenario.
//! RFC: none.
#![allow(clippy::unwrap_used)] // a failed step fails the test

use std::io;
use std::sync::{Arc, Mutex};

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::layer::Layer;
use dittofs_framework::op::{DynOperation, OpError, OpFuture};
use dittofs_framework::proto::*;
use dittofs_framework::registry::Registry;
use dittofs_framework::testing::RpcClient;
use dittofs_framework::xdr::{XdrReader, XdrWriter};
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_tests::*;

const TIMES: usize = 100;
/// Of one kind, in the ten seconds that the test may take twice.
const LINES: usize = 20;

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
    /// How many lines say this.
    fn saying(&self, what: &str) -> usize {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().matches(what).count()
    }
}

/// An operation of which nothing good comes.
enum Broken {
    Failing,
    Panicking,
}

impl Layer for Broken {
    fn call<'a>(
        &'a self,
        _next: &'a dyn DynOperation,
        _cx: &'a mut CompoundContext<'_>,
        _args: &'a mut XdrReader<'_>,
        _reply: &'a mut XdrWriter,
    ) -> OpFuture<'a> {
        match self {
            Self::Failing => Box::pin(async { Err(OpError::Status(NFS4ERR_SERVERFAULT)) }),
            Self::Panicking => panic!("as a test wants it"),
        }
    }
}

#[tokio::test]
async fn clients_cannot_fill_the_log() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    // The server runs on this thread, as every task of this test.
    let _log = tracing::subscriber::set_default(subscriber);

    let registry = Registry::linked();
    let registry = registry.wrap(OP_GETFH, Broken::Failing).wrap(OP_SAVEFH, Broken::Panicking);
    let server = TestServer::start_with(TestServerOptions { registry, ..TestServerOptions::default() }).await;
    let mut session = Client::connect(&server).await.session("one").await;
    for index in 0..TIMES {
        let failing = session.compound().op::<PutRootFh>(&()).raw(OP_GETFH, &[]);
        assert_eq!(session.run(failing).await.status, NFS4ERR_SERVERFAULT);

        let sequence = session.sequence_args(1);
        let panicking = session.compound().op::<dittofs_ops::sequence::Sequence>(&sequence);
        let panicking = panicking.op::<PutRootFh>(&()).raw(OP_SAVEFH, &[]);
        session.client.try_run(&panicking).await.unwrap_err();
        session.slots[1] += 1;

        // Another incarnation of the same client, with which the one before is gone.
        let verifier = u64::try_from(index).unwrap().to_be_bytes();
        let options = SessionOptions { verifier, ..SessionOptions::default() };
        Client::connect(&server).await.session_with("two", options).await;

        let mut garbage = RpcClient::connect(server.addr).await.unwrap();
        garbage.write_raw(&u32::MAX.to_be_bytes()).await.unwrap();
        garbage.read_record().await.unwrap_err();
    }
    for what in ["fault of the server", "a request panicked", "client is gone", "connection closed"] {
        let said = lines.saying(what);
        assert!((1..=LINES).contains(&said), "{said} lines of {TIMES} say '{what}'");
    }
    server.stop().await;
}
