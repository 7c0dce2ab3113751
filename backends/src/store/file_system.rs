//! The traits of the framework.

use async_trait::async_trait;
use bytes::Bytes;
use dittofs_framework::fs::{
    AccessMask, AttrMask, Attributes, Authority, ChangeAttrType, CreateMode, DataOrHole, DirSink, EntryPlace,
    EntryPlaces, FileSystem, Found, FsInfo, FsResult, FsUsage, NewNode, NodeHandle, OpenHold, Opened,
    ReadData, ReaddirEnd, RequestContext, ServerSideCopy, SetAttributes, ShareAccess, Sparse, Stability,
    Written, XattrPage, XattrSet, Xattrs,
};
use dittofs_framework::proto::{ChangeInfo, NfsTime, Verifier4};

use super::StoreFileSystem;
use super::copy::Transfer;
use crate::rules::limits::{MAX_FILE_SIZE, MAX_LINK, MAX_NAME};
use crate::rules::permission;

#[async_trait]
impl FileSystem for StoreFileSystem {
    fn root(&self) -> NodeHandle {
        self.volume.handle(self.volume.root.ino)
    }

    fn info(&self) -> FsInfo {
        FsInfo {
            fsid: self.volume.fsid,
            max_file_size: MAX_FILE_SIZE.min(self.volume.content.max_len()),
            max_link: MAX_LINK,
            max_name: MAX_NAME,
            time_delta: NfsTime { seconds: 0, nseconds: 1 },
            link_support: true,
            symlink_support: true,
            case_insensitive: false,
            case_preserving: true,
            change_attr_type: ChangeAttrType::MonotonicIncr,
            has_time_create: true,
            preserves_unlinked: true,
        }
    }

    async fn usage(&self, _: &RequestContext) -> FsResult<FsUsage> {
        self.volume.usage().await
    }

    async fn attributes(&self, _: &RequestContext, node: &NodeHandle, _: AttrMask) -> FsResult<Attributes> {
        let inode = self.volume.resolve(node).await?;
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
        self.volume.set_attributes(&cx.credentials, node, set, authority).await
    }

    async fn access(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        wanted: AccessMask,
    ) -> FsResult<AccessMask> {
        let inode = self.volume.resolve(node).await?;
        let facts = inode.read_live()?.facts();
        Ok(permission::access(&cx.credentials, &facts, wanted))
    }

    async fn lookup(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        _: AttrMask,
    ) -> FsResult<Found> {
        self.volume.lookup(&cx.credentials, dir, name).await
    }

    async fn parent(&self, cx: &RequestContext, dir: &NodeHandle) -> FsResult<NodeHandle> {
        self.volume.parent(&cx.credentials, dir).await
    }

    async fn readlink(&self, _: &RequestContext, node: &NodeHandle) -> FsResult<Bytes> {
        self.volume.readlink(node).await
    }

    async fn open(&self, cx: &RequestContext, node: &NodeHandle, access: ShareAccess) -> FsResult<OpenHold> {
        self.volume.open_file(&cx.credentials, node, access).await
    }

    async fn open_create(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        mode: &CreateMode,
        access: ShareAccess,
    ) -> FsResult<Opened> {
        self.volume.open_create(&cx.credentials, dir, name, mode, access).await
    }

    async fn read(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        count: u32,
        authority: Authority,
    ) -> FsResult<ReadData> {
        self.volume.read(&cx.credentials, node, offset, count, authority).await
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
        self.volume.write(&cx.credentials, node, offset, data, stability, authority).await
    }

    async fn commit(&self, _: &RequestContext, node: &NodeHandle, _: u64, _: u64) -> FsResult<()> {
        self.volume.commit_data(node).await
    }

    fn write_verifier(&self) -> Verifier4 {
        self.volume.verifier()
    }

    async fn create(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        what: &NewNode,
        set: &SetAttributes,
    ) -> FsResult<(Found, ChangeInfo)> {
        self.volume.create(&cx.credentials, dir, name, what, set).await
    }

    async fn remove(&self, cx: &RequestContext, dir: &NodeHandle, name: &[u8]) -> FsResult<ChangeInfo> {
        self.volume.remove(&cx.credentials, dir, name).await
    }

    async fn rename(
        &self,
        cx: &RequestContext,
        from_dir: &NodeHandle,
        from: &[u8],
        to_dir: &NodeHandle,
        to: &[u8],
    ) -> FsResult<(ChangeInfo, ChangeInfo)> {
        self.volume.rename(&cx.credentials, (from_dir, from), (to_dir, to)).await
    }

    async fn link(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        dir: &NodeHandle,
        name: &[u8],
    ) -> FsResult<ChangeInfo> {
        self.volume.link(&cx.credentials, node, dir, name).await
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
        self.volume.readdir(&cx.credentials, dir, (cookie, cookieverf), mask, sink).await
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
impl EntryPlaces for StoreFileSystem {
    async fn entry_place(&self, _: &RequestContext, dir: &NodeHandle, name: &[u8]) -> FsResult<EntryPlace> {
        self.volume.entry_place(dir, name).await
    }
}

#[async_trait]
impl Xattrs for StoreFileSystem {
    async fn xattr(&self, cx: &RequestContext, node: &NodeHandle, name: &[u8]) -> FsResult<Bytes> {
        self.volume.xattr(&cx.credentials, node, name).await
    }

    async fn set_xattr(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        name: &[u8],
        value: &Bytes,
        when: XattrSet,
    ) -> FsResult<ChangeInfo> {
        self.volume.set_xattr(&cx.credentials, node, name, value, when).await
    }

    async fn list_xattrs(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        cookie: u64,
        max_bytes: u32,
    ) -> FsResult<XattrPage> {
        self.volume.list_xattrs(&cx.credentials, node, cookie, max_bytes).await
    }

    async fn remove_xattr(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        name: &[u8],
    ) -> FsResult<ChangeInfo> {
        self.volume.remove_xattr(&cx.credentials, node, name).await
    }
}

#[async_trait]
impl Sparse for StoreFileSystem {
    async fn allocate(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        length: u64,
        authority: Authority,
    ) -> FsResult<()> {
        self.volume.allocate(&cx.credentials, node, (offset, length), authority).await
    }

    async fn deallocate(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        length: u64,
        authority: Authority,
    ) -> FsResult<()> {
        self.volume.deallocate(&cx.credentials, node, (offset, length), authority).await
    }

    async fn seek(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        what: DataOrHole,
        authority: Authority,
    ) -> FsResult<Option<u64>> {
        self.volume.seek(&cx.credentials, node, offset, what, authority).await
    }
}

#[async_trait]
impl ServerSideCopy for StoreFileSystem {
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
        self.volume.copy(&cx.credentials, transfer, authority).await
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
        self.volume.clone_range(&cx.credentials, transfer, authority).await
    }
}
