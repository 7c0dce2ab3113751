//! The store of `sqlite_metadata`: what every metadata store promises, and what is its own.
//!
//! Origin: own.
//! RFC: none.
#![allow(clippy::unwrap_used)] // a failed step fails the test

#[path = "../../examples/sqlite_metadata/error.rs"]
mod error;
#[path = "../../examples/sqlite_metadata/queries.rs"]
mod queries;
#[path = "../../examples/sqlite_metadata/readers.rs"]
mod readers;
#[path = "../../examples/sqlite_metadata/schema.rs"]
mod schema;
#[path = "../../examples/sqlite_metadata/store.rs"]
mod store;
#[path = "../../examples/sqlite_metadata/writer.rs"]
mod writer;

mod file_system;
mod own;
mod promises;
