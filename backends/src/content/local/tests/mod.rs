//! Tests of the store of local files: what every store promises, and what this one has of its own.
//!
//! Origin: own; the promises of the trait and of the documentation of this room.
//! RFC: none, but that COMMIT must not say that lost bytes are stable (RFC 8881 section 18.3.3).

mod failures;
mod model;
mod open_files;
mod places;
mod syncs;
mod trick;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use dittofs_framework::content_store_suite;
use dittofs_framework::storage::{ContentSize, ContentStore, Ino};
use dittofs_framework::testing::content_store::ContentStoreFixture;
use tempfile::TempDir;

use self::trick::{TrickDisk, Tricks};
use super::layout::file_path;
use super::{LocalContentStore, LocalOptions};

/// A directory that outlives the stores in it, and the disk that it is on.
struct Place {
    directory: TempDir,
    tricks: Arc<Tricks>,
    options: LocalOptions,
}

impl Place {
    fn new(max_open_files: usize) -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            tricks: Arc::default(),
            options: LocalOptions { max_open_files },
        }
    }

    fn store(&self) -> LocalContentStore {
        let disk = Box::new(TrickDisk(Arc::clone(&self.tricks)));
        LocalContentStore::open_on(self.directory.path(), &self.options, disk).unwrap()
    }

    fn path(&self, id: Ino) -> PathBuf {
        self.directory.path().join(file_path(id))
    }
}

/// As servers have it.
struct OnKernel(Place);

impl ContentStoreFixture for OnKernel {
    fn open(&mut self) -> Arc<dyn ContentStore> {
        Arc::new(LocalContentStore::open(self.0.directory.path(), &self.0.options).unwrap())
    }
}

struct OnTricks(Place);

impl ContentStoreFixture for OnTricks {
    fn open(&mut self) -> Arc<dyn ContentStore> {
        Arc::new(self.0.store())
    }
}

mod many_open_files {
    use super::*;

    content_store_suite!(|| OnKernel(Place::new(1000)));
}

/// Every call closes a file of another one.
mod one_open_file {
    use super::*;

    content_store_suite!(|| OnKernel(Place::new(1)));
}

/// Calls do a part of what they were asked for, or are interrupted before they do anything, or would have to wait.
mod short_and_interrupted_calls {
    use super::*;

    content_store_suite!(|| {
        let place = Place::new(3);
        place.tricks.most.store(5000, SeqCst);
        place.tricks.interrupts.store(true, SeqCst);
        OnTricks(place)
    });
}

/// A file system that cannot do more than read and write.
mod plain_file_system {
    use super::*;

    content_store_suite!(|| {
        let place = Place::new(100);
        place.tricks.is_plain.store(true, SeqCst);
        OnTricks(place)
    });
}

const FILE: Ino = Ino(7);
const MIB: u64 = 1 << 20;

fn data(len: u64) -> Bytes {
    Bytes::from(vec![b'x'; usize::try_from(len).unwrap()])
}

async fn write(store: &LocalContentStore, id: Ino, offset: u64, len: u64) -> ContentSize {
    store.write(id, offset, data(len)).await.unwrap()
}
