//! What every file system promises, of one on stores in memory that lose power at each restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use dittofs_framework::file_system_suite;
use dittofs_framework::fs::FileSystem;
use dittofs_framework::proto::NfsTime;
use dittofs_framework::testing::faults::Loss;
use dittofs_framework::testing::file_system::FileSystemFixture;

use super::stores::Stores;

/// A file system whose clock ticks when it is told to.
struct Fixture {
    stores: Stores,
    loss: Loss,
    clock: Arc<AtomicI64>,
}

impl Fixture {
    fn with_capacity(capacity: u64, loss: Loss) -> Self {
        Self { stores: Stores::new(capacity), loss, clock: Arc::new(AtomicI64::new(1_000)) }
    }

    fn new() -> Self {
        Self::with_capacity(1 << 30, Loss::All)
    }
}

#[async_trait]
impl FileSystemFixture for Fixture {
    async fn open(&mut self) -> Arc<dyn FileSystem> {
        self.stores.crash(self.loss).await;
        let clock = Arc::clone(&self.clock);
        let now = move || NfsTime { seconds: clock.load(Ordering::Relaxed), nseconds: 7 };
        self.stores.open(Arc::new(now)).await
    }

    async fn tick(&mut self) {
        self.clock.fetch_add(1, Ordering::Relaxed);
    }

    fn rounds(&self) -> u64 {
        500
    }

    async fn check(&mut self) {
        self.stores.crash(self.loss).await;
    }
}

file_system_suite!(Fixture::new => users, times, restarts);

mod full {
    use super::*;

    file_system_suite!(only full: || Fixture::with_capacity(4 << 20, Loss::All));
}

mod nothing_lost {
    use super::*;

    file_system_suite!(only restarts: || Fixture::with_capacity(1 << 30, Loss::Nothing));
}

mod something_lost {
    use super::*;

    file_system_suite!(only restarts: || Fixture::with_capacity(1 << 30, Loss::Some(7)));
}
