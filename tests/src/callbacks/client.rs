use dittofs_framework::op::Operation;
use dittofs_framework::proto::{
    BindConnToSession4Args, CallbackSecParms4, ChannelAttrs4, ChannelDirFromClient, CreateSession4Args,
    CreateSession4ResOk, CreateSessionFlags, ExchangeIdFlags, Minor, NfsFh4, OP_DELEGRETURN, SequenceStatus,
    Stateid, Status,
};
use dittofs_framework::testing::{Compound, CompoundReply, RpcPeer};
use dittofs_framework::xdr::{XdrDecode, XdrEncode, encode_to_bytes};
use dittofs_ops::bind_conn_to_session::BindConnToSession;
use dittofs_ops::create_session::CreateSession;
use dittofs_ops::getfh::GetFh;
use dittofs_ops::open::{Open, Open4Args, Open4ResOk, OpenFlag4};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::reclaim_complete::{ReclaimComplete, ReclaimComplete4Args};
use dittofs_ops::renew::{Renew, Renew4Args};

use super::{CallbackListener, Callbacks, Delegation, Opening};
use crate::{
    BOTH, Client, ClientV4_0, OpenFile, READ, Session, SessionOptions, TestServer, create_session_args,
    open_args, put, walk,
};

/// How a client is called back.
#[derive(Debug, Clone)]
pub struct BackOptions {
    /// Its minor version.
    pub minor: Minor,
    /// The client's instance.
    pub verifier: [u8; 8],
    /// Flags of CREATE_SESSION.
    pub flags: CreateSessionFlags,
    /// The limits of the backchannel that it asks for.
    pub back_channel: ChannelAttrs4,
    /// With what the server may call.
    pub sec_parms: Vec<CallbackSecParms4>,
}

impl Default for BackOptions {
    fn default() -> Self {
        Self {
            minor: Minor::V2,
            verifier: [1; 8],
            flags: CreateSessionFlags::CONN_BACK_CHAN,
            back_channel: ChannelAttrs4 {
                max_request_size: 4096,
                max_response_size: 4096,
                max_response_size_cached: 4096,
                max_operations: 4,
                max_requests: 4,
                ..SessionOptions::default().fore_channel
            },
            sec_parms: vec![CallbackSecParms4::None(())],
        }
    }
}

/// A client of any minor version that takes callbacks, and so delegations.
pub struct DelegClient {
    /// What speaks to the server.
    pub wire: Wire,
    callbacks: Callbacks,
    /// The connections of a session, in the order in which they were made.
    connections: Vec<RpcPeer>,
    /// Where minor version 0 is called.
    listener: Option<CallbackListener>,
    /// What it has open, and by which open-owner.
    pub(super) open: Vec<(OpenFile, String)>,
}

/// The protocol of a [`DelegClient`].
pub enum Wire {
    /// Minor version 1 and later.
    Session(Session),
    /// Minor version 0.
    V4_0(ClientV4_0),
}

impl DelegClient {
    /// A client of minor version 2 with that name, which can be called back.
    pub async fn new(server: &TestServer, name: &str) -> Self {
        Self::of(server, name, Minor::V2).await
    }

    /// The same of any minor version.
    pub async fn of(server: &TestServer, name: &str, minor: Minor) -> Self {
        let client = Self::unproven(server, name, &BackOptions { minor, ..BackOptions::default() }).await;
        client.called().await;
        client
    }

    /// A client that the server has not necessarily called yet.
    pub async fn unproven(server: &TestServer, name: &str, options: &BackOptions) -> Self {
        let callbacks = Callbacks::new(options.minor.number());
        Self::answering(server, name, options, callbacks).await
    }

    /// The same, answering as `callbacks` says from the first call on.
    pub async fn answering(
        server: &TestServer,
        name: &str,
        options: &BackOptions,
        callbacks: Callbacks,
    ) -> Self {
        if options.minor == Minor::V0 {
            Self::over_listener(server, name, options, callbacks).await
        } else {
            Self::over_session(server, name, options, callbacks).await
        }
    }

    async fn over_listener(
        server: &TestServer,
        name: &str,
        options: &BackOptions,
        callbacks: Callbacks,
    ) -> Self {
        let listener = CallbackListener::start(&callbacks).await;
        let args = listener.setclientid_args(name, options.verifier);
        let wire = ClientV4_0::establish_with(Client::connect(server).await, &args).await;
        Self {
            wire: Wire::V4_0(wire),
            callbacks,
            connections: Vec::new(),
            listener: Some(listener),
            open: Vec::new(),
        }
    }

    async fn over_session(
        server: &TestServer,
        name: &str,
        options: &BackOptions,
        callbacks: Callbacks,
    ) -> Self {
        let (peer, incoming) = RpcPeer::connect(server.addr).await.expect("a connection");
        callbacks.serve(peer.clone(), incoming);
        let mut client = Client::over(peer.clone());
        let session_options =
            SessionOptions { minor: options.minor, verifier: options.verifier, ..SessionOptions::default() };
        let id = client.exchange_id(options.minor, name, options.verifier).await;
        let args = CreateSession4Args {
            flags: options.flags,
            back_channel: options.back_channel,
            cb_program: Callbacks::PROGRAM,
            sec_parms: options.sec_parms.clone(),
            ..create_session_args(id.clientid, id.sequenceid, &session_options)
        };
        let created = client.run(&Compound::new(options.minor).op::<CreateSession>(&args)).await.ok();
        let created: CreateSession4ResOk = created.get::<CreateSession>();
        callbacks.open_slots(created.sessionid, created.back_channel.max_requests);
        let mut session = Session {
            client,
            minor: options.minor,
            clientid: id.clientid,
            sessionid: created.sessionid,
            fore_channel: created.fore_channel,
            slots: vec![1; usize::try_from(created.fore_channel.max_requests).expect("slots")],
        };
        if !id.flags.contains(ExchangeIdFlags::CONFIRMED_R) {
            let complete = session.compound().op::<ReclaimComplete>(&ReclaimComplete4Args { one_fs: false });
            session.run(complete).await.ok();
        }
        Self {
            wire: Wire::Session(session),
            callbacks,
            connections: vec![peer],
            listener: None,
            open: Vec::new(),
        }
    }

    /// What it is called back.
    pub fn callbacks(&self) -> &Callbacks {
        &self.callbacks
    }

    /// The session.
    ///
    /// # Panics
    /// If it is a client of minor version 0.
    pub fn session(&mut self) -> &mut Session {
        match &mut self.wire {
            Wire::Session(session) => session,
            Wire::V4_0(_) => panic!("minor version 0 has no sessions"),
        }
    }

    /// Where a client of minor version 0 is called.
    ///
    /// # Panics
    /// If it is none.
    pub fn listener(&self) -> &CallbackListener {
        self.listener.as_ref().expect("a client of minor version 0")
    }

    /// One of the connections of the session, in the order in which they were made.
    pub fn connection(&self, number: usize) -> &RpcPeer {
        &self.connections[number]
    }

    /// Another connection, bound to the session in this direction. Gives its number.
    pub async fn bind(&mut self, server: &TestServer, dir: ChannelDirFromClient) -> usize {
        let (peer, incoming) = RpcPeer::connect(server.addr).await.expect("a connection");
        let number = self.callbacks.serve(peer.clone(), incoming);
        let session = self.session();
        let args = BindConnToSession4Args { sessionid: session.sessionid, dir, use_conn_in_rdma_mode: false };
        let compound = Compound::new(session.minor).op::<BindConnToSession>(&args);
        Client::over(peer.clone()).run(&compound).await.ok();
        self.connections.push(peer);
        number
    }

    /// Sends the requests of the session over another of its connections from now on.
    ///
    /// # Panics
    /// If there is no session or no such connection.
    pub fn use_connection(&mut self, number: usize) {
        let peer = self.connections[number].clone();
        self.session().client = Client::over(peer);
    }

    /// An empty compound.
    pub fn compound(&self) -> Compound {
        match &self.wire {
            Wire::Session(session) => session.compound(),
            Wire::V4_0(client) => client.compound(),
        }
    }

    /// Runs a compound, behind a SEQUENCE if there are sessions.
    pub async fn run(&mut self, compound: Compound) -> CompoundReply {
        match &mut self.wire {
            Wire::Session(session) => session.run(compound).await,
            Wire::V4_0(client) => client.run(compound).await,
        }
    }

    /// Runs an operation on an object.
    pub async fn run_on<O>(&mut self, fh: &NfsFh4, args: &O::Args) -> Result<O::Res, Status>
    where
        O: Operation<Args: XdrEncode + Sync, Res: XdrDecode>,
    {
        let reply = self.run(self.compound().op::<PutFh>(&put(fh)).op::<O>(args)).await;
        if reply.status.is_ok() { Ok(reply.get::<O>()) } else { Err(reply.status) }
    }

    /// Renews the lease.
    ///
    /// # Panics
    /// If a session refuses that.
    pub async fn renew(&mut self) -> Result<SequenceStatus, Status> {
        match &mut self.wire {
            Wire::Session(session) => Ok(session.sequence().await.status_flags),
            Wire::V4_0(client) => {
                let args = Renew4Args { clientid: client.clientid };
                let status = client.run(client.compound().op::<Renew>(&args)).await.status;
                if status.is_ok() { Ok(SequenceStatus::empty()) } else { Err(status) }
            }
        }
    }

    /// An OPEN for reading and writing.
    pub fn opening(&mut self, name: &str) -> Opening<'_> {
        Opening::new(self, name)
    }

    /// An OPEN for reading.
    pub fn open_read(&mut self, name: &str) -> Opening<'_> {
        self.opening(name).access(READ)
    }

    /// An OPEN for reading and writing.
    pub fn open_write(&mut self, name: &str) -> Opening<'_> {
        self.opening(name).access(BOTH)
    }

    /// OPEN's arguments.
    pub fn open_args(
        &mut self,
        name: &str,
        access: u32,
        deny: u32,
        opener: &str,
        how: OpenFlag4,
    ) -> Open4Args {
        match &mut self.wire {
            Wire::Session(_) => open_args(name, access, deny, opener, how),
            Wire::V4_0(client) => client.open_args(name, access, deny, opener, how),
        }
    }

    /// What OPEN answers in the first share, or at this file, and the filehandle that it leaves.
    pub async fn try_open(
        &mut self,
        fh: Option<&NfsFh4>,
        args: &Open4Args,
    ) -> Result<(NfsFh4, Open4ResOk), Status> {
        let start = match fh {
            Some(fh) => self.compound().op::<PutFh>(&put(fh)),
            None => walk(self.compound(), &["export"]),
        };
        let reply = self.run(start.op::<Open>(args).op::<GetFh>(&())).await;
        if !reply.status.is_ok() {
            return Err(reply.status);
        }
        Ok((reply.get::<GetFh>().object, reply.get::<Open>()))
    }

    /// Closes a file that was opened as nobody in particular.
    ///
    /// # Panics
    /// If that fails.
    pub async fn close(&mut self, file: &OpenFile) {
        self.close_as(file, "opener").await;
    }

    /// Closes a file that this open-owner has open.
    ///
    /// # Panics
    /// If that fails.
    pub async fn close_as(&mut self, file: &OpenFile, opener: &str) {
        self.open.retain(|(open, _)| open.stateid.other != file.stateid.other);
        match &mut self.wire {
            Wire::Session(session) => session.close(file).await,
            Wire::V4_0(client) => drop(client.close(file, opener).await.expect("closed")),
        }
    }

    /// Closes all that is open.
    ///
    /// # Panics
    /// If that fails.
    pub async fn close_all(&mut self) {
        for (file, opener) in std::mem::take(&mut self.open) {
            self.close_as(&file, &opener).await;
        }
    }

    /// DELEGRETURN.
    pub async fn try_give_back(&mut self, fh: &NfsFh4, stateid: &Stateid) -> Result<(), Status> {
        let compound = self.compound().op::<PutFh>(&put(fh));
        let status = self.run(compound.raw(OP_DELEGRETURN, &encode_to_bytes(stateid))).await.status;
        if status.is_ok() { Ok(()) } else { Err(status) }
    }

    /// Returns a delegation.
    ///
    /// # Panics
    /// If that fails.
    pub async fn give_back(&mut self, delegation: &Delegation) {
        self.try_give_back(&delegation.fh, &delegation.stateid).await.expect("returned");
    }

    /// Waits for a CB_RECALL of this delegation, and returns it.
    ///
    /// # Panics
    /// If another is recalled.
    pub async fn give_back_when_recalled(&mut self, delegation: &Delegation) {
        let recall = self.callbacks.recall().await;
        assert_eq!((&recall.fh, recall.stateid.other), (&delegation.fh, delegation.stateid.other));
        self.give_back(delegation).await;
    }

    /// Waits until the server has called the client.
    pub async fn called(&self) {
        self.callbacks.wait_nulls(1).await;
    }
}
