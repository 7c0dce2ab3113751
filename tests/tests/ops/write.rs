//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 18.32 and 8.2.

use bytes::Bytes;
use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    Minor, NFS4ERR_ACCESS, NFS4ERR_BADXDR, NFS4ERR_FBIG, NFS4ERR_LOCKED, NFS4ERR_OPENMODE, NFS4ERR_ROFS,
    Stateid,
};
use dittofs_framework::state::ShareDeny;
use dittofs_framework::xdr::{Opaque, encode_to_bytes};
use dittofs_ops::commit::{Commit, Commit4Args};
use dittofs_ops::io::StableHow4;
use dittofs_ops::write::{Write, Write4Args};
use dittofs_tests::{Client, READ, SessionOptions, TestServer, TestServerOptions};
use rstest::rstest;

use crate::common::{Bogus, CONTENT, Object, World, put};

fn args(stateid: Stateid, offset: u64, data: &[u8]) -> Write4Args {
    let data = Opaque(Bytes::copy_from_slice(data));
    Write4Args { stateid, offset, stable: StableHow4::Unstable, data }
}

#[rstest]
#[case::over(0, b"ab", b"ab23456789")]
#[case::middle(4, b"ab", b"0123ab6789")]
#[case::across_the_end(9, b"ab", b"012345678ab")]
#[case::at_the_end(10, b"ab", b"0123456789ab")]
#[case::past_the_end(12, b"ab", b"0123456789\0\0ab")]
#[case::nothing(4, b"", CONTENT)]
#[case::nothing_past_the_end(100, b"", CONTENT)]
#[tokio::test]
async fn data_goes(#[case] offset: u64, #[case] data: &[u8], #[case] expected: &[u8]) {
    let mut world = World::new().await;
    let written = world.run::<Write>(&args(world.file.stateid, offset, data)).await.unwrap();
    assert_eq!(usize::try_from(written.count), Ok(data.len()));
    assert_eq!(world.content().await, expected);
    world.stop().await;
}

/// RFC 8881 table 11: at least as durable as asked.
#[rstest]
#[case::unstable(StableHow4::Unstable)]
#[case::data_sync(StableHow4::DataSync)]
#[case::file_sync(StableHow4::FileSync)]
#[tokio::test]
async fn data_is_at_least_as_durable_as_asked(#[case] stable: StableHow4) {
    let mut world = World::new().await;
    let args = Write4Args { stable, ..args(world.file.stateid, 0, b"ab") };
    let written = world.run::<Write>(&args).await.unwrap();
    assert!(written.committed as u32 >= stable as u32);
    let commit = world.run::<Commit>(&Commit4Args { offset: 0, count: 0 }).await.unwrap();
    assert_eq!(written.writeverf, commit.writeverf);
    world.stop().await;
}

/// "A WRITE request with count set to zero SHOULD NOT cause the time_modified and change attributes of the file to be updated."
#[tokio::test]
async fn an_empty_write_changes_nothing() {
    let mut world = World::new().await;
    let before = world.change().await;
    world.run::<Write>(&args(world.file.stateid, 3, b"")).await.unwrap();
    assert_eq!(world.change().await, before);
    world.run::<Write>(&args(world.file.stateid, 3, b"x")).await.unwrap();
    assert_ne!(world.change().await, before);
    world.stop().await;
}

#[rstest]
#[case::at_the_limit(u64::MAX, b"x")]
#[case::over_the_limit(u64::MAX - 1, b"xyz")]
#[case::over_the_largest_file(i64::MAX as u64, b"xyz")]
#[tokio::test]
async fn data_too_far_out_is_refused(#[case] offset: u64, #[case] data: &[u8]) {
    let mut world = World::new().await;
    let written = world.run::<Write>(&args(world.file.stateid, offset, data)).await;
    assert_eq!(written.map(drop), Err(NFS4ERR_FBIG));
    assert_eq!(world.content().await, CONTENT);
    world.stop().await;
}

/// "For a WRITE with a stateid value of all bits equal to 1, the server MUST NOT allow the WRITE operation to bypass locking checks."
#[rstest]
#[case::anonymous(Stateid::ANONYMOUS)]
#[case::bypass(Stateid::READ_BYPASS)]
#[tokio::test]
async fn a_special_stateid_writes_unless_denied(#[case] stateid: Stateid) {
    let mut world = World::new().await;
    world.run::<Write>(&args(stateid, 0, b"ab")).await.unwrap();
    let other = world.deny(ShareDeny::WRITE.bits()).await;
    assert_eq!(world.run::<Write>(&args(stateid, 0, b"cd")).await.map(drop), Err(NFS4ERR_LOCKED));
    drop(other);
    world.stop().await;
}

#[tokio::test]
async fn an_open_for_reading_does_not_write() {
    let mut world = World::new().await;
    let stateid = world.open_for(READ).await;
    assert_eq!(world.run::<Write>(&args(stateid, 0, b"ab")).await.map(drop), Err(NFS4ERR_OPENMODE));
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_stateid_is_refused(
    #[values(
        Bogus::Garbage,
        Bogus::Invalid,
        Bogus::Future,
        Bogus::Old,
        Bogus::OtherFile,
        Bogus::OtherClient,
        Bogus::Closed,
        Bogus::NoCurrent
    )]
    bogus: Bogus,
) {
    let mut world = World::new().await;
    let stateid = world.stateid(bogus).await;
    let written = world.run::<Write>(&args(stateid, 0, b"ab")).await;
    assert_eq!(written.map(drop), Err(bogus.status()));
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn what_is_no_file_is_refused(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[values(
        Object::Dir,
        Object::Symlink,
        Object::Fifo,
        Object::Socket,
        Object::Block,
        Object::Char
    )]
    object: Object,
) {
    let session = SessionOptions { minor, ..SessionOptions::default() };
    let mut world = World::with(TestServerOptions::default(), session).await;
    let fh = world.object(object).await;
    let written = world.run_on::<Write>(&fh, &args(Stateid::ANONYMOUS, 0, b"ab")).await;
    assert_eq!(written.map(drop), Err(object.data_status(minor)));
    world.stop().await;
}

#[tokio::test]
async fn the_pseudo_file_system_takes_nothing() {
    let mut world = World::new().await;
    let root = world.session.lookup(&[]).await;
    let status = world.run_on::<Write>(&root, &args(Stateid::ANONYMOUS, 0, b"ab")).await.unwrap_err();
    assert!([Object::Dir.data_status(Minor::V2), NFS4ERR_ROFS].contains(&status), "{status}");
    world.stop().await;
}

#[tokio::test]
async fn a_special_stateid_needs_permission() {
    let mut world = World::new().await;
    world.session.act_as(1000, 1000, &[]);
    for data in [&b""[..], b"ab"] {
        let written = world.run::<Write>(&args(Stateid::ANONYMOUS, 0, data)).await;
        assert_eq!(written.map(drop), Err(NFS4ERR_ACCESS), "{} bytes", data.len());
    }
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handle_or_cut_short_is_refused() {
    let mut world = World::new().await;
    let args = args(world.file.stateid, 0, b"abcdefgh");
    world.refuses_without_handle_and_cut_short::<Write>(&args).await;
    let mut bad = encode_to_bytes(&args).to_vec();
    bad[27] = 3;
    let compound = put(world.session.compound(), &world.file.fh).op_with_args::<Write>(&bad);
    assert_eq!(world.session.run(compound).await.status, NFS4ERR_BADXDR, "no stable_how4");
    world.stop().await;
}

#[tokio::test]
async fn a_write_over_the_servers_limit_is_short() {
    let limits = Limits { max_io: 4, ..Limits::default() };
    let server = TestServer::start_with(TestServerOptions { limits, ..TestServerOptions::default() }).await;
    let mut session = Client::connect(&server).await.session("client").await;
    let file = session.open("file").await;
    let compound = put(session.compound(), &file.fh).op::<Write>(&args(file.stateid, 0, CONTENT));
    let written = session.run(compound).await.ok().get::<Write>();
    assert_eq!(written.count, 4);
    let read = session.read(&file, 0, 100).await;
    assert_eq!((&*read.data, read.eof), (&CONTENT[..4], true));
    server.stop().await;
}

/// The largest WRITE that fits a request comes back as it went.
#[tokio::test]
async fn a_large_write_comes_back() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let data: Vec<u8> = (0..1_u32 << 20).map(|at| (at % 251) as u8).collect();
    world.session.write(&file, 5, &data).await;
    let read = world.session.read(&file, 5, 1 << 20).await;
    assert!(read.data[..] == data[..read.data.len()]);
    assert_eq!(read.data.len(), 1 << 20);
    world.stop().await;
}
