//! Command lines that are not understood.

use std::process::ExitCode;

use clap::error::ErrorKind;

/// What a program answers to a command line that it does not understand.
const BAD_USAGE: u8 = 2;

/// Says why the command line was not taken: help and version as they were asked for, a fault in one line.
pub fn report(program: &str, error: &clap::Error) -> ExitCode {
    let shown = [
        ErrorKind::DisplayHelp,
        ErrorKind::DisplayVersion,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    if shown.contains(&error.kind()) {
        error.exit();
    }
    eprintln!("{program}: {}; see --help", first_paragraph(&error.render().to_string()));
    ExitCode::from(BAD_USAGE)
}

/// The fault without what is said about usage behind it, in one line.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join(" ");
    joined.trim_start_matches("error: ").to_owned()
}
