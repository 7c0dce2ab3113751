//! The NFSv4 operations.

pub mod commit;
pub mod errors;
pub mod io;
pub mod names;
pub mod read;
pub mod write;
