//! Owners that wait and owners that do not, at random, against a list of who holds which byte.
//!
//! Origin: what the queue promises, each promise put to the test whenever it is made.
//! RFC: 8881 section 9.6.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::waiting::{Answer, Queue};
use super::*;

const OWNERS: u64 = 6;
const BYTES: usize = 8;
const LAST: u64 = 7;

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask { who: u64, from: u64, to: u64, kind: LockKind, waits: bool },
    Unlock { who: u64, from: u64, to: u64 },
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let at = || (0..=LAST, 0..=LAST).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let kind = prop_oneof![Just(LockKind::Read), Just(LockKind::Write)];
    let ask = (0..OWNERS, at(), kind, prop::bool::weighted(0.7))
        .prop_map(|(who, (from, to), kind, waits)| Step::Ask { who, from, to, kind, waits });
    prop_oneof![
        6 => ask,
        3 => (0..OWNERS, at()).prop_map(|(who, (from, to))| Step::Unlock { who, from, to }),
        1 => (1..60_u64).prop_map(Step::Pass),
    ]
}

/// A request that waits: the range, the kind, and when it came last.
type Wanted = ((u64, u64), LockKind, u64);

/// Who holds which byte, and what was denied to whom last.
#[derive(Default)]
struct Model {
    held: [BTreeMap<u64, LockKind>; BYTES],
    wanted: BTreeMap<u64, Wanted>,
    now: u64,
}

impl Model {
    fn bytes(&mut self, (from, to): (u64, u64)) -> &mut [BTreeMap<u64, LockKind>] {
        &mut self.held[usize::try_from(from).expect("small")..=usize::try_from(to).expect("small")]
    }

    fn is_free(&mut self, who: u64, at: (u64, u64), kind: LockKind) -> bool {
        let exclusive = |a: LockKind, b: LockKind| a == LockKind::Write || b == LockKind::Write;
        let conflicts = |(other, held): (&u64, &LockKind)| *other != who && exclusive(kind, *held);
        !self.bytes(at).iter().any(|byte| byte.iter().any(conflicts))
    }

    fn granted(&mut self, who: u64, at: (u64, u64), kind: LockKind) {
        self.set(who, at, Some(kind));
        let is_enough = |(wanted, k, _): &Wanted| {
            at.0 <= wanted.0 && wanted.1 <= at.1 && (kind == LockKind::Write || *k == LockKind::Read)
        };
        if self.wanted.get(&who).is_some_and(is_enough) {
            self.wanted.remove(&who);
        }
    }

    fn set(&mut self, who: u64, at: (u64, u64), kind: Option<LockKind>) {
        for byte in self.bytes(at) {
            match kind {
                Some(kind) => byte.insert(who, kind),
                None => byte.remove(&who),
            };
        }
    }
}

fn length((from, to): (u64, u64)) -> (u64, u64) {
    (from, to - from + 1)
}

fn ask(queue: &Queue, model: &mut Model, who: u64, at: (u64, u64), kind: LockKind, waits: bool) -> Answer {
    let ask = if waits { Queue::wait } else { Queue::try_once };
    let answer = ask(queue, who, length(at), kind);
    let is_free = model.is_free(who, at, kind);
    if waits && model.wanted.get(&who).is_some_and(|(a, k, _)| (*a, *k) != (at, kind)) {
        model.wanted.remove(&who);
    }
    match answer {
        Answer::Granted => {
            assert!(is_free, "granted in spite of a lock");
            model.granted(who, at, kind);
        }
        Answer::DeniedBy(other) => {
            if waits {
                model.wanted.insert(who, (at, kind, model.now));
            } else if model.wanted.get(&who).is_some_and(|(a, k, _)| (*a, *k) == (at, kind)) {
                model.wanted.remove(&who);
            }
            if is_free {
                takes_its_turn(queue, model, other);
            }
        }
    }
    answer
}

/// Whoever keeps others from a free lock by its turn came within a lease, and has the lock if it comes now.
fn takes_its_turn(queue: &Queue, model: &mut Model, who: u64) {
    let (at, kind, asked) = *model.wanted.get(&who).expect("it waits");
    assert!(Duration::from_secs(model.now - asked) <= LEASE, "its turn is over");
    assert!(model.is_free(who, at, kind), "it cannot have the lock");
    assert_eq!(queue.wait(who, length(at), kind), Answer::Granted);
    model.granted(who, at, kind);
}

fn run(steps: &[Step]) {
    let (mut queue, mut model) = (Queue::new(), Model::default());
    for step in steps {
        match *step {
            Step::Ask { who, from, to, kind, waits } => {
                ask(&queue, &mut model, who, (from, to), kind, waits);
            }
            Step::Unlock { who, from, to } => {
                queue.unlock(who, length((from, to)));
                model.set(who, (from, to), None);
            }
            Step::Pass(seconds) => {
                queue.pass(Duration::from_secs(seconds));
                model.now += seconds;
            }
        }
    }
    // When all let go what they have as soon as they have it, somebody who waits is served in each round.
    let_go(&queue, &mut model);
    while !model.wanted.is_empty() {
        let before = model.wanted.len();
        for (who, (at, kind, _)) in model.wanted.clone() {
            if model.wanted.contains_key(&who) {
                ask(&queue, &mut model, who, at, kind, true);
                let_go(&queue, &mut model);
            }
        }
        assert!(model.wanted.len() < before, "nobody is served");
    }
}

fn let_go(queue: &Queue, model: &mut Model) {
    let all = (0, LAST);
    for who in 0..OWNERS {
        queue.unlock(who, length(all));
        model.set(who, all, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_keeps_nobody_from_a_lock_for_nothing(steps in prop::collection::vec(step(), 1..60)) {
        run(&steps);
    }
}
