//! The promises of every metadata store.

use std::sync::Arc;

use async_trait::async_trait;
use dittofs_framework::metadata_store_suite;
use dittofs_framework::storage::MetadataStore;
use dittofs_framework::testing::metadata_store::MetadataStoreFixture;
use tempfile::TempDir;

use crate::embedded::{EmbeddedMetadataStore, ShareDirectory};

/// A store in a directory of its own, closed and opened again for a restart.
struct OnDisk(TempDir);

#[async_trait]
impl MetadataStoreFixture for OnDisk {
    async fn open(&mut self) -> Arc<dyn MetadataStore> {
        let share = ShareDirectory::open(self.0.path()).unwrap();
        Arc::new(EmbeddedMetadataStore::open(Arc::new(share)).unwrap())
    }
}

metadata_store_suite!(|| OnDisk(tempfile::tempdir().unwrap()));
