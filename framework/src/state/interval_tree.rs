use std::hash::BuildHasher;

use foldhash::quality::RandomState;

use super::range::ByteRange;
use super::range_locks::OwnerKey;
use super::steps;

/// Ranges with owners, searched for overlaps in logarithmic time: a treap ordered by start and owner, in which every
/// node knows how far its subtree reaches. One owner may have no two ranges with the same start.
///
/// To pass over the ranges of one owner without visiting them, a node keeps two ends: the largest, and the largest of
/// any owner but the one that has the largest.
#[derive(Default)]
pub(super) struct IntervalTree {
    root: Link,
    inserted: u64,
    /// Makes the priorities; unknown to clients, who could otherwise choose an order that degenerates the treap.
    hasher: RandomState,
}

type Link = Option<Box<Node>>;
type Key = (u64, OwnerKey);

struct Node {
    range: ByteRange,
    owner: OwnerKey,
    priority: u64,
    reach: Reach,
    left: Link,
    right: Link,
}

#[derive(Clone, Copy)]
struct Reach {
    /// The largest last byte.
    last: u64,
    /// Who has it.
    owner: OwnerKey,
    /// The largest last byte of any other owner.
    of_others: Option<u64>,
}

impl Reach {
    fn join(self, other: Self) -> Self {
        let (far, near) = if self.last >= other.last { (self, other) } else { (other, self) };
        let from_near = if near.owner == far.owner { near.of_others } else { Some(near.last) };
        Self { of_others: far.of_others.max(from_near), ..far }
    }

    fn without(self, owner: Option<OwnerKey>) -> Option<u64> {
        if Some(self.owner) == owner { self.of_others } else { Some(self.last) }
    }
}

impl Node {
    fn key(&self) -> Key {
        (self.range.offset(), self.owner)
    }

    fn update(&mut self) {
        let own = Reach { last: self.range.last(), owner: self.owner, of_others: None };
        self.reach =
            [&self.left, &self.right].into_iter().flatten().fold(own, |all, child| all.join(child.reach));
    }
}

impl IntervalTree {
    /// Adds a range.
    pub(super) fn insert(&mut self, range: ByteRange, owner: OwnerKey) {
        self.inserted = self.inserted.wrapping_add(1);
        let reach = Reach { last: range.last(), owner, of_others: None };
        let priority = self.hasher.hash_one(self.inserted);
        let node = Box::new(Node { range, owner, priority, reach, left: None, right: None });
        let (left, right) = split(self.root.take(), node.key());
        self.root = merge(merge(left, Some(node)), right);
    }

    /// Takes out the range of this owner that begins here.
    pub(super) fn remove(&mut self, start: u64, owner: OwnerKey) {
        self.root = remove(self.root.take(), (start, owner));
    }

    /// The first range, by start, that overlaps `range` and is not `owner`'s.
    pub(super) fn first_overlap(
        &self,
        range: &ByteRange,
        owner: Option<OwnerKey>,
    ) -> Option<(ByteRange, OwnerKey)> {
        let reaches = |link: &Link| {
            link.as_ref()
                .and_then(|node| node.reach.without(owner))
                .is_some_and(|last| last >= range.offset())
        };
        let mut at = self.root.as_ref();
        while let Some(node) = at {
            steps::count();
            if reaches(&node.left) {
                // Something on the left reaches far enough. If it overlaps, it comes first; if it does not, it begins
                // behind the range, and so does everything from here on.
                at = node.left.as_ref();
            } else if Some(node.owner) != owner && node.range.overlaps(range) {
                return Some((node.range, node.owner));
            } else if node.range.offset() > range.last() || !reaches(&node.right) {
                return None;
            } else {
                at = node.right.as_ref();
            }
        }
        None
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn all(&self) -> Vec<(ByteRange, OwnerKey)> {
        fn walk(link: &Link, into: &mut Vec<(ByteRange, OwnerKey)>) {
            if let Some(node) = link {
                walk(&node.left, into);
                into.push((node.range, node.owner));
                walk(&node.right, into);
            }
        }
        let mut all = Vec::new();
        walk(&self.root, &mut all);
        all
    }
}

/// Everything below `key`, and the rest.
fn split(link: Link, key: Key) -> (Link, Link) {
    let Some(mut node) = link else { return (None, None) };
    steps::count();
    if node.key() < key {
        let (left, right) = split(node.right.take(), key);
        node.right = left;
        node.update();
        (Some(node), right)
    } else {
        let (left, right) = split(node.left.take(), key);
        node.left = right;
        node.update();
        (left, Some(node))
    }
}

/// Both trees in one; every key of `left` is below every key of `right`.
fn merge(left: Link, right: Link) -> Link {
    let (mut l, mut r) = match (left, right) {
        (Some(l), Some(r)) => (l, r),
        (one, other) => return one.or(other),
    };
    steps::count();
    if l.priority >= r.priority {
        l.right = merge(l.right.take(), Some(r));
        l.update();
        Some(l)
    } else {
        r.left = merge(Some(l), r.left.take());
        r.update();
        Some(r)
    }
}

fn remove(link: Link, key: Key) -> Link {
    let mut node = link?;
    steps::count();
    match key.cmp(&node.key()) {
        std::cmp::Ordering::Less => node.left = remove(node.left.take(), key),
        std::cmp::Ordering::Greater => node.right = remove(node.right.take(), key),
        std::cmp::Ordering::Equal => return merge(node.left.take(), node.right.take()),
    }
    node.update();
    Some(node)
}
