use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// A name, shared by both indexes and by listings under way.
pub(super) type Name = Arc<[u8]>;

/// Room for so many names is kept whether it is used or not.
const KEPT_ROOM: usize = 64;

/// Named values in the order in which they came.
///
/// Each gets a cookie that is larger than all before it and is never given again, so a listing that goes on from a
/// cookie meets whatever stayed exactly once.
pub(super) struct CookieMap<V> {
    by_name: HashMap<Name, (u64, V), RandomState>,
    by_cookie: BTreeMap<u64, (Name, V)>,
    next: u64,
}

impl<V: Clone> CookieMap<V> {
    /// An empty one, whose first cookie is `first`.
    pub(super) fn new(first: u64) -> Self {
        Self { by_name: HashMap::default(), by_cookie: BTreeMap::new(), next: first }
    }

    #[inline]
    pub(super) fn get(&self, name: &[u8]) -> Option<&V> {
        self.by_name.get(name).map(|(_, value)| value)
    }

    /// The cookie of a name.
    pub(super) fn cookie(&self, name: &[u8]) -> Option<u64> {
        self.by_name.get(name).map(|(cookie, _)| *cookie)
    }

    pub(super) fn contains(&self, name: &[u8]) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_cookie.is_empty()
    }

    /// Puts a value under a name. A name that is there keeps its cookie; its old value is returned.
    pub(super) fn insert(&mut self, name: &[u8], value: V) -> Option<V> {
        if let Some((cookie, old)) = self.by_name.get_mut(name) {
            if let Some((_, listed)) = self.by_cookie.get_mut(cookie) {
                *listed = value.clone();
            }
            return Some(std::mem::replace(old, value));
        }
        let name: Name = Arc::from(name);
        let cookie = self.next;
        self.next += 1;
        self.by_cookie.insert(cookie, (Arc::clone(&name), value.clone()));
        self.by_name.insert(name, (cookie, value));
        None
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<V> {
        let (cookie, value) = self.by_name.remove(name)?;
        self.by_cookie.remove(&cookie);
        let room = self.by_name.capacity();
        if room > KEPT_ROOM && self.by_name.len() < room / 4 {
            // A directory that was large once is not to keep the memory; half of it is left, so this stays rare.
            self.by_name.shrink_to(room / 2);
        }
        Some(value)
    }

    /// Cookie, name and value of everything after `cookie`, in order.
    pub(super) fn after(&self, cookie: u64) -> impl Iterator<Item = (u64, &Name, &V)> {
        self.by_cookie
            .range((Bound::Excluded(cookie), Bound::Unbounded))
            .map(|(cookie, (name, value))| (*cookie, name, value))
    }

    /// Cookie and name of what is just before `cookie`.
    pub(super) fn before(&self, cookie: u64) -> Option<(u64, &Name)> {
        self.by_cookie.range(..cookie).next_back().map(|(cookie, (name, _))| (*cookie, name))
    }

    /// Whether both indexes say the same.
    #[cfg(test)]
    pub(super) fn is_consistent(&self) -> bool {
        self.by_name.len() == self.by_cookie.len()
            && self.by_cookie.iter().all(|(cookie, (name, _))| {
                *cookie < self.next && self.by_name.get(name).is_some_and(|(c, _)| c == cookie)
            })
    }
}
