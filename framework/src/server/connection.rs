use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use super::budget::Charge;
use super::outbound::Outbound;
use super::parked::Parked;
use super::request::{self, Answered, Begun};
use super::waiting::Waiting;
use super::{ServerLimits, Services};
use crate::rpc::Connection;
use crate::rpc::calls::OpenCalls;
use crate::rpc::record::{RecordError, RecordReader};
use crate::xdr::XdrError;

/// Size of a buffer that replies are written into, one after the other.
const REPLY_CHUNK: usize = 16 << 10;
/// A buffer with less room than this is not begun a reply in.
const REPLY_ROOM_MIN: usize = 512;
/// What a connection holds is counted in steps of so many bytes, so that small requests do not meet at one counter.
const CHARGE_STEP: usize = 16 << 10;
/// A connection that was quiet for this long, or twice as long at most, gives its buffers back.
const IDLE: Duration = Duration::from_secs(5);

/// Held by whatever must end before the server has drained: connections, and requests that outlive theirs.
pub(super) type Alive = mpsc::Sender<Infallible>;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ending {
    /// The client closed it, or the server stopped.
    #[error("closed")]
    Closed,
    /// A program asked for it.
    #[error("a request asked for it")]
    Dropped,
    #[error("input/output error: {0}")]
    Io(#[from] io::Error),
    #[error("not a record: {0}")]
    Record(#[from] RecordError),
    #[error("not an RPC message: {0}")]
    Message(#[from] XdrError),
    #[error("the client takes no replies")]
    Stalled,
    #[error("the client does not finish its record")]
    Unfinished,
}

/// Whether more is read from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Open,
    Ended,
}

/// Why no more requests are begun for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// What was read holds no whole record.
    NeedsInput,
    /// A limit is reached.
    AtLimit,
    /// It is the turn of other tasks.
    Turn,
}

/// One connection: its task, and all that belongs to it.
pub(super) struct ConnectionTask<S> {
    services: Arc<Services>,
    connection: Arc<Connection>,
    stream: S,
    alive: Alive,
    input: Input,
    reader: RecordReader,
    parked: Parked,
    outbound: Outbound,
    /// What is left of the buffer that the last reply was written into.
    spare: BytesMut,
    waiting: Waiting,
    /// The server's calls to the client.
    calls: OpenCalls,
    /// By which they wake this task.
    waker: Option<Waker>,
    /// For what was read and is not begun, and for replies and calls that have not left.
    charge: Charge,
    /// Made when the budget of the server is used up.
    room: Option<Pin<Box<OwnedNotified>>>,
    tick: Tick,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ConnectionTask<S> {
    pub(super) fn new(services: Arc<Services>, connection: Arc<Connection>, stream: S, alive: Alive) -> Self {
        let limits = &services.limits;
        let reader = RecordReader::new(limits.max_record, limits.max_fragments.max(1));
        let tick = Tick::new(limits);
        let charge = Charge::new(&services.budget, 0);
        let calls = connection.calls().open(limits.max_calls);
        Self {
            services,
            connection,
            stream,
            alive,
            input: Input::Open,
            reader,
            parked: Parked::default(),
            outbound: Outbound::default(),
            spare: BytesMut::new(),
            waiting: Waiting::default(),
            calls,
            waker: None,
            charge,
            room: None,
            tick,
        }
    }

    /// Serves until the connection ends. After `stop`, nothing more is read, and it ends with its last reply.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) -> Ending {
        let ended = tokio::select! {
            biased;
            ending = poll_fn(|cx| self.poll_serve(cx)) => Some(ending),
            () = stop => None,
        };
        let ending = if let Some(ending) = ended {
            ending
        } else {
            self.end_input();
            poll_fn(|cx| self.poll_serve(cx)).await
        };
        // Its requests run to their end, and until then it counts as a connection: a client cannot have more of them by going.
        let mut waiting = self.into_waiting();
        poll_fn(|cx| waiting.poll_all(cx)).await;
        ending
    }

    /// Closes the connection, all but its requests.
    fn into_waiting(self) -> Waiting {
        self.waiting
    }

    /// Serves as far as it can be done now.
    pub(super) fn poll_serve(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        match self.poll_progress(cx) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(())) => return Poll::Ready(Ending::Closed),
            Err(ending) => {
                // What is ready leaves, as far as the socket takes it, and the connection is closed.
                let _ = self.poll_write(cx);
                return Poll::Ready(ending);
            }
        }
        self.poll_tick(cx)
    }

    /// Does all that can be done now. Ready when there is nothing more to come.
    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Ending> {
        let mut turn = self.services.limits.max_batch.max(1);
        self.tick.awaits_input = false;
        loop {
            let pause = self.begin_requests(&mut turn)?;
            self.collect_finished(cx)?;
            let written = self.poll_send(cx);
            self.update_charge();
            if let Poll::Ready(written) = written {
                written?;
                if self.input == Input::Ended && self.waiting.count() == 0 {
                    return Ok(Poll::Ready(()));
                }
            }
            match pause {
                Pause::Turn => return Ok(yield_turn(cx)),
                Pause::AtLimit if self.poll_below_limit(cx).is_ready() => {}
                Pause::AtLimit => {
                    let replies = self.poll_replies(&mut turn, cx)?;
                    self.update_charge();
                    return Ok(if replies.is_ready() { yield_turn(cx) } else { Poll::Pending });
                }
                Pause::NeedsInput if self.input == Input::Ended => return Ok(Poll::Pending),
                Pause::NeedsInput => match self.poll_read(cx) {
                    Poll::Pending => {
                        self.tick.awaits_input = true;
                        return Ok(Poll::Pending);
                    }
                    Poll::Ready(Ok(0)) => self.end_input(),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Err(error.into()),
                },
            }
        }
    }

    /// Begins the requests that were read.
    fn begin_requests(&mut self, turn: &mut usize) -> Result<Pause, Ending> {
        while self.input == Input::Open {
            if self.is_at_limit() {
                return Ok(Pause::AtLimit);
            }
            if *turn == 0 {
                return Ok(Pause::Turn);
            }
            let Some(record) = self.next_record()? else { break };
            *turn -= 1;
            self.begin(&record)?;
        }
        Ok(Pause::NeedsInput)
    }

    fn next_record(&mut self) -> Result<Option<Bytes>, RecordError> {
        match self.parked.pop() {
            Some(record) => Ok(Some(record)),
            None => self.reader.next_record(),
        }
    }

    /// Reads on for replies to the server's calls, though no request may be begun: those under way may wait for them. Ready when it is
    /// the turn of other tasks.
    fn poll_replies(&mut self, turn: &mut usize, cx: &mut Context<'_>) -> Result<Poll<()>, Ending> {
        while self.calls.are_pending() && self.parked.has_room(&self.services.limits) {
            if *turn == 0 {
                return Ok(Poll::Ready(()));
            }
            if let Some(record) = self.reader.next_record()? {
                *turn -= 1;
                if request::is_reply(&record) {
                    self.begin(&record)?;
                } else {
                    self.parked.push(record);
                }
                continue;
            }
            match self.poll_read(cx) {
                Poll::Pending => break,
                // The requests that were read are still to be answered.
                Poll::Ready(Ok(0)) => self.calls.close(),
                Poll::Ready(read) => drop(read?),
            }
        }
        Ok(Poll::Pending)
    }

    fn is_at_limit(&self) -> bool {
        let ServerLimits { max_in_flight, max_in_flight_bytes, max_unsent, .. } = self.services.limits;
        self.waiting.count() >= max_in_flight.max(1)
            || self.waiting.bytes() >= max_in_flight_bytes.max(1)
            || self.outbound.unsent() >= max_unsent.max(1)
            || self.waits_for_room()
    }

    /// Whether the server's budget is used up, and it is for this connection to wait: one that has nothing under way may always
    /// go on, or those that have half a record each would wait for each other.
    fn waits_for_room(&self) -> bool {
        let has_requests = self.waiting.count() > 0 || !self.outbound.is_empty();
        has_requests && self.services.budget.is_used_up()
    }

    /// Waits until no limit is reached. Limits of its own have a waker of this task already: the writing or a waiting request.
    fn poll_below_limit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.is_at_limit() {
            if !self.waits_for_room() {
                return Poll::Pending;
            }
            let budget = &self.services.budget;
            let room = self.room.get_or_insert_with(|| Box::pin(budget.room()));
            // There may have been room between the first look and the poll.
            if room.as_mut().poll(cx).is_pending() && self.is_at_limit() {
                return Poll::Pending;
            }
            self.room = None;
        }
        self.room = None;
        Poll::Ready(())
    }

    /// Counts what it holds. A waiting request has a charge of its own, which it takes with it.
    fn update_charge(&mut self) {
        let held = self.reader.len() + self.parked.bytes() + self.outbound.unsent() + self.calls.unsent();
        self.charge.set(held / CHARGE_STEP * CHARGE_STEP);
    }

    fn begin(&mut self, record: &Bytes) -> Result<(), Ending> {
        let record_len = record.len();
        let buffer = self.take_buffer();
        match request::begin(&self.services, &self.connection, record, buffer)? {
            Begun::Answered(answered) => self.take_answer(answered)?,
            Begun::Ignored(buffer) => self.spare = buffer,
            Begun::Waiting(request) => {
                let charge = Charge::new(&self.services.budget, record_len);
                self.waiting.spawn(request, record_len, charge, self.alive.clone());
            }
        }
        Ok(())
    }

    /// Takes the replies of waiting requests that finished, and waits for more.
    fn collect_finished(&mut self, cx: &mut Context<'_>) -> Result<(), Ending> {
        while let Poll::Ready(answered) = self.waiting.poll_finished(cx) {
            self.take_answer(answered)?;
        }
        Ok(())
    }

    fn take_answer(&mut self, answered: Answered) -> Result<(), Ending> {
        if answered.buffer.capacity() > self.spare.capacity() {
            self.spare = answered.buffer;
        }
        self.outbound.push(answered.reply.ok_or(Ending::Dropped)?);
        Ok(())
    }

    /// A buffer for the next reply: what is left of the last one, or all of it once the replies in it are gone.
    fn take_buffer(&mut self) -> BytesMut {
        let mut buffer = std::mem::take(&mut self.spare);
        let reclaimed = self.outbound.is_empty() && buffer.try_reclaim(REPLY_CHUNK);
        if !reclaimed && buffer.capacity() < REPLY_ROOM_MIN && !buffer.try_reclaim(REPLY_CHUNK) {
            buffer = BytesMut::with_capacity(REPLY_CHUNK);
        }
        buffer
    }

    /// Nothing more comes from the client: no replies either.
    fn end_input(&mut self) {
        self.input = Input::Ended;
        self.calls.close();
    }

    /// Writes replies and calls until everything is gone or the socket takes no more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            self.calls.wake(cx.waker());
            self.waker = Some(cx.waker().clone());
        }
        loop {
            while self.calls.unsent() > 0 && self.outbound.unsent() < self.services.limits.max_unsent.max(1) {
                let Some(call) = self.calls.take() else { break };
                self.outbound.push(call);
            }
            ready!(self.poll_write(cx))?;
            if self.calls.unsent() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outbound.poll_write(&mut self.stream, &mut self.tick.written, cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = ready!(pin!(self.stream.read_buf(self.reader.buffer())).poll(cx))?;
        self.tick.active = true;
        Poll::Ready(Ok(read))
    }

    /// Whether it holds memory that it would not need while it is idle.
    pub(super) fn holds_buffers(&self) -> bool {
        self.spare.capacity() > 0 || self.reader.holds_memory() || self.waiting.holds_memory()
    }

    /// Looks from time to time whether the client still takes its replies and goes on with its record, and gives back buffers.
    fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        let unsent = !self.outbound.is_empty();
        let awaits_rest = self.tick.awaits_input && self.reader.is_within_record();
        while unsent || awaits_rest || self.holds_buffers() {
            ready!(self.tick.poll_next(cx));
            let active = std::mem::take(&mut self.tick.active);
            let written = std::mem::take(&mut self.tick.written);
            if self.tick.writing.is_over(unsent && written == 0) {
                return Poll::Ready(Ending::Stalled);
            }
            if self.tick.reading.is_over(awaits_rest && !active) {
                return Poll::Ready(Ending::Unfinished);
            }
            if !active {
                self.reader.release();
                self.waiting.release();
                self.spare = BytesMut::new();
            }
        }
        self.tick.sleep = None;
        Poll::Pending
    }
}

/// Wakes this task again after the others, and after a look at their sockets.
fn yield_turn<T>(cx: &mut Context<'_>) -> Poll<T> {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
    Poll::Pending
}

/// The clock of a connection that holds memory; one that holds none has no timer.
struct Tick {
    period: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whether something was read in this period.
    active: bool,
    /// Whether it is the client's turn, and no limit that keeps the server from reading.
    awaits_input: bool,
    /// Bytes written in this period.
    written: usize,
    writing: Patience,
    reading: Patience,
}

/// How long one direction may be without progress.
struct Patience {
    /// Periods in a row after which it is over.
    periods: u32,
    /// Those so far.
    stalled: u32,
}

impl Patience {
    fn new(stall: Duration, period: Duration) -> Self {
        // A stall begins somewhere within a period, which does not count.
        let periods = stall.as_millis().div_ceil(period.as_millis().max(1));
        Self { periods: u32::try_from(periods).unwrap_or(u32::MAX).saturating_add(1), stalled: 0 }
    }

    /// Ends a period.
    fn is_over(&mut self, is_stalled: bool) -> bool {
        self.stalled = if is_stalled { self.stalled + 1 } else { 0 };
        self.stalled >= self.periods
    }
}

impl Tick {
    fn new(limits: &ServerLimits) -> Self {
        let ServerLimits { write_stall, record_stall, .. } = *limits;
        let period = IDLE.min(write_stall / 2).min(record_stall / 2).max(Duration::from_millis(1));
        Self {
            period,
            sleep: None,
            active: false,
            awaits_input: false,
            written: 0,
            writing: Patience::new(write_stall, period),
            reading: Patience::new(record_stall, period),
        }
    }

    /// Waits for the end of the period.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.period)));
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }
}
