use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::HashSet;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::owners::Admission;
use super::turn::{OwnerTurn, StateidOther};
use crate::clock::Timestamp;
use crate::export::ExportNode;
use crate::proto::{
    ClientId, NFS4ERR_BAD_SEQID, NFS4ERR_BAD_STATEID, OP_OPEN, OP_OPEN_CONFIRM, OpNum, StateOwner, Status,
};

/// Which of the two name spaces of owners: one name may be in both (RFC 7530 section 9.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnerKind {
    /// open_owner4.
    Open,
    /// lock_owner4.
    Lock,
}

/// The answer of an operation that bears a seqid, kept for a retransmission.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The operation.
    pub opnum: OpNum,
    /// Its status.
    pub status: Status,
    /// What follows the status.
    pub body: Bytes,
    /// The current filehandle after it, which OPEN sets.
    pub current: Option<ExportNode>,
}

/// An open-owner or a lock-owner, and its sequence.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) clientid: ClientId,
    pub(super) kind: OwnerKind,
    pub(super) name: Bytes,
    pub(super) sequence: Mutex<Sequence>,
    /// Told whenever no request of the owner is under way any more.
    freed: Notify,
}

/// What the lock of an owner guards.
#[derive(Debug)]
pub(super) struct Sequence {
    /// The last request that used up its seqid, and its answer.
    pub(super) last: Option<(u32, Recorded)>,
    /// A request is under way.
    pub(super) is_running: bool,
    /// Whether the client has shown that the seqid is its own (RFC 7530 section 9.1.11). Lock-owners have no need to: their
    /// open-owner has.
    pub(super) confirmed: Confirmed,
    /// The stateids that it has; some may be gone since, by the end of an open for example.
    pub(super) stateids: HashSet<StateidOther>,
    /// The stateid of the CLOSE that was the last request: by it a retransmission finds its owner.
    pub(super) closed: Option<StateidOther>,
    pub(super) used: Timestamp,
    /// Out of the table: who waited for it must look it up again.
    pub(super) is_released: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmed {
    Yes,
    No,
}

/// What a seqid means to an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// There was none before, or it is the one after the last.
    Next,
    /// The last one again.
    Again,
    /// Any other.
    Wrong,
}

/// RFC 7530 section 9.1.3: past NFS4_UINT32_MAX comes one, not zero.
fn successor(seqid: u32) -> u32 {
    seqid.checked_add(1).unwrap_or(1)
}

impl Sequence {
    fn order(&self, seqid: u32) -> Order {
        match &self.last {
            None => Order::Next,
            Some((last, _)) if seqid == successor(*last) => Order::Next,
            Some((last, _)) if seqid == *last => Order::Again,
            Some(_) => Order::Wrong,
        }
    }

    /// What is to become of a request of an owner that has none under way.
    fn admit(&mut self, seqid: u32, opnum: OpNum) -> Admitted {
        let is_unconfirmed = self.confirmed == Confirmed::No;
        match (self.order(seqid), &self.last) {
            (Order::Next, _) => match opnum {
                OP_OPEN => Admitted::Begin,
                // RFC 7530 section 16.18.5: before the confirmation nothing but an OPEN or the confirmation can be valid. That a
                // confirmed owner has nothing to confirm is for the server to say; it says the same.
                OP_OPEN_CONFIRM if is_unconfirmed => Admitted::Begin,
                OP_OPEN_CONFIRM => Admitted::Refuse(NFS4ERR_BAD_STATEID),
                _ if is_unconfirmed => Admitted::Refuse(NFS4ERR_BAD_STATEID),
                _ => Admitted::Begin,
            },
            // RFC 7530 section 9.1.9: of another type it is no retransmission.
            (Order::Again, Some((_, reply))) if reply.opnum == opnum => Admitted::Replay(reply.clone()),
            // RFC 7530 section 16.18.5: the second OPEN is taken to be valid, and the first to be a replay.
            _ if is_unconfirmed && opnum == OP_OPEN => {
                self.last = None;
                Admitted::BeginAnew
            }
            // RFC 7530 section 16.18.4: then the client will not confirm.
            _ if is_unconfirmed && opnum == OP_OPEN_CONFIRM => Admitted::Cancel,
            _ => Admitted::Refuse(NFS4ERR_BAD_SEQID),
        }
    }
}

enum Admitted {
    Begin,
    /// After the opens that were never confirmed are cancelled.
    BeginAnew,
    Replay(Recorded),
    /// NFS4ERR_BAD_SEQID, and the opens that were never confirmed are cancelled.
    Cancel,
    Refuse(Status),
}

impl Owner {
    pub(super) fn new(kind: OwnerKind, owner: &StateOwner, now: Timestamp) -> Self {
        Self {
            clientid: owner.clientid,
            kind,
            // A copy: the argument is a slice of the connection's buffer.
            name: Bytes::copy_from_slice(&owner.owner),
            sequence: Mutex::new(Sequence {
                last: None,
                is_running: false,
                confirmed: if kind == OwnerKind::Lock { Confirmed::Yes } else { Confirmed::No },
                stateids: HashSet::default(),
                closed: None,
                used: now,
                is_released: false,
            }),
            freed: Notify::new(),
        }
    }

    /// Asks for a turn, and waits while another request of the owner is under way. `None` if the owner is released.
    pub(super) async fn begin(
        self: &Arc<Self>,
        now: Timestamp,
        seqid: u32,
        opnum: OpNum,
    ) -> Option<Admission> {
        let mut freed = pin!(self.freed.notified());
        loop {
            // Before the look at the sequence: a turn that ends right after it is not missed.
            freed.as_mut().enable();
            if let Some(asked) = self.ask(now, seqid, opnum) {
                return asked.ok();
            }
            freed.as_mut().await;
            freed.set(self.freed.notified());
        }
    }

    /// `None` while another request is under way.
    fn ask(
        self: &Arc<Self>,
        now: Timestamp,
        seqid: u32,
        opnum: OpNum,
    ) -> Option<Result<Admission, Released>> {
        let mut sequence = self.sequence.lock();
        if sequence.is_released {
            return Some(Err(Released));
        }
        if sequence.is_running {
            return None;
        }
        sequence.used = now;
        let turn = |sequence: &mut Sequence| {
            sequence.is_running = true;
            OwnerTurn::new(self.clone(), seqid, opnum)
        };
        Some(Ok(match sequence.admit(seqid, opnum) {
            Admitted::Begin => Admission::New { turn: turn(&mut sequence), cancelled: Vec::new() },
            Admitted::BeginAnew => {
                let cancelled = sequence.stateids.iter().copied().collect();
                Admission::New { turn: turn(&mut sequence), cancelled }
            }
            Admitted::Replay(reply) => Admission::Replay(self.clientid, reply),
            Admitted::Cancel => Admission::Refused {
                status: NFS4ERR_BAD_SEQID,
                cancelled: sequence.stateids.iter().copied().collect(),
            },
            Admitted::Refuse(status) => Admission::Refused { status, cancelled: Vec::new() },
        }))
    }

    /// Lets the next request in that waits.
    pub(super) fn free(&self, sequence: &mut Sequence) {
        sequence.is_running = false;
        self.freed.notify_waiters();
    }
}

struct Released;
