//! What tests of a server need: a client that says what it is told, right or wrong.

#![allow(clippy::expect_used)] // a test stops at what is not as it expects

mod compound;
pub mod content_store;
pub mod faults;
pub mod file_system;
mod local;
pub mod metadata_store;
mod random;
mod records;
mod rpc_client;
mod rpc_peer;
pub mod state_store;

pub use compound::{Compound, CompoundReply, OpReply};
pub use local::LocalClient;
pub use records::records_of;
pub use rpc_client::{RpcClient, RpcCredential, RpcError, RpcTarget, encode_call, fragments};
pub use rpc_peer::{CallReply, IncomingCall, PendingReply, RpcPeer};
