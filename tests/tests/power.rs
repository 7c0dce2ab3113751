//! Origin: power that goes at random moments under a load of clients, and stores that fail; what is compared is in
//! `docs/internals/crash.md`. `tests/crash` does the same to the program, whose stores lose nothing when it is killed.
//! RFC: 8881 sections 18.3, 18.16 and 18.32, and what each operation promises.

use dittofs_tests::crash::{Failure, Options, Stores, run_on_stores};
use rstest::rstest;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_outlives_the_power(#[values(1, 2, 3, 4)] seed: u64) {
    let options = Options { seed, kills: 25, fsck_every: 1 };
    let ended = run_on_stores(Stores::new(seed), &options).await;
    let figures = ended.unwrap_or_else(|failure| panic!("{}", told(&failure)));
    assert!(figures.acknowledged > 0 && figures.in_flight > 0, "{figures:?}");
}

fn told(failure: &Failure) -> String {
    let faults: Vec<_> = failure.faults.iter().map(ToString::to_string).collect();
    format!("{}{}\n{:?}", failure.context, faults.join("\n"), failure.figures)
}
