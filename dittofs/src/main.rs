//! `dfs`: the DittoFS file server.
#![forbid(unsafe_code)]

mod cli;
mod identity;
mod ops_table;
mod start;

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
        Err(error) => return cli::report(&error),
    };
    let outcome = match cli.command {
        Command::Start(options) => start::run(&options),
        Command::Ops => ops_table::print(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dfs: {error}");
            ExitCode::FAILURE
        }
    }
}
