//! One table per operation: good, each error of the RFC's list that can be reached, bad XDR, wrong filehandle type.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed step fails the test

mod common;
mod plain;

mod allocate;
mod clone;
mod commit;
mod copy;
mod deallocate;
mod getxattr;
mod io_advise;
mod listxattrs;
mod read;
mod read_plus;
mod removexattr;
mod seek;
mod setxattr;
mod write;
