//! A file system, users, and calls in few words.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    Attributes, Authority, CreateMode, Credentials, DirEntry, DirSink, FileSystem, Found, FsResult, NewNode,
    NodeHandle, OpenHold, Opened, ReaddirEnd, RequestContext, SetAttributes, ShareAccess, SinkFull,
    Stability,
};
use dittofs_framework::proto::{ChangeInfo, Minor, NfsTime, Verifier4};

use crate::memory::{MemoryFileSystem, MemoryOptions};

/// Runs a call, which must be done at its first poll.
pub(super) fn run<T>(call: impl Future<Output = T>) -> T {
    let mut call = std::pin::pin!(call);
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a call on a memory file system waits"),
    }
}

/// A user, with its own group and others.
pub(super) fn user(uid: u32, groups: &[u32]) -> RequestContext {
    let (gid, groups) = groups.split_first().map_or((uid, &[][..]), |(gid, rest)| (*gid, rest));
    let credentials = Credentials { uid, gid, groups: groups.iter().copied().collect() };
    RequestContext { credentials, client: None, minor: Minor::V2 }
}

pub(super) fn root() -> RequestContext {
    user(0, &[0])
}

pub(super) fn mode(mode: u32) -> SetAttributes {
    SetAttributes { mode: Some(mode), ..SetAttributes::default() }
}

/// A file system whose clock ticks a second with every look at it.
pub(super) struct World {
    pub(super) fs: MemoryFileSystem,
    pub(super) clock: Arc<AtomicI64>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_capacity(1 << 30)
    }

    pub(super) fn with_capacity(capacity: u64) -> Self {
        let clock = Arc::new(AtomicI64::new(1_000));
        let ticks = Arc::clone(&clock);
        let options = MemoryOptions {
            capacity,
            root_mode: 0o777,
            clock: Arc::new(move || NfsTime { seconds: ticks.fetch_add(1, Ordering::Relaxed), nseconds: 7 }),
            ..MemoryOptions::default()
        };
        Self { fs: MemoryFileSystem::new(options), clock }
    }

    pub(super) fn root(&self) -> NodeHandle {
        self.fs.root()
    }

    pub(super) fn make(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &str,
        what: &NewNode,
        set: &SetAttributes,
    ) -> FsResult<Found> {
        run(self.fs.create(cx, dir, name.as_bytes(), what, set)).map(|(found, _)| found)
    }

    pub(super) fn mkdir(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &str,
        bits: u32,
    ) -> FsResult<NodeHandle> {
        self.make(cx, dir, name, &NewNode::Directory, &mode(bits)).map(|found| found.node)
    }

    pub(super) fn open(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &str,
        how: &CreateMode,
        access: ShareAccess,
    ) -> FsResult<Opened> {
        run(self.fs.open_create(cx, dir, name.as_bytes(), how, access))
    }

    /// A new file that nobody has open.
    pub(super) fn file(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &str,
        bits: u32,
    ) -> FsResult<NodeHandle> {
        let how = CreateMode::Guarded(mode(bits));
        self.open(cx, dir, name, &how, ShareAccess::BOTH).map(|opened| opened.found.node)
    }

    pub(super) fn hold(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        access: ShareAccess,
    ) -> FsResult<OpenHold> {
        run(self.fs.open(cx, node, access))
    }

    pub(super) fn attributes(&self, node: &NodeHandle) -> FsResult<Attributes> {
        run(self.fs.attributes(&root(), node, Bitmap::EMPTY))
    }

    pub(super) fn set(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        set: &SetAttributes,
    ) -> FsResult<Attributes> {
        run(self.fs.set_attributes(cx, node, set, Authority::Credentials))
    }

    pub(super) fn chmod(&self, cx: &RequestContext, node: &NodeHandle, bits: u32) -> FsResult<Attributes> {
        self.set(cx, node, &mode(bits))
    }

    pub(super) fn chown(&self, node: &NodeHandle, uid: u32, gid: u32) {
        let set = SetAttributes { uid: Some(uid), gid: Some(gid), ..SetAttributes::default() };
        self.set(&root(), node, &set).unwrap();
    }

    pub(super) fn lookup(&self, cx: &RequestContext, dir: &NodeHandle, name: &str) -> FsResult<NodeHandle> {
        run(self.fs.lookup(cx, dir, name.as_bytes(), Bitmap::EMPTY)).map(|found| found.node)
    }

    pub(super) fn parent(&self, dir: &NodeHandle) -> FsResult<NodeHandle> {
        run(self.fs.parent(&root(), dir))
    }

    pub(super) fn remove(&self, cx: &RequestContext, dir: &NodeHandle, name: &str) -> FsResult<ChangeInfo> {
        run(self.fs.remove(cx, dir, name.as_bytes()))
    }

    pub(super) fn rename(
        &self,
        cx: &RequestContext,
        (from_dir, from): (&NodeHandle, &str),
        (to_dir, to): (&NodeHandle, &str),
    ) -> FsResult<(ChangeInfo, ChangeInfo)> {
        run(self.fs.rename(cx, from_dir, from.as_bytes(), to_dir, to.as_bytes()))
    }

    pub(super) fn link(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        dir: &NodeHandle,
        name: &str,
    ) -> FsResult<ChangeInfo> {
        run(self.fs.link(cx, node, dir, name.as_bytes()))
    }

    pub(super) fn write_as(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        data: &[u8],
        authority: Authority,
    ) -> FsResult<u32> {
        let data = Bytes::copy_from_slice(data);
        run(self.fs.write(cx, node, offset, data, Stability::Unstable, authority))
            .map(|written| written.count)
    }

    pub(super) fn write(&self, node: &NodeHandle, offset: u64, data: &[u8]) -> FsResult<u32> {
        self.write_as(&root(), node, offset, data, Authority::Open)
    }

    pub(super) fn read(&self, node: &NodeHandle, offset: u64, count: u32) -> FsResult<Bytes> {
        run(self.fs.read(&root(), node, offset, count, Authority::Open)).map(|read| read.data)
    }

    /// Names and cookies from after `cookie`, at most `room` of them.
    pub(super) fn list(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        (cookie, verifier): (u64, Verifier4),
        mask: Bitmap,
        room: usize,
    ) -> FsResult<(Vec<(u64, String)>, ReaddirEnd)> {
        let mut sink = Listing { entries: Vec::new(), room };
        let end = run(self.fs.readdir(cx, dir, cookie, verifier, mask, &mut sink))?;
        Ok((sink.entries, end))
    }
}

struct Listing {
    entries: Vec<(u64, String)>,
    room: usize,
}

impl DirSink for Listing {
    fn entry(&mut self, entry: DirEntry<'_>) -> Result<(), SinkFull> {
        if self.entries.len() == self.room {
            return Err(SinkFull);
        }
        self.entries.push((entry.cookie, String::from_utf8_lossy(entry.name).into_owned()));
        Ok(())
    }
}
