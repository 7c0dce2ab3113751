//! What every file system promises, of one in a directory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dittofs_framework::file_system_suite;
use dittofs_framework::fs::FileSystem;
use dittofs_framework::proto::NfsTime;
use dittofs_framework::testing::file_system::FileSystemFixture;
use tempfile::TempDir;

use crate::embedded::{OpenError, Stores};
use crate::fsck::{self, FsckOptions, Mode};
use crate::store::{StoreFileSystem, StoreOptions};

/// A share whose clock ticks when it is told to.
struct Fixture {
    directory: TempDir,
    clock: Arc<AtomicI64>,
}

impl Fixture {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), clock: Arc::new(AtomicI64::new(1_000)) }
    }
}

#[async_trait]
impl FileSystemFixture for Fixture {
    async fn open(&mut self) -> Arc<dyn FileSystem> {
        let clock = Arc::clone(&self.clock);
        let options = StoreOptions {
            root_mode: 0o777,
            clock: Arc::new(move || NfsTime { seconds: clock.load(Ordering::Relaxed), nseconds: 7 }),
            cached_inodes: 64,
            orphans_after: Duration::ZERO,
            ..StoreOptions::default()
        };
        let stores = wait_for_lock(self.directory.path()).await;
        Arc::new(StoreFileSystem::open(stores.metadata, stores.content, options).await.unwrap())
    }

    async fn tick(&mut self) {
        self.clock.fetch_add(1, Ordering::Relaxed);
    }

    fn rounds(&self) -> u64 {
        50
    }

    async fn check(&mut self) {
        let stores = wait_for_lock(self.directory.path()).await;
        let options = FsckOptions { mode: Mode::Check, listed: 10, now: NfsTime { seconds: 0, nseconds: 0 } };
        let report = fsck::check(&*stores.metadata, &*stores.content, options).await.unwrap();
        assert_eq!(report.found, 0, "{report:?}");
    }
}

/// Opens the stores as soon as what was dropped has ended: its last changes are carried out in the background.
async fn wait_for_lock(path: &Path) -> Stores {
    loop {
        match Stores::open(path) {
            Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
            stores => return stores.unwrap(),
        }
    }
}

file_system_suite!(Fixture::new => users, times, restarts);
