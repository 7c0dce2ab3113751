//! Origin: the statements of the RFC, one by one.
//! RFC: 7862 section 15.4.

use std::sync::Arc;

use dittofs_framework::proto::{
    NFS4ERR_ACCESS, NFS4ERR_FBIG, NFS4ERR_INVAL, NFS4ERR_NOTSUPP, NFS4ERR_OPENMODE, NFS4ERR_WRONG_TYPE,
    Stateid, Status,
};
use dittofs_framework::state::ShareDeny;
use dittofs_ops::deallocate::{Deallocate, Deallocate4Args};
use dittofs_ops::seek::{Seek, Seek4Args, SeekRes4};
use dittofs_tests::{READ, SessionOptions, TestServerOptions};
use rstest::rstest;

use crate::common::{Bogus, CONTENT, Object, World};
use crate::plain::Plain;

#[rstest]
#[case::within(2, 3, b"01\0\0\x0056789")]
#[case::whole(0, 10, b"\0\0\0\0\0\0\0\0\0\0")]
#[case::over_the_end(8, 5, b"01234567\0\0")]
#[case::past_the_end(12, 2, CONTENT)]
#[case::as_far_as_there_is(4, u64::MAX - 4, b"0123\0\0\0\0\0\0")]
#[tokio::test]
async fn a_region_reads_as_zeros_and_the_size_stays(
    #[case] offset: u64,
    #[case] length: u64,
    #[case] expected: &[u8],
) {
    let mut world = World::new().await;
    world.run::<Deallocate>(&Deallocate4Args { stateid: world.file.stateid, offset, length }).await.unwrap();
    assert_eq!(world.content().await, expected);
    world.stop().await;
}

/// What was deallocated is a hole to SEEK.
#[tokio::test]
async fn whole_blocks_become_a_hole() {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.session.write(&file, 0, &vec![7; 1 << 18]).await;
    let args = Deallocate4Args { stateid: file.stateid, offset: 1 << 16, length: 1 << 16 };
    world.run::<Deallocate>(&args).await.unwrap();
    let seek = Seek4Args { stateid: file.stateid, offset: 0, what: Seek4Args::HOLE };
    assert_eq!(world.run::<Seek>(&seek).await, Ok(SeekRes4 { eof: false, offset: 1 << 16 }));
    let seek = Seek4Args { stateid: file.stateid, offset: 1 << 16, what: Seek4Args::DATA };
    assert_eq!(world.run::<Seek>(&seek).await, Ok(SeekRes4 { eof: false, offset: 1 << 17 }));
    world.stop().await;
}

#[rstest]
#[case::empty(0, 0, NFS4ERR_INVAL)]
#[case::empty_at_the_limit(u64::MAX, 0, NFS4ERR_INVAL)]
#[case::past_64_bits(u64::MAX, 1, NFS4ERR_FBIG)]
#[case::largest(1, u64::MAX, NFS4ERR_FBIG)]
#[tokio::test]
async fn a_region_is_refused(#[case] offset: u64, #[case] length: u64, #[case] expected: Status) {
    let mut world = World::new().await;
    let args = Deallocate4Args { stateid: world.file.stateid, offset, length };
    assert_eq!(world.run::<Deallocate>(&args).await, Err(expected));
    assert_eq!(world.content().await, CONTENT);
    world.stop().await;
}

/// As for WRITE; but RFC 7862 section 11.2 has no NFS4ERR_LOCKED for it.
#[rstest]
#[case::anonymous(Stateid::ANONYMOUS)]
#[case::bypass(Stateid::READ_BYPASS)]
#[tokio::test]
async fn a_special_stateid_may_unless_denied(#[case] stateid: Stateid) {
    let mut world = World::new().await;
    let args = Deallocate4Args { stateid, offset: 0, length: 1 };
    world.run::<Deallocate>(&args).await.unwrap();
    let other = world.deny(ShareDeny::WRITE.bits()).await;
    assert_eq!(world.run::<Deallocate>(&args).await, Err(NFS4ERR_ACCESS));
    drop(other);
    world.stop().await;
}

#[tokio::test]
async fn an_open_for_reading_may_not() {
    let mut world = World::new().await;
    let stateid = world.open_for(READ).await;
    let args = Deallocate4Args { stateid, offset: 0, length: 1 };
    assert_eq!(world.run::<Deallocate>(&args).await, Err(NFS4ERR_OPENMODE));
    world.stop().await;
}

#[tokio::test]
async fn a_special_stateid_needs_permission() {
    let mut world = World::new().await;
    world.session.act_as(1000, 1000, &[]);
    let args = Deallocate4Args { stateid: Stateid::ANONYMOUS, offset: 0, length: 1 };
    assert_eq!(world.run::<Deallocate>(&args).await, Err(NFS4ERR_ACCESS));
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
    let args = Deallocate4Args { stateid, offset: 0, length: 1 };
    assert_eq!(world.run::<Deallocate>(&args).await, Err(bogus.status()));
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
    let args = Deallocate4Args { stateid: Stateid::ANONYMOUS, offset: 0, length: 1 };
    assert_eq!(world.run_on::<Deallocate>(&fh, &args).await, Err(NFS4ERR_WRONG_TYPE));
    world.stop().await;
}

#[tokio::test]
async fn a_file_system_without_holes_cannot() {
    let options = TestServerOptions { fs: Arc::new(Plain::default()), ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    let args = Deallocate4Args { stateid: world.file.stateid, offset: 0, length: 1 };
    assert_eq!(world.run::<Deallocate>(&args).await, Err(NFS4ERR_NOTSUPP));
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handle_or_cut_short_is_refused() {
    let mut world = World::new().await;
    let args = Deallocate4Args { stateid: world.file.stateid, offset: 0, length: 1 };
    world.refuses_without_handle_and_cut_short::<Deallocate>(&args).await;
    world.stop().await;
}
