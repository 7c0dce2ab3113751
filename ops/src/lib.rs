//! The NFSv4 operations.

pub mod bind_conn_to_session;
pub mod close;
pub mod commit;
pub mod create_session;
pub mod destroy_clientid;
pub mod destroy_session;
pub mod errors;
pub mod exchange_id;
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
pub mod reclaim_complete;
pub mod sequence;
pub mod test_stateid;
pub mod write;
