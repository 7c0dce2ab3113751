//! The NFSv4 operations.

pub mod errors;
pub mod names;
