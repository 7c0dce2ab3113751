use std::sync::Arc;

use bytes::Bytes;

use super::owner::{Confirmed, Owner, OwnerKind, Recorded};
use super::owners::Owners;
use crate::clock::Timestamp;
use crate::proto::{
    ClientId, NFS4ERR_BAD_SEQID, NFS4ERR_BAD_STATEID, NFS4ERR_BADXDR, NFS4ERR_MOVED, NFS4ERR_NOFILEHANDLE,
    NFS4ERR_RESOURCE, NFS4ERR_SERVERFAULT, NFS4ERR_STALE_CLIENTID, NFS4ERR_STALE_STATEID, OpNum, Stateid,
    Status,
};

/// The part of a stateid that does not change.
pub type StateidOther = [u8; 12];

/// Proof that a request was admitted to the sequence of its owner, as the only one now under way.
///
/// [`finish`](Self::finish) gives it the answer that a retransmission gets. If it is dropped instead, because the request
/// panicked or was cancelled, that answer is NFS4ERR_SERVERFAULT: what was done half is not done again.
#[derive(Debug)]
#[must_use = "dropping it makes the answer of the request a fault"]
pub struct OwnerTurn {
    owner: Arc<Owner>,
    seqid: u32,
    opnum: OpNum,
    granted: Option<StateidOther>,
    closed: Option<StateidOther>,
    confirms: bool,
    is_finished: bool,
}

impl OwnerTurn {
    pub(super) fn new(owner: Arc<Owner>, seqid: u32, opnum: OpNum) -> Self {
        Self { owner, seqid, opnum, granted: None, closed: None, confirms: false, is_finished: false }
    }

    /// The client of the owner.
    pub fn clientid(&self) -> ClientId {
        self.owner.clientid
    }

    /// Whether it is an open-owner that the client has not confirmed yet.
    pub fn is_unconfirmed(&self) -> bool {
        !self.confirms && self.owner.sequence.lock().confirmed == Confirmed::No
    }

    /// Notes a stateid that the request gives the owner.
    pub fn grant(&mut self, stateid: &Stateid) {
        self.granted = Some(stateid.other);
    }

    /// Notes a stateid that the request takes from the owner.
    pub fn close(&mut self, stateid: &Stateid) {
        self.closed = Some(stateid.other);
    }

    /// Notes that the request confirms the owner.
    pub fn confirm(&mut self) {
        self.confirms = true;
    }

    /// Ends the request with what it is answered.
    pub fn finish(mut self, owners: &Owners, now: Timestamp, reply: Recorded) {
        self.is_finished = true;
        let owner = self.owner.clone();
        let mut sequence = owner.sequence.lock();
        sequence.used = now;
        let is_ok = reply.status.is_ok();
        if advances(reply.status) {
            sequence.last = Some((self.seqid, reply));
            // The stateid of a CLOSE finds its owner until the next request.
            if let Some(closed) = sequence.closed.take() {
                owners.forget(&closed);
            }
        }
        if is_ok && !sequence.is_released {
            if let Some(granted) = self.granted {
                sequence.stateids.insert(granted);
                owners.remember(granted, &owner);
            }
            if let Some(closed) = self.closed {
                sequence.stateids.remove(&closed);
                sequence.closed = Some(closed);
            }
            if self.confirms {
                sequence.confirmed = Confirmed::Yes;
            }
        }
        // What a lock-owner without locks was answered is of no use to it, nor is an owner that was refused at once: the next
        // request begins its sequence.
        let is_void = owner.kind == OwnerKind::Lock || sequence.last.is_none();
        if !is_ok && is_void && sequence.stateids.is_empty() {
            owners.release(&owner, &mut sequence);
        }
        owner.free(&mut sequence);
    }
}

impl Drop for OwnerTurn {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let mut sequence = self.owner.sequence.lock();
        let reply =
            Recorded { opnum: self.opnum, status: NFS4ERR_SERVERFAULT, body: Bytes::new(), current: None };
        sequence.last = Some((self.seqid, reply));
        self.owner.free(&mut sequence);
    }
}

/// Whether an answer with this status uses up the seqid of its request (RFC 7530 section 9.1.7).
pub(super) fn advances(status: Status) -> bool {
    !matches!(
        status,
        NFS4ERR_STALE_CLIENTID
            | NFS4ERR_STALE_STATEID
            | NFS4ERR_BAD_STATEID
            | NFS4ERR_BAD_SEQID
            | NFS4ERR_BADXDR
            | NFS4ERR_RESOURCE
            | NFS4ERR_NOFILEHANDLE
            | NFS4ERR_MOVED
    )
}
