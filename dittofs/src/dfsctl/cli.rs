use clap::{Parser, Subcommand, ValueEnum};
use dittofs::api::DEFAULT_ADDRESS;
use dittofs::api_client::ApiAddress;

/// Sees and steers a running DittoFS server, over the API of `dfs start --api`.
#[derive(Debug, Parser)]
#[command(name = "dfsctl", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Where the server's API is.
    #[arg(long, global = true, value_name = "ADDR:PORT", env = "DFS_API", hide_env_values = true, default_value = DEFAULT_ADDRESS)]
    pub(crate) api: ApiAddress,

    /// How the answer is written.
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) output: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Json,
    Yaml,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The delegations that clients hold.
    #[command(subcommand)]
    Delegation(DelegationCommand),
    /// The clients that the server knows.
    #[command(subcommand)]
    Client(ClientCommand),
    /// The grace period after a restart of the server.
    #[command(subcommand)]
    Grace(GraceCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum DelegationCommand {
    /// List who holds what.
    List {
        /// Of this client alone.
        #[arg(long, value_name = "CLIENTID")]
        client: Option<u64>,
    },
    /// Ask the holder to return a delegation; it is revoked if that takes longer than a lease.
    Recall {
        /// Which, as the list has it.
        stateid: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// List the clients, and how much each holds.
    List,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum GraceCommand {
    /// Show how long it lasts, and who has reclaimed.
    Show,
    /// End it now: who has not reclaimed by then never may.
    End,
}
