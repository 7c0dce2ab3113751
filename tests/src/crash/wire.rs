use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use dittofs_framework::attr::{
    Bitmap, FATTR4_CHANGE, FATTR4_FILEHANDLE, FATTR4_FILEID, FATTR4_MODE, FATTR4_NUMLINKS, FATTR4_SIZE,
    FATTR4_TIME_MODIFY, FATTR4_TYPE,
};
use dittofs_framework::proto::{
    ClientId, Fattr4, FileType, Minor, NFS4ERR_DELAY, NfsFh4, NfsTime, Sequence4Args, SessionId, StateOwner,
    Status,
};
use dittofs_framework::testing::{Compound, CompoundReply, RpcClient, RpcError};
use dittofs_framework::xdr::{Opaque, XdrDecode, XdrError, XdrReader};
use dittofs_ops::create_session::CreateSession;
use dittofs_ops::exchange_id::ExchangeId;
use dittofs_ops::getattr::Getattr4Args;
use dittofs_ops::reclaim_complete::{ReclaimComplete, ReclaimComplete4Args};
use dittofs_ops::sequence::Sequence;
use dittofs_ops::setclientid::{SetClientid, SetClientid4ResOk};
use dittofs_ops::setclientid_confirm::{SetClientidConfirm, SetClientidConfirm4Args};

use super::fault::{Fault, Step, Stop};
use crate::{Client, SessionOptions, create_session_args, exchange_id_args, setclientid_args};

/// How long an operation that is told NFS4ERR_DELAY waits.
const PAUSE: Duration = Duration::from_millis(5);
/// How often it asks again.
const TRIES: u32 = 2000;

/// A client's connection, which the server may leave at any time.
pub(super) struct Link {
    client: Client,
    pub(super) minor: Minor,
    who: Who,
}

enum Who {
    Session { sessionid: SessionId, sequence: u32 },
    V4_0 { clientid: ClientId, seqid: u32 },
}

impl Link {
    /// Connects as a client of that name, one incarnation of it, and nothing reclaimed yet.
    pub(super) async fn connect(addr: SocketAddr, minor: Minor, name: &str, verifier: [u8; 8]) -> Step<Self> {
        let rpc = RpcClient::connect(addr).await.map_err(|_| Stop::Gone)?;
        let mut client = Client::from(rpc);
        let who = if minor.has_sessions() {
            let options = SessionOptions { minor, verifier, ..SessionOptions::default() };
            let args = exchange_id_args(name, verifier);
            let known = call(&mut client, &Compound::new(minor).op::<ExchangeId>(&args)).await?;
            let known = good(known)?.get::<ExchangeId>();
            let args = create_session_args(known.clientid, known.sequenceid, &options);
            let created = call(&mut client, &Compound::new(minor).op::<CreateSession>(&args)).await?;
            Who::Session { sessionid: good(created)?.get::<CreateSession>().sessionid, sequence: 1 }
        } else {
            let args = setclientid_args(name, verifier);
            let set = call(&mut client, &Compound::new(minor).op::<SetClientid>(&args)).await?;
            let SetClientid4ResOk { clientid, setclientid_confirm } = good(set)?.get::<SetClientid>();
            let args = SetClientidConfirm4Args { clientid, setclientid_confirm };
            let confirm = Compound::new(minor).op::<SetClientidConfirm>(&args);
            good(call(&mut client, &confirm).await?)?;
            Who::V4_0 { clientid, seqid: 0 }
        };
        Ok(Self { client, minor, who })
    }

    /// RECLAIM_COMPLETE, where the client has sessions.
    pub(super) async fn complete(&mut self) -> Step<()> {
        if !self.minor.has_sessions() {
            return Ok(());
        }
        let args = ReclaimComplete4Args { one_fs: false };
        good(self.run(|link| link.compound().op::<ReclaimComplete>(&args)).await?).map(drop)
    }

    pub(super) fn compound(&self) -> Compound {
        Compound::new(self.minor)
    }

    /// The worker's owner of opens.
    pub(super) fn owner(&self) -> StateOwner {
        let clientid = match self.who {
            Who::Session { .. } => ClientId(0),
            Who::V4_0 { clientid, .. } => clientid,
        };
        StateOwner { clientid, owner: Opaque::from("owner") }
    }

    /// Uses up the owner's next seqid.
    pub(super) fn seqid(&mut self) -> u32 {
        match &mut self.who {
            Who::Session { .. } => 0,
            Who::V4_0 { seqid, .. } => {
                *seqid += 1;
                *seqid
            }
        }
    }

    /// Runs a compound, again for as long as the answer is NFS4ERR_DELAY: `build` makes it with what an owner must count.
    pub(super) async fn run(&mut self, mut build: impl FnMut(&mut Self) -> Compound) -> Step<CompoundReply> {
        for _ in 0..TRIES {
            let compound = build(self);
            let reply = self.run_once(compound).await?;
            if reply.status != NFS4ERR_DELAY {
                return Ok(reply);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Fault::wrong("NFS4ERR_DELAY without end").into())
    }

    async fn run_once(&mut self, compound: Compound) -> Step<CompoundReply> {
        let compound = match &mut self.who {
            Who::V4_0 { .. } => compound,
            Who::Session { sessionid, sequence } => {
                let args = Sequence4Args {
                    sessionid: *sessionid,
                    sequenceid: *sequence,
                    slotid: 0,
                    highest_slotid: 0,
                    cache_this: false,
                };
                *sequence = sequence.wrapping_add(1);
                compound.after(Compound::new(self.minor).op::<Sequence>(&args))
            }
        };
        call(&mut self.client, &compound).await
    }
}

async fn call(client: &mut Client, compound: &Compound) -> Step<CompoundReply> {
    match client.try_run(compound).await {
        Ok(body) => Ok(compound.reply(&body)),
        Err(RpcError::Closed | RpcError::Io(_)) => Err(Stop::Gone),
        Err(error) => Err(Fault::wrong(error.to_string()).into()),
    }
}

/// A reply that cannot be but good.
pub(super) fn good(reply: CompoundReply) -> Step<CompoundReply> {
    if reply.status.is_ok() {
        return Ok(reply);
    }
    let at = reply.results.last().map(|result| result.opnum);
    Err(Stop::Refused(format!("{} of {at:?}", reply.status)))
}

/// What is asked of every object.
pub(super) fn wanted() -> Getattr4Args {
    let wanted = Bitmap::of(&[
        FATTR4_TYPE,
        FATTR4_CHANGE,
        FATTR4_SIZE,
        FATTR4_FILEHANDLE,
        FATTR4_FILEID,
        FATTR4_MODE,
        FATTR4_NUMLINKS,
        FATTR4_TIME_MODIFY,
    ]);
    Getattr4Args { attr_request: wanted }
}

/// The answer to [`wanted`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Attributes {
    pub(super) file_type: FileType,
    pub(super) change: u64,
    pub(super) size: u64,
    pub(super) fh: NfsFh4,
    pub(super) fileid: u64,
    pub(super) mode: u32,
    pub(super) links: u32,
    pub(super) mtime: NfsTime,
}

impl Attributes {
    pub(super) fn of(found: &Fattr4) -> Step<Self> {
        if found.attrmask != wanted().attr_request {
            return Err(Fault::wrong(format!("attributes {:?} were answered", found.attrmask)).into());
        }
        Self::decode(&found.attr_vals.0)
            .map_err(|error| Fault::wrong(format!("attributes do not decode: {error}")).into())
    }

    fn decode(values: &Bytes) -> Result<Self, XdrError> {
        let mut r = XdrReader::new(values);
        let found = Self {
            file_type: FileType::decode(&mut r)?,
            change: r.u64()?,
            size: r.u64()?,
            fh: NfsFh4::decode(&mut r)?,
            fileid: r.u64()?,
            mode: r.u32()?,
            links: r.u32()?,
            mtime: NfsTime::decode(&mut r)?,
        };
        r.finish()?;
        Ok(found)
    }
}

/// What a status is that must not be.
pub(super) fn unexpected(doing: &str, status: Status) -> Stop {
    Stop::Refused(format!("{doing}: {status}"))
}
