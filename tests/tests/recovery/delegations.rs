//! Delegations after a restart of the server.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 8.4.2.1, 10.2.1, 15.1.9, 18.16.3 and 18.49.3.

use std::sync::Arc;

use dittofs_framework::proto::{
    Minor, NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, NFS4ERR_GRACE, NFS4ERR_RECLAIM_BAD, NFS4ERR_RECLAIM_CONFLICT,
    NfsFh4, OpenDelegation4, OpenDelegationType4 as Held, Stateid, Status,
};
use dittofs_framework::state::{DelegationPolicy, NoDelegations};
use dittofs_ops::delegreturn::{DelegReturn, Delegreturn4Args};
use dittofs_ops::open::{Open, Open4Args, OpenClaim4};
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_ops::want_delegation::{DelegClaim4, WantDelegation, WantDelegation4Args};
use dittofs_tests::{BOTH, READ, Session, mode_attr};
use rstest::rstest;

use crate::world::{Steps, World, back, previous, session};

async fn reclaim(session: &mut Session, fh: &NfsFh4, held: Held) -> Result<OpenDelegation4, Status> {
    let args = Open4Args { claim: OpenClaim4::Previous(held), ..previous(BOTH, 0) };
    session.run_on::<Open>(fh, &args).await.map(|opened| opened.delegation)
}

/// Whether it is a delegation, and whether it is to be returned at once.
fn is_recalled(delegation: &OpenDelegation4) -> Option<bool> {
    match delegation {
        OpenDelegation4::Read(read) => Some(read.recall),
        OpenDelegation4::Write(write) | OpenDelegation4::WriteAttrs(write) => Some(write.recall),
        _ => None,
    }
}

/// "Delegation will always be granted, although the server may specify an immediate recall": here to a client that cannot be called
/// back, which must do without after the reclaim.
#[rstest]
#[case::read(Held::Read)]
#[case::write(Held::Write)]
#[tokio::test]
async fn a_delegation_is_reclaimed_with_its_open(
    #[case] held: Held,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let (_world, server, fh) = World::after_open(minor).await;
    let mut client = back(&server, "client", minor).await;
    let delegation = reclaim(&mut client, &fh, held).await.unwrap();
    assert_eq!(is_recalled(&delegation), Some(true));
    assert_eq!(matches!(delegation, OpenDelegation4::Write(_)), held == Held::Write);
    let deleg_stateid = delegation.stateid().unwrap();
    assert!(server.service.state().is_awaited(&deleg_stateid));
    // Opens within it are claimed in the grace period, and it is returned in it.
    let claim = OpenClaim4::DelegCurFh(deleg_stateid);
    let within = Open4Args { claim, ..previous(READ, 0) };
    client.run_on::<Open>(&fh, &within).await.unwrap();
    client.run_on::<DelegReturn>(&fh, &Delegreturn4Args { deleg_stateid }).await.unwrap();
    server.stop().await;
}

/// Origin: the simulation. A server that gives none any more has those of before, and others have to wait for them all the same.
#[rstest]
#[case::gives_none(Some(Arc::new(NoDelegations) as Arc<dyn DelegationPolicy>))]
#[case::gives_some(None)]
#[tokio::test]
async fn what_was_reclaimed_is_in_the_way_of_others(#[case] policy: Option<Arc<dyn DelegationPolicy>>) {
    let world = World::new();
    let server = world.boot().await;
    let fh = session(&server, "client", Minor::V2).await.open("file").await.fh;
    server.crash().await;
    let server = world.boot_with(policy).await;
    let mut client = back(&server, "client", Minor::V2).await;
    let held = reclaim(&mut client, &fh, Held::Write).await.unwrap();
    let mut other = session(&server, "other", Minor::V2).await;
    let args = Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: mode_attr(0o600) };
    assert_eq!(other.run_on::<SetAttr>(&fh, &args).await.err(), Some(NFS4ERR_DELAY));
    let deleg_stateid = held.stateid().unwrap();
    client.run_on::<DelegReturn>(&fh, &Delegreturn4Args { deleg_stateid }).await.unwrap();
    other.run_on::<SetAttr>(&fh, &args).await.unwrap();
    server.stop().await;
}

/// With the times that it kept for the server.
#[tokio::test]
async fn the_times_are_reclaimed_as_well() {
    let (_world, server, fh) = World::after_open(Minor::V2).await;
    let mut client = back(&server, "client", Minor::V2).await;
    let delegation = reclaim(&mut client, &fh, Held::WriteAttrs).await.unwrap();
    assert!(matches!(delegation, OpenDelegation4::WriteAttrs(_)), "{delegation:?}");
    server.stop().await;
}

/// Without an open.
#[tokio::test]
async fn a_delegation_is_reclaimed_alone() {
    let (_world, server, fh) = World::after_open(Minor::V1).await;
    let mut client = back(&server, "client", Minor::V1).await;
    let args = |claim| WantDelegation4Args { want: 0x200, claim };
    let new = client.run_on::<WantDelegation>(&fh, &args(DelegClaim4::Fh(()))).await;
    assert_eq!(new.err(), Some(NFS4ERR_GRACE));
    let answer = client.run_on::<WantDelegation>(&fh, &args(DelegClaim4::Previous(Held::Write))).await;
    assert_eq!(is_recalled(&answer.unwrap()), Some(true));
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn the_reason_for_having_none_was_not_held(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (_world, server, fh) = World::after_open(minor).await;
    let mut client = back(&server, "client", minor).await;
    assert_eq!(reclaim(&mut client, &fh, Held::NoneExt).await.err(), Some(NFS4ERR_RECLAIM_BAD));
    client.reclaim(&fh).await.unwrap();
    server.stop().await;
}

/// One of two clients did not hold what it says: whoever comes second. No open is left of the attempt.
#[rstest]
#[case::write_beside_open(Held::None, Held::Write)]
#[case::read_beside_writer(Held::None, Held::Read)]
#[tokio::test]
async fn a_delegation_in_conflict_is_not_reclaimed(#[case] first: Held, #[case] second: Held) {
    let world = World::new();
    let server = world.boot().await;
    let fh = session(&server, "first", Minor::V2).await.open("file").await.fh;
    session(&server, "second", Minor::V2).await.open("file").await;
    let server = world.reboot(server).await;
    let mut one = back(&server, "first", Minor::V2).await;
    let mut two = back(&server, "second", Minor::V2).await;
    reclaim(&mut one, &fh, first).await.unwrap();
    assert_eq!(reclaim(&mut two, &fh, second).await.err(), Some(NFS4ERR_RECLAIM_CONFLICT));
    let args = WantDelegation4Args { want: 0x200, claim: DelegClaim4::Previous(second) };
    assert_eq!(two.run_on::<WantDelegation>(&fh, &args).await.err(), Some(NFS4ERR_RECLAIM_CONFLICT));
    reclaim(&mut two, &fh, Held::None).await.unwrap();
    server.stop().await;
}

/// A stateid of before the restart is none.
#[tokio::test]
async fn an_open_is_not_claimed_by_a_delegation_of_before() {
    let (_world, server, fh) = World::after_open(Minor::V2).await;
    let mut client = back(&server, "client", Minor::V2).await;
    let claim = OpenClaim4::DelegCurFh(Stateid { seqid: 1, other: [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7] });
    let args = Open4Args { claim, ..previous(READ, 0) };
    assert_eq!(client.run_on::<Open>(&fh, &args).await.err(), Some(NFS4ERR_BAD_STATEID));
    server.stop().await;
}
