//! What the server calls its clients with, over the wire.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed step fails the test

mod answers;
mod attributes;
mod backchannel;
mod credentials;
mod dir_world;
mod directory;
mod failures;
mod hints;
mod recall_any;
mod recalls;
mod replica;
mod shared_fs;
mod upcalls;
mod v4_0;
mod world;
