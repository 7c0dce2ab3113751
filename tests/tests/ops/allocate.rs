//! Origin: the statements of the RFC, one by one.
//! RFC: 7862 section 15.1.

use std::sync::Arc;

use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::proto::{
    NFS4ERR_ACCESS, NFS4ERR_FBIG, NFS4ERR_INVAL, NFS4ERR_NOSPC, NFS4ERR_NOTSUPP, NFS4ERR_OPENMODE,
    NFS4ERR_WRONG_TYPE, Stateid, Status,
};
use dittofs_framework::state::ShareDeny;
use dittofs_ops::allocate::{Allocate, Allocate4Args};
use dittofs_tests::{READ, SessionOptions, TestServerOptions};
use rstest::rstest;

use crate::common::{Bogus, CONTENT, Object, World};
use crate::plain::Plain;

#[rstest]
#[case::within(2, 3, CONTENT)]
#[case::whole(0, 10, CONTENT)]
#[case::over_the_end(8, 5, b"0123456789\0\0\0")]
#[case::past_the_end(12, 2, b"0123456789\0\0\0\0")]
#[tokio::test]
async fn a_region_is_reserved(#[case] offset: u64, #[case] length: u64, #[case] expected: &[u8]) {
    let mut world = World::new().await;
    world.run::<Allocate>(&Allocate4Args { stateid: world.file.stateid, offset, length }).await.unwrap();
    assert_eq!(world.content().await, expected);
    world.stop().await;
}

#[tokio::test]
async fn more_than_there_is_is_refused() {
    let fs = Arc::new(
        StoreFileSystem::in_memory(MemoryOptions { capacity: 1 << 20, ..MemoryOptions::default() })
            .expect("a share in memory"),
    );
    let options = TestServerOptions { fs, ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    let args = Allocate4Args { stateid: world.file.stateid, offset: 0, length: 8 << 20 };
    assert_eq!(world.run::<Allocate>(&args).await, Err(NFS4ERR_NOSPC));
    assert_eq!(world.content().await, CONTENT);
    world.stop().await;
}

#[rstest]
#[case::empty(0, 0, NFS4ERR_INVAL)]
#[case::empty_at_the_limit(u64::MAX, 0, NFS4ERR_INVAL)]
#[case::past_64_bits(u64::MAX, 1, NFS4ERR_FBIG)]
#[case::largest(1, u64::MAX, NFS4ERR_FBIG)]
#[case::over_the_largest_file(0, u64::MAX, NFS4ERR_FBIG)]
#[tokio::test]
async fn a_region_is_refused(#[case] offset: u64, #[case] length: u64, #[case] expected: Status) {
    let mut world = World::new().await;
    let args = Allocate4Args { stateid: world.file.stateid, offset, length };
    assert_eq!(world.run::<Allocate>(&args).await, Err(expected));
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
    let args = Allocate4Args { stateid, offset: 0, length: 1 };
    world.run::<Allocate>(&args).await.unwrap();
    let other = world.deny(ShareDeny::WRITE.bits()).await;
    assert_eq!(world.run::<Allocate>(&args).await, Err(NFS4ERR_ACCESS));
    drop(other);
    world.stop().await;
}

#[tokio::test]
async fn an_open_for_reading_may_not() {
    let mut world = World::new().await;
    let stateid = world.open_for(READ).await;
    let args = Allocate4Args { stateid, offset: 0, length: 1 };
    assert_eq!(world.run::<Allocate>(&args).await, Err(NFS4ERR_OPENMODE));
    world.stop().await;
}

#[tokio::test]
async fn a_special_stateid_needs_permission() {
    let mut world = World::new().await;
    world.session.act_as(1000, 1000, &[]);
    let args = Allocate4Args { stateid: Stateid::ANONYMOUS, offset: 0, length: 1 };
    assert_eq!(world.run::<Allocate>(&args).await, Err(NFS4ERR_ACCESS));
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
    let args = Allocate4Args { stateid, offset: 0, length: 1 };
    assert_eq!(world.run::<Allocate>(&args).await, Err(bogus.status()));
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
    let args = Allocate4Args { stateid: Stateid::ANONYMOUS, offset: 0, length: 1 };
    assert_eq!(world.run_on::<Allocate>(&fh, &args).await, Err(NFS4ERR_WRONG_TYPE));
    world.stop().await;
}

#[tokio::test]
async fn a_file_system_without_holes_cannot() {
    let options = TestServerOptions { fs: Arc::new(Plain::default()), ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    let args = Allocate4Args { stateid: world.file.stateid, offset: 0, length: 1 };
    assert_eq!(world.run::<Allocate>(&args).await, Err(NFS4ERR_NOTSUPP));
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handle_or_cut_short_is_refused() {
    let mut world = World::new().await;
    let args = Allocate4Args { stateid: world.file.stateid, offset: 0, length: 1 };
    world.refuses_without_handle_and_cut_short::<Allocate>(&args).await;
    world.stop().await;
}
