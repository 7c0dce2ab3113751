//! A file system that has nothing but what every file system has: the memory file system without its capabilities, and somebody else
//! in it, or nothing but failures.

use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::fs::{
    AccessMask, AttrMask, Attributes, Authority, CreateMode, DirSink, FileSystem, Found, FsError, FsInfo,
    FsResult, FsUsage, NewNode, NodeHandle, OpenHold, Opened, ReadData, ReaddirEnd, RequestContext,
    SetAttributes, ShareAccess, Stability, Written,
};
use dittofs_framework::proto::{ChangeInfo, Verifier4};

/// A memory file system without extended attributes, holes and copies, which promises nothing of removed files.
pub(crate) struct Plain {
    fs: StoreFileSystem,
    /// A name in the root directory.
    doomed: Mutex<Option<&'static str>>,
    /// What every call fails with.
    failure: Mutex<Option<FsError>>,
}

impl Default for Plain {
    fn default() -> Self {
        Self {
            fs: StoreFileSystem::in_memory(MemoryOptions::default()).expect("a share in memory"),
            doomed: Mutex::new(None),
            failure: Mutex::new(None),
        }
    }
}

impl Plain {
    /// Lets somebody remove a name from the root directory at the worst moment: when its file was found and is about to be
    /// opened.
    pub(crate) fn doom(&self, name: &'static str) {
        *self.doomed.lock().unwrap() = Some(name);
    }

    /// Lets every call fail from now on, or none.
    pub(crate) fn fail_with(&self, failure: Option<FsError>) {
        *self.failure.lock().unwrap() = failure;
    }

    fn fail(&self) -> FsResult<()> {
        self.failure.lock().unwrap().map_or(Ok(()), Err)
    }
}

macro_rules! forward {
    ($(fn $name:ident($($arg:ident: $t:ty),*) -> $result:ty;)*) => {
        #[async_trait]
        impl FileSystem for Plain {
            fn root(&self) -> NodeHandle {
                self.fs.root()
            }

            fn info(&self) -> FsInfo {
                FsInfo { preserves_unlinked: false, ..self.fs.info() }
            }

            fn write_verifier(&self) -> Verifier4 {
                self.fs.write_verifier()
            }

            async fn open(
                &self,
                cx: &RequestContext,
                node: &NodeHandle,
                access: ShareAccess,
            ) -> FsResult<OpenHold> {
                self.fail()?;
                let doomed = self.doomed.lock().unwrap().take();
                if let Some(name) = doomed {
                    self.fs.remove(&RequestContext::server(), &self.fs.root(), name.as_bytes()).await?;
                }
                self.fs.open(cx, node, access).await
            }

            $(async fn $name(&self, cx: &RequestContext $(, $arg: $t)*) -> FsResult<$result> {
                self.fail()?;
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
