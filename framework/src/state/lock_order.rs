//! Mutexes that know their place in the lock order of the state core, which the module's head comment states.

use std::ops::{Deref, DerefMut};

use crate::sync::{Mutex, MutexGuard};

/// The state of one file.
pub(super) const FILE: u8 = 1;
/// The opens of one client.
pub(super) const CLIENT: u8 = 2;
/// A shard of a map.
pub(super) const SHARD: u8 = 3;

/// A mutex with a rank.
#[derive(Default)]
pub(crate) struct Ranked<T, const RANK: u8>(Mutex<T>);

impl<T, const RANK: u8> Ranked<T, RANK> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Locks it. Debug builds panic if the thread holds a lock of this rank or above.
    #[inline]
    pub(crate) fn lock(&self) -> RankedGuard<'_, T, RANK> {
        let held = Held::<RANK>::enter();
        RankedGuard { guard: self.0.lock(), _held: held }
    }
}

/// The lock, held until this is dropped.
pub(crate) struct RankedGuard<'a, T, const RANK: u8> {
    guard: MutexGuard<'a, T>,
    _held: Held<RANK>,
}

impl<T, const RANK: u8> Deref for RankedGuard<'_, T, RANK> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T, const RANK: u8> DerefMut for RankedGuard<'_, T, RANK> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// Notes in the thread that a lock of this rank is held; nothing in release builds.
struct Held<const RANK: u8>;

#[cfg(debug_assertions)]
crate::sync::thread_local! {
    /// The ranks held, one bit each.
    #[allow(clippy::missing_const_for_thread_local)] // the model checker has no such form
    static RANKS: std::cell::Cell<u32> = std::cell::Cell::new(0);
}

impl<const RANK: u8> Held<RANK> {
    #[inline]
    fn enter() -> Self {
        #[cfg(debug_assertions)]
        RANKS.with(|ranks| {
            let held = ranks.get();
            assert!(held >> RANK == 0, "lock of rank {RANK} taken while ranks {held:#b} are held");
            ranks.set(held | 1 << RANK);
        });
        Self
    }
}

#[cfg(debug_assertions)]
impl<const RANK: u8> Drop for Held<RANK> {
    fn drop(&mut self) {
        RANKS.with(|ranks| ranks.set(ranks.get() & !(1 << RANK)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascending_order_is_fine() {
        let (file, shard) = (Ranked::<_, FILE>::new(1), Ranked::<_, SHARD>::new(2));
        let held = file.lock();
        assert_eq!(*held + *shard.lock(), 3);
        drop(held);
        assert_eq!(*shard.lock(), 2);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "rank 1 taken")]
    fn descending_order_panics() {
        let (file, shard) = (Ranked::<_, FILE>::new(1), Ranked::<_, SHARD>::new(2));
        let _held = shard.lock();
        let _ = file.lock();
    }
}
