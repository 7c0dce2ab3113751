//! What `archive_export` makes of archives, good and bad.
//!
//! Origin: own; formats of POSIX.1-2017 (pax) and GNU tar.
//! RFC: 8881 section 6.2.1.3.2 (who may execute may read), section 18.23.3 (cookies).
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed step fails the test

#[path = "../../examples/archive_export/extents.rs"]
mod extents;
#[path = "../../examples/archive_export/file_system.rs"]
mod file_system;
#[path = "../../examples/archive_export/headers.rs"]
mod headers;
#[path = "../../examples/archive_export/permission.rs"]
mod permission;
#[path = "../../examples/archive_export/tree.rs"]
mod tree;

mod calls;
mod damage;
mod fixture;
mod shape;
