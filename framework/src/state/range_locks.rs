use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::ids::StateKey;
use super::interval_tree::IntervalTree;
use super::range::{ByteRange, LockKind};
use super::steps;

/// A lock-owner, by its number in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct OwnerKey(pub(super) u64);

/// A byte-range lock that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeldLock {
    pub(super) range: ByteRange,
    pub(super) kind: LockKind,
    /// The lock stateid through which it was last locked (RFC 8881 section 9.5): it goes when that one's open goes.
    pub(super) state: StateKey,
}

impl HeldLock {
    fn merges_with(&self, other: &Self) -> bool {
        self.kind == other.kind && self.state == other.state
    }
}

/// The byte-range locks on one file: POSIX semantics, each byte of an owner locked in at most one way.
///
/// Every change and every test for conflicts takes logarithmic time in the number of locks, and a change besides that
/// in the number of the owner's own locks that it replaces.
#[derive(Default)]
pub(super) struct RangeLocks {
    /// By owner and start; those of one owner do not overlap. One map for all owners: a map for each would take ten times
    /// the memory for an owner with one lock.
    held: BTreeMap<(OwnerKey, u64), HeldLock>,
    reads: IntervalTree,
    writes: IntervalTree,
}

/// A change to the locks of one owner, worked out but not yet made.
#[derive(Debug)]
pub(super) struct Change {
    owner: OwnerKey,
    /// The locks that go.
    pub(super) removed: Vec<HeldLock>,
    /// The locks that come.
    pub(super) added: SmallVec<[HeldLock; 3]>,
}

impl Change {
    /// How many locks there are more afterwards.
    pub(super) fn growth(&self) -> usize {
        self.added.len().saturating_sub(self.removed.len())
    }

    /// How many locks there are fewer afterwards.
    pub(super) fn shrinkage(&self) -> usize {
        self.removed.len().saturating_sub(self.added.len())
    }
}

impl RangeLocks {
    /// How many locks are held.
    pub(super) fn count(&self) -> usize {
        self.held.len()
    }

    /// A lock that stands in the way of one of this kind; the locks of `owner` itself never do.
    pub(super) fn conflict(
        &self,
        owner: Option<OwnerKey>,
        range: &ByteRange,
        kind: LockKind,
    ) -> Option<(OwnerKey, HeldLock)> {
        let among = |tree: &IntervalTree| {
            let (range, owner) = tree.first_overlap(range, owner)?;
            self.held.get(&(owner, range.offset())).map(|lock| (owner, *lock))
        };
        among(&self.writes).or_else(|| match kind {
            LockKind::Read => None,
            LockKind::Write => among(&self.reads),
        })
    }

    /// All of them. Visits every lock of the file.
    pub(super) fn conflicts(
        &self,
        owner: Option<OwnerKey>,
        range: &ByteRange,
        kind: LockKind,
    ) -> impl Iterator<Item = (OwnerKey, &HeldLock)> {
        let is_exclusive = move |lock: &HeldLock| kind == LockKind::Write || lock.kind == LockKind::Write;
        let locks = self.held.iter().map(|((holder, _), lock)| (*holder, lock));
        locks.filter(move |(holder, lock)| {
            Some(*holder) != owner && is_exclusive(lock) && lock.range.overlaps(range)
        })
    }

    /// What locking a range comes to: locks that the owner has there already are cut or swallowed, and what adjoins
    /// with the same kind and stateid is merged.
    pub(super) fn plan_lock(&self, owner: OwnerKey, lock: HeldLock) -> Change {
        self.plan(owner, &lock.range, Some(lock))
    }

    /// What unlocking a range comes to.
    pub(super) fn plan_unlock(&self, owner: OwnerKey, range: &ByteRange) -> Change {
        self.plan(owner, range, None)
    }

    fn plan(&self, owner: OwnerKey, range: &ByteRange, lock: Option<HeldLock>) -> Change {
        let mut change = Change { owner, removed: Vec::new(), added: SmallVec::new() };
        let mut merged = lock;
        for held in self.touching(owner, range) {
            steps::count();
            match &mut merged {
                Some(lock) if lock.merges_with(held) => {
                    lock.range = lock.range.hull(&held.range);
                    change.removed.push(*held);
                }
                _ if held.range.overlaps(range) => {
                    change.removed.push(*held);
                    let rest = [held.range.before(range), held.range.after(range)];
                    change.added.extend(rest.into_iter().flatten().map(|range| HeldLock { range, ..*held }));
                }
                _ => {}
            }
        }
        change.added.extend(merged);
        change
    }

    /// The owner's locks that overlap the range or adjoin it, in order.
    fn touching(&self, owner: OwnerKey, range: &ByteRange) -> impl Iterator<Item = &HeldLock> {
        let (start, last) = (range.offset(), range.last());
        let before = self.held.range((owner, 0)..(owner, start)).next_back().map(|(_, lock)| lock);
        let within = self.held.range((owner, start)..=(owner, last.saturating_add(1)));
        before
            .filter(|lock| lock.range.last() >= start.saturating_sub(1))
            .into_iter()
            .chain(within.map(|(_, lock)| lock))
    }

    /// Makes a change that was just worked out.
    pub(super) fn apply(&mut self, change: &Change) {
        let owner = change.owner;
        for lock in &change.removed {
            self.held.remove(&(owner, lock.range.offset()));
            tree(&mut self.reads, &mut self.writes, lock.kind).remove(lock.range.offset(), owner);
        }
        for lock in &change.added {
            self.held.insert((owner, lock.range.offset()), *lock);
            tree(&mut self.reads, &mut self.writes, lock.kind).insert(lock.range, owner);
        }
    }

    /// Lets go all locks of a stateid of this owner, and returns how many they were. Visits all locks of the owner.
    pub(super) fn release(&mut self, owner: OwnerKey, state: StateKey) -> usize {
        let of_owner = self.held.range((owner, 0)..=(owner, u64::MAX)).map(|(_, lock)| lock);
        let removed: Vec<_> = of_owner.filter(|lock| lock.state == state).copied().collect();
        let change = Change { owner, removed, added: SmallVec::new() };
        self.apply(&change);
        change.removed.len()
    }

    /// All locks with their owners.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn all(&self) -> Vec<(OwnerKey, HeldLock)> {
        self.held.iter().map(|((owner, _), lock)| (*owner, *lock)).collect()
    }

    /// What the conflict index holds.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn indexed(&self) -> Vec<(ByteRange, OwnerKey, LockKind)> {
        let of = |tree: &IntervalTree, kind| {
            tree.all().into_iter().map(move |(range, owner)| (range, owner, kind))
        };
        of(&self.reads, LockKind::Read).chain(of(&self.writes, LockKind::Write)).collect()
    }
}

fn tree<'a>(
    reads: &'a mut IntervalTree,
    writes: &'a mut IntervalTree,
    kind: LockKind,
) -> &'a mut IntervalTree {
    match kind {
        LockKind::Read => reads,
        LockKind::Write => writes,
    }
}
