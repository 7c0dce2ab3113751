//! What the calls of the hot path cost in the memory backend, without protocol and network.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a benchmark may stop where a server may not

use std::future::Future;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    Authority, CreateMode, FileSystem, NodeHandle, RequestContext, SetAttributes, ShareAccess, Stability,
};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

fn run<T>(call: impl Future<Output = T>) -> T {
    let mut call = std::pin::pin!(call);
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a call on a memory file system waits"),
    }
}

/// A file system with a file of 16 MiB among `files`.
fn share(files: u32) -> (StoreFileSystem, RequestContext, NodeHandle) {
    let (fs, cx) = (
        StoreFileSystem::in_memory(MemoryOptions::default()).expect("a share in memory"),
        RequestContext::server(),
    );
    let how = CreateMode::Guarded(SetAttributes::default());
    let root = fs.root();
    let make =
        |name: String| run(fs.open_create(&cx, &root, name.as_bytes(), &how, ShareAccess::BOTH)).unwrap();
    for number in 0..files {
        make(number.to_string());
    }
    let node = make("file".to_owned()).found.node;
    for part in 0..16 {
        let data = Bytes::from(vec![1; 1 << 20]);
        run(fs.write(&cx, &node, part << 20, data, Stability::Unstable, Authority::Open)).unwrap();
    }
    (fs, cx, node)
}

#[divan::bench]
fn attributes(bencher: Bencher) {
    let (fs, cx, node) = share(1_000);
    bencher.bench_local(|| run(fs.attributes(&cx, black_box(&node), Bitmap::EMPTY)));
}

#[divan::bench(args = [1_000, 100_000])]
fn lookup(bencher: Bencher, files: u32) {
    let (fs, cx, _) = share(files);
    let root = fs.root();
    bencher.bench_local(|| run(fs.lookup(&cx, black_box(&root), b"77", Bitmap::EMPTY)));
}

#[divan::bench(args = [4 << 10, 1 << 20])]
fn read(bencher: Bencher, count: u32) {
    let (fs, cx, node) = share(1_000);
    bencher.bench_local(|| run(fs.read(&cx, black_box(&node), 3 << 20, count, Authority::Open)));
}

#[divan::bench(args = [4 << 10, 1 << 20])]
fn write(bencher: Bencher, len: usize) {
    let (fs, cx, node) = share(1_000);
    let data = Bytes::from(vec![2; len]);
    bencher.bench_local(|| {
        run(fs.write(&cx, black_box(&node), 5 << 20, data.clone(), Stability::Unstable, Authority::Open))
    });
}
