//! What minor version 0 has instead of sessions (RFC 7530 section 9.1): clients that SETCLIENTID makes known, and owners,
//! each with a sequence of its own that lets every request take effect once.
//!
//! The tables are synchronous and are given the time; the one thing that waits is a request whose owner has another one
//! under way. It waits with no lock held, for the [`OwnerTurn`] of the other to end.
//!
//! # Lock order
//!
//! `Owner::sequence`, one at a time but for LOCK, which takes that of the open-owner and then, when that is let go again,
//! that of the lock-owner; then `ClientOwners::owners`; then a shard of a map. Of the clients: the records of `ClientTable`; then the
//! standing of a [`DialedPath`](crate::callback::DialedPath); then what the ways to a client come to. How owners come and go is in
//! `docs/internals/v4_0.md`.

mod clients;
mod limits;
mod owner;
mod owners;
#[cfg(test)]
mod tests;
mod turn;

use crate::callback::Dialing;
pub use clients::{Callback, ClientTable, InUse, SetClientid};
pub use limits::V4_0Limits;
pub use owner::{OwnerKind, Recorded};
pub use owners::{Admission, Owners, Reaped};
pub use turn::{OwnerTurn, StateidOther};

/// The tables of minor version 0.
#[derive(Debug)]
pub struct V4_0 {
    /// Clients.
    pub clients: ClientTable,
    /// Their open-owners and lock-owners.
    pub owners: Owners,
    /// How they are called back.
    pub dialing: Dialing,
}
