use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::delegation::DelegationType;
use super::file::{FileInner, FileState};
use super::ids::StateKey;
use super::range::LockKind;
use super::range_locks::{HeldLock, OwnerKey};
use super::share::{OpenModes, ShareCounts, ShareDeny};
use super::table::StateTable;
use crate::fs::ShareAccess;
use crate::proto::ClientId;

/// An invariant of `docs/internals/invariants.md` that does not hold, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

type Check = Result<(), Violation>;

macro_rules! hold {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            return Err(Violation(format!($($text)*)));
        }
    };
}

/// What a client's files add up to.
#[derive(Default)]
struct Tally {
    opens: BTreeSet<StateKey>,
    lock_stateids: usize,
    locks: usize,
    waiting: usize,
    delegations: BTreeSet<StateKey>,
}

impl StateTable {
    /// Checks every invariant of `docs/internals/invariants.md`. Nothing may change meanwhile.
    pub fn check_invariants(&self) -> Check {
        let mut tallies: BTreeMap<ClientId, Tally> = BTreeMap::new();
        let mut states: BTreeMap<StateKey, (ClientId, Arc<FileState>)> = BTreeMap::new();
        let mut by_type: BTreeMap<DelegationType, usize> = BTreeMap::new();
        for file in self.files.map_all(|_, file| file.clone()) {
            let inner = file.inner.lock();
            check_opens(&inner)?;
            check_locks(&inner, self.limits.locks_per_file)?;
            check_waiters(&inner, self.limits.waiters_per_file)?;
            check_delegations(&inner)?;
            for held in inner.delegations.iter() {
                let id = held.client.id();
                tallies.entry(id).or_default().delegations.insert(held.key);
                states.insert(held.key, (id, file.clone()));
                *by_type.entry(held.kind).or_insert(0) += 1;
                hold!(
                    held.watch.is_some() == (held.kind == DelegationType::Directory),
                    "E1: what is told belongs to a directory delegation"
                );
                if let Some(watch) = &held.watch {
                    hold!(watch.is_consistent(), "E2: the queue of {:?}", held.key);
                }
            }
            for (key, open) in &inner.opens {
                let id = open.client.id();
                let tally = tallies.entry(id).or_default();
                tally.opens.insert(*key);
                tally.waiting += inner.waiters.all().filter(|(_, open)| open == key).count();
                states.insert(*key, (id, file.clone()));
                for lock in open.lock_states.values() {
                    tally.lock_stateids += 1;
                    tally.locks += inner.lock_states.get(lock).map_or(0, |lock| lock.held);
                    states.insert(*lock, (id, file.clone()));
                }
            }
        }
        for (kind, counted) in DelegationType::ALL.into_iter().zip(&self.delegations_by_type) {
            let (counted, held) = (counted.count(), by_type.get(&kind).copied().unwrap_or(0));
            hold!(counted == held, "D4: {counted} {} delegations counted, {held} held", kind.name());
        }
        self.check_stateids(&states)?;
        self.check_clients(&mut tallies)
    }

    fn check_stateids(&self, states: &BTreeMap<StateKey, (ClientId, Arc<FileState>)>) -> Check {
        let known = self.stateids.map_all(|key, state| (*key, state.client.clone(), state.file()));
        let live = known.iter().filter(|(_, _, file)| file.is_some()).count();
        hold!(live == states.len(), "O1: {live} stateids, {} states", states.len());
        let mut revoked = BTreeMap::<ClientId, BTreeSet<StateKey>>::new();
        for (key, client, file) in known {
            let id = client.id();
            let Some(file) = file else {
                revoked.entry(id).or_default().insert(key);
                continue;
            };
            let matches = states.get(&key).is_some_and(|(c, f)| *c == id && Arc::ptr_eq(f, &file));
            hold!(matches, "O1: {key:?} leads to no state of {id:?}");
        }
        for record in self.clients.map_all(|_, record| record.clone()) {
            let listed: BTreeSet<_> = record.revoked_keys().into_iter().collect();
            let known = revoked.remove(&record.id()).unwrap_or_default();
            hold!(listed == known, "O7: {:?} lists {listed:?} as revoked, not {known:?}", record.id());
        }
        hold!(revoked.is_empty(), "O7: revoked state of unknown clients {:?}", revoked.keys());
        Ok(())
    }

    fn check_clients(&self, tallies: &mut BTreeMap<ClientId, Tally>) -> Check {
        let (mut locks, mut in_all, mut lock_stateids, mut delegations) = (0, 0, 0, 0);
        for record in self.clients.map_all(|_, record| record.clone()) {
            let tally = tallies.remove(&record.id()).unwrap_or_default();
            let opens: BTreeSet<_> = record.open_keys().into_iter().collect();
            hold!(opens == tally.opens, "O6: {:?} has {opens:?}, the files {:?}", record.id(), tally.opens);
            hold!(opens.len() <= self.limits.opens_per_client, "O6: too many opens of {:?}", record.id());
            let held: BTreeSet<_> = record.delegation_keys().into_iter().collect();
            hold!(
                held == tally.delegations,
                "D3: {:?} has {held:?}, the files {:?}",
                record.id(),
                tally.delegations
            );
            hold!(held.len() <= self.limits.delegations_per_client, "D4: too many of {:?}", record.id());
            delegations += held.len();
            let counted = (record.lock_stateids.count(), record.locks.count());
            hold!(counted == (tally.lock_stateids, tally.locks), "L5: {:?} counts {counted:?}", record.id());
            hold!(counted.0 <= self.limits.lock_stateids_per_client, "L5: too many lock stateids");
            hold!(counted.1 <= self.limits.locks_per_client, "L5: too many locks of {:?}", record.id());
            let waiting = record.waiting.count();
            hold!(waiting == tally.waiting, "W2: {:?} counts {waiting} waiting requests", record.id());
            hold!(waiting <= self.limits.waiters_per_client, "W2: too many waiting requests");
            locks += tally.locks;
            in_all += opens.len();
            lock_stateids += tally.lock_stateids;
        }
        let counted = self.delegations.count();
        hold!(counted == delegations, "D4: {counted} delegations counted, {delegations} held");
        hold!(counted <= self.limits.delegations_total, "D4: too many delegations");
        hold!(tallies.is_empty(), "O6: state of unknown clients {:?}", tallies.keys());
        hold!(self.opens.count() == in_all, "O6: {} opens counted, {in_all} open", self.opens.count());
        hold!(in_all <= self.limits.opens_total, "O6: too many opens");
        let counted = self.lock_stateids.count();
        hold!(counted == lock_stateids, "L5: {counted} lock stateids counted, {lock_stateids} known");
        hold!(counted <= self.limits.lock_stateids_total, "L5: too many lock stateids");
        hold!(self.locks.count() == locks, "L5: {} locks counted, {locks} held", self.locks.count());
        hold!(locks <= self.limits.locks_total, "L5: too many locks");
        Ok(())
    }
}

fn check_opens(inner: &FileInner) -> Check {
    hold!(!inner.retired && !inner.is_empty(), "O2: a file without opens and delegations is in the table");
    let mut counts = ShareCounts::default();
    for (key, open) in &inner.opens {
        counts.add(open.modes);
        hold!(!open.modes.access().is_empty() && open.seqid.0 != 0, "O3: {key:?} has no access or seqid 0");
        hold!(inner.open_owners.get(&open.owner) == Some(key), "O5: {key:?} is not its owner's open");
        hold!(open.owner.clientid == open.client.id(), "O5: {key:?} is of another client than its owner");
        for (other_key, other) in inner.opens.iter().filter(|(other, _)| *other != key) {
            hold!(!denies(open.modes, other.modes), "O4: {key:?} denies what {other_key:?} has");
        }
    }
    hold!(inner.open_owners.len() == inner.opens.len(), "O5: open-owners without open");
    hold!(counts == inner.shares, "O3: {counts:?} opened, {:?} counted", inner.shares);
    Ok(())
}

/// D1 and D2.
fn check_delegations(inner: &FileInner) -> Check {
    let mut before = None;
    for held in inner.delegations.iter() {
        let id = held.client.id();
        hold!(before < Some(id), "D2: {id:?} has two delegations, or is out of order");
        before = Some(id);
        let other = inner.delegations.others(Some(id)).next();
        let is_alone = held.kind != DelegationType::Write || other.is_none();
        hold!(is_alone, "D1: {id:?} may write, and another has a delegation as well");
        for (key, open) in inner.opens.iter().filter(|(_, open)| open.client.id() != id) {
            let (access, deny) = (open.modes.access(), open.modes.deny());
            let excluded = match held.kind {
                DelegationType::Write => true,
                DelegationType::Read => access.contains(ShareAccess::WRITE) || deny.contains(ShareDeny::READ),
                DelegationType::Directory => false,
            };
            hold!(!excluded, "D1: {key:?} is in conflict with the delegation of {id:?}");
        }
    }
    Ok(())
}

fn denies(modes: OpenModes, other: OpenModes) -> bool {
    modes.deny().bits() & other.access().bits() != 0
}

fn check_locks(inner: &FileInner, limit: usize) -> Check {
    let mut held = inner.locks.all();
    held.sort_by_key(|(owner, lock)| (*owner, lock.range.offset()));
    check_ranges(&held)?;
    let mut indexed = inner.locks.indexed();
    indexed.sort_by_key(|(range, owner, _)| (*owner, range.offset()));
    let as_indexed: Vec<_> = held.iter().map(|(owner, lock)| (lock.range, *owner, lock.kind)).collect();
    hold!(indexed == as_indexed, "L3: the index holds {indexed:?}, the owners {as_indexed:?}");
    hold!(inner.locks.count() == held.len(), "L5: {} locks counted", inner.locks.count());
    hold!(held.len() <= limit, "L5: {} locks on the file", held.len());
    for (key, state) in &inner.lock_states {
        let under =
            inner.opens.get(&state.open).is_some_and(|open| open.lock_states.get(&state.owner) == Some(key));
        hold!(under, "L4: {key:?} is under no open");
        let mine = held.iter().filter(|(_, lock)| lock.state == *key);
        hold!(mine.clone().all(|(owner, _)| *owner == state.owner), "L4: {key:?} has another owner's locks");
        hold!(mine.count() == state.held, "L5: {key:?} counts {}", state.held);
    }
    let of_states = |lock: &HeldLock| inner.lock_states.contains_key(&lock.state);
    hold!(held.iter().all(|(_, lock)| of_states(lock)), "L4: a lock without stateid");
    let listed: usize = inner.opens.values().map(|open| open.lock_states.len()).sum();
    hold!(listed == inner.lock_states.len(), "L4: {listed} lock stateids under opens");
    for (owner, count) in inner.lock_owners.state_counts() {
        let states = inner.lock_states.values().filter(|state| state.owner == owner).count();
        hold!(states == count && count > 0, "L6: {owner:?} has {states} stateids, {count} counted");
    }
    Ok(())
}

fn check_waiters(inner: &FileInner, limit: usize) -> Check {
    let mut owners = BTreeSet::new();
    for (owner, open) in inner.waiters.all() {
        let under = inner.opens.get(&open).is_some_and(|open| open.client.id() == owner.clientid);
        hold!(under, "W1: {owner:?} waits under no open of its client");
        hold!(owners.insert((owner.clientid, owner.owner.to_vec())), "W1: {owner:?} waits twice");
    }
    hold!(owners.len() <= limit, "W2: {} requests wait on the file", owners.len());
    Ok(())
}

/// `held` is sorted by owner and start.
fn check_ranges(held: &[(OwnerKey, HeldLock)]) -> Check {
    for ((owner, lock), (next_owner, next)) in held.iter().zip(held.iter().skip(1)) {
        if owner != next_owner {
            continue;
        }
        hold!(!lock.range.overlaps(&next.range), "L1: {lock:?} overlaps {next:?}");
        let adjoin = lock.range.last().checked_add(1) == Some(next.range.offset());
        let alike = lock.kind == next.kind && lock.state == next.state;
        hold!(!(adjoin && alike), "L1: {lock:?} and {next:?} are not merged");
    }
    for (owner, lock) in held.iter().filter(|(_, lock)| lock.kind == LockKind::Write) {
        let other = held.iter().find(|(other, l)| other != owner && l.range.overlaps(&lock.range));
        hold!(other.is_none(), "L2: {lock:?} of {owner:?} overlaps {other:?}");
    }
    Ok(())
}
