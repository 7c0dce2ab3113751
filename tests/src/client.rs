use std::collections::HashMap;
use std::net::SocketAddr;

use bytes::Bytes;
use dittofs_framework::proto::{
    AtMostOne, AtMostOneU32, CallbackSecParms4, ChannelAttrs4, ClientId, ClientOwner4, CreateSession4Args,
    CreateSessionFlags, ExchangeId4Args, ExchangeId4ResOk, ExchangeIdFlags, Minor, NFS_PROGRAM, NFS_V4,
    Sequence4Args, Sequence4ResOk, SessionId, StateProtect4A,
};
use dittofs_framework::testing::{
    Compound, CompoundReply, PendingReply, RpcClient, RpcCredential, RpcError, RpcPeer, RpcTarget,
};
use dittofs_framework::xdr::{Opaque, XdrEncode, XdrWriter};
use dittofs_ops::create_session::CreateSession;
use dittofs_ops::exchange_id::ExchangeId;
use dittofs_ops::reclaim_complete::{ReclaimComplete, ReclaimComplete4Args};
use dittofs_ops::sequence::Sequence;

use crate::TestServer;

/// Bytes that are XDR already.
struct Raw(Bytes);

impl XdrEncode for Raw {
    fn encode(&self, w: &mut XdrWriter) {
        w.raw(&self.0);
    }
}

/// A connection with a credential: compounds as they are, without a session around them.
pub struct Client {
    transport: Transport,
    credential: RpcCredential,
}

enum Transport {
    /// What the server calls on the connection is nothing that a call expects.
    Plain(RpcClient),
    /// Somebody else serves what the server calls, and these are the replies to compounds that were sent.
    Peer(RpcPeer, HashMap<u32, PendingReply>),
}

impl From<RpcClient> for Client {
    /// As root.
    fn from(rpc: RpcClient) -> Self {
        Self { transport: Transport::Plain(rpc), credential: RpcCredential::sys(0, 0, &[]) }
    }
}

impl Client {
    /// NFSPROC4_COMPOUND.
    pub const COMPOUND: RpcTarget = RpcTarget { program: NFS_PROGRAM, version: NFS_V4, procedure: 1 };

    /// Connects as root.
    ///
    /// # Panics
    /// If the server does not take the connection.
    pub async fn connect(server: &TestServer) -> Self {
        Self::connect_to(server.addr).await
    }

    /// Connects as root to a server that listens there.
    ///
    /// # Panics
    /// If it does not take the connection.
    pub async fn connect_to(addr: SocketAddr) -> Self {
        Self::from(RpcClient::connect(addr).await.expect("a connection"))
    }

    /// A client, as root, on a connection on which the server calls as well.
    pub fn over(peer: RpcPeer) -> Self {
        let transport = Transport::Peer(peer, HashMap::new());
        Self { transport, credential: RpcCredential::sys(0, 0, &[]) }
    }

    /// Speaks as another user from now on.
    pub fn act_as(&mut self, uid: u32, gid: u32, groups: &[u32]) {
        self.credential = RpcCredential::sys(uid, gid, groups);
    }

    /// As whom it speaks.
    pub fn credential(&self) -> &RpcCredential {
        &self.credential
    }

    /// The RPC client below.
    ///
    /// # Panics
    /// If the server calls on the connection as well.
    pub fn rpc(&mut self) -> &mut RpcClient {
        match &mut self.transport {
            Transport::Plain(rpc) => rpc,
            Transport::Peer(..) => panic!("a connection on which the server calls"),
        }
    }

    /// Runs a compound as it is.
    ///
    /// # Panics
    /// If no reply comes that belongs to the compound.
    pub async fn run(&mut self, compound: &Compound) -> CompoundReply {
        let body = self.try_run(compound).await.expect("a reply");
        compound.reply(&body)
    }

    /// Runs a compound whose RPC may fail; the results as bytes.
    pub async fn try_run(&mut self, compound: &Compound) -> Result<Bytes, RpcError> {
        let args = Raw(compound.encode());
        match &mut self.transport {
            Transport::Plain(rpc) => rpc.call(Self::COMPOUND, &self.credential, &args).await,
            Transport::Peer(peer, _) => peer.call(Self::COMPOUND, &self.credential, &args).await,
        }
    }

    /// Sends a compound without waiting for the reply.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub async fn send(&mut self, compound: &Compound) -> u32 {
        let args = Raw(compound.encode());
        match &mut self.transport {
            Transport::Plain(rpc) => rpc.send(Self::COMPOUND, &self.credential, &args).await.expect("sent"),
            Transport::Peer(peer, sent) => {
                let reply = peer.send(Self::COMPOUND, &self.credential, &args).await.expect("sent");
                let xid = reply.xid();
                sent.insert(xid, reply);
                xid
            }
        }
    }

    /// Waits for the reply to a compound that was sent.
    ///
    /// # Panics
    /// If no reply comes that belongs to the compound.
    pub async fn receive(&mut self, xid: u32, compound: &Compound) -> CompoundReply {
        let body = match &mut self.transport {
            Transport::Plain(rpc) => rpc.receive(xid).await,
            Transport::Peer(_, sent) => sent.remove(&xid).expect("a compound that was sent").results().await,
        };
        compound.reply(&body.expect("a reply"))
    }

    /// EXCHANGE_ID as a client owner of that name, which must succeed.
    pub async fn exchange_id(&mut self, minor: Minor, owner: &str, verifier: [u8; 8]) -> ExchangeId4ResOk {
        let compound = Compound::new(minor).op::<ExchangeId>(&exchange_id_args(owner, verifier));
        self.run(&compound).await.ok().get::<ExchangeId>()
    }

    /// EXCHANGE_ID, CREATE_SESSION and RECLAIM_COMPLETE as a client owner of that name. If the client has a session already, this
    /// is another one, and there is nothing left to reclaim.
    pub async fn session(self, owner: &str) -> Session {
        self.session_with(owner, SessionOptions::default()).await
    }

    /// Like [`session`](Self::session), with these options.
    pub async fn session_with(self, owner: &str, options: SessionOptions) -> Session {
        let (mut session, is_new) = self.begin_session(owner, options).await;
        if is_new {
            let complete = session.compound().op::<ReclaimComplete>(&ReclaimComplete4Args { one_fs: false });
            session.run(complete).await.ok();
        }
        session
    }

    /// The same without RECLAIM_COMPLETE: of a client that may have state to reclaim.
    pub async fn session_to_reclaim(self, owner: &str, options: SessionOptions) -> Session {
        self.begin_session(owner, options).await.0
    }

    /// EXCHANGE_ID and CREATE_SESSION, and whether the client was not confirmed before.
    async fn begin_session(mut self, owner: &str, options: SessionOptions) -> (Session, bool) {
        let id = self.exchange_id(options.minor, owner, options.verifier).await;
        let args = create_session_args(id.clientid, id.sequenceid, &options);
        let created = self.run(&Compound::new(options.minor).op::<CreateSession>(&args)).await.ok();
        let created = created.get::<CreateSession>();
        let slots = vec![1; usize::try_from(created.fore_channel.max_requests).expect("slots")];
        let session = Session {
            client: self,
            minor: options.minor,
            clientid: id.clientid,
            sessionid: created.sessionid,
            fore_channel: created.fore_channel,
            slots,
        };
        (session, !id.flags.contains(ExchangeIdFlags::CONFIRMED_R))
    }
}

/// EXCHANGE_ID's arguments for a client owner of that name.
pub fn exchange_id_args(owner: &str, verifier: [u8; 8]) -> ExchangeId4Args {
    ExchangeId4Args {
        client_owner: ClientOwner4 { verifier, ownerid: Opaque::from(owner) },
        flags: ExchangeIdFlags::empty(),
        state_protect: StateProtect4A::None(()),
        client_impl_id: AtMostOne(None),
    }
}

/// CREATE_SESSION's arguments.
pub fn create_session_args(
    clientid: ClientId,
    sequence: u32,
    options: &SessionOptions,
) -> CreateSession4Args {
    CreateSession4Args {
        clientid,
        sequence,
        flags: CreateSessionFlags::empty(),
        fore_channel: options.fore_channel,
        back_channel: ChannelAttrs4 { max_requests: 1, ..options.fore_channel },
        cb_program: 0x4000_0000,
        sec_parms: vec![CallbackSecParms4::None(())],
    }
}

/// What a session asks for.
#[derive(Debug, Clone, Copy)]
pub struct SessionOptions {
    /// Minor version.
    pub minor: Minor,
    /// The client's instance.
    pub verifier: [u8; 8],
    /// The fore channel.
    pub fore_channel: ChannelAttrs4,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            minor: Minor::V2,
            verifier: [1; 8],
            fore_channel: ChannelAttrs4 {
                header_pad_size: 0,
                max_request_size: (1 << 20) + 4096,
                max_response_size: (1 << 20) + 4096,
                max_response_size_cached: 8192,
                max_operations: 64,
                max_requests: 8,
                rdma_ird: AtMostOneU32(None),
            },
        }
    }
}

/// A client with a session: every compound gets a SEQUENCE in front.
pub struct Session {
    /// The connection.
    pub client: Client,
    /// Minor version of the compounds.
    pub minor: Minor,
    /// Who the client is to the server.
    pub clientid: ClientId,
    /// The session.
    pub sessionid: SessionId,
    /// The fore channel as the server granted it.
    pub fore_channel: ChannelAttrs4,
    /// The next sequence id of each slot.
    pub slots: Vec<u32>,
}

impl Session {
    /// An empty compound of the session's minor version.
    pub fn compound(&self) -> Compound {
        Compound::new(self.minor)
    }

    /// SEQUENCE's arguments for the next request on a slot.
    pub fn sequence_args(&self, slot: u32) -> Sequence4Args {
        let index = usize::try_from(slot).expect("a slot");
        Sequence4Args {
            sessionid: self.sessionid,
            sequenceid: self.slots.get(index).copied().unwrap_or(1),
            slotid: slot,
            highest_slotid: u32::try_from(self.slots.len() - 1).expect("few slots"),
            cache_this: false,
        }
    }

    /// Runs a compound on slot 0 and moves the slot on.
    pub async fn run(&mut self, compound: Compound) -> CompoundReply {
        let sequence = self.compound().op::<Sequence>(&self.sequence_args(0));
        let reply = self.client.run(&compound.after(sequence)).await;
        if reply.results.first().is_some_and(|first| first.status.is_ok()) {
            self.slots[0] = self.slots[0].wrapping_add(1);
        }
        reply
    }

    /// A SEQUENCE alone on slot 0, which must succeed.
    pub async fn sequence(&mut self) -> Sequence4ResOk {
        self.run(self.compound()).await.ok().get::<Sequence>()
    }

    /// Speaks as another user from now on.
    pub fn act_as(&mut self, uid: u32, gid: u32, groups: &[u32]) {
        self.client.act_as(uid, gid, groups);
    }
}
