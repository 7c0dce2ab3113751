//! Storage and state backends.

pub mod content;
pub mod fsck;
pub mod memory;
pub mod metadata;
pub mod state_store;
