//! What tests of a server need: a client that says what it is told, right or wrong.

mod compound;
mod rpc_client;

pub use compound::{Compound, CompoundReply, OpReply};
pub use rpc_client::{RpcClient, RpcCredential, RpcError, RpcTarget, encode_call, fragments};
