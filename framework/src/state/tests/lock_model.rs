//! Byte-range locks against an array that says of each byte how each owner has it locked.
//!
//! Origin: POSIX fcntl locks. RFC: 8881 sections 9.2, 9.3 and 9.5.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Bytes at either end of the 64 bits; what lies between is one cell of the array.
const EDGE: usize = 12;
const CELLS: usize = 2 * EDGE + 1;
/// Two clients with two opens and two lock-owners each; the names of the owners are the same in both.
const CLIENTS: [ClientId; 2] = [ALICE, BOB];
const PER_CLIENT: usize = 2;

/// The first and the last byte of a cell.
fn cell(index: usize) -> (u64, u64) {
    let edge = EDGE as u64;
    match index {
        EDGE => (edge, u64::MAX - edge),
        low if low < EDGE => (low as u64, low as u64),
        high => {
            let at = u64::MAX - (CELLS - 1 - high) as u64;
            (at, at)
        }
    }
}

fn cells(from: usize, to: usize) -> ByteRange {
    let (start, last) = (cell(from).0, cell(to).1);
    ByteRange::new(start, if last == u64::MAX { u64::MAX } else { last - start + 1 }).expect("a range")
}

/// Who: client, which of its opens, which of its lock-owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Who {
    client: usize,
    open: usize,
    owner: usize,
}

impl Who {
    fn name(self) -> StateOwner {
        owner(CLIENTS[self.client], &format!("owner {}", self.owner))
    }

    fn is_same_owner(self, other: Self) -> bool {
        (self.client, self.owner) == (other.client, other.owner)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Lock(Who, usize, usize, LockKind),
    Unlock(Who, usize, usize),
    CloseAndOpen(Who),
    Free(Who),
}

fn who() -> impl Strategy<Value = Who> {
    (0..CLIENTS.len(), 0..PER_CLIENT, 0..PER_CLIENT).prop_map(|(client, open, owner)| Who {
        client,
        open,
        owner,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let span = (0..CELLS, 0..CELLS).prop_map(|(a, b)| match (a.min(b), a.max(b)) {
        // A length of all ones from offset 0 on means the whole file: all bytes but the last cannot be asked for.
        (0, to) if to == CELLS - 2 => (0, CELLS - 1),
        span => span,
    });
    let kind = prop_oneof![Just(LockKind::Read), Just(LockKind::Write)];
    prop_oneof![
        8 => (who(), span.clone(), kind).prop_map(|(who, (from, to), kind)| Step::Lock(who, from, to, kind)),
        4 => (who(), span).prop_map(|(who, (from, to))| Step::Unlock(who, from, to)),
        1 => who().prop_map(Step::CloseAndOpen),
        1 => who().prop_map(Step::Free),
    ]
}

/// What is locked: per cell, by whom (through which open) and how. An owner is there at most once per cell.
struct Model([Vec<(Who, LockKind)>; CELLS]);

impl Model {
    fn conflicts(&self, who: Who, from: usize, to: usize, kind: LockKind) -> bool {
        self.0[from..=to].iter().flatten().any(|(held, held_kind)| {
            !held.is_same_owner(who) && (kind == LockKind::Write || *held_kind == LockKind::Write)
        })
    }

    fn set(&mut self, who: Who, from: usize, to: usize, kind: Option<LockKind>) {
        for cell in &mut self.0[from..=to] {
            cell.retain(|(held, _)| !held.is_same_owner(who));
            cell.extend(kind.map(|kind| (who, kind)));
        }
    }

    fn close(&mut self, open: Who) {
        for cell in &mut self.0 {
            cell.retain(|(held, _)| (held.client, held.open) != (open.client, open.open));
        }
    }

    fn holds_through(&self, who: Who) -> bool {
        self.0.iter().flatten().any(|(held, _)| *held == who)
    }
}

/// The real thing, with the stateids that the clients have.
struct Real {
    world: World,
    opens: [[Stateid; PER_CLIENT]; 2],
    locks: [[[Option<Stateid>; PER_CLIENT]; PER_CLIENT]; 2],
}

impl Real {
    fn new() -> Self {
        let world = World::new();
        let opens = CLIENTS.map(|client| [world.open_both(client, "0"), world.open_both(client, "1")]);
        Self { world, opens, locks: [[[None; PER_CLIENT]; PER_CLIENT]; 2] }
    }

    fn stateid(&mut self, who: Who) -> &mut Option<Stateid> {
        &mut self.locks[who.client][who.open][who.owner]
    }

    fn step(&mut self, model: &mut Model, step: &Step) {
        match *step {
            Step::Lock(who, from, to, kind) => self.lock(model, who, from, to, kind),
            Step::Unlock(who, from, to) => {
                let Some(stateid) = *self.stateid(who) else { return };
                let unlocked = self.world.unlock(CLIENTS[who.client], &stateid, cells(from, to));
                *self.stateid(who) = Some(unlocked.expect("never refused"));
                model.set(who, from, to, None);
            }
            Step::CloseAndOpen(who) => {
                let client = CLIENTS[who.client];
                self.world.close(client, &self.opens[who.client][who.open]).expect("closed");
                self.opens[who.client][who.open] = self.world.open_both(client, &who.open.to_string());
                self.locks[who.client][who.open] = [None; PER_CLIENT];
                model.close(who);
            }
            Step::Free(who) => {
                let Some(stateid) = *self.stateid(who) else { return };
                let freed = self.world.table.free_stateid(caller(CLIENTS[who.client]), &stateid);
                assert_eq!(freed.is_ok(), !model.holds_through(who));
                if freed.is_ok() {
                    *self.stateid(who) = None;
                }
            }
        }
    }

    fn lock(&mut self, model: &mut Model, who: Who, from: usize, to: usize, kind: LockKind) {
        let name = who.name();
        let open = self.opens[who.client][who.open];
        let locker = match *self.stateid(who) {
            Some(stateid) => Locker::Existing(stateid),
            None => Locker::New { open, owner: &name },
        };
        let range = cells(from, to);
        let tested = self.world.test_lock(&name, &file(1), &range, kind);
        match self.world.lock(CLIENTS[who.client], &locker, range, kind) {
            Ok(stateid) => {
                assert!(!model.conflicts(who, from, to, kind), "granted in spite of a conflict");
                assert_eq!(tested, None);
                *self.stateid(who) = Some(stateid);
                model.set(who, from, to, Some(kind));
            }
            Err(LockError::Denied(conflict)) => {
                assert!(model.conflicts(who, from, to, kind), "denied without a conflict");
                assert_eq!(tested, Some(conflict.clone()));
                check_conflict(model, who, &range, kind, &conflict);
            }
            Err(LockError::Status(status)) => panic!("{status}"),
        }
    }

    /// What strangers are told of each cell is what the model says.
    fn check(&self, model: &Model) {
        let stranger = owner(ClientId(3), "stranger");
        for (index, held) in model.0.iter().enumerate() {
            let range = cells(index, index);
            let test = |kind| self.world.test_lock(&stranger, &file(1), &range, kind).is_some();
            assert_eq!(test(LockKind::Write), !held.is_empty(), "cell {index}");
            let is_exclusive = held.iter().any(|(_, kind)| *kind == LockKind::Write);
            assert_eq!(test(LockKind::Read), is_exclusive, "cell {index}");
        }
    }
}

/// A conflict that is told is one that there is, with the whole range of the lock.
fn check_conflict(model: &Model, who: Who, range: &ByteRange, kind: LockKind, told: &LockConflict) {
    assert!(told.range.overlaps(range));
    assert!(kind == LockKind::Write || told.kind == LockKind::Write);
    assert_ne!(told.owner, who.name());
    for (index, held) in model.0.iter().enumerate() {
        let is_inside = told.range.overlaps(&cells(index, index));
        let holds = held.iter().any(|(holder, kind)| holder.name() == told.owner && *kind == told.kind);
        assert!(!is_inside || holds, "cell {index} is not held as told");
    }
}

proptest! {
    #[test]
    fn locks_are_as_an_array_says(steps in vec(step(), 1..60)) {
        let mut real = Real::new();
        let mut model = Model(std::array::from_fn(|_| Vec::new()));
        for step in &steps {
            real.step(&mut model, step);
            real.check(&model);
        }
    }
}
