//! Origin: the statements of the RFC, one by one.
//! RFC: 7862 section 15.2.

use std::sync::Arc;

use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    NFS4ERR_ACCESS, NFS4ERR_FBIG, NFS4ERR_INVAL, NFS4ERR_LOCKED, NFS4ERR_OFFLOAD_DENIED, NFS4ERR_OPENMODE,
    NFS4ERR_WRONG_TYPE, Stateid, Status, component,
};
use dittofs_framework::state::ShareDeny;
use dittofs_ops::commit::{Commit, Commit4Args};
use dittofs_ops::copy::{Copy, Copy4Args, Copy4ResOk, CopyRequirements4, NetAddr4, NetLoc4};
use dittofs_ops::open::{Open, OpenFlag4};
use dittofs_ops::savefh::SaveFh;
use dittofs_tests::{
    BOTH, OpenFile, READ, SessionOptions, TestServerOptions, WRITE, open_args, unchecked, walk,
};
use rstest::rstest;

use crate::common::{Bogus, CONTENT, Object, World, put};
use crate::plain::Plain;

#[derive(Debug, Clone, Copy)]
enum End {
    Source,
    Target,
}

/// From, to, how many.
type Range = (u64, u64, u64);

fn args(source: Stateid, target: Stateid, (from, to, count): Range) -> Copy4Args {
    Copy4Args {
        src_stateid: source,
        dst_stateid: target,
        src_offset: from,
        dst_offset: to,
        count,
        consecutive: true,
        synchronous: true,
        source_server: Vec::new(),
    }
}

async fn run_args(
    world: &mut World,
    source: &OpenFile,
    target: &OpenFile,
    args: &Copy4Args,
) -> Result<Copy4ResOk, Status> {
    let saved = put(world.session.compound(), &source.fh).op::<SaveFh>(&());
    let reply = world.session.run(put(saved, &target.fh).op::<Copy>(args)).await;
    if reply.status.is_ok() { Ok(reply.get::<Copy>()) } else { Err(reply.status) }
}

async fn run(
    world: &mut World,
    source: &OpenFile,
    target: &OpenFile,
    range: Range,
) -> Result<Copy4ResOk, Status> {
    run_args(world, source, target, &args(source.stateid, target.stateid, range)).await
}

/// A world whose file system copies by itself, and one whose file system does not.
async fn world_of(copies: Copies) -> World {
    let mut options = TestServerOptions::default();
    if copies == Copies::ByReadsAndWrites {
        options.fs = Arc::new(Plain::default());
    }
    World::with(options, SessionOptions::default()).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copies {
    ByItself,
    ByReadsAndWrites,
}

#[rstest]
#[case::whole((0, 0, 10), b"0123456789")]
#[case::to_the_end((0, 0, 0), b"0123456789")]
#[case::tail((6, 0, 0), b"6789efgh")]
#[case::middle((2, 4, 3), b"abcd234h")]
#[case::over_the_end((2, 6, 3), b"abcdef234")]
#[case::past_the_end((2, 10, 3), b"abcdefgh\0\x00234")]
#[case::nothing_at_the_end((10, 0, 0), b"abcdefgh")]
#[tokio::test]
async fn a_range_is_copied(
    #[values(Copies::ByItself, Copies::ByReadsAndWrites)] copies: Copies,
    #[case] range: Range,
    #[case] expected: &[u8],
) {
    let mut world = world_of(copies).await;
    let target = world.session.open("target").await;
    world.session.write(&target, 0, b"abcdefgh").await;
    let source = world.file.clone();
    let copied = run(&mut world, &source, &target, range).await.unwrap();
    let count = if range.2 == 0 { 10 - range.0 } else { range.2 };
    assert_eq!((copied.response.count, copied.response.callback_id), (count, None));
    assert_eq!(copied.requirements, CopyRequirements4 { consecutive: true, synchronous: true });
    assert_eq!(world.session.read(&target, 0, 100).await.data[..], *expected);
    let commit = world.run_on::<Commit>(&target.fh, &Commit4Args { offset: 0, count: 0 }).await.unwrap();
    assert_eq!(copied.response.writeverf, commit.writeverf);
    world.stop().await;
}

#[rstest]
#[case::past_the_end((11, 0, 0), NFS4ERR_INVAL)]
#[case::over_the_end((5, 0, 6), NFS4ERR_INVAL)]
#[case::source_past_64_bits((5, 0, u64::MAX), NFS4ERR_INVAL)]
#[case::target_past_64_bits((0, u64::MAX, 0), NFS4ERR_FBIG)]
#[case::target_over_the_largest_file((0, i64::MAX as u64, 10), NFS4ERR_FBIG)]
#[tokio::test]
async fn a_range_is_refused(
    #[values(Copies::ByItself, Copies::ByReadsAndWrites)] copies: Copies,
    #[case] range: Range,
    #[case] expected: Status,
) {
    let mut world = world_of(copies).await;
    let target = world.session.open("target").await;
    let source = world.file.clone();
    assert_eq!(run(&mut world, &source, &target, range).await, Err(expected));
    assert!(world.session.read(&target, 0, 100).await.data.is_empty());
    world.stop().await;
}

/// "If SAVED_FH and CURRENT_FH refer to the same file, the operation MUST fail with NFS4ERR_INVAL."
#[tokio::test]
async fn a_file_is_not_copied_into_itself() {
    let mut world = World::new().await;
    let file = world.file.clone();
    assert_eq!(run(&mut world, &file, &file, (0, 20, 5)).await, Err(NFS4ERR_INVAL));
    world.stop().await;
}

#[rstest]
#[case::neither(false, false)]
#[case::consecutive(true, false)]
#[case::synchronous(false, true)]
#[tokio::test]
async fn requirements_are_met_asked_or_not(#[case] consecutive: bool, #[case] synchronous: bool) {
    let mut world = World::new().await;
    let target = world.session.open("target").await;
    let source = world.file.clone();
    let args = Copy4Args { consecutive, synchronous, ..args(source.stateid, target.stateid, (0, 0, 0)) };
    let copied = run_args(&mut world, &source, &target, &args).await.unwrap();
    assert_eq!(copied.requirements, CopyRequirements4 { consecutive: true, synchronous: true });
    world.stop().await;
}

#[rstest]
#[case::name(NetLoc4::Name(component("elsewhere")))]
#[case::url(NetLoc4::Url(component("nfs://elsewhere/")))]
#[case::address(NetLoc4::NetAddr(NetAddr4 { netid: component("tcp"), addr: component("192.0.2.1.8.1") }))]
#[tokio::test]
async fn a_copy_from_another_server_is_denied(#[case] server: NetLoc4) {
    let mut world = World::new().await;
    let target = world.session.open("target").await;
    let source = world.file.clone();
    let args = Copy4Args { source_server: vec![server], ..args(source.stateid, target.stateid, (0, 0, 0)) };
    assert_eq!(run_args(&mut world, &source, &target, &args).await, Err(NFS4ERR_OFFLOAD_DENIED));
    world.stop().await;
}

#[tokio::test]
async fn a_copy_reaches_another_export() {
    let mut world = World::new().await;
    let open = open_args("target", BOTH, 0, "copier", unchecked());
    let compound = walk(world.session.compound(), &["other"]).op::<Open>(&open);
    let stateid = world.session.run(compound).await.ok().get::<Open>().stateid;
    let target = OpenFile { fh: world.session.lookup(&["other", "target"]).await, stateid };
    let source = world.file.clone();
    let copied = run(&mut world, &source, &target, (0, 0, 0)).await.unwrap();
    assert_eq!(copied.response.count, 10);
    assert_eq!(world.session.read(&target, 0, 100).await.data[..], *CONTENT);
    world.stop().await;
}

/// A copy by reads and writes goes in chunks, and stops after 4 MiB: the client asks for the rest.
#[tokio::test]
async fn a_large_copy_is_done_in_part() {
    const SIZE: u64 = 6 << 20;
    let limits = Limits { max_io: 3 << 18, ..Limits::default() };
    let options =
        TestServerOptions { fs: Arc::new(Plain::default()), limits, ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    let source = world.file.clone();
    world.truncate(SIZE).await;
    world.session.write(&source, (4 << 20) - 2, b"abcd").await;
    let target = world.session.open("target").await;
    let first = run(&mut world, &source, &target, (0, 0, SIZE)).await.unwrap().response.count;
    assert_eq!(first, 4 << 20);
    let rest = run(&mut world, &source, &target, (first, first, SIZE - first)).await.unwrap().response.count;
    assert_eq!(first + rest, SIZE);
    let read = world.session.read(&target, (4 << 20) - 3, 6).await;
    assert_eq!(read.data[..], *b"\0abcd\0");
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
    assert_eq!(done.map(drop), Err(bogus.status()));
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
    assert_eq!(done.map(drop), Err(NFS4ERR_WRONG_TYPE));
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
    assert_eq!(run(&mut world, &source, &target, (0, 0, 0)).await.map(drop), expected);
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
    assert_eq!(run(&mut world, &source, &target, (0, 0, 0)).await.map(drop), Err(NFS4ERR_LOCKED));
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
    assert_eq!(run(&mut world, &source, &target, (0, 0, 1)).await.map(drop), Err(NFS4ERR_ACCESS));
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
    let compound = compound.op::<Copy>(&args(Stateid::CURRENT, Stateid::CURRENT, (0, 0, 0)));
    world.session.run(compound).await.ok();
    let target = world.session.open("target").await;
    assert_eq!(world.session.read(&target, 0, 100).await.data[..], *CONTENT);
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handles_or_cut_short_is_refused() {
    let mut world = World::new().await;
    let args = args(world.file.stateid, world.file.stateid, (0, 0, 0));
    world.refuses_without_handles_and_cut_short::<Copy>(&args).await;
    world.stop().await;
}
