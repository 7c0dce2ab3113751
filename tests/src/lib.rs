//! What the integration tests share: a server on the loopback interface, and clients that speak to it in the types of
//! the operations.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::missing_panics_doc)] // a test stops at what is not as it expects

mod client;
mod local;
mod locks;
pub mod path;
mod server;
mod steps;

pub use client::{Client, Session, SessionOptions, create_session_args, exchange_id_args};
pub use local::LocalSession;
pub use locks::*;
pub use server::{TestServer, TestServerOptions};
pub use steps::*;
