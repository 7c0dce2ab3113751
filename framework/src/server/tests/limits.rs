//! Every limit of [`ServerLimits`] that is not about records, and its effect.
//!
//! Origin: own scenarios.
//! RFC: none; the limits are this server's.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::testing::{RpcClient, RpcError};

#[tokio::test]
async fn one_connection_over_the_limit_is_closed_and_the_others_go_on() {
    let server = start(ServerLimits { max_connections: 2, ..ServerLimits::default() }).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = RpcClient::connect(server.addr).await.unwrap();
        client.call(target(procedure::NULL), &cred(), &()).await.unwrap();
        clients.push(client);
    }
    let mut newest = RpcClient::connect(server.addr).await.unwrap();
    assert!(matches!(newest.read_record().await, Err(RpcError::Closed)));
    for client in &mut clients {
        client.call(target(procedure::NULL), &cred(), &()).await.unwrap();
    }
    // One goes, and sooner or later its place is free.
    clients.pop();
    loop {
        let mut client = RpcClient::connect(server.addr).await.unwrap();
        if client.call(target(procedure::NULL), &cred(), &()).await.is_ok() {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_run_than_may_be_in_flight() {
    let mut wired = wire(ServerLimits { max_in_flight: 3, ..ServerLimits::default() });
    for xid in 0..10 {
        wired.client.write_all(&record(xid, procedure::GATED, b"")).await.unwrap();
    }
    settle().await;
    assert_eq!(wired.program.counts().begun, 3);
    wired.program.gate.add_permits(2);
    settle().await;
    assert_eq!(wired.program.counts(), Counts { begun: 5, finished: 2 });
    wired.program.gate.add_permits(100);
    settle().await;
    assert_eq!(wired.program.counts().finished, 10);
}

#[tokio::test(start_paused = true)]
async fn no_more_bytes_of_requests_are_held_than_may_be_in_flight() {
    let wired = wire(ServerLimits { max_in_flight_bytes: 25_000, ..ServerLimits::default() });
    let records: Vec<u8> = (0..8).flat_map(|xid| record(xid, procedure::GATED, &[1; 10_000])).collect();
    let (mut from, mut to) = tokio::io::split(wired.client);
    let writing = tokio::spawn(async move { to.write_all(&records).await.map(|()| to) });
    settle().await;
    assert_eq!(wired.program.counts().begun, 3);
    wired.program.gate.add_permits(1);
    let mut replies = vec![0; 10_028];
    from.read_exact(&mut replies).await.unwrap();
    settle().await;
    assert_eq!(wired.program.counts().begun, 4);
    wired.program.gate.add_permits(100);
    replies.resize(7 * 10_028, 0);
    from.read_exact(&mut replies).await.unwrap();
    drop(writing.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_replies_is_not_read_from() {
    let limits = ServerLimits { max_unsent: 100_000, ..ServerLimits::default() };
    let wired = wire(limits);
    let (mut from, mut to) = tokio::io::split(wired.client);
    let fill = record(1, procedure::FILL, &40_000_u32.to_be_bytes());
    let writing = tokio::spawn(async move {
        for _ in 0..500 {
            to.write_all(&fill).await.unwrap();
        }
        to
    });
    settle().await;
    // The third one is over the limit; one leaves its place to the wire.
    assert!((3..=4).contains(&wired.program.counts().begun), "{:?}", wired.program.counts());
    assert!(wired.program.fill.peak.load(Ordering::SeqCst) <= 160_000);
    // As soon as it takes them, everything goes on.
    let mut reply = vec![0; 40_032];
    for _ in 0..500 {
        from.read_exact(&mut reply).await.unwrap();
    }
    drop(writing.await.unwrap());
    assert!(wired.program.fill.peak.load(Ordering::SeqCst) <= 160_000);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_for_too_long_is_closed() {
    let write_stall = Duration::from_secs(20);
    let mut wired = wire(ServerLimits { write_stall, ..ServerLimits::default() });
    let fill = record(1, procedure::FILL, &40_000_u32.to_be_bytes());
    wired.client.write_all(&fill).await.unwrap();
    // As long as it takes a little now and then it is only slow.
    for _ in 0..10 {
        tokio::time::sleep(write_stall * 3 / 4).await;
        wired.client.read_exact(&mut [0; 1000]).await.unwrap();
    }
    tokio::time::sleep(write_stall * 3 / 4).await;
    assert!(!wired.task.is_finished());
    tokio::time::sleep(write_stall).await;
    assert!(wired.task.is_finished());
    assert!(matches!(wired.task.await.unwrap(), Ending::Stalled));
}

#[tokio::test]
async fn a_client_that_never_reads_costs_bounded_memory_and_is_closed() {
    let max_unsent = 256 << 10;
    let limits =
        ServerLimits { max_unsent, write_stall: Duration::from_millis(300), ..ServerLimits::default() };
    let server = start(limits).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    let fill = record(1, procedure::FILL, &65_536_u32.to_be_bytes());
    // It writes on until the server has had enough.
    while client.write_raw(&fill).await.is_ok() {}
    assert!(server.program.counts().begun > 4);
    assert!(server.program.fill.peak.load(Ordering::SeqCst) <= max_unsent + 65_536);
}

#[tokio::test]
async fn other_tasks_have_their_turn_within_a_batch() {
    let program = Probe::new(2..=VERSION);
    let limits = ServerLimits { max_batch: 5, ..ServerLimits::default() };
    let (mut client, task) = wire_to(Arc::clone(&program), limits);
    for xid in 0..30 {
        client.write_all(&record(xid, procedure::NULL, b"")).await.unwrap();
    }
    let task = tokio::spawn(task.run(std::future::pending()));
    let other = tokio::spawn(async move {
        let mut before = 0;
        while before < 30 {
            tokio::task::yield_now().await;
            let begun = program.counts().begun;
            // The order of the two changes between turns.
            assert!(begun - before <= 2 * 5, "{} without a turn", begun - before);
            before = begun;
        }
    });
    other.await.unwrap();
    drop(client);
    task.await.unwrap();
}

#[tokio::test]
async fn draining_gives_up_after_its_timeout() {
    let limits = ServerLimits { drain_timeout: Duration::from_millis(50), ..ServerLimits::default() };
    let server = start(limits).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    client.send(target(procedure::GATED), &cred(), &()).await.unwrap();
    server.program.reach(|counts| counts.begun == 1).await;
    server.stop.send(()).unwrap();
    assert_eq!(server.task.await.unwrap(), Drained::TimedOut);
    assert!(matches!(client.read_record().await, Err(RpcError::Closed)));
}
