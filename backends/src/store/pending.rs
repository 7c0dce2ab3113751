use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::journal::Seq;

/// Named values that a directory or an object has other than its store says: those of transactions that are not in the store yet.
#[allow(clippy::box_collection)] // a pointer, where there is nearly always nothing
pub(super) struct Pending<V>(Option<Box<HashMap<Bytes, Change<V>, RandomState>>>);

/// What became of a name.
struct Change<V> {
    seq: Seq,
    /// What it stands for now; `None` if it is gone.
    value: Option<V>,
}

impl<V> Default for Pending<V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<V> Pending<V> {
    /// What a name stands for; the outer `None` if the store knows.
    pub(super) fn get(&self, name: &[u8]) -> Option<&Option<V>> {
        self.0.as_ref()?.get(name).map(|change| &change.value)
    }

    /// Whether the store does not know.
    pub(super) fn contains(&self, name: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|changes| changes.contains_key(name))
    }

    /// Notes what a name stands for from a transaction on.
    pub(super) fn set(&mut self, seq: Seq, name: Bytes, value: Option<V>) {
        self.0.get_or_insert_default().insert(name, Change { seq, value });
    }

    /// The names that stand for something.
    pub(super) fn present(&self) -> impl Iterator<Item = (&Bytes, &V)> {
        self.0.iter().flat_map(|changes| {
            changes.iter().filter_map(|(name, change)| Some((name, change.value.as_ref()?)))
        })
    }

    /// Forgets what is in the store by now: everything up to a transaction. Returns whether there was anything.
    pub(super) fn forget(&mut self, until: Seq) -> bool {
        let Some(changes) = &mut self.0 else { return false };
        let before = changes.len();
        changes.retain(|_, change| change.seq > until);
        let forgot = changes.len() < before;
        if changes.is_empty() {
            self.0 = None;
        }
        forgot
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}
