//! A file system that has nothing but what every file system has: the memory file system without its capabilities.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dittofs_backends::memory::{MemoryFileSystem, MemoryOptions};
use dittofs_framework::fs::{
    AccessMask, AttrMask, Attributes, Authority, CreateMode, DirSink, FileSystem, Found, FsInfo, FsResult,
    FsUsage, NewNode, NodeHandle, OpenHold, Opened, ReadData, ReaddirEnd, RequestContext, SetAttributes,
    ShareAccess, Stability, Written,
};
use dittofs_framework::proto::{ChangeInfo, Verifier4};

/// A memory file system without extended attributes, holes and copies.
pub(crate) struct Plain(Arc<MemoryFileSystem>);

impl Default for Plain {
    fn default() -> Self {
        Self(Arc::new(MemoryFileSystem::new(MemoryOptions::default())))
    }
}

macro_rules! forward {
    ($(fn $name:ident($($arg:ident: $t:ty),*) -> $result:ty;)*) => {
        #[async_trait]
        impl FileSystem for Plain {
            fn root(&self) -> NodeHandle {
                self.0.root()
            }

            fn info(&self) -> FsInfo {
                self.0.info()
            }

            fn write_verifier(&self) -> Verifier4 {
                self.0.write_verifier()
            }

            $(async fn $name(&self, cx: &RequestContext $(, $arg: $t)*) -> FsResult<$result> {
                self.0.$name(cx $(, $arg)*).await
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
