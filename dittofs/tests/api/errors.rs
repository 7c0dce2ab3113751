//! What is answered to requests that are not carried out, and the limits of the API.
//!
//! Origin: own; connections that send their head slowly or never end.
//! RFC: 9110 section 15.5, 9112 sections 3 and 9.5.

use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::client::{Protocol, UserId};
use dittofs_framework::recovery::{ClientKey, ReclaimRecord, Recovered, StateEvent, StateStore, StoreError};
use dittofs_framework::rpc::{AuthFlavor, BoxFuture};
use dittofs_tests::{TestServer, TestServerOptions};
use rstest::rstest;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::world::World;

#[rstest]
#[case::unknown_path("GET", "/api/v2/clients", "", 404, "there is no /api/v2/clients")]
#[case::unknown_method("DELETE", "/api/v1/clients", "", 405, "/api/v1/clients cannot be asked with DELETE")]
#[case::large_body(
    "POST",
    "/api/v1/grace/end",
    "content-length: 4097\r\n",
    413,
    "the body of the request is larger than 4096 bytes"
)]
#[case::no_limit("GET", "/api/v1/delegations?limit=0", "", 400, "limit is 0, and not from 1 to 10000")]
#[case::large_limit(
    "GET",
    "/api/v1/delegations?limit=10001",
    "",
    400,
    "limit is 10001, and not from 1 to 10000"
)]
#[case::bad_client(
    "GET",
    "/api/v1/delegations?client=a",
    "",
    400,
    "Failed to deserialize query string: client: invalid digit found in string"
)]
#[case::bad_cursor(
    "GET",
    "/api/v1/delegations?after=1",
    "",
    400,
    "\"1\" is not a stateid: 24 hexadecimal digits, its field `other`"
)]
#[case::no_stateid(
    "POST",
    "/api/v1/delegations/%C3%A9/recall",
    "",
    400,
    "\"é\" is not a stateid: 24 hexadecimal digits, its field `other`"
)]
#[case::signed_stateid(
    "POST",
    "/api/v1/delegations/+00000000000000000000001/recall",
    "",
    400,
    "\"+00000000000000000000001\" is not a stateid: 24 hexadecimal digits, its field `other`"
)]
#[case::unknown_delegation(
    "POST",
    "/api/v1/delegations/000000000000000000000001/recall",
    "",
    404,
    "there is no delegation with the stateid 000000000000000000000001"
)]
#[case::web_page(
    "POST",
    "/api/v1/grace/end",
    "origin: http://a.example\r\ncontent-length: 0\r\n",
    403,
    "requests of web pages are refused"
)]
#[tokio::test]
async fn a_request_that_is_not_carried_out_gets_a_reason(
    #[case] method: &str,
    #[case] path: &str,
    #[case] headers: &str,
    #[case] status: u16,
    #[case] reason: &str,
) {
    let world = World::new().await;
    let answer = world.ask(method, path, headers).await;
    assert_eq!((answer.status, answer.json()), (status, json!({ "error": reason })));
}

#[rstest]
#[case::get("GET")]
#[case::head("HEAD")]
#[tokio::test]
async fn a_request_that_changes_nothing_may_be_of_a_web_page(#[case] method: &str) {
    let world = World::new().await;
    assert_eq!(world.ask(method, "/health/live", "origin: http://a.example\r\n").await.status, 200);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_not_read() {
    let world = World::new().await;
    let header = format!("filler: {}\r\n", "x".repeat(20 << 10));
    assert_eq!(world.ask("GET", "/health/live", &header).await.status, 431);
}

/// A store that knows of a client with something to reclaim, and does not record that it cannot any more.
#[derive(Debug, Clone, Copy)]
enum Store {
    Fails,
    Hangs,
}

impl StateStore for Store {
    fn begin(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        let key = ClientKey { protocol: Protocol::Sessions, owner: "client".into() };
        let user = UserId { flavor: AuthFlavor::Sys, uid: 0 };
        let clients = vec![ReclaimRecord { key, verifier: [1; 8], user }];
        Box::pin(async { Ok(Recovered { boot_epoch: 1, clients }) })
    }

    fn append(&self, _: StateEvent) -> BoxFuture<'static, Result<(), StoreError>> {
        match self {
            Self::Fails => Box::pin(async { Err(StoreError::Closed) }),
            Self::Hangs => Box::pin(std::future::pending()),
        }
    }
}

// The clock goes on by itself when everybody waits.
#[rstest]
#[case::fails(
    Store::Fails,
    500,
    "the end of the grace period cannot be recorded, and it goes on: the state store is closed"
)]
#[case::hangs(Store::Hangs, 503, "not done within 30 seconds")]
#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_do_its_part_is_told(
    #[case] store: Store,
    #[case] status: u16,
    #[case] reason: &str,
) {
    let options = TestServerOptions { store: Some(Arc::new(store)), ..Default::default() };
    let world = World::of(TestServer::start_with(options).await).await;
    let answer = world.post("/api/v1/grace/end").await;
    assert_eq!((answer.status, answer.json()), (status, json!({ "error": reason })));
    assert!(world.server.service.grace().is_in_force());
}

async fn silent(world: &World) -> TcpStream {
    let mut stream = TcpStream::connect(world.api).await.unwrap();
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost:").await.unwrap();
    stream
}

async fn until_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_silent_is_closed() {
    let world = World::new().await;
    let begun = Instant::now();
    until_closed(&mut silent(&world).await).await;
    assert_eq!(begun.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn too_many_connections_wait_for_each_other() {
    let world = World::new().await;
    let begun = Instant::now();
    let mut others = Vec::new();
    for _ in 0..63 {
        others.push(silent(&world).await);
    }
    assert_eq!(world.get("/health/live").await.status, 200);
    assert_eq!(begun.elapsed().as_secs(), 0, "one more is served at once");
    others.push(silent(&world).await);
    assert_eq!(world.get("/health/live").await.status, 200);
    assert_eq!(begun.elapsed().as_secs(), 15, "the next when one of the others is closed");
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_however_busy_it_is() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.api).await.unwrap();
    let begun = Instant::now();
    let mut answer = [0; 1024];
    loop {
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        if stream.read(&mut answer).await.unwrap() == 0 {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(7)) => {}
            _ = stream.readable() => break,
        }
    }
    assert_eq!(begun.elapsed().as_secs(), 300);
}
