//! Every order of the steps of two or three threads on the slots of a session.
//!
//! Origin: `docs/internals/concurrency.md`, invariants S5 to S11.
//! RFC: 8881 sections 2.10.6.1, 2.10.6.2, 18.37 and 18.50.
//!
//! What a thread tells the others for the sake of an assertion is a relaxed atomic: the checker tries it at every place among the
//! steps, and it orders none of them.

use std::sync::Arc;
use std::time::Duration;

use super::world::{LEASE, PUTROOTFH, create_args, exchange_args, sequence_args, user};
use crate::client::ClientIds;
use crate::clock::Timestamp;
use crate::proto::*;
use crate::session::*;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use crate::sync::orders::{check_all, join, spawn};
use crate::xdr::XdrWriter;

const START: Timestamp = Timestamp::from_nanos(0);
const WINDOW: Duration = Duration::from_secs(1);

/// A session of one client, and a connection for each of the threads that use it.
struct Server {
    core: SessionCore,
    connections: [ConnectionSessions; 2],
    clientid: ClientId,
    session: SessionId,
}

impl Server {
    /// A session of so many slots.
    fn new(slots: u32) -> Arc<Self> {
        let limits = SessionLimits {
            slots_initial: slots,
            slots_per_session: 8,
            slot_window: WINDOW,
            ..SessionLimits::default()
        };
        let core = SessionCore::new(
            ServerIdentity::new(b"server", 7),
            limits,
            LEASE,
            Arc::new(ClientIds::new(7)),
            [3; 16],
        );
        let connections: [ConnectionSessions; 2] = Default::default();
        let args = exchange_args("client", 1, ExchangeIdFlags::empty());
        let (known, _) =
            core.exchange_id(START, &args, user(1), Minor::V2, Within::Nothing, &|_| false).unwrap();
        let clientid = known.clientid;
        let session = create_session(&core, &connections[0], clientid, 1, slots);
        Arc::new(Self { core, connections, clientid, session })
    }

    fn admit(&self, now: Timestamp, connection: usize, args: &Sequence4Args) -> Admission {
        let request = SequenceRequest {
            connection: &self.connections[connection],
            user: user(1),
            record_len: 100,
            reply_len: 80,
            op_count: 2,
            operations: PUTROOTFH,
        };
        self.core.admit(now, args, &request)
    }

    fn sequence(&self, connection: usize, slotid: u32, sequenceid: u32) -> Admission {
        self.admit(START, connection, &sequence_args(self.session, slotid, sequenceid))
    }

    /// One request from beginning to end, by nobody else's leave.
    fn run(&self, now: Timestamp, slotid: u32, sequenceid: u32) {
        let args = sequence_args(self.session, slotid, sequenceid);
        let Admission::New(admitted) = self.admit(now, 0, &args) else { panic!("not new") };
        finish(admitted);
    }
}

fn create_session(
    core: &SessionCore,
    connection: &ConnectionSessions,
    clientid: ClientId,
    sequence: u32,
    slots: u32,
) -> SessionId {
    let args = create_args(clientid, sequence, slots);
    let made = core.create_session(&caller(connection), &args, &|_| {});
    made.unwrap().0.sessionid
}

fn caller(connection: &ConnectionSessions) -> SessionCaller<'_> {
    SessionCaller { now: START, user: user(1), minor: Minor::V2, connection, within: Within::Nothing }
}

fn finish(admitted: Admitted) {
    let mut w = XdrWriter::new();
    let body = w.mark();
    w.u32(admitted.reply.sequenceid);
    admitted.slot.finish(&w, body);
}

/// The reply that a request gets when it is not the one to be carried out.
fn assert_is_retry(admission: &Admission) {
    match admission {
        Admission::Replay(reply) => assert_eq!(&*reply.to_bytes(), &1u32.to_be_bytes()),
        Admission::Refused(status) => assert_eq!(*status, NFS4ERR_DELAY),
        Admission::New(_) => panic!("carried out twice"),
    }
}

#[test]
fn of_two_with_the_same_numbers_one_is_carried_out() {
    check_all(|| {
        let server = Server::new(1);
        let carried_out = Arc::new(AtomicU32::new(0));
        let twins = [0, 1].map(|connection| {
            let (server, carried_out) = (server.clone(), carried_out.clone());
            spawn(move || match server.sequence(connection, 0, 1) {
                Admission::New(admitted) => {
                    carried_out.fetch_add(1, Relaxed);
                    finish(admitted);
                }
                other => assert_is_retry(&other),
            })
        });
        twins.into_iter().for_each(join);
        assert_eq!(carried_out.load(Relaxed), 1);
        assert!(matches!(server.sequence(0, 0, 1), Admission::Replay(_)), "the reply is kept");
        server.core.check_invariants();
    });
}

#[test]
fn a_request_that_is_lost_is_not_carried_out_again() {
    check_all(|| {
        let server = Server::new(1);
        let Admission::New(admitted) = server.sequence(0, 0, 1) else { panic!("not new") };
        let other = server.clone();
        let retry = spawn(move || match other.sequence(1, 0, 1) {
            Admission::Refused(status) => assert_eq!(status, NFS4ERR_DELAY),
            other => assert!(matches!(other, Admission::Replay(_)), "carried out again"),
        });
        drop(admitted);
        join(retry);
        server.run(START, 0, 2);
        server.core.check_invariants();
    });
}

#[test]
fn the_next_request_waits_for_the_end_of_the_last() {
    check_all(|| {
        let server = Server::new(1);
        let Admission::New(admitted) = server.sequence(0, 0, 1) else { panic!("not new") };
        let is_running = Arc::new(AtomicBool::new(true));
        let (other, seen) = (server.clone(), is_running.clone());
        let next = spawn(move || match other.sequence(1, 0, 2) {
            Admission::New(admitted) => {
                assert!(!seen.load(Relaxed), "two requests in one slot");
                finish(admitted);
            }
            Admission::Refused(status) => assert_eq!(status, NFS4ERR_SEQ_MISORDERED),
            Admission::Replay(_) => panic!("the reply of another request"),
        });
        is_running.store(false, Relaxed);
        finish(admitted);
        join(next);
        server.core.check_invariants();
    });
}

/// Sends a request while `end` ends its session or client and says whether it did. What ran must have ended before, and
/// nothing may run after.
fn race_with_the_end(end: impl Fn(&Server) -> bool + Send + Sync + Clone + 'static) {
    check_all(move || {
        let server = Server::new(2);
        let has_ended = Arc::new(AtomicBool::new(false));
        let (other, seen) = (server.clone(), has_ended.clone());
        let request = spawn(move || match other.sequence(1, 1, 1) {
            Admission::New(admitted) => {
                assert!(!seen.load(Relaxed), "admitted after the end");
                loom::thread::yield_now();
                assert!(!seen.load(Relaxed), "ended while a request was running");
                finish(admitted);
            }
            Admission::Refused(status) => assert_eq!(status, NFS4ERR_BADSESSION),
            Admission::Replay(_) => panic!("a reply of nothing"),
        });
        if end(&server) {
            has_ended.store(true, Relaxed);
        }
        join(request);
        if has_ended.load(Relaxed) {
            let refused = server.sequence(1, 0, 1);
            assert!(matches!(refused, Admission::Refused(NFS4ERR_BADSESSION)), "{refused:?}");
        }
        server.core.check_invariants();
    });
}

#[test]
fn no_request_runs_once_its_session_is_destroyed() {
    race_with_the_end(|server| {
        match server.core.destroy_session(server.session, &server.connections[0], Within::Nothing) {
            Ok(()) => true,
            Err(status) => {
                assert_eq!(status, NFS4ERR_DELAY);
                false
            }
        }
    });
}

#[test]
fn a_request_destroys_its_own_session_but_not_under_another() {
    race_with_the_end(|server| {
        let Admission::New(admitted) = server.sequence(0, 0, 1) else { panic!("not new") };
        let within = Within::Session(admitted.slot.session());
        let destroyed = server.core.destroy_session(server.session, &server.connections[0], within);
        finish(admitted);
        destroyed.is_ok()
    });
}

#[test]
fn no_request_runs_once_its_client_has_expired() {
    let long_after = START + LEASE * 3;
    race_with_the_end(move |server| {
        let departures = server.core.reap(long_after, &|_| false);
        departures.clients.iter().any(|gone| gone.client.id() == server.clientid)
    });
}

#[test]
fn no_request_runs_once_a_new_incarnation_took_over() {
    race_with_the_end(|server| {
        let args = exchange_args("client", 2, ExchangeIdFlags::empty());
        let within = Within::Nothing;
        let (known, _) =
            server.core.exchange_id(START, &args, user(1), Minor::V2, within, &|_| false).unwrap();
        let args = create_args(known.clientid, known.sequenceid, 1);
        let on = &server.connections[0];
        match server.core.create_session(&caller(on), &args, &|_| {}) {
            Ok((_, departures)) => departures.clients.iter().any(|gone| gone.client.id() == server.clientid),
            Err(status) => {
                assert_eq!(status, NFS4ERR_DELAY);
                false
            }
        }
    });
}

/// Neither waits for the other: locks that both need are taken in one order.
#[test]
fn two_requests_destroy_the_session_of_each_other() {
    check_all(|| {
        let server = Server::new(1);
        let on = &server.connections[1];
        let other = create_session(&server.core, on, server.clientid, 2, 1);
        let bind = BindConnToSession4Args {
            sessionid: server.session,
            dir: ChannelDirFromClient::Fore,
            use_conn_in_rdma_mode: false,
        };
        server.core.bind_conn_to_session(&bind, on).unwrap();
        let sessions = [server.session, other];
        let destroyers = [0, 1].map(|own| {
            let server = server.clone();
            spawn(move || {
                let args = sequence_args(sessions[own], 0, 1);
                let Admission::New(admitted) = server.admit(START, 1, &args) else { return false };
                let within = Within::Session(admitted.slot.session());
                let destroyed =
                    server.core.destroy_session(sessions[1 - own], &server.connections[1], within);
                finish(admitted);
                destroyed.is_ok()
            })
        });
        let destroyed = destroyers.map(join);
        assert!(destroyed != [true, true], "a session was destroyed under its own request");
        server.core.check_invariants();
    });
}

#[test]
fn a_slot_is_retired_or_used_not_both() {
    check_all(|| {
        let server = Server::new(1);
        // Grown to 3 slots, then idle for two windows: slot 2 is to go, and slot 0 has told the client so.
        server.run(START, 0, 1);
        server.run(START, 1, 1);
        let later = [1, 2].map(|windows| START + WINDOW * windows);
        server.run(later[0], 0, 2);
        server.run(later[1], 0, 3);
        let other = server.clone();
        let above_the_target = spawn(move || match other.sequence(1, 2, 1) {
            Admission::New(admitted) => {
                other.core.check_invariants();
                finish(admitted);
            }
            Admission::Refused(status) => assert_eq!(status, NFS4ERR_BADSLOT),
            Admission::Replay(_) => panic!("a reply of nothing"),
        });
        server.run(later[1], 0, 4);
        join(above_the_target);
        server.core.check_invariants();
    });
}
