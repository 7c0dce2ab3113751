//! Who a client is to the server, whatever version of the protocol it speaks.
//!
//! Both tables of clients, that of sessions (RFC 8881 section 2.4) and that of minor version 0 (RFC 7530 section 9.1.1),
//! make a [`Client`] for each client ID. The state table, recovery and views hold on to it.

mod callbacks;
#[allow(clippy::module_inception)] // the RFC's noun
mod client;
mod departures;
mod ids;
mod protocol;
mod reclaims;

pub use callbacks::CallbackPath;
pub(crate) use callbacks::CallbackStanding;
pub use client::{Client, ClientName, UserId};
pub use departures::{ClientGone, Departures, GoneReason};
pub use ids::ClientIds;
pub use protocol::Protocol;
pub(crate) use reclaims::Reclaims;
