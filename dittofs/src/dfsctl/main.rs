//! `dfsctl`: sees and steers a running DittoFS server.
#![forbid(unsafe_code)]

mod cli;
mod output;
mod run;

use std::process::ExitCode;

use clap::Parser;

use cli::Cli;
use run::ControlError;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return dittofs::usage::report("dfsctl", &error),
    };
    match run::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dfsctl: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever reads the output has seen enough of it.
fn is_closed_pipe(error: &ControlError) -> bool {
    matches!(error, ControlError::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
}
