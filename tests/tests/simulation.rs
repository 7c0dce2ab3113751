//! A thousand worlds of server, clients and network, each from its seed.
//!
//! Origin: the state core has to be right in every order of events, not in those that somebody thought of.
//! RFC: 8881 sections 2.10.6, 8, 9 and 18.
#![allow(clippy::unwrap_used)] // a failed step fails the test

use dittofs_tests::simulation::{Options, run};
use rstest::rstest;

/// Seeds of one case.
const SEEDS: u64 = 125;

#[rstest]
#[case::seeds_1_to_125(0)]
#[case::seeds_126_to_250(1)]
#[case::seeds_251_to_375(2)]
#[case::seeds_376_to_500(3)]
#[case::seeds_501_to_625(4)]
#[case::seeds_626_to_750(5)]
#[case::seeds_751_to_875(6)]
#[case::seeds_876_to_1000(7)]
fn the_server_does_what_the_model_says(#[case] part: u64) {
    let options = Options::default();
    for seed in part * SEEDS + 1..=(part + 1) * SEEDS {
        if let Err(error) = run(seed, &options) {
            let steps = options.steps;
            panic!("seed {seed}: {error}\nreplay: tests/simulate --seed {seed} --steps {steps} --trace");
        }
    }
}

#[rstest]
#[case::one(1)]
#[case::another(77)]
fn a_seed_is_one_world(#[case] seed: u64) {
    let world = || run(seed, &Options::default()).unwrap();
    assert_eq!(world(), world());
}

/// Worlds in which nothing succeeds would prove nothing.
#[test]
fn much_succeeds() {
    let worlds = (1..=50).map(|seed| run(seed, &Options::default()).unwrap());
    let (requests, successes) = worlds
        .map(|world| (world.requests, world.successes))
        .reduce(|all, world| (all.0 + world.0, all.1 + world.1))
        .unwrap();
    assert!(requests > 5_000, "{requests} requests");
    assert!(successes > requests, "{successes} operations of {requests} requests succeed");
}
