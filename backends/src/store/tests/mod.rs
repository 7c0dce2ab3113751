//! Tests of the file system of two stores.

mod in_memory;
mod suite;
