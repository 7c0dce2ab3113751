//! OPEN's share reservations: which opens conflict, which become one, and what is said of delegations.
//!
//! Origin: the statements of the RFC, one by one; the pseudo-code of section 9.7, computed here anew.
//! RFC: 8881 sections 9.7, 9.8, 9.9, 9.10 and 18.16.3.

use dittofs_framework::proto::{
    Minor, NFS4_OK, NFS4ERR_LOCKED, NFS4ERR_OPENMODE, NFS4ERR_SHARE_DENIED, Stateid, Status, component,
};
use dittofs_framework::state::ShareDeny;
use dittofs_ops::io::StableHow4;
use dittofs_ops::link::{Link, Link4Args};
use dittofs_ops::open::{
    OPEN4_SHARE_ACCESS_WANT_ANY_DELEG, OPEN4_SHARE_ACCESS_WANT_CANCEL, OPEN4_SHARE_ACCESS_WANT_NO_DELEG,
    OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED, OPEN4_SHARE_ACCESS_WANT_READ_DELEG,
    OPEN4_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL, OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG, Open,
    Open4Args, OpenClaim4, OpenDelegation4, OpenFlag4, OpenNoneDelegation4,
};
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::write::{Write, Write4Args};
use dittofs_tests::{BOTH, OpenFile, READ, Session, WRITE, open_args, walk};
use rstest::rstest;

use crate::common::{World, put};

const EXPORT: &[&str] = &["export"];
const DENY_READ: u32 = ShareDeny::READ.bits();
const DENY_WRITE: u32 = ShareDeny::WRITE.bits();
const DENY_BOTH: u32 = ShareDeny::BOTH.bits();

fn args(access: u32, deny: u32, opener: &str) -> Open4Args {
    open_args("file", access, deny, opener, OpenFlag4::NoCreate(()))
}

async fn try_open(session: &mut Session, access: u32, deny: u32, opener: &str) -> Result<OpenFile, Status> {
    let (fh, answer) = session.try_open(EXPORT, &args(access, deny, opener)).await?;
    Ok(OpenFile { fh, stateid: answer.stateid })
}

/// A world in which nobody has the file open.
async fn closed(minor: Minor) -> World {
    let mut world = World::of(minor).await;
    world.close().await;
    world
}

/// Who opens the file the second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    OtherClient,
    OtherOwner,
    SameOwner,
}

/// "If ((request.access & file_state.deny) || (request.deny & file_state.access)) return NFS4ERR_SHARE_DENIED": for all values, and also
/// against opens of the same open-owner.
#[rstest]
#[tokio::test]
async fn every_pair_of_modes(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[values(Second::OtherClient, Second::OtherOwner, Second::SameOwner)] second: Second,
) {
    let mut world = closed(minor).await;
    let mut other = world.client("other client").await;
    for case in 0..9 * 16 {
        let (access, held_access) = (1 + case % 3, 1 + case / 3 % 3);
        let (deny, held_deny) = (case / 9 % 4, case / 36);
        let held = try_open(&mut world.session, held_access, held_deny, "owner").await.unwrap();
        let opened = match second {
            Second::OtherClient => try_open(&mut other, access, deny, "owner").await,
            Second::OtherOwner => try_open(&mut world.session, access, deny, "other owner").await,
            Second::SameOwner => try_open(&mut world.session, access, deny, "owner").await,
        };
        let is_denied = access & held_deny != 0 || deny & held_access != 0;
        let expected = if is_denied { NFS4ERR_SHARE_DENIED } else { NFS4_OK };
        let status = opened.as_ref().err().copied().unwrap_or(NFS4_OK);
        assert_eq!(status, expected, "{held_access}/{held_deny} then {access}/{deny}");
        match (second, opened) {
            (Second::SameOwner, Ok(both)) => {
                world.session.close(&both).await;
                continue;
            }
            (Second::OtherClient, Ok(theirs)) => other.close(&theirs).await,
            (_, Ok(theirs)) => world.session.close(&theirs).await,
            (_, Err(_)) => {}
        }
        world.session.close(&held).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn an_open_by_handle_is_denied_as_well() {
    let mut world = closed(Minor::V2).await;
    let fh = world.file.fh.clone();
    try_open(&mut world.session, READ, DENY_WRITE, "owner").await.unwrap();
    let mut other = world.client("other client").await;
    let by_handle = |access| Open4Args { claim: OpenClaim4::Fh(()), ..args(access, 0, "owner") };
    assert_eq!(other.run_on::<Open>(&fh, &by_handle(WRITE)).await.err(), Some(NFS4ERR_SHARE_DENIED));
    assert!(other.run_on::<Open>(&fh, &by_handle(READ)).await.is_ok());
    world.stop().await;
}

/// "The result is to OR together the new share and deny status": one stateid whose seqid grows, also by an OPEN that changes nothing, and
/// one CLOSE.
#[rstest]
#[case::v4_1(Minor::V1)]
#[case::v4_2(Minor::V2)]
#[tokio::test]
async fn opens_of_an_owner_are_one(#[case] minor: Minor) {
    let mut world = closed(minor).await;
    let first = try_open(&mut world.session, READ, 0, "owner").await.unwrap();
    let write = Write4Args {
        stateid: Stateid { seqid: 0, ..first.stateid },
        offset: 0,
        stable: StableHow4::FileSync,
        data: b"x".as_slice().into(),
    };
    assert_eq!(world.run::<Write>(&write).await.map(drop), Err(NFS4ERR_OPENMODE));
    let second = try_open(&mut world.session, WRITE, 0, "owner").await.unwrap();
    assert_eq!(second.stateid, Stateid { seqid: 2, ..first.stateid });
    assert_eq!(world.run::<Write>(&write).await.map(drop), Ok(()));
    let third = try_open(&mut world.session, READ, 0, "owner").await.unwrap();
    assert_eq!(third.stateid, Stateid { seqid: 3, ..first.stateid });
    world.session.close(&third).await;
    let mut other = world.client("other client").await;
    assert!(try_open(&mut other, BOTH, DENY_BOTH, "owner").await.is_ok(), "nothing is open");
    world.stop().await;
}

/// An OPEN that is denied leaves the open of its owner as it was.
#[tokio::test]
async fn an_upgrade_that_is_denied_changes_nothing() {
    let mut world = closed(Minor::V2).await;
    let mut other = world.client("other client").await;
    try_open(&mut other, READ, DENY_WRITE, "owner").await.unwrap();
    let held = try_open(&mut world.session, READ, 0, "owner").await.unwrap();
    let denied = try_open(&mut world.session, BOTH, 0, "owner").await;
    assert_eq!(denied.err(), Some(NFS4ERR_SHARE_DENIED));
    world.session.close(&held).await;
    world.stop().await;
}

/// Open-owners are a client's own: opens of others have other stateids.
#[tokio::test]
async fn opens_of_several_owners_are_several() {
    let mut world = closed(Minor::V2).await;
    let mut other = world.client("other client").await;
    let mine = try_open(&mut world.session, READ, 0, "owner").await.unwrap();
    let second = try_open(&mut world.session, READ, 0, "second owner").await.unwrap();
    let theirs = try_open(&mut other, READ, 0, "owner").await.unwrap();
    for (one, another) in [(&mine, &second), (&mine, &theirs), (&second, &theirs)] {
        assert_ne!(one.stateid.other, another.stateid.other);
        assert_eq!(one.stateid.seqid, 1);
        assert_eq!(one.fh, another.fh);
    }
    world.stop().await;
}

/// The open-owner is the client's, whichever session opens, upgrades and closes.
#[tokio::test]
async fn opens_of_two_sessions_of_a_client_are_one() {
    let mut world = closed(Minor::V2).await;
    let mut second = world.client("client").await;
    assert_eq!(second.clientid, world.session.clientid);
    let one = try_open(&mut world.session, READ, 0, "owner").await.unwrap();
    let two = try_open(&mut second, BOTH, 0, "owner").await.unwrap();
    assert_eq!(two.stateid, Stateid { seqid: 2, ..one.stateid });
    world.session.write(&two, 0, b"abc").await;
    assert_eq!(&second.read(&two, 0, 3).await.data[..], b"abc");
    world.session.close(&two).await;
    let mut other = world.client("other client").await;
    assert!(try_open(&mut other, BOTH, DENY_BOTH, "owner").await.is_ok());
    world.stop().await;
}

/// Section 9.10: two names of one file are one open.
#[tokio::test]
async fn opens_by_two_names_are_one() {
    let mut world = closed(Minor::V2).await;
    let fh = world.file.fh.clone();
    let compound = put(world.session.compound(), &fh).op::<SaveFh>(&());
    let share = world.session.share().await;
    let link = put(compound, &share).op::<Link>(&Link4Args { newname: component("link") });
    world.session.run(link).await.ok();
    let one = try_open(&mut world.session, READ, 0, "owner").await.unwrap();
    let by_link = open_args("link", WRITE, 0, "owner", OpenFlag4::NoCreate(()));
    let (fh, two) = world.session.try_open(EXPORT, &by_link).await.unwrap();
    assert_eq!(fh, one.fh);
    assert_eq!(two.stateid, Stateid { seqid: 2, ..one.stateid });
    world.stop().await;
}

/// Section 9.8: who did not open the file "could only read the file using the special read bypass stateid".
#[tokio::test]
async fn a_denial_holds_for_those_without_an_open() {
    let mut world = closed(Minor::V2).await;
    let fh = world.file.fh.clone();
    try_open(&mut world.session, BOTH, DENY_BOTH, "owner").await.unwrap();
    let mut other = world.client("other client").await;
    let read = |stateid| Read4Args { stateid, offset: 0, count: 1 };
    let anonymous = other.run_on::<Read>(&fh, &read(Stateid::ANONYMOUS)).await;
    assert_eq!(anonymous.map(drop), Err(NFS4ERR_LOCKED));
    assert!(other.run_on::<Read>(&fh, &read(Stateid::READ_BYPASS)).await.is_ok());
    for stateid in [Stateid::ANONYMOUS, Stateid::READ_BYPASS] {
        let data = b"x".as_slice().into();
        let write = Write4Args { stateid, offset: 0, stable: StableHow4::FileSync, data };
        assert_eq!(other.run_on::<Write>(&fh, &write).await.map(drop), Err(NFS4ERR_LOCKED));
    }
    world.stop().await;
}

/// A new file is reserved from the beginning.
#[tokio::test]
async fn a_file_is_created_with_its_reservation() {
    let mut world = closed(Minor::V2).await;
    world.session.open_as("new", BOTH, DENY_READ, "owner").await;
    let mut other = world.client("other client").await;
    let reading = open_args("new", READ, 0, "owner", dittofs_tests::unchecked());
    assert_eq!(other.try_open(EXPORT, &reading).await.err(), Some(NFS4ERR_SHARE_DENIED));
    world.stop().await;
}

/// "In the event the server does not return a delegation, it MUST return a delegation type of OPEN_DELEGATE_NONE_EXT" with the reason, if the
/// client sent one of the new flags; else the old OPEN_DELEGATE_NONE. This client has no backchannel, by which it could be asked for a
/// delegation.
#[rstest]
#[case::nothing(0, OpenDelegation4::None(()))]
#[case::read(
    OPEN4_SHARE_ACCESS_WANT_READ_DELEG,
    OpenDelegation4::NoneExt(OpenNoneDelegation4::Resource(false))
)]
#[case::write(
    OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG,
    OpenDelegation4::NoneExt(OpenNoneDelegation4::Resource(false))
)]
#[case::any(
    OPEN4_SHARE_ACCESS_WANT_ANY_DELEG,
    OpenDelegation4::NoneExt(OpenNoneDelegation4::Resource(false))
)]
#[case::any_later(
    OPEN4_SHARE_ACCESS_WANT_ANY_DELEG
        | OPEN4_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL
        | OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED,
    OpenDelegation4::NoneExt(OpenNoneDelegation4::Resource(false))
)]
#[case::none(OPEN4_SHARE_ACCESS_WANT_NO_DELEG, OpenDelegation4::NoneExt(OpenNoneDelegation4::NotWanted(())))]
#[case::cancel(OPEN4_SHARE_ACCESS_WANT_CANCEL, OpenDelegation4::NoneExt(OpenNoneDelegation4::Cancelled(())))]
#[tokio::test]
async fn wants_are_answered(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[case] want: u32,
    #[case] expected: OpenDelegation4,
) {
    let mut world = closed(minor).await;
    let wanting = args(READ | want, 0, "owner");
    let (_, opened) = world.session.try_open(EXPORT, &wanting).await.unwrap();
    assert_eq!(opened.delegation, expected);
    let compound = walk(world.session.compound(), EXPORT).op::<Open>(&args(WRITE, DENY_READ, "other owner"));
    let denied = world.session.run(compound).await.status;
    assert_eq!(denied, NFS4ERR_SHARE_DENIED, "the wants are no part of the access");
    world.stop().await;
}
