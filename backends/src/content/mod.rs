//! Content stores: the bytes of files, for file systems that are built from parts.
//!
//! | store | outlives | for |
//! |---|---|---|
//! | [`MemoryContentStore`] | nothing | tests, and volumes that go with the process |

pub(crate) mod chunks;
mod memory;

pub use memory::MemoryContentStore;
