use async_trait::async_trait;
use bytes::Bytes;

use crate::fs::{
    AccessMask, AttrMask, Attributes, Authority, ChangeAttrType, CreateMode, DirEntry, DirSink, FileSystem,
    Found, FsError, FsInfo, FsResult, FsUsage, NewNode, NodeHandle, OpenHold, Opened, ReadData, ReaddirEnd,
    RequestContext, SetAttributes, ShareAccess, Stability, Written,
};
use crate::proto::{ChangeInfo, FileType, Fsid, NfsTime, SpecData, Verifier4};

/// The directories that lead to the exports: read-only, the same for everybody (RFC 8881 section 7.3).
pub(super) struct PseudoFileSystem {
    /// The fileid of a directory is its index here and one more.
    dirs: Vec<Directory>,
    fsid: Fsid,
}

/// Pseudo file systems that stand for exports in tests.
#[cfg(test)]
pub(super) struct WithFsid;

#[cfg(test)]
impl WithFsid {
    pub(super) fn arc(minor: u64) -> std::sync::Arc<dyn FileSystem> {
        std::sync::Arc::new(PseudoFileSystem { fsid: Fsid { major: 0, minor }, ..PseudoFileSystem::new() })
    }
}

struct Directory {
    parent: u64,
    entries: Vec<(String, u64)>,
}

const ROOT: u64 = 1;
/// Cookies 0 to 2 are reserved (RFC 8881 section 18.23.3): the first entry has 3.
const FIRST_COOKIE: u64 = 3;

impl PseudoFileSystem {
    pub(super) fn new() -> Self {
        Self { dirs: vec![Directory { parent: ROOT, entries: Vec::new() }], fsid: Fsid::default() }
    }

    /// Makes the directories of a path as far as they are missing, and returns the node of the last.
    pub(super) fn make_path(&mut self, components: &[String]) -> u64 {
        components.iter().fold(ROOT, |at, name| match self.child(at, name.as_bytes()) {
            Some(child) => child,
            None => self.make_dir(at, name),
        })
    }

    fn make_dir(&mut self, parent: u64, name: &str) -> u64 {
        self.dirs.push(Directory { parent, entries: Vec::new() });
        let node = self.dirs.len() as u64;
        if let Some(dir) = usize::try_from(parent - 1).ok().and_then(|index| self.dirs.get_mut(index)) {
            dir.entries.push((name.to_owned(), node));
        }
        node
    }

    fn dir(&self, node: u64) -> Option<&Directory> {
        self.dirs.get(usize::try_from(node.checked_sub(1)?).ok()?)
    }

    fn child(&self, dir: u64, name: &[u8]) -> Option<u64> {
        self.dir(dir)?.entries.iter().find(|(entry, _)| entry.as_bytes() == name).map(|(_, node)| *node)
    }

    fn resolve(&self, node: &NodeHandle) -> FsResult<(u64, &Directory)> {
        let number = node.as_u64().ok_or(FsError::Stale)?;
        self.dir(number).map(|dir| (number, dir)).ok_or(FsError::Stale)
    }

    fn attributes_of(number: u64, dir: &Directory) -> Attributes {
        let time = NfsTime::default();
        let links = 2 + u32::try_from(dir.entries.len()).unwrap_or(u32::MAX - 2);
        Attributes {
            file_type: FileType::Dir,
            mode: 0o555,
            nlink: links,
            uid: 0,
            gid: 0,
            size: 4096,
            space_used: 0,
            rawdev: SpecData::default(),
            fileid: number,
            // It changes only with the exports, which do not change while the server runs. A client that was
            // there before a restart looks again because its names of then are stale or found anew.
            change: 1,
            time_access: time,
            time_modify: time,
            time_metadata: time,
            time_create: Some(time),
        }
    }

    fn unchanged() -> FsError {
        FsError::ReadOnly
    }
}

#[async_trait]
impl FileSystem for PseudoFileSystem {
    fn root(&self) -> NodeHandle {
        NodeHandle::from_u64(ROOT)
    }

    fn info(&self) -> FsInfo {
        FsInfo {
            fsid: self.fsid,
            max_file_size: 0,
            max_link: 255,
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
        Ok(FsUsage::default())
    }

    async fn attributes(&self, _: &RequestContext, node: &NodeHandle, _: AttrMask) -> FsResult<Attributes> {
        self.resolve(node).map(|(number, dir)| Self::attributes_of(number, dir))
    }

    async fn set_attributes(
        &self,
        _: &RequestContext,
        _: &NodeHandle,
        _: &SetAttributes,
        _: Authority,
    ) -> FsResult<Attributes> {
        Err(Self::unchanged())
    }

    async fn access(
        &self,
        _: &RequestContext,
        node: &NodeHandle,
        wanted: AccessMask,
    ) -> FsResult<AccessMask> {
        self.resolve(node)?;
        Ok(wanted & (AccessMask::READ | AccessMask::LOOKUP))
    }

    async fn lookup(
        &self,
        _: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        _: AttrMask,
    ) -> FsResult<Found> {
        let (number, _) = self.resolve(dir)?;
        let child = self.child(number, name).ok_or(FsError::NotFound)?;
        let node = NodeHandle::from_u64(child);
        let (number, dir) = self.resolve(&node)?;
        Ok(Found { node, attributes: Self::attributes_of(number, dir) })
    }

    async fn parent(&self, _: &RequestContext, dir: &NodeHandle) -> FsResult<NodeHandle> {
        self.resolve(dir).map(|(_, dir)| NodeHandle::from_u64(dir.parent))
    }

    async fn readlink(&self, _: &RequestContext, _: &NodeHandle) -> FsResult<Bytes> {
        Err(FsError::Inval)
    }

    async fn open(&self, _: &RequestContext, _: &NodeHandle, _: ShareAccess) -> FsResult<OpenHold> {
        Err(FsError::IsDir)
    }

    async fn open_create(
        &self,
        _: &RequestContext,
        _: &NodeHandle,
        _: &[u8],
        _: &CreateMode,
        _: ShareAccess,
    ) -> FsResult<Opened> {
        Err(Self::unchanged())
    }

    async fn read(
        &self,
        _: &RequestContext,
        _: &NodeHandle,
        _: u64,
        _: u32,
        _: Authority,
    ) -> FsResult<ReadData> {
        Err(FsError::IsDir)
    }

    async fn write(
        &self,
        _: &RequestContext,
        _: &NodeHandle,
        _: u64,
        _: Bytes,
        _: Stability,
        _: Authority,
    ) -> FsResult<Written> {
        Err(FsError::IsDir)
    }

    async fn commit(&self, _: &RequestContext, _: &NodeHandle, _: u64, _: u64) -> FsResult<()> {
        Err(FsError::IsDir)
    }

    fn write_verifier(&self) -> Verifier4 {
        [0; 8]
    }

    async fn create(
        &self,
        _: &RequestContext,
        _: &NodeHandle,
        _: &[u8],
        _: &NewNode,
        _: &SetAttributes,
    ) -> FsResult<(Found, ChangeInfo)> {
        Err(Self::unchanged())
    }

    async fn remove(&self, _: &RequestContext, _: &NodeHandle, _: &[u8]) -> FsResult<ChangeInfo> {
        Err(Self::unchanged())
    }

    async fn rename(
        &self,
        _: &RequestContext,
        _: &NodeHandle,
        _: &[u8],
        _: &NodeHandle,
        _: &[u8],
    ) -> FsResult<(ChangeInfo, ChangeInfo)> {
        Err(Self::unchanged())
    }

    async fn link(
        &self,
        _: &RequestContext,
        _: &NodeHandle,
        _: &NodeHandle,
        _: &[u8],
    ) -> FsResult<ChangeInfo> {
        Err(Self::unchanged())
    }

    async fn readdir(
        &self,
        _: &RequestContext,
        dir: &NodeHandle,
        cookie: u64,
        _: Verifier4,
        _: AttrMask,
        sink: &mut dyn DirSink,
    ) -> FsResult<ReaddirEnd> {
        let (_, dir) = self.resolve(dir)?;
        let cookieverf = [0; 8];
        for (cookie, (name, node)) in (FIRST_COOKIE..).zip(&dir.entries).skip_while(|(at, _)| *at <= cookie) {
            let node = NodeHandle::from_u64(*node);
            let (number, child) = self.resolve(&node)?;
            let attributes = Self::attributes_of(number, child);
            let entry = DirEntry { cookie, name: name.as_bytes(), node, attributes: &attributes };
            if sink.entry(entry).is_err() {
                return Ok(ReaddirEnd { eof: false, cookieverf });
            }
        }
        Ok(ReaddirEnd { eof: true, cookieverf })
    }
}
