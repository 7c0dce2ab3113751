//! The archive as a file system.
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dittofs_framework::fs::{
    AccessMask, AttrMask, Attributes, Authority, ChangeAttrType, CreateMode, Created, DataOrHole, DirEntry,
    DirSink, FileSystem, Found, FsError, FsInfo, FsResult, FsUsage, NewNode, NodeHandle, OpenHold, Opened,
    ReadData, ReaddirEnd, RequestContext, SetAttributes, ShareAccess, Sparse, Stability, Written,
};
use dittofs_framework::proto::{ChangeInfo, Fsid, NfsTime, SpecData, Verifier4};

use super::extents::Extents;
use super::headers::ArchiveError;
use super::permission::{Want, access, check, check_read};
use super::tree::{Directory, LeftOut, NAME_MAX, Node, NodeId, NodeKind, Tree};

/// 0, 1 and 2 are no cookies (RFC 8881 section 18.23.3).
const FIRST_COOKIE: u64 = 3;
/// Nothing changes, so nothing ever has another one. An archive in the place of this one has other objects.
const CHANGE: u64 = 1;

/// A tar file, exported read-only.
pub(crate) struct ArchiveFileSystem {
    archive: Arc<File>,
    tree: Arc<Tree>,
    len: u64,
}

impl ArchiveFileSystem {
    /// Reads the headers of the archive, all of them: it takes as long as there are many.
    pub(crate) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let archive = File::open(path)?;
        let tree = Arc::new(Tree::read(&archive)?);
        let len = archive.metadata()?.len();
        Ok(Self { archive: Arc::new(archive), tree, len })
    }

    /// What is in the archive and not shown.
    pub(crate) fn left_out(&self) -> &[LeftOut] {
        &self.tree.left_out
    }

    /// The archive's identity and the object's number: good after a restart with the same archive, and with another one stale.
    fn handle(&self, id: NodeId) -> NodeHandle {
        let mut bytes = [0; 16];
        let (identity, number) = bytes.split_at_mut(8);
        identity.copy_from_slice(&self.tree.identity.to_be_bytes());
        number.copy_from_slice(&fileid(id).to_be_bytes());
        NodeHandle::new(&bytes).unwrap_or_else(|| NodeHandle::from_u64(fileid(id)))
    }

    fn resolve(&self, handle: &NodeHandle) -> FsResult<(NodeId, &Node)> {
        let (identity, number) = handle.as_bytes().split_first_chunk::<8>().ok_or(FsError::Stale)?;
        let number = number.try_into().map(u64::from_be_bytes).map_err(|_| FsError::Stale)?;
        if u64::from_be_bytes(*identity) != self.tree.identity {
            return Err(FsError::Stale);
        }
        let id = number.checked_sub(1).and_then(|index| usize::try_from(index).ok()).map(NodeId);
        let id = id.ok_or(FsError::Stale)?;
        self.tree.get(id).map(|node| (id, node)).ok_or(FsError::Stale)
    }

    fn directory(&self, handle: &NodeHandle) -> FsResult<(&Node, &Directory)> {
        let (_, node) = self.resolve(handle)?;
        match &node.kind {
            NodeKind::Directory(directory) => Ok((node, directory)),
            _ => Err(FsError::NotDir),
        }
    }

    fn file(&self, handle: &NodeHandle) -> FsResult<(NodeId, &Node, &Extents)> {
        let (id, node) = self.resolve(handle)?;
        match &node.kind {
            NodeKind::File(extents) => Ok((id, node, extents)),
            NodeKind::Directory(_) => Err(FsError::IsDir),
            NodeKind::Symlink(_) => Err(FsError::Symlink),
            _ => Err(FsError::WrongType),
        }
    }

    fn found(&self, id: NodeId) -> FsResult<Found> {
        let node = self.tree.get(id).ok_or(FsError::Fault)?;
        Ok(Found { node: self.handle(id), attributes: attributes(id, node) })
    }

    fn find(&self, cx: &RequestContext, dir: &NodeHandle, name: &[u8]) -> FsResult<NodeId> {
        let (node, directory) = self.directory(dir)?;
        check(&cx.credentials, node, Want::Execute)?;
        if name.len() > NAME_MAX {
            return Err(FsError::NameTooLong);
        }
        directory.get(name).ok_or(FsError::NotFound)
    }

    /// What every call is answered with that would change something.
    fn refuse<T>(&self, node: &NodeHandle) -> FsResult<T> {
        self.resolve(node)?;
        Err(FsError::ReadOnly)
    }
}

fn fileid(id: NodeId) -> u64 {
    u64::try_from(id.0).map_or(u64::MAX, |index| index + 1)
}

fn attributes(id: NodeId, node: &Node) -> Attributes {
    let (size, space_used, rawdev) = match &node.kind {
        NodeKind::File(extents) => (extents.size(), extents.stored(), SpecData::default()),
        NodeKind::Symlink(target) => (target.len() as u64, 0, SpecData::default()),
        NodeKind::CharDevice(numbers) | NodeKind::BlockDevice(numbers) => (0, 0, *numbers),
        NodeKind::Directory(_) | NodeKind::Fifo => (0, 0, SpecData::default()),
    };
    Attributes {
        file_type: node.file_type(),
        mode: node.mode,
        nlink: node.nlink,
        uid: node.uid,
        gid: node.gid,
        size,
        space_used,
        rawdev,
        fileid: fileid(id),
        change: CHANGE,
        time_access: node.access,
        time_modify: node.modify,
        time_metadata: node.change,
        time_create: None,
    }
}

#[async_trait]
impl FileSystem for ArchiveFileSystem {
    fn root(&self) -> NodeHandle {
        self.handle(NodeId::ROOT)
    }

    fn info(&self) -> FsInfo {
        FsInfo {
            fsid: Fsid { major: self.tree.identity, minor: 0 },
            max_file_size: i64::MAX.cast_unsigned(),
            max_link: u32::MAX,
            max_name: 255,
            time_delta: NfsTime { seconds: 0, nseconds: 1 },
            link_support: false,
            symlink_support: false,
            case_insensitive: false,
            case_preserving: true,
            change_attr_type: ChangeAttrType::MonotonicIncr,
            has_time_create: false,
            preserves_unlinked: false,
        }
    }

    async fn usage(&self, _: &RequestContext) -> FsResult<FsUsage> {
        let files_total = self.tree.len() as u64;
        Ok(FsUsage { space_total: self.len, files_total, ..FsUsage::default() })
    }

    async fn attributes(&self, _: &RequestContext, node: &NodeHandle, _: AttrMask) -> FsResult<Attributes> {
        let (id, node) = self.resolve(node)?;
        Ok(attributes(id, node))
    }

    async fn access(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        wanted: AccessMask,
    ) -> FsResult<AccessMask> {
        Ok(access(&cx.credentials, self.resolve(node)?.1, wanted))
    }

    async fn lookup(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        _: AttrMask,
    ) -> FsResult<Found> {
        self.found(self.find(cx, dir, name)?)
    }

    async fn parent(&self, cx: &RequestContext, dir: &NodeHandle) -> FsResult<NodeHandle> {
        let (node, directory) = self.directory(dir)?;
        check(&cx.credentials, node, Want::Execute)?;
        Ok(self.handle(directory.parent))
    }

    async fn readlink(&self, _: &RequestContext, node: &NodeHandle) -> FsResult<Bytes> {
        match &self.resolve(node)?.1.kind {
            NodeKind::Symlink(target) => Ok(target.clone()),
            _ => Err(FsError::Inval),
        }
    }

    async fn open(&self, cx: &RequestContext, node: &NodeHandle, access: ShareAccess) -> FsResult<OpenHold> {
        let (_, node, _) = self.file(node)?;
        if access.contains(ShareAccess::WRITE) {
            return Err(FsError::ReadOnly);
        }
        check_read(&cx.credentials, node)?;
        // Nothing can go away, so there is nothing to hold.
        Ok(OpenHold::new(()))
    }

    async fn open_create(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        mode: &CreateMode,
        access: ShareAccess,
    ) -> FsResult<Opened> {
        let there = match self.find(cx, dir, name) {
            Err(FsError::NotFound) => return Err(FsError::ReadOnly),
            there => there?,
        };
        if !matches!(mode, CreateMode::Unchecked(_)) {
            return Err(FsError::Exist);
        }
        let found = self.found(there)?;
        let hold = self.open(cx, &found.node, access).await?;
        let dir_change = ChangeInfo { atomic: true, before: CHANGE, after: CHANGE };
        Ok(Opened { found, hold, created: Created::Existing, dir_change })
    }

    async fn read(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        count: u32,
        authority: Authority,
    ) -> FsResult<ReadData> {
        let (id, node, extents) = self.file(node)?;
        // An owner without an open may have had one before: as the memory file system does it.
        if authority == Authority::Credentials && cx.credentials.uid != node.uid {
            check_read(&cx.credentials, node)?;
        }
        let eof = offset.saturating_add(u64::from(count)) >= extents.size();
        let (archive, tree) = (self.archive.clone(), self.tree.clone());
        let read = move || match &tree.get(id).ok_or(FsError::Fault)?.kind {
            NodeKind::File(extents) => extents.read(&archive, offset, count).map_err(|_| FsError::Io),
            _ => Err(FsError::Fault),
        };
        // A disk may take its time.
        let data = tokio::task::spawn_blocking(read).await.map_err(|_| FsError::Fault)??;
        Ok(ReadData { data: data.into(), eof })
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
        let (node, directory) = self.directory(dir)?;
        check(&cx.credentials, node, Want::Read)?;
        let verifier = self.tree.identity.to_be_bytes();
        // A cookie is the place of its entry.
        let skip = match cookie {
            0 => 0,
            1..FIRST_COOKIE => return Err(FsError::BadCookie),
            _ if cookieverf != verifier => return Err(FsError::BadCookie),
            _ => cookie - FIRST_COOKIE + 1,
        };
        let entries = (FIRST_COOKIE..).zip(&directory.entries);
        for (cookie, (name, id)) in entries.skip(usize::try_from(skip).unwrap_or(usize::MAX)) {
            let found = self.found(*id)?;
            let entry = DirEntry { cookie, name, node: found.node, attributes: &found.attributes };
            if sink.entry(entry).is_err() {
                return Ok(ReaddirEnd { eof: false, cookieverf: verifier });
            }
        }
        Ok(ReaddirEnd { eof: true, cookieverf: verifier })
    }

    async fn set_attributes(
        &self,
        _: &RequestContext,
        node: &NodeHandle,
        _: &SetAttributes,
        _: Authority,
    ) -> FsResult<Attributes> {
        self.refuse(node)
    }

    async fn write(
        &self,
        _: &RequestContext,
        node: &NodeHandle,
        _: u64,
        _: Bytes,
        _: Stability,
        _: Authority,
    ) -> FsResult<Written> {
        self.refuse(node)
    }

    async fn commit(&self, _: &RequestContext, node: &NodeHandle, _: u64, _: u64) -> FsResult<()> {
        // All that there is, is durable.
        self.file(node).map(drop)
    }

    fn write_verifier(&self) -> Verifier4 {
        // Nothing unstable is ever lost.
        self.tree.identity.to_be_bytes()
    }

    async fn create(
        &self,
        _: &RequestContext,
        dir: &NodeHandle,
        _: &[u8],
        _: &NewNode,
        _: &SetAttributes,
    ) -> FsResult<(Found, ChangeInfo)> {
        self.refuse(dir)
    }

    async fn remove(&self, _: &RequestContext, dir: &NodeHandle, _: &[u8]) -> FsResult<ChangeInfo> {
        self.refuse(dir)
    }

    async fn rename(
        &self,
        _: &RequestContext,
        from_dir: &NodeHandle,
        _: &[u8],
        to_dir: &NodeHandle,
        _: &[u8],
    ) -> FsResult<(ChangeInfo, ChangeInfo)> {
        self.resolve(from_dir)?;
        self.refuse(to_dir)
    }

    async fn link(
        &self,
        _: &RequestContext,
        node: &NodeHandle,
        dir: &NodeHandle,
        _: &[u8],
    ) -> FsResult<ChangeInfo> {
        self.resolve(node)?;
        self.refuse(dir)
    }

    fn sparse(&self) -> Option<&dyn Sparse> {
        Some(self)
    }
}

/// For its holes: allocation is a change like others.
#[async_trait]
impl Sparse for ArchiveFileSystem {
    async fn allocate(
        &self,
        _: &RequestContext,
        node: &NodeHandle,
        _: u64,
        _: u64,
        _: Authority,
    ) -> FsResult<()> {
        self.refuse(node)
    }

    async fn deallocate(
        &self,
        _: &RequestContext,
        node: &NodeHandle,
        _: u64,
        _: u64,
        _: Authority,
    ) -> FsResult<()> {
        self.refuse(node)
    }

    async fn seek(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        what: DataOrHole,
        authority: Authority,
    ) -> FsResult<Option<u64>> {
        let (_, node, extents) = self.file(node)?;
        if authority == Authority::Credentials && cx.credentials.uid != node.uid {
            check_read(&cx.credentials, node)?;
        }
        if offset >= extents.size() {
            return Err(FsError::NoSuchOffset);
        }
        Ok(extents.seek(offset, what))
    }
}
