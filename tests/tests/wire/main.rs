//! Clients, sessions and layers on the wire: a table for each operation on clients and sessions, retries, and slots.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed step fails the test

mod bind_conn_to_session;
mod common;
mod create_session;
mod destroy_clientid;
mod destroy_session;
mod exchange_id;
mod layers;
mod reclaim_complete;
mod replay;
mod sequence;
mod slots;
