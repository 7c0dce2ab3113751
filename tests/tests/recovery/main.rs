//! Restarts of the server on the wire: a new instance on the same file system and the same state store, the first one ended
//! without warning.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed step fails the test

mod delegations;
mod grace;
mod histories;
mod locks;
mod opens;
mod store;
mod v4_0;
mod verifier;
mod world;
