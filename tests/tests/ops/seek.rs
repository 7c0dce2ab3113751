//! Origin: the statements of the RFC, one by one.
//! RFC: 7862 section 15.11.

use std::sync::Arc;

use dittofs_framework::proto::{
    Minor, NFS4ERR_ACCESS, NFS4ERR_LOCKED, NFS4ERR_NXIO, NFS4ERR_UNION_NOTSUPP, Stateid, Status,
};
use dittofs_framework::state::ShareDeny;
use dittofs_ops::seek::{Seek, Seek4Args, SeekRes4};
use dittofs_tests::{SessionOptions, TestServerOptions};
use rstest::rstest;

use crate::common::{Bogus, Object, World};
use crate::plain::Plain;

const DATA: u32 = Seek4Args::DATA;
const HOLE: u32 = Seek4Args::HOLE;
/// The memory file system has holes of whole blocks of this size at least.
const BLOCK: u64 = 1 << 16;
const SIZE: u64 = 5 * BLOCK;

/// Data in blocks 0 and 2, holes in 1, 3 and 4.
async fn sparse_world() -> World {
    let mut world = World::new().await;
    let file = world.file.clone();
    for block in [0, 2] {
        world.session.write(&file, block * BLOCK, &vec![7; 1 << 16]).await;
    }
    world.truncate(SIZE).await;
    world
}

fn found(offset: u64) -> SeekRes4 {
    SeekRes4 { eof: false, offset }
}

fn end_at(offset: u64) -> SeekRes4 {
    SeekRes4 { eof: true, offset }
}

#[rstest]
#[case::data_in_data(DATA, 5, Ok(found(5)))]
#[case::data_from_a_hole(DATA, BLOCK, Ok(found(2 * BLOCK)))]
#[case::data_from_within_a_hole(DATA, BLOCK + 5, Ok(found(2 * BLOCK)))]
#[case::no_data_left(DATA, 3 * BLOCK, Ok(end_at(SIZE)))]
#[case::hole_from_data(HOLE, 0, Ok(found(BLOCK)))]
#[case::hole_in_a_hole(HOLE, BLOCK + 5, Ok(found(BLOCK + 5)))]
#[case::last_hole(HOLE, 2 * BLOCK, Ok(found(3 * BLOCK)))]
#[case::last_byte(HOLE, SIZE - 1, Ok(found(SIZE - 1)))]
#[case::at_the_end(DATA, SIZE, Err(NFS4ERR_NXIO))]
#[case::hole_at_the_end(HOLE, SIZE, Err(NFS4ERR_NXIO))]
#[case::largest_offset(HOLE, u64::MAX, Err(NFS4ERR_NXIO))]
#[case::unknown(2, 0, Err(NFS4ERR_UNION_NOTSUPP))]
#[case::unknown_past_the_end(u32::MAX, SIZE, Err(NFS4ERR_UNION_NOTSUPP))]
#[tokio::test]
async fn the_next_is(#[case] what: u32, #[case] offset: u64, #[case] expected: Result<SeekRes4, Status>) {
    let mut world = sparse_world().await;
    let args = Seek4Args { stateid: world.file.stateid, offset, what };
    assert_eq!(world.run::<Seek>(&args).await, expected);
    world.stop().await;
}

/// "All files MUST have a virtual hole at the end of the file", on file systems without holes as well.
#[rstest]
#[case::data(DATA, 3, Ok(found(3)))]
#[case::hole(HOLE, 3, Ok(end_at(10)))]
#[case::past_the_end(DATA, 10, Err(NFS4ERR_NXIO))]
#[tokio::test]
async fn a_file_without_holes_has(
    #[values(false, true)] has_sparse: bool,
    #[case] what: u32,
    #[case] offset: u64,
    #[case] expected: Result<SeekRes4, Status>,
) {
    let mut options = TestServerOptions::default();
    if !has_sparse {
        options.fs = Arc::new(Plain::default());
    }
    let mut world = World::with(options, SessionOptions::default()).await;
    let args = Seek4Args { stateid: world.file.stateid, offset, what };
    assert_eq!(world.run::<Seek>(&args).await, expected);
    world.session.act_as(1000, 1000, &[]);
    world.stop().await;
}

#[rstest]
#[case::anonymous(Stateid::ANONYMOUS, Err(NFS4ERR_LOCKED))]
#[case::bypass(Stateid::READ_BYPASS, Ok(found(3)))]
#[tokio::test]
async fn where_reading_is_denied(#[case] stateid: Stateid, #[case] expected: Result<SeekRes4, Status>) {
    let mut world = World::new().await;
    let args = Seek4Args { stateid, offset: 3, what: DATA };
    assert_eq!(world.run::<Seek>(&args).await, Ok(found(3)));
    let other = world.deny(ShareDeny::READ.bits()).await;
    assert_eq!(world.run::<Seek>(&args).await, expected);
    drop(other);
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_special_stateid_needs_permission(#[values(false, true)] has_sparse: bool) {
    let mut options = TestServerOptions::default();
    if !has_sparse {
        options.fs = Arc::new(Plain::default());
    }
    let mut world = World::with(options, SessionOptions::default()).await;
    world.chmod(0o600).await;
    world.session.act_as(1000, 1000, &[]);
    let args = Seek4Args { stateid: Stateid::ANONYMOUS, offset: 3, what: DATA };
    assert_eq!(world.run::<Seek>(&args).await, Err(NFS4ERR_ACCESS));
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
    assert_eq!(world.run::<Seek>(&Seek4Args { stateid, offset: 0, what: DATA }).await, Err(bogus.status()));
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
    let args = Seek4Args { stateid: Stateid::ANONYMOUS, offset: 0, what: DATA };
    assert_eq!(world.run_on::<Seek>(&fh, &args).await, Err(object.data_status(Minor::V2)));
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handle_or_cut_short_is_refused() {
    let mut world = World::new().await;
    let args = Seek4Args { stateid: world.file.stateid, offset: 0, what: DATA };
    world.refuses_without_handle_and_cut_short::<Seek>(&args).await;
    world.stop().await;
}
