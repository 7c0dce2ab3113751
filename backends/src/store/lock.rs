//! Guards of inodes, and the order in which they are taken.

use std::ops::{Deref, DerefMut};

use dittofs_framework::fs::{FsError, FsResult};
use parking_lot::{RwLockReadGuard, RwLockWriteGuard};
use smallvec::SmallVec;

use dittofs_framework::storage::Ino;

use super::inode::{Inode, State};

/// A look at an inode.
pub(super) struct ReadState<'a> {
    state: RwLockReadGuard<'a, State>,
    _order: Held,
}

/// An inode, to change it.
pub(super) struct WriteState<'a> {
    ino: Ino,
    state: RwLockWriteGuard<'a, State>,
    _order: Held,
}

impl<'a> ReadState<'a> {
    pub(super) fn lock(inode: &'a Inode) -> Self {
        let order = Held::before_locking(inode.ino);
        Self { state: inode.state.read(), _order: order }
    }
}

impl<'a> WriteState<'a> {
    pub(super) fn lock(inode: &'a Inode) -> Self {
        let order = Held::before_locking(inode.ino);
        Self { ino: inode.ino, state: inode.state.write(), _order: order }
    }
}

impl Deref for ReadState<'_> {
    type Target = State;
    #[inline]
    fn deref(&self) -> &State {
        &self.state
    }
}

impl Deref for WriteState<'_> {
    type Target = State;
    #[inline]
    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for WriteState<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

/// Up to four inodes locked for a change, taken in the order of their ids.
pub(super) struct LockSet<'a>(SmallVec<[WriteState<'a>; 4]>);

impl<'a> LockSet<'a> {
    /// Locks all of them, each once; `Stale` if one of them is gone.
    pub(super) fn lock<const N: usize>(inodes: [Option<&'a Inode>; N]) -> FsResult<Self> {
        let set = Self::lock_any(inodes);
        set.0.iter().try_for_each(|state| state.alive())?;
        Ok(set)
    }

    /// Locks all of them, each once, whether they are gone or not.
    pub(super) fn lock_any<const N: usize>(inodes: [Option<&'a Inode>; N]) -> Self {
        let mut wanted: SmallVec<[&Inode; 4]> = inodes.into_iter().flatten().collect();
        wanted.sort_unstable_by_key(|inode| inode.ino);
        wanted.dedup_by_key(|inode| inode.ino);
        Self(wanted.into_iter().map(Inode::write).collect())
    }

    /// One of the locked inodes.
    pub(super) fn get(&mut self, inode: &Inode) -> FsResult<&mut State> {
        self.0
            .iter_mut()
            .find(|held| held.ino == inode.ino)
            .map(|held| &mut **held)
            // Asking for one that is not in the set is a fault of this crate.
            .ok_or(FsError::Fault)
    }
}

/// Says in debug builds, by a panic, when a thread locks an inode while it holds one with the same or a larger id.
#[cfg(debug_assertions)]
struct Held(Ino);

#[cfg(debug_assertions)]
thread_local! {
    static HELD: std::cell::RefCell<Vec<Ino>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[cfg(debug_assertions)]
impl Held {
    fn before_locking(ino: Ino) -> Self {
        HELD.with_borrow_mut(|held| {
            assert!(held.iter().all(|other| *other < ino), "inode {ino:?} locked while {held:?} are held");
            held.push(ino);
        });
        Self(ino)
    }
}

#[cfg(debug_assertions)]
impl Drop for Held {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|held| held.retain(|ino| *ino != self.0));
    }
}

#[cfg(not(debug_assertions))]
struct Held;

#[cfg(not(debug_assertions))]
impl Held {
    #[inline]
    fn before_locking(_: Ino) -> Self {
        Self
    }
}
