//! What another client does recalls a delegation that is in its way: once, and it goes on when the delegation is returned.
//!
//! Origin: own.
//! RFC: 8881 sections 10.2, 10.4, 10.4.2, 10.4.4, 18.4.4, 18.9.4, 18.25.4, 18.26.4, 18.30.4, 20.2; 7530 sections 10.2 and 10.4.

use std::time::Duration;

use dittofs_framework::proto::{CbOp, Minor, NFS4_OK, NFS4ERR_DELAY};
use dittofs_ops::read::Read;
use dittofs_ops::write::Write;
use dittofs_tests::callbacks::{Answer, Hold};
use rstest::rstest;

use crate::world::{Act, Delegated, FILE, Kind, LONG, World, read, write};

#[rstest]
#[case::open_write(Act::OpenWrite)]
#[case::open_deny_read(Act::OpenDenyRead)]
#[case::open_truncating(Act::OpenTruncating)]
#[case::write(Act::Write)]
#[case::truncate(Act::Truncate)]
#[case::chmod(Act::Chmod)]
#[case::remove(Act::Remove)]
#[case::rename(Act::Rename)]
#[case::rename_over(Act::RenameOver)]
#[case::link(Act::Link)]
#[tokio::test]
async fn a_read_delegation_is_recalled_once_and_the_other_waits(
    #[case] act: Act,
    #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor,
) {
    waits_for_the_return(minor, Kind::Read, act).await;
}

#[rstest]
#[case::open_read(Act::OpenRead)]
#[case::open_write(Act::OpenWrite)]
#[case::open_deny_write(Act::OpenDenyWrite)]
#[case::open_truncating(Act::OpenTruncating)]
#[case::read(Act::Read)]
#[case::read_bypass(Act::ReadBypass)]
#[case::write(Act::Write)]
#[case::truncate(Act::Truncate)]
#[case::chmod(Act::Chmod)]
#[case::remove(Act::Remove)]
#[case::rename(Act::Rename)]
#[case::rename_over(Act::RenameOver)]
#[case::link(Act::Link)]
#[tokio::test]
async fn a_write_delegation_is_recalled_once_and_the_other_waits(
    #[case] act: Act,
    #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor,
) {
    waits_for_the_return(minor, Kind::Write, act).await;
}

/// The holder closes the file, keeps the delegation, and returns it when it is asked for.
async fn waits_for_the_return(minor: Minor, kind: Kind, act: Act) {
    let mut world = World::new(minor, kind, LONG).await;
    let fh = world.delegation.fh.clone();
    world.holder.close_all().await;
    let (delays, ()) = tokio::join!(
        act.insist(&mut world.other, &fh),
        world.holder.give_back_when_recalled(&world.delegation),
    );
    assert_eq!(delays, 0, "it waits for the return");
    let recalls = world.holder.callbacks().all(CbOp::Recall);
    assert_eq!(recalls.len(), 1);
    assert_eq!(world.other.callbacks().arrived(CbOp::Recall), 0);
    world.stop().await;
}

#[rstest]
#[case::read(Kind::Read, Act::OpenWrite)]
#[case::write(Kind::Write, Act::OpenRead)]
#[tokio::test]
async fn who_does_not_wait_is_put_off_until_the_return_and_asks_for_it_once(
    #[case] kind: Kind,
    #[case] act: Act,
    #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor,
) {
    let mut world = World::new(minor, kind, Duration::ZERO).await;
    let fh = world.delegation.fh.clone();
    for _ in 0..3 {
        assert_eq!(act.run(&mut world.other, &fh).await, NFS4ERR_DELAY);
    }
    world.holder.close_all().await;
    world.holder.give_back_when_recalled(&world.delegation).await;
    assert_eq!(act.run(&mut world.other, &fh).await, NFS4_OK);
    assert_eq!(world.holder.callbacks().arrived(CbOp::Recall), 1);
    world.stop().await;
}

#[rstest]
#[case::open(Act::OpenRead)]
#[case::read(Act::Read)]
#[case::read_bypass(Act::ReadBypass)]
#[tokio::test]
async fn a_read_delegation_is_in_nobodys_way_who_reads(
    #[case] act: Act,
    #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor,
) {
    let mut world = World::new(minor, Kind::Read, LONG).await;
    let fh = world.delegation.fh.clone();
    assert_eq!(act.run(&mut world.other, &fh).await, NFS4_OK);
    world.holder.renew().await.unwrap();
    assert_eq!(world.holder.callbacks().arrived(CbOp::Recall), 0);
    world.stop().await;
}

// RFC 8881 section 10.2: what the holder does itself recalls nothing. In minor version 0 an operation without a stateid does not say
// whose it is.
#[rstest]
#[case::open_read(Act::OpenRead)]
#[case::open_write(Act::OpenWrite)]
#[case::write(Act::Write)]
#[case::truncate(Act::Truncate)]
#[case::chmod(Act::Chmod)]
#[case::rename(Act::Rename)]
#[case::link(Act::Link)]
#[tokio::test]
async fn the_holder_is_not_in_its_own_way(
    #[case] act: Act,
    #[values(Kind::Read, Kind::Write)] kind: Kind,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let mut world = World::new(minor, kind, LONG).await;
    let fh = world.delegation.fh.clone();
    assert_eq!(act.run(&mut world.holder, &fh).await, NFS4_OK);
    assert_eq!(world.holder.callbacks().arrived(CbOp::Recall), 0);
    world.holder.give_back(&world.delegation).await;
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn the_holder_reads_and_writes_with_its_delegation(
    #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor,
) {
    let mut world = World::new(minor, Kind::Write, LONG).await;
    let (fh, stateid) = (world.delegation.fh.clone(), world.delegation.stateid);
    world.holder.run_on::<Write>(&fh, &write(stateid, b"mine")).await.unwrap();
    assert_eq!(&world.holder.run_on::<Read>(&fh, &read(stateid)).await.unwrap().data[..], b"mine");
    assert_eq!(world.holder.callbacks().arrived(CbOp::Recall), 0);
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn all_holders_are_asked_at_once_and_nobody_twice(
    #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor,
) {
    let mut world = World::new(minor, Kind::Read, LONG).await;
    let fh = world.delegation.fh.clone();
    let mut second = dittofs_tests::callbacks::DelegClient::of(&world.server, "second", minor).await;
    second.open_read("before").wanting_none().await;
    let also = second.open_read(FILE).existing().wanting_read().await.read_delegation();
    world.holder.close_all().await;
    second.close_all().await;
    let both = async {
        // Neither returns before both were asked.
        tokio::join!(world.holder.callbacks().recall(), second.callbacks().recall());
        world.holder.give_back(&world.delegation).await;
        second.give_back(&also).await;
    };
    let (delays, ()) = tokio::join!(Act::Chmod.insist(&mut world.other, &fh), both);
    assert_eq!(delays, 0);
    let counts = (world.holder.callbacks().arrived(CbOp::Recall), second.callbacks().arrived(CbOp::Recall));
    assert_eq!(counts, (1, 1));
    world.stop().await;
}

// A request waits for the return, and not for the answer to CB_RECALL, which may come later than that.
#[rstest]
#[tokio::test]
async fn nobody_waits_longer_than_for_the_return(#[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor) {
    let mut world = World::new(minor, Kind::Read, LONG).await;
    let fh = world.delegation.fh.clone();
    let hold = Hold::default();
    world.holder.callbacks().answer_once(CbOp::Recall, Answer::Held(hold.clone()));
    world.holder.close_all().await;
    let (delays, ()) = tokio::join!(
        Act::OpenWrite.insist(&mut world.other, &fh),
        world.holder.give_back_when_recalled(&world.delegation),
    );
    assert_eq!(delays, 0);
    hold.release();
    world.stop().await;
}

// RFC 8881 section 10.4: a delegation that was recalled a moment ago is not given again at once, and later it is.
#[rstest]
#[tokio::test]
async fn a_file_is_delegated_again_some_time_after_a_recall(
    #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor,
) {
    let mut world = World::new(minor, Kind::Read, LONG).await;
    let fh = world.delegation.fh.clone();
    world.holder.close_all().await;
    tokio::join!(
        Act::Chmod.insist(&mut world.other, &fh),
        world.holder.give_back_when_recalled(&world.delegation),
    );
    let soon = world.holder.open_read(FILE).wanting_read().await;
    assert_eq!(soon.delegation.stateid(), None);
    world.holder.close_all().await;
    world.pass(1).await;
    world.holder.delegation(FILE, Kind::Read).await;
    world.stop().await;
}
