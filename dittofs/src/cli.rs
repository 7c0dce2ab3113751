use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use dittofs::api::DEFAULT_ADDRESS;
use dittofs::api_client::ApiAddress;

use crate::fsck::Format;
use crate::storage::{DirectoryExport, ShareName};

/// The DittoFS file server: NFSv4.0, 4.1 and 4.2 in user space.
#[derive(Debug, Parser)]
#[command(name = "dfs", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve shares until SIGTERM or Ctrl-C.
    Start(StartOptions),
    /// Check shares, and repair them, while no server uses them. Exit status: 0 nothing wrong, 1 all repaired, 4 problems left, 8 not
    /// all could be checked.
    Fsck(FsckOptions),
    /// Ask a running server how it is.
    Status(StatusOptions),
    /// Print the NFSv4 operations that this server has, and in which minor versions.
    Ops,
}

#[derive(Debug, Args)]
pub(crate) struct StartOptions {
    /// Where everything is kept that outlives the server; made if it is not there. By default $XDG_DATA_HOME/dittofs, or
    /// ~/.local/share/dittofs.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Serve a share of this name, as /NAME; it is kept in the data directory, and made if it is not there. Can be given several
    /// times. If neither this nor --directory is given there is one share, export.
    #[arg(long = "share", value_name = "NAME")]
    pub(crate) shares: Vec<ShareName>,

    /// Serve a directory of this machine, as /NAME. Can be given several times.
    #[arg(long = "directory", value_name = "NAME=PATH", value_parser = OsStringValueParser::new().try_map(|text| DirectoryExport::parse(&text)))]
    pub(crate) directories: Vec<DirectoryExport>,

    /// Serve one share, /export, from memory: it is empty at the start and gone at the end.
    #[arg(long, conflicts_with_all = ["data_dir", "shares", "directories"])]
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

    /// Most bytes that the share in memory may hold.
    #[arg(long, value_name = "MIB", requires = "ephemeral", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    pub(crate) capacity_mib: u64,
}

#[derive(Debug, Args)]
pub(crate) struct FsckOptions {
    /// The data directory, as for `dfs start`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Check this share; can be given several times. By default all shares that are in the data directory.
    #[arg(long = "share", value_name = "NAME")]
    pub(crate) shares: Vec<ShareName>,

    /// Repair what is wrong. Without it nothing is changed.
    #[arg(long)]
    pub(crate) repair: bool,

    /// How the outcome is written.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    /// Where the server's API is.
    #[arg(long, value_name = "ADDR:PORT", env = "DFS_API", hide_env_values = true, default_value = DEFAULT_ADDRESS)]
    pub(crate) api: ApiAddress,
}
