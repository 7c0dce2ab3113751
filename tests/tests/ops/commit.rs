//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 section 18.3.

use dittofs_framework::proto::Minor;
use dittofs_ops::commit::{Commit, Commit4Args};
use dittofs_tests::{SessionOptions, TestServerOptions};
use rstest::rstest;

use crate::common::{Object, World};

#[rstest]
#[case::whole(0, 0)]
#[case::range(2, 3)]
#[case::to_the_end(2, 0)]
#[case::over_the_end(5, 100)]
#[case::past_the_end(100, 100)]
#[case::largest_offset(u64::MAX, 0)]
#[case::range_past_64_bits(u64::MAX - 5, 64)]
#[tokio::test]
async fn a_range_is_committed(#[case] offset: u64, #[case] count: u32) {
    let mut world = World::new().await;
    let first = world.run::<Commit>(&Commit4Args { offset, count }).await.unwrap();
    let second = world.run::<Commit>(&Commit4Args { offset: 0, count: 0 }).await.unwrap();
    assert_eq!(first, second, "the verifier stays while nothing is lost");
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
    let committed = world.run_on::<Commit>(&fh, &Commit4Args { offset: 0, count: 0 }).await;
    assert_eq!(committed.map(drop), Err(object.data_status(minor)));
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handle_or_cut_short_is_refused() {
    let mut world = World::new().await;
    world.refuses_without_handle_and_cut_short::<Commit>(&Commit4Args { offset: 0, count: 0 }).await;
    world.stop().await;
}
