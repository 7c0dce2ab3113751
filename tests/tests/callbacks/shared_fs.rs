use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    AccessMask, AttrMask, Attributes, Authority, CreateMode, DirSink, EntryPlaces, FileSystem, Found, FsInfo,
    FsResult, FsUsage, NewNode, NodeHandle, OpenHold, Opened, ReadData, ReaddirEnd, RequestContext,
    SetAttributes, ShareAccess, Stability, Upcall, Upcalls, Written,
};
use dittofs_framework::proto::{ChangeInfo, Fsid, Verifier4};

/// A memory file system in which a test changes files behind the server's back, and tells it.
pub(crate) struct SharedFs {
    fs: StoreFileSystem,
    upcalls: OnceLock<Arc<dyn Upcalls>>,
}

impl Default for SharedFs {
    fn default() -> Self {
        let fsid = Fsid { major: 1, minor: 0 };
        let fs = StoreFileSystem::in_memory(MemoryOptions { fsid, ..MemoryOptions::default() })
            .expect("a share in memory");
        Self { fs, upcalls: OnceLock::new() }
    }
}

impl SharedFs {
    /// Tells the server.
    pub(crate) fn tell(&self, what: Upcall) {
        self.upcalls.get().expect("a server").changed(what);
    }

    /// The object of a name in the root directory.
    pub(crate) async fn node(&self, name: &str) -> NodeHandle {
        let found =
            self.lookup(&RequestContext::server(), &self.root(), name.as_bytes(), Bitmap::EMPTY).await;
        found.expect("a name").node
    }

    /// Makes an entry in the root directory, and tells the server.
    pub(crate) async fn add(&self, name: &str) {
        let (cx, root, set) = (RequestContext::server(), self.root(), SetAttributes::default());
        self.create(&cx, &root, name.as_bytes(), &NewNode::Fifo, &set).await.expect("a new entry");
        self.tell(Upcall::Added { dir: root, name: Bytes::copy_from_slice(name.as_bytes()) });
    }

    /// Removes an entry of the root directory, and tells the server, with the cookie if it is to know that.
    pub(crate) async fn take_away(&self, name: &str, with: KnownCookie) {
        let (cx, root) = (RequestContext::server(), self.root());
        let place = self.fs.entry_place(&cx, &root, name.as_bytes()).await.expect("an entry");
        self.remove(&cx, &root, name.as_bytes()).await.expect("an entry");
        let cookie = (with == KnownCookie::Yes).then_some(place.cookie);
        self.tell(Upcall::Removed { dir: root, name: Bytes::copy_from_slice(name.as_bytes()), cookie });
    }
}

/// Whether a server is told the cookie of an entry that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KnownCookie {
    /// It is.
    Yes,
    /// It is not.
    No,
}

macro_rules! forward {
    ($(fn $name:ident($($arg:ident: $t:ty),*) -> $result:ty;)*) => {
        #[async_trait]
        impl FileSystem for SharedFs {
            fn root(&self) -> NodeHandle {
                self.fs.root()
            }

            fn info(&self) -> FsInfo {
                self.fs.info()
            }

            fn write_verifier(&self) -> Verifier4 {
                self.fs.write_verifier()
            }

            fn entry_places(&self) -> Option<&dyn EntryPlaces> {
                self.fs.entry_places()
            }

            fn watch(&self, upcalls: Arc<dyn Upcalls>) {
                assert!(self.upcalls.set(upcalls).is_ok(), "one server serves it");
            }

            $(async fn $name(&self, cx: &RequestContext $(, $arg: $t)*) -> FsResult<$result> {
                self.fs.$name(cx $(, $arg)*).await
            })*
        }
    };
}

forward! {
    fn usage() -> FsUsage;
    fn attributes(node: &NodeHandle, mask: AttrMask) -> Attributes;
    fn set_attributes(node: &NodeHandle, set: &SetAttributes, authority: Authority) -> Attributes;
    fn access(node: &NodeHandle, wanted: AccessMask) -> AccessMask;
    fn lookup(dir: &NodeHandle, name: &[u8], mask: AttrMask) -> Found;
    fn parent(dir: &NodeHandle) -> NodeHandle;
    fn readlink(node: &NodeHandle) -> Bytes;
    fn open(node: &NodeHandle, access: ShareAccess) -> OpenHold;
    fn open_create(dir: &NodeHandle, name: &[u8], mode: &CreateMode, access: ShareAccess) -> Opened;
    fn read(node: &NodeHandle, offset: u64, count: u32, authority: Authority) -> ReadData;
    fn write(node: &NodeHandle, offset: u64, data: Bytes, stability: Stability, authority: Authority) -> Written;
    fn commit(node: &NodeHandle, offset: u64, count: u64) -> ();
    fn create(dir: &NodeHandle, name: &[u8], what: &NewNode, set: &SetAttributes) -> (Found, ChangeInfo);
    fn remove(dir: &NodeHandle, name: &[u8]) -> ChangeInfo;
    fn rename(from_dir: &NodeHandle, from: &[u8], to_dir: &NodeHandle, to: &[u8]) -> (ChangeInfo, ChangeInfo);
    fn link(node: &NodeHandle, dir: &NodeHandle, name: &[u8]) -> ChangeInfo;
    fn readdir(
        dir: &NodeHandle,
        cookie: u64,
        cookieverf: Verifier4,
        mask: AttrMask,
        sink: &mut dyn DirSink
    ) -> ReaddirEnd;
}
