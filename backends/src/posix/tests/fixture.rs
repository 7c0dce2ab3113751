//! An exported directory, users, and calls in few words.

use std::future::Future;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    Attributes, Authority, CreateMode, Credentials, DirEntry, DirSink, FileSystem, Found, FsResult, NewNode,
    NodeHandle, OpenHold, Opened, ReaddirEnd, RequestContext, SetAttributes, ShareAccess, SinkFull,
    Stability,
};
use dittofs_framework::proto::{ChangeInfo, Minor, Verifier4};
use tempfile::TempDir;

use crate::posix::{Handles, PosixFileSystem, PosixOptions};

/// Runs a call to its end.
pub(super) fn run<T>(call: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(call)
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

/// An export below a directory that is removed in the end.
pub(super) struct World {
    pub(super) fs: PosixFileSystem,
    pub(super) options: PosixOptions,
    outside: TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With these handles.
    pub(super) fn by(handles: Handles) -> Self {
        Self::with(|options| options.handles = handles)
    }

    pub(super) fn with(change: impl FnOnce(&mut PosixOptions)) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), change)
    }

    pub(super) fn in_dir(outside: TempDir, change: impl FnOnce(&mut PosixOptions)) -> Self {
        let root = outside.path().join("export");
        std::fs::create_dir(&root).unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(&root, open).unwrap();
        let mut options = PosixOptions::new(root, outside.path().join("state"));
        change(&mut options);
        Self { fs: PosixFileSystem::open(options.clone()).unwrap(), options, outside }
    }

    /// The same export, after the server has ended and another was started.
    pub(super) fn restart(self) -> Self {
        let Self { fs, options, outside } = self;
        drop(fs);
        Self { fs: PosixFileSystem::open(options.clone()).unwrap(), options, outside }
    }

    pub(super) fn root(&self) -> NodeHandle {
        self.fs.root()
    }

    /// Of something in the exported directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.options.root.join(name)
    }

    /// The directory that holds the exported one.
    pub(super) fn outside(&self) -> &Path {
        self.outside.path()
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

    pub(super) fn read_as(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        authority: Authority,
    ) -> FsResult<Bytes> {
        run(self.fs.read(cx, node, 0, 1 << 20, authority)).map(|read| read.data)
    }

    pub(super) fn read(&self, node: &NodeHandle) -> FsResult<Bytes> {
        self.read_as(&root(), node, Authority::Open)
    }

    /// Names and cookies from after `cookie`, at most `room` of them.
    pub(super) fn list(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        (cookie, verifier): (u64, Verifier4),
        room: usize,
    ) -> FsResult<(Vec<(u64, String)>, ReaddirEnd)> {
        let mut sink = Listing { entries: Vec::new(), room };
        let end = run(self.fs.readdir(cx, dir, cookie, verifier, Bitmap::EMPTY, &mut sink))?;
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
