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
