//! Storage and state backends.

pub mod memory;
