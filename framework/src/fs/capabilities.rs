use async_trait::async_trait;
use bytes::Bytes;

use super::{Authority, FsResult, NodeHandle, RequestContext};
use crate::proto::ChangeInfo;

/// When SETXATTR may set (setxattr_option4, RFC 8276 section 8.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XattrSet {
    /// Whether it is there or not.
    Either,
    /// Only when it is not there yet; otherwise [`FsError::Exist`](super::FsError::Exist).
    Create,
    /// Only when it is there; otherwise [`FsError::NoXattr`](super::FsError::NoXattr).
    Replace,
}

/// Names of extended attributes, from a cookie on.
#[derive(Debug, Clone)]
pub struct XattrPage {
    /// The names, without the `user.` that POSIX clients show.
    pub names: Vec<Bytes>,
    /// Where to go on; meaningless when `eof`.
    pub cookie: u64,
    /// Whether the last name is among them.
    pub eof: bool,
}

/// Extended attributes of the user name space (RFC 8276).
#[async_trait]
pub trait Xattrs: Send + Sync {
    /// The value of one.
    async fn xattr(&self, cx: &RequestContext, node: &NodeHandle, name: &[u8]) -> FsResult<Bytes>;

    /// Sets one.
    async fn set_xattr(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        name: &[u8],
        value: &Bytes,
        when: XattrSet,
    ) -> FsResult<ChangeInfo>;

    /// Lists the names from after `cookie` (0: from the start) whose lengths, each rounded up to four bytes and with four for
    /// its count, fit in `max_bytes`. A first name that alone is too long makes an empty page without `eof`.
    async fn list_xattrs(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        cookie: u64,
        max_bytes: u32,
    ) -> FsResult<XattrPage>;

    /// Removes one.
    async fn remove_xattr(&self, cx: &RequestContext, node: &NodeHandle, name: &[u8])
    -> FsResult<ChangeInfo>;
}

/// What a range of a file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataOrHole {
    /// Data.
    Data,
    /// Nothing but zeros that take no space.
    Hole,
}

/// Holes and allocation (RFC 7862 sections 15.1, 15.4 and 15.11).
#[async_trait]
pub trait Sparse: Send + Sync {
    /// Makes sure that writes to the range will not fail for want of space; extends the file if need be.
    async fn allocate(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        length: u64,
        authority: Authority,
    ) -> FsResult<()>;

    /// Turns the range into a hole; the size stays.
    async fn deallocate(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        length: u64,
        authority: Authority,
    ) -> FsResult<()>;

    /// The first offset from `offset` on that is `what`; the end of the file counts as a hole.
    ///
    /// [`FsError::NoSuchOffset`](super::FsError::NoSuchOffset) when `offset` is at or after the end of the file. `None` when
    /// no data follows.
    async fn seek(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        offset: u64,
        what: DataOrHole,
        authority: Authority,
    ) -> FsResult<Option<u64>>;
}

/// Copies inside the file system, without the data crossing the network (RFC 7862 sections 15.2 and 15.13).
#[async_trait]
pub trait ServerSideCopy: Send + Sync {
    /// Copies up to `count` bytes, 0 for all from `from_offset` to the end of the source. Returns how many: fewer only at the end
    /// of the source or by the backend's own limit. The target's data is as durable as after an unstable write.
    #[allow(clippy::too_many_arguments)] // two places in two files
    async fn copy(
        &self,
        cx: &RequestContext,
        from: &NodeHandle,
        from_offset: u64,
        to: &NodeHandle,
        to_offset: u64,
        count: u64,
        authority: Authority,
    ) -> FsResult<u64>;

    /// Makes the target's range share the source's, at once or not at all; `count` 0 for all to the end of the source.
    #[allow(clippy::too_many_arguments)] // two places in two files
    async fn clone_range(
        &self,
        cx: &RequestContext,
        from: &NodeHandle,
        from_offset: u64,
        to: &NodeHandle,
        to_offset: u64,
        count: u64,
        authority: Authority,
    ) -> FsResult<()>;
}

/// Where an entry is in the listings of its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPlace {
    /// Its cookie.
    pub cookie: u64,
    /// The entry before it and its cookie; `None` if it is the first.
    pub previous: Option<(Bytes, u64)>,
    /// Whether no entry is behind it.
    pub is_last: bool,
}

/// Entries by name in the order of listings: without it clients with a directory delegation can be told of no entry that is
/// added, removed or renamed, and have to give the delegation back instead (RFC 8881 section 20.4.3).
#[async_trait]
pub trait EntryPlaces: Send + Sync {
    /// Where an entry is now; [`FsError::NotFound`](super::FsError::NotFound) if there is none of that name. It is asked for on behalf
    /// of the server: no permission is needed.
    async fn entry_place(&self, cx: &RequestContext, dir: &NodeHandle, name: &[u8]) -> FsResult<EntryPlace>;
}
