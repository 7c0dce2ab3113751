//! One table per operation: good, each error of the RFC's list that can be reached, bad XDR, wrong filehandle type; and what several
//! operations make of state together.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed step fails the test

mod common;
mod delegated;
mod plain;
mod tree;

mod access;
mod allocate;
mod clone;
mod close;
mod commit;
mod copy;
mod create;
mod current_stateid;
mod deallocate;
mod delegation_conflicts;
mod delegpurge;
mod delegreturn;
mod expiry;
mod failures;
mod filehandles;
mod free_stateid;
mod get_dir_delegation;
mod getattr;
mod getxattr;
mod io_advise;
mod link;
mod listxattrs;
mod lock;
mod lock_conflicts;
mod lockt;
mod locku;
mod lookup;
mod open;
mod open_create;
mod open_delegation;
mod open_downgrade;
mod open_share;
mod races;
mod read;
mod read_plus;
mod readdir;
mod readlink;
mod remove;
mod removexattr;
mod rename;
mod secinfo;
mod seek;
mod setattr;
mod setxattr;
mod test_stateid;
mod unlinked;
mod verify;
mod want_delegation;
mod write;
