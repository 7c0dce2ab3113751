//! The smallest example, asked over the wire.
//!
//! Origin: the README.
//! RFC: 8881 sections 18.16, 18.22 and 18.32.

use dittofs_framework::attr::FATTR4_SIZE;

use crate::example::Example;

#[tokio::test]
async fn keeps_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let example = Example::start("minimal_server", &[dir.path()]);
    let mut session = example.session("writer").await;
    let file = session.open("file").await;
    session.write(&file, 0, b"hello").await;
    assert_eq!(&session.read(&file, 0, 100).await.data.0[..], b"hello");
    session.close(&file).await;
    example.stop();

    let example = Example::start("minimal_server", &[dir.path()]);
    let mut session = example.session("reader").await;
    let fh = session.lookup(&["export", "file"]).await;
    assert_eq!(session.attribute::<u64>(&fh, FATTR4_SIZE).await, 5);
    example.stop();
}
