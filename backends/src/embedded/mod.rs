//! Shares in a directory: metadata in an embedded key-value engine, contents as files.
//!
//! # The directory
//!
//! ```text
//! LOCK              locked while somebody has the share open
//! FORMAT            what this is, and the version of its layout
//! metadata/engine/  the engine's files
//! metadata/mark     number of the last batch that was acknowledged
//! metadata/reserve  room for changes that free room, when there is no other
//! contents/         what files hold
//! ```
//!
//! # Keys
//!
//! All numbers are big-endian, so that keys sort as the numbers do. The first byte tells the kinds apart.
//!
//! ```text
//! a                 number of the last batch u64
//! v                 VolumeRecord
//! i ino             InodeRecord
//! n dir name        cookie u64, ino u64, type u8
//! c dir cookie      ino u64, type u8, name
//! x ino name        cookie u64, value
//! y ino cookie      name
//! o ino             an orphan
//! ```
//!
//! # Applying
//!
//! A thread of the store's own writes batches, each as one record of the engine's journal, and flushes it. With every batch goes its
//! number.
//!
//! # Failure
//!
//! The engine refuses all writes after one that failed. If it was for want of room, or if a merge of tables in the background had none,
//! the engine is opened again, and its number of the last batch says whether the batch is in it. If it cannot be opened, for another reason
//! than damage, this is tried again and again, and nothing can be read or written meanwhile. After any other failure nothing is written
//! until the store is opened again.
//!
//! The engine takes its journal to end where it cannot be read. Of batches that were lost so the mark tells: it is written after
//! each batch, without a flush, and is never ahead of what is durable.

mod directory;
mod engine;
mod keys;
mod manifest;
mod mark;
mod read;
mod room;
mod share;
mod store;
#[cfg(test)]
mod tests;
mod values;
mod writer;

pub use directory::{OpenError, ShareDirectory};
pub use share::{Stores, open, open_again};
pub use store::EmbeddedMetadataStore;
