//! What every file system promises, of one on stores in memory that lose power at each restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dittofs_framework::file_system_suite;
use dittofs_framework::fs::FileSystem;
use dittofs_framework::proto::NfsTime;
use dittofs_framework::storage::{ContentStore, MetadataStore};
use dittofs_framework::testing::faults::{FaultyStores, Loss};
use dittofs_framework::testing::file_system::FileSystemFixture;

use crate::content::MemoryContentStore;
use crate::fsck::{self, FsckOptions, Mode};
use crate::metadata::MemoryMetadataStore;
use crate::store::{StoreFileSystem, StoreOptions};

/// A file system whose clock ticks when it is told to.
struct Fixture {
    metadata: Arc<MemoryMetadataStore>,
    content: Arc<MemoryContentStore>,
    stores: FaultyStores,
    loss: Loss,
    clock: Arc<AtomicI64>,
}

impl Fixture {
    fn with_capacity(capacity: u64, loss: Loss) -> Self {
        let metadata = Arc::new(MemoryMetadataStore::new(capacity));
        let content = Arc::new(MemoryContentStore::new(capacity));
        let pair: (Arc<dyn MetadataStore>, Arc<dyn ContentStore>) = (metadata.clone(), content.clone());
        let stores = FaultyStores::new(pair.0, pair.1);
        Self { metadata, content, stores, loss, clock: Arc::new(AtomicI64::new(1_000)) }
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
        let options = StoreOptions {
            root_mode: 0o777,
            clock: Arc::new(move || NfsTime { seconds: clock.load(Ordering::Relaxed), nseconds: 7 }),
            cached_inodes: 64,
            orphans_after: Duration::ZERO,
            ..StoreOptions::default()
        };
        let opened = StoreFileSystem::open(self.stores.metadata(), self.stores.content(), options).await;
        Arc::new(opened.expect("the stores work"))
    }

    async fn tick(&mut self) {
        self.clock.fetch_add(1, Ordering::Relaxed);
    }

    fn rounds(&self) -> u64 {
        500
    }

    async fn check(&mut self) {
        self.stores.crash(self.loss).await;
        let options = FsckOptions { mode: Mode::Check, listed: 10, now: NfsTime { seconds: 0, nseconds: 0 } };
        let report = fsck::check(&*self.metadata, &*self.content, options).await.expect("a report");
        assert_eq!(report.found, 0, "{report:?}");
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
