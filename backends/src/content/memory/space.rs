use std::sync::atomic::{AtomicU64, Ordering};

use dittofs_framework::storage::{StorageError, StorageResult};

/// How much of the capacity contents take.
pub(super) struct Space {
    capacity: u64,
    used: AtomicU64,
}

impl Space {
    pub(super) fn new(capacity: u64) -> Self {
        Self { capacity, used: AtomicU64::new(0) }
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(super) fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used.load(Ordering::Relaxed))
    }

    /// Takes bytes, or nothing when they are not there.
    pub(super) fn reserve(&self, bytes: u64) -> StorageResult<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.capacity)
            })
            .map(|_| ())
            .map_err(|_| StorageError::NoSpace)
    }

    /// Gives bytes back.
    pub(super) fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Ends a change for which `reserved` was taken before and which took the charge from `before` to `after`.
    pub(super) fn settle(&self, reserved: u64, before: u64, after: u64) {
        debug_assert!(after <= before + reserved, "{after} charged, {before} before, {reserved} reserved");
        self.release((before + reserved).saturating_sub(after));
    }
}
