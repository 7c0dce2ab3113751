//! How connections and requests begin and end.
//!
//! Origin: own scenarios.
//! RFC: 5531 section 11; 8881 section 2.9.1.

use std::future::poll_fn;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::testing::{RpcClient, RpcError};

#[tokio::test]
async fn a_waiting_request_does_not_hold_up_the_next() {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    let slow = client.send(target(procedure::GATED), &cred(), &1_u32).await.unwrap();
    let fast = client.send(target(procedure::ECHO), &cred(), &2_u32).await.unwrap();
    assert_eq!(client.receive(fast).await.unwrap(), 2_u32.to_be_bytes().as_slice());
    server.program.gate.add_permits(1);
    assert_eq!(client.receive(slow).await.unwrap(), 1_u32.to_be_bytes().as_slice());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_clients_with_waiting_and_ready_requests_get_every_reply() {
    let limits =
        ServerLimits { max_in_flight: 5, max_batch: 7, max_unsent: 30_000, ..ServerLimits::default() };
    let server = start(limits).await;
    let clients: Vec<_> = (0..8_u64)
        .map(|seed| {
            let addr = server.addr;
            tokio::spawn(async move {
                let mut client = RpcClient::connect(addr).await.unwrap();
                let mut sent = Vec::new();
                for (xid, choice) in (0..).zip(noise(seed, 300)) {
                    let procedure = if choice % 3 == 0 { procedure::GATED } else { procedure::ECHO };
                    let args = noise(seed, usize::from(choice) * 4);
                    let bytes = fragments(
                        &encode_call(xid, target(procedure), &cred(), &args),
                        1 + usize::from(choice) * 3,
                    );
                    client.write_raw(&bytes).await.unwrap();
                    sent.push((xid, args));
                    if sent.len() == 20 {
                        for (xid, args) in sent.drain(..) {
                            assert_eq!(client.receive(xid).await.unwrap(), args);
                        }
                    }
                }
            })
        })
        .collect();
    while !clients.iter().all(JoinHandle::is_finished) {
        server.program.gate.add_permits(1);
        tokio::task::yield_now().await;
    }
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_waiting_request_runs_to_its_end_without_its_connection() {
    let mut wired = wire(ServerLimits::default());
    wired.client.write_all(&record(1, procedure::GATED, b"")).await.unwrap();
    wired.program.reach(|counts| counts.begun == 1).await;
    wired.task.abort();
    assert!(wired.task.await.unwrap_err().is_cancelled());
    wired.program.gate.add_permits(1);
    wired.program.reach(|counts| counts.finished == 1).await;
}

#[tokio::test]
async fn a_waiting_request_runs_to_its_end_after_its_client_has_gone() {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    client.send(target(procedure::GATED), &cred(), &()).await.unwrap();
    server.program.reach(|counts| counts.begun == 1).await;
    drop(client);
    server.program.gate.add_permits(1);
    server.program.reach(|counts| counts.finished == 1).await;
}

#[tokio::test]
async fn a_client_that_sends_no_more_still_gets_its_replies() {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    let waiting = client.send(target(procedure::GATED), &cred(), &1_u32).await.unwrap();
    let ready = client.send(target(procedure::ECHO), &cred(), &2_u32).await.unwrap();
    client.finish_sending().await.unwrap();
    assert_eq!(client.receive(ready).await.unwrap(), 2_u32.to_be_bytes().as_slice());
    server.program.gate.add_permits(1);
    assert_eq!(client.receive(waiting).await.unwrap(), 1_u32.to_be_bytes().as_slice());
    assert!(matches!(client.read_record().await, Err(RpcError::Closed)));
}

#[tokio::test]
async fn draining_answers_what_runs_and_takes_nothing_new() {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    let mut idle = RpcClient::connect(server.addr).await.unwrap();
    idle.call(target(procedure::NULL), &cred(), &()).await.unwrap();
    let waiting = client.send(target(procedure::GATED), &cred(), &1_u32).await.unwrap();
    server.program.reach(|counts| counts.begun == 2).await;
    server.stop.send(()).unwrap();
    // The idle one is closed at once, and by then the server has stopped reading.
    assert!(matches!(idle.read_record().await, Err(RpcError::Closed)));
    server.program.gate.add_permits(1);
    assert_eq!(client.receive(waiting).await.unwrap(), 1_u32.to_be_bytes().as_slice());
    assert!(matches!(client.read_record().await, Err(RpcError::Closed)));
    assert_eq!(server.task.await.unwrap(), Drained::Complete);
    assert!(RpcClient::connect(server.addr).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn draining_begins_no_request_that_comes_later() {
    let mut wired = wire(ServerLimits::default());
    wired.client.write_all(&record(1, procedure::GATED, b"")).await.unwrap();
    settle().await;
    wired.stop.send(()).unwrap();
    settle().await;
    wired.client.write_all(&record(2, procedure::GATED, b"")).await.unwrap();
    settle().await;
    wired.program.gate.add_permits(2);
    assert!(matches!(wired.task.await.unwrap(), Ending::Closed));
    assert_eq!(wired.program.counts(), Counts { begun: 1, finished: 1 });
    let mut replies = Vec::new();
    wired.client.read_to_end(&mut replies).await.unwrap();
    assert_eq!(replies.len(), 28);
}

#[tokio::test]
async fn draining_waits_for_requests_without_a_connection() {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    let waiting = client.send(target(procedure::GATED), &cred(), &()).await.unwrap();
    server.program.reach(|counts| counts.begun == 1).await;
    drop((client, waiting));
    server.stop.send(()).unwrap();
    server.program.gate.add_permits(1);
    assert_eq!(server.task.await.unwrap(), Drained::Complete);
    assert_eq!(server.program.counts().finished, 1);
}

#[tokio::test]
async fn a_server_that_is_dropped_closes_its_connections() {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    client.call(target(procedure::NULL), &cred(), &()).await.unwrap();
    server.task.abort();
    assert!(matches!(client.read_record().await, Err(RpcError::Closed)));
}

#[cfg(target_os = "linux")]
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    kilobytes.unwrap().trim().parse::<usize>().unwrap() << 10
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_thousand_idle_connections_cost_little_and_are_answered() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    // Both ends are in this process.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();

    let server = start(ServerLimits::default()).await;
    let before = resident_bytes();
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        let mut client = RpcClient::connect(server.addr).await.unwrap();
        client.call(target(procedure::ECHO), &cred(), &1_u32).await.unwrap();
        clients.push(client);
    }
    let each = resident_bytes().saturating_sub(before) / clients.len();
    // Pages that were touched at both ends, before anything is given back.
    assert!(each < 48 << 10, "{each} bytes per connection");
    for client in &mut clients {
        client.call(target(procedure::ECHO), &cred(), &2_u32).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_connection_gives_its_buffers_back_and_goes_on() {
    let program = Probe::new(2..=VERSION);
    let (mut client, mut task) = wire_to(Arc::clone(&program), ServerLimits::default());
    program.gate.add_permits(3);
    for _ in 0..3 {
        let exchange = async {
            let mut reply = [0; 32];
            for procedure in [procedure::ECHO, procedure::GATED] {
                client.write_all(&record(1, procedure, b"ping")).await.unwrap();
                client.read_exact(&mut reply).await.unwrap();
                assert_eq!(&reply[28..], b"ping");
            }
        };
        tokio::select! {
            ending = poll_fn(|cx| task.poll_serve(cx)) => panic!("{ending}"),
            () = exchange => {}
        }
        assert!(task.holds_buffers());
        tokio::select! {
            biased;
            () = tokio::time::sleep(Duration::from_mins(1)) => {}
            ending = poll_fn(|cx| task.poll_serve(cx)) => panic!("{ending}"),
        }
        assert!(!task.holds_buffers());
    }
}
