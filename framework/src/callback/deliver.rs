//! Delivery of one callback: over whatever way there is, within a bounded time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::exchange::{Exchange, Outcome, unless_over};
use super::{CallError, CallbackCall, CallbackCounters, CallbackError, CallbackLimits, Callbacks};
use crate::client::CallbackPath;
use crate::proto::{
    CB_NULL, CbArgs, CbOp, CbRes, NFS4_CALLBACK, NFS4ERR_BADSESSION, NFS4ERR_BADSLOT, NFS4ERR_DELAY,
};
use crate::rpc::BoxFuture;
use crate::session::{BackSlotGuard, Session, Unavailable};
use crate::state::ReferringCall;

/// Callbacks that nobody waits for any more. Their slots are in use until they are answered or their connections end, for until then
/// the client may be at work on them (RFC 8881 section 2.10.6.2).
#[derive(Default)]
pub(super) struct Late {
    exchanges: Mutex<Vec<LateExchange>>,
    added: Notify,
}

type LateExchange = BoxFuture<'static, Outcome>;

impl Late {
    fn push(&self, exchange: LateExchange) {
        self.exchanges.lock().push(exchange);
        self.added.notify_one();
    }
}

impl std::fmt::Debug for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Late").field("exchanges", &self.exchanges.lock().len()).finish_non_exhaustive()
    }
}

/// Whether a callback may be carried out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    /// It does no harm.
    Harmless,
    /// The client would be told that something happened twice.
    Harmful,
}

impl Repeats {
    fn of(op: CbOp) -> Self {
        match op {
            CbOp::Notify | CbOp::PushDeleg => Self::Harmful,
            _ => Self::Harmless,
        }
    }
}

/// What a callback is, and the limits that it has.
#[derive(Clone, Copy)]
pub(crate) struct Delivery<'a> {
    pub(crate) op: &'a CbArgs,
    pub(crate) referring: Option<ReferringCall>,
    pub(crate) limits: &'a CallbackLimits,
}

impl Callbacks {
    /// The next callback that nobody waits for, to be driven to its end.
    pub(crate) async fn take_late(&self) -> BoxFuture<'static, ()> {
        loop {
            let added = self.late.added.notified();
            if let Some(exchange) = self.late.exchanges.lock().pop() {
                return Box::pin(async move { drop(exchange.await) });
            }
            added.await;
        }
    }

    /// Sends a callback over the first of the client's `sessions` that takes it, the best first. `sessions` is asked again before each
    /// try.
    pub(crate) async fn deliver(
        &self,
        sessions: impl Fn() -> Vec<Arc<Session>> + Send,
        delivery: Delivery<'_>,
    ) -> Result<CbRes, CallbackError> {
        let mut tried = 0;
        loop {
            let result = self.deliver_once(sessions(), delivery).await;
            let Err(error) = &result else { return result };
            tried += 1;
            if !is_passing(*error, delivery.op.op()) || tried >= delivery.limits.tries {
                return result;
            }
            sleep(delivery.limits.backoff(tried - 1)).await;
        }
    }

    async fn deliver_once(
        &self,
        mut sessions: Vec<Arc<Session>>,
        delivery: Delivery<'_>,
    ) -> Result<CbRes, CallbackError> {
        // The newest first among equals.
        sessions.reverse();
        sessions.sort_by_key(|session| preference(session.back().path()));
        let mut result = Err(CallbackError::NoPath);
        for (index, session) in sessions.iter().enumerate() {
            let others = sessions.get(index + 1..).unwrap_or_default();
            result = self.deliver_in(session, others, delivery).await;
            match &result {
                Ok(_) => break,
                Err(error) if is_final(*error, delivery.op.op()) => break,
                Err(_) => {}
            }
        }
        result
    }

    /// Sends a callback in this session.
    pub(crate) async fn deliver_in(
        &self,
        session: &Arc<Session>,
        others: &[Arc<Session>],
        delivery: Delivery<'_>,
    ) -> Result<CbRes, CallbackError> {
        let Delivery { op, referring, limits } = delivery;
        let guard = take_slot(session, limits.slot_wait).await?;
        let mut exchange = Exchange::new(guard, op.clone(), referring, self.counters.clone());
        loop {
            let mut running: LateExchange = Box::pin(exchange.run());
            let Ok(outcome) = timeout(limits.reply_timeout, &mut running).await else {
                self.late.push(running);
                return Err(CallbackError::TimedOut);
            };
            exchange = match outcome {
                Outcome::Over(result) => return result,
                Outcome::Interrupted(exchange) => exchange,
            };
            // RFC 8881 section 18.46.3 has it tried again in the same session. Where another one is at hand, and the client may
            // carry it out twice, nobody is let wait.
            let has_other = others.iter().any(|other| other.back().path() == CallbackPath::Proven);
            if has_other && Repeats::of(op.op()) == Repeats::Harmless {
                return Err(CallbackError::Lost);
            }
            let bound = timeout(limits.rebind_wait, connection_of(&exchange)).await;
            if bound != Ok(Some(())) {
                return Err(CallbackError::Lost);
            }
        }
    }

    /// Finds out whether the client answers in this session.
    pub(crate) async fn probe(
        &self,
        session: &Session,
        limits: &CallbackLimits,
    ) -> Result<(), CallbackError> {
        let started = tokio::time::Instant::now();
        let probed = timeout(limits.reply_timeout, null(session, &self.counters)).await;
        let result = probed.unwrap_or(Err(CallbackError::TimedOut));
        self.counters.ended(None, started.elapsed(), &result);
        result
    }
}

/// CB_NULL. It needs no slot and no knowledge of the session, which the client may not have yet.
async fn null(session: &Session, counters: &CallbackCounters) -> Result<(), CallbackError> {
    let back = session.back();
    loop {
        let path = back.connection(&[]).map_err(|_| CallbackError::NoPath)?;
        let addressee = back.addressee();
        let call = CallbackCall {
            program: addressee.program,
            version: NFS4_CALLBACK,
            procedure: CB_NULL,
            credential: addressee.credential,
            args: Bytes::new(),
        };
        counters.sent(None);
        match unless_over(back, path.call(call)).await.ok_or(CallbackError::Lost)? {
            Ok(_) => {
                back.probed();
                return Ok(());
            }
            Err(CallError::Disconnected) if path.is_open() => return Err(CallbackError::Lost),
            Err(CallError::Disconnected) => {}
            Err(CallError::Busy) => return Err(CallbackError::Busy),
            Err(CallError::Malformed) => return Err(CallbackError::Fault),
            Err(CallError::Rejected(rejection)) => {
                back.refused();
                return Err(rejection.into());
            }
        }
    }
}

/// A slot of the session's backchannel, as soon as there is one.
async fn take_slot(session: &Arc<Session>, wait: Duration) -> Result<BackSlotGuard, CallbackError> {
    let free = async {
        loop {
            let changed = session.back().changed();
            match session.take_back_slot() {
                Ok(guard) => return Ok(guard),
                Err(Unavailable::NoSlot) => changed.await,
                Err(Unavailable::NoConnection | Unavailable::ForGood) => return Err(CallbackError::NoPath),
            }
        }
    };
    timeout(wait, free).await.unwrap_or(Err(CallbackError::Busy))
}

/// Waits until the session has a connection again; `None` if it never will.
async fn connection_of(exchange: &Exchange) -> Option<()> {
    loop {
        let changed = exchange.back().changed();
        match exchange.back().connection(&[]) {
            Ok(_) => return Some(()),
            Err(Unavailable::ForGood) => return None,
            Err(_) => changed.await,
        }
    }
}

/// The order in which sessions are tried.
fn preference(path: CallbackPath) -> u8 {
    match path {
        CallbackPath::Proven => 0,
        CallbackPath::Unproven => 1,
        CallbackPath::Down => 2,
        CallbackPath::None => 3,
    }
}

/// Whether the client can be expected to take it a moment later.
fn is_passing(error: CallbackError, op: CbOp) -> bool {
    match error {
        // A request waits for the answer, and can be made again itself.
        CallbackError::Busy => op != CbOp::GetAttr,
        CallbackError::Refused(status) => {
            matches!(status, NFS4ERR_DELAY | NFS4ERR_BADSESSION | NFS4ERR_BADSLOT)
        }
        _ => false,
    }
}

/// Whether another session would not do.
fn is_final(error: CallbackError, op: CbOp) -> bool {
    match error {
        CallbackError::AnswerLost | CallbackError::TimedOut => true,
        CallbackError::Lost => Repeats::of(op) == Repeats::Harmful,
        _ => false,
    }
}
