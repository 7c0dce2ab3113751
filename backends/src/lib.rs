//! Storage and state backends.

pub mod memory;
pub mod state_store;
