//! The delegation that comes with OPEN, and opens that are claimed by one.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 10.4, 10.4.4 and 18.16.3, 9754 sections 4 and 5.

use dittofs_framework::proto::{
    Minor, NFS4ERR_ACCESS, NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, NFS4ERR_EXIST, NFS4ERR_OPENMODE,
    OPEN4_RESULT_NO_OPEN_STATEID, OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS as TIMESTAMPS,
    OPEN4_SHARE_ACCESS_WANT_NO_DELEG as NO_DELEGATION, OPEN4_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION as XOR,
    OpenDelegation4, OpenNoneDelegation4, Stateid, Status, component,
};
use dittofs_ops::open::{CreateHow4, Open, Open4Args, OpenClaim4, OpenClaimDelegateCur4, OpenFlag4};
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_tests::{BOTH, READ, WRITE, mode_attr, open_args, size_attr};
use rstest::rstest;

use crate::delegated::{CONTENT, Delegated, Held, claiming, making, open, open_with, truncating, try_write};

/// What OPEN says of delegations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Read,
    Write,
    WriteWithTimes,
    NotWanted,
    Cancelled,
    Contention,
    Upgrade,
    Downgrade,
    Else,
}

fn said(answer: &OpenDelegation4) -> Said {
    match answer {
        OpenDelegation4::None(()) => Said::Nothing,
        OpenDelegation4::Read(_) => Said::Read,
        OpenDelegation4::Write(_) => Said::Write,
        OpenDelegation4::WriteAttrs(_) => Said::WriteWithTimes,
        OpenDelegation4::NoneExt(OpenNoneDelegation4::NotWanted(())) => Said::NotWanted,
        OpenDelegation4::NoneExt(OpenNoneDelegation4::Cancelled(())) => Said::Cancelled,
        OpenDelegation4::NoneExt(OpenNoneDelegation4::Contention(false)) => Said::Contention,
        OpenDelegation4::NoneExt(OpenNoneDelegation4::NotSuppUpgrade(())) => Said::Upgrade,
        OpenDelegation4::NoneExt(OpenNoneDelegation4::NotSuppDowngrade(())) => Said::Downgrade,
        _ => Said::Else,
    }
}

#[rstest]
#[case::read(READ, Said::Read)]
#[case::write(BOTH, Said::Write)]
#[case::want_read(BOTH | 0x100, Said::Read)]
#[case::want_write(BOTH | 0x200, Said::Write)]
#[case::want_any(READ | 0x300, Said::Read)]
#[case::want_none(READ | 0x400, Said::NotWanted)]
#[case::want_cancel(READ | 0x500, Said::Cancelled)]
#[case::want_any_later(BOTH | 0x3_0300, Said::Write)]
#[tokio::test]
async fn a_lone_client_gets_what_it_wants(
    #[case] share_access: u32,
    #[case] expected: Said,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let mut world = Delegated::of(minor).await;
    let (_, answer) = open(&mut world.holder, share_access).await.unwrap();
    assert_eq!(said(&answer.delegation), expected);
    assert_eq!(answer.rflags & OPEN4_RESULT_NO_OPEN_STATEID, 0);
    world.stop().await;
}

/// What another client has open, or holds, and what is given beside it.
#[rstest]
#[case::reader_beside_reader(READ | 0x400, READ | 0x100, Said::Read)]
#[case::reader_beside_writer(BOTH | 0x400, READ | 0x100, Said::Contention)]
#[case::writer_beside_reader(READ | 0x400, BOTH | 0x200, Said::Contention)]
#[case::silent_writer_beside_reader(READ | 0x400, BOTH, Said::Nothing)]
#[case::reader_beside_holder(READ | 0x100, READ | 0x100, Said::Read)]
#[tokio::test]
async fn no_delegation_is_given_that_others_are_in_the_way_of(
    #[case] theirs: u32,
    #[case] mine: u32,
    #[case] expected: Said,
) {
    let mut world = Delegated::new().await;
    open(&mut world.other, theirs).await.unwrap();
    let (_, answer) = open(&mut world.holder, mine).await.unwrap();
    assert_eq!(said(&answer.delegation), expected);
    world.stop().await;
}

#[rstest]
#[case::upgrade(READ, BOTH | 0x200, Said::Upgrade)]
#[case::downgrade(BOTH, READ | 0x100, Said::Downgrade)]
#[tokio::test]
async fn a_delegation_is_neither_upgraded_nor_downgraded(
    #[case] first: u32,
    #[case] second: u32,
    #[case] expected: Said,
) {
    let mut world = Delegated::new().await;
    let held = world.delegate(first).await;
    let (_, answer) = open(&mut world.holder, second).await.unwrap();
    assert_eq!(said(&answer.delegation), expected);
    assert_eq!(world.is_recalled(&held), Some(false));
    world.stop().await;
}

/// An open that is in the way of a delegation waits for it, and is granted when it is returned.
#[rstest]
#[case::read_and_write(READ, WRITE, true)]
#[case::write_and_read(BOTH, READ, true)]
#[case::write_and_write(BOTH, WRITE, true)]
#[case::read_and_read(READ, READ, false)]
#[tokio::test]
async fn an_open_recalls_what_it_is_in_conflict_with(
    #[case] delegated: u32,
    #[case] opened: u32,
    #[case] conflicts: bool,
) {
    let mut world = Delegated::new().await;
    let held = world.delegate(delegated).await;
    let refused = open(&mut world.other, opened).await.err();
    assert_eq!(refused, conflicts.then_some(NFS4ERR_DELAY));
    assert_eq!(world.is_recalled(&held), Some(conflicts));
    if conflicts {
        world.give_back(&held).await.unwrap();
        open(&mut world.other, opened | 0x400).await.unwrap();
    }
    world.stop().await;
}

/// An open for reading that empties the file writes it.
#[tokio::test]
async fn a_truncating_open_recalls() {
    let mut world = Delegated::new().await;
    let held = world.delegate(READ).await;
    assert_eq!(open_with(&mut world.other, &truncating(READ)).await.err(), Some(NFS4ERR_DELAY));
    assert_eq!(world.is_recalled(&held), Some(true));
    world.give_back(&held).await.unwrap();
    open_with(&mut world.other, &truncating(READ)).await.unwrap();
    world.stop().await;
}

/// RFC 9754 section 4: with a delegation there is no open, and the anonymous stateid stands for it.
#[rstest]
#[case::read(READ | 0x100 | XOR)]
#[case::write(BOTH | 0x200 | XOR)]
#[tokio::test]
async fn a_delegation_stands_for_the_open(#[case] share_access: u32) {
    let mut world = Delegated::new().await;
    let (file, answer) = open(&mut world.holder, share_access).await.unwrap();
    assert_eq!(answer.rflags & OPEN4_RESULT_NO_OPEN_STATEID, OPEN4_RESULT_NO_OPEN_STATEID);
    assert_eq!(answer.stateid, Stateid::ANONYMOUS);
    let stateid = answer.delegation.stateid().unwrap();
    let written = try_write(&mut world.holder, &file, stateid).await;
    assert_eq!(written, if share_access & WRITE == 0 { Err(NFS4ERR_OPENMODE) } else { Ok(()) });
    // It is open for others as well.
    let denying = open_args("file", READ | 0x400, 0, "opener", OpenFlag4::NoCreate(()));
    let theirs = open_with(&mut world.other, &denying).await;
    assert_eq!(theirs.err(), (share_access & WRITE != 0).then_some(NFS4ERR_DELAY));
    world.stop().await;
}

/// Without a delegation there is an open.
#[tokio::test]
async fn where_there_is_no_delegation_there_is_an_open() {
    let mut world = Delegated::new().await;
    open(&mut world.other, BOTH | 0x400).await.unwrap();
    let (file, answer) = open(&mut world.holder, READ | 0x100 | XOR).await.unwrap();
    assert_eq!(answer.rflags & OPEN4_RESULT_NO_OPEN_STATEID, 0);
    assert_eq!(said(&answer.delegation), Said::Contention);
    world.holder.close(&file).await;
    world.stop().await;
}

/// RFC 9754 section 5: who may write the file may keep its times; of a file that several may read none keeps them.
#[rstest]
#[case::write(BOTH | 0x200 | TIMESTAMPS, Said::WriteWithTimes)]
#[case::read(READ | 0x100 | TIMESTAMPS, Said::Read)]
#[tokio::test]
async fn a_writer_may_keep_the_times(#[case] share_access: u32, #[case] expected: Said) {
    let mut world = Delegated::new().await;
    let (_, answer) = open(&mut world.holder, share_access).await.unwrap();
    assert_eq!(said(&answer.delegation), expected);
    world.stop().await;
}

fn by_handle(stateid: Stateid, share_access: u32) -> Open4Args {
    claiming(OpenClaim4::DelegCurFh(stateid), share_access)
}

fn by_name(stateid: Stateid, name: &str, share_access: u32) -> Open4Args {
    let current = OpenClaimDelegateCur4 { delegate_stateid: stateid, file: component(name) };
    claiming(OpenClaim4::DelegateCur(current), share_access)
}

/// Opens that the holder made on its own become opens of the server, recalled or not.
#[rstest]
#[case::read_of_read(READ, READ, Ok(()))]
#[case::write_of_read(READ, WRITE, Err(NFS4ERR_BAD_STATEID))]
#[case::read_of_write(BOTH, READ, Ok(()))]
#[case::both_of_write(BOTH, BOTH, Ok(()))]
#[tokio::test]
async fn an_open_is_claimed_by_a_delegation(
    #[case] delegated: u32,
    #[case] claimed: u32,
    #[case] expected: Result<(), Status>,
    #[values(false, true)] recalled: bool,
) {
    let mut world = Delegated::new().await;
    let held = world.delegate(delegated | 0x300 | XOR).await;
    if recalled {
        assert_eq!(open(&mut world.other, WRITE).await.err(), Some(NFS4ERR_DELAY));
    }
    let of_name = open_with(&mut world.holder, &by_name(held.stateid, "file", claimed)).await;
    assert_eq!(of_name.map(drop), expected);
    let args = by_handle(held.stateid, claimed);
    let of_handle = world.run::<dittofs_ops::Open>(&held, &args).await;
    if let Ok(answer) = &of_handle {
        assert_eq!(said(&answer.delegation), Said::Nothing, "it has one");
        assert_ne!(answer.stateid, Stateid::ANONYMOUS);
    }
    assert_eq!(of_handle.map(drop), expected);
    world.give_back(&held).await.unwrap();
    world.stop().await;
}

/// A delegation that does not allow the open.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    Anonymous,
    Garbage,
    Open,
    OtherFile,
    OtherClient,
    Returned,
}

#[rstest]
#[case::anonymous(Wrong::Anonymous)]
#[case::garbage(Wrong::Garbage)]
#[case::open(Wrong::Open)]
#[case::other_file(Wrong::OtherFile)]
#[case::other_client(Wrong::OtherClient)]
#[case::returned(Wrong::Returned)]
#[tokio::test]
async fn an_open_is_not_claimed_by_another_stateid(#[case] wrong: Wrong) {
    let mut world = Delegated::new().await;
    let held: Held = world.delegate(READ).await;
    let stateid = match wrong {
        Wrong::Anonymous => Stateid::ANONYMOUS,
        Wrong::Garbage => Stateid { seqid: 1, other: *b"never issued" },
        Wrong::Open => held.file.stateid,
        Wrong::OtherFile => {
            let (_, answer) = open_with(&mut world.holder, &making("another file", READ)).await.unwrap();
            answer.delegation.stateid().unwrap()
        }
        Wrong::OtherClient => open(&mut world.other, READ).await.unwrap().1.delegation.stateid().unwrap(),
        Wrong::Returned => {
            world.give_back(&held).await.unwrap();
            held.stateid
        }
    };
    let of_name = open_with(&mut world.holder, &by_name(stateid, "file", READ)).await;
    assert_eq!(of_name.err(), Some(NFS4ERR_BAD_STATEID));
    let of_handle = world.run::<dittofs_ops::Open>(&held, &by_handle(stateid, READ)).await;
    assert_eq!(of_handle.err(), Some(NFS4ERR_BAD_STATEID));
    world.stop().await;
}

/// With creation: the file is there, as it is delegated.
#[rstest]
#[case::unchecked(CreateHow4::Unchecked(mode_attr(0o600)), Ok(CONTENT.len()))]
#[case::truncating(CreateHow4::Unchecked(size_attr(0)), Ok(0))]
#[case::guarded(CreateHow4::Guarded(mode_attr(0o600)), Err(NFS4ERR_EXIST))]
#[case::exclusive(CreateHow4::Exclusive([7; 8]), Err(NFS4ERR_EXIST))]
#[tokio::test]
async fn a_claimed_open_makes_no_file(#[case] how: CreateHow4, #[case] expected: Result<usize, Status>) {
    let mut world = Delegated::new().await;
    let held = world.delegate(BOTH).await;
    let args = Open4Args { openhow: OpenFlag4::Create(how), ..by_name(held.stateid, "file", BOTH) };
    let opened = open_with(&mut world.holder, &args).await;
    let len = match opened {
        Ok((file, _)) => Ok(world.holder.read(&file, 0, 100).await.data.len()),
        Err(status) => Err(status),
    };
    assert_eq!(len, expected);
    world.stop().await;
}

/// Origin: the Linux client, that returns a delegation while pjdfstest has files open whose modes do not allow it any more.
/// RFC: 8881 section 10.4.4. Opens that the holder has made become opens of the server.
#[rstest]
#[case::for_whom_it_was_given(3000, READ, 1000, READ, Ok(()))]
#[case::for_another_user(3000, READ, 2000, READ, Err(NFS4ERR_ACCESS))]
#[case::for_whom_it_was_given_with_more_access(3000, WRITE, 1000, READ, Err(NFS4ERR_ACCESS))]
#[case::with_more_access_for_the_owner(1000, WRITE, 1000, READ, Ok(()))]
#[tokio::test]
async fn an_open_by_a_delegation_outlives_the_mode(
    #[case] owner: u32,
    #[case] delegated: u32,
    #[case] user: u32,
    #[case] claimed: u32,
    #[case] expected: Result<(), Status>,
) {
    let mut world = Delegated::new().await;
    world.holder.act_as(owner, owner, &[]);
    let (file, _) = open_with(&mut world.holder, &making("mine", BOTH | NO_DELEGATION)).await.unwrap();
    let chmod = |mode| Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: mode_attr(mode) };
    world.holder.run_on::<SetAttr>(&file.fh, &chmod(0o666)).await.unwrap();
    world.holder.close(&file).await;
    world.holder.act_as(1000, 1000, &[]);
    let opening = open_args("mine", delegated | 0x300 | XOR, 0, "opener", OpenFlag4::NoCreate(()));
    let (_, answer) = open_with(&mut world.holder, &opening).await.unwrap();
    let stateid = answer.delegation.stateid().unwrap();
    world.holder.act_as(owner, owner, &[]);
    world.holder.run_on::<SetAttr>(&file.fh, &chmod(0)).await.unwrap();
    world.holder.act_as(user, user, &[]);
    let opened = world.holder.run_on::<Open>(&file.fh, &by_handle(stateid, claimed)).await;
    assert_eq!(opened.map(drop), expected);
    world.stop().await;
}
