//! The wire types that operations share, with the RFC's names in Rust case, statuses and numbers verbatim.

mod callback;
mod client;
mod delegation;
mod notify;
mod opnum;
mod session;
mod status;
mod types;
mod wants;

pub use callback::*;
pub use client::*;
pub use delegation::*;
pub use notify::*;
pub use opnum::*;
pub use session::*;
pub use status::*;
pub use types::*;
pub use wants::*;

/// The RPC program number of NFS (RFC 8881 section 2.6).
pub const NFS_PROGRAM: u32 = 100_003;
/// The RPC version that COMPOUND belongs to.
pub const NFS_V4: u32 = 4;
