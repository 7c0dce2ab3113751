//! Clients, sessions and slots (RFC 8881 sections 2.10, 18.33 to 18.37, 18.46, 18.50 and 18.51).
//!
//! The core is synchronous: it is given the time, takes its randomness as a seed when it is made, does no I/O and
//! never waits. What is left to do for the caller comes back as [`Departures`](crate::client::Departures). Invariants, lock order and what happens
//! when a request is lost half-way are in `docs/internals/sessions.md` and `invariants.md`.

mod back;
mod back_slots;
mod channel;
mod connection;
mod core;
mod create;
mod exchange;
mod identity;
mod limits;
mod record;
mod reply_cache;
mod sequence;
#[allow(clippy::module_inception)] // the RFC's noun
mod session;
mod slot;
mod slots;
#[cfg(test)]
mod tests;

pub use self::core::{SessionCensus, SessionCore};
pub(crate) use back::{Backchannel, Unavailable};
pub(crate) use back_slots::BackSlotGuard;
pub use connection::ConnectionSessions;
pub use create::SessionCaller;
pub use identity::ServerIdentity;
pub use limits::SessionLimits;
pub use sequence::{Admission, Admitted, SequenceRequest};
pub use session::{Session, Within};
pub use slot::SlotGuard;
