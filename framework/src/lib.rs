//! A framework for NFSv4 servers.
//!
//! Every NFSv4 operation is a small type behind a trait, every rule of the protocol that is not an operation's own
//! is enforced once by the dispatcher, and storage and state are behind traits.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod attr;
pub mod callback;
pub mod client;
pub mod clock;
pub mod compound;
pub mod export;
pub mod fs;
pub mod layer;
pub mod log_gate;
pub mod nfs_server;
pub mod op;
pub mod proto;
pub mod recovery;
pub mod registry;
pub mod rpc;
pub mod server;
pub mod session;
pub mod state;
pub mod storage;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod v4_0;
pub mod xdr;

/// What the macros of this crate expand to.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
}
