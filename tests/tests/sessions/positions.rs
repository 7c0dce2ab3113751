//! Origin: where the operations on clients and sessions may stand.
//! RFC: 8881 sections 18.34.3, 18.35.3, 18.36.3, 18.37.3, 18.46.3, 18.50.3.

use dittofs_framework::proto::*;
use dittofs_framework::testing::Compound;
use dittofs_ops::bind_conn_to_session::BindConnToSession;
use dittofs_ops::create_session::CreateSession;
use dittofs_ops::destroy_clientid::{DestroyClientid, DestroyClientid4Args};
use dittofs_ops::destroy_session::{DestroySession, DestroySession4Args};
use dittofs_ops::exchange_id::ExchangeId;
use dittofs_ops::reclaim_complete::{ReclaimComplete, ReclaimComplete4Args};
use rstest::rstest;

use crate::world::*;

fn one(session: SessionId, what: &str) -> Compound {
    let compound = Compound::new(Minor::V1);
    let clientid = ClientId(77);
    match what {
        "EXCHANGE_ID" => compound.op::<ExchangeId>(&exchange_args("another")),
        "CREATE_SESSION" => compound.op::<CreateSession>(&create_args(clientid)),
        "DESTROY_SESSION" => compound.op::<DestroySession>(&DestroySession4Args { sessionid: session }),
        "DESTROY_CLIENTID" => compound.op::<DestroyClientid>(&DestroyClientid4Args { clientid }),
        "BIND_CONN_TO_SESSION" => compound.op::<BindConnToSession>(&BindConnToSession4Args {
            sessionid: session,
            dir: ChannelDirFromClient::Fore,
            use_conn_in_rdma_mode: false,
        }),
        _ => compound.op::<ReclaimComplete>(&ReclaimComplete4Args { one_fs: false }),
    }
}

#[rstest]
#[case::exchange_id("EXCHANGE_ID")]
#[case::create_session("CREATE_SESSION")]
#[case::destroy_session("DESTROY_SESSION")]
#[case::destroy_clientid("DESTROY_CLIENTID")]
#[case::bind_conn_to_session("BIND_CONN_TO_SESSION")]
fn without_sequence_it_stands_alone(#[case] what: &str) {
    let mut world = World::new();
    let session = world.session("client");
    let compound = one(session.id, what).raw(OP_PUTROOTFH, &[]);
    assert_eq!(statuses(&world.call(&compound)), [NFS4ERR_NOT_ONLY_OP]);
}

#[test]
fn reclaim_complete_needs_a_session() {
    let mut world = World::new();
    let session = world.session("client");
    let compound = one(session.id, "RECLAIM_COMPLETE");
    assert_eq!(statuses(&world.call(&compound)), [NFS4ERR_OP_NOT_IN_SESSION]);
}

#[test]
fn bind_conn_to_session_stands_alone_in_a_session_too() {
    let mut world = World::new();
    let mut session = world.session("client");
    let compound = one(session.id, "BIND_CONN_TO_SESSION");
    assert_eq!(statuses(&world.run(&mut session, &compound)), [NFS4_OK, NFS4ERR_NOT_ONLY_OP]);
}

#[test]
fn sequence_stands_first() {
    let mut world = World::new();
    let mut session = world.session("client");
    let second = session.sequence(false);
    assert_eq!(statuses(&world.run(&mut session, &second)), [NFS4_OK, NFS4ERR_SEQUENCE_POS]);
}

#[test]
fn destroy_session_stands_last_in_its_own_session() {
    let mut world = World::new();
    let (mut session, mut other) = (world.session("client"), world.session("other"));
    let then_more = one(session.id, "DESTROY_SESSION")
        .op::<DestroyClientid>(&DestroyClientid4Args { clientid: ClientId(77) });
    assert_eq!(statuses(&world.run(&mut session, &then_more)), [NFS4_OK, NFS4ERR_NOT_ONLY_OP]);
    let last = one(session.id, "DESTROY_SESSION");
    world.run(&mut session, &last).ok();
    let of_another = one(session.id, "DESTROY_SESSION");
    assert_eq!(statuses(&world.run(&mut other, &of_another)), [NFS4_OK, NFS4ERR_BADSESSION]);
}

#[test]
fn destroy_session_stands_anywhere_in_another_session() {
    let mut world = World::new();
    let (mut session, other) = (world.session("client"), world.session("other"));
    let compound =
        one(other.id, "DESTROY_SESSION").op::<ReclaimComplete>(&ReclaimComplete4Args { one_fs: false });
    assert_eq!(statuses(&world.run(&mut session, &compound)), [NFS4_OK; 3]);
}
