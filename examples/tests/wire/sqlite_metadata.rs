//! The example with metadata in SQLite, asked over the wire and killed.
//!
//! Origin: the documentation of backends, docs/framework/backends.md.
//! RFC: 8881 sections 8.4.2.1 (reclaims after a restart) and 18.32.

use std::path::Path;

use dittofs_framework::attr::FATTR4_SIZE;
use dittofs_framework::proto::{NFS4ERR_NOENT, NfsFh4, OpenDelegationType4, component};
use dittofs_framework::xdr::Opaque;
use dittofs_ops::io::StableHow4;
use dittofs_ops::lookup::Lookup;
use dittofs_ops::open::{Open, Open4Args, OpenClaim4, OpenFlag4};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::write::{Write, Write4Args};
use dittofs_tests::{BOTH, Client, OpenFile, Session, SessionOptions, named, open_args};

use crate::example::Example;

fn start(dir: &Path) -> Example {
    Example::start("sqlite_metadata", &[dir])
}

/// The open of before the restart once more.
async fn reclaim(session: &mut Session, fh: &NfsFh4) -> OpenFile {
    let claim = OpenClaim4::Previous(OpenDelegationType4::None);
    let args = Open4Args { claim, ..open_args("", BOTH, 0, "owner", OpenFlag4::NoCreate(())) };
    let stateid = session.run_on::<Open>(fh, &args).await.unwrap().stateid;
    OpenFile { fh: fh.clone(), stateid }
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let example = start(dir.path());
    let mut session = example.session("client").await;
    let file = session.open("file").await;
    session.write(&file, 100_000, b"written").await;
    session.mkdir("dir").await;
    session.mkdir("removed").await;
    let share = session.share().await;
    session.run_on::<Remove>(&share, &Remove4Args { target: component("removed") }).await.unwrap();
    example.kill();

    let example = start(dir.path());
    let client = Client::connect_to(example.addr()).await;
    let mut session = client.session_to_reclaim("client", SessionOptions::default()).await;
    let file = reclaim(&mut session, &file.fh).await;
    assert_eq!(session.attribute::<u64>(&file.fh, FATTR4_SIZE).await, 100_007);
    assert_eq!(&session.read(&file, 99_999, 100).await.data.0[..], b"\0written");
    session.lookup(&["export", "dir"]).await;
    assert_eq!(session.run_on::<Lookup>(&share, &named("removed")).await, Err(NFS4ERR_NOENT));
    example.stop();
}

#[tokio::test]
async fn what_was_not_stable_outlives_an_orderly_end() {
    let dir = tempfile::tempdir().unwrap();
    let example = start(dir.path());
    let mut session = example.session("client").await;
    let file = session.open("file").await;
    let data = Opaque(b"unstable"[..].into());
    let args = Write4Args { stateid: file.stateid, offset: 0, stable: StableHow4::Unstable, data };
    session.run_on::<Write>(&file.fh, &args).await.unwrap();
    session.close(&file).await;
    example.stop();

    let example = start(dir.path());
    let fh = example.session("client").await.lookup(&["export", "file"]).await;
    assert_eq!(fh, file.fh);
    assert_eq!(example.session("client").await.attribute::<u64>(&fh, FATTR4_SIZE).await, 8);
    example.stop();
}
