//! `dfs` as whoever starts it sees it: texts, exit codes, the line that says where it listens, its end, and what outlives it.
//!
//! Origin: what scripts and people rely on.
//! RFC: none, where a test does not name one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a failed step fails the test

mod data_dir;
mod fsck;
mod program;
mod restart;
mod texts;
