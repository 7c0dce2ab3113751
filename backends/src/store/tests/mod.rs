//! Tests of the file system of two stores.

mod suite;
