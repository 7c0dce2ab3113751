//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 18.18, 8.2.3, 8.2.4 and 9.9.
//!
//! Not reached: ADMIN_REVOKED, EXPIRED (there is no revoked state), FHEXPIRED, MOVED (handles persist, nothing migrates), ROFS (nothing
//! that is read-only can be opened for writing), STALE (a file that is open is there), WRONG_CRED (no state protection), DELAY, DEADSESSION
//! and SERVERFAULT. BAD_SEQID, LEASE_MOVED, LOCKS_HELD, RESOURCE and STALE_STATEID are those of minor version 0.

use dittofs_framework::proto::{
    Minor, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_INVAL, NFS4ERR_OPENMODE, NFS4ERR_SHARE_DENIED, Stateid,
    Status,
};
use dittofs_framework::state::ShareDeny;
use dittofs_ops::getfh::GetFh;
use dittofs_ops::open::{
    OPEN4_SHARE_ACCESS_WANT_CANCEL, OPEN4_SHARE_ACCESS_WANT_NO_DELEG, OPEN4_SHARE_ACCESS_WANT_READ_DELEG,
    Open, OpenFlag4,
};
use dittofs_ops::open_downgrade::{OpenDowngrade, OpenDowngrade4Args};
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_tests::{BOTH, READ, WRITE, open_args, size_attr, walk};
use rstest::rstest;

use crate::common::{Bogus, NoOpen, Object, World, put};

/// Access and denial.
type Share = (u32, u32);

const DENY_READ: u32 = ShareDeny::READ.bits();
const DENY_WRITE: u32 = ShareDeny::WRITE.bits();
const DENY_BOTH: u32 = ShareDeny::BOTH.bits();

fn args(open_stateid: Stateid, (share_access, share_deny): Share) -> OpenDowngrade4Args {
    OpenDowngrade4Args { open_stateid, seqid: 0, share_access, share_deny }
}

/// A world whose file is open by one owner with all of these, and the stateid.
async fn opened(minor: Minor, shares: &[Share]) -> (World, Stateid) {
    let mut world = World::of(minor).await;
    world.close().await;
    let mut stateid = Stateid::INVALID;
    for (access, deny) in shares {
        stateid = world.session.open_as("file", *access, *deny, "owner").await.stateid;
    }
    (world, stateid)
}

/// "The bits SHOULD equal the union of the bits specified for some subset of the OPENs in effect": else NFS4ERR_INVAL. The seqid is
/// incremented "even in situations in which there is no change".
#[rstest]
#[case::nothing(&[(BOTH, 0)], (BOTH, 0), NFS4_OK)]
#[case::to_read(&[(READ, 0), (BOTH, 0)], (READ, 0), NFS4_OK)]
#[case::to_write(&[(WRITE, 0), (READ, 0)], (WRITE, 0), NFS4_OK)]
#[case::union_of_two(&[(READ, 0), (WRITE, 0)], (BOTH, 0), NFS4_OK)]
#[case::deny_less(&[(READ, 0), (WRITE, DENY_WRITE)], (READ, 0), NFS4_OK)]
#[case::part_of_one(&[(BOTH, 0)], (READ, 0), NFS4ERR_INVAL)]
#[case::more_access(&[(READ, 0)], (BOTH, 0), NFS4ERR_INVAL)]
#[case::other_access(&[(READ, 0)], (WRITE, 0), NFS4ERR_INVAL)]
#[case::more_denial(&[(READ, 0)], (READ, DENY_WRITE), NFS4ERR_INVAL)]
#[case::part_of_one_denial(&[(READ, DENY_BOTH)], (READ, DENY_WRITE), NFS4ERR_INVAL)]
#[case::denial_never_opened_without(&[(READ, DENY_WRITE)], (READ, 0), NFS4ERR_INVAL)]
#[tokio::test]
async fn what_is_left_is_a_union_of_opens(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[case] opens: &[Share],
    #[case] to: Share,
    #[case] expected: Status,
) {
    let (mut world, stateid) = opened(minor, opens).await;
    let fh = world.file.fh.clone();
    let compound =
        put(world.session.compound(), &fh).op::<OpenDowngrade>(&args(stateid, to)).op::<GetFh>(&());
    let reply = world.session.run(compound).await;
    assert_eq!(reply.status, expected);
    if expected.is_ok() {
        let after = reply.get::<OpenDowngrade>();
        assert_eq!(after, Stateid { seqid: stateid.seqid + 1, ..stateid });
        assert_eq!(reply.get::<GetFh>().object, fh, "the current filehandle retains its value");
    }
    world.stop().await;
}

/// Whether the values are legal is checked first.
#[rstest]
#[case::no_access((0, 0))]
#[case::unknown_access((4, 0))]
#[case::access_and_more((BOTH | 8, 0))]
#[case::unknown_denial((BOTH, 4))]
#[case::all_ones((u32::MAX, u32::MAX))]
#[tokio::test]
async fn bits_without_meaning_are_refused(#[case] to: Share) {
    let mut world = World::new().await;
    assert_eq!(world.run::<OpenDowngrade>(&args(world.file.stateid, to)).await, Err(NFS4ERR_INVAL));
    world.stop().await;
}

/// The wants are masked out: they mean nothing here.
#[rstest]
#[case::none(OPEN4_SHARE_ACCESS_WANT_NO_DELEG)]
#[case::read(OPEN4_SHARE_ACCESS_WANT_READ_DELEG)]
#[case::cancel(OPEN4_SHARE_ACCESS_WANT_CANCEL)]
#[case::all(0xff00)]
#[tokio::test]
async fn wants_are_passed_over(#[case] want: u32) {
    let mut world = World::new().await;
    let stateid = world.file.stateid;
    let after = world.run::<OpenDowngrade>(&args(stateid, (BOTH | want, 0))).await.unwrap();
    assert_eq!(after.seqid, stateid.seqid + 1);
    world.stop().await;
}

#[tokio::test]
async fn the_argument_seqid_is_ignored() {
    let mut world = World::new().await;
    let args = OpenDowngrade4Args { seqid: u32::MAX, ..args(world.file.stateid, (BOTH, 0)) };
    world.run::<OpenDowngrade>(&args).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn access_that_was_given_up_is_gone() {
    let (mut world, stateid) = opened(Minor::V2, &[(READ, 0), (BOTH, 0)]).await;
    let stateid = world.run::<OpenDowngrade>(&args(stateid, (READ, 0))).await.unwrap();
    let truncate = Setattr4Args { stateid, obj_attributes: size_attr(0) };
    assert_eq!(world.run::<SetAttr>(&truncate).await.map(drop), Err(NFS4ERR_OPENMODE));
    assert_eq!(world.run::<OpenDowngrade>(&args(stateid, (BOTH, 0))).await, Err(NFS4ERR_INVAL));
    world.stop().await;
}

/// Other clients may have what is not reserved any more: the access, and what was denied.
#[rstest]
#[case::access(&[(READ, 0), (WRITE, 0)], (READ, 0), (READ, DENY_WRITE))]
#[case::denial(&[(WRITE, 0), (WRITE, DENY_READ)], (WRITE, 0), (READ, 0))]
#[tokio::test]
async fn others_may_open(#[case] opens: &[Share], #[case] to: Share, #[case] theirs: Share) {
    let (mut world, stateid) = opened(Minor::V2, opens).await;
    let mut other = world.client("other client").await;
    let open = open_args("file", theirs.0, theirs.1, "owner", OpenFlag4::NoCreate(()));
    let compound = walk(other.compound(), &["export"]).op::<Open>(&open);
    assert_eq!(other.run(compound.clone()).await.status, NFS4ERR_SHARE_DENIED);
    world.run::<OpenDowngrade>(&args(stateid, to)).await.unwrap();
    assert_eq!(other.run(compound).await.status, NFS4_OK);
    world.stop().await;
}

#[rstest]
#[case::garbage(Bogus::Garbage)]
#[case::invalid(Bogus::Invalid)]
#[case::future(Bogus::Future)]
#[case::old(Bogus::Old)]
#[case::other_file(Bogus::OtherFile)]
#[case::other_client(Bogus::OtherClient)]
#[case::closed(Bogus::Closed)]
#[case::no_current(Bogus::NoCurrent)]
#[tokio::test]
async fn a_stateid_is_refused(#[case] bogus: Bogus) {
    let mut world = World::new().await;
    let stateid = world.stateid(bogus).await;
    assert_eq!(world.run::<OpenDowngrade>(&args(stateid, (BOTH, 0))).await, Err(bogus.status()));
    world.stop().await;
}

#[rstest]
#[case::anonymous(NoOpen::Anonymous)]
#[case::read_bypass(NoOpen::ReadBypass)]
#[case::locks(NoOpen::Locks)]
#[tokio::test]
async fn what_is_no_open_is_refused(#[case] which: NoOpen) {
    let mut world = World::new().await;
    let stateid = world.no_open(which).await;
    assert_eq!(world.run::<OpenDowngrade>(&args(stateid, (BOTH, 0))).await, Err(NFS4ERR_BAD_STATEID));
    world.stop().await;
}

/// The stateid is not of the current filehandle, whatever that is.
#[rstest]
#[case::dir(Object::Dir)]
#[case::symlink(Object::Symlink)]
#[case::fifo(Object::Fifo)]
#[tokio::test]
async fn the_filehandle_of_another_object_is_refused(#[case] object: Object) {
    let mut world = World::new().await;
    let fh = world.object(object).await;
    let args = args(world.file.stateid, (BOTH, 0));
    assert_eq!(world.run_on::<OpenDowngrade>(&fh, &args).await, Err(NFS4ERR_BAD_STATEID));
    let compound = walk(world.session.compound(), &[]).op::<OpenDowngrade>(&args);
    assert_eq!(world.session.run(compound).await.status, NFS4ERR_BAD_STATEID, "the pseudo root");
    world.stop().await;
}

#[tokio::test]
async fn arguments_are_checked() {
    let mut world = World::new().await;
    let args = args(world.file.stateid, (BOTH, 0));
    world.refuses_without_handle_and_cut_short::<OpenDowngrade>(&args).await;
    world.stop().await;
}

#[tokio::test]
async fn another_user_of_the_client_downgrades() {
    let mut world = World::new().await;
    world.chmod(0o600).await;
    world.session.act_as(1000, 1000, &[]);
    world.run::<OpenDowngrade>(&args(world.file.stateid, (BOTH, 0))).await.unwrap();
    world.stop().await;
}
