//! A share with one directory of a thousand to a million files: `cargo bench -p dittofs-backends --bench directory_scale`. Prints a table
//! of what opening it after kill -9 takes, in time and memory, and what calls cost then.
//!
//! Each line is of two processes of their own: one that makes files, 64 at a time, and is killed; and one that opens the share.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)] // a benchmark may stop where a server may not

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_backends::embedded;
use dittofs_backends::store::{StoreFileSystem, StoreOptions};
use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    CreateMode, DirEntry, DirSink, FileSystem, RequestContext, SetAttributes, ShareAccess, SinkFull,
};
use dittofs_framework::proto::Verifier4;
use tokio::task::JoinSet;

const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Creates that are under way at a time.
const TOGETHER: u64 = 64;
/// Entries of a page of a listing.
const PAGE: usize = 100;
const CREATES: u64 = 500;
const LOOKUPS: u64 = 5_000;
const PAGES: u64 = 2_000;

fn main() {
    let args: Vec<_> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [_, "grow", path, from, to] => runtime.block_on(grow(Path::new(path), number(from), number(to))),
        [_, "measure", path, files] => runtime.block_on(measure(Path::new(path), number(files))),
        _ => run(),
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

fn run() {
    let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = temp.path().to_str().unwrap();
    println!(
        "| files | creates/s, {TOGETHER} at a time | open | resident | create | lookup | page of {PAGE} | resident then |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut from = 0;
    for files in SIZES {
        let mut grow = myself(&["grow", path, &from.to_string(), &files.to_string()]);
        let mut child = grow.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = [0; 8];
        child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let rate = str::from_utf8(&line).unwrap().trim();
        let measured = myself(&["measure", path, &files.to_string()]).output().unwrap();
        assert!(measured.status.success(), "{}", String::from_utf8_lossy(&measured.stderr));
        println!("| {files} | {rate} | {}", String::from_utf8_lossy(&measured.stdout).trim());
        from = files;
    }
}

fn myself(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(args);
    command
}

async fn open(path: &Path) -> Arc<StoreFileSystem> {
    Arc::new(embedded::open(path, StoreOptions::default()).await.unwrap())
}

/// Names come in no order.
fn name(number: u64) -> String {
    format!("file-{:016x}", mix(number))
}

async fn create(fs: &StoreFileSystem, name: &str) {
    let how = CreateMode::Guarded(SetAttributes::default());
    let cx = RequestContext::server();
    drop(fs.open_create(&cx, &fs.root(), name.as_bytes(), &how, ShareAccess::BOTH).await.unwrap());
}

/// Makes files and says how fast; then waits for its end.
async fn grow(path: &Path, from: u64, to: u64) {
    let fs = open(path).await;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TOGETHER {
        let fs = Arc::clone(&fs);
        tasks.spawn(async move {
            for number in (from + task..to).step_by(usize::try_from(TOGETHER).unwrap()) {
                create(&fs, &name(number)).await;
            }
        });
    }
    tasks.join_all().await;
    let rate = (to - from) as f64 / start.elapsed().as_secs_f64();
    print!("{rate:>8.0}");
    std::io::stdout().flush().unwrap();
    std::future::pending::<()>().await;
}

async fn measure(path: &Path, files: u64) {
    let start = Instant::now();
    let fs = open(path).await;
    let opened = start.elapsed();
    let resident = resident();
    let (cx, root) = (RequestContext::server(), fs.root());

    let start = Instant::now();
    for n in 0..CREATES {
        create(&fs, &format!("new-{n}")).await;
    }
    let creates = start.elapsed();
    let start = Instant::now();
    for n in 0..LOOKUPS {
        let name = name(mix(n) % files);
        fs.lookup(&cx, &root, name.as_bytes(), Bitmap::EMPTY).await.unwrap();
    }
    let lookups = start.elapsed();
    let mut first = Page::default();
    let first = fs.readdir(&cx, &root, 0, Verifier4::default(), Bitmap::EMPTY, &mut first).await.unwrap();
    let start = Instant::now();
    for n in 0..PAGES {
        let mut page = Page::default();
        let cookie = 100 + mix(n) % (files - 200);
        fs.readdir(&cx, &root, cookie, first.cookieverf, Bitmap::EMPTY, &mut page).await.unwrap();
        assert_eq!(page.entries, PAGE);
    }
    let pages = start.elapsed();
    println!(
        "{} ms | {resident} MiB | {} | {} | {} | {} MiB |",
        opened.as_millis(),
        micros(creates, CREATES),
        micros(lookups, LOOKUPS),
        micros(pages, PAGES),
        self::resident()
    );
    for n in 0..CREATES {
        fs.remove(&cx, &root, format!("new-{n}").as_bytes()).await.unwrap();
    }
    fs.flush().await.unwrap();
}

fn micros(took: Duration, calls: u64) -> String {
    format!("{:.1} µs", took.as_secs_f64() * 1e6 / calls as f64)
}

/// MiB of memory that the process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    number(line.trim().trim_end_matches(" kB")) / 1024
}

/// Takes a page and no more.
#[derive(Default)]
struct Page {
    entries: usize,
}

impl DirSink for Page {
    fn entry(&mut self, _: DirEntry<'_>) -> Result<(), SinkFull> {
        if self.entries == PAGE {
            return Err(SinkFull);
        }
        self.entries += 1;
        Ok(())
    }
}

fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
