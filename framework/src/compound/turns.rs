//! Where the sequences of owners meet the dispatcher: an operation asks for its turns, the dispatcher ends them with what the
//! operation was answered. In minor versions with sessions there are none, and nothing here does anything.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::CompoundContext;
use crate::client::Client;
use crate::op::{OpError, OpResult};
use crate::proto::{ClientId, NFS4ERR_BAD_STATEID, OpNum, StateOwner, Stateid, Status};
use crate::v4_0::{Admission, OwnerKind, OwnerTurn, Recorded, StateidOther};

/// The turns that the running operation has: of its open-owner, its lock-owner, or both.
#[derive(Debug, Default)]
pub struct Turns {
    open: Option<OwnerTurn>,
    lock: Option<OwnerTurn>,
}

impl Turns {
    /// The operation gives the open-owner this stateid.
    pub fn opened(&mut self, stateid: &Stateid) {
        if let Some(turn) = &mut self.open {
            turn.grant(stateid);
        }
    }

    /// The operation takes this stateid from the open-owner.
    pub fn closed(&mut self, stateid: &Stateid) {
        if let Some(turn) = &mut self.open {
            turn.close(stateid);
        }
    }

    /// The operation confirms the open-owner.
    pub fn confirmed(&mut self) {
        if let Some(turn) = &mut self.open {
            turn.confirm();
        }
    }

    /// The operation gives the lock-owner this stateid.
    pub fn locked(&mut self, stateid: &Stateid) {
        if let Some(turn) = &mut self.lock {
            turn.grant(stateid);
        }
    }

    /// Whether the open-owner is to be confirmed by an OPEN_CONFIRM.
    pub fn is_unconfirmed(&self) -> bool {
        self.open.as_ref().is_some_and(OwnerTurn::is_unconfirmed)
    }

    fn take(&mut self) -> SmallVec<[OwnerTurn; 2]> {
        self.open.take().into_iter().chain(self.lock.take()).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none() && self.lock.is_none()
    }
}

impl CompoundContext<'_> {
    /// The turns of the running operation.
    pub fn turns(&mut self) -> &mut Turns {
        &mut self.turns
    }

    /// The client that an owner in an argument belongs to: the one that it names in minor version 0, whose lease is renewed
    /// so, and that of the session in later ones, where what it names is ignored (RFC 8881 section 18.16.3).
    pub fn client_of(&self, owner: &StateOwner) -> Result<ClientId, Status> {
        if self.minor().has_sessions() {
            return self.clientid();
        }
        let client = self.service.v4_0.clients.renew(self.now, owner.clientid)?.id();
        self.note_client(client);
        Ok(client)
    }

    /// Minor version 0: a client has named itself in the request.
    pub fn note_client(&self, client: ClientId) {
        let is_gone = |before| self.service.v4_0.clients.get(before).is_err();
        self.connection_sessions().note_client(client, is_gone);
    }

    /// The client that asks, as far as it is known. In minor version 0 a request without an owner or a stateid does not name its client:
    /// then it is the one that has named itself on the connection, if only one has.
    pub fn known_client(&self) -> Option<ClientId> {
        match self.request.client {
            None => self.connection_sessions().only_client(),
            client => client,
        }
    }

    /// The client that the running operation asks for: that of the session, or of the owner whose turn it is. `None` if a stateid
    /// names no owner.
    pub fn claimant(&self) -> Result<Option<Arc<Client>>, Status> {
        if self.minor().has_sessions() {
            return self.client().cloned().map(Some);
        }
        let turn = self.turns.open.as_ref().or(self.turns.lock.as_ref());
        turn.map(|turn| self.service.v4_0.clients.get(turn.clientid())).transpose()
    }

    /// Whether a stateid may be used for I/O: of an open that awaits its OPEN_CONFIRM it is NFS4ERR_BAD_STATEID (RFC 7530 section
    /// 16.18.5).
    pub fn check_confirmed(&self, stateid: &Stateid) -> Result<(), Status> {
        let is_unconfirmed = !self.minor().has_sessions() && self.service.v4_0.owners.is_unconfirmed(stateid);
        if is_unconfirmed { Err(NFS4ERR_BAD_STATEID) } else { Ok(()) }
    }

    /// Before all else in OPEN: admits it to the sequence of its open-owner. Returns the owner's client.
    pub async fn begin_open(&mut self, owner: &StateOwner, seqid: u32) -> OpResult<ClientId> {
        let clientid = self.client_of(owner)?;
        if !self.minor().has_sessions() {
            let admission = self.service.v4_0.owners.begin_open(self.now, owner, seqid).await;
            self.turns.open = self.admitted(admission)?;
        }
        Ok(clientid)
    }

    /// Before all else in an operation that names its open-owner by an open stateid: admits it to its sequence.
    pub async fn begin_open_stateid(&mut self, stateid: &Stateid, seqid: u32) -> OpResult<()> {
        self.turns.open = self.begin_by_stateid(OwnerKind::Open, stateid, seqid).await?;
        Ok(())
    }

    /// Before all else in an operation that names its lock-owner by a lock stateid: admits it to its sequence.
    pub async fn begin_lock_stateid(&mut self, stateid: &Stateid, seqid: u32) -> OpResult<()> {
        self.turns.lock = self.begin_by_stateid(OwnerKind::Lock, stateid, seqid).await?;
        Ok(())
    }

    /// In a LOCK that names its lock-owner, after [`begin_open_stateid`](Self::begin_open_stateid): admits it to the sequence of the
    /// lock-owner. Returns the owner's client.
    pub async fn begin_lock(&mut self, owner: &StateOwner, seqid: u32) -> OpResult<ClientId> {
        let clientid = self.client_of(owner)?;
        // Without a turn of the open-owner the stateid is wrong, and that is the answer.
        if let Some(turn) = &self.turns.open {
            if turn.clientid() != clientid {
                return Err(NFS4ERR_BAD_STATEID.into());
            }
            let exists = |stateid: &StateidOther| self.service.state.knows(stateid);
            let owners = &self.service.v4_0.owners;
            let admission = owners.begin_lock_owner(self.now, owner, seqid, &exists).await;
            self.turns.lock = self.admitted(admission)?;
        }
        Ok(clientid)
    }

    async fn begin_by_stateid(
        &mut self,
        kind: OwnerKind,
        stateid: &Stateid,
        seqid: u32,
    ) -> OpResult<Option<OwnerTurn>> {
        if self.minor().has_sessions() {
            return Ok(None);
        }
        let owners = &self.service.v4_0.owners;
        match owners.begin_by_stateid(self.now, kind, stateid, seqid, self.opnum).await {
            Some(admission) => self.admitted(admission),
            None => Ok(None),
        }
    }

    fn admitted(&self, admission: Admission) -> OpResult<Option<OwnerTurn>> {
        match admission {
            Admission::New { turn, cancelled } => {
                self.cancel(&cancelled);
                Ok(Some(turn))
            }
            Admission::Replay(clientid, reply) => {
                self.service.v4_0.clients.renew(self.now, clientid)?;
                Err(OpError::Recorded(Box::new(reply)))
            }
            Admission::Refused { status, cancelled } => {
                self.cancel(&cancelled);
                Err(status.into())
            }
        }
    }

    fn cancel(&self, opens: &[StateidOther]) {
        for open in opens {
            self.service.carry_out(self.service.state.cancel_open(open));
        }
    }

    /// Ends the turns of the operation that was answered so.
    pub(super) fn finish_turns(&mut self, opnum: OpNum, status: Status, body: &Bytes) {
        let current = self.handles.current.clone();
        for turn in self.turns.take() {
            let reply = Recorded { opnum, status, body: body.clone(), current: current.clone() };
            turn.finish(&self.service.v4_0.owners, self.service.clock.now(), reply);
        }
    }
}
