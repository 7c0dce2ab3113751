use std::sync::Arc;

use super::duplicates::{Call, Running};
use super::{Nfs4Service, Position, Turns};
use crate::attr::AttrServer;
use crate::callback::CallPath;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::export::{Export, ExportNode, exclusive_create_attributes};
use crate::fs::RequestContext;
use crate::op::OpFlags;
use crate::proto::{
    ClientId, Minor, NFS4ERR_BAD_STATEID, NFS4ERR_BADHANDLE, NFS4ERR_NOFILEHANDLE, NFS4ERR_OP_NOT_IN_SESSION,
    NFS4ERR_REP_TOO_BIG, NFS4ERR_REP_TOO_BIG_TO_CACHE, NFS4ERR_RESOURCE, NFS4ERR_STALE, NfsTime, OpNum,
    Stateid, Status,
};
use crate::rpc::{Connection, Principal};
use crate::session::{ConnectionSessions, Session, SlotGuard, Within};
use crate::state::Caller;
use crate::xdr::XdrWriter;

/// What an operation sees of its compound and of the server.
pub struct CompoundContext<'a> {
    pub(super) service: &'a Nfs4Service,
    pub(super) connection: &'a Arc<Connection>,
    pub(super) principal: Principal,
    /// What file systems are told of the request.
    pub request: RequestContext,
    pub(super) now: Timestamp,
    /// Of the RPC call.
    pub(super) xid: u32,
    pub(super) record_len: u32,
    pub(super) at: Position,
    /// The arguments of the whole compound.
    pub(super) compound_args: &'a [u8],
    /// Where those of the running operation begin.
    pub(super) args_at: usize,
    /// The row of the running operation.
    pub(super) flags: OpFlags,
    /// Where in the writer the RPC message begins: what is before it is the transport's.
    pub(super) reply_start: usize,
    /// Bytes of the reply before the body of the running operation's answer, RPC header included.
    pub(super) reply_used: usize,
    pub(super) slot: Option<SlotGuard>,
    /// Minor version 0: what remembers the compound, once it changes something.
    pub(super) running: Option<Box<Running<'a>>>,
    pub(super) handles: Handles,
    /// The running operation.
    pub(super) opnum: OpNum,
    pub(super) turns: Turns,
}

/// opnum and status of an nfs_resop4.
pub(super) const RESOP_HEADER: usize = 8;

/// How long a reply may get (RFC 8881 section 2.10.6.4).
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplyLimit {
    pub(super) bytes: usize,
    pub(super) status: Status,
}

/// What an operation leaves free for the one behind it, which has to say at least that it found no room: opnum, status, and
/// the body that SETATTR's failure has.
const NEXT_ERROR: usize = RESOP_HEADER + 4;

fn to_usize(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The filehandles of a compound and the stateids that go with them (RFC 8881 section 16.2.3.1).
#[derive(Debug, Default)]
pub(super) struct Handles {
    pub(super) current: Option<ExportNode>,
    pub(super) saved: Option<ExportNode>,
    pub(super) current_stateid: Option<Stateid>,
    pub(super) saved_stateid: Option<Stateid>,
}

impl Nfs4Service {
    /// What attributes need to know of the server, for the objects of `export`, as a minor version has them.
    pub(super) fn attr_server(&self, export: &Export, minor: Minor) -> AttrServer<'_> {
        let supported = export.supported(minor);
        AttrServer {
            supported,
            exclcreat: exclusive_create_attributes(supported),
            lease_seconds: self.lease_seconds(),
            max_read: u64::from(self.limits.max_io),
            max_write: u64::from(self.limits.max_io),
            notif_delay: NfsTime::from(self.limits.notifications.delay),
            has_xattrs: export.fs.xattrs().is_some(),
            open_arguments: self.open_arguments(minor),
            ids: &*self.ids,
        }
    }
}

impl<'a> CompoundContext<'a> {
    /// The server.
    pub fn service(&self) -> &'a Nfs4Service {
        self.service
    }

    /// The compound's minor version.
    pub fn minor(&self) -> Minor {
        self.request.minor
    }

    /// When the compound began.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The connection that the compound came by.
    pub fn connection(&self) -> &Arc<Connection> {
        self.connection
    }

    /// Who is asking, as the RPC layer knows it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What tells the compound from others.
    pub(super) fn call(&self) -> Call<'_> {
        Call {
            peer: self.connection.peer().ip(),
            xid: self.xid,
            principal: &self.principal,
            args: self.compound_args,
        }
    }

    /// Bytes of the RPC call that brought the compound.
    pub fn record_len(&self) -> u32 {
        self.record_len
    }

    /// Where the running operation stands.
    pub fn position(&self) -> Position {
        self.at
    }

    /// The compound from the arguments of the running operation on, undecoded.
    pub fn undecoded(&self) -> &'a [u8] {
        self.compound_args.get(self.args_at..).unwrap_or_default()
    }

    /// Binds the compound to the slot that SEQUENCE was admitted to, and so to a session and a client.
    pub fn bind_slot(&mut self, slot: SlotGuard) {
        self.request.client = Some(slot.session().client().id());
        self.slot = Some(slot);
    }

    /// The session that the compound runs in, if SEQUENCE stands first.
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.slot.as_ref().map(SlotGuard::session)
    }

    /// The same, as operations on sessions and clients want to know it.
    pub fn within(&self) -> Within<'_> {
        self.session().map_or(Within::Nothing, Within::Session)
    }

    /// The sessions that the connection is associated with.
    pub fn connection_sessions(&self) -> Arc<ConnectionSessions> {
        self.connection.attachment_or_default()
    }

    /// The same, for who may make the connection one for callbacks.
    pub fn callback_connection(&self) -> Arc<ConnectionSessions> {
        let sessions = self.connection_sessions();
        let path: Arc<dyn CallPath> = self.connection.clone();
        sessions.can_call(&path);
        sessions
    }

    /// The client that the compound runs for, as the sessions know it.
    pub fn client(&self) -> Result<&Arc<Client>, Status> {
        self.session().map(|session| session.client()).ok_or(NFS4ERR_OP_NOT_IN_SESSION)
    }

    /// Who asks the state table.
    pub fn caller(&self) -> Caller {
        Caller { client: self.request.client, now: self.now }
    }

    /// The client that the compound runs for.
    pub fn clientid(&self) -> Result<ClientId, Status> {
        self.request.client.ok_or(NFS4ERR_OP_NOT_IN_SESSION)
    }

    /// The current filehandle. An operation without [`OpFlags::NO_CURRENT_FH`] always has one.
    pub fn current(&self) -> Result<&ExportNode, Status> {
        self.handles.current.as_ref().ok_or(NFS4ERR_NOFILEHANDLE)
    }

    /// The saved filehandle. An operation with [`OpFlags::NEEDS_SAVED_FH`] always has one.
    pub fn saved(&self) -> Result<&ExportNode, Status> {
        self.handles.saved.as_ref().ok_or(NFS4ERR_NOFILEHANDLE)
    }

    /// Sets the current filehandle, which clears the current stateid (RFC 8881 section 16.2.3.1.2). Granted by
    /// [`OpFlags::SETS_FH`].
    pub fn set_current(&mut self, to: ExportNode) {
        debug_assert!(self.flags.contains(OpFlags::SETS_FH), "the row does not grant setting the filehandle");
        self.handles.current = Some(to);
        self.handles.current_stateid = None;
    }

    /// Leaves the compound without a current filehandle, as SECINFO does (RFC 8881 section 18.29.3). Granted by
    /// [`OpFlags::SETS_FH`].
    pub fn clear_current(&mut self) {
        debug_assert!(self.flags.contains(OpFlags::SETS_FH), "the row does not grant setting the filehandle");
        self.handles.current = None;
        self.handles.current_stateid = None;
    }

    /// SAVEFH: the current filehandle and stateid become the saved ones.
    pub fn save_current(&mut self) {
        self.handles.saved = self.handles.current.clone();
        self.handles.saved_stateid = self.handles.current_stateid;
    }

    /// RESTOREFH: the saved filehandle and stateid become the current ones.
    pub fn restore_saved(&mut self) {
        self.handles.current = self.handles.saved.clone();
        self.handles.current_stateid = self.handles.saved_stateid;
    }

    /// The stateid that an argument means: the special "current stateid" is replaced by what an operation before left (RFC
    /// 8881 section 16.2.3.1.2), with seqid 0 for "the most recent" (section 8.2.3). Granted by [`OpFlags::USES_STATEID`].
    pub fn stateid(&self, argument: Stateid) -> Result<Stateid, Status> {
        let stateid = self.exact_stateid(argument)?;
        if stateid == argument {
            return Ok(stateid);
        }
        Ok(Stateid { seqid: 0, ..stateid })
    }

    /// Like [`stateid`](Self::stateid), with the seqid that the operation before left: for CLOSE and OPEN_DOWNGRADE, which are
    /// to fail if the open has changed since (RFC 8881 section 8.2.3).
    pub fn exact_stateid(&self, argument: Stateid) -> Result<Stateid, Status> {
        debug_assert!(
            self.flags.contains(OpFlags::USES_STATEID),
            "the row does not grant the current stateid"
        );
        if argument != Stateid::CURRENT || !self.minor().has_sessions() {
            return Ok(argument);
        }
        self.handles.current_stateid.filter(|stateid| !stateid.is_special()).ok_or(NFS4ERR_BAD_STATEID)
    }

    /// Like [`stateid`](Self::stateid), for an argument that goes with the saved filehandle (COPY and CLONE's source).
    pub fn saved_stateid(&self, argument: Stateid) -> Result<Stateid, Status> {
        debug_assert!(
            self.flags.contains(OpFlags::USES_STATEID),
            "the row does not grant the current stateid"
        );
        if argument != Stateid::CURRENT {
            return Ok(argument);
        }
        let saved = self.handles.saved_stateid.filter(|stateid| !stateid.is_special());
        saved.map(|stateid| Stateid { seqid: 0, ..stateid }).ok_or(NFS4ERR_BAD_STATEID)
    }

    /// Makes a result the current stateid. Granted by [`OpFlags::SETS_STATEID`].
    pub fn set_current_stateid(&mut self, stateid: Stateid) {
        debug_assert!(
            self.flags.contains(OpFlags::SETS_STATEID),
            "the row does not grant setting the stateid"
        );
        self.handles.current_stateid = Some(stateid);
    }

    /// What a filehandle from the wire names: NFS4ERR_BADHANDLE if this server did not make it, NFS4ERR_STALE if its export is
    /// gone.
    pub fn resolve_handle(&self, handle: &[u8]) -> Result<ExportNode, Status> {
        let (export, node) = self.service.filehandles.decode(handle).map_err(|_| NFS4ERR_BADHANDLE)?;
        let export = self.service.namespace.export(export).ok_or(NFS4ERR_STALE)?;
        Ok(ExportNode { export: export.clone(), node })
    }

    /// What attributes need to know of the server, for the objects of `export`.
    pub fn attr_server(&self, export: &Export) -> AttrServer<'a> {
        self.service.attr_server(export, self.minor())
    }

    /// Bytes of the RPC reply up to now: its header is counted, the transport's framing is not (RFC 8881 section 18.36.3).
    pub(super) fn reply_len(&self, w: &XdrWriter) -> usize {
        w.len().saturating_sub(self.reply_start)
    }

    /// Bytes of the RPC reply before the body of the running operation's answer.
    pub fn reply_used(&self) -> usize {
        self.reply_used
    }

    /// Bytes that the body of the operation's answer may have. What can answer with less (READDIR) asks here; what must not
    /// run without room has [`OpFlags::MODIFIES`] and a bound in its row.
    pub fn reply_room(&self) -> usize {
        self.reply_limit().bytes.saturating_sub(self.reply_used + self.reply_reserved())
    }

    /// Bytes of the reply that are kept free for the operation behind the running one.
    pub fn reply_reserved(&self) -> usize {
        if self.at.is_last() { 0 } else { NEXT_ERROR }
    }

    /// How long the reply may get, and what is answered when an operation makes it longer.
    pub(super) fn reply_limit(&self) -> ReplyLimit {
        let Some(slot) = &self.slot else {
            return match self.minor() {
                // There is nothing negotiated.
                Minor::V0 => {
                    let bytes = to_usize(self.service.limits.v4_0.reply);
                    ReplyLimit { bytes, status: NFS4ERR_RESOURCE }
                }
                Minor::V1 | Minor::V2 => ReplyLimit { bytes: usize::MAX, status: NFS4ERR_REP_TOO_BIG },
            };
        };
        let channel = slot.session().fore_channel();
        let most = ReplyLimit { bytes: to_usize(channel.max_response_size), status: NFS4ERR_REP_TOO_BIG };
        let cached = ReplyLimit {
            bytes: to_usize(channel.max_response_size_cached),
            status: NFS4ERR_REP_TOO_BIG_TO_CACHE,
        };
        if slot.cache_this() && cached.bytes < most.bytes { cached } else { most }
    }
}
