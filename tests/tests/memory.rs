//! How much memory clients can make the server use by being there, by announcing much, and by claiming much.
//!
//! One test in a process of its own: the resident memory of the process is what is measured, this side of the connections
//! included, and nothing else must move it.
//!
//! Origin: the bounds are several times what is measured today, and a small part of what was announced.
//! RFC: none.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step fails the test

use std::net::SocketAddr;

use dittofs_framework::proto::*;
use dittofs_framework::testing::{Compound, RpcClient, RpcCredential, encode_call, fragments};
use dittofs_ops::exchange_id::ExchangeId;
use dittofs_tests::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CLIENTS: usize = 1000;
const MIB: usize = 1 << 20;

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}

/// Both ends of each connection are open files of this process.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let enough = u64::try_from(4 * CLIENTS).unwrap();
    assert!(limit.maximum.is_none_or(|most| most >= enough), "the limit of open files is {limit:?}");
}

/// `CLIENTS` connections, on each of which `bytes` were sent.
async fn connect(addr: SocketAddr, bytes: &[u8]) -> Vec<TcpStream> {
    let mut streams = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        streams.push(stream);
    }
    streams
}

/// Nothing that was sent before is unread when a request by a new connection was answered: they are served in turn.
async fn settle(server: &TestServer) {
    for _ in 0..3 {
        Client::connect(server).await.run(&Compound::new(Minor::V1)).await.ok();
    }
}

/// What the process has grown by since `before`.
fn growth(before: usize) -> usize {
    resident().saturating_sub(before)
}

async fn idle_connections(server: &TestServer) {
    let before = resident();
    let streams = connect(server.addr, &[]).await;
    settle(server).await;
    let grown = growth(before);
    assert!(grown < 16 * MIB, "{grown} bytes for {CLIENTS} connections that never said a word");
    let mut session = Client::connect(server).await.session("beside idle ones").await;
    let file = session.open("file").await;
    session.write(&file, 0, b"served").await;
    assert_eq!(&session.read(&file, 0, 10).await.data[..], b"served");
    drop(streams);
}

async fn sessions_that_are_idle(server: &TestServer) {
    let before = resident();
    let mut sessions = Vec::with_capacity(CLIENTS);
    for index in 0..CLIENTS {
        sessions.push(Client::connect(server).await.session(&format!("idle {index}")).await);
    }
    let grown = growth(before);
    assert!(grown < 64 * MIB, "{grown} bytes for {CLIENTS} clients with a session and a connection");
    for session in &mut sessions {
        session.sequence().await;
    }
}

/// Half of a header, a header without a body, and large bodies that never come.
async fn records_that_never_come(server: &TestServer) {
    let largest = 0x8000_0000_u32 + (1 << 20) + (64 << 10);
    let unfinished = 1_u32 << 20;
    let mut begun = largest.to_be_bytes().to_vec();
    begun.extend([0; 1000]);
    let starts: [&[u8]; 4] = [&[0x80, 0], &largest.to_be_bytes(), &unfinished.to_be_bytes(), &begun];
    for start in starts {
        let before = resident();
        let streams = connect(server.addr, start).await;
        settle(server).await;
        let grown = growth(before);
        assert!(grown < 32 * MIB, "{grown} bytes for {CLIENTS} records of {} bytes begun", start.len());
        drop(streams);
    }
}

async fn headers_of_four_gigabytes(server: &TestServer) {
    let before = resident();
    let mut streams = connect(server.addr, &u32::MAX.to_be_bytes()).await;
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0, "the server closes the connection");
    }
    let grown = growth(before);
    assert!(grown < 16 * MIB, "{grown} bytes for {CLIENTS} headers");
}

/// EXCHANGE_ID whose every word in turn claims 2^32-1 bytes or elements.
async fn claims(server: &TestServer) {
    let before = resident();
    let credential = RpcCredential::sys(0, 0, &[]);
    let compound = Compound::new(Minor::V1).op::<ExchangeId>(&exchange_id_args("claims", [1; 8]));
    let message = encode_call(1, Client::COMPOUND, &credential, &compound.encode());
    for round in 0..CLIENTS {
        let mut message = message.to_vec();
        let at = 4 * (round % (message.len() / 4));
        message.splice(at..at + 4, u32::MAX.to_be_bytes());
        let mut rpc = RpcClient::connect(server.addr).await.unwrap();
        rpc.write_raw(&fragments(&message, usize::MAX)).await.unwrap();
        rpc.finish_sending().await.unwrap();
        while rpc.read_record().await.is_ok() {}
    }
    let grown = growth(before);
    assert!(grown < 16 * MIB, "{grown} bytes for {CLIENTS} claims");
}

#[tokio::test]
async fn memory_is_bounded() {
    allow_many_files();
    let server = TestServer::start().await;
    // What is made once is made now.
    drop(Client::connect(&server).await.session("first").await);
    idle_connections(&server).await;
    sessions_that_are_idle(&server).await;
    records_that_never_come(&server).await;
    headers_of_four_gigabytes(&server).await;
    claims(&server).await;
    Client::connect(&server).await.session("last").await.sequence().await;
    server.stop().await;
}
