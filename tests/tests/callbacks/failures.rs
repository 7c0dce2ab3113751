//! Holders that do not answer, answer late or lose their connection.
//!
//! Origin: own.
//! RFC: 8881 sections 2.10.6.2, 2.10.6.3, 8.5, 10.2.1, 10.4.6, 18.38.3, 18.46.3, 18.48.3, 20.2.4 and 20.9.3; 7530 sections 10.2.1
//! and 10.4.6.

use std::time::Duration;

use dittofs_framework::proto::{
    CbOp, ChannelDirFromClient, Minor, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_BADHANDLE, NFS4ERR_DELAY,
    NFS4ERR_DELEG_REVOKED, ReferringCall4, SequenceStatus, Status,
};
use dittofs_framework::testing::CallReply;
use dittofs_ops::free_stateid::{FreeStateid, FreeStateid4Args};
use dittofs_ops::read::Read;
use dittofs_ops::test_stateid::{TestStateid, TestStateid4Args};
use dittofs_tests::callbacks::Answer;
use rstest::rstest;

use crate::world::{Act, Kind, LONG, World, read, status};

const REVOKED: SequenceStatus = SequenceStatus::RECALLABLE_STATE_REVOKED;

/// Time passes in which the holder renews its lease, until what it does not return is taken from it.
async fn until_revoked(world: &mut World, act: Act) {
    let fh = world.delegation.fh.clone();
    for _ in 0..9 {
        assert_eq!(act.run(&mut world.other, &fh).await, NFS4ERR_DELAY, "within the lease");
        world.pass(1).await;
        assert_eq!(world.holder.renew().await, Ok(SequenceStatus::empty()));
    }
    world.pass(2).await;
    assert_eq!(act.run(&mut world.other, &fh).await, NFS4_OK, "after the lease");
}

// RFC 8881 section 10.4.6: revoked, NFS4ERR_DELEG_REVOKED from then on, and SEQ4_STATUS_RECALLABLE_STATE_REVOKED until FREE_STATEID.
#[rstest]
#[case::never_answers(Answer::Never)]
#[case::answers_and_keeps_it(Answer::Ok)]
#[case::puts_off(Answer::Status(NFS4ERR_DELAY))]
#[case::knows_nothing_of_it(Answer::Status(NFS4ERR_BADHANDLE))]
#[case::fails(Answer::Rpc(CallReply::SystemErr))]
#[tokio::test]
async fn who_does_not_return_a_delegation_loses_it_after_the_lease_and_is_told(
    #[case] answer: Answer,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[values((Kind::Read, Act::OpenWrite), (Kind::Write, Act::OpenRead))] (kind, act): (Kind, Act),
) {
    let mut world = World::new(minor, kind, Duration::ZERO).await;
    world.holder.callbacks().answer(CbOp::Recall, answer);
    world.holder.close_all().await;
    until_revoked(&mut world, act).await;
    let World { holder, delegation, .. } = &mut world;
    assert_eq!(holder.renew().await, Ok(REVOKED));
    let used = holder.run_on::<Read>(&delegation.fh, &read(delegation.stateid)).await;
    assert_eq!(status(used), NFS4ERR_DELEG_REVOKED);
    let test = TestStateid4Args { ts_stateids: vec![delegation.stateid] };
    let tested = holder.run(holder.compound().op::<TestStateid>(&test)).await.ok();
    assert_eq!(tested.get::<TestStateid>().tsr_status_codes, [NFS4ERR_DELEG_REVOKED]);
    let given_back = holder.try_give_back(&delegation.fh, &delegation.stateid).await;
    assert_eq!(given_back, Err(NFS4ERR_DELEG_REVOKED));
    assert_eq!(holder.renew().await, Ok(REVOKED), "told until it is acknowledged");
    let free = FreeStateid4Args { fsa_stateid: delegation.stateid };
    holder.run(holder.compound().op::<FreeStateid>(&free)).await.ok();
    assert_eq!(holder.renew().await, Ok(SequenceStatus::empty()));
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn in_minor_version_0_a_revoked_delegation_is_a_bad_stateid(
    #[values((Kind::Read, Act::OpenWrite), (Kind::Write, Act::OpenRead))] (kind, act): (Kind, Act),
) {
    let mut world = World::new(Minor::V0, kind, Duration::ZERO).await;
    world.holder.callbacks().answer(CbOp::Recall, Answer::Never);
    world.holder.close_all().await;
    until_revoked(&mut world, act).await;
    let World { holder, delegation, .. } = &mut world;
    let used = holder.run_on::<Read>(&delegation.fh, &read(delegation.stateid)).await;
    assert_eq!(status(used), NFS4ERR_BAD_STATEID);
    world.stop().await;
}

// A client without a lease has none to lose: what it holds is taken when somebody wants it.
#[rstest]
#[tokio::test]
async fn who_is_expired_is_not_waited_for(#[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor) {
    let mut world = World::new(minor, Kind::Read, LONG).await;
    let fh = world.delegation.fh.clone();
    for _ in 0..4 {
        world.pass(3).await;
        world.other.renew().await.unwrap();
    }
    assert_eq!(Act::OpenWrite.insist(&mut world.other, &fh).await, 0);
    world.stop().await;
}

// RFC 8881 section 10.4.5: a holder that cannot answer yet, or does not know the delegation yet, is asked again.
#[rstest]
#[case::delay(NFS4ERR_DELAY)]
#[case::badhandle(NFS4ERR_BADHANDLE)]
#[case::bad_stateid(NFS4ERR_BAD_STATEID)]
#[tokio::test]
async fn who_is_not_ready_is_asked_again(
    #[case] first: Status,
    #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor,
) {
    let mut world = World::new(minor, Kind::Read, LONG).await;
    let fh = world.delegation.fh.clone();
    world.holder.close_all().await;
    world.holder.callbacks().answer_once(CbOp::Recall, Answer::Status(first));
    let asked_twice = async {
        let second = world.holder.callbacks().nth(CbOp::Recall, 2).await;
        assert!(second.executed);
        world.holder.give_back(&world.delegation).await;
    };
    let (delays, ()) = tokio::join!(Act::OpenWrite.insist(&mut world.other, &fh), asked_twice);
    assert_eq!(delays, 0);
    world.stop().await;
}

// RFC 8881 section 2.10.6.3: until the client has used the slot again, the server cannot know that it has seen the OPEN's reply.
#[rstest]
#[tokio::test]
async fn a_recall_names_the_open_whose_reply_the_client_may_not_have_seen(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[values(true, false)] seen: bool,
) {
    let mut world = World::new(minor, Kind::Read, LONG).await;
    let fh = world.delegation.fh.clone();
    let (sessionid, sequenceid) = {
        let session = world.holder.session();
        (session.sessionid, session.slots[0] - 1)
    };
    if seen {
        world.holder.renew().await.unwrap();
    }
    tokio::join!(
        Act::Chmod.insist(&mut world.other, &fh),
        world.holder.give_back_when_recalled(&world.delegation),
    );
    let recall = world.holder.callbacks().nth(CbOp::Recall, 1).await;
    let lists = recall.sequence.unwrap().referring_call_lists;
    let calls: Vec<_> = lists
        .iter()
        .flat_map(|list| list.referring_calls.iter().map(|call| (list.sessionid, *call)))
        .collect();
    let open = (sessionid, ReferringCall4 { sequenceid, slotid: 0 });
    assert_eq!(calls, if seen { vec![] } else { vec![open] });
    world.stop().await;
}

// RFC 8881 section 2.10.6.2: what was not answered on one connection is sent again on another, and is one request.
#[rstest]
#[case::before_it_is_carried_out(Answer::DropBefore)]
#[case::after_it_is_carried_out(Answer::DropAfter)]
#[tokio::test]
async fn a_recall_goes_to_another_connection_when_its_own_ends(
    #[case] answer: Answer,
    #[values(ChannelDirFromClient::Back, ChannelDirFromClient::BackOrBoth)] dir: ChannelDirFromClient,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let mut world = World::new(minor, Kind::Read, LONG).await;
    let fh = world.delegation.fh.clone();
    world.holder.bind(&world.server, dir).await;
    let fore = world.holder.bind(&world.server, ChannelDirFromClient::Fore).await;
    world.holder.use_connection(fore);
    world.holder.renew().await.unwrap();
    world.holder.callbacks().answer_once(CbOp::Recall, answer);
    tokio::join!(Act::Chmod.insist(&mut world.other, &fh), async {
        world.holder.callbacks().nth(CbOp::Recall, 2).await;
        world.holder.give_back(&world.delegation).await;
    },);
    let recalls = world.holder.callbacks().all(CbOp::Recall);
    let numbers = |at: usize| {
        let sequence = recalls[at].sequence.as_ref().unwrap();
        (sequence.slotid, sequence.sequenceid)
    };
    assert_eq!(recalls.len(), 2);
    assert_ne!(recalls[0].connection, recalls[1].connection);
    assert_eq!(numbers(0), numbers(1));
    assert_eq!(world.holder.callbacks().executed(CbOp::Recall), 1);
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_recall_waits_for_a_way_to_the_client_which_is_told_that_there_is_none(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let mut world = World::new(minor, Kind::Read, LONG).await;
    let fh = world.delegation.fh.clone();
    let fore = world.holder.bind(&world.server, ChannelDirFromClient::Fore).await;
    world.holder.use_connection(fore);
    world.holder.connection(0).close().await;
    while !world.holder.renew().await.unwrap().contains(SequenceStatus::CB_PATH_DOWN) {}
    let holder = async {
        world.holder.bind(&world.server, ChannelDirFromClient::Back).await;
        world.holder.give_back_when_recalled(&world.delegation).await;
    };
    let (delays, ()) = tokio::join!(Act::Chmod.insist(&mut world.other, &fh), holder);
    assert_eq!(delays, 0);
    assert_eq!(world.holder.callbacks().executed(CbOp::Recall), 1);
    assert_eq!(world.holder.renew().await, Ok(SequenceStatus::empty()));
    world.stop().await;
}

// RFC 7530 section 10.2.1: a new connection is made when the old one has ended.
#[tokio::test]
async fn a_client_of_minor_version_0_is_dialled_anew() {
    let mut world = World::new(Minor::V0, Kind::Read, LONG).await;
    let fh = world.delegation.fh.clone();
    world.holder.listener().close_connections().await;
    world.holder.close_all().await;
    let (delays, ()) = tokio::join!(
        Act::Chmod.insist(&mut world.other, &fh),
        world.holder.give_back_when_recalled(&world.delegation),
    );
    assert_eq!(delays, 0);
    assert_eq!(world.holder.callbacks().arrived(CbOp::Recall), 1);
    world.stop().await;
}
