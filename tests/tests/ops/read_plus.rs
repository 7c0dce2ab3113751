//! Origin: the statements of the RFC, one by one.
//! RFC: 7862 section 15.10.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::proto::{Minor, NFS4ERR_ACCESS, NFS4ERR_LOCKED, NFS4ERR_REP_TOO_BIG, Stateid, Status};
use dittofs_framework::state::ShareDeny;
use dittofs_framework::xdr::Opaque;
use dittofs_ops::read_plus::{Data4, DataInfo4, ReadPlus, ReadPlus4Args, ReadPlusContent, ReadPlusRes4};
use dittofs_tests::{SessionOptions, TestServerOptions};
use rstest::rstest;

use crate::common::{Bogus, Object, World, put};
use crate::plain::Plain;

/// The memory file system has holes of whole blocks of this size at least.
const BLOCK: u64 = 1 << 16;
const SIZE: u64 = 5 * BLOCK;

/// Data in blocks 0 and 2, holes in 1, 3 and 4.
async fn sparse_world(options: TestServerOptions, session: SessionOptions) -> World {
    let mut world = World::with(options, session).await;
    let file = world.file.clone();
    for block in [0, 2] {
        world.session.write(&file, block * BLOCK, &vec![7; 1 << 16]).await;
    }
    world.truncate(SIZE).await;
    world
}

/// Contents in short: what, from where, how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Data(u64, u64),
    Hole(u64, u64),
}
use Piece::{Data, Hole};

fn pieces(read: &ReadPlusRes4) -> Vec<Piece> {
    let piece = |content: &ReadPlusContent| match content {
        ReadPlusContent::Data(data) => {
            assert!(data.data.iter().all(|byte| *byte == 7));
            Data(data.offset, data.data.len() as u64)
        }
        ReadPlusContent::Hole(hole) => Hole(hole.offset, hole.length),
    };
    read.contents.iter().map(piece).collect()
}

#[rstest]
#[case::data(0, 100, &[Data(0, 100)], false)]
#[case::hole(BLOCK, 1 << 16, &[Hole(BLOCK, BLOCK)], false)]
#[case::within_a_hole(BLOCK + 100, 8192, &[Hole(BLOCK + 100, 8192)], false)]
#[case::data_and_hole(BLOCK - 100, 8292, &[Data(BLOCK - 100, 100), Hole(BLOCK, 8192)], false)]
#[case::hole_and_data(2 * BLOCK - 8192, 8292, &[Hole(2 * BLOCK - 8192, 8192), Data(2 * BLOCK, 100)], false)]
#[case::all(0, 5 << 16, &[Data(0, BLOCK), Hole(BLOCK, BLOCK), Data(2 * BLOCK, BLOCK), Hole(3 * BLOCK, 2 * BLOCK)], true)]
#[case::over_the_end(3 * BLOCK, 1 << 20, &[Hole(3 * BLOCK, 2 * BLOCK)], true)]
#[case::up_to_the_end(4 * BLOCK, 1 << 16, &[Hole(4 * BLOCK, BLOCK)], true)]
#[case::at_the_end(SIZE, 100, &[], true)]
#[case::past_the_end(SIZE + 1, 100, &[], true)]
#[case::largest_offset(u64::MAX, u32::MAX, &[], true)]
#[case::nothing(100, 0, &[], false)]
#[case::nothing_at_the_end(SIZE, 0, &[], true)]
#[tokio::test]
async fn a_range_is(#[case] offset: u64, #[case] count: u32, #[case] expected: &[Piece], #[case] eof: bool) {
    let mut world = sparse_world(TestServerOptions::default(), SessionOptions::default()).await;
    let args = ReadPlus4Args { stateid: world.file.stateid, offset, count };
    let read = world.run::<ReadPlus>(&args).await.unwrap();
    assert_eq!((pieces(&read).as_slice(), read.eof), (expected, eof));
    world.stop().await;
}

/// A hole that would save nothing is data: what is read is the same as by READ.
#[tokio::test]
async fn a_small_part_of_a_hole_is_data() {
    let mut world = sparse_world(TestServerOptions::default(), SessionOptions::default()).await;
    let args = ReadPlus4Args { stateid: world.file.stateid, offset: BLOCK - 2, count: 4 };
    let read = world.run::<ReadPlus>(&args).await.unwrap();
    let data = Data4 { offset: BLOCK - 2, data: Opaque(Bytes::from_static(&[7, 7, 0, 0])) };
    assert_eq!(read, ReadPlusRes4 { eof: false, contents: vec![ReadPlusContent::Data(data)] });
    world.stop().await;
}

/// "If data to be returned is comprised entirely of zeros, then the server SHOULD return that data as a hole instead."
#[tokio::test]
async fn zeros_that_were_written_are_a_hole() {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.session.write(&file, 0, &[0; 8192]).await;
    let args = ReadPlus4Args { stateid: file.stateid, offset: 0, count: 8192 };
    let hole = DataInfo4 { offset: 0, length: 8192 };
    let expected = ReadPlusRes4 { eof: true, contents: vec![ReadPlusContent::Hole(hole)] };
    assert_eq!(world.run::<ReadPlus>(&args).await, Ok(expected));
    world.stop().await;
}

#[tokio::test]
async fn a_file_system_without_holes_has_data() {
    let options = TestServerOptions { fs: Arc::new(Plain::default()), ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    let args = ReadPlus4Args { stateid: world.file.stateid, offset: 2, count: 100 };
    let data = Data4 { offset: 2, data: Opaque::from("23456789") };
    let expected = ReadPlusRes4 { eof: true, contents: vec![ReadPlusContent::Data(data)] };
    assert_eq!(world.run::<ReadPlus>(&args).await, Ok(expected));
    world.stop().await;
}

#[tokio::test]
async fn a_reply_over_the_sessions_limit_is_short() {
    let mut session = SessionOptions::default();
    session.fore_channel.max_response_size = 1024;
    session.fore_channel.max_request_size = 1 << 17;
    let mut world = sparse_world(TestServerOptions::default(), session).await;
    let args = ReadPlus4Args { stateid: world.file.stateid, offset: 0, count: 1 << 20 };
    let read = world.run::<ReadPlus>(&args).await.unwrap();
    let [Data(0, len)] = pieces(&read)[..] else { panic!("{read:?}") };
    assert!(!read.eof && (512..1024).contains(&len));
    let args = ReadPlus4Args { stateid: world.file.stateid, offset: 0, count: 4000 };
    let compound = put(world.session.compound(), &world.file.fh).op::<ReadPlus>(&args).op::<ReadPlus>(&args);
    assert_eq!(world.session.run(compound).await.status, NFS4ERR_REP_TOO_BIG);
    world.stop().await;
}

#[rstest]
#[case::anonymous(Stateid::ANONYMOUS, Err(NFS4ERR_LOCKED))]
#[case::bypass(Stateid::READ_BYPASS, Ok(()))]
#[tokio::test]
async fn a_denied_read_is(#[case] stateid: Stateid, #[case] expected: Result<(), Status>) {
    let mut world = World::new().await;
    let args = ReadPlus4Args { stateid, offset: 0, count: 3 };
    world.run::<ReadPlus>(&args).await.unwrap();
    let other = world.deny(ShareDeny::READ.bits()).await;
    assert_eq!(world.run::<ReadPlus>(&args).await.map(drop), expected);
    drop(other);
    world.stop().await;
}

#[rstest]
#[case::data(0, 3)]
#[case::nothing(0, 0)]
#[case::past_the_end(100, 3)]
#[tokio::test]
async fn a_special_stateid_needs_permission(#[case] offset: u64, #[case] count: u32) {
    let mut world = World::new().await;
    world.chmod(0o600).await;
    world.session.act_as(1000, 1000, &[]);
    let args = ReadPlus4Args { stateid: Stateid::ANONYMOUS, offset, count };
    assert_eq!(world.run::<ReadPlus>(&args).await, Err(NFS4ERR_ACCESS));
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
    let read = world.run::<ReadPlus>(&ReadPlus4Args { stateid, offset: 0, count: 3 }).await;
    assert_eq!(read, Err(bogus.status()));
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn what_is_no_file_is_refused(
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
    let mut world = World::new().await;
    let fh = world.object(object).await;
    let args = ReadPlus4Args { stateid: Stateid::ANONYMOUS, offset: 0, count: 3 };
    assert_eq!(world.run_on::<ReadPlus>(&fh, &args).await, Err(object.data_status(Minor::V2)));
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handle_or_cut_short_is_refused() {
    let mut world = World::new().await;
    let args = ReadPlus4Args { stateid: world.file.stateid, offset: 0, count: 3 };
    world.refuses_without_handle_and_cut_short::<ReadPlus>(&args).await;
    world.stop().await;
}
