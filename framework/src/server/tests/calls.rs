//! Calls from the server to its client, over the client's connection.
//!
//! Origin: own scenarios.
//! RFC: 5531 sections 9 and 11; 8881 section 2.10.3.1.

use std::time::Duration;

use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::callback::{CallError, CallPath, CallbackCall, CallbackCredential, Rejection};
use crate::proto::{AuthSysParms, Gids};
use crate::rpc::record::RecordReader;

type Outcome = Result<Bytes, CallError>;

/// A connection that the test has both ends of.
struct Peer {
    connection: Arc<Connection>,
    stream: DuplexStream,
    reader: RecordReader,
    program: Arc<Probe>,
    services: Arc<Services>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Ending>,
}

impl Peer {
    fn new(limits: ServerLimits) -> Self {
        let program = Probe::new(2..=VERSION);
        let services = services_of(Arc::clone(&program), limits);
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let connection = Arc::new(Connection::new(ConnectionId(7), addr));
        let (stream, task) = wire_over(Arc::clone(&services), Arc::clone(&connection));
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(task.run(async move { drop(stopped.await) }));
        Self { connection, stream, reader: RecordReader::new(1 << 20, 1), program, services, stop, task }
    }

    /// Makes a call with these arguments.
    fn call(&self, args: &[u8]) -> JoinHandle<Outcome> {
        tokio::spawn(self.connection.call(call(args)))
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next record that the server sends.
    async fn receive(&mut self) -> Bytes {
        loop {
            if let Some(record) = self.reader.next_record().unwrap() {
                return record;
            }
            assert!(self.stream.read_buf(self.reader.buffer()).await.unwrap() > 0, "closed");
        }
    }

    /// The xid and the arguments of a call that is next.
    async fn receive_call(&mut self) -> (u32, Bytes) {
        let record = self.receive().await;
        let header: Vec<u32> = words(&record[..40]);
        assert_eq!(header[1..], [0, 2, 0x4000_0000, 1, 1, 0, 0, 0, 0]);
        (header[0], record.slice(40..))
    }

    async fn is_quiet(&mut self) -> bool {
        settle().await;
        tokio::time::timeout(Duration::from_millis(1), self.receive()).await.is_err()
    }

    /// What its end leaves charged to the server.
    async fn finish(self) -> Ending {
        drop(self.stream);
        let ending = self.task.await.unwrap();
        assert_eq!(self.services.budget.used(), 0);
        ending
    }
}

fn call(args: &[u8]) -> CallbackCall {
    CallbackCall {
        program: 0x4000_0000,
        version: 1,
        procedure: 1,
        credential: CallbackCredential::None,
        args: Bytes::copy_from_slice(args),
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word)).collect()
}

/// A reply in a record: these words behind its xid and msg_type.
fn reply(xid: u32, body: &[u32]) -> Vec<u8> {
    let message: Vec<u8> = [xid, 1].iter().chain(body).flat_map(|word| word.to_be_bytes()).collect();
    fragments(&message, usize::MAX)
}

/// A reply with `result` for results.
fn success(xid: u32, result: u32) -> Vec<u8> {
    reply(xid, &[0, 0, 0, 0, result])
}

#[allow(clippy::unnecessary_wraps)] // what it is compared with
fn results(result: u32) -> Outcome {
    Ok(Bytes::copy_from_slice(&result.to_be_bytes()))
}

#[tokio::test(start_paused = true)]
async fn a_call_is_answered_among_requests() {
    let mut peer = Peer::new(ServerLimits::default());
    peer.send(&record(1, procedure::GATED, b"late")).await;
    let call = peer.call(b"call");
    let (xid, args) = peer.receive_call().await;
    assert_eq!(args, b"call"[..]);
    peer.send(&record(2, procedure::ECHO, b"echo")).await;
    peer.send(&success(xid, 5)).await;
    peer.send(&record(3, procedure::ECHO, b"more")).await;
    assert_eq!(words(&peer.receive().await)[0], 2);
    assert_eq!(words(&peer.receive().await)[0], 3);
    assert_eq!(call.await.unwrap(), results(5));
    peer.program.gate.add_permits(1);
    assert_eq!(words(&peer.receive().await)[0], 1);
    assert!(matches!(peer.finish().await, Ending::Closed));
}

/// RFC 5531 appendix A: the credential of the call, as the client said that it shall be.
#[tokio::test(start_paused = true)]
async fn a_call_carries_its_credential() {
    let mut peer = Peer::new(ServerLimits::default());
    let machine_name = "server".into();
    let parms = AuthSysParms { stamp: 9, machine_name, uid: 1000, gid: 100, gids: Gids(vec![4, 24]) };
    let call = CallbackCall { credential: CallbackCredential::Sys(parms), ..call(b"args") };
    let call = tokio::spawn(peer.connection.call(call));
    let record = peer.receive().await;
    assert_eq!(words(&record[24..32]), [1, 36]);
    assert_eq!(record[32..48], *b"\0\0\0\x09\0\0\0\x06server\0\0");
    assert_eq!(words(&record[48..]), [1000, 100, 2, 4, 24, 0, 0, u32::from_be_bytes(*b"args")]);
    peer.send(&success(words(&record)[0], 1)).await;
    assert_eq!(call.await.unwrap(), results(1));
}

#[tokio::test(start_paused = true)]
async fn many_calls_are_answered_in_any_order() {
    let mut peer = Peer::new(ServerLimits::default());
    let calls: Vec<_> = (0..64_u32).map(|number| peer.call(&number.to_be_bytes())).collect();
    let mut sent = Vec::new();
    for _ in &calls {
        let (xid, args) = peer.receive_call().await;
        sent.push((xid, words(&args)[0]));
    }
    // Steps of 23 reach all of 64.
    for index in (0..64).map(|step| step * 23 % 64) {
        let (xid, number) = sent[index];
        peer.send(&success(xid, number + 1000)).await;
    }
    for (number, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap(), results(number + 1000));
    }
}

#[rstest]
#[case::success_without_results(&[0, 0, 0, 0], Ok(Bytes::new()))]
#[case::success_with_a_verifier(&[0, 1, 4, 99, 0, 5], results(5))]
#[case::prog_unavail(&[0, 0, 0, 1], Err(Rejection::ProgUnavail.into()))]
#[case::prog_mismatch(&[0, 0, 0, 2, 4, 4], Err(Rejection::ProgMismatch.into()))]
#[case::proc_unavail(&[0, 0, 0, 3], Err(Rejection::ProcUnavail.into()))]
#[case::garbage_args(&[0, 0, 0, 4], Err(Rejection::GarbageArgs.into()))]
#[case::system_err(&[0, 0, 0, 5], Err(Rejection::SystemErr.into()))]
#[case::rpc_mismatch(&[1, 0, 2, 2], Err(Rejection::RpcMismatch.into()))]
#[case::auth_error(&[1, 1, 5], Err(Rejection::Auth(5).into()))]
#[case::unknown_accept_stat(&[0, 0, 0, 6], Err(CallError::Malformed))]
#[case::unknown_reject_stat(&[1, 2], Err(CallError::Malformed))]
#[case::unknown_reply_stat(&[2], Err(CallError::Malformed))]
#[case::verifier_too_long(&[0, 0, 401], Err(CallError::Malformed))]
#[case::ends_in_the_verifier(&[0, 0], Err(CallError::Malformed))]
#[case::ends_before_the_auth_stat(&[1, 1], Err(CallError::Malformed))]
#[case::ends_behind_its_type(&[], Err(CallError::Malformed))]
#[tokio::test(start_paused = true)]
async fn what_a_reply_says(#[case] body: &[u32], #[case] expected: Outcome) {
    let mut peer = Peer::new(ServerLimits::default());
    let call = peer.call(b"");
    let (xid, _) = peer.receive_call().await;
    peer.send(&reply(xid, body)).await;
    assert_eq!(call.await.unwrap(), expected);
    // The connection goes on.
    peer.send(&record(1, procedure::ECHO, b"")).await;
    assert_eq!(words(&peer.receive().await)[0], 1);
}

#[tokio::test(start_paused = true)]
async fn replies_to_no_call_are_ignored() {
    let mut peer = Peer::new(ServerLimits::default());
    peer.send(&success(1, 1)).await;
    let (first, second) = (peer.call(b""), peer.call(b""));
    let (first_xid, _) = peer.receive_call().await;
    let (second_xid, _) = peer.receive_call().await;
    peer.send(&success(second_xid.wrapping_add(1), 1)).await;
    // Once more, and differently.
    peer.send(&success(first_xid, 2)).await;
    peer.send(&success(first_xid, 3)).await;
    peer.send(&success(second_xid, 4)).await;
    assert_eq!(first.await.unwrap(), results(2));
    assert_eq!(second.await.unwrap(), results(4));
    assert!(peer.is_quiet().await, "a reply is not answered");
}

#[derive(Debug, Clone, Copy)]
enum End {
    Closed,
    HalfClosed,
    Garbage,
    Stopped,
    Aborted,
}

#[rstest]
#[case::the_client_closes(End::Closed)]
#[case::the_client_sends_nothing_more(End::HalfClosed)]
#[case::the_client_does_not_speak_rpc(End::Garbage)]
#[case::the_server_stops(End::Stopped)]
#[case::the_task_is_dropped(End::Aborted)]
#[tokio::test(start_paused = true)]
async fn calls_end_with_the_connection(#[case] end: End) {
    let mut peer = Peer::new(ServerLimits::default());
    // A request that is under way keeps the connection, but there are no calls any more.
    peer.send(&record(1, procedure::GATED, b"")).await;
    let (sent, given_up) = (peer.call(b"sent"), peer.call(b"given up"));
    peer.receive_call().await;
    peer.receive_call().await;
    given_up.abort();
    assert!(peer.connection.is_open());
    let Peer { connection, mut stream, program, stop, task, .. } = peer;
    match end {
        End::Closed => drop(stream),
        End::HalfClosed => stream.shutdown().await.unwrap(),
        End::Garbage => stream.write_all(&u32::MAX.to_be_bytes()).await.unwrap(),
        End::Stopped => drop(stop),
        End::Aborted => task.abort(),
    }
    assert_eq!(sent.await.unwrap(), Err(CallError::Disconnected));
    assert!(!connection.is_open());
    assert_eq!(connection.call(call(b"later")).await, Err(CallError::Disconnected));
    program.gate.add_permits(1);
}

#[tokio::test]
async fn there_are_no_calls_before_the_connection_is_served() {
    let connection = Connection::new(ConnectionId(0), SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    assert!(!connection.is_open());
    assert_eq!(connection.call(call(b"")).await, Err(CallError::Disconnected));
}

/// Whoever keeps the connection's handle does not keep the connection.
#[tokio::test(start_paused = true)]
async fn a_handle_does_not_keep_the_connection() {
    let peer = Peer::new(ServerLimits::default());
    let path: Arc<dyn CallPath> = peer.connection.clone();
    let weak = Arc::downgrade(&path);
    peer.finish().await;
    assert!(!path.is_open());
    drop(path);
    assert!(weak.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_makes_room_and_its_late_reply_is_ignored() {
    let mut peer = Peer::new(ServerLimits { max_calls: 1, ..ServerLimits::default() });
    let first = peer.call(b"first");
    let (first_xid, _) = peer.receive_call().await;
    assert_eq!(peer.call(b"over the limit").await.unwrap(), Err(CallError::Busy));
    first.abort();
    settle().await;
    let second = peer.call(b"second");
    let (second_xid, _) = peer.receive_call().await;
    peer.send(&success(first_xid, 1)).await;
    settle().await;
    assert!(!second.is_finished());
    peer.send(&success(second_xid, 2)).await;
    assert_eq!(second.await.unwrap(), results(2));
    assert!(peer.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_under_way_than_may_be() {
    let mut peer = Peer::new(ServerLimits { max_calls: 3, ..ServerLimits::default() });
    let calls: Vec<_> = (0..3).map(|_| peer.call(b"")).collect();
    settle().await;
    assert_eq!(peer.call(b"").await.unwrap(), Err(CallError::Busy));
    let mut xids = Vec::new();
    for _ in &calls {
        xids.push(peer.receive_call().await.0);
    }
    assert_eq!(peer.call(b"").await.unwrap(), Err(CallError::Busy), "a call that is sent is under way still");
    peer.send(&success(xids[1], 1)).await;
    settle().await;
    let fourth = peer.call(b"");
    let (xid, _) = peer.receive_call().await;
    peer.send(&success(xid, 4)).await;
    assert_eq!(fourth.await.unwrap(), results(4));
}

/// What is not sent is charged, bounded, and goes with the call that is given up.
#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_costs_bounded_memory_and_is_closed() {
    const LARGE: usize = 40_000;
    let write_stall = Duration::from_secs(20);
    let limits = ServerLimits { max_calls: 4, max_unsent: 100_000, write_stall, ..ServerLimits::default() };
    let peer = Peer::new(limits);
    for _ in 0..20 {
        let calls: Vec<_> = (0..4).map(|_| peer.call(&vec![1; LARGE])).collect();
        settle().await;
        let used = peer.services.budget.used();
        // Three are over the limit; four more may be queued.
        assert!((2 * LARGE..7 * LARGE).contains(&used), "{used} bytes");
        calls.iter().for_each(JoinHandle::abort);
        settle().await;
    }
    let last = peer.call(&vec![1; LARGE]);
    tokio::time::sleep(write_stall * 2).await;
    assert_eq!(last.await.unwrap(), Err(CallError::Disconnected));
    assert!(matches!(peer.task.await.unwrap(), Ending::Stalled));
    assert_eq!(peer.services.budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn calls_leave_as_the_client_takes_them() {
    let mut peer = Peer::new(ServerLimits { max_unsent: 10_000, ..ServerLimits::default() });
    let calls: Vec<_> = (0..20_u8).map(|number| peer.call(&[number; 8000])).collect();
    settle().await;
    for (number, call) in (0..).zip(calls) {
        let (xid, args) = peer.receive_call().await;
        assert!(args == vec![number; 8000], "in order and whole");
        peer.send(&success(xid, 1)).await;
        assert_eq!(call.await.unwrap(), results(1));
    }
    assert!(matches!(peer.finish().await, Ending::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_out_while_the_client_sends_a_large_record() {
    let mut peer = Peer::new(ServerLimits::default());
    let request = record(1, procedure::ECHO, &noise(1, 100_000));
    let (begun, rest) = request.split_at(60_000);
    peer.send(begun).await;
    let call = peer.call(b"between");
    let (xid, args) = peer.receive_call().await;
    assert_eq!(args, b"between"[..]);
    assert!(!call.is_finished(), "the reply cannot come before the record has ended");
    let (mut from, mut to) = tokio::io::split(peer.stream);
    let rest = [rest, &success(xid, 3)].concat();
    let sending = tokio::spawn(async move { to.write_all(&rest).await.map(|()| to) });
    let mut echoed = vec![0; 100_028];
    from.read_exact(&mut echoed).await.unwrap();
    assert!(echoed[28..] == noise(1, 100_000));
    assert_eq!(call.await.unwrap(), results(3));
    drop(sending.await.unwrap());
}

/// Requests may wait for what the client does on a call: then they must not keep the server from its reply.
#[rstest]
#[case::the_number_of_requests(ServerLimits { max_in_flight: 3, ..ServerLimits::default() })]
#[case::the_bytes_of_requests(ServerLimits { max_in_flight_bytes: 40, ..ServerLimits::default() })]
#[case::what_the_server_holds(ServerLimits { max_held: 40, ..ServerLimits::default() })]
#[tokio::test(start_paused = true)]
async fn a_reply_comes_through_behind_requests_at_their_limit(#[case] limits: ServerLimits) {
    let mut peer = Peer::new(limits);
    for xid in 0..4 {
        peer.send(&record(xid, procedure::GATED, b"")).await;
    }
    settle().await;
    let begun = peer.program.counts().begun;
    assert!((1..4).contains(&begun), "{begun}");
    let call = peer.call(b"");
    let (xid, _) = peer.receive_call().await;
    peer.send(&record(4, procedure::GATED, b"")).await;
    peer.send(&success(xid, 1)).await;
    peer.send(&record(5, procedure::GATED, b"")).await;
    assert_eq!(call.await.unwrap(), results(1));
    assert_eq!(peer.program.counts().begun, begun, "the limit still holds");
    // All are answered, also if the client has ended its side meanwhile.
    peer.stream.shutdown().await.unwrap();
    peer.program.gate.add_permits(6);
    let mut answered = Vec::new();
    for _ in 0..6 {
        answered.push(words(&peer.receive().await)[0]);
    }
    answered.sort_unstable();
    assert_eq!(answered, [0, 1, 2, 3, 4, 5]);
    assert!(matches!(peer.finish().await, Ending::Closed));
}

/// Behind the limit no more is kept for the sake of a reply than one record may have, and no more of them than may be under way.
#[tokio::test(start_paused = true)]
async fn reading_on_for_a_reply_has_an_end() {
    let limits = ServerLimits { max_in_flight: 3, ..ServerLimits::default() };
    let mut peer = Peer::new(limits);
    for xid in 0..3 {
        peer.send(&record(xid, procedure::GATED, b"")).await;
    }
    let call = peer.call(b"");
    let (xid, _) = peer.receive_call().await;
    for xid in 3..6 {
        peer.send(&record(xid, procedure::GATED, b"")).await;
    }
    peer.send(&success(xid, 1)).await;
    settle().await;
    assert!(!call.is_finished());
    peer.program.gate.add_permits(1);
    assert_eq!(call.await.unwrap(), results(1));
    assert_eq!(peer.program.counts().finished, 1);
}
