//! What the integration tests share: a server on the loopback interface, and clients that speak to it in the types of
//! the operations.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::missing_panics_doc)] // a test stops at what is not as it expects

pub mod callbacks;
mod client;
pub mod crash;
mod gate;
mod local;
mod locks;
mod offer;
pub mod path;
mod policy;
mod random;
mod requests;
mod server;
pub mod simulation;
mod steps;
mod v4_0;

pub use client::{Client, Session, SessionOptions, create_session_args, exchange_id_args};
pub use gate::Gate;
pub use local::LocalSession;
pub use locks::*;
pub use offer::OfferAlways;
pub use policy::DirectoriesToEverybody;
pub use random::Random;
pub use requests::{CacheThis, cut_off, with_word};
pub use server::{TestServer, TestServerOptions, share_in_memory};
pub use steps::*;
pub use v4_0::{ClientV4_0, setclientid_args};
