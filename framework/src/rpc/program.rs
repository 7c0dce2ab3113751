use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use super::{AuthStat, Connection, Principal};
use crate::xdr::XdrWriter;

/// A future on the heap, which can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A call whose header was understood and whose caller is known.
#[derive(Debug)]
pub struct RpcCall {
    /// Transaction id: the reply carries the same.
    pub xid: u32,
    /// Version of the program, within [`RpcProgram::versions`].
    pub version: u32,
    /// Procedure number; whether it exists is the program's to say.
    pub procedure: u32,
    /// Who is calling.
    pub principal: Principal,
    /// The arguments, to the end of the record. They share the connection's read buffer: whatever outlives the
    /// call must be copied, or it keeps a buffer of many requests in memory.
    pub args: Bytes,
    /// The connection that the call came by.
    pub connection: Arc<Connection>,
    /// Bytes of the whole RPC message, header included.
    pub record_len: u32,
    /// Bytes of the header of the reply, which are in the writer already. The transport's framing is not counted.
    pub reply_header_len: usize,
}

/// How a call went at the level of RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RpcReply {
    /// The results are in the writer.
    Success,
    /// The program has no such procedure (PROC_UNAVAIL).
    ProcUnavail,
    /// The arguments do not decode (GARBAGE_ARGS).
    GarbageArgs,
    /// The server failed (SYSTEM_ERR).
    SystemErr,
    /// The caller is refused (AUTH_ERROR).
    AuthError(AuthStat),
    /// No answer: the connection is closed once the replies that are ready have left.
    Drop,
}

/// A remote program: what runs behind one program number in a range of versions.
pub trait RpcProgram: Send + Sync + 'static {
    /// The program number.
    fn program(&self) -> u32;

    /// The versions served, without gaps. Several programs may share a number if their versions do not overlap.
    fn versions(&self) -> RangeInclusive<u32>;

    /// Runs one call, procedure 0 (NULL) included.
    ///
    /// `results` already holds the reply's header: the results go behind it, and the same writer is handed back
    /// with them. After anything but [`RpcReply::Success`] the server cuts off what was appended.
    ///
    /// The future is polled once within the connection's task and, if it is pending, moved to a task of its own,
    /// where it runs to its end even if the connection goes away. It must not block its thread. A panic is answered
    /// with SYSTEM_ERR.
    fn call(self: Arc<Self>, call: RpcCall, results: XdrWriter) -> BoxFuture<'static, (RpcReply, XdrWriter)>;
}
