use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    AccessMask, AttrMask, Attributes, Authority, CreateMode, EntryPlaces, Found, FsInfo, FsResult, FsUsage,
    NewNode, NodeHandle, OpenHold, Opened, ReadData, RequestContext, ServerSideCopy, SetAttributes,
    ShareAccess, Sparse, Stability, Upcalls, Written, Xattrs,
};
use crate::proto::{ChangeInfo, Verifier4};

/// One entry of a directory, as READDIR sees it.
#[derive(Debug)]
pub struct DirEntry<'a> {
    /// Where to go on after this entry: never 0, 1 or 2 (RFC 8881 section 18.23.3), stable while the directory lives.
    pub cookie: u64,
    /// The name.
    pub name: &'a [u8],
    /// The object.
    pub node: NodeHandle,
    /// Its attributes.
    pub attributes: &'a Attributes,
}

/// The reply has no room for another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkFull;

/// Takes the entries of a directory one after the other.
pub trait DirSink: Send {
    /// Takes one entry, or refuses it for want of room: the listing is then to stop before it.
    fn entry(&mut self, entry: DirEntry<'_>) -> Result<(), SinkFull>;
}

/// How a listing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaddirEnd {
    /// Whether the last entry was given.
    pub eof: bool,
    /// Verifies the cookies in the next call.
    pub cookieverf: Verifier4,
}

/// A file system that can be exported: handle-based, with byte names.
///
/// Every call names objects by [`NodeHandle`] and checks permissions for `cx.credentials` itself, by the rules of POSIX
/// unless the backend has others (ACLs). `.`, `..`, the empty name and names with `/` or NUL never reach it: the operations
/// refuse them. A handle of an object that is gone is answered with [`FsError::Stale`](super::FsError::Stale). Changes
/// are durable when the call returns, except for [`write`](Self::write) with [`Stability::Unstable`].
///
/// Calls run concurrently. A call that can block for long must give way (`spawn_blocking` or real async I/O);
/// one that cannot may compute its answer right away: the server runs such calls without a task switch.
#[async_trait]
pub trait FileSystem: Send + Sync + 'static {
    /// The root directory.
    fn root(&self) -> NodeHandle;

    /// What holds for all objects.
    fn info(&self) -> FsInfo;

    /// How full the file system is.
    async fn usage(&self, cx: &RequestContext) -> FsResult<FsUsage>;

    /// Attributes of an object. `mask` says which are wanted; others may be filled with anything.
    async fn attributes(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        mask: AttrMask,
    ) -> FsResult<Attributes>;

    /// Sets attributes, all or none. A `size` needs write permission unless `authority` is an open.
    async fn set_attributes(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        set: &SetAttributes,
        authority: Authority,
    ) -> FsResult<Attributes>;

    /// Which of `wanted` the caller may do.
    async fn access(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        wanted: AccessMask,
    ) -> FsResult<AccessMask>;

    /// Looks up one name. Needs search permission on the directory.
    async fn lookup(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        mask: AttrMask,
    ) -> FsResult<Found>;

    /// The parent of a directory. The root's parent is not asked for. Needs search permission.
    async fn parent(&self, cx: &RequestContext, dir: &NodeHandle) -> FsResult<NodeHandle>;

    /// The content of a symbolic link; [`FsError::Inval`](super::FsError::Inval) for anything else.
    async fn readlink(&self, cx: &RequestContext, node: &NodeHandle) -> FsResult<Bytes>;

    /// Opens a regular file by handle: checks permission for `access` and keeps the file alive until the hold is dropped.
    async fn open(&self, cx: &RequestContext, node: &NodeHandle, access: ShareAccess) -> FsResult<OpenHold>;

    /// Opens a regular file by name and creates it if need be, in one step with respect to all other calls.
    ///
    /// A file that this call creates is opened whatever its mode; of an existing one permission for `access` is checked.
    async fn open_create(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        mode: &CreateMode,
        access: ShareAccess,
    ) -> FsResult<Opened>;

    /// Reads up to `count` bytes. At or after the end of the file: no data, `eof`.
    async fn read(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        count: u32,
        authority: Authority,
    ) -> FsResult<ReadData>;

    /// Writes, at least as durably as `stability`.
    async fn write(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        data: Bytes,
        stability: Stability,
        authority: Authority,
    ) -> FsResult<Written>;

    /// Makes unstable writes of the range durable; `count` 0 means to the end of the file.
    async fn commit(&self, cx: &RequestContext, node: &NodeHandle, offset: u64, count: u64) -> FsResult<()>;

    /// Changes whenever unstable data may have been lost (RFC 8881 section 18.32.3).
    fn write_verifier(&self) -> Verifier4;

    /// Creates an object that is not a regular file.
    async fn create(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        name: &[u8],
        what: &NewNode,
        set: &SetAttributes,
    ) -> FsResult<(Found, ChangeInfo)>;

    /// Removes a name; of a directory only when it is empty. A file that is open lives on until its last hold goes.
    async fn remove(&self, cx: &RequestContext, dir: &NodeHandle, name: &[u8]) -> FsResult<ChangeInfo>;

    /// Renames, replacing an existing target of the same kind. Returns the changes of the source and the target directory.
    ///
    /// Source and target being links to the same object changes nothing (RFC 8881 section 18.26.3).
    async fn rename(
        &self,
        cx: &RequestContext,
        from_dir: &NodeHandle,
        from: &[u8],
        to_dir: &NodeHandle,
        to: &[u8],
    ) -> FsResult<(ChangeInfo, ChangeInfo)>;

    /// Makes another name for an object that is not a directory.
    async fn link(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        dir: &NodeHandle,
        name: &[u8],
    ) -> FsResult<ChangeInfo>;

    /// Lists a directory from after `cookie` (0: from the start), without `.` and `..`, until `sink` is full or nothing is left.
    ///
    /// An entry that is there during the whole of a listing is given exactly once, whatever else is added or removed.
    /// `cookieverf` is what an earlier call returned, zeros when `cookie` is 0.
    async fn readdir(
        &self,
        cx: &RequestContext,
        dir: &NodeHandle,
        cookie: u64,
        cookieverf: Verifier4,
        mask: AttrMask,
        sink: &mut dyn DirSink,
    ) -> FsResult<ReaddirEnd>;

    /// Extended attributes, if the file system has them.
    fn xattrs(&self) -> Option<&dyn Xattrs> {
        None
    }

    /// Holes and allocation, if the file system has them.
    fn sparse(&self) -> Option<&dyn Sparse> {
        None
    }

    /// Copying within the file system, if it can do better than read and write, or at all.
    fn server_side_copy(&self) -> Option<&dyn ServerSideCopy> {
        None
    }
    /// Places of entries in listings, if the file system can tell them without listing.
    fn entry_places(&self) -> Option<&dyn EntryPlaces> {
        None
    }

    /// Called once, before anything else, when the file system is built into a service: whatever changes from now on without a
    /// call of the server's is to be told to `upcalls`. A file system that nobody else can change does nothing.
    fn watch(&self, upcalls: Arc<dyn Upcalls>) {
        drop(upcalls);
    }
}
