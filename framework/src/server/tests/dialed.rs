//! Connections that the server makes to call its clients.
//!
//! Origin: own scenarios.
//! RFC: 5531 section 9; 7530 section 10.2.1 leaves to the server how it keeps them.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::callback::{CallError, CallPath, CallbackCall, CallbackCredential, DialLimits, Dialer};
use crate::rpc::record::RecordReader;
use crate::server::TcpDialer;

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A connection from the server, and the client's end of it.
async fn connected(limits: DialLimits) -> (Arc<dyn CallPath>, TcpStream, TcpDialer) {
    let (listener, addr) = listen().await;
    let dialer = TcpDialer::new(limits);
    let (path, accepted) = tokio::join!(dialer.dial(addr), listener.accept());
    let path = path.unwrap();
    assert_eq!(path.peer(), addr);
    (path, accepted.unwrap().0, dialer)
}

fn call(args: &[u8]) -> CallbackCall {
    CallbackCall {
        program: 0x4000_0000,
        version: 1,
        procedure: 0,
        credential: CallbackCredential::None,
        args: Bytes::copy_from_slice(args),
    }
}

async fn receive(stream: &mut TcpStream) -> Bytes {
    let mut reader = RecordReader::new(1 << 20, 1);
    loop {
        if let Some(record) = reader.next_record().unwrap() {
            return record;
        }
        assert!(stream.read_buf(reader.buffer()).await.unwrap() > 0, "closed");
    }
}

/// A reply to `call`, which came.
fn reply_to(call: &Bytes, results: &[u8]) -> Vec<u8> {
    let header = [1_u32, 0, 0, 0, 0].map(u32::to_be_bytes).concat();
    fragments(&[&call[..4], &header, results].concat(), usize::MAX)
}

#[tokio::test]
async fn a_call_is_answered() {
    let (path, mut client, _) = connected(DialLimits::default()).await;
    assert!(path.is_open());
    let calling = tokio::spawn(path.call(call(b"args")));
    let received = receive(&mut client).await;
    assert!(received.ends_with(b"args"));
    client.write_all(&reply_to(&received, b"done")).await.unwrap();
    assert_eq!(calling.await.unwrap().unwrap(), b"done"[..]);
}

/// It serves nothing: whoever calls over it is told so.
#[tokio::test]
async fn nothing_is_served() {
    let (_path, mut client, _) = connected(DialLimits::default()).await;
    client.write_all(&record(1, procedure::NULL, b"")).await.unwrap();
    let reply = receive(&mut client).await;
    assert_eq!(reply[..], [1_u32, 1, 0, 0, 0, 1].map(u32::to_be_bytes).concat());
}

#[tokio::test]
async fn a_connection_ends_with_its_path() {
    let (path, mut client, _) = connected(DialLimits::default()).await;
    let calling = tokio::spawn(path.call(call(b"")));
    receive(&mut client).await;
    drop(path);
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(calling.await.unwrap(), Err(CallError::Disconnected));
}

#[tokio::test]
async fn a_connection_that_is_idle_is_closed() {
    let limits = DialLimits { idle: Duration::from_millis(30), ..DialLimits::default() };
    let (path, mut client, _) = connected(limits).await;
    let calling = tokio::spawn(path.call(call(b"")));
    let received = receive(&mut client).await;
    // As long as an answer is waited for, it is not.
    let mut byte = [0; 1];
    let quiet = tokio::time::timeout(Duration::from_millis(100), client.read(&mut byte)).await;
    assert!(quiet.is_err());
    client.write_all(&reply_to(&received, b"")).await.unwrap();
    assert!(calling.await.unwrap().is_ok());
    assert_eq!(client.read(&mut byte).await.unwrap(), 0, "closed");
    assert!(!path.is_open());
}

#[tokio::test]
async fn there_are_no_more_connections_than_may_be() {
    let limits =
        DialLimits { connections: 1, connect_timeout: Duration::from_millis(50), ..DialLimits::default() };
    let (first, mut client, dialer) = connected(limits).await;
    let (listener, addr) = listen().await;
    let refused = dialer.dial(addr).await.err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
    drop(first);
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    let (second, accepted) = tokio::join!(dialer.dial(addr), listener.accept());
    assert!(second.unwrap().is_open());
    drop(accepted.unwrap());
}

#[tokio::test]
async fn nobody_listens() {
    let (listener, addr) = listen().await;
    drop(listener);
    let dialer = TcpDialer::new(DialLimits { connections: 1, ..DialLimits::default() });
    for _ in 0..3 {
        let refused = dialer.dial(addr).await.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused, "its place is free again");
    }
}

#[tokio::test]
async fn a_reply_that_is_too_long_ends_the_connection() {
    let limits = DialLimits { max_reply: 1000, ..DialLimits::default() };
    let (path, mut client, _) = connected(limits).await;
    let calling = tokio::spawn(path.call(call(b"")));
    let received = receive(&mut client).await;
    client.write_all(&reply_to(&received, &[1; 1001])).await.unwrap();
    assert_eq!(calling.await.unwrap(), Err(CallError::Disconnected));
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_may_be() {
    let (path, _client, _) = connected(DialLimits { calls: 2, ..DialLimits::default() }).await;
    let under_way = [path.call(call(b"")), path.call(call(b""))];
    assert_eq!(path.call(call(b"")).await, Err(CallError::Busy));
    drop(under_way);
}
