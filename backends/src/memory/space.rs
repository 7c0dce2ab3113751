use std::sync::atomic::{AtomicU64, Ordering};

use dittofs_framework::fs::{FsError, FsResult, FsUsage};

/// What an object costs beside its contents.
pub(super) const INODE_CHARGE: u64 = 512;
/// What a directory entry or an extended attribute costs beside its bytes.
pub(super) const ENTRY_CHARGE: u64 = 64;

/// Bytes that were taken for what no object has yet: given back if it never does.
pub(super) struct Reserved<'a> {
    space: &'a Space,
    bytes: u64,
}

impl<'a> Reserved<'a> {
    pub(super) fn new(space: &'a Space, bytes: u64) -> FsResult<Self> {
        space.reserve(bytes)?;
        Ok(Self { space, bytes })
    }

    /// Leaves them to be [settled](Space::settle).
    pub(super) fn keep(mut self) -> u64 {
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.space.release(self.bytes);
    }
}

/// How much of the configured memory is in use: contents, objects, directory entries and extended attributes.
pub(super) struct Space {
    capacity: u64,
    used: AtomicU64,
    files: AtomicU64,
}

impl Space {
    pub(super) fn new(capacity: u64) -> Self {
        Self { capacity, used: AtomicU64::new(0), files: AtomicU64::new(0) }
    }

    /// Takes bytes, or nothing when they are not there.
    pub(super) fn reserve(&self, bytes: u64) -> FsResult<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.capacity)
            })
            .map(|_| ())
            .map_err(|_| FsError::NoSpace)
    }

    /// Gives bytes back.
    pub(super) fn release(&self, bytes: u64) {
        if bytes > 0 {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Ends a change for which `reserved` was taken before and which took the charge from `before` to `after`.
    pub(super) fn settle(&self, reserved: u64, before: u64, after: u64) {
        debug_assert!(after <= before + reserved, "{after} charged, {before} before, {reserved} reserved");
        self.release((before + reserved).saturating_sub(after));
    }

    /// Takes room for one more object that costs `bytes` in all.
    pub(super) fn add_file(&self, bytes: u64) -> FsResult<()> {
        self.reserve(bytes)?;
        self.files.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back an object and the `bytes` that it cost.
    pub(super) fn remove_file(&self, bytes: u64) {
        self.release(bytes);
        self.files.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used())
    }

    pub(super) fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    pub(super) fn usage(&self) -> FsUsage {
        let free = self.free();
        let files_free = free / INODE_CHARGE;
        FsUsage {
            space_total: self.capacity,
            space_free: free,
            space_avail: free,
            files_total: self.files() + files_free,
            files_free,
            files_avail: files_free,
        }
    }
}
