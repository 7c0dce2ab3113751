//! What the calls of the content stores cost, and what they would where they are not carried out: in the caller's thread, or on the
//! runtime's blocking pool.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a benchmark may stop where a server may not

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dittofs_backends::content::{LocalContentStore, LocalOptions, MemoryContentStore};
use dittofs_framework::storage::{ContentStore, Ino};
use divan::{Bencher, black_box};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

fn main() {
    divan::main();
}

const FILE: Ino = Ino(7);
const SIZES: [usize; 4] = [4 << 10, 16 << 10, 64 << 10, 1 << 20];

/// A runtime, and a store of local files in a directory for temporary files: `TMPDIR` says on which file system.
struct Local {
    runtime: Runtime,
    place: TempDir,
    store: Arc<LocalContentStore>,
}

impl Local {
    /// With a file of 16 MiB.
    fn new() -> Self {
        let place = TempDir::new().unwrap();
        let store = Arc::new(LocalContentStore::open(place.path(), &LocalOptions::default()).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(async {
            store.write(FILE, 0, Bytes::from(vec![1; 16 << 20])).await.unwrap();
            store.sync(FILE).await.unwrap();
        });
        Self { runtime, place, store }
    }

    /// The store's file, opened beside it.
    fn file(&self) -> Arc<File> {
        let path = self.place.path().join(Path::new("0/0/7"));
        Arc::new(File::options().read(true).write(true).open(path).unwrap())
    }
}

mod read {
    use super::{
        Arc, Bencher, Bytes, ContentStore, FILE, FileExt, Local, MemoryContentStore, SIZES, black_box,
    };

    #[divan::bench(args = SIZES)]
    fn local(bencher: Bencher, len: usize) {
        let Local { runtime, place: _place, store } = Local::new();
        let count = u32::try_from(len).unwrap();
        bencher.bench_local(|| runtime.block_on(store.read(black_box(FILE), 3 << 20, count)).unwrap());
    }

    #[divan::bench(args = SIZES)]
    fn on_the_pool(bencher: Bencher, len: usize) {
        let local = Local::new();
        let file = local.file();
        bencher.bench_local(|| {
            let file = Arc::clone(&file);
            local.runtime.block_on(async {
                let read = move || {
                    let mut buffer = vec![0; len];
                    file.read_exact_at(&mut buffer, 3 << 20).unwrap();
                    buffer
                };
                tokio::task::spawn_blocking(read).await.unwrap()
            })
        });
    }

    #[divan::bench(args = SIZES)]
    fn memory(bencher: Bencher, len: usize) {
        let Local { runtime, .. } = Local::new();
        let store = MemoryContentStore::new(64 << 20);
        let count = u32::try_from(len).unwrap();
        runtime.block_on(store.write(FILE, 0, Bytes::from(vec![1; 16 << 20]))).unwrap();
        bencher.bench_local(|| runtime.block_on(store.read(black_box(FILE), 3 << 20, count)).unwrap());
    }
}

mod write {
    use super::{Bencher, Bytes, ContentStore, FILE, FileExt, Local, MemoryContentStore, SIZES, black_box};

    #[divan::bench(args = SIZES)]
    fn local(bencher: Bencher, len: usize) {
        let Local { runtime, place: _place, store } = Local::new();
        let data = Bytes::from(vec![2; len]);
        bencher
            .bench_local(|| runtime.block_on(store.write(black_box(FILE), 5 << 20, data.clone())).unwrap());
    }

    /// In the caller's thread, where it might have to wait for the device.
    #[divan::bench(args = SIZES)]
    fn in_place(bencher: Bencher, len: usize) {
        let local = Local::new();
        let (file, data) = (local.file(), vec![2; len]);
        bencher.bench_local(|| file.write_all_at(black_box(&data), 5 << 20).unwrap());
    }

    #[divan::bench(args = SIZES)]
    fn memory(bencher: Bencher, len: usize) {
        let Local { runtime, .. } = Local::new();
        let store = MemoryContentStore::new(64 << 20);
        let data = Bytes::from(vec![2; len]);
        bencher
            .bench_local(|| runtime.block_on(store.write(black_box(FILE), 5 << 20, data.clone())).unwrap());
    }
}

/// So many callers at the same time write 4 KiB each to the same file and make it durable.
#[divan::bench(args = [1, 8, 64], sample_count = 20, sample_size = 1)]
fn write_and_sync(bencher: Bencher, callers: u64) {
    let Local { runtime, place: _place, store } = Local::new();
    let data = Bytes::from(vec![3; 4096]);
    bencher.bench_local(|| {
        runtime.block_on(async {
            let mut calls = JoinSet::new();
            for number in 0..callers {
                let (store, data) = (Arc::clone(&store), data.clone());
                calls.spawn(async move {
                    store.write(FILE, number * 4096, data).await.unwrap();
                    store.sync(FILE).await.unwrap();
                });
            }
            calls.join_all().await;
        });
    });
}
