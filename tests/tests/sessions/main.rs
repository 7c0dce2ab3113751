//! Clients and sessions through the dispatcher: encoded compounds in, encoded replies out.

mod operations;
mod positions;
mod retries;
mod world;
