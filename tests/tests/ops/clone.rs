//! Origin: the statements of the RFC, one by one.
//! RFC: 7862 section 15.13.

use std::sync::Arc;

use dittofs_framework::proto::{
    NFS4ERR_ACCESS, NFS4ERR_FBIG, NFS4ERR_INVAL, NFS4ERR_NOTSUPP, NFS4ERR_OPENMODE, NFS4ERR_WRONG_TYPE,
    NFS4ERR_XDEV, Stateid, Status,
};
use dittofs_framework::state::ShareDeny;
use dittofs_ops::clone::{Clone, Clone4Args};
use dittofs_ops::open::{Open, OpenFlag4};
use dittofs_ops::savefh::SaveFh;
use dittofs_tests::{
    BOTH, OpenFile, READ, SessionOptions, TestServerOptions, WRITE, open_args, unchecked, walk,
};
use rstest::rstest;

use crate::common::{Bogus, CONTENT, Object, World, put};
use crate::plain::Plain;

#[derive(Debug, std::clone::Clone, Copy)]
enum End {
    Source,
    Target,
}

/// From, to, how many.
type Range = (u64, u64, u64);

fn args(source: Stateid, target: Stateid, (from, to, count): Range) -> Clone4Args {
    Clone4Args { src_stateid: source, dst_stateid: target, src_offset: from, dst_offset: to, count }
}

async fn run(world: &mut World, source: &OpenFile, target: &OpenFile, range: Range) -> Result<(), Status> {
    let args = args(source.stateid, target.stateid, range);
    let saved = put(world.session.compound(), &source.fh).op::<SaveFh>(&());
    let reply = world.session.run(put(saved, &target.fh).op::<Clone>(&args)).await;
    if reply.status.is_ok() { Ok(()) } else { Err(reply.status) }
}

#[rstest]
#[case::whole((0, 0, 10), b"0123456789")]
#[case::to_the_end((0, 0, 0), b"0123456789")]
#[case::tail((6, 0, 0), b"6789efgh")]
#[case::middle((2, 4, 3), b"abcd234h")]
#[case::over_the_end((2, 6, 3), b"abcdef234")]
#[case::past_the_end((2, 10, 3), b"abcdefgh\0\x00234")]
#[tokio::test]
async fn a_range_is_cloned(#[case] range: Range, #[case] expected: &[u8]) {
    let mut world = World::new().await;
    let target = world.session.open("target").await;
    world.session.write(&target, 0, b"abcdefgh").await;
    let source = world.file.clone();
    run(&mut world, &source, &target, range).await.unwrap();
    assert_eq!(world.session.read(&target, 0, 100).await.data[..], *expected);
    world.stop().await;
}

/// Shared data is not shared writes.
#[tokio::test]
async fn a_clone_is_independent() {
    let mut world = World::new().await;
    let (source, target) = (world.file.clone(), world.session.open("target").await);
    world.session.write(&source, 0, &vec![7; 1 << 17]).await;
    run(&mut world, &source, &target, (0, 0, 0)).await.unwrap();
    world.session.write(&source, 5, b"source").await;
    world.session.write(&target, 1 << 16, b"target").await;
    assert_eq!(world.session.read(&target, 4, 8).await.data[..], [7; 8]);
    assert_eq!(world.session.read(&source, 1 << 16, 8).await.data[..], [7; 8]);
    world.stop().await;
}

#[rstest]
#[case::past_the_end((11, 0, 0), NFS4ERR_INVAL)]
#[case::over_the_end((5, 0, 6), NFS4ERR_INVAL)]
#[case::source_past_64_bits((5, 0, u64::MAX), NFS4ERR_INVAL)]
#[case::target_past_64_bits((0, u64::MAX, 0), NFS4ERR_FBIG)]
#[case::target_over_the_largest_file((0, i64::MAX as u64, 10), NFS4ERR_FBIG)]
#[tokio::test]
async fn a_range_is_refused(#[case] range: Range, #[case] expected: Status) {
    let mut world = World::new().await;
    let target = world.session.open("target").await;
    let source = world.file.clone();
    assert_eq!(run(&mut world, &source, &target, range).await, Err(expected));
    assert!(world.session.read(&target, 0, 100).await.data.is_empty());
    world.stop().await;
}

/// "If SAVED_FH and CURRENT_FH refer to the same file and the source and target ranges overlap, the operation MUST fail with
/// NFS4ERR_INVAL."
#[rstest]
#[case::apart((0, 5, 5), Ok(()))]
#[case::apart_backwards((5, 0, 5), Ok(()))]
#[case::overlapping((0, 4, 5), Err(NFS4ERR_INVAL))]
#[case::overlapping_backwards((4, 0, 5), Err(NFS4ERR_INVAL))]
#[case::same((3, 3, 1), Err(NFS4ERR_INVAL))]
#[case::overlapping_to_the_end((0, 9, 0), Err(NFS4ERR_INVAL))]
#[tokio::test]
async fn within_a_file_a_range_is(#[case] range: Range, #[case] expected: Result<(), Status>) {
    let mut world = World::new().await;
    let file = world.file.clone();
    assert_eq!(run(&mut world, &file, &file, range).await, expected);
    world.stop().await;
}

#[tokio::test]
async fn a_clone_stays_in_its_export() {
    let mut world = World::new().await;
    let open = open_args("target", BOTH, 0, "copier", unchecked());
    let compound = walk(world.session.compound(), &["other"]).op::<Open>(&open);
    let stateid = world.session.run(compound).await.ok().get::<Open>().stateid;
    let target = OpenFile { fh: world.session.lookup(&["other", "target"]).await, stateid };
    let source = world.file.clone();
    assert_eq!(run(&mut world, &source, &target, (0, 0, 0)).await, Err(NFS4ERR_XDEV));
    world.stop().await;
}

#[tokio::test]
async fn a_file_system_that_cannot_share_data_does_not() {
    let options = TestServerOptions { fs: Arc::new(Plain::default()), ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    let target = world.session.open("target").await;
    let source = world.file.clone();
    assert_eq!(run(&mut world, &source, &target, (0, 0, 0)).await, Err(NFS4ERR_NOTSUPP));
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_stateid_is_refused(
    #[values(End::Source, End::Target)] end: End,
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
    let target = world.session.open("target").await;
    let source = world.session.open("source").await;
    // The bogus stateid is about the file of the world, which takes one of the two places.
    let file = world.file.clone();
    let stateid = world.stateid(bogus).await;
    let bad = OpenFile { stateid, ..file };
    let done = match end {
        End::Source => run(&mut world, &bad, &target, (0, 0, 0)).await,
        End::Target => run(&mut world, &source, &bad, (0, 0, 0)).await,
    };
    assert_eq!(done, Err(bogus.status()));
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn what_is_no_file_is_refused(
    #[values(End::Source, End::Target)] end: End,
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
    let file = world.file.clone();
    let bad = OpenFile { fh: world.object(object).await, stateid: Stateid::ANONYMOUS };
    let done = match end {
        End::Source => run(&mut world, &bad, &file, (0, 0, 0)).await,
        End::Target => run(&mut world, &file, &bad, (0, 0, 0)).await,
    };
    assert_eq!(done, Err(NFS4ERR_WRONG_TYPE));
    world.stop().await;
}

/// The source needs an open for reading, or one for writing alone and the caller's permission; the target one for writing.
#[rstest]
#[case::both(BOTH, BOTH, Ok(()))]
#[case::source_for_reading(READ, WRITE, Ok(()))]
#[case::source_for_writing(WRITE, WRITE, Ok(()))]
#[case::target_for_reading(READ, READ, Err(NFS4ERR_OPENMODE))]
#[tokio::test]
async fn opens_must_allow_it(#[case] source: u32, #[case] target: u32, #[case] expected: Result<(), Status>) {
    let mut world = World::new().await;
    let source = world.session.open_as("file", source, 0, "copier").await;
    let target = world.session.open_as("target", target, 0, "copier").await;
    assert_eq!(run(&mut world, &source, &target, (0, 0, 0)).await, expected);
    world.stop().await;
}

#[rstest]
#[case::source(End::Source, ShareDeny::READ)]
#[case::target(End::Target, ShareDeny::WRITE)]
#[tokio::test]
async fn special_stateids_are_taken_unless_denied(#[case] end: End, #[case] deny: ShareDeny) {
    let mut world = World::new().await;
    let mut file = world.file.clone();
    let mut target = world.session.open("target").await;
    (file.stateid, target.stateid) = (Stateid::ANONYMOUS, Stateid::ANONYMOUS);
    let (source, target) = match end {
        End::Source => (file, target),
        End::Target => (target, file),
    };
    run(&mut world, &source, &target, (0, 0, 0)).await.unwrap();
    let other = world.deny(deny.bits()).await;
    assert_eq!(run(&mut world, &source, &target, (0, 0, 0)).await, Err(NFS4ERR_ACCESS));
    drop(other);
    world.stop().await;
}

#[rstest]
#[case::source(End::Source)]
#[case::target(End::Target)]
#[tokio::test]
async fn special_stateids_need_permission(#[case] end: End) {
    let mut world = World::new().await;
    let mut file = world.file.clone();
    let mut target = world.session.open("target").await;
    world.session.write(&target, 0, b"x").await;
    let open_to_all = target.fh.clone();
    world.chmod_of(&open_to_all, 0o666).await;
    world.chmod(0o600).await;
    (file.stateid, target.stateid) = (Stateid::ANONYMOUS, Stateid::ANONYMOUS);
    let (source, target) = match end {
        End::Source => (file, target),
        End::Target => (target, file),
    };
    world.session.act_as(1000, 1000, &[]);
    assert_eq!(run(&mut world, &source, &target, (0, 0, 1)).await, Err(NFS4ERR_ACCESS));
    world.stop().await;
}

/// The current stateids go with the filehandles: the saved one with the source, the current one with the target.
#[tokio::test]
async fn current_stateids_are_those_of_each_filehandle() {
    let mut world = World::new().await;
    let from = open_args("file", READ, 0, "copier", OpenFlag4::NoCreate(()));
    let to = open_args("target", WRITE, 0, "copier", unchecked());
    let compound = walk(world.session.compound(), &["export"]).op::<Open>(&from).op::<SaveFh>(&());
    let compound = walk(compound, &["export"]).op::<Open>(&to);
    let compound = compound.op::<Clone>(&args(Stateid::CURRENT, Stateid::CURRENT, (0, 0, 0)));
    world.session.run(compound).await.ok();
    let target = world.session.open("target").await;
    assert_eq!(world.session.read(&target, 0, 100).await.data[..], *CONTENT);
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handles_or_cut_short_is_refused() {
    let mut world = World::new().await;
    let args = args(world.file.stateid, world.file.stateid, (0, 0, 0));
    world.refuses_without_handles_and_cut_short::<Clone>(&args).await;
    world.stop().await;
}
