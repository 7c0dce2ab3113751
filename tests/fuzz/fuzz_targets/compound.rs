//! COMPOUND on any arguments: as they are, and as the operations behind a good SEQUENCE.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use dittofs_backends::memory::{MemoryFileSystem, MemoryOptions};
use dittofs_framework::compound::{Nfs4Program, Nfs4Service};
use dittofs_framework::export::{ExportId, Namespace};
use dittofs_framework::testing::LocalClient;
use dittofs_ops as _;
use libfuzzer_sys::fuzz_target;

mod session;

fuzz_target!(|data: &[u8]| {
    let Some((how, ops)) = data.split_first() else { return };
    let share = Arc::new(MemoryFileSystem::new(MemoryOptions::default()));
    let namespace = Namespace::builder().export(ExportId(1), "/export", share).build().unwrap();
    let service = Arc::new(Nfs4Service::builder(namespace).build().unwrap());
    let mut client = LocalClient::new(Arc::new(Nfs4Program::new(service.clone())));
    match how % 4 {
        0 => drop(client.call(Bytes::copy_from_slice(ops))),
        minor => {
            let sequence = session::open(&mut client);
            client.call(sequence.followed_by(if minor == 1 { 1 } else { 2 }, ops));
        }
    }
    service.state().check_invariants();
});
