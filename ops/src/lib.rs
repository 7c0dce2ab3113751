//! The NFSv4 operations.

pub mod close;
pub mod commit;
pub mod errors;
mod file_type;
pub mod free_stateid;
pub mod io;
pub mod lock;
pub mod lockt;
pub mod locku;
pub mod names;
pub mod open;
pub mod open_downgrade;
pub mod read;
pub mod test_stateid;
pub mod write;
