//! What `dfs` and `dfsctl` share: the API by which an operator sees and steers a running server.
#![forbid(unsafe_code)]

pub mod api;
pub mod api_client;
pub mod usage;
