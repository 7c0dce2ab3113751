//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 10.4.7, 18.16.3 and 18.49, 9754 section 5.
//!
//! Not reached: DELEG_ALREADY_WANTED (wants are not kept), FHEXPIRED, MOVED (handles persist, nothing migrates), IO, RECALLCONFLICT,
//! WRONG_TYPE (what is no file is told in the answer). GRACE, RECLAIM_CONFLICT and good reclaims are in the tests of `recovery`.

use dittofs_framework::compound::Limits;
use dittofs_framework::proto::Stateid;
use dittofs_framework::proto::{
    Minor, NFS4ERR_BADXDR, NFS4ERR_INVAL, NFS4ERR_NO_GRACE, NFS4ERR_NOFILEHANDLE, NFS4ERR_NOTSUPP,
    NFS4ERR_OPENMODE, NFS4ERR_RECLAIM_BAD, NFS4ERR_STALE, NfsFh4, OpenDelegation4,
    OpenDelegationType4 as Held4, OpenNoneDelegation4 as Why, Status, component,
};
use dittofs_framework::state::StateLimits;
use dittofs_ops::create::CreateType4;
use dittofs_ops::delegreturn::{DelegReturn, Delegreturn4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_ops::want_delegation::{DelegClaim4, WantDelegation, WantDelegation4Args};
use dittofs_tests::{BOTH, OpenFile, READ, Session, TestServerOptions, WRITE, mode_attr};
use rstest::rstest;

use crate::delegated::{Delegated, open, options, try_write};

fn args(want: u32) -> WantDelegation4Args {
    WantDelegation4Args { want, claim: DelegClaim4::Fh(()) }
}

async fn want(session: &mut Session, fh: &NfsFh4, want: u32) -> Result<OpenDelegation4, Status> {
    session.run_on::<WantDelegation>(fh, &args(want)).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Read,
    Write,
    WriteWithTimes,
    No(Why),
}

fn given(answer: &OpenDelegation4) -> Given {
    match answer {
        OpenDelegation4::Read(_) => Given::Read,
        OpenDelegation4::Write(_) => Given::Write,
        OpenDelegation4::WriteAttrs(_) => Given::WriteWithTimes,
        OpenDelegation4::NoneExt(why) => Given::No(*why),
        // "WANT_DELEGATION MUST NOT return a delegation type of OPEN_DELEGATE_NONE".
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case::read(0x100, Given::Read)]
#[case::write(0x200, Given::Write)]
#[case::any(0x300, Given::Write)]
#[case::access_is_ignored(0x102, Given::Read)]
#[case::no_deleg_is_ignored(0x600, Given::Write)]
#[case::with_times(0x10_0200, Given::WriteWithTimes)]
#[case::cancel(0x500, Given::No(Why::Cancelled(())))]
#[tokio::test]
async fn a_lone_client_gets_what_it_wants(#[case] wanted: u32, #[case] expected: Given) {
    let mut world = Delegated::new().await;
    let fh = world.holder.lookup(&["export", "file"]).await;
    let answer = want(&mut world.holder, &fh, wanted).await.unwrap();
    assert_eq!(given(&answer), expected);
    if let Some(deleg_stateid) = answer.stateid() {
        let file = OpenFile { fh: fh.clone(), stateid: deleg_stateid };
        let written = try_write(&mut world.holder, &file, deleg_stateid);
        assert_eq!(written.await.err(), (expected == Given::Read).then_some(NFS4ERR_OPENMODE));
        world.holder.run_on::<DelegReturn>(&fh, &Delegreturn4Args { deleg_stateid }).await.unwrap();
    }
    world.stop().await;
}

/// What another client has open, or holds: "a request for a conflicting delegation is not normally intended to trigger the recall".
#[rstest]
#[case::open_for_reading(READ | 0x400, 0x100, Given::Read)]
#[case::open_for_writing(WRITE | 0x400, 0x100, Given::No(Why::Contention(false)))]
#[case::open_for_reading_and_write_wanted(READ | 0x400, 0x200, Given::No(Why::Contention(false)))]
#[case::read_delegation(READ | 0x100, 0x100, Given::Read)]
#[case::write_delegation(BOTH | 0x200, 0x3_0100, Given::No(Why::Contention(false)))]
#[tokio::test]
async fn others_are_in_the_way(#[case] theirs: u32, #[case] wanted: u32, #[case] expected: Given) {
    let mut world = Delegated::new().await;
    let (file, _) = open(&mut world.other, theirs).await.unwrap();
    let answer = want(&mut world.holder, &file.fh, wanted).await.unwrap();
    assert_eq!(given(&answer), expected);
    let views = world.server.service.state().delegations(None, None, usize::MAX);
    assert!(views.iter().all(|view| view.recalled_at.is_none()));
    world.stop().await;
}

#[rstest]
#[case::upgrade(READ, 0x200, Why::NotSuppUpgrade(()))]
#[case::downgrade(BOTH, 0x100, Why::NotSuppDowngrade(()))]
#[tokio::test]
async fn there_is_no_change_of_the_type(#[case] held: u32, #[case] wanted: u32, #[case] why: Why) {
    let mut world = Delegated::new().await;
    let held = world.delegate(held).await;
    let answer = want(&mut world.holder, &held.file.fh, wanted).await.unwrap();
    assert_eq!(given(&answer), Given::No(why));
    world.stop().await;
}

#[rstest]
#[case::directory(CreateType4::Dir, 0x100, Why::IsDir(()))]
#[case::directory_to_write(CreateType4::Dir, 0x200, Why::IsDir(()))]
#[case::pipe(CreateType4::Fifo, 0x100, Why::NotSuppFtype(()))]
#[case::pipe_to_write(CreateType4::Fifo, 0x200, Why::WriteDelegNotSuppFtype(()))]
#[case::symlink(CreateType4::Link(component("target")), 0x300, Why::NotSuppFtype(()))]
#[case::socket_to_write(CreateType4::Socket, 0x200, Why::WriteDelegNotSuppFtype(()))]
#[tokio::test]
async fn what_is_no_file_has_no_delegations(
    #[case] kind: CreateType4,
    #[case] wanted: u32,
    #[case] why: Why,
) {
    let mut world = Delegated::new().await;
    let fh = world.holder.create("object", kind, 0o777).await;
    let answer = want(&mut world.holder, &fh, wanted).await.unwrap();
    assert_eq!(given(&answer), Given::No(why));
    world.stop().await;
}

/// There is no status for it: whoever may not read or write the file gets no delegation.
#[rstest]
#[case::read_of_readable(0o604, 0x100, Given::Read)]
#[case::any_of_readable(0o604, 0x300, Given::Read)]
#[case::write_of_readable(0o604, 0x200, Given::No(Why::Resource(false)))]
#[case::any_of_secret(0o600, 0x300, Given::No(Why::Resource(false)))]
#[tokio::test]
async fn permission_is_asked_for(#[case] mode: u32, #[case] wanted: u32, #[case] expected: Given) {
    let mut world = Delegated::new().await;
    let fh = world.other.lookup(&["export", "file"]).await;
    let chmod = Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: mode_attr(mode) };
    world.other.run_on::<SetAttr>(&fh, &chmod).await.unwrap();
    world.holder.act_as(1000, 1000, &[]);
    assert_eq!(given(&want(&mut world.holder, &fh, wanted).await.unwrap()), expected);
    world.stop().await;
}

#[rstest]
#[case::of_a_client(StateLimits { delegations_per_client: 1, ..StateLimits::default() })]
#[case::in_all(StateLimits { delegations_total: 1, ..StateLimits::default() })]
#[tokio::test]
async fn there_is_a_limit(#[case] state: StateLimits) {
    let limits = Limits { state, ..Limits::default() };
    let mut world = Delegated::with(TestServerOptions { limits, ..options() }, Minor::V2).await;
    let another = world.holder.open_as("another file", READ | 0x400, 0, "owner").await;
    world.delegate(READ).await;
    let answer = want(&mut world.holder, &another.fh, 0x1_0100).await.unwrap();
    assert_eq!(given(&answer), Given::No(Why::Resource(false)));
    world.stop().await;
}

#[rstest]
#[case::nothing(0)]
#[case::no_deleg(0x400)]
#[case::flags_alone(0x3_0000)]
#[case::unknown(0x1100)]
#[case::xor(0x20_0100)]
#[tokio::test]
async fn a_want_is_invalid(#[case] wanted: u32) {
    let mut world = Delegated::new().await;
    let fh = world.holder.lookup(&["export", "file"]).await;
    assert_eq!(want(&mut world.holder, &fh, wanted).await.err(), Some(NFS4ERR_INVAL));
    world.stop().await;
}

/// RFC 9754 is of minor version 2.
#[tokio::test]
async fn times_mean_nothing_in_minor_version_1() {
    let mut world = Delegated::of(Minor::V1).await;
    let fh = world.holder.lookup(&["export", "file"]).await;
    assert_eq!(want(&mut world.holder, &fh, 0x10_0200).await.err(), Some(NFS4ERR_INVAL));
    let held = WantDelegation4Args { want: 0x200, claim: DelegClaim4::Previous(Held4::WriteAttrs) };
    assert_eq!(world.holder.run_on::<WantDelegation>(&fh, &held).await.err(), Some(NFS4ERR_BADXDR));
    world.stop().await;
}

#[rstest]
#[case::previous(DelegClaim4::Previous(Held4::Read), NFS4ERR_NO_GRACE)]
#[case::nothing_held(DelegClaim4::Previous(Held4::None), NFS4ERR_RECLAIM_BAD)]
#[case::no_reason_held(DelegClaim4::Previous(Held4::NoneExt), NFS4ERR_RECLAIM_BAD)]
#[case::earlier_instance(DelegClaim4::DelegPrevFh(()), NFS4ERR_NOTSUPP)]
#[tokio::test]
async fn nothing_was_held_before(#[case] claim: DelegClaim4, #[case] expected: Status) {
    let mut world = Delegated::new().await;
    let fh = world.holder.lookup(&["export", "file"]).await;
    let args = WantDelegation4Args { want: 0x100, claim };
    assert_eq!(world.holder.run_on::<WantDelegation>(&fh, &args).await.err(), Some(expected));
    world.stop().await;
}

#[tokio::test]
async fn it_refuses_what_is_not_whole_or_not_there() {
    let mut world = Delegated::new().await;
    let alone = world.holder.compound().op::<WantDelegation>(&args(0x100));
    assert_eq!(world.holder.run(alone).await.status, NFS4ERR_NOFILEHANDLE);
    let fh = world.holder.lookup(&["export", "file"]).await;
    for bytes in [[0; 4].as_slice(), &[0, 0, 1, 0, 0, 0, 0, 0], &[0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 6]] {
        let compound = crate::common::put(world.holder.compound(), &fh).op_with_args::<WantDelegation>(bytes);
        assert_eq!(world.holder.run(compound).await.status, NFS4ERR_BADXDR, "{bytes:?}");
    }
    let share = world.other.share().await;
    world.other.run_on::<Remove>(&share, &Remove4Args { target: component("file") }).await.unwrap();
    assert_eq!(want(&mut world.holder, &fh, 0x100).await.err(), Some(NFS4ERR_STALE));
    world.stop().await;
}
