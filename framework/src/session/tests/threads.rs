//! Origin: the slot machine under threads, while the number of slots moves and sessions end.
//! RFC: 8881 sections 2.10.6.1 and 18.37.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::world::*;
use crate::clock::{Clock, TestClock};
use crate::proto::*;
use crate::session::*;
use crate::xdr::XdrWriter;

const ROUNDS: u32 = 2000;

/// Sends one request and ends it; what became of it.
fn request(core: &SessionCore, clock: &TestClock, on: &ConnectionSessions, args: &Sequence4Args) -> Status {
    let request = SequenceRequest {
        connection: on,
        user: user(1),
        record_len: 100,
        reply_len: 80,
        op_count: 2,
        operations: PUTROOTFH,
    };
    match core.admit(clock.now(), args, &request) {
        Admission::New(admitted) => {
            let mut w = XdrWriter::new();
            let body = w.mark();
            w.u32(args.sequenceid);
            admitted.slot.finish(&w, body);
            NFS4_OK
        }
        Admission::Replay(_) => NFS4ERR_SEQ_MISORDERED,
        Admission::Refused(status) => status,
    }
}

#[test]
fn every_request_is_carried_out_once() {
    let limits = SessionLimits {
        slots_initial: 2,
        slots_per_session: 20,
        slot_window: Duration::from_millis(1),
        ..SessionLimits::default()
    };
    let world = World::with_limits(limits);
    let session = world.session("client", 2).sessionid;
    let (core, clock) = (&world.core, &world.clock);
    let connections: [ConnectionSessions; 2] = Default::default();
    let done = AtomicU32::new(0);
    // Both threads send the same requests on slots 0 and 1: of each, one is new and the other a retry of some kind.
    std::thread::scope(|scope| {
        for connection in &connections {
            scope.spawn(|| {
                let mut sequenceid = 1;
                while sequenceid <= ROUNDS {
                    let args = Sequence4Args {
                        highest_slotid: sequenceid % 2,
                        ..sequence_args(session, sequenceid % 2, sequenceid.div_ceil(2))
                    };
                    if request(core, clock, connection, &args) == NFS4_OK {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    clock.advance(Duration::from_micros(100));
                    sequenceid += 1;
                }
            });
        }
    });
    assert!(done.into_inner() <= ROUNDS, "no request was carried out twice");
    let last = new(world.admit(&sequence_args(session, 0, ROUNDS / 2 + 1), &Ask::default()));
    finish(last, NFS4_OK, b"");
}

#[test]
fn nothing_is_admitted_once_a_session_has_ended() {
    for _ in 0..200 {
        let world = World::new();
        let session = world.session("client", 4).sessionid;
        let (core, clock) = (&world.core, &world.clock);
        let has_ended = AtomicU32::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let connection = ConnectionSessions::default();
                for sequenceid in 1.. {
                    let before = has_ended.load(Ordering::SeqCst);
                    match request(core, clock, &connection, &sequence_args(session, 0, sequenceid)) {
                        NFS4_OK => assert_eq!(before, 0, "admitted after the end"),
                        NFS4ERR_BADSESSION => return,
                        status => panic!("{status}"),
                    }
                }
            });
            while core.destroy_session(session, &world.connection, Within::Nothing) == Err(NFS4ERR_DELAY) {
                std::thread::yield_now();
            }
            has_ended.store(1, Ordering::SeqCst);
        });
    }
}
