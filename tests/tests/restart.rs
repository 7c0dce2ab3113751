//! Filehandles over a restart of the server: another service on the same file system.
//!
//! Origin: FH4_PERSISTENT, which every object's fh_expire_type promises.
//! RFC: 8881 sections 4.2.2 and 5.8.1.3.
#![allow(clippy::unwrap_used)] // a failed step fails the test

use std::sync::Arc;

use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::attr::Bitmap;
use dittofs_framework::compound::Nfs4Service;
use dittofs_framework::export::{ExportId, FilehandleKey, Namespace};
use dittofs_framework::proto::{Minor, NFS4_OK, NFS4ERR_BADHANDLE, NFS4ERR_STALE, Status};
use dittofs_ops::{GetFh, PutFh, ReadDir, readdir};
use dittofs_tests::{LocalSession, put, walk};
use rstest::rstest;

const KEY: FilehandleKey = FilehandleKey::from_bytes([7; 16]);
const OTHER_KEY: FilehandleKey = FilehandleKey::from_bytes([8; 16]);

fn start(share: &Arc<StoreFileSystem>, id: u32, key: FilehandleKey) -> LocalSession {
    let namespace = Namespace::builder().export(ExportId(id), "/export", share.clone()).build().unwrap();
    let service = Nfs4Service::builder(namespace).filehandle_key(key).build().unwrap();
    LocalSession::open(&Arc::new(service), Minor::V2)
}

#[rstest]
#[case::same_key(1, KEY, NFS4_OK)]
#[case::another_key(1, OTHER_KEY, NFS4ERR_BADHANDLE)]
#[case::export_is_gone(2, KEY, NFS4ERR_STALE)]
fn a_filehandle_after_a_restart(#[case] id: u32, #[case] key: FilehandleKey, #[case] status: Status) {
    let share = Arc::new(StoreFileSystem::in_memory(MemoryOptions::default()).expect("a share in memory"));
    let mut before = start(&share, 1, KEY);
    let lookup = walk(before.compound(), &["export"]).op::<GetFh>(&());
    let handle = before.run(lookup).ok().get::<GetFh>().object;

    let mut after = start(&share, id, key);
    let args = readdir::Readdir4Args {
        cookie: 0,
        cookieverf: [0; 8],
        dircount: 0,
        maxcount: 4096,
        attr_request: Bitmap::EMPTY,
    };
    let list = after.compound().op::<PutFh>(&put(&handle)).op::<ReadDir>(&args);
    assert_eq!(after.run(list).status, status);
}
