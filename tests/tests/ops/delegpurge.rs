//! What a client that restarted may have again of its delegations: CLAIM_DELEGATE_PREV, CLAIM_DELEG_PREV_FH and DELEGPURGE, which a server
//! has all or none of.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 10.2.1, 18.5, 18.16.3, 18.36.4 and 18.49; 7530 sections 10.2.1 and 16.5.
//!
//! Not reached: DELAY, LEASE_MOVED, RESOURCE, SERVERFAULT and WRONG_CRED.

use std::time::Duration;

use dittofs_framework::compound::RestartedClients;
use dittofs_framework::proto::{
    ClientId, Minor, NFS4_OK, NFS4ERR_BADXDR, NFS4ERR_DELAY, NFS4ERR_NOTSUPP, NFS4ERR_RECLAIM_BAD,
    NFS4ERR_STALE_CLIENTID, NfsFh4, OpenDelegation4, Status, component,
};
use dittofs_framework::testing::Compound;
use dittofs_ops::delegpurge::{DelegPurge, Delegpurge4Args};
use dittofs_ops::open::{Open, Open4ResOk, OpenClaim4};
use dittofs_ops::want_delegation::{DelegClaim4, WantDelegation, WantDelegation4Args};
use dittofs_tests::{BOTH, Client, ClientV4_0, READ, Session, SessionOptions, TestServerOptions, WRITE};
use rstest::rstest;

use crate::delegated::{Delegated, Held, claiming, open, open_with, options};

const ARGS: Delegpurge4Args = Delegpurge4Args { clientid: ClientId(0) };

async fn keeping(minor: Minor) -> Delegated {
    let restarted_clients = RestartedClients::KeepDelegations;
    Delegated::with(TestServerOptions { restarted_clients, ..options() }, minor).await
}

/// Another incarnation of the holder.
async fn restart(world: &mut Delegated) {
    let options = SessionOptions { verifier: [9; 8], minor: world.holder.minor, ..SessionOptions::default() };
    world.holder = Client::connect(&world.server).await.session_with("holder", options).await;
}

async fn purge(session: &mut Session) -> Status {
    session.run(session.compound().op::<DelegPurge>(&ARGS)).await.status
}

async fn claim(session: &mut Session, fh: &NfsFh4, share_access: u32) -> Result<Open4ResOk, Status> {
    session.run_on::<Open>(fh, &claiming(OpenClaim4::DelegPrevFh(()), share_access)).await
}

async fn opens(session: &mut Session, share_access: u32) -> Status {
    open(session, share_access | 0x400).await.err().unwrap_or(NFS4_OK)
}

/// Without the option a restart takes the delegations, and nobody waits for them.
#[rstest]
#[tokio::test]
async fn delegations_go_with_a_restart(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let mut world = Delegated::of(minor).await;
    let held = world.delegate(BOTH).await;
    restart(&mut world).await;
    assert_eq!(world.is_recalled(&held), None);
    assert_eq!(opens(&mut world.other, WRITE).await, NFS4_OK);
    assert_eq!(purge(&mut world.holder).await, NFS4ERR_NOTSUPP);
    assert_eq!(claim(&mut world.holder, &held.file.fh, READ).await.err(), Some(NFS4ERR_NOTSUPP));
    let by_name = claiming(OpenClaim4::DelegatePrev(component("file")), READ);
    assert_eq!(open_with(&mut world.holder, &by_name).await.err(), Some(NFS4ERR_NOTSUPP));
    let want = WantDelegation4Args { want: 0x100, claim: DelegClaim4::DelegPrevFh(()) };
    assert_eq!(world.run::<WantDelegation>(&held, &want).await.err(), Some(NFS4ERR_NOTSUPP));
    world.stop().await;
}

/// With it they are kept from others, and come back with another stateid.
#[rstest]
#[case::read(READ)]
#[case::write(BOTH)]
#[tokio::test]
async fn a_delegation_is_inherited(
    #[case] share_access: u32,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[values(false, true)] by_name: bool,
) {
    let mut world = keeping(minor).await;
    let held = world.delegate(share_access).await;
    restart(&mut world).await;
    assert_eq!(world.is_recalled(&held), Some(false));
    let answer = if by_name {
        let args = claiming(OpenClaim4::DelegatePrev(component("file")), share_access);
        open_with(&mut world.holder, &args).await.unwrap().1
    } else {
        claim(&mut world.holder, &held.file.fh, share_access).await.unwrap()
    };
    let is_write = matches!(answer.delegation, OpenDelegation4::Write(_));
    assert_eq!(is_write, share_access == BOTH);
    let inherited = Held { stateid: answer.delegation.stateid().unwrap(), ..held };
    assert_ne!(inherited.stateid.other, held.stateid.other);
    assert_eq!(world.server.service.state().delegations_in_all(), 1);
    assert_eq!(claim(&mut world.holder, &inherited.file.fh, READ).await.err(), Some(NFS4ERR_RECLAIM_BAD));
    assert_eq!(opens(&mut world.other, WRITE).await, NFS4ERR_DELAY);
    world.give_back(&inherited).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_delegation_is_inherited_without_an_open() {
    let mut world = keeping(Minor::V2).await;
    let held = world.delegate(BOTH).await;
    restart(&mut world).await;
    let want = WantDelegation4Args { want: 0x200, claim: DelegClaim4::DelegPrevFh(()) };
    let answer = world.run::<WantDelegation>(&held, &want).await.unwrap();
    assert!(matches!(answer, OpenDelegation4::Write(_)), "{answer:?}");
    assert_eq!(world.run::<WantDelegation>(&held, &want).await.err(), Some(NFS4ERR_RECLAIM_BAD));
    world.stop().await;
}

/// The opens are gone as ever.
#[tokio::test]
async fn opens_are_not_inherited() {
    let mut world = keeping(Minor::V2).await;
    let denying =
        dittofs_tests::open_args("file", READ, 2, "denier", dittofs_ops::open::OpenFlag4::NoCreate(()));
    open_with(&mut world.holder, &denying).await.unwrap();
    restart(&mut world).await;
    assert_eq!(purge(&mut world.holder).await, NFS4_OK);
    assert_eq!(opens(&mut world.other, WRITE).await, NFS4_OK);
    world.stop().await;
}

/// Who has claimed all that it knows of lets the rest go.
#[tokio::test]
async fn the_rest_is_purged() {
    let mut world = keeping(Minor::V2).await;
    let held = world.delegate(READ).await;
    restart(&mut world).await;
    assert_eq!(opens(&mut world.other, WRITE).await, NFS4ERR_DELAY);
    assert_eq!(purge(&mut world.other).await, NFS4_OK, "it has nothing to purge");
    assert_eq!(opens(&mut world.other, WRITE).await, NFS4ERR_DELAY);
    assert_eq!(purge(&mut world.holder).await, NFS4_OK);
    assert_eq!(opens(&mut world.other, WRITE).await, NFS4_OK);
    assert_eq!(claim(&mut world.holder, &held.file.fh, READ).await.err(), Some(NFS4ERR_RECLAIM_BAD));
    assert_eq!(purge(&mut world.holder).await, NFS4_OK);
    world.stop().await;
}

/// What is not claimed for a lease is gone: for who meets it, and without anybody.
#[rstest]
#[case::met(false)]
#[case::reaped(true)]
#[tokio::test]
async fn what_nobody_claims_is_gone_after_a_lease(#[case] reaped: bool) {
    let mut world = keeping(Minor::V2).await;
    let held = world.delegate(READ).await;
    restart(&mut world).await;
    for _ in 0..2 {
        world.server.clock.advance(Duration::from_secs(46));
        world.holder.sequence().await;
        world.other.sequence().await;
    }
    if reaped {
        world.server.service.reap().await;
        assert_eq!(world.server.service.state().delegations_in_all(), 0);
    }
    assert_eq!(opens(&mut world.other, WRITE).await, NFS4_OK);
    assert_eq!(claim(&mut world.holder, &held.file.fh, READ).await.err(), Some(NFS4ERR_RECLAIM_BAD));
    world.stop().await;
}

/// Another client is no later incarnation, whatever it claims.
#[tokio::test]
async fn nobody_else_inherits() {
    let mut world = keeping(Minor::V2).await;
    let held = world.delegate(READ).await;
    restart(&mut world).await;
    assert_eq!(claim(&mut world.other, &held.file.fh, READ).await.err(), Some(NFS4ERR_RECLAIM_BAD));
    assert_eq!(world.is_recalled(&held), Some(false));
    world.stop().await;
}

#[tokio::test]
async fn it_needs_a_whole_clientid() {
    let mut world = keeping(Minor::V2).await;
    let cut = world.holder.compound().op_with_args::<DelegPurge>(&[0; 4]);
    assert_eq!(world.holder.run(cut).await.status, NFS4ERR_BADXDR);
    world.stop().await;
}

/// In minor version 0 the argument names the client.
#[rstest]
#[case::of_the_client(0, NFS4_OK)]
#[case::unknown(1, NFS4ERR_STALE_CLIENTID)]
#[tokio::test]
async fn the_client_is_named_in_minor_version_0(#[case] off_by: u64, #[case] expected: Status) {
    let world = keeping(Minor::V2).await;
    let mut client = ClientV4_0::connect(&world.server, "client").await;
    let args = Delegpurge4Args { clientid: ClientId(client.clientid.0 ^ (off_by << 32)) };
    let reply = client.run(Compound::new(Minor::V0).op::<DelegPurge>(&args)).await;
    assert_eq!(reply.status, expected);
    world.stop().await;
}
