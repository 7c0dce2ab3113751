//! COMPOUND on any arguments: as they are, and as the operations behind a good SEQUENCE and an open file.
#![no_main]

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::compound::{Nfs4Program, Nfs4Service};
use dittofs_framework::export::{ExportId, Namespace};
use dittofs_framework::proto::Minor;
use dittofs_framework::testing::LocalClient;
use dittofs_ops::open::Open;
use dittofs_tests::{BOTH, LocalSession, open_args, unchecked, walk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((how, ops)) = data.split_first() else { return };
    // Little room, so that a SETATTR of a large size cannot fill the fuzzer's memory.
    let memory = MemoryOptions { capacity: 16 << 20, ..MemoryOptions::default() };
    let share = Arc::new(StoreFileSystem::in_memory(memory).expect("a share in memory"));
    let namespace = Namespace::builder().export(ExportId(1), "/export", share).build().unwrap();
    let service = Arc::new(Nfs4Service::builder(namespace).build().unwrap());
    match how % 3 {
        0 => {
            let mut client = LocalClient::new(Arc::new(Nfs4Program::new(service.clone())));
            client.call(Bytes::copy_from_slice(ops));
        }
        1 => in_session(&service, Minor::V1, ops),
        _ => in_session(&service, Minor::V2, ops),
    }
    service.state().check_invariants().expect("the state's invariants");
    service.sessions().check_invariants();
});

/// Runs `ops` as the operations behind SEQUENCE, PUTROOTFH, LOOKUP and OPEN: with a file, and its current stateid.
fn in_session(service: &Arc<Nfs4Service>, minor: Minor, ops: &[u8]) {
    let mut session = LocalSession::open(service, minor);
    let args = open_args("file", BOTH, 0, "owner", unchecked());
    let compound = walk(session.compound(), &["export"]).op::<Open>(&args).claim_count(12);
    let compound = session.next(compound);
    let mut request = BytesMut::from(&compound.encode()[..]);
    request.extend_from_slice(ops);
    session.call(request.freeze());
}
