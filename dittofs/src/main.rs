//! `dfs`: the DittoFS file server.
#![forbid(unsafe_code)]

mod cli;
mod data_dir;
mod fsck;
mod identity;
mod ops_table;
mod recovery;
mod start;
mod status;
mod storage;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

/// Requests allocate small and often, on two or more threads: mimalloc is measurably faster at that than the
/// system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return dittofs::usage::report("dfs", &error),
    };
    let outcome: Result<(), Box<dyn Error>> = match cli.command {
        Command::Start(options) => start::run(&options).map_err(Into::into),
        Command::Fsck(options) => return fsck::run(&options),
        Command::Status(options) => status::print(options.api),
        Command::Ops => ops_table::print().map_err(Into::into),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dfs: {error}");
            ExitCode::FAILURE
        }
    }
}
