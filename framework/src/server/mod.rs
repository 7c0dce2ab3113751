//! The TCP server: accepts connections, reads records, runs calls, writes replies, drains.

mod limits;

pub use limits::ServerLimits;
