//! Tests of the memory file system, one file per idea.
#![allow(clippy::cast_possible_truncation)] // offsets of the tests are small

mod attributes;
mod concurrent;
mod create;
mod fixture;
mod namespace;
mod permission;
mod readdir;
mod rename;
mod space;
mod suite;
mod times;
mod xattr;
