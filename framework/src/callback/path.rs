use std::net::SocketAddr;

use bytes::Bytes;

use crate::proto::AuthSysParms;
use crate::rpc::{BoxFuture, ConnectionId};

/// An RPC call to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackCall {
    /// Program number, which the client chose.
    pub program: u32,
    /// Version of the program.
    pub version: u32,
    /// Procedure number.
    pub procedure: u32,
    /// As whom the server calls.
    pub credential: CallbackCredential,
    /// The arguments, encoded.
    pub args: Bytes,
}

/// As whom the server calls a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CallbackCredential {
    /// AUTH_NONE.
    #[default]
    None,
    /// AUTH_SYS.
    Sys(AuthSysParms),
}

/// Why a call brought no results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The connection ended, or there was none. Whether the client carried out the call is not known.
    #[error("the connection to the client ended")]
    Disconnected,
    /// The client does not take such calls.
    #[error("the client refuses the call: {0}")]
    Rejected(#[from] Rejection),
    /// As many calls are under way as may be.
    #[error("too many calls to the client are under way")]
    Busy,
    /// What came is no reply of RPC.
    #[error("the client's reply does not decode")]
    Malformed,
}

/// What a client has against a call, at the level of RPC (RFC 5531 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// PROG_UNAVAIL.
    #[error("it has no such program")]
    ProgUnavail,
    /// PROG_MISMATCH.
    #[error("it has other versions of the program")]
    ProgMismatch,
    /// PROC_UNAVAIL.
    #[error("it has no such procedure")]
    ProcUnavail,
    /// GARBAGE_ARGS.
    #[error("it cannot decode the arguments")]
    GarbageArgs,
    /// SYSTEM_ERR.
    #[error("it failed")]
    SystemErr,
    /// RPC_MISMATCH.
    #[error("it speaks another version of RPC")]
    RpcMismatch,
    /// AUTH_ERROR, with the auth_stat.
    #[error("auth_stat {0}")]
    Auth(u32),
}

impl Rejection {
    /// Whether any other call would be rejected as well.
    pub(crate) fn is_of_all_calls(self) -> bool {
        !matches!(self, Self::GarbageArgs | Self::SystemErr)
    }
}

/// A way to call a client.
pub trait CallPath: Send + Sync + 'static {
    /// Sends a call and waits, for as long as it is let, for the results: what is behind the header of the reply. They share the
    /// connection's read buffer: what is kept of them must be copied.
    ///
    /// Dropping the future gives the call up: it is not sent if it has not been yet, and a late reply is ignored.
    fn call(&self, call: CallbackCall) -> BoxFuture<'static, Result<Bytes, CallError>>;

    /// Whether calls can still be sent.
    fn is_open(&self) -> bool;

    /// The other end.
    fn peer(&self) -> SocketAddr;

    /// The connection that the calls go over.
    fn id(&self) -> ConnectionId;
}
