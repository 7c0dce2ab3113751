//! The state core: stateids, opens with share reservations, byte-range locks (RFC 8881 sections 8 and 9), delegations (section
//! 10).
//!
//! It is sans-I/O: synchronous functions that never wait for anything but a short lock, and return what is left to do
//! as [`Effects`]. [`StateTable`] is the one entry. Everything that can conflict lives per file, so that two files
//! never wait for each other.
//!
//! # Lock order
//!
//! A thread takes a lock only if its rank is above those of all locks that it holds; debug builds assert it
//! (see `lock_order`):
//!
//! 1. `FileState::inner`, one file at a time;
//! 2. `ClientRecord::opens`, one client at a time;
//! 3. a shard of one of the table's maps, one shard at a time.
//!
//! The invariants are numbered in `docs/internals/invariants.md`; `StateTable::check_invariants` checks them.

mod caller;
mod client;
mod delegation;
mod delegation_counters;
mod directory;
mod effects;
mod file;
mod grant;
mod ids;
mod interval_tree;
#[cfg(any(test, feature = "testing"))]
mod invariants;
mod limits;
mod lock;
pub(crate) mod lock_order;
mod notify_queue;
mod open;
mod policy;
mod range;
mod range_locks;
mod recall;
mod revoke;
pub(crate) mod sharded;
mod share;
mod stateid;
mod steps;
mod stripes;
mod table;
#[cfg(test)]
mod tests;
mod v4_0;
mod waiters;

pub use caller::Caller;
pub use delegation::{DelegationType, DelegationView, Recall, RecallReason, ReferringCall};
pub use delegation_counters::{DelegationCounts, RevokeReason};
pub use directory::{DirChanging, DirEvent, DirNotice, DirTerms, DirTold, DirWants, DueNotice};
pub use effects::{Effects, Refused, Scarce};
pub use grant::{
    BesideOpen, DelegatedFile, DelegationClaim, DelegationPressure, DelegationRequest, GrantedDelegation,
    Timestamps, WhyNot, WriteDelegated,
};
pub use ids::FileKey;
#[cfg(any(test, feature = "testing"))]
pub use invariants::Violation;
pub use limits::StateLimits;
pub use lock::{LockConflict, LockError, Locker};
pub use notify_queue::NotifyLimits;
pub use open::{Beside, Granted, OpenRequest, OpenUndo};
pub use policy::{DelegationPolicy, DelegationQuestion, GrantWhenUncontended, NoDelegations};
pub use range::{ByteRange, LockKind};
pub use share::ShareDeny;
pub use stateid::{Freed, Io};
pub use stripes::{Changing, FileStripe};
pub use table::{Held, StateCensus, StateTable};
pub use waiters::LockNotice;
