use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::rpc_client::{MAX_RECORD, PATIENCE, decode_reply, encode_call, first_xid, fragments};
use super::{RpcCredential, RpcError, RpcTarget};
use crate::rpc::AuthStat;
use crate::rpc::message::{Answer, Message, ReplyFrame};
use crate::rpc::record::RecordReader;
use crate::xdr::{XdrEncode, XdrWriter, encode_to_bytes};

/// A call that the server made.
#[derive(Debug, Clone)]
pub struct IncomingCall {
    /// What the reply must name.
    pub xid: u32,
    /// Which procedure.
    pub target: RpcTarget,
    /// As whom the server calls.
    pub credential: RpcCredential,
    /// The arguments.
    pub args: Bytes,
}

/// What a call of the server is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallReply {
    /// SUCCESS, with these results.
    Results(Bytes),
    /// PROG_UNAVAIL.
    ProgUnavail,
    /// PROC_UNAVAIL.
    ProcUnavail,
    /// GARBAGE_ARGS.
    GarbageArgs,
    /// SYSTEM_ERR.
    SystemErr,
    /// AUTH_ERROR.
    AuthError(AuthStat),
}

/// A TCP connection on which both ends call: replies go to the calls that wait for them, and calls of the other end to a channel.
///
/// Copies are handles of the same connection, which stays until one of them closes it or the other end does.
#[derive(Clone)]
pub struct RpcPeer {
    inner: Arc<Inner>,
}

struct Inner {
    local_addr: SocketAddr,
    writer: tokio::sync::Mutex<Option<OwnedWriteHalf>>,
    pending: Arc<Pending>,
    next_xid: AtomicU32,
    reading: AbortHandle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// Calls that wait for their replies, by xid; `None` once no reply can come.
struct Pending(Mutex<Option<HashMap<u32, oneshot::Sender<Bytes>>>>);

impl Pending {
    /// Where the reply with this xid will be.
    fn register(&self, xid: u32) -> Result<oneshot::Receiver<Bytes>, RpcError> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().as_mut().ok_or(RpcError::Closed)?.insert(xid, sender);
        Ok(receiver)
    }

    fn resolve(&self, xid: u32, reply: Bytes) {
        let waiting = self.0.lock().as_mut().and_then(|pending| pending.remove(&xid));
        // Nobody waits any more for the reply of a call that was given up.
        if let Some(waiting) = waiting {
            drop(waiting.send(reply));
        }
    }
}

/// Tells who waits that the connection has ended, however the reading ended.
struct Ending(Arc<Pending>);

impl Drop for Ending {
    fn drop(&mut self) {
        *self.0.0.lock() = None;
    }
}

/// A reply on its way.
pub struct PendingReply {
    xid: u32,
    reply: oneshot::Receiver<Bytes>,
}

impl PendingReply {
    /// The xid of the call.
    pub fn xid(&self) -> u32 {
        self.xid
    }

    /// Waits for the results.
    pub async fn results(self) -> Result<Bytes, RpcError> {
        let reply = tokio::time::timeout(PATIENCE, self.reply).await.map_err(|_| RpcError::TimedOut)?;
        decode_reply(&reply.map_err(|_| RpcError::Closed)?)
    }
}

impl RpcPeer {
    /// Connects. The channel gives what the server calls, and ends with the connection.
    pub async fn connect(
        addr: impl ToSocketAddrs,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<IncomingCall>)> {
        Self::over(TcpStream::connect(addr).await?)
    }

    /// The same over a connection that is there, whoever made it.
    pub fn over(stream: TcpStream) -> io::Result<(Self, mpsc::UnboundedReceiver<IncomingCall>)> {
        stream.set_nodelay(true)?;
        let local_addr = stream.local_addr()?;
        let (reader, writer) = stream.into_split();
        let pending = Arc::new(Pending(Mutex::new(Some(HashMap::new()))));
        let (calls, incoming) = mpsc::unbounded_channel();
        let reading = tokio::spawn(read_all(reader, Ending(pending.clone()), calls)).abort_handle();
        let inner = Inner {
            local_addr,
            writer: tokio::sync::Mutex::new(Some(writer)),
            pending,
            next_xid: AtomicU32::new(first_xid()),
            reading,
        };
        Ok((Self { inner: Arc::new(inner) }, incoming))
    }

    /// This end of the connection.
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr
    }

    /// Calls, and waits for the results.
    pub async fn call(
        &self,
        target: RpcTarget,
        cred: &RpcCredential,
        args: &(impl XdrEncode + ?Sized),
    ) -> Result<Bytes, RpcError> {
        self.send(target, cred, args).await?.results().await
    }

    /// Sends a call without waiting for its reply.
    pub async fn send(
        &self,
        target: RpcTarget,
        cred: &RpcCredential,
        args: &(impl XdrEncode + ?Sized),
    ) -> Result<PendingReply, RpcError> {
        let xid = self.inner.next_xid.fetch_add(1, Ordering::Relaxed);
        let reply = self.inner.pending.register(xid)?;
        self.write(&fragments(&encode_call(xid, target, cred, &encode_to_bytes(args)), usize::MAX)).await?;
        Ok(PendingReply { xid, reply })
    }

    /// Answers a call of the server.
    pub async fn reply(&self, xid: u32, reply: &CallReply) -> Result<(), RpcError> {
        let mut w = XdrWriter::new();
        let frame = ReplyFrame::begin(xid, &mut w);
        let answer = match reply {
            CallReply::Results(results) => {
                w.raw(results);
                Answer::Success
            }
            CallReply::ProgUnavail => Answer::ProgUnavail,
            CallReply::ProcUnavail => Answer::ProcUnavail,
            CallReply::GarbageArgs => Answer::GarbageArgs,
            CallReply::SystemErr => Answer::SystemErr,
            CallReply::AuthError(stat) => Answer::AuthError(*stat),
        };
        frame.end(answer, &mut w);
        self.write(&w.finish().to_bytes()).await
    }

    /// Writes bytes as they are.
    pub async fn write(&self, bytes: &[u8]) -> Result<(), RpcError> {
        let mut writer = self.inner.writer.lock().await;
        Ok(writer.as_mut().ok_or(RpcError::Closed)?.write_all(bytes).await?)
    }

    /// Whether the other end has closed the connection, or this one.
    pub fn is_closed(&self) -> bool {
        self.inner.reading.is_finished()
    }

    /// Closes the connection, at once and in both directions.
    pub async fn close(&self) {
        self.inner.reading.abort();
        self.inner.writer.lock().await.take();
    }
}

/// Reads until the connection ends or speaks no RPC. What is read is dropped with the task, and with it the pending calls.
async fn read_all(mut stream: OwnedReadHalf, ending: Ending, calls: mpsc::UnboundedSender<IncomingCall>) {
    let mut reader = RecordReader::new(MAX_RECORD, MAX_RECORD);
    loop {
        while let Ok(Some(record)) = reader.next_record() {
            match Message::parse(&record) {
                Ok(Message::Call(header)) => {
                    let target = RpcTarget {
                        program: header.program,
                        version: header.version,
                        procedure: header.procedure,
                    };
                    let credential = RpcCredential {
                        flavor: header.cred.flavor,
                        body: Bytes::copy_from_slice(header.cred.body),
                    };
                    let args = record.slice(header.args_at..);
                    // Who serves no calls leaves them unanswered.
                    drop(calls.send(IncomingCall { xid: header.xid, target, credential, args }));
                }
                Ok(Message::Reply(reply)) => ending.0.resolve(reply.xid, record),
                Ok(Message::Refused { .. }) | Err(_) => return,
            }
        }
        match stream.read_buf(reader.buffer()).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
