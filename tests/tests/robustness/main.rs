//! What comes from the network is never trusted: streams of anything, messages that are cut off, and arguments of any value to
//! every operation, without a panic, and with a server that answers as before.
//!
//! A panic in a request is SYSTEM_ERR on the wire, and so is, in a build with assertions, a status that the RFC does not list for
//! the operation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed step fails the test

mod arguments;
mod messages;
mod streams;

use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use dittofs_framework::proto::Minor;
use dittofs_framework::testing::{RpcClient, RpcError};
use dittofs_framework::xdr::{XdrEncode, XdrWriter};
use dittofs_tests::{Client, TestServer};

/// Bytes as they are.
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl XdrEncode for Raw<'_> {
    fn encode(&self, w: &mut XdrWriter) {
        w.raw(self.0);
    }
}

/// Panics of any thread: one in the task of a connection shows on the wire only as its end.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// A server, in a process that counts its panics.
pub(crate) async fn server() -> TestServer {
    static COUNT: Once = Once::new();
    COUNT.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            print(info);
        }));
    });
    TestServer::start().await
}

/// Nothing may have panicked, and the server must take a new client and its session.
pub(crate) async fn is_well(server: &TestServer) {
    let mut session = Client::connect(server).await.session("a new client").await;
    session.client.exchange_id(Minor::V1, "a second one", [1; 8]).await;
    session.sequence().await;
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "something panicked");
    server.service.sessions().check_invariants();
    server.service.state().check_invariants().unwrap();
}

/// What the server says on a connection until it closes it; none of it may be SYSTEM_ERR.
pub(crate) async fn listen(rpc: &mut RpcClient) -> usize {
    const ACCEPTED_SYSTEM_ERR: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
    let mut records = 0;
    loop {
        match rpc.read_record().await {
            Ok(record) => {
                assert_ne!(
                    record.get(8..24),
                    Some(&ACCEPTED_SYSTEM_ERR[..]),
                    "a request failed in the server"
                );
                records += 1;
            }
            Err(RpcError::Closed) => return records,
            Err(error) => panic!("{error}"),
        }
    }
}
