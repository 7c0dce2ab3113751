//! What every file system promises, of `StoreFileSystem` on this store and local files.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dittofs_backends::content::{LocalContentStore, LocalOptions};
use dittofs_backends::fsck::{self, FsckOptions, Mode};
use dittofs_backends::store::{StoreFileSystem, StoreOptions};
use dittofs_framework::file_system_suite;
use dittofs_framework::fs::FileSystem;
use dittofs_framework::proto::NfsTime;
use dittofs_framework::testing::file_system::FileSystemFixture;
use tempfile::TempDir;

use crate::store::{SqliteMetadata, SqliteOptions};

/// The directory of a share, and a clock that ticks when it is told to.
struct Fixture {
    dir: TempDir,
    clock: Arc<AtomicI64>,
}

impl Fixture {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: Arc::new(AtomicI64::new(1_000)) }
    }

    /// Opens the stores when the last of their file system has let them go: tasks of its own end after it was dropped.
    async fn stores(&self) -> (SqliteMetadata, LocalContentStore) {
        let lock = File::create(self.dir.path().join("metadata.lock")).unwrap();
        tokio::task::spawn_blocking(move || lock.lock()).await.unwrap().unwrap();
        let path = self.dir.path().join("metadata.sqlite");
        let metadata = SqliteMetadata::open(&path, SqliteOptions::default()).unwrap();
        let contents = self.dir.path().join("contents");
        (metadata, LocalContentStore::open(&contents, &LocalOptions::default()).unwrap())
    }
}

#[async_trait]
impl FileSystemFixture for Fixture {
    async fn open(&mut self) -> Arc<dyn FileSystem> {
        let clock = Arc::clone(&self.clock);
        let options = StoreOptions {
            root_mode: 0o777,
            clock: Arc::new(move || NfsTime { seconds: clock.load(Ordering::Relaxed), nseconds: 7 }),
            // Few, so that most of what is looked at comes from the store.
            cached_inodes: 16,
            orphans_after: Duration::ZERO,
            ..StoreOptions::default()
        };
        let (metadata, contents) = self.stores().await;
        Arc::new(StoreFileSystem::open(Arc::new(metadata), Arc::new(contents), options).await.unwrap())
    }

    async fn tick(&mut self) {
        self.clock.fetch_add(1, Ordering::Relaxed);
    }

    fn rounds(&self) -> u64 {
        20
    }

    async fn check(&mut self) {
        let (metadata, contents) = self.stores().await;
        let options = FsckOptions { mode: Mode::Check, listed: 10, now: NfsTime { seconds: 0, nseconds: 0 } };
        let report = fsck::check(&metadata, &contents, options).await.unwrap();
        assert_eq!(report.found, 0, "{report:?}");
    }
}

file_system_suite!(Fixture::new => users, times, restarts);
