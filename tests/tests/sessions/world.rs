use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dittofs_framework::clock::TestClock;
use dittofs_framework::compound::{Nfs4Program, Nfs4Service};
use dittofs_framework::export::{ExportId, Namespace};
use dittofs_framework::proto::{
    AtMostOne, AtMostOneU32, CallbackSecParms4, ChannelAttrs4, ClientId, ClientOwner4, CreateSession4Args,
    CreateSession4ResOk, CreateSessionFlags, ExchangeId4Args, ExchangeIdFlags, Minor, NFS4_OK, Sequence4Args,
    SessionId, StateProtect4A, Status,
};
use dittofs_framework::rpc::RpcReply;
use dittofs_framework::testing::{Compound, CompoundReply, LocalClient};
use dittofs_framework::xdr::Opaque;
use dittofs_ops::create_session::CreateSession;
use dittofs_ops::exchange_id::ExchangeId;
use dittofs_ops::sequence::Sequence;

pub(crate) const LEASE: Duration = Duration::from_secs(90);

/// A service, and one connection to it.
pub(crate) struct World {
    pub(crate) service: Arc<Nfs4Service>,
    pub(crate) clock: Arc<TestClock>,
    client: LocalClient,
}

/// A session and the numbers of its slot 0.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) clientid: ClientId,
    pub(crate) sequenceid: u32,
}

impl World {
    pub(crate) fn new() -> Self {
        let share = dittofs_tests::share_in_memory();
        let namespace = Namespace::builder().export(ExportId(1), "/export", share).build().unwrap();
        let clock = Arc::new(TestClock::default());
        let service = Nfs4Service::builder(namespace).clock(clock.clone()).lease(LEASE).build().unwrap();
        let service = Arc::new(service);
        let client = connect(&service);
        Self { service, clock, client }
    }

    /// Another connection.
    pub(crate) fn connect(&self) -> LocalClient {
        connect(&self.service)
    }

    pub(crate) fn call(&mut self, compound: &Compound) -> CompoundReply {
        let reply = call(&mut self.client, compound);
        self.service.sessions().check_invariants();
        reply
    }

    pub(crate) fn exchange(&mut self, name: &str) -> ClientId {
        let compound = Compound::new(Minor::V1).op::<ExchangeId>(&exchange_args(name));
        self.call(&compound).ok().get::<ExchangeId>().clientid
    }

    pub(crate) fn create(&mut self, args: &CreateSession4Args) -> CreateSession4ResOk {
        let compound = Compound::new(Minor::V1).op::<CreateSession>(args);
        self.call(&compound).ok().get::<CreateSession>()
    }

    pub(crate) fn session(&mut self, name: &str) -> Session {
        self.session_with(name, channel())
    }

    pub(crate) fn session_with(&mut self, name: &str, fore_channel: ChannelAttrs4) -> Session {
        let clientid = self.exchange(name);
        let args = CreateSession4Args { fore_channel, ..create_args(clientid) };
        Session { id: self.create(&args).sessionid, clientid, sequenceid: 0 }
    }

    /// A new request in the session.
    pub(crate) fn run(&mut self, session: &mut Session, compound: &Compound) -> CompoundReply {
        session.sequenceid += 1;
        self.again(session, compound)
    }

    /// The same numbers again.
    pub(crate) fn again(&mut self, session: &Session, compound: &Compound) -> CompoundReply {
        self.call(&compound.clone().after(session.sequence(true)))
    }
}

impl Session {
    /// A compound that begins with SEQUENCE on slot 0.
    pub(crate) fn sequence(&self, cache_this: bool) -> Compound {
        let args = Sequence4Args {
            sessionid: self.id,
            sequenceid: self.sequenceid,
            slotid: 0,
            highest_slotid: 0,
            cache_this,
        };
        Compound::new(Minor::V1).op::<Sequence>(&args)
    }
}

fn connect(service: &Arc<Nfs4Service>) -> LocalClient {
    LocalClient::new(Arc::new(Nfs4Program::new(service.clone())))
}

pub(crate) fn call(client: &mut LocalClient, compound: &Compound) -> CompoundReply {
    compound.reply(&call_raw(client, compound.encode()))
}

pub(crate) fn call_raw(client: &mut LocalClient, args: Bytes) -> Bytes {
    let (reply, body) = client.call(args);
    assert_eq!(reply, RpcReply::Success);
    body.to_bytes()
}

pub(crate) fn exchange_args(name: &str) -> ExchangeId4Args {
    ExchangeId4Args {
        client_owner: ClientOwner4 { verifier: [1; 8], ownerid: Opaque::from(name) },
        flags: ExchangeIdFlags::empty(),
        state_protect: StateProtect4A::None(()),
        client_impl_id: AtMostOne(None),
    }
}

pub(crate) fn channel() -> ChannelAttrs4 {
    ChannelAttrs4 {
        header_pad_size: 0,
        max_request_size: 8192,
        max_response_size: 8192,
        max_response_size_cached: 8192,
        max_operations: 16,
        max_requests: 8,
        rdma_ird: AtMostOneU32(None),
    }
}

pub(crate) fn create_args(clientid: ClientId) -> CreateSession4Args {
    CreateSession4Args {
        clientid,
        sequence: 1,
        flags: CreateSessionFlags::CONN_BACK_CHAN,
        fore_channel: channel(),
        back_channel: channel(),
        cb_program: 0x4000_0000,
        sec_parms: vec![CallbackSecParms4::None(())],
    }
}

/// The statuses of a reply's results.
pub(crate) fn statuses(reply: &CompoundReply) -> Vec<Status> {
    assert_eq!(reply.status, reply.results.last().map_or(NFS4_OK, |result| result.status));
    reply.results.iter().map(|result| result.status).collect()
}
