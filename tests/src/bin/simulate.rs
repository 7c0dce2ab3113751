//! Runs many worlds of the simulation, or one again: `tests/simulate --help`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dittofs_tests::simulation::{Options, Prints, run};

const USAGE: &str = "\
usage: tests/simulate [--seeds COUNT] [--from SEED] [--steps COUNT] [--jobs COUNT]
       tests/simulate --seed SEED [--steps COUNT] [--trace]

Runs the seeds from --from (1) on, --seeds (1000) of them, on --jobs (2) threads, or only --seed.
--steps (800) is how long a world lasts. --trace prints every event of the one world.
A failing seed ends the run with status 1 and the command that runs it again.";

struct Arguments {
    seeds: u64,
    from: u64,
    jobs: u64,
    options: Options,
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut parsed = Arguments { seeds: 1000, from: 1, jobs: 2, options: Options::default() };
    while let Some(word) = words.next() {
        let mut number = || words.next()?.parse::<u64>().ok();
        match word.as_str() {
            "--seeds" => parsed.seeds = number()?,
            "--from" => parsed.from = number()?,
            "--jobs" => parsed.jobs = number()?.max(1),
            "--seed" => (parsed.from, parsed.seeds) = (number()?, 1),
            "--steps" => parsed.options.steps = usize::try_from(number()?).ok()?,
            "--trace" => parsed.options.prints = Prints::Events,
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
    let began = Instant::now();
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from.saturating_add(arguments.seeds);
    let failed = AtomicU64::new(0);
    let requests = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.min(arguments.seeds) {
            scope.spawn(|| {
                while failed.load(Ordering::Relaxed) == 0 {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    match run(seed, &arguments.options) {
                        Ok(trace) => {
                            requests.fetch_add(trace.requests, Ordering::Relaxed);
                        }
                        Err(error) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            let steps = arguments.options.steps;
                            eprintln!("seed {seed} fails: {error}");
                            eprintln!("replay: tests/simulate --seed {seed} --steps {steps} --trace");
                        }
                    }
                }
            });
        }
    });
    if failed.load(Ordering::Relaxed) > 0 {
        return ExitCode::FAILURE;
    }
    let requests = requests.load(Ordering::Relaxed);
    println!("{} seeds, {requests} requests, {:.1} s", arguments.seeds, began.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}
