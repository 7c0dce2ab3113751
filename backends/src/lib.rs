//! Storage and state backends.

mod budget;
mod clock;
pub mod content;
pub mod embedded;
pub mod fsck;
mod lock_file;
pub mod metadata;
#[cfg(target_os = "linux")]
pub mod posix;
mod rules;
pub mod state_store;
pub mod store;

pub use clock::WallClock;
