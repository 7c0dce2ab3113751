use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand};
use dittofs::api::DEFAULT_ADDRESS;
use dittofs::api_client::ApiAddress;

/// The DittoFS file server: NFSv4.0, 4.1 and 4.2 in user space.
#[derive(Debug, Parser)]
#[command(name = "dfs", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a share until SIGTERM or Ctrl-C.
    Start(StartOptions),
    /// Ask a running server how it is.
    Status(StatusOptions),
    /// Print the NFSv4 operations that this server has, and in which minor versions.
    Ops,
}

#[derive(Debug, Args)]
pub(crate) struct StartOptions {
    /// Serve from memory: the share is empty at the start and gone at the end.
    #[arg(long, required = true)]
    pub(crate) ephemeral: bool,

    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:2049")]
    pub(crate) listen: SocketAddr,

    /// Address and port of the operator's API: health, metrics, who holds what. Off unless given. It has no authentication:
    /// whoever reaches it may use it.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) api: Option<SocketAddr>,

    /// Seconds that a client may be silent before what it holds can be given to others.
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) lease: u32,

    /// Give clients no delegations: every open, lock and look at a file comes to the server.
    #[arg(long)]
    pub(crate) no_delegations: bool,

    /// Call clients of NFSv4.0 back at whatever address they name, not only at the one that they come from. Then whoever
    /// reaches the server can make it connect to any address.
    #[arg(long)]
    pub(crate) callback_any_address: bool,

    /// Most bytes that the share may hold.
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    pub(crate) capacity_mib: u64,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    /// Where the server's API is.
    #[arg(long, value_name = "ADDR:PORT", env = "DFS_API", hide_env_values = true, default_value = DEFAULT_ADDRESS)]
    pub(crate) api: ApiAddress,
}
