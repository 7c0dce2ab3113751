//! A session core with a clock that stands still, and clients that ask it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::client::{Client, ClientIds, Departures, GoneReason, UserId};
use crate::clock::{Clock, TestClock, Timestamp};
use crate::proto::*;
use crate::rpc::AuthFlavor;
use crate::session::*;
use crate::xdr::{Opaque, XdrEncode, XdrWriter};

pub(super) const LEASE: Duration = Duration::from_secs(90);

/// Clients that are gone, and why.
pub(super) type Gone = Vec<(ClientId, GoneReason)>;

pub(super) fn gone(departures: Departures) -> Gone {
    departures.clients.into_iter().map(|gone| (gone.client.id(), gone.reason)).collect()
}

pub(super) fn user(uid: u32) -> UserId {
    UserId { flavor: AuthFlavor::Sys, uid }
}

/// A client incarnation, before it is known to the server.
pub(super) fn exchange_args(name: &str, incarnation: u8, flags: ExchangeIdFlags) -> ExchangeId4Args {
    ExchangeId4Args {
        client_owner: ClientOwner4 { verifier: [incarnation; 8], ownerid: Opaque::from(name) },
        flags,
        state_protect: StateProtect4A::None(()),
        client_impl_id: AtMostOne(None),
    }
}

pub(super) fn channel(slots: u32) -> ChannelAttrs4 {
    ChannelAttrs4 {
        header_pad_size: 0,
        max_request_size: 8192,
        max_response_size: 8192,
        max_response_size_cached: 4096,
        max_operations: 16,
        max_requests: slots,
        rdma_ird: AtMostOneU32(None),
    }
}

pub(super) fn create_args(clientid: ClientId, sequence: u32, slots: u32) -> CreateSession4Args {
    CreateSession4Args {
        clientid,
        sequence,
        flags: CreateSessionFlags::empty(),
        fore_channel: channel(slots),
        back_channel: channel(slots),
        cb_program: 0x4000_0000,
        sec_parms: vec![CallbackSecParms4::None(())],
    }
}

pub(super) struct World {
    pub(super) core: SessionCore,
    pub(super) clock: TestClock,
    pub(super) connection: ConnectionSessions,
    /// Clients that hold opens.
    pub(super) holders: RefCell<BTreeSet<ClientId>>,
    pub(super) confirmed: RefCell<Vec<ClientId>>,
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.core.check_invariants();
        }
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_limits(SessionLimits::default())
    }

    pub(super) fn with_limits(limits: SessionLimits) -> Self {
        let identity = ServerIdentity::new(b"server", 7);
        Self {
            core: SessionCore::new(identity, limits, LEASE, Arc::new(ClientIds::new(7)), [3; 16]),
            clock: TestClock::default(),
            connection: ConnectionSessions::default(),
            holders: RefCell::default(),
            confirmed: RefCell::default(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn has_state(&self, client: ClientId) -> bool {
        self.holders.borrow().contains(&client)
    }

    pub(super) fn exchange(
        &self,
        args: &ExchangeId4Args,
        uid: u32,
    ) -> Result<(ExchangeId4ResOk, Gone), Status> {
        let has_state = |client| self.has_state(client);
        let reply =
            self.core.exchange_id(self.now(), args, user(uid), Minor::V2, Within::Nothing, &has_state);
        self.core.check_invariants();
        reply.map(|(reply, departures)| (reply, gone(departures)))
    }

    pub(super) fn create(
        &self,
        args: &CreateSession4Args,
        uid: u32,
    ) -> Result<(CreateSession4ResOk, Gone), Status> {
        self.create_within(args, uid, Within::Nothing)
    }

    pub(super) fn create_within(
        &self,
        args: &CreateSession4Args,
        uid: u32,
        within: Within<'_>,
    ) -> Result<(CreateSession4ResOk, Gone), Status> {
        let on_confirmed = |client: &Arc<Client>| self.confirmed.borrow_mut().push(client.id());
        let reply = self.core.create_session(&self.caller(uid, within), args, &on_confirmed);
        self.core.check_invariants();
        reply.map(|(reply, departures)| (reply, gone(departures)))
    }

    fn caller<'a>(&'a self, uid: u32, within: Within<'a>) -> SessionCaller<'a> {
        SessionCaller {
            now: self.now(),
            user: user(uid),
            minor: Minor::V1,
            connection: &self.connection,
            within,
        }
    }

    /// A new client of user 1, not confirmed.
    pub(super) fn unconfirmed(&self, name: &str, incarnation: u8) -> ClientId {
        let args = exchange_args(name, incarnation, ExchangeIdFlags::empty());
        let (reply, gone) = self.exchange(&args, 1).unwrap();
        assert_eq!(gone, []);
        reply.clientid
    }

    /// A client of user 1 with a session.
    pub(super) fn session(&self, name: &str, slots: u32) -> CreateSession4ResOk {
        let clientid = self.unconfirmed(name, 1);
        let (reply, gone) = self.create(&create_args(clientid, 1, slots), 1).unwrap();
        assert_eq!(gone, []);
        reply
    }

    /// What the reaper lets go.
    pub(super) fn reap(&self) -> Gone {
        let departures = self.core.reap(self.now(), &|client| self.has_state(client));
        self.core.check_invariants();
        gone(departures)
    }

    pub(super) fn admit(&self, args: &Sequence4Args, ask: &Ask<'_>) -> Admission {
        let request = SequenceRequest {
            connection: ask.connection.unwrap_or(&self.connection),
            user: user(ask.uid),
            record_len: ask.record_len,
            reply_len: 80,
            op_count: ask.op_count,
            operations: ask.operations,
        };
        let admission = self.core.admit(self.now(), args, &request);
        self.core.check_invariants();
        admission
    }

    /// SEQUENCE of an ordinary request: two operations, to be cached.
    pub(super) fn sequence(&self, session: SessionId, slotid: u32, sequenceid: u32) -> Admission {
        self.admit(&sequence_args(session, slotid, sequenceid), &Ask::default())
    }

    /// One request from beginning to end; what SEQUENCE answered.
    pub(super) fn run(&self, args: &Sequence4Args) -> Sequence4ResOk {
        let admitted = new(self.admit(args, &Ask::default()));
        finish(admitted, NFS4_OK, b"done");
        self.core.check_invariants();
        self.next_reply(args)
    }

    fn next_reply(&self, args: &Sequence4Args) -> Sequence4ResOk {
        // A retry answers what the first try did.
        let Admission::Replay(reply) = self.admit(args, &Ask::default()) else { panic!("not cached") };
        let bytes = reply.to_bytes();
        crate::xdr::decode_all(&bytes.slice(TAG_AND_HEADER..TAG_AND_HEADER + 36)).unwrap()
    }
}

/// status, tag "tag", count, and opnum and status of SEQUENCE.
const TAG_AND_HEADER: usize = 4 + 8 + 4 + 8;

/// What else a request says.
#[derive(Clone)]
pub(super) struct Ask<'a> {
    pub(super) connection: Option<&'a ConnectionSessions>,
    pub(super) uid: u32,
    pub(super) record_len: u32,
    pub(super) op_count: u32,
    pub(super) operations: &'a [u8],
}

/// PUTROOTFH.
pub(super) const PUTROOTFH: &[u8] = &[0, 0, 0, 24];

impl Default for Ask<'_> {
    fn default() -> Self {
        Self { connection: None, uid: 1, record_len: 200, op_count: 2, operations: PUTROOTFH }
    }
}

pub(super) fn sequence_args(sessionid: SessionId, slotid: u32, sequenceid: u32) -> Sequence4Args {
    Sequence4Args { sessionid, sequenceid, slotid, highest_slotid: slotid, cache_this: true }
}

#[track_caller]
pub(super) fn new(admission: Admission) -> Admitted {
    match admission {
        Admission::New(admitted) => admitted,
        other => panic!("expected a new request, not {other:?}"),
    }
}

#[track_caller]
pub(super) fn refused(admission: Admission) -> Status {
    match admission {
        Admission::Refused(status) => status,
        other => panic!("expected a refusal, not {other:?}"),
    }
}

#[track_caller]
pub(super) fn replayed(admission: Admission) -> Vec<u8> {
    match admission {
        Admission::Replay(reply) => reply.to_bytes().to_vec(),
        other => panic!("expected a replay, not {other:?}"),
    }
}

/// Ends a request of SEQUENCE and PUTROOTFH; the COMPOUND4res.
pub(super) fn finish(admitted: Admitted, status: Status, body: &[u8]) -> Vec<u8> {
    finish_with(admitted, status, 2, |w| {
        w.u32(OP_PUTROOTFH.code());
        w.u32(status.code());
        w.raw(body);
    })
}

/// Ends a request; the COMPOUND4res, which stands behind something else in the writer.
pub(super) fn finish_with(
    admitted: Admitted,
    status: Status,
    count: u32,
    rest: impl FnOnce(&mut XdrWriter),
) -> Vec<u8> {
    let mut w = XdrWriter::new();
    w.raw(b"RPC reply header");
    let start = w.mark();
    w.u32(status.code());
    w.opaque(b"tag");
    w.u32(count);
    w.u32(OP_SEQUENCE.code());
    w.u32(NFS4_OK.code());
    admitted.reply.encode(&mut w);
    rest(&mut w);
    admitted.slot.finish(&w, start);
    w.rope_since(start).to_bytes().to_vec()
}
