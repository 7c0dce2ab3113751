//! The embedded metadata store alone, with many files: `cargo bench -p dittofs-backends --bench embedded`, with `-- FILES` for another
//! number than 1,000,000. Prints a table.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)] // a benchmark may stop where a server may not

use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_backends::embedded::{EmbeddedMetadataStore, ShareDirectory};
use dittofs_framework::proto::{FileType, NfsTime};
use dittofs_framework::storage::{
    Batch, DirectoryRecord, Entry, Ino, InodeRecord, MetadataStore, Mutation, RecordBody, RecordTimes,
};

const FILES: u64 = 1_000_000;
/// Files of a directory.
const DIRECTORY: u64 = 1_000;
const READS: u32 = 20_000;

#[tokio::main]
async fn main() {
    let files = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(FILES);
    let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let open = || EmbeddedMetadataStore::open(Arc::new(ShareDirectory::open(temp.path()).unwrap())).unwrap();
    let store = open();
    let mut random = Random(1);

    let start = Instant::now();
    for first in (1..=files).step_by(10_000) {
        let last = (first + 9_999).min(files);
        apply(&store, (first..=last).flat_map(|number| create(number, directory(number)))).await;
    }
    print("load, files per second", files as f64 / start.elapsed().as_secs_f64());
    let mut number = files;
    for (together, batches) in [(1, 2_000_u32), (8, 1_000), (64, 200)] {
        let start = Instant::now();
        for _ in 0..batches {
            let batch = (0..together).flat_map(|_| {
                number += 1;
                let dir = directory(random.below(files));
                create(number, dir).into_iter().chain([Mutation::PutInode(dir, record(number))])
            });
            apply(&store, batch.collect::<Vec<_>>()).await;
        }
        let rate = f64::from(batches * together) / start.elapsed().as_secs_f64();
        print(&format!("durable creates per second, {together} in a batch"), rate);
    }
    for number in [1, files / 2] {
        let took = timed(async || drop(store.inodes(&[Ino(number)]).await.unwrap())).await;
        print(&format!("record {number}, again and again, µs"), micros(took));
    }
    let took = timed(async || drop(store.inodes(&[Ino(1 + random.below(files))]).await.unwrap())).await;
    print("random record, µs", micros(took));
    let took = timed(async || {
        let number = 1 + random.below(files);
        store.entry(directory(number), &name(number)).await.unwrap().unwrap();
    });
    print("random entry, µs", micros(took.await));
    let took = timed(async || {
        let listed = store.entries(directory(random.below(files)), 0, 100).await.unwrap();
        assert!(!listed.is_empty());
    });
    print("100 entries of a random directory, µs", micros(took.await));
    drop(store);
    let start = Instant::now();
    drop(open());
    print("open, ms", start.elapsed().as_secs_f64() * 1e3);
}

fn print(what: &str, value: f64) {
    println!("{what:<48} {value:>12.1}");
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6 / f64::from(READS)
}

async fn timed(mut call: impl AsyncFnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..READS {
        call().await;
    }
    start.elapsed()
}

async fn apply(store: &EmbeddedMetadataStore, mutations: impl IntoIterator<Item = Mutation>) {
    store.apply(Batch { mutations: mutations.into_iter().collect() }).await.unwrap();
}

/// The directory of a file.
fn directory(number: u64) -> Ino {
    Ino((1 << 40) + number / DIRECTORY)
}

/// Names come in no order.
fn name(number: u64) -> Vec<u8> {
    format!("file-{:016x}", mix(number)).into_bytes()
}

fn create(number: u64, dir: Ino) -> [Mutation; 2] {
    let entry = Entry { cookie: number, ino: Ino(number), file_type: FileType::Reg };
    [
        Mutation::PutInode(Ino(number), record(number)),
        Mutation::PutEntry { dir, name: name(number).into(), entry },
    ]
}

fn record(number: u64) -> InodeRecord {
    let directory = DirectoryRecord { parent: Ino(1), entries: number, next_cookie: number };
    InodeRecord {
        file_type: FileType::Dir,
        mode: 0o755,
        uid: 1000,
        gid: 100,
        nlink: 2,
        size: 0,
        allocated: 0,
        change: mix(number),
        times: RecordTimes::all(NfsTime { seconds: 1_000_000, nseconds: 7 }),
        exclusive: None,
        xattr_bytes: 0,
        next_xattr_cookie: 1,
        body: RecordBody::Directory(directory),
    }
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 += 1;
        mix(self.0) % end
    }
}

fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
