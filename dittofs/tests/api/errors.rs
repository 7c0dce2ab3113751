use std::time::Duration;

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

#[tokio::test]
async fn a_head_that_is_too_large_is_not_read() {
    let world = World::new().await;
    let header = format!("filler: {}\r\n", "x".repeat(20 << 10));
    assert_eq!(world.ask("GET", "/health/live", &header).await.status, 431);
}

// The clock goes on by itself when everybody waits.
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_silent_is_closed() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.api).await.unwrap();
    let begun = Instant::now();
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost:").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), Duration::from_secs(15).as_secs());
}
