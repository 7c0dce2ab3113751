//! Tests of exported directories, one file per idea.
#![allow(clippy::cast_possible_truncation)] // offsets of the tests are small

mod calls;
mod credentials;
mod durable;
mod escape;
mod fixture;
mod itself;
mod limits;
mod listing;
mod suite;
