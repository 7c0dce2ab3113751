//! ONC RPC version 2 (RFC 5531) over TCP, the server's side: record marking, messages, authentication, programs, and calls back to
//! the client over its own connection.
//!
//! A program (NFSv4, and later NFSv3 or MOUNT beside it) implements [`RpcProgram`]; who calls is found out by an
//! [`Authenticator`]; [`Server`](crate::server::Server) joins them with the network.

mod auth;
pub(crate) mod calls;
mod connection;
pub(crate) mod message;
mod program;
pub(crate) mod record;

pub use auth::{AuthFlavor, AuthStat, Authenticator, OpaqueAuth, Principal, SysAuthenticator};
pub use connection::{Connection, ConnectionId};
pub use program::{BoxFuture, RpcCall, RpcProgram, RpcReply};
