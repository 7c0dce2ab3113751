//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 18.22, 8.2 and 2.10.6.4.

use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    Minor, NFS4ERR_ACCESS, NFS4ERR_LOCKED, NFS4ERR_REP_TOO_BIG, NFS4ERR_STALE, Stateid, Status,
};
use dittofs_framework::state::ShareDeny;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_tests::{SessionOptions, TestServerOptions, WRITE};
use rstest::rstest;

use crate::common::{Bogus, CONTENT, Object, World, put};

#[rstest]
#[case::whole(0, 10, CONTENT, true)]
#[case::more_than_there_is(0, 100, CONTENT, true)]
#[case::head(0, 4, b"0123", false)]
#[case::middle(2, 3, b"234", false)]
#[case::tail(6, 4, b"6789", true)]
#[case::over_the_end(6, 5, b"6789", true)]
#[case::at_the_end(10, 1, b"", true)]
#[case::past_the_end(11, 1, b"", true)]
#[case::nothing(5, 0, b"", false)]
#[case::nothing_at_the_end(10, 0, b"", true)]
#[case::largest_offset(u64::MAX, 10, b"", true)]
#[case::range_past_64_bits(u64::MAX - 5, u32::MAX, b"", true)]
#[tokio::test]
async fn a_range_is(#[case] offset: u64, #[case] count: u32, #[case] data: &[u8], #[case] eof: bool) {
    let mut world = World::new().await;
    let args = Read4Args { stateid: world.file.stateid, offset, count };
    let read = world.run::<Read>(&args).await.unwrap();
    assert_eq!((&*read.data, read.eof), (data, eof));
    world.stop().await;
}

#[tokio::test]
async fn an_empty_file_is_at_its_end() {
    let mut world = World::new().await;
    let empty = world.session.open("empty").await;
    let read = world.session.read(&empty, 0, 0).await;
    assert!(read.eof && read.data.is_empty());
    world.stop().await;
}

#[rstest]
#[case::anonymous(Stateid::ANONYMOUS)]
#[case::bypass(Stateid::READ_BYPASS)]
#[tokio::test]
async fn a_special_stateid_reads(#[case] stateid: Stateid) {
    let mut world = World::new().await;
    let read = world.run::<Read>(&Read4Args { stateid, offset: 0, count: 3 }).await.unwrap();
    assert_eq!(&*read.data, b"012");
    world.stop().await;
}

#[rstest]
#[case::anonymous(Stateid::ANONYMOUS, Err(NFS4ERR_LOCKED))]
#[case::bypass(Stateid::READ_BYPASS, Ok(()))]
#[tokio::test]
async fn a_denied_read_is(#[case] stateid: Stateid, #[case] expected: Result<(), Status>) {
    let mut world = World::new().await;
    let other = world.deny(ShareDeny::READ.bits()).await;
    let read = world.run::<Read>(&Read4Args { stateid, offset: 0, count: 3 }).await;
    assert_eq!(read.map(drop), expected);
    drop(other);
    world.stop().await;
}

#[tokio::test]
async fn an_open_for_writing_reads_by_the_callers_permission() {
    let mut world = World::new().await;
    let stateid = world.open_for(WRITE).await;
    world.run::<Read>(&Read4Args { stateid, offset: 0, count: 3 }).await.unwrap();
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
    let read = world.run::<Read>(&Read4Args { stateid, offset: 0, count: 3 }).await;
    assert_eq!(read.map(drop), Err(bogus.status()));
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
    let args = Read4Args { stateid: Stateid::ANONYMOUS, offset: 0, count: 3 };
    assert_eq!(world.run_on::<Read>(&fh, &args).await.map(drop), Err(object.data_status(minor)));
    world.stop().await;
}

#[tokio::test]
async fn the_pseudo_file_system_has_nothing_to_read() {
    let mut world = World::new().await;
    let root = world.session.lookup(&[]).await;
    let args = Read4Args { stateid: Stateid::ANONYMOUS, offset: 0, count: 3 };
    assert_eq!(world.run_on::<Read>(&root, &args).await.map(drop), Err(Object::Dir.data_status(Minor::V2)));
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handle_or_cut_short_is_refused() {
    let mut world = World::new().await;
    let args = Read4Args { stateid: world.file.stateid, offset: 0, count: 3 };
    world.refuses_without_handle_and_cut_short::<Read>(&args).await;
    world.stop().await;
}

#[tokio::test]
async fn a_special_stateid_needs_permission() {
    let mut world = World::new().await;
    world.chmod(0o600).await;
    world.session.act_as(1000, 1000, &[]);
    for count in [0, 3] {
        let args = Read4Args { stateid: Stateid::ANONYMOUS, offset: 0, count };
        assert_eq!(world.run::<Read>(&args).await.map(drop), Err(NFS4ERR_ACCESS), "count {count}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_removed_file_is_read_as_long_as_it_is_open() {
    let mut world = World::new().await;
    world.remove("file").await;
    assert_eq!(world.content().await, CONTENT);
    world.close().await;
    let read = world.run::<Read>(&Read4Args { stateid: Stateid::ANONYMOUS, offset: 0, count: 3 }).await;
    assert_eq!(read.map(drop), Err(NFS4ERR_STALE));
    world.stop().await;
}

#[tokio::test]
async fn a_read_over_the_servers_limit_is_short() {
    let limits = Limits { max_io: 4, ..Limits::default() };
    let options = TestServerOptions { limits, ..TestServerOptions::default() };
    let server = dittofs_tests::TestServer::start_with(options).await;
    let mut session = dittofs_tests::Client::connect(&server).await.session("client").await;
    let file = session.open("file").await;
    session.write(&file, 0, b"0123").await;
    session.write(&file, 4, b"456").await;
    let first = session.read(&file, 0, 100).await;
    assert_eq!((&*first.data, first.eof), (&b"0123"[..], false));
    let last = session.read(&file, 4, 100).await;
    assert_eq!((&*last.data, last.eof), (&b"456"[..], true));
    server.stop().await;
}

/// A reply of at most this many bytes.
fn small_replies(max_response_size: u32) -> SessionOptions {
    let mut options = SessionOptions::default();
    options.fore_channel.max_response_size = max_response_size;
    options
}

#[tokio::test]
async fn a_read_over_the_sessions_limit_is_short() {
    let mut world = World::with(TestServerOptions::default(), small_replies(1024)).await;
    let file = world.file.clone();
    world.session.write(&file, 0, &[7; 4000]).await;
    let read = world.session.read(&file, 0, 4000).await;
    assert!(!read.eof);
    assert!((512..1024).contains(&read.data.len()), "{} bytes", read.data.len());
    let rest = world.session.read(&file, 3500, 4000).await;
    assert_eq!((rest.data.len(), rest.eof), (500, true));
    world.stop().await;
}

/// One READ after the other fills the reply, until not one byte more fits.
#[tokio::test]
async fn a_read_without_any_room_is_too_big() {
    let mut world = World::with(TestServerOptions::default(), small_replies(1024)).await;
    let file = world.file.clone();
    world.session.write(&file, 0, &[7; 4000]).await;
    let args = Read4Args { stateid: file.stateid, offset: 0, count: 4000 };
    let compound = put(world.session.compound(), &file.fh).op::<Read>(&args).op::<Read>(&args);
    let reply = world.session.run(compound).await;
    assert_eq!(reply.status, NFS4ERR_REP_TOO_BIG);
    assert!(!reply.get::<Read>().data.is_empty());
    // RFC: 8881 section 18.36.3: ca_maxresponsesize counts the RPC header, and holds for what is refused as well.
    let rpc_header = 24;
    assert!(reply.raw.len() + rpc_header <= 1024, "{} bytes", reply.raw.len());
    world.stop().await;
}
