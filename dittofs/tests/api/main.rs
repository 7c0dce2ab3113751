//! The operator's API over a socket, and the programs that ask it.
//!
//! Origin: what operators, their monitoring and their scripts rely on.
//! RFC: 9112 (HTTP/1.1); the text format of Prometheus, version 0.0.4.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a failed step fails the test

mod callbacks;
mod control;
mod delegations;
mod errors;
mod health;
mod metrics;
mod world;
