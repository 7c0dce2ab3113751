//! What every file system promises, of one in memory.
//!
//! Origin: the promises of the trait, and what is stored of a payload that is mostly gone.
//! RFC: 8881 and 7862, as the tests of every file system say.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use dittofs_framework::file_system_suite;
use dittofs_framework::fs::FileSystem;
use dittofs_framework::proto::NfsTime;
use dittofs_framework::testing::file_system::FileSystemFixture;

use crate::fsck::{self, FsckOptions, Mode};
use crate::store::volume::Volume;
use crate::store::{MemoryOptions, StoreFileSystem};

/// A file system whose clock ticks when it is told to.
struct Fixture {
    capacity: u64,
    clock: Arc<AtomicI64>,
    volume: Option<Arc<Volume>>,
}

impl Fixture {
    fn new() -> Self {
        Self { capacity: 1 << 30, clock: Arc::new(AtomicI64::new(1_000)), volume: None }
    }

    fn small() -> Self {
        Self { capacity: 4 << 20, ..Self::new() }
    }
}

#[async_trait]
impl FileSystemFixture for Fixture {
    async fn open(&mut self) -> Arc<dyn FileSystem> {
        let clock = Arc::clone(&self.clock);
        let fs = StoreFileSystem::in_memory(MemoryOptions {
            capacity: self.capacity,
            root_mode: 0o777,
            clock: Arc::new(move || NfsTime { seconds: clock.load(Ordering::Relaxed), nseconds: 7 }),
            ..MemoryOptions::default()
        })
        .expect("a file system in memory");
        self.volume = Some(Arc::clone(&fs.volume));
        Arc::new(fs)
    }

    async fn tick(&mut self) {
        self.clock.fetch_add(1, Ordering::Relaxed);
    }

    fn rounds(&self) -> u64 {
        2_000
    }

    async fn check(&mut self) {
        let volume = self.volume.take().expect("it was opened");
        volume.flush().await.expect("a flush");
        let options = FsckOptions { mode: Mode::Check, listed: 10, now: NfsTime { seconds: 0, nseconds: 0 } };
        let report = fsck::check(&*volume.metadata, &*volume.content, options).await.expect("a report");
        assert_eq!(report.found, 0, "{report:?}");
    }
}

file_system_suite!(Fixture::new => users, times);

mod full {
    use super::*;

    file_system_suite!(only full: Fixture::small);
}
