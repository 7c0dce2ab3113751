//! The traits of the framework: every call is one job for a worker thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use dittofs_framework::fs::{
    AccessMask, AttrMask, Attributes, Authority, CreateMode, Credentials, DataOrHole, DirEntry, DirSink,
    FileSystem, Found, FsInfo, FsResult, FsUsage, NewNode, NodeHandle, OpenHold, Opened, ReadData,
    ReaddirEnd, RequestContext, ServerSideCopy, SetAttributes, ShareAccess, Sparse, Stability, Written,
    XattrPage, XattrSet, Xattrs,
};
use dittofs_framework::proto::{ChangeInfo, Verifier4};

use super::PosixFileSystem;
use super::identity;
use super::sparse::Transfer;
use super::volume::Volume;

impl PosixFileSystem {
    /// Makes a call on a worker thread, as the caller.
    async fn run<T: Send + 'static>(
        &self,
        cx: &RequestContext,
        call: impl FnOnce(&Arc<Volume>, &Credentials) -> FsResult<T> + Send + 'static,
    ) -> FsResult<T> {
        let volume = Arc::clone(&self.volume);
        let caller = self.squash.as_ref().unwrap_or(&cx.credentials).clone();
        let job = move || {
            identity::assume(&caller)?;
            call(&volume, &caller)
        };
        self.volume.pool.run(job).await
    }
}

#[async_trait]
impl FileSystem for PosixFileSystem {
    fn root(&self) -> NodeHandle {
        self.volume.root_node.handle
    }

    fn info(&self) -> FsInfo {
        self.volume.info
    }

    async fn usage(&self, cx: &RequestContext) -> FsResult<FsUsage> {
        self.run(cx, |volume, caller| volume.usage(caller)).await
    }

    async fn attributes(&self, cx: &RequestContext, node: &NodeHandle, _: AttrMask) -> FsResult<Attributes> {
        let node = *node;
        self.run(cx, move |volume, _| volume.attributes(&node)).await
    }

    async fn set_attributes(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        set: &SetAttributes,
        authority: Authority,
    ) -> FsResult<Attributes> {
        let (node, set) = (*node, set.clone());
        self.run(cx, move |volume, caller| volume.set_attributes(caller, &node, &set, authority)).await
    }

    async fn access(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        wanted: AccessMask,
    ) -> FsResult<AccessMask> {
        let node = *node;
        self.run(cx, move |volume, _| volume.access(&node, wanted)).await
    }

    async fn lookup(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        _: AttrMask,
    ) -> FsResult<Found> {
        let (dir, name) = (*dir, name.to_vec());
        self.run(cx, move |volume, _| volume.lookup(&dir, &name)).await
    }

    async fn parent(&self, cx: &RequestContext, dir: &NodeHandle) -> FsResult<NodeHandle> {
        let dir = *dir;
        self.run(cx, move |volume, _| volume.parent(&dir)).await
    }

    async fn readlink(&self, cx: &RequestContext, node: &NodeHandle) -> FsResult<Bytes> {
        let node = *node;
        self.run(cx, move |volume, _| volume.readlink(&node)).await
    }

    async fn open(&self, cx: &RequestContext, node: &NodeHandle, access: ShareAccess) -> FsResult<OpenHold> {
        let node = *node;
        self.run(cx, move |volume, _| volume.open(&node, access)).await
    }

    async fn open_create(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        mode: &CreateMode,
        access: ShareAccess,
    ) -> FsResult<Opened> {
        let (dir, name, mode) = (*dir, name.to_vec(), mode.clone());
        self.run(cx, move |volume, caller| volume.open_create(caller, &dir, &name, &mode, access)).await
    }

    async fn read(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        count: u32,
        authority: Authority,
    ) -> FsResult<ReadData> {
        let node = *node;
        self.run(cx, move |volume, caller| volume.read(caller, &node, (offset, count), authority)).await
    }

    async fn write(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        data: Bytes,
        stability: Stability,
        authority: Authority,
    ) -> FsResult<Written> {
        let node = *node;
        self.run(cx, move |volume, caller| volume.write(caller, &node, (offset, &data), stability, authority))
            .await
    }

    async fn commit(&self, cx: &RequestContext, node: &NodeHandle, _: u64, _: u64) -> FsResult<()> {
        let node = *node;
        self.run(cx, move |volume, _| volume.commit(&node)).await
    }

    fn write_verifier(&self) -> Verifier4 {
        self.volume.write_verifier.load(Ordering::Relaxed).to_be_bytes()
    }

    async fn create(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        what: &NewNode,
        set: &SetAttributes,
    ) -> FsResult<(Found, ChangeInfo)> {
        let (dir, name, what, set) = (*dir, name.to_vec(), what.clone(), set.clone());
        self.run(cx, move |volume, caller| volume.create(caller, &dir, &name, &what, &set)).await
    }

    async fn remove(&self, cx: &RequestContext, dir: &NodeHandle, name: &[u8]) -> FsResult<ChangeInfo> {
        let (dir, name) = (*dir, name.to_vec());
        self.run(cx, move |volume, _| volume.remove(&dir, &name)).await
    }

    async fn rename(
        &self,
        cx: &RequestContext,
        from_dir: &NodeHandle,
        from: &[u8],
        to_dir: &NodeHandle,
        to: &[u8],
    ) -> FsResult<(ChangeInfo, ChangeInfo)> {
        let (from_dir, from, to_dir, to) = (*from_dir, from.to_vec(), *to_dir, to.to_vec());
        self.run(cx, move |volume, _| volume.rename(&from_dir, &from, &to_dir, &to)).await
    }

    async fn link(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        dir: &NodeHandle,
        name: &[u8],
    ) -> FsResult<ChangeInfo> {
        let (node, dir, name) = (*node, *dir, name.to_vec());
        self.run(cx, move |volume, _| volume.link(&node, &dir, &name)).await
    }

    async fn readdir(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        cookie: u64,
        cookieverf: Verifier4,
        _: AttrMask,
        sink: &mut dyn DirSink,
    ) -> FsResult<ReaddirEnd> {
        let dir = *dir;
        let (mut next, mut verifier) = (cookie, cookieverf);
        loop {
            let batch = self.run(cx, move |volume, _| volume.list(&dir, next, verifier)).await?;
            verifier = batch.verifier;
            for entry in &batch.entries {
                let entry = DirEntry {
                    cookie: entry.cookie,
                    name: &entry.name,
                    node: entry.node,
                    attributes: &entry.attributes,
                };
                if sink.entry(entry).is_err() {
                    return Ok(ReaddirEnd { eof: false, cookieverf: verifier });
                }
            }
            match batch.next {
                Some(cookie) => next = cookie,
                None => return Ok(ReaddirEnd { eof: true, cookieverf: verifier }),
            }
        }
    }

    fn xattrs(&self) -> Option<&dyn Xattrs> {
        Some(self)
    }

    fn sparse(&self) -> Option<&dyn Sparse> {
        Some(self)
    }

    fn server_side_copy(&self) -> Option<&dyn ServerSideCopy> {
        Some(self)
    }
}

#[async_trait]
impl Xattrs for PosixFileSystem {
    async fn xattr(&self, cx: &RequestContext, node: &NodeHandle, name: &[u8]) -> FsResult<Bytes> {
        let (node, name) = (*node, name.to_vec());
        self.run(cx, move |volume, _| volume.xattr(&node, &name)).await
    }

    async fn set_xattr(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        name: &[u8],
        value: &Bytes,
        when: XattrSet,
    ) -> FsResult<ChangeInfo> {
        let (node, name, value) = (*node, name.to_vec(), value.clone());
        self.run(cx, move |volume, _| volume.set_xattr(&node, &name, &value, when)).await
    }

    async fn list_xattrs(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        cookie: u64,
        max_bytes: u32,
    ) -> FsResult<XattrPage> {
        let node = *node;
        self.run(cx, move |volume, _| volume.list_xattrs(&node, cookie, max_bytes)).await
    }

    async fn remove_xattr(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        name: &[u8],
    ) -> FsResult<ChangeInfo> {
        let (node, name) = (*node, name.to_vec());
        self.run(cx, move |volume, _| volume.remove_xattr(&node, &name)).await
    }
}

#[async_trait]
impl Sparse for PosixFileSystem {
    async fn allocate(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        length: u64,
        authority: Authority,
    ) -> FsResult<()> {
        let node = *node;
        self.run(cx, move |volume, caller| volume.allocate(caller, &node, (offset, length), authority)).await
    }

    async fn deallocate(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        length: u64,
        authority: Authority,
    ) -> FsResult<()> {
        let node = *node;
        self.run(cx, move |volume, caller| volume.deallocate(caller, &node, (offset, length), authority))
            .await
    }

    async fn seek(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        what: DataOrHole,
        authority: Authority,
    ) -> FsResult<Option<u64>> {
        let node = *node;
        self.run(cx, move |volume, caller| volume.seek(caller, &node, offset, what, authority)).await
    }
}

#[async_trait]
impl ServerSideCopy for PosixFileSystem {
    async fn copy(
        &self,
        cx: &RequestContext,
        from: &NodeHandle,
        from_offset: u64,
        to: &NodeHandle,
        to_offset: u64,
        count: u64,
        authority: Authority,
    ) -> FsResult<u64> {
        let transfer = Transfer { from: *from, from_offset, to: *to, to_offset, count };
        self.run(cx, move |volume, caller| volume.copy(caller, transfer, authority)).await
    }

    async fn clone_range(
        &self,
        cx: &RequestContext,
        from: &NodeHandle,
        from_offset: u64,
        to: &NodeHandle,
        to_offset: u64,
        count: u64,
        authority: Authority,
    ) -> FsResult<()> {
        let transfer = Transfer { from: *from, from_offset, to: *to, to_offset, count };
        self.run(cx, move |volume, caller| volume.clone_range(caller, transfer, authority)).await
    }
}
