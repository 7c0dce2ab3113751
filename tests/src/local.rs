use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::compound::{Nfs4Program, Nfs4Service};
use dittofs_framework::proto::{Minor, Sequence4Args, SessionId};
use dittofs_framework::rpc::RpcReply;
use dittofs_framework::testing::{Compound, CompoundReply, LocalClient};
use dittofs_framework::xdr::Rope;
use dittofs_ops::create_session::CreateSession;
use dittofs_ops::exchange_id::ExchangeId;
use dittofs_ops::reclaim_complete::{ReclaimComplete, ReclaimComplete4Args};
use dittofs_ops::sequence::Sequence;

use crate::{SessionOptions, create_session_args, exchange_id_args};

/// A session in the same process, without a socket: for benchmarks and fuzzing.
pub struct LocalSession {
    client: LocalClient,
    minor: Minor,
    sessionid: SessionId,
    sequenceid: u32,
}

impl LocalSession {
    /// Opens a session with `service`.
    ///
    /// # Panics
    /// If the service refuses it.
    pub fn open(service: &Arc<Nfs4Service>, minor: Minor) -> Self {
        let mut client = LocalClient::new(Arc::new(Nfs4Program::new(service.clone())));
        let options = SessionOptions { minor, ..SessionOptions::default() };
        let exchange = Compound::new(minor).op::<ExchangeId>(&exchange_id_args("local", options.verifier));
        let id = run(&mut client, &exchange).ok().get::<ExchangeId>();
        let create = create_session_args(id.clientid, id.sequenceid, &options);
        let created = run(&mut client, &Compound::new(minor).op::<CreateSession>(&create)).ok();
        let sessionid = created.get::<CreateSession>().sessionid;
        let mut session = Self { client, minor, sessionid, sequenceid: 1 };
        session.run(session.compound().op::<ReclaimComplete>(&ReclaimComplete4Args { one_fs: false })).ok();
        session
    }

    /// An empty compound of the session's minor version.
    pub fn compound(&self) -> Compound {
        Compound::new(self.minor)
    }

    /// `compound` behind the next SEQUENCE.
    pub fn next(&mut self, compound: Compound) -> Compound {
        let args = Sequence4Args {
            sessionid: self.sessionid,
            sequenceid: self.sequenceid,
            slotid: 0,
            highest_slotid: 0,
            cache_this: false,
        };
        self.sequenceid = self.sequenceid.wrapping_add(1);
        compound.after(self.compound().op::<Sequence>(&args))
    }

    /// Runs `compound` behind a SEQUENCE.
    pub fn run(&mut self, compound: Compound) -> CompoundReply {
        let compound = self.next(compound);
        run(&mut self.client, &compound)
    }

    /// Runs arguments of COMPOUND that are encoded already.
    pub fn call(&mut self, args: Bytes) -> (RpcReply, Rope) {
        self.client.call(args)
    }
}

fn run(client: &mut LocalClient, compound: &Compound) -> CompoundReply {
    let (reply, rope) = client.call(compound.encode());
    assert_eq!(reply, RpcReply::Success);
    compound.reply(&rope.to_bytes())
}
