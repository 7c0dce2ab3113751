use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::Services;
use super::programs::Lookup;
use crate::log_limited;
use crate::rpc::message::{Answer, CallHeader, Message, ReplyFrame};
use crate::rpc::{BoxFuture, Connection, RpcCall, RpcProgram, RpcReply};
use crate::xdr::{Rope, XdrError, XdrWriter};

/// What became of a record at once.
pub(super) enum Begun {
    /// Its answer is ready.
    Answered(Answered),
    /// It waits for something; polling it again is safe from any task.
    Waiting(Request),
    /// It is an answer itself, and takes none; the buffer comes back.
    Ignored(BytesMut),
}

/// A finished reply and the rest of the buffer that it was written into. No reply means: close the connection.
pub(super) struct Answered {
    pub(super) reply: Option<Rope>,
    pub(super) buffer: BytesMut,
}

/// Runs what `record` asks for as far as it comes without waiting. The reply is written into `buffer`.
///
/// Fails for a record that is not an RPC message.
pub(super) fn begin(
    services: &Services,
    connection: &Arc<Connection>,
    record: &Bytes,
    buffer: BytesMut,
) -> Result<Begun, XdrError> {
    let header = match Message::parse(record)? {
        Message::Call(header) => header,
        Message::Reply(reply) => {
            if !connection.calls().answer(reply, record) {
                // The call was given up, or was answered before.
                tracing::debug!(peer = %connection.peer(), xid = reply.xid, "a reply to no call");
            }
            return Ok(Begun::Ignored(buffer));
        }
        Message::Refused { xid, with } => return Ok(Begun::Answered(refuse(xid, with, buffer))),
    };
    let (subject, args_at) = (Subject::from(&header), header.args_at);
    let authenticated = catch_panic(connection, &subject, || {
        services.authenticator.authenticate(header.cred, header.verf, connection)
    });
    let found = match authenticated {
        Some(Ok(principal)) => find(services, &subject).map(|program| (program, principal)),
        Some(Err(stat)) => Err(Answer::AuthError(stat)),
        None => Err(Answer::SystemErr),
    };
    let (program, principal) = match found {
        Ok(found) => found,
        Err(answer) => return Ok(Begun::Answered(refuse(subject.xid, answer, buffer))),
    };
    let call = RpcCall {
        xid: subject.xid,
        version: subject.version,
        procedure: subject.procedure,
        principal,
        record_len: u32::try_from(record.len()).unwrap_or(u32::MAX),
        reply_header_len: 0,
        args: record.slice(args_at..),
        connection: Arc::clone(connection),
    };
    Ok(begin_call(program, call, subject, buffer))
}

/// Whether `record` is the reply to a call of the server.
pub(super) fn is_reply(record: &Bytes) -> bool {
    matches!(Message::parse(record), Ok(Message::Reply(_)))
}

fn find<'a>(services: &'a Services, subject: &Subject) -> Result<&'a Arc<dyn RpcProgram>, Answer> {
    match services.programs.lookup(subject.program, subject.version) {
        Lookup::Found(program) => Ok(program),
        Lookup::Unavailable => Err(Answer::ProgUnavail),
        Lookup::Mismatch { low, high } => Err(Answer::ProgMismatch { low, high }),
    }
}

fn begin_call(program: &Arc<dyn RpcProgram>, mut call: RpcCall, subject: Subject, buffer: BytesMut) -> Begun {
    let connection = Arc::clone(&call.connection);
    let mut results = XdrWriter::with_buffer(buffer);
    let frame = ReplyFrame::begin(subject.xid, &mut results);
    call.reply_header_len = frame.message_len(&results);
    let begun = catch_panic(&connection, &subject, || Arc::clone(program).call(call, results));
    let Some(future) = begun else {
        return Begun::Answered(refuse(subject.xid, Answer::SystemErr, BytesMut::new()));
    };
    let mut request = Request { future: Some(future), frame, subject, connection };
    // No waker is needed: a request that has to wait is polled again, by the task that it moves to.
    match Pin::new(&mut request).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answered) => Begun::Answered(answered),
        Poll::Pending => Begun::Waiting(request),
    }
}

/// A reply that needs no program.
fn refuse(xid: u32, answer: Answer, buffer: BytesMut) -> Answered {
    let mut writer = XdrWriter::with_buffer(buffer);
    ReplyFrame::begin(xid, &mut writer).end(answer, &mut writer);
    let (reply, buffer) = writer.finish_split();
    Answered { reply: Some(reply), buffer }
}

/// What a line of the log says of a request.
#[derive(Clone, Copy)]
struct Subject {
    xid: u32,
    program: u32,
    version: u32,
    procedure: u32,
}

impl From<&CallHeader<'_>> for Subject {
    fn from(header: &CallHeader<'_>) -> Self {
        let CallHeader { xid, program, version, procedure, .. } = *header;
        Self { xid, program, version, procedure }
    }
}

/// A request that runs.
pub(super) struct Request {
    /// Gone once it is finished or has panicked.
    future: Option<BoxFuture<'static, (RpcReply, XdrWriter)>>,
    frame: ReplyFrame,
    subject: Subject,
    connection: Arc<Connection>,
}

impl Future for Request {
    type Output = Answered;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        let this = self.get_mut();
        let Some(future) = this.future.as_mut() else { return Poll::Pending };
        let polled = catch_panic(&this.connection, &this.subject, || future.as_mut().poll(cx));
        let Some(polled) = polled else {
            let future = this.future.take();
            catch_panic(&this.connection, &this.subject, || drop(future));
            return Poll::Ready(refuse(this.subject.xid, Answer::SystemErr, BytesMut::new()));
        };
        let Poll::Ready((reply, mut results)) = polled else { return Poll::Pending };
        this.future = None;
        let answer = Answer::of(reply);
        if let Some(answer) = answer {
            this.frame.end(answer, &mut results);
        }
        let (rope, buffer) = results.finish_split();
        Poll::Ready(Answered { reply: answer.map(|_| rope), buffer })
    }
}

/// Runs the code of a program or authenticator, whose panic is a failure of one request and not of the server.
fn catch_panic<T>(connection: &Connection, subject: &Subject, run: impl FnOnce() -> T) -> Option<T> {
    // Nothing that the closure can see of a half-done change is used after a panic: the future is dropped, and the
    // writer with it.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(panic) => {
            let reason = panic_text(panic.as_ref());
            let Subject { xid, program, version, procedure } = *subject;
            let peer = connection.peer();
            log_limited!(error, %peer, xid, program, version, procedure, reason, "a request panicked");
            None
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
