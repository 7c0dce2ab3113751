//! Kills `dfs` under load, or fills its disk, and compares what it acknowledged with what is there: `tests/crash --help`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use dittofs_tests::crash::{Failure, FaultKind, Figures, Options, Program, fill, run, scratch};

const USAGE: &str = "\
usage: tests/crash [--kills COUNT] [--seed SEED] [--fsck-every KILLS] [--dir DIRECTORY] [--dfs PROGRAM]
       tests/crash --fill DIRECTORY [--dfs PROGRAM]

Kills the server --kills (200) times under the load of --seed (1), and looks after each start for what was acknowledged.
`dfs fsck` looks too, after every --fsck-every (5) kills. Data and log are in a directory made in --dir (the system's
temporary one), which is left there if the run fails. --dfs (target/release/dfs) is the program.
--fill fills the file system that this directory is on instead: a small one, please.";

struct Arguments {
    dir: PathBuf,
    dfs: PathBuf,
    fills: bool,
    kills: u64,
    seed: u64,
    fsck_every: u64,
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let (dir, dfs) = (std::env::temp_dir(), PathBuf::from("target/release/dfs"));
    let mut parsed = Arguments { dir, dfs, fills: false, kills: 200, seed: 1, fsck_every: 5 };
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--kills" => parsed.kills = value.parse().ok()?,
            "--seed" => parsed.seed = value.parse().ok()?,
            "--fsck-every" => parsed.fsck_every = value.parse::<u64>().ok()?.max(1),
            "--dir" => parsed.dir = value.into(),
            "--fill" => (parsed.dir, parsed.fills) = (value.into(), true),
            "--dfs" => parsed.dfs = value.into(),
            _ => return None,
        }
    }
    Some(parsed)
}

fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match in_scratch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}: {error}", arguments.dir.display());
            ExitCode::FAILURE
        }
    }
}

/// Runs in a directory of its own, which is left there for a failure.
fn in_scratch(arguments: &Arguments) -> io::Result<ExitCode> {
    let dir = scratch(&arguments.dir, "dittofs-crash")?;
    let program = Program { dfs: arguments.dfs.clone(), data: dir.join("data"), log: dir.join("log") };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let began = Instant::now();
    let seconds = || began.elapsed().as_secs_f64();
    let ended = if arguments.fills {
        runtime.block_on(fill(&program)).map(|filled| {
            let (bytes, names) = (filled.bytes, filled.names);
            println!(
                "full disk: {bytes} bytes and {names} names acknowledged, {} operations refused, {:.1} seconds, 0 lost, fsck clean",
                filled.refused,
                seconds()
            );
        })
    } else {
        let Arguments { kills, seed, fsck_every, .. } = *arguments;
        runtime.block_on(run(program, &Options { seed, kills, fsck_every })).map(|figures| {
            print_detail(&figures);
            println!("{}, 0 lost, 0 returned, fsck clean", line(&figures, seconds()));
        })
    };
    let Err(failure) = ended else {
        std::fs::remove_dir_all(&dir)?;
        return Ok(ExitCode::SUCCESS);
    };
    print_failure(&failure);
    eprintln!("seed {}, data and log in {}", arguments.seed, dir.display());
    let (lost, returned) = (failure.count(FaultKind::Lost), failure.count(FaultKind::Returned));
    println!("{}, {lost} lost, {returned} returned: FAILED", line(&failure.figures, seconds()));
    Ok(ExitCode::FAILURE)
}

fn print_failure(failure: &Failure) {
    eprintln!("{}", failure.context);
    failure.faults.iter().for_each(|fault| eprintln!("{fault}"));
}

fn print_detail(figures: &Figures) {
    println!(
        "grace periods: {} over when the last client had reclaimed, {} ended for clients of minor version 0; \
         {} early kills, {} fscks",
        figures.graces, figures.graces_ended, figures.early_kills, figures.fscks
    );
}

fn line(figures: &Figures, seconds: f64) -> String {
    let Figures { kills, acknowledged, in_flight, .. } = figures;
    format!(
        "crash: {kills} kills, {acknowledged} operations acknowledged, {in_flight} in flight, {seconds:.1} seconds"
    )
}
