use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::fs::FileSystem;
use dittofs_framework::proto::NfsTime;
use dittofs_framework::storage::{ContentStore, Ino, MetadataStore, StorageError};
use dittofs_framework::testing::faults::{FaultyStores, Loss};

use crate::WallClock;
use crate::content::MemoryContentStore;
use crate::fsck::{self, FsckOptions, Mode};
use crate::metadata::MemoryMetadataStore;
use crate::store::{StoreFileSystem, StoreOptions};

/// Two stores in memory that fail when they are told to.
pub(super) struct Stores {
    metadata: Arc<MemoryMetadataStore>,
    content: Arc<MemoryContentStore>,
    pub(super) faults: FaultyStores,
}

impl Stores {
    pub(super) fn new(capacity: u64) -> Self {
        let metadata = Arc::new(MemoryMetadataStore::new(capacity));
        let content = Arc::new(MemoryContentStore::new(capacity));
        let wrapped: (Arc<dyn MetadataStore>, Arc<dyn ContentStore>) = (metadata.clone(), content.clone());
        Self { metadata, content, faults: FaultyStores::new(wrapped.0, wrapped.1) }
    }

    /// The volume in them, with few inodes in memory.
    pub(super) async fn open(&self, clock: WallClock) -> Arc<dyn FileSystem> {
        self.open_store(clock).await
    }

    /// The same, to look into it.
    pub(super) async fn open_store(&self, clock: WallClock) -> Arc<StoreFileSystem> {
        let options = StoreOptions {
            root_mode: 0o777,
            clock,
            cached_inodes: 64,
            orphans_after: Duration::ZERO,
            ..StoreOptions::default()
        };
        let opened = StoreFileSystem::open(self.faults.metadata(), self.faults.content(), options).await;
        Arc::new(opened.expect("the stores work"))
    }

    /// How many files have contents.
    pub(super) async fn contents(&self) -> usize {
        self.content.scan(Ino(0), 10).await.expect("a scan").len()
    }

    /// What a volume says that is made anew over the same contents.
    pub(super) async fn open_without_metadata(&self) -> Result<StoreFileSystem, StorageError> {
        let metadata = Arc::new(MemoryMetadataStore::new(1 << 30));
        let opened = StoreFileSystem::open(metadata.clone(), self.content.clone(), StoreOptions::default());
        let opened = opened.await;
        let is_made = metadata.volume().await.expect("the store works").is_some();
        assert_eq!(is_made, opened.is_ok(), "all or nothing");
        opened
    }

    /// Takes the power away, and looks whether what is left makes sense.
    pub(super) async fn crash(&self, loss: Loss) {
        self.faults.crash(loss).await;
        let options = FsckOptions { mode: Mode::Check, listed: 10, now: NfsTime { seconds: 0, nseconds: 0 } };
        let report = fsck::check(&*self.metadata, &*self.content, options).await.expect("a report");
        assert_eq!(report.found, 0, "{report:?}");
    }
}
