//! Content stores: the bytes of files, for file systems that are built from parts.
//!
//! | store | outlives | for |
//! |---|---|---|
//! | [`LocalContentStore`] | the process, and what was synced the machine's crash | servers with durable files |
//! | [`MemoryContentStore`] | nothing | tests, and volumes that go with the process |

pub(crate) mod chunks;
mod local;
mod memory;

pub use local::{LocalContentStore, LocalOptions};
pub use memory::MemoryContentStore;
