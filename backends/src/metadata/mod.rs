//! Stores of metadata.

mod memory;

pub use memory::MemoryMetadataStore;
