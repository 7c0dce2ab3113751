//! Who asks for the attributes of a file that another client holds a write delegation of is told what that client has of it.
//!
//! Origin: own.
//! RFC: 8881 sections 10.4.3 and 20.1; 7530 sections 10.4.3 and 15.1; 9754 section 5.

use std::sync::Arc;

use dittofs_framework::attr::{Bitmap, FATTR4_CHANGE, FATTR4_SIZE};
use dittofs_framework::proto::{
    CbArgs, CbGetAttr4ResOk, CbOp, CbRes, Fattr4, Minor, NFS4ERR_DELAY, NFS4ERR_SERVERFAULT, NfsFh4,
    OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS, OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG, OpenDelegation4,
};
use dittofs_framework::state::DelegationPolicy;
use dittofs_framework::xdr::XdrReader;
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::write::Write;
use dittofs_tests::callbacks::{Answer, DelegClient};
use dittofs_tests::{OfferAlways, TestServer, TestServerOptions, fattr};
use rstest::rstest;

use crate::world::{Delegated, FILE, Kind, LONG, World, server, status, write};

/// Change and size as a client is told.
async fn told(client: &mut DelegClient, fh: &NfsFh4) -> (u64, u64) {
    let args = Getattr4Args { attr_request: Bitmap::of(&[FATTR4_CHANGE, FATTR4_SIZE]) };
    let Fattr4 { attr_vals, .. } = client.run_on::<GetAttr>(fh, &args).await.unwrap().obj_attributes;
    let mut r = XdrReader::new(&attr_vals.0);
    (r.u64().unwrap(), r.u64().unwrap())
}

/// A file that the holder has a write delegation of, with the change and size that everybody saw before.
async fn told_before(minor: Minor) -> (World, u64, u64) {
    let server = server(LONG).await;
    let mut holder = DelegClient::of(&server, "holder", minor).await;
    let mut other = DelegClient::of(&server, "other", minor).await;
    let fh = holder.make(FILE).await;
    let (change, size) = told(&mut other, &fh).await;
    let delegation = holder.delegation(FILE, Kind::Write).await;
    (World { server, holder, delegation, other }, change, size)
}

fn has(change: u64, size: u64) -> Answer {
    let obj_attributes = fattr(&[(FATTR4_CHANGE, &change), (FATTR4_SIZE, &size)]);
    Answer::Res(CbRes::GetAttr(Ok(CbGetAttr4ResOk { obj_attributes })))
}

#[rstest]
#[tokio::test]
async fn the_size_of_what_the_holder_has_not_written_yet(
    #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor,
) {
    let (mut world, change, size) = told_before(minor).await;
    let fh = world.delegation.fh.clone();
    let callbacks = world.holder.callbacks().clone();
    callbacks.answer(CbOp::GetAttr, has(change + 1, size + 100));
    let (seen_change, seen_size) = told(&mut world.other, &fh).await;
    assert_eq!(seen_size, size + 100);
    assert!(seen_change > change, "{seen_change} after {change}");
    let asked = callbacks.nth(CbOp::GetAttr, 1).await;
    let CbArgs::GetAttr(args) = asked.args else { panic!() };
    assert_eq!(args.fh, fh);
    assert!(args.attr_request.contains(FATTR4_CHANGE) && args.attr_request.contains(FATTR4_SIZE));
    assert_eq!(callbacks.arrived(CbOp::Recall), 0);
    world.holder.give_back(&world.delegation).await;
    world.stop().await;
}

// RFC 8881 section 10.4.3: the change attribute that others see goes up each time that the holder says it has modified data.
#[rstest]
#[tokio::test]
async fn the_change_attribute_goes_up_as_long_as_the_holder_has_modified_data(
    #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor,
) {
    let (mut world, change, _) = told_before(minor).await;
    let fh = world.delegation.fh.clone();
    world.holder.callbacks().answer(CbOp::GetAttr, has(change + 1, 10));
    let mut last = change;
    for _ in 0..3 {
        let (seen, _) = told(&mut world.other, &fh).await;
        assert!(seen > last, "{seen} after {last}");
        last = seen;
    }
    // What others saw before is never seen again for other data.
    let stateid = world.delegation.stateid;
    world.holder.run_on::<Write>(&fh, &write(stateid, b"0123456789")).await.unwrap();
    world.holder.give_back(&world.delegation).await;
    let (seen, size) = told(&mut world.other, &fh).await;
    assert!(seen > last, "{seen} after {last}");
    assert_eq!(size, 10);
    world.stop().await;
}

// A holder that does not answer is waited for once, and not by each request of the others.
#[rstest]
#[tokio::test]
async fn a_holder_that_does_not_say_is_not_asked_again(
    #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor,
) {
    let (mut world, change, size) = told_before(minor).await;
    let fh = world.delegation.fh.clone();
    let callbacks = world.holder.callbacks().clone();
    callbacks.answer(CbOp::GetAttr, Answer::Status(NFS4ERR_SERVERFAULT));
    for _ in 0..3 {
        let args = Getattr4Args { attr_request: Bitmap::of(&[FATTR4_SIZE]) };
        assert_eq!(status(world.other.run_on::<GetAttr>(&fh, &args).await), NFS4ERR_DELAY);
    }
    callbacks.nth(CbOp::Recall, 1).await;
    assert_eq!(callbacks.arrived(CbOp::GetAttr), 1);
    world.holder.give_back(&world.delegation).await;
    assert_eq!(told(&mut world.other, &fh).await, (change, size));
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_holder_that_modified_nothing_changes_nothing(
    #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor,
) {
    let (mut world, change, size) = told_before(minor).await;
    let fh = world.delegation.fh.clone();
    world.holder.callbacks().answer(CbOp::GetAttr, has(change, size));
    for _ in 0..2 {
        assert_eq!(told(&mut world.other, &fh).await, (change, size));
    }
    world.holder.give_back(&world.delegation).await;
    assert_eq!(told(&mut world.other, &fh).await, (change, size));
    world.stop().await;
}

// In minor version 0 an operation without a stateid does not say whose it is.
#[rstest]
#[tokio::test]
async fn the_holder_is_not_asked_for_what_it_wants_to_know(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let mut world = World::new(minor, Kind::Write, LONG).await;
    let fh = world.delegation.fh.clone();
    told(&mut world.holder, &fh).await;
    assert_eq!(world.holder.callbacks().arrived(CbOp::GetAttr), 0);
    world.holder.give_back(&world.delegation).await;
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn nobody_is_asked_for_a_read_delegation(#[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor) {
    let mut world = World::new(minor, Kind::Read, LONG).await;
    let fh = world.delegation.fh.clone();
    told(&mut world.other, &fh).await;
    world.holder.renew().await.unwrap();
    assert_eq!(world.holder.callbacks().arrived(CbOp::GetAttr), 0);
    world.stop().await;
}

// A program's own times are to reach the server in SETATTR: as delegated ones they would be ignored or cut off.
#[rstest]
#[case::by_default(None, false)]
#[case::where_the_policy_offers_it(Some(Arc::new(OfferAlways) as Arc<dyn DelegationPolicy>), true)]
#[tokio::test]
async fn the_holder_keeps_the_times_where_the_policy_says_so(
    #[case] delegations: Option<Arc<dyn DelegationPolicy>>,
    #[case] keeps: bool,
) {
    let server = TestServer::start_with(TestServerOptions { delegations, ..Default::default() }).await;
    let mut client = DelegClient::new(&server, "client").await;
    let wants = OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG | OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS;
    let opened = client.open_write(FILE).wanting(wants).await;
    opened.write_delegation();
    assert_eq!(matches!(opened.delegation, OpenDelegation4::WriteAttrs(_)), keeps);
    server.stop().await;
}
