//! The naive model: flat lists of everything, searched from end to end. It foretells the status of each operation, or the few
//! statuses among which the RFC leaves a choice, and then does what the operation did.

mod changes;
mod clients;
mod delegations;
mod io;
mod locks;
mod opens;
mod owners;
mod recovery;
mod revocation;
mod sessions;
mod stateids;
mod v4_0;

use bytes::Bytes;
use dittofs_framework::compound::Limits;
use dittofs_framework::op::Operation;
use dittofs_framework::proto::{ClientId, Minor, NFS4_OK, NFS4ERR_STALE, NfsFh4, SessionId, Stateid, Status};
use dittofs_framework::rpc::ConnectionId;
use dittofs_framework::testing::{CompoundReply, OpReply};
use dittofs_framework::xdr::{XdrDecode, decode_all};
use dittofs_ops::getfh::GetFh;

pub(crate) use clients::Record;
pub(crate) use delegations::{Delegation, Recalls, Touch};
pub(crate) use locks::{Held, LockState};
pub(crate) use opens::Open;
pub(crate) use owners::{Owner, advances};
pub(crate) use recovery::{Grace, Incarnation, Reclaims};
pub(crate) use revocation::{Revoked, Why};
pub(crate) use sessions::{Admitted, Session};
pub(crate) use v4_0::Unconfirmed;

use super::policy::{Manner, Offer};
use super::request::{CONTENT, Claim, FileNo, Handles, NameNo, Op, Request};

/// What may be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expect(Vec<Status>);

impl Expect {
    /// Success, unless there is something wrong: then any of the statuses that say so, as the RFC leaves their order open.
    pub(crate) fn unless(wrong: Vec<Status>) -> Self {
        if wrong.is_empty() { Self(vec![NFS4_OK]) } else { Self(wrong) }
    }

    pub(crate) fn only(status: Status) -> Self {
        Self(vec![status])
    }

    /// This or another.
    pub(crate) fn or(mut self, status: Status) -> Self {
        self.0.push(status);
        self
    }
}

/// In which table of the server a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Sessions,
    V4_0,
}

/// A file system object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fh {
    Dir,
    File(FileNo),
}

/// What a compound has by the way.
pub(crate) struct Cx {
    /// The request's number, if it is one that somebody waits for.
    number: Option<u64>,
    pub(crate) now: u64,
    pub(crate) uid: u32,
    pub(crate) connection: ConnectionId,
    pub(crate) client: Option<ClientId>,
    pub(crate) session: Option<SessionId>,
    pub(crate) minor: Minor,
    pub(crate) fh: Option<Fh>,
    pub(crate) stateid: Option<Stateid>,
}

impl Cx {
    fn clientid(&self) -> ClientId {
        self.client.expect("the compound runs in a session")
    }

    fn file(&self) -> Option<FileNo> {
        match self.fh {
            Some(Fh::File(file)) => Some(file),
            _ => None,
        }
    }
}

/// A file, and what must be in it.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) is_linked: bool,
    content: [u8; CONTENT],
    len: usize,
}

/// All that the server should know.
pub(crate) struct Model {
    pub(crate) lease: u64,
    pub(crate) limits: Limits,
    pub(crate) handles: Handles,
    pub(crate) names: Vec<Option<FileNo>>,
    pub(crate) files: Vec<File>,
    pub(crate) records: Vec<Record>,
    pub(crate) sessions: Vec<Session>,
    /// Which connection was used for which session.
    pub(crate) bound: Vec<(ConnectionId, SessionId)>,
    pub(crate) opens: Vec<Open>,
    pub(crate) lock_states: Vec<LockState>,
    pub(crate) held: Vec<Held>,
    pub(crate) delegations: Vec<Delegation>,
    pub(crate) recalls: Recalls,
    /// Whether the server gives delegations at all.
    delegates: bool,
    /// What its policy was asked for the request that is looked at.
    offer: Option<Offer>,
    touches: Vec<Touch>,
    /// Stateids that were revoked and not freed.
    pub(crate) revoked: Vec<Revoked>,
    pub(crate) grace: Option<Grace>,
    /// Minor version 0: SETCLIENTIDs that nobody confirmed, the oldest first, and owners.
    pub(crate) unconfirmed: Vec<Unconfirmed>,
    pub(crate) owners: Vec<Owner>,
    /// Stateids of its clients that are gone.
    pub(crate) purged: Vec<[u8; 12]>,
    /// Who of its clients has named itself on which connection.
    pub(crate) named: Vec<(ConnectionId, Vec<ClientId>)>,
    /// Requests with a SETCLIENTID or SETCLIENTID_CONFIRM, and what they were answered.
    pub(crate) answered: Vec<(u64, Status, Bytes)>,
    /// Requests of minor version 0 that must not be carried out twice, and their replies.
    pub(crate) kept: Vec<(u64, Bytes)>,
    /// What the stateids of this instance of the server begin with.
    pub(crate) epoch: [u8; 4],
    /// Every stateid that was ever given out: none is given out twice for another state.
    pub(crate) others: Vec<[u8; 12]>,
    /// Every client ID that was ever given out.
    pub(crate) clientids: Vec<ClientId>,
}

impl Model {
    pub(crate) fn new(lease: u64, limits: Limits, handles: Handles, names: usize, manner: Manner) -> Self {
        let file = |_| File { is_linked: true, content: [0; CONTENT], len: 0 };
        let there_are = handles.files.len();
        Self {
            lease,
            limits,
            names: (0..names).map(|name| (name < there_are).then_some(FileNo(name))).collect(),
            files: (0..there_are).map(file).collect(),
            handles,
            records: Vec::new(),
            sessions: Vec::new(),
            bound: Vec::new(),
            opens: Vec::new(),
            lock_states: Vec::new(),
            held: Vec::new(),
            delegations: Vec::new(),
            recalls: Recalls::default(),
            delegates: manner != Manner::Never,
            offer: None,
            touches: Vec::new(),
            revoked: Vec::new(),
            grace: None,
            unconfirmed: Vec::new(),
            owners: Vec::new(),
            purged: Vec::new(),
            named: Vec::new(),
            answered: Vec::new(),
            kept: Vec::new(),
            epoch: [0; 4],
            others: Vec::new(),
            clientids: Vec::new(),
        }
    }

    /// The server ran a request and gave this reply.
    ///
    /// # Panics
    /// If it should have given another.
    pub(crate) fn execute(
        &mut self,
        now: u64,
        (connection, number): (ConnectionId, Option<u64>),
        request: &Request,
        reply: &CompoundReply,
    ) {
        if self.is_kept(number, reply) {
            return;
        }
        let (uid, minor) = (request.uid, request.minor);
        let mut cx =
            Cx { number, now, uid, connection, client: None, session: None, minor, fh: None, stateid: None };
        let mut results = reply.results.iter();
        if let Some(sequence) = &request.sequence {
            let first = results.next().expect("a result of SEQUENCE");
            match self.sequence(&mut cx, sequence, request, reply, first) {
                Admitted::Runs => {}
                Admitted::Not => return,
            }
        }
        for op in &request.ops {
            let result = results.next().unwrap_or_else(|| panic!("no result of {op:?}"));
            match &request.v4_0 {
                Some(v40) => self.operation_v4_0(&mut cx, v40, op, result),
                None => self.run(&mut cx, op, result),
            }
            if !result.status.is_ok() {
                break;
            }
        }
        assert!(results.next().is_none(), "a result more than operations that ran");
        if request.v4_0.is_some() {
            self.keep(number, request, reply);
        }
        if let Some(sequence) = &request.sequence {
            self.keep_reply(sequence, request, reply);
        }
    }

    fn run(&mut self, cx: &mut Cx, op: &Op, result: &OpReply) {
        match op {
            Op::ExchangeId { owner, verifier, update } => {
                self.exchange_id(cx, *owner, *verifier, *update, result);
            }
            Op::CreateSession { clientid, sequence } => self.create_session(cx, *clientid, *sequence, result),
            Op::DestroySession(session) => self.destroy_session(cx, *session, result),
            Op::DestroyClientid(client) => self.destroy_clientid(cx, *client, result),
            Op::ReclaimComplete => self.reclaim_complete(cx, result),
            Op::PutDir => Self::put(cx, Fh::Dir, result),
            Op::PutFile(file) => Self::put(cx, Fh::File(*file), result),
            Op::GetFh => self.getfh(cx, result),
            Op::Open { owner, share, how, claim, wish } => {
                self.open(cx, (*owner, *share, *wish), *how, *claim, result);
            }
            Op::Downgrade { stateid, share } => self.downgrade(cx, *stateid, *share, result),
            Op::Close(stateid) => self.close(cx, *stateid, result),
            Op::Lock { locker, kind, range, right } => {
                self.lock(cx, (*locker, *right), *kind, *range, result);
            }
            Op::LockTest { owner, kind, range } => self.lock_test(cx, *owner, *kind, *range, result),
            Op::Unlock { stateid, range } => self.unlock(cx, *stateid, *range, result),
            Op::FreeStateid(stateid) => self.free_stateid(cx, *stateid, result),
            Op::TestStateid(stateids) => self.test_stateid(cx, stateids, result),
            Op::Read { stateid } => self.read(cx, *stateid, result),
            Op::Write { stateid, at, value } => self.write(cx, *stateid, *at, *value, result),
            Op::Remove(name) => self.remove(cx, *name, result),
            Op::SaveFh => check(&Expect::only(NFS4_OK), result),
            Op::Rename { from, to } => self.rename(cx, *from, *to, result),
            Op::SetAttributes { stateid, size } => self.set_attributes(cx, *stateid, *size, result),
            Op::ReturnDelegation(stateid) => self.return_delegation(cx, *stateid, result),
            Op::SetClientid { .. }
            | Op::SetClientidConfirm { .. }
            | Op::Renew(_)
            | Op::OpenConfirm(_)
            | Op::ReleaseLockowner(_) => panic!("{op:?} is of minor version 0"),
        }
    }

    fn put(cx: &mut Cx, fh: Fh, result: &OpReply) {
        check(&Expect::only(NFS4_OK), result);
        cx.fh = Some(fh);
        cx.stateid = None;
    }

    fn getfh(&mut self, cx: &Cx, result: &OpReply) {
        check(&Expect::only(NFS4_OK), result);
        let fh: NfsFh4 = decoded::<GetFh>(result).object;
        let Some(file) = cx.file() else { return };
        if file.0 == self.handles.files.len() {
            // OPEN made it.
            assert!(!self.handles.files.contains(&fh), "the handle of a new file is that of another");
            self.handles.files.push(fh);
        } else {
            assert_eq!(fh, *self.handles.file(file), "the handle of {file:?}");
        }
    }

    /// The file that a claim names, if it is there.
    pub(crate) fn claimed(&self, cx: &Cx, claim: Claim) -> Option<FileNo> {
        match claim {
            Claim::Name(name) | Claim::Delegated(_, name) => self.names[name.0],
            Claim::Handle | Claim::Previous(_) | Claim::DelegatedHandle(_) => cx.file(),
        }
    }

    /// NFS4ERR_STALE if a file has neither name nor opens nor delegations.
    pub(crate) fn stale(&self, file: FileNo) -> Option<Status> {
        let is_held = self.opens.iter().any(|open| open.file == file)
            || self.delegations.iter().any(|held| held.file == file);
        (!self.files[file.0].is_linked && !is_held).then_some(NFS4ERR_STALE)
    }

    pub(crate) fn new_file(&mut self, name: NameNo) -> FileNo {
        let file = FileNo(self.files.len());
        self.files.push(File { is_linked: true, content: [0; CONTENT], len: 0 });
        self.names[name.0] = Some(file);
        file
    }
}

/// # Panics
/// If the status is not among those expected.
pub(crate) fn check(expect: &Expect, result: &OpReply) {
    assert!(
        expect.0.contains(&result.status),
        "{} answers {}, the model expects {:?}",
        result.opnum,
        result.status,
        expect.0
    );
}

/// The good answer of an operation.
pub(crate) fn decoded<O: Operation<Res: XdrDecode>>(result: &OpReply) -> O::Res {
    decode_all(&result.body).expect("the result decodes")
}
