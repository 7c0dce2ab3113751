use std::sync::Arc;

use async_trait::async_trait;
use dittofs_framework::metadata_store_suite;
use dittofs_framework::storage::MetadataStore;
use dittofs_framework::testing::metadata_store::MetadataStoreFixture;
use tempfile::TempDir;

use crate::store::{SqliteMetadata, SqliteOptions};

/// A directory for the database, which outlives the store.
struct Fixture(TempDir);

#[async_trait]
impl MetadataStoreFixture for Fixture {
    async fn open(&mut self) -> Arc<dyn MetadataStore> {
        let path = self.0.path().join("metadata.sqlite");
        Arc::new(SqliteMetadata::open(&path, SqliteOptions::default()).unwrap())
    }
}

metadata_store_suite!(|| Fixture(tempfile::tempdir().unwrap()));
