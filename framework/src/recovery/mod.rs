//! Recovery from a restart of the server: who may reclaim what it held, and for how long nobody else is given anything
//! (RFC 8881 sections 8.4.2 and 8.4.3, RFC 7530 section 9.6).
//!
//! The server keeps no list of opens and locks over a restart. It keeps, in a [`StateStore`], which clients may hold
//! something that they may reclaim, and trusts each of them to know what. That is the least that the RFC asks for, and all that it takes
//! to be safe against its two edge conditions:
//!
//! - something was revoked, or let go with its client: [`StateEvent::Forgotten`], on stable storage before anybody is given what
//!   was taken away;
//! - the grace period ended and a client had not reclaimed: [`StateEvent::GraceEnded`], on stable storage before anything but a
//!   reclaim is granted.
//!
//! Whatever goes wrong, a client rather loses the right to reclaim than keeps it wrongly.
//!
//! [`Ledger`] is what events amount to, [`Grace`] the grace period of one start of the server. Neither does I/O or asks for
//! the time.

mod grace;
mod keeper;
#[cfg(test)]
mod keeper_tests;
mod ledger;
#[cfg(all(test, feature = "loom"))]
mod orders;
mod record;
#[cfg(test)]
pub(crate) mod scripted;
mod store;

pub use grace::{Grace, GraceCounts, Reclaiming, Standing};
pub(crate) use keeper::Recovery;
pub use ledger::Ledger;
pub use record::{ClientKey, ReclaimRecord};
pub use store::{Recovered, StateEvent, StateStore, StoreError};
