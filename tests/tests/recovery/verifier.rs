//! Origin: the write verifier, by which a client knows that unstable data may be lost.
//! RFC: 8881 sections 18.3.3 and 18.32.3.

use bytes::Bytes;
use dittofs_framework::proto::*;
use dittofs_framework::xdr::Opaque;
use dittofs_ops::commit::{Commit, Commit4Args};
use dittofs_ops::io::StableHow4;
use dittofs_ops::write::{Write, Write4Args};
use dittofs_tests::*;
use rstest::rstest;

use crate::world::*;

/// Writes unstably and commits: the verifiers of both.
async fn verifiers(server: &TestServer, minor: Minor) -> [Verifier4; 2] {
    let mut client = session(server, "writer", minor).await;
    let file = client.open("file").await;
    let data = Opaque(Bytes::from_static(b"data"));
    let write = Write4Args { stateid: file.stateid, offset: 0, stable: StableHow4::Unstable, data };
    let written = client.run_on::<Write>(&file.fh, &write).await.unwrap();
    let committed = client.run_on::<Commit>(&file.fh, &Commit4Args { offset: 0, count: 0 }).await.unwrap();
    [written.writeverf, committed.writeverf]
}

#[rstest]
#[tokio::test]
async fn it_changes_when_data_may_be_lost(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let world = World::new();
    let server = world.boot_on(None).await;
    let [first, committed] = verifiers(&server, minor).await;
    assert_eq!(first, committed);
    server.crash().await;
    // Another instance of the service on the same file system: nothing is lost.
    let server = world.boot_on(None).await;
    assert_eq!(verifiers(&server, minor).await, [first; 2]);
    server.stop().await;
    // Another memory.
    let server = World::new().boot_on(None).await;
    let [other, _] = verifiers(&server, minor).await;
    assert_ne!(other, first);
    server.stop().await;
}
