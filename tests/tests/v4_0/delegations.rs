//! Delegations of minor version 0, whose requests do not always say which client they are of.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 7530 sections 9.1.11, 10.4.4, 10.5.1, 16.5, 16.6 and 16.16.6.

use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, OpenDelegation4, Stateid, Status, component,
};
use dittofs_framework::state::StateLimits;
use dittofs_ops::delegreturn::{DelegReturn, Delegreturn4Args};
use dittofs_ops::open::{OpenClaim4, OpenClaimDelegateCur4};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_tests::{
    BOTH, ClientV4_0, OfferAlways, OpenFile, READ, TestServer, TestServerOptions, mode_attr, unchecked, walk,
};
use rstest::rstest;

use crate::world::status;

struct World {
    server: TestServer,
    holder: ClientV4_0,
    other: ClientV4_0,
}

impl World {
    async fn new() -> Self {
        let state = StateLimits { recall_wait: Duration::ZERO, ..StateLimits::default() };
        let server = TestServer::start_with(TestServerOptions {
            limits: Limits { state, ..Limits::default() },
            delegations: Some(Arc::new(OfferAlways)),
            ..TestServerOptions::default()
        })
        .await;
        let mut holder = ClientV4_0::connect(&server, "holder").await;
        let other = ClientV4_0::connect(&server, "other").await;
        // The open-owner is confirmed with another file.
        holder.open("another file").await;
        Self { server, holder, other }
    }

    /// The holder's open of the file, and the delegation that comes with it.
    async fn delegate(&mut self, access: u32) -> (OpenFile, OpenDelegation4) {
        let args = self.holder.open_args("file", access, 0, "opener", unchecked());
        let (fh, answer) = self.holder.try_open(&args).await.expect("an open");
        (OpenFile { fh, stateid: answer.stateid }, answer.delegation)
    }

    fn is_recalled(&self, stateid: Stateid) -> Option<bool> {
        let views = self.server.service.state().delegations(None, None, usize::MAX);
        let view = views.iter().find(|view| view.stateid == stateid)?;
        Some(view.recalled_at.is_some())
    }
}

/// "The server must not bestow a delegation for any open that would require confirmation."
#[tokio::test]
async fn there_is_no_delegation_before_the_owner_is_confirmed() {
    let mut world = World::new().await;
    let args = world.holder.open_args("file", READ, 0, "new owner", unchecked());
    let (_, answer) = world.holder.try_open(&args).await.unwrap();
    assert_eq!(answer.delegation, OpenDelegation4::None(()));
    let (_, delegation) = world.delegate(READ).await;
    assert!(matches!(delegation, OpenDelegation4::Read(_)), "{delegation:?}");
    world.server.stop().await;
}

#[rstest]
#[case::read(READ)]
#[case::write(BOTH)]
#[tokio::test]
async fn a_delegation_is_returned_once(#[case] access: u32) {
    let mut world = World::new().await;
    let (file, delegation) = world.delegate(access).await;
    let args = Delegreturn4Args { deleg_stateid: delegation.stateid().unwrap() };
    world.holder.run_on::<DelegReturn>(&file.fh, &args).await.unwrap();
    let again = world.holder.run_on::<DelegReturn>(&file.fh, &args).await;
    assert_eq!(status(&again), NFS4ERR_BAD_STATEID);
    world.server.stop().await;
}

#[tokio::test]
async fn an_open_is_claimed_by_a_delegation() {
    let mut world = World::new().await;
    let (_, delegation) = world.delegate(BOTH).await;
    let claim = |stateid| {
        OpenClaim4::DelegateCur(OpenClaimDelegateCur4 { delegate_stateid: stateid, file: component("file") })
    };
    let args = world.holder.claim_args(READ, "opener", claim(delegation.stateid().unwrap()));
    let compound = world.holder.compound();
    let compound = walk(compound, &["export"]).op::<dittofs_ops::Open>(&args);
    world.holder.run(compound).await.ok();
    let args = world.holder.claim_args(READ, "opener", claim(Stateid { seqid: 1, other: *b"never issued" }));
    let compound = walk(world.holder.compound(), &["export"]).op::<dittofs_ops::Open>(&args);
    assert_eq!(world.holder.run(compound).await.status, NFS4ERR_BAD_STATEID);
    world.server.stop().await;
}

async fn chmod(client: &mut ClientV4_0, file: &OpenFile, stateid: Stateid) -> Status {
    let args = Setattr4Args { stateid, obj_attributes: mode_attr(0o600) };
    status(&client.run_on::<SetAttr>(&file.fh, &args).await)
}

async fn remove(client: &mut ClientV4_0) -> Status {
    let compound = walk(client.compound(), &["export"]);
    client.run(compound.op::<Remove>(&Remove4Args { target: component("file") })).await.status
}

/// Requests that bring no stateid are of the client that has named itself on the connection.
#[tokio::test]
async fn what_the_holder_changes_recalls_nothing() {
    let mut world = World::new().await;
    let (file, delegation) = world.delegate(READ).await;
    let stateid = delegation.stateid().unwrap();
    assert_eq!(chmod(&mut world.holder, &file, Stateid::ANONYMOUS).await, NFS4_OK);
    assert_eq!(remove(&mut world.holder).await, NFS4_OK);
    assert_eq!(world.is_recalled(stateid), Some(false));
    world.server.stop().await;
}

#[tokio::test]
async fn what_another_client_changes_recalls() {
    let mut world = World::new().await;
    let (file, delegation) = world.delegate(READ).await;
    let stateid = delegation.stateid().unwrap();
    assert_eq!(chmod(&mut world.other, &file, Stateid::ANONYMOUS).await, NFS4ERR_DELAY);
    assert_eq!(remove(&mut world.other).await, NFS4ERR_DELAY);
    assert_eq!(world.is_recalled(stateid), Some(true));
    let args = Delegreturn4Args { deleg_stateid: stateid };
    world.holder.run_on::<DelegReturn>(&file.fh, &args).await.unwrap();
    assert_eq!(remove(&mut world.other).await, NFS4_OK);
    world.server.stop().await;
}

/// With two clients on a connection nobody knows whose request it is, unless a stateid says so.
#[tokio::test]
async fn a_connection_of_two_clients_is_nobodys() {
    let mut world = World::new().await;
    let (file, delegation) = world.delegate(READ).await;
    let stateid = delegation.stateid().unwrap();
    let own = std::mem::replace(&mut world.holder, ClientV4_0::connect(&world.server, "third").await);
    let mut second = ClientV4_0::establish(own.client, "second", [1; 8]).await;
    assert_eq!(chmod(&mut second, &file, stateid).await, NFS4_OK);
    assert_eq!(world.is_recalled(stateid), Some(false));
    assert_eq!(chmod(&mut second, &file, Stateid::ANONYMOUS).await, NFS4ERR_DELAY);
    world.server.stop().await;
}
