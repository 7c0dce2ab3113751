use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::ConnectionId;
use super::message::{ReplyHeader, encode_call};
use crate::callback::{CallError, CallbackCall};
use crate::xdr::Rope;

type Outcome = Result<Bytes, CallError>;

/// The calls from this end of a connection to the other: until the connection's task takes them, and until they are answered.
pub(crate) struct Calls {
    /// The calls of a connection have a space of xids of their own. Where it begins is random: the other end may take a call by
    /// the same xid over another connection for the same call.
    next_xid: AtomicU32,
    /// Bytes of what is queued. Changed with the state locked, read without.
    unsent: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many calls there may be; none before the connection is served, and after.
    limit: usize,
    /// Those without an answer.
    pending: HashMap<u32, oneshot::Sender<Outcome>, RandomState>,
    /// Those of `pending` that are not taken yet.
    queue: VecDeque<Queued>,
    /// Of the connection's task.
    waker: Option<Waker>,
}

struct Queued {
    xid: u32,
    record: Rope,
}

impl Calls {
    /// None can be made before the connection is [open](Self::open).
    pub(super) fn new(id: ConnectionId) -> Self {
        let bits = RandomState::default().hash_one(id).to_be_bytes();
        let first = bits.first_chunk().map_or(0, |bits| u32::from_be_bytes(*bits));
        Self { next_xid: AtomicU32::new(first), unsent: AtomicUsize::new(0), state: Mutex::default() }
    }

    /// Lets so many calls be made at the same time, until what it returns is dropped.
    pub(crate) fn open(self: &Arc<Self>, limit: usize) -> OpenCalls {
        self.state.lock().limit = limit.max(1);
        OpenCalls(Arc::clone(self))
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.lock().limit > 0
    }

    /// A number that changes with every call that is made.
    pub(crate) fn made(&self) -> u32 {
        self.next_xid.load(Ordering::Relaxed)
    }

    /// Whether an answer is waited for.
    pub(crate) fn are_pending(&self) -> bool {
        !self.state.lock().pending.is_empty()
    }

    /// Queues a call, and wakes the connection's task to send it.
    pub(super) fn begin(self: &Arc<Self>, call: &CallbackCall) -> Result<UnderWay, CallError> {
        let xid = self.next_xid.fetch_add(1, Ordering::Relaxed);
        let record = encode_call(xid, call);
        let (sender, answer) = oneshot::channel();
        let waker = {
            let mut state = self.state.lock();
            if state.limit == 0 {
                return Err(CallError::Disconnected);
            }
            if state.pending.len() >= state.limit {
                return Err(CallError::Busy);
            }
            self.unsent.fetch_add(record.len(), Ordering::Release);
            state.pending.insert(xid, sender);
            state.queue.push_back(Queued { xid, record });
            state.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(UnderWay { calls: Arc::clone(self), xid, answer })
    }

    /// Gives the call with the xid of `reply` its answer, which came in `record`. False if there is none.
    pub(crate) fn answer(&self, reply: ReplyHeader, record: &Bytes) -> bool {
        let Some(pending) = self.remove(reply.xid) else { return false };
        // Fails when the call was given up just now.
        let _ = pending.send(reply.results_at.map(|at| record.slice(at..)));
        true
    }

    /// Takes a call out, wherever it is.
    fn remove(&self, xid: u32) -> Option<oneshot::Sender<Outcome>> {
        let mut state = self.state.lock();
        let pending = state.pending.remove(&xid)?;
        let place = state.queue.iter().position(|queued| queued.xid == xid);
        if let Some(queued) = place.and_then(|place| state.queue.remove(place)) {
            self.unsent.fetch_sub(queued.record.len(), Ordering::Release);
        }
        Some(pending)
    }
}

/// The end of [`Calls`] that sends them. Once it is dropped no call is answered any more, and none can be made.
pub(crate) struct OpenCalls(Arc<Calls>);

impl OpenCalls {
    /// Wakes `waker` from now on when a call is to be sent.
    pub(crate) fn wake(&self, waker: &Waker) {
        let mut state = self.0.state.lock();
        let before = state.waker.replace(waker.clone());
        drop(state);
        drop(before);
    }

    /// Bytes of the calls that are not taken yet.
    #[inline]
    pub(crate) fn unsent(&self) -> usize {
        self.0.unsent.load(Ordering::Acquire)
    }

    /// Whether an answer is waited for.
    pub(crate) fn are_pending(&self) -> bool {
        self.0.are_pending()
    }

    /// The next call to send, as a record.
    pub(crate) fn take(&self) -> Option<Rope> {
        let queued = self.0.state.lock().queue.pop_front()?;
        self.0.unsent.fetch_sub(queued.record.len(), Ordering::Release);
        Some(queued.record)
    }

    /// Ends all calls: nothing more comes from the other end.
    pub(crate) fn close(&self) {
        let mut state = self.0.state.lock();
        let ended = std::mem::take(&mut *state);
        self.0.unsent.store(0, Ordering::Release);
        drop(state);
        drop(ended);
    }
}

impl Drop for OpenCalls {
    fn drop(&mut self) {
        self.close();
    }
}

/// A call that waits for its answer; given up when it is dropped.
pub(super) struct UnderWay {
    calls: Arc<Calls>,
    xid: u32,
    answer: oneshot::Receiver<Outcome>,
}

impl Future for UnderWay {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| answer.unwrap_or(Err(CallError::Disconnected)))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.calls.remove(self.xid);
    }
}
