//! The examples as their users have them: each is started as a program, asked over the wire, and told to stop.
//!
//! Origin: own.
//! RFC: 8881, of the operations that are asked with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a failed step fails the test

mod archive_export;
mod custom_operation;
mod example;
mod minimal_server;
mod sqlite_metadata;
