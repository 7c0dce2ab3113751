//! What every [`FileSystem`] promises, as tests. [`file_system_suite!`](crate::file_system_suite) runs them.

// The tests say by their names what they are about, and stop at what is not so.
#![allow(missing_docs, clippy::missing_panics_doc, clippy::indexing_slicing)]

mod attributes;
mod concurrent;
mod copy;
mod create;
mod data;
mod full;
mod life;
mod readdir;
mod rename;
mod restarts;
mod sparse;
mod suite;
mod times;
mod tree;
mod users;
mod world;
mod xattr;

use std::sync::Arc;

use async_trait::async_trait;

pub use attributes::*;
pub use concurrent::*;
pub use copy::*;
pub use create::*;
pub use data::*;
pub use full::*;
pub use life::*;
pub use readdir::*;
pub use rename::*;
pub use restarts::*;
pub use sparse::*;
pub use times::*;
pub use users::*;
pub use world::World;
pub use xattr::*;

use crate::fs::{FileSystem, RequestContext};

/// A file system that can be left without warning and found again.
#[async_trait]
pub trait FileSystemFixture: Send + 'static {
    /// The file system: empty at the first call, and later as it is found after a restart. What an earlier call returned has been
    /// dropped, with all opens.
    async fn open(&mut self) -> Arc<dyn FileSystem>;

    /// Lets the file system's clock go on, so that what changes from now on has later times than what changed before.
    async fn tick(&mut self);

    /// Who may do everything in it: of the root directory at least the owner, who may write to it. The group of tests `users` wants
    /// it to be the superuser.
    fn caller(&self) -> RequestContext {
        RequestContext::server()
    }

    /// How often tests of concurrency do what they do: as often as takes about a second.
    fn rounds(&self) -> u64 {
        200
    }

    /// Looks at the file system from below after each test, which has dropped all that it had of it.
    async fn check(&mut self) {}
}
