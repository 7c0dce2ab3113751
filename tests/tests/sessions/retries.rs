//! Origin: what comes by the wire the second time is what came the first.
//! RFC: 8881 sections 2.10.6.1 to 2.10.6.4.

use dittofs_framework::proto::*;
use dittofs_framework::testing::Compound;
use dittofs_ops::reclaim_complete::{ReclaimComplete, ReclaimComplete4Args};
use rstest::rstest;

use crate::world::*;

fn reclaim_complete() -> Compound {
    Compound::new(Minor::V1).op::<ReclaimComplete>(&ReclaimComplete4Args { one_fs: false })
}

/// SEQUENCE alone, good, failing in the second operation, and in a later one.
#[rstest]
#[case::solo(Compound::new(Minor::V1))]
#[case::good(reclaim_complete())]
#[case::illegal(Compound::new(Minor::V1).raw(OpNum::from_code(999), &[]))]
#[case::not_of_this_minor_version(Compound::new(Minor::V1).raw(OP_RENEW, &[]))]
#[case::failing_later(reclaim_complete().after(reclaim_complete()))]
fn a_cached_reply_comes_again(#[case] compound: Compound) {
    let mut world = World::new();
    let mut session = world.session("client");
    let compound = compound.tag(b"a tag");
    let first = world.run(&mut session, &compound);
    let again = world.again(&session, &compound);
    assert_eq!(first.raw, again.raw);
    let mut other = world.connect();
    let again = call(&mut other, &compound.clone().after(session.sequence(true)));
    assert_eq!(first.raw, again.raw, "by another connection");
}

#[rstest]
#[case::solo(Compound::new(Minor::V1), None)]
#[case::illegal(Compound::new(Minor::V1).raw(OpNum::from_code(999), &[]), None)]
#[case::not_of_this_minor_version(Compound::new(Minor::V1).raw(OP_RENEW, &[]), None)]
#[case::good(reclaim_complete(), Some([NFS4_OK, NFS4ERR_RETRY_UNCACHED_REP]))]
#[case::failing_later(reclaim_complete().after(reclaim_complete()), Some([NFS4_OK, NFS4ERR_RETRY_UNCACHED_REP]))]
fn a_reply_that_was_not_to_be_cached(#[case] compound: Compound, #[case] instead: Option<[Status; 2]>) {
    let mut world = World::new();
    let mut session = world.session("client");
    session.sequenceid = 1;
    let compound = compound.after(session.sequence(false)).tag(b"a tag");
    let first = world.call(&compound);
    let again = world.call(&compound);
    assert_eq!(again.tag, first.tag);
    match instead {
        Some(expected) => {
            assert_eq!(statuses(&again), expected);
            assert_eq!(again.results[0].body, first.results[0].body, "the result of SEQUENCE");
        }
        None => assert_eq!(again.raw, first.raw),
    }
}

#[test]
fn a_request_that_is_another_is_a_false_retry() {
    let mut world = World::new();
    let mut session = world.session("client");
    world.run(&mut session, &reclaim_complete()).ok();
    let other = Compound::new(Minor::V1);
    assert_eq!(statuses(&world.again(&session, &other)), [NFS4ERR_SEQ_FALSE_RETRY]);
}

#[rstest]
#[case::too_large(|channel: &mut ChannelAttrs4| channel.max_request_size = 160, NFS4ERR_REQ_TOO_BIG)]
#[case::too_many_operations(|channel: &mut ChannelAttrs4| channel.max_operations = 2, NFS4ERR_TOO_MANY_OPS)]
fn a_request_over_the_limits_of_its_session(#[case] limit: fn(&mut ChannelAttrs4), #[case] status: Status) {
    let mut world = World::new();
    let mut fore_channel = channel();
    limit(&mut fore_channel);
    let mut session = world.session_with("client", fore_channel);
    let large = reclaim_complete().raw(OP_LOOKUP, &[0; 200]);
    assert_eq!(statuses(&world.run(&mut session, &large)), [status]);
    let small = world.again(&session, &reclaim_complete());
    assert_eq!(statuses(&small), [NFS4_OK, NFS4_OK], "the slot is as it was");
}

#[test]
fn a_reply_that_cannot_be_cached() {
    let mut world = World::new();
    let fore_channel = ChannelAttrs4 { max_response_size_cached: 10, ..channel() };
    let mut session = world.session_with("client", fore_channel);
    let compound = Compound::new(Minor::V1);
    assert_eq!(statuses(&world.run(&mut session, &compound)), [NFS4ERR_REP_TOO_BIG_TO_CACHE]);
    world.call(&session.sequence(false)).ok();
}
