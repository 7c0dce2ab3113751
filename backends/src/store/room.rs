use std::time::{Duration, Instant};

use dittofs_framework::fs::{FsError, FsResult};
use dittofs_framework::storage::{ContentStore, MetadataStore, Room};
use parking_lot::Mutex;

/// How long room that is not scarce is taken to be there.
const TRUSTED_FOR: Duration = Duration::from_millis(100);
/// Room beyond the reserve that is not scarce.
const PLENTY: u64 = 1 << 30;
/// The reserve is at most this part of a store.
const RESERVE_PART: u64 = 16;

/// Keeps some room back, so that what gives room back can always be done: a removal has to be written, too.
pub(super) struct RoomGate {
    reserve: u64,
    /// When there was plenty.
    plenty_at: Mutex<Option<Instant>>,
}

impl RoomGate {
    pub(super) fn new(reserve: u64) -> Self {
        Self { reserve, plenty_at: Mutex::new(None) }
    }

    /// Whether something may be added, with so many bytes of contents.
    ///
    /// # Errors
    /// [`FsError::NoSpace`] while one of the stores has no more than the reserve, or would have less.
    pub(super) async fn check(
        &self,
        metadata: &dyn MetadataStore,
        content: &dyn ContentStore,
        len: u64,
    ) -> FsResult<()> {
        let was_plenty = || self.plenty_at.lock().is_some_and(|at| at.elapsed() < TRUSTED_FOR);
        if self.reserve == 0 || (len < PLENTY / 2 && was_plenty()) {
            return Ok(());
        }
        let (metadata, content) = (self.beyond(metadata.room().await?), self.beyond(content.room().await?));
        *self.plenty_at.lock() = (metadata.min(content) >= PLENTY).then(Instant::now);
        if metadata == 0 || content == 0 || content < len { Err(FsError::NoSpace) } else { Ok(()) }
    }

    /// Room beyond the reserve.
    pub(super) fn beyond(&self, room: Room) -> u64 {
        room.available.saturating_sub(self.reserve.min(room.total / RESERVE_PART))
    }
}
