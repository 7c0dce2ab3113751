//! Clients and sessions through the dispatcher: encoded compounds in, encoded replies out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // in a test a panic is a failure with its place

mod operations;
mod positions;
mod retries;
mod world;
