//! What all connections of a server hold together, and what a record may hold that is never finished.
//!
//! Origin: own scenarios. RFC: none; RFC 5531 section 11 sets no limit to how slowly a record comes.

use std::time::Duration;

use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};

use super::*;

const LARGE: usize = 100_000;

/// A server without a network, of connections that share its budget.
struct Shared {
    services: Arc<Services>,
    program: Arc<Probe>,
}

impl Shared {
    fn new(max_held: usize) -> Self {
        let program = Probe::new(2..=VERSION);
        let limits = ServerLimits { max_held, ..ServerLimits::default() };
        Self { services: services_of(Arc::clone(&program), limits), program }
    }

    fn connect(&self) -> (ReadHalf<DuplexStream>, WriteHalf<DuplexStream>) {
        let (client, task) = wire_with(Arc::clone(&self.services));
        tokio::spawn(task.run(std::future::pending()));
        split(client)
    }

    /// A client that sends all of `bytes` as fast as the server takes them, and takes all replies.
    fn spawn_client(&self, bytes: Vec<u8>) -> JoinHandle<usize> {
        let (mut from, mut to) = self.connect();
        tokio::spawn(async move {
            let sending = async {
                to.write_all(&bytes).await.unwrap();
                to.shutdown().await.unwrap();
            };
            let mut replies = Vec::new();
            let (received, ()) = tokio::join!(from.read_to_end(&mut replies), sending);
            received.unwrap()
        })
    }
}

fn records(count: u32, procedure: u32, len: usize) -> Vec<u8> {
    (0..count).flat_map(|xid| record(xid, procedure, &vec![1; len])).collect()
}

#[tokio::test(start_paused = true)]
async fn no_more_is_held_than_the_budget_and_one_request_of_each() {
    // Two of them, and the third as far as it is read.
    let shared = Shared::new(3 * LARGE);
    let first = shared.spawn_client(records(3, procedure::GATED, LARGE));
    settle().await;
    assert_eq!(shared.program.counts().begun, 3);
    let second = shared.spawn_client(records(3, procedure::GATED, LARGE));
    settle().await;
    assert_eq!(shared.program.counts().begun, 4, "one that has nothing may send one request");
    // As soon as there is room, whoever has made it, it goes on.
    shared.program.gate.add_permits(1);
    settle().await;
    assert_eq!(shared.program.counts(), Counts { begun: 4, finished: 1 });
    shared.program.gate.add_permits(1);
    settle().await;
    assert_eq!(shared.program.counts(), Counts { begun: 5, finished: 2 });
    shared.program.gate.add_permits(4);
    assert_eq!(first.await.unwrap(), 3 * (LARGE + 28));
    assert_eq!(second.await.unwrap(), 3 * (LARGE + 28));
    settle().await;
    assert_eq!(shared.services.budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn replies_that_nobody_takes_leave_the_others_one_request_at_a_time() {
    let shared = Shared::new(LARGE);
    let fill = record(1, procedure::FILL, &200_000_u32.to_be_bytes());
    let (mut from, mut to) = shared.connect();
    to.write_all(&fill).await.unwrap();
    settle().await;
    assert!(shared.services.budget.is_used_up());
    let other = shared.spawn_client(records(20, procedure::ECHO, 30_000));
    assert_eq!(other.await.unwrap(), 20 * 30_028);
    assert!(shared.services.budget.is_used_up());
    from.read_exact(&mut vec![0; 200_032]).await.unwrap();
    settle().await;
    assert_eq!(shared.services.budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn connections_with_half_a_record_each_do_not_wait_for_each_other() {
    let shared = Shared::new(LARGE);
    let request = record(1, procedure::ECHO, &noise(1, LARGE));
    let mut clients = Vec::new();
    for _ in 0..10 {
        let (from, mut to) = shared.connect();
        to.write_all(&request[..LARGE / 2]).await.unwrap();
        clients.push((from, to));
    }
    settle().await;
    assert!(shared.services.budget.is_used_up());
    for (from, to) in &mut clients {
        let sending = to.write_all(&request[LARGE / 2..]);
        let mut reply = vec![0; LARGE + 28];
        let (sent, received) = tokio::join!(sending, from.read_exact(&mut reply));
        sent.and(received).unwrap();
        assert_eq!(reply[28..], noise(1, LARGE));
    }
}

/// A client that goes leaves its requests behind: they hold their memory, and their connection its place.
#[tokio::test(start_paused = true)]
async fn a_connection_counts_until_its_last_request_has_ended() {
    let mut wired = wire(ServerLimits::default());
    wired.client.write_all(&record(1, procedure::GATED, b"")).await.unwrap();
    wired.client.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    assert_eq!(wired.client.read(&mut [0; 16]).await.unwrap(), 0, "closed");
    settle().await;
    assert!(!wired.task.is_finished());
    wired.program.gate.add_permits(1);
    assert!(matches!(wired.task.await.unwrap(), Ending::Record(_)));
    assert_eq!(wired.program.counts().finished, 1);
}

const STALL: Duration = Duration::from_secs(20);

fn stalling() -> ServerLimits {
    ServerLimits { record_stall: STALL, ..ServerLimits::default() }
}

#[rstest]
#[case::half_a_header(&[0x80, 0])]
#[case::a_header(&[0x80, 0, 1, 0])]
#[case::a_header_and_a_part(&[0x80, 0, 1, 0, 1, 2, 3])]
#[case::an_empty_fragment(&[0, 0, 0, 0])]
#[case::a_fragment_of_two(&[0, 0, 0, 4, 1, 2, 3, 4])]
#[tokio::test(start_paused = true)]
async fn a_record_that_is_not_finished_closes_its_connection(#[case] start: &[u8]) {
    let mut wired = wire(stalling());
    wired.client.write_all(&record(1, procedure::NULL, b"")).await.unwrap();
    wired.client.read_exact(&mut [0; 28]).await.unwrap();
    // Between records it may be quiet.
    tokio::time::sleep(10 * STALL).await;
    assert!(!wired.task.is_finished());
    wired.client.write_all(start).await.unwrap();
    tokio::time::sleep(STALL).await;
    assert!(!wired.task.is_finished());
    tokio::time::sleep(STALL).await;
    assert!(wired.task.is_finished());
    assert!(matches!(wired.task.await.unwrap(), Ending::Unfinished));
}

#[tokio::test(start_paused = true)]
async fn a_record_may_come_slowly() {
    let mut wired = wire(stalling());
    for byte in record(1, procedure::ECHO, b"slow") {
        wired.client.write_all(&[byte]).await.unwrap();
        tokio::time::sleep(STALL * 3 / 4).await;
    }
    wired.client.read_exact(&mut [0; 32]).await.unwrap();
}

/// What the server does not read is not the client's fault.
#[tokio::test(start_paused = true)]
async fn half_a_record_behind_a_limit_is_waited_for() {
    let mut wired = wire(ServerLimits { max_in_flight: 1, ..stalling() });
    let second = record(2, procedure::ECHO, b"late");
    wired.client.write_all(&record(1, procedure::GATED, b"")).await.unwrap();
    wired.client.write_all(&second[..10]).await.unwrap();
    tokio::time::sleep(5 * STALL).await;
    wired.program.gate.add_permits(1);
    wired.client.read_exact(&mut [0; 28]).await.unwrap();
    wired.client.write_all(&second[10..]).await.unwrap();
    wired.client.read_exact(&mut [0; 32]).await.unwrap();
}
