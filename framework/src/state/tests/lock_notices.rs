//! Who is told that a lock may be free.
//!
//! Origin: each way in which a lock or a turn before somebody's goes.
//! RFC: 8881 sections 9.6 and 20.11.

use LockKind::{Read, Write};
use rstest::rstest;

use super::waiting::{Answer::DeniedBy, Answer::Granted, Queue};
use super::*;

const ALL: (u64, u64) = (0, 10);

/// Owner 0 has a lock, and these wait for it.
fn queue(held: LockKind, waiting: &[(u64, (u64, u64), LockKind)]) -> Queue {
    let queue = Queue::new();
    assert_eq!(queue.wait(0, ALL, held), Granted);
    for (who, at, kind) in waiting {
        assert!(matches!(queue.wait(*who, *at, *kind), DeniedBy(_)));
    }
    assert_eq!(queue.told(), [0_u64; 0]);
    queue
}

#[rstest]
#[case::the_first(&[(1, ALL, Write), (3, ALL, Write)], &[1])]
#[case::all_that_share(&[(1, ALL, Read), (3, ALL, Read), (5, ALL, Write)], &[1, 3])]
#[case::not_behind_an_exclusive_one(&[(1, ALL, Write), (3, ALL, Read)], &[1])]
#[case::in_other_places(&[(1, (0, 5), Write), (3, (5, 5), Write)], &[1, 3])]
#[case::of_the_same_client(&[(2, ALL, Write)], &[2])]
fn a_lock_goes(#[case] waiting: &[(u64, (u64, u64), LockKind)], #[case] told: &[u64]) {
    let queue = queue(Write, waiting);
    queue.unlock(0, ALL);
    assert_eq!(queue.told(), told);
}

#[test]
fn nobody_is_told_twice_of_one_turn() {
    let queue = queue(Write, &[(1, ALL, Write), (3, ALL, Write)]);
    queue.unlock(0, ALL);
    assert_eq!(queue.told(), [1]);
    assert_eq!(queue.try_once(5, ALL, Write), DeniedBy(1));
    assert_eq!(queue.told(), [0_u64; 0]);
    // It comes, and the next one has to wait for it.
    assert_eq!(queue.wait(1, ALL, Write), Granted);
    assert_eq!(queue.told(), [0_u64; 0]);
    queue.unlock(1, ALL);
    assert_eq!(queue.told(), [3]);
}

#[test]
fn who_loses_its_turn_is_told_of_the_next() {
    let queue = queue(Write, &[(1, (0, 5), Write)]);
    queue.unlock(0, ALL);
    assert_eq!(queue.told(), [1]);
    // By a reader who is not in the way of the turn, then in the way.
    assert_eq!(queue.try_once(1, (5, 5), Read), Granted);
    assert_eq!(queue.told(), [0_u64; 0]);
    assert_eq!(queue.wait(1, (0, 5), Write), Granted);
    assert_eq!(queue.wait(3, (0, 5), Write), DeniedBy(1));
    queue.unlock(1, (0, 5));
    assert_eq!(queue.told(), [3]);
}

#[test]
fn an_exclusive_lock_becomes_a_shared_one() {
    let queue = queue(Write, &[(1, ALL, Read), (3, ALL, Write)]);
    assert_eq!(queue.try_once(0, ALL, Read), Granted);
    assert_eq!(queue.told(), [1]);
}

#[test]
fn a_part_is_unlocked() {
    let queue = queue(Write, &[(1, (0, 5), Write), (3, ALL, Write)]);
    queue.unlock(0, (5, 5));
    assert_eq!(queue.told(), [0_u64; 0]);
    queue.unlock(0, (0, 5));
    assert_eq!(queue.told(), [1]);
}

#[test]
fn the_turn_before_is_given_up() {
    let queue = queue(Write, &[(1, ALL, Write), (3, ALL, Write)]);
    queue.unlock(0, ALL);
    assert_eq!(queue.told(), [1]);
    // It waits for another one from now on.
    assert_eq!(queue.wait(1, (100, 1), Write), Granted);
    assert_eq!(queue.told(), [3]);
}

#[test]
fn the_file_is_closed() {
    let queue = queue(Write, &[(1, ALL, Write)]);
    queue.close_alices();
    assert_eq!(queue.told(), [1]);
}
