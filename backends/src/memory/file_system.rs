//! The traits of the framework: every call is synchronous inside and done at the first poll.

use async_trait::async_trait;
use bytes::Bytes;
use dittofs_framework::fs::{
    AccessMask, AttrMask, Attributes, Authority, ChangeAttrType, CreateMode, DataOrHole, DirSink, EntryPlace,
    EntryPlaces, FileSystem, Found, FsInfo, FsResult, FsUsage, NewNode, NodeHandle, OpenHold, Opened,
    ReadData, ReaddirEnd, RequestContext, ServerSideCopy, SetAttributes, ShareAccess, Sparse, Stability,
    Written, XattrPage, XattrSet, Xattrs,
};
use dittofs_framework::proto::{ChangeInfo, NfsTime, Verifier4};

use super::MemoryFileSystem;
use super::copy::{Extent, Transfer};
use super::inode::MAX_LINK;
use super::volume::{MAX_FILE_SIZE, MAX_NAME};
use crate::rules::permission;

#[async_trait]
impl FileSystem for MemoryFileSystem {
    fn root(&self) -> NodeHandle {
        self.volume.handle(self.volume.root.id)
    }

    fn info(&self) -> FsInfo {
        FsInfo {
            fsid: self.volume.fsid,
            max_file_size: MAX_FILE_SIZE,
            max_link: MAX_LINK,
            max_name: MAX_NAME,
            time_delta: NfsTime { seconds: 0, nseconds: 1 },
            link_support: true,
            symlink_support: true,
            case_insensitive: false,
            case_preserving: true,
            change_attr_type: ChangeAttrType::VersionCounterNoPnfs,
            has_time_create: true,
        }
    }

    async fn usage(&self, _: &RequestContext) -> FsResult<FsUsage> {
        Ok(self.volume.space.usage())
    }

    async fn attributes(&self, _: &RequestContext, node: &NodeHandle, _: AttrMask) -> FsResult<Attributes> {
        let inode = self.volume.resolve(node)?;
        let state = inode.read_live()?;
        Ok(inode.attributes(&state))
    }

    async fn set_attributes(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        set: &SetAttributes,
        authority: Authority,
    ) -> FsResult<Attributes> {
        self.volume.set_attributes(&cx.credentials, node, set, authority)
    }

    async fn access(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        wanted: AccessMask,
    ) -> FsResult<AccessMask> {
        let inode = self.volume.resolve(node)?;
        let facts = inode.read_live()?.facts;
        Ok(permission::access(&cx.credentials, &facts, wanted))
    }

    async fn lookup(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        _: AttrMask,
    ) -> FsResult<Found> {
        self.volume.lookup(&cx.credentials, dir, name)
    }

    async fn parent(&self, cx: &RequestContext, dir: &NodeHandle) -> FsResult<NodeHandle> {
        self.volume.parent(&cx.credentials, dir)
    }

    async fn readlink(&self, _: &RequestContext, node: &NodeHandle) -> FsResult<Bytes> {
        self.volume.readlink(node)
    }

    async fn open(&self, cx: &RequestContext, node: &NodeHandle, access: ShareAccess) -> FsResult<OpenHold> {
        self.volume.open(&cx.credentials, node, access)
    }

    async fn open_create(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        mode: &CreateMode,
        access: ShareAccess,
    ) -> FsResult<Opened> {
        self.volume.open_create(&cx.credentials, dir, name, mode, access)
    }

    async fn read(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        count: u32,
        authority: Authority,
    ) -> FsResult<ReadData> {
        self.volume.read(&cx.credentials, node, offset, count, authority)
    }

    async fn write(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        data: Bytes,
        _: Stability,
        authority: Authority,
    ) -> FsResult<Written> {
        self.volume.write(&cx.credentials, node, offset, &data, authority)
    }

    async fn commit(&self, _: &RequestContext, node: &NodeHandle, _: u64, _: u64) -> FsResult<()> {
        self.volume.commit(node)
    }

    fn write_verifier(&self) -> Verifier4 {
        self.volume.instance()
    }

    async fn create(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        what: &NewNode,
        set: &SetAttributes,
    ) -> FsResult<(Found, ChangeInfo)> {
        self.volume.create(&cx.credentials, dir, name, what, set)
    }

    async fn remove(&self, cx: &RequestContext, dir: &NodeHandle, name: &[u8]) -> FsResult<ChangeInfo> {
        self.volume.remove(&cx.credentials, dir, name)
    }

    async fn rename(
        &self,
        cx: &RequestContext,
        from_dir: &NodeHandle,
        from: &[u8],
        to_dir: &NodeHandle,
        to: &[u8],
    ) -> FsResult<(ChangeInfo, ChangeInfo)> {
        self.volume.rename(&cx.credentials, from_dir, from, to_dir, to)
    }

    async fn link(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        dir: &NodeHandle,
        name: &[u8],
    ) -> FsResult<ChangeInfo> {
        self.volume.link(&cx.credentials, node, dir, name)
    }

    async fn readdir(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        cookie: u64,
        cookieverf: Verifier4,
        mask: AttrMask,
        sink: &mut dyn DirSink,
    ) -> FsResult<ReaddirEnd> {
        self.volume.readdir(&cx.credentials, dir, (cookie, cookieverf), mask, sink)
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

    fn entry_places(&self) -> Option<&dyn EntryPlaces> {
        Some(self)
    }
}

#[async_trait]
impl EntryPlaces for MemoryFileSystem {
    async fn entry_place(&self, _: &RequestContext, dir: &NodeHandle, name: &[u8]) -> FsResult<EntryPlace> {
        self.volume.entry_place(dir, name)
    }
}

#[async_trait]
impl Xattrs for MemoryFileSystem {
    async fn xattr(&self, cx: &RequestContext, node: &NodeHandle, name: &[u8]) -> FsResult<Bytes> {
        self.volume.xattr(&cx.credentials, node, name)
    }

    async fn set_xattr(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        name: &[u8],
        value: &Bytes,
        when: XattrSet,
    ) -> FsResult<ChangeInfo> {
        self.volume.set_xattr(&cx.credentials, node, name, value, when)
    }

    async fn list_xattrs(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        cookie: u64,
        max_bytes: u32,
    ) -> FsResult<XattrPage> {
        self.volume.list_xattrs(&cx.credentials, node, cookie, max_bytes)
    }

    async fn remove_xattr(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        name: &[u8],
    ) -> FsResult<ChangeInfo> {
        self.volume.remove_xattr(&cx.credentials, node, name)
    }
}

#[async_trait]
impl Sparse for MemoryFileSystem {
    async fn allocate(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        length: u64,
        authority: Authority,
    ) -> FsResult<()> {
        self.volume.allocate(&cx.credentials, node, (offset, length), authority)
    }

    async fn deallocate(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        length: u64,
        authority: Authority,
    ) -> FsResult<()> {
        self.volume.deallocate(&cx.credentials, node, (offset, length), authority)
    }

    async fn seek(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        what: DataOrHole,
        authority: Authority,
    ) -> FsResult<Option<u64>> {
        self.volume.seek(&cx.credentials, node, offset, what, authority)
    }
}

#[async_trait]
impl ServerSideCopy for MemoryFileSystem {
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
        let transfer = Transfer { from, from_offset, to, to_offset, count };
        self.volume.transfer(&cx.credentials, transfer, Extent::UpTo, authority).await
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
        let transfer = Transfer { from, from_offset, to, to_offset, count };
        self.volume.transfer(&cx.credentials, transfer, Extent::Whole, authority).await.map(|_| ())
    }
}
