use std::sync::atomic::{AtomicU64, Ordering};

use dittofs_framework::storage::{StorageError, StorageResult};

/// How much of a capacity in memory is taken: by a store, or by two together.
#[derive(Debug)]
pub(crate) struct Budget {
    capacity: u64,
    used: AtomicU64,
}

impl Budget {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { capacity, used: AtomicU64::new(0) }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(crate) fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used.load(Ordering::Relaxed))
    }

    /// Takes bytes, or nothing when they are not there.
    pub(crate) fn reserve(&self, bytes: u64) -> StorageResult<()> {
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
    pub(crate) fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Ends a change for which `reserved` was taken before and which took the charge from `before` to `after`.
    pub(crate) fn settle(&self, reserved: u64, before: u64, after: u64) {
        debug_assert!(after <= before + reserved, "{after} charged, {before} before, {reserved} reserved");
        self.release((before + reserved).saturating_sub(after));
    }
}

/// Bytes that were taken for what is not there yet: given back if it never is.
pub(crate) struct Reserved<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl<'a> Reserved<'a> {
    pub(crate) fn new(budget: &'a Budget, bytes: u64) -> StorageResult<Self> {
        budget.reserve(bytes)?;
        Ok(Self { budget, bytes })
    }

    /// Leaves them to be [settled](Budget::settle).
    pub(crate) fn keep(mut self) -> u64 {
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}
