//! The storage side: what a file system must do to be served.
//!
//! [`FileSystem`] is what the operations call. A backend implements it, declares what it can do beyond it through
//! the capability traits ([`Xattrs`], [`Sparse`], [`ServerSideCopy`], [`EntryPlaces`]), and is exported by an [`Export`](crate::export::Export).

mod capabilities;
mod error;
mod file_system;
mod node;
mod types;
mod upcalls;

pub use capabilities::{
    DataOrHole, EntryPlace, EntryPlaces, ServerSideCopy, Sparse, XattrPage, XattrSet, Xattrs,
};
pub use error::{FsError, FsResult};
pub use file_system::{DirEntry, DirSink, FileSystem, ReaddirEnd, SinkFull};
pub use node::NodeHandle;
pub use types::*;
pub use upcalls::{Upcall, Upcalls};
