use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{FileSystemFixture, tree};
use crate::attr::Bitmap;
use crate::fs::{
    Attributes, Authority, ChangeAttrType, CreateMode, Credentials, DirEntry, DirSink, FileSystem, Found,
    FsError, FsResult, NewNode, NodeHandle, OpenHold, Opened, ReaddirEnd, RequestContext, SetAttributes,
    ShareAccess, SinkFull, Stability,
};
use crate::proto::{ChangeInfo, Minor, NfsTime, Verifier4};

/// Every attribute that a file system keeps: type, change, size, fileid, mode, numlinks, owner, owner_group, rawdev,
/// space_used, time_access, time_create, time_metadata, time_modify.
pub(super) const ALL: Bitmap = Bitmap::of(&[1, 3, 4, 20, 33, 35, 36, 37, 41, 45, 47, 50, 52, 53]);
/// Of a listing from the start.
pub(super) const NO_VERIFIER: Verifier4 = [0; 8];

/// A file system under test.
pub struct World {
    fixture: Box<dyn FileSystemFixture>,
    fs: Option<Arc<dyn FileSystem>>,
}

impl World {
    /// An empty one.
    pub async fn open(mut fixture: impl FileSystemFixture) -> Self {
        let fs = Some(fixture.open().await);
        Self { fixture: Box::new(fixture), fs }
    }

    /// Looks it all over.
    pub async fn finish(mut self) {
        tree::check(&self.me()).await;
        self.close();
        self.fixture.check().await;
    }

    fn close(&mut self) {
        let fs = self.fs.take().expect("a file system");
        assert_eq!(Arc::strong_count(&fs), 1, "the test still has it");
    }

    pub(super) async fn restart(&mut self) {
        self.close();
        self.fs = Some(self.fixture.open().await);
    }

    pub(super) async fn tick(&mut self) {
        self.fixture.tick().await;
    }

    pub(super) fn rounds(&self) -> u64 {
        self.fixture.rounds()
    }

    fn caller(&self, cx: RequestContext) -> Caller {
        Caller { fs: self.fs.clone().expect("a file system"), cx }
    }

    /// Who may do everything.
    pub(super) fn me(&self) -> Caller {
        self.caller(self.fixture.caller())
    }

    /// A user, with these groups or its own.
    pub(super) fn user(&self, uid: u32, groups: &[u32]) -> Caller {
        let (gid, groups) = groups.split_first().map_or((uid, &[][..]), |(gid, rest)| (*gid, rest));
        let credentials = Credentials { uid, gid, groups: groups.iter().copied().collect() };
        self.caller(RequestContext { credentials, client: None, minor: Minor::V2 })
    }
}

pub(super) fn mode(mode: u32) -> SetAttributes {
    SetAttributes { mode: Some(mode), ..SetAttributes::default() }
}

pub(super) fn size(size: u64) -> SetAttributes {
    SetAttributes { size: Some(size), ..SetAttributes::default() }
}

/// An entry as a listing gave it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) cookie: u64,
    pub(super) name: Bytes,
    pub(super) node: NodeHandle,
    pub(super) attributes: Attributes,
}

impl Listed {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}

struct Listing {
    entries: Vec<Listed>,
    room: usize,
}

impl DirSink for Listing {
    fn entry(&mut self, entry: DirEntry<'_>) -> Result<(), SinkFull> {
        if self.entries.len() == self.room {
            return Err(SinkFull);
        }
        self.entries.push(Listed {
            cookie: entry.cookie,
            name: Bytes::copy_from_slice(entry.name),
            node: entry.node,
            attributes: entry.attributes.clone(),
        });
        Ok(())
    }
}

/// Somebody, and calls in few words.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) fs: Arc<dyn FileSystem>,
    pub(super) cx: RequestContext,
}

impl Caller {
    /// Whether the time of creation can be set.
    pub(super) async fn sets_time_create(&self) -> bool {
        let file = self.new_file("born").await;
        let birth = SetAttributes {
            time_create: Some(NfsTime { seconds: 1, nseconds: 0 }),
            ..SetAttributes::default()
        };
        let result = self.set(&file, &birth).await;
        self.remove(&self.root(), "born").await.expect("removed");
        assert!(result.is_ok() || result == Err(FsError::Inval), "{result:?}");
        self.fs.info().has_time_create && result.is_ok()
    }

    pub(super) fn root(&self) -> NodeHandle {
        self.fs.root()
    }

    pub(super) fn uid(&self) -> u32 {
        self.cx.credentials.uid
    }

    pub(super) async fn make(
        &self,
        dir: &NodeHandle,
        name: impl AsRef<[u8]>,
        what: &NewNode,
        set: &SetAttributes,
    ) -> FsResult<Found> {
        self.fs.create(&self.cx, dir, name.as_ref(), what, set).await.map(|(found, _)| found)
    }

    pub(super) async fn mkdir(
        &self,
        dir: &NodeHandle,
        name: impl AsRef<[u8]>,
        bits: u32,
    ) -> FsResult<NodeHandle> {
        self.make(dir, name, &NewNode::Directory, &mode(bits)).await.map(|found| found.node)
    }

    /// A new directory in the root directory.
    pub(super) async fn dir(&self, name: &str) -> NodeHandle {
        self.mkdir(&self.root(), name, 0o755).await.expect("a directory")
    }

    pub(super) async fn open(
        &self,
        dir: &NodeHandle,
        name: impl AsRef<[u8]>,
        how: &CreateMode,
        access: ShareAccess,
    ) -> FsResult<Opened> {
        self.fs.open_create(&self.cx, dir, name.as_ref(), how, access).await
    }

    /// A new file that nobody has open.
    pub(super) async fn file(
        &self,
        dir: &NodeHandle,
        name: impl AsRef<[u8]>,
        bits: u32,
    ) -> FsResult<NodeHandle> {
        let how = CreateMode::Guarded(mode(bits));
        self.open(dir, name, &how, ShareAccess::BOTH).await.map(|opened| opened.found.node)
    }

    /// A new file in the root directory that nobody has open.
    pub(super) async fn new_file(&self, name: &str) -> NodeHandle {
        self.file(&self.root(), name, 0o644).await.expect("a file")
    }

    pub(super) async fn hold(&self, node: &NodeHandle, access: ShareAccess) -> FsResult<OpenHold> {
        self.fs.open(&self.cx, node, access).await
    }

    pub(super) async fn attributes(&self, node: &NodeHandle) -> FsResult<Attributes> {
        self.fs.attributes(&self.cx, node, ALL).await
    }

    pub(super) async fn set(&self, node: &NodeHandle, set: &SetAttributes) -> FsResult<Attributes> {
        self.fs.set_attributes(&self.cx, node, set, Authority::Credentials).await
    }

    pub(super) async fn chmod(&self, node: &NodeHandle, bits: u32) -> FsResult<Attributes> {
        self.set(node, &mode(bits)).await
    }

    pub(super) async fn chown(&self, node: &NodeHandle, uid: u32, gid: u32) {
        let set = SetAttributes { uid: Some(uid), gid: Some(gid), ..SetAttributes::default() };
        self.set(node, &set).await.expect("the superuser gives things away");
    }

    pub(super) async fn lookup(&self, dir: &NodeHandle, name: impl AsRef<[u8]>) -> FsResult<NodeHandle> {
        self.fs.lookup(&self.cx, dir, name.as_ref(), ALL).await.map(|found| found.node)
    }

    pub(super) async fn parent(&self, dir: &NodeHandle) -> FsResult<NodeHandle> {
        self.fs.parent(&self.cx, dir).await
    }

    pub(super) async fn remove(&self, dir: &NodeHandle, name: impl AsRef<[u8]>) -> FsResult<ChangeInfo> {
        self.fs.remove(&self.cx, dir, name.as_ref()).await
    }

    pub(super) async fn rename(
        &self,
        (from_dir, from): (&NodeHandle, &str),
        (to_dir, to): (&NodeHandle, &str),
    ) -> FsResult<(ChangeInfo, ChangeInfo)> {
        self.fs.rename(&self.cx, from_dir, from.as_bytes(), to_dir, to.as_bytes()).await
    }

    pub(super) async fn link(
        &self,
        node: &NodeHandle,
        dir: &NodeHandle,
        name: impl AsRef<[u8]>,
    ) -> FsResult<ChangeInfo> {
        self.fs.link(&self.cx, node, dir, name.as_ref()).await
    }

    /// Writes all of it.
    pub(super) async fn write_as(
        &self,
        node: &NodeHandle,
        offset: u64,
        data: &[u8],
        (stability, authority): (Stability, Authority),
    ) -> FsResult<()> {
        let mut rest = Bytes::copy_from_slice(data);
        let mut at = offset;
        loop {
            let written = self.fs.write(&self.cx, node, at, rest.clone(), stability, authority).await?;
            assert!(written.committed >= stability, "{written:?} for {stability:?}");
            assert!(written.count > 0 || rest.is_empty(), "nothing was written");
            let count = usize::try_from(written.count).expect("a count");
            assert!(count <= rest.len(), "{written:?} of {}", rest.len());
            rest = rest.slice(count..);
            at += u64::from(written.count);
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Writes by an open, and not durably.
    pub(super) async fn write(&self, node: &NodeHandle, offset: u64, data: &[u8]) -> FsResult<()> {
        self.write_as(node, offset, data, (Stability::Unstable, Authority::Open)).await
    }

    /// Reads by an open as much as there is.
    pub(super) async fn read(&self, node: &NodeHandle, offset: u64, count: u32) -> FsResult<Bytes> {
        let mut all = BytesMut::new();
        loop {
            let done = u32::try_from(all.len()).expect("no more than asked for");
            let at = offset + u64::from(done);
            let read = self.fs.read(&self.cx, node, at, count - done, Authority::Open).await?;
            assert!(read.data.len() as u64 <= u64::from(count - done));
            all.extend_from_slice(&read.data);
            if read.eof || all.len() as u64 == u64::from(count) {
                return Ok(all.freeze());
            }
            assert!(!read.data.is_empty(), "neither data nor the end at {at}");
        }
    }

    pub(super) async fn commit(&self, node: &NodeHandle) -> FsResult<()> {
        self.fs.commit(&self.cx, node, 0, 0).await
    }

    /// Entries from after `cookie`, at most `room` of them.
    pub(super) async fn page(
        &self,
        dir: &NodeHandle,
        (cookie, verifier): (u64, Verifier4),
        mask: Bitmap,
        room: usize,
    ) -> FsResult<(Vec<Listed>, ReaddirEnd)> {
        let mut sink = Listing { entries: Vec::new(), room };
        let end = self.fs.readdir(&self.cx, dir, cookie, verifier, mask, &mut sink).await?;
        assert!(end.eof || !sink.entries.is_empty() || room == 0, "neither entries nor the end");
        Ok((sink.entries, end))
    }

    /// All entries, in pages of this size.
    pub(super) async fn list(&self, dir: &NodeHandle, mask: Bitmap, room: usize) -> FsResult<Vec<Listed>> {
        let (mut all, mut from) = (Vec::new(), (0, NO_VERIFIER));
        loop {
            let (entries, end) = self.page(dir, from, mask, room).await?;
            from = (entries.last().map_or(from.0, |entry: &Listed| entry.cookie), end.cookieverf);
            all.extend(entries);
            if end.eof {
                return Ok(all);
            }
        }
    }

    /// All names, in order.
    pub(super) async fn names(&self, dir: &NodeHandle) -> Vec<String> {
        let all = self.list(dir, Bitmap::EMPTY, 1_000).await.expect("a listing");
        let mut names: Vec<_> = all.iter().map(Listed::text).collect();
        names.sort();
        names
    }

    /// Asserts that the change attribute tells of one change. The clock has ticked in between.
    pub(super) fn assert_changed(&self, before: u64, after: u64, what: &str) {
        let is_right = match self.fs.info().change_attr_type {
            ChangeAttrType::VersionCounter | ChangeAttrType::VersionCounterNoPnfs => after == before + 1,
            ChangeAttrType::MonotonicIncr | ChangeAttrType::TimeMetadata => after > before,
            ChangeAttrType::Undefined => after != before,
        };
        assert!(is_right, "change {after} after {before}: {what}");
    }
}

/// What a call did, where only that counts.
pub(super) fn done<T>(result: FsResult<T>) -> FsResult<()> {
    result.map(drop)
}
