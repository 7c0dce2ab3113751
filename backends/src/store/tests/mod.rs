//! Tests of the file system of two stores.

mod faults;
mod history;
mod in_memory;
mod limits;
mod order;
mod stores;
mod suite;
mod together;
