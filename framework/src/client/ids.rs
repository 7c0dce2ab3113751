use crate::sync::atomic::{AtomicU32, Ordering};

use crate::proto::ClientId;

/// Where client IDs come from: one for all tables of clients, so that no ID is in two of them.
#[derive(Debug)]
pub struct ClientIds {
    boot_epoch: u32,
    next: AtomicU32,
}

impl ClientIds {
    /// IDs of this start of the server.
    pub fn new(boot_epoch: u32) -> Self {
        Self { boot_epoch, next: AtomicU32::new(1) }
    }

    /// The boot epoch and a count: an ID of another start is not known to this one. The count wraps: whether the ID is
    /// still in use is for the caller to see.
    pub fn next_clientid(&self) -> ClientId {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        ClientId(u64::from(self.boot_epoch) << 32 | u64::from(count))
    }
}
