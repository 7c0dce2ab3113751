//! Minor version 0 over the wire: clients, owners and their sequences, and how it shares files with later minor versions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed step fails the test

mod clients;
mod confirmation;
mod delegations;
mod io;
mod leases;
mod lock_owners;
mod locks;
mod opens;
mod replay;
mod shared;
mod world;
