//! One callback in one session until it is answered, whatever happens to connections meanwhile.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::compound::{self, Answer};
use super::{CallError, CallPath, CallbackCall, CallbackCounters, CallbackError};
use crate::proto::{
    CB_COMPOUND, CbArgs, CbRes, CbSequence4Args, CbSequence4ResOk, NFS4_CALLBACK, NFS4ERR_BAD_HIGH_SLOT,
    NFS4ERR_BADSLOT, NFS4ERR_CONN_NOT_BOUND_TO_SESSION, NFS4ERR_RETRY_UNCACHED_REP, NFS4ERR_SEQ_FALSE_RETRY,
    NFS4ERR_SEQ_MISORDERED, ReferringCall4, ReferringCallList4, Status,
};
use crate::rpc::ConnectionId;
use crate::session::{BackSlotGuard, Backchannel, Unavailable};
use crate::state::ReferringCall;

/// A callback that has a slot. It keeps its numbers until it is answered: over whatever connection it is sent, the client carries it
/// out once (RFC 8881 section 2.10.6.2).
#[derive(Debug)]
pub(super) struct Exchange {
    guard: BackSlotGuard,
    op: CbArgs,
    referring: Option<ReferringCall>,
    counters: Arc<CallbackCounters>,
    sent: Sent,
    /// Connections that will not do, though they are open.
    unfit: SmallVec<[ConnectionId; 1]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// The client cannot have seen it.
    Never,
    /// It may have.
    Perhaps,
}

/// How far an exchange came.
#[derive(Debug)]
pub(super) enum Outcome {
    /// To its end.
    Over(Result<CbRes, CallbackError>),
    /// The connection is lost, and there is no other: to be [run](Exchange::run) again when there is.
    Interrupted(Exchange),
}

/// What to do after one call.
enum Next {
    /// Send it again.
    Again,
    Over(Result<CbRes, CallbackError>, Slot),
}

/// What becomes of the slot.
enum Slot {
    Settled(CbSequence4ResOk),
    /// Carried out, the answer lost.
    SettledUnknown,
    /// The number is free.
    GivenBack,
    /// The client does not have it.
    GivenUp,
    Uncertain,
}

impl Exchange {
    pub(super) fn new(
        guard: BackSlotGuard,
        op: CbArgs,
        referring: Option<ReferringCall>,
        counters: Arc<CallbackCounters>,
    ) -> Self {
        Self { guard, op, referring, counters, sent: Sent::Never, unfit: SmallVec::new() }
    }

    pub(super) fn back(&self) -> &Backchannel {
        self.guard.session().back()
    }

    /// Sends it, and again over other connections of the session as long as they are lost.
    pub(super) async fn run(mut self) -> Outcome {
        loop {
            let path = match self.back().connection(&self.unfit) {
                Ok(path) => path,
                Err(Unavailable::NoConnection) if self.sent == Sent::Perhaps => {
                    return Outcome::Interrupted(self);
                }
                Err(_) => return self.unsent(),
            };
            match self.call(&*path).await {
                Next::Again => {}
                Next::Over(result, slot) => {
                    self.release(&slot);
                    return Outcome::Over(result);
                }
            }
        }
    }

    /// There is no way to send it.
    fn unsent(self) -> Outcome {
        let (error, slot) = match self.sent {
            Sent::Never if self.unfit.is_empty() => (CallbackError::NoPath, Slot::GivenBack),
            Sent::Never => (CallbackError::Busy, Slot::GivenBack),
            Sent::Perhaps => (CallbackError::Lost, Slot::Uncertain),
        };
        self.release(&slot);
        Outcome::Over(Err(error))
    }

    fn release(self, slot: &Slot) {
        match slot {
            Slot::Settled(reply) => self.guard.settle(reply),
            Slot::SettledUnknown => self.guard.settle_unknown(),
            Slot::GivenBack => self.guard.give_back(),
            Slot::GivenUp => self.guard.give_up_slot(),
            Slot::Uncertain => drop(self.guard),
        }
    }

    async fn call(&mut self, path: &dyn CallPath) -> Next {
        let session = self.guard.session().clone();
        let back = session.back();
        let sequence = self.sequence();
        let addressee = back.addressee();
        let args = compound::encode(back.minor(), sequence.clone(), self.op.clone());
        let len = compound::call_len(&args, &addressee.credential);
        if u32::try_from(len).is_ok_and(|len| len > back.attrs().max_request_size) {
            return Next::Over(Err(CallbackError::TooLong), Slot::GivenBack);
        }
        let op = Some(self.op.op());
        self.counters.sent(op);
        if self.sent == Sent::Perhaps {
            self.counters.retried(op);
        }
        let call = CallbackCall {
            program: addressee.program,
            version: NFS4_CALLBACK,
            procedure: CB_COMPOUND,
            credential: addressee.credential,
            args,
        };
        match unless_over(back, path.call(call)).await {
            None => Next::Over(Err(CallbackError::Lost), Slot::Uncertain),
            Some(Ok(results)) => self.answered(&results, &sequence, path),
            Some(Err(error)) => self.failed(error, path),
        }
    }

    fn sequence(&self) -> CbSequence4Args {
        let numbers = self.guard.numbers();
        let list = |call: ReferringCall| ReferringCallList4 {
            sessionid: call.session,
            referring_calls: vec![ReferringCall4 { sequenceid: call.sequenceid, slotid: call.slotid }],
        };
        CbSequence4Args {
            sessionid: self.guard.session().id(),
            sequenceid: numbers.sequenceid,
            slotid: numbers.slotid,
            highest_slotid: numbers.highest_slotid,
            cache_this: compound::is_kept(self.back().attrs().max_response_size_cached),
            referring_call_lists: self.referring.map(list).into_iter().collect(),
        }
    }

    fn answered(&mut self, results: &Bytes, asked: &CbSequence4Args, path: &dyn CallPath) -> Next {
        match compound::read(results, asked, self.op.op()) {
            Answer::Done(reply, res) => {
                self.back().answered();
                Next::Over(Ok(res), Slot::Settled(reply))
            }
            Answer::Sequence(status) => self.refused(status, path),
            Answer::Compound(status) => Next::Over(Err(CallbackError::Refused(status)), Slot::GivenBack),
            Answer::Fault => self.fault(),
        }
    }

    /// CB_SEQUENCE failed (RFC 8881 section 20.9.3).
    fn refused(&mut self, status: Status, path: &dyn CallPath) -> Next {
        let refused = Err(CallbackError::Refused(status));
        match status {
            NFS4ERR_SEQ_MISORDERED if self.guard.step_back() => Next::Again,
            NFS4ERR_SEQ_MISORDERED | NFS4ERR_SEQ_FALSE_RETRY => self.fault(),
            NFS4ERR_RETRY_UNCACHED_REP => Next::Over(Err(CallbackError::AnswerLost), Slot::SettledUnknown),
            NFS4ERR_CONN_NOT_BOUND_TO_SESSION => {
                self.unfit.push(path.id());
                Next::Again
            }
            NFS4ERR_BADSLOT | NFS4ERR_BAD_HIGH_SLOT if self.guard.numbers().slotid > 0 => {
                Next::Over(refused, Slot::GivenUp)
            }
            _ if self.sent == Sent::Never => Next::Over(refused, Slot::GivenBack),
            // It may be the first one that is still under way (NFS4ERR_DELAY).
            _ => Next::Over(refused, Slot::Uncertain),
        }
    }

    /// The two ends do not agree about the slot (SEQ4_STATUS_BACKCHANNEL_FAULT).
    fn fault(&self) -> Next {
        self.back().fault();
        Next::Over(Err(CallbackError::Fault), Slot::Uncertain)
    }

    fn failed(&mut self, error: CallError, path: &dyn CallPath) -> Next {
        match error {
            CallError::Disconnected => {
                self.sent = Sent::Perhaps;
                if path.is_open() {
                    self.unfit.push(path.id());
                }
                Next::Again
            }
            CallError::Busy => {
                self.unfit.push(path.id());
                Next::Again
            }
            CallError::Rejected(rejection) => {
                if rejection.is_of_all_calls() {
                    self.back().refused();
                }
                Next::Over(Err(rejection.into()), Slot::Uncertain)
            }
            CallError::Malformed => self.fault(),
        }
    }
}

/// What `future` comes to; `None` if the backchannel is over before.
pub(super) async fn unless_over<F: Future>(back: &Backchannel, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    loop {
        let changed = back.changed();
        if back.is_over() {
            return None;
        }
        tokio::select! {
            biased;
            output = &mut future => return Some(output),
            () = changed => {}
        }
    }
}
