use std::net::SocketAddr;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

/// What a program answers to a command line that it does not understand.
const BAD_USAGE: u8 = 2;

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

    /// Seconds that a client may be silent before what it holds can be given to others.
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) lease: u32,

    /// Most bytes that the share may hold.
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    pub(crate) capacity_mib: u64,
}

/// Says why the command line was not taken: help and version as they were asked for, a fault in one line.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    let shown = [
        ErrorKind::DisplayHelp,
        ErrorKind::DisplayVersion,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    if shown.contains(&error.kind()) {
        error.exit();
    }
    eprintln!("dfs: {}; see --help", first_paragraph(&error.render().to_string()));
    ExitCode::from(BAD_USAGE)
}

/// The fault without what is said about usage behind it, in one line.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join(" ");
    joined.trim_start_matches("error: ").to_owned()
}
