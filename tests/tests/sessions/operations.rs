//! Origin: each operation on clients and sessions, good, and with each error that only the whole server can show. The core's
//! own tables are in the framework's tests.
//! RFC: 8881 sections 18.33 to 18.37, 18.46, 18.50 and 18.51.

use dittofs_framework::op::Operation;
use dittofs_framework::proto::*;
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::{XdrEncode, encode_to_bytes};
use dittofs_ops::backchannel_ctl::BackchannelCtl;
use dittofs_ops::bind_conn_to_session::BindConnToSession;
use dittofs_ops::create_session::CreateSession;
use dittofs_ops::destroy_clientid::{DestroyClientid, DestroyClientid4Args};
use dittofs_ops::destroy_session::{DestroySession, DestroySession4Args};
use dittofs_ops::exchange_id::ExchangeId;
use dittofs_ops::lookup::{Lookup, Lookup4Args};
use dittofs_ops::open::Open;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_ops::reclaim_complete::{ReclaimComplete, ReclaimComplete4Args};
use dittofs_ops::sequence::Sequence;
use dittofs_tests::{open_args, unchecked};
use rstest::rstest;

use crate::world::*;

fn destroy_session(sessionid: SessionId) -> Compound {
    Compound::new(Minor::V1).op::<DestroySession>(&DestroySession4Args { sessionid })
}

fn destroy_clientid(clientid: ClientId) -> Compound {
    Compound::new(Minor::V1).op::<DestroyClientid>(&DestroyClientid4Args { clientid })
}

fn reclaim_complete(one_fs: bool) -> Compound {
    Compound::new(Minor::V1).op::<ReclaimComplete>(&ReclaimComplete4Args { one_fs })
}

#[test]
fn a_client_from_beginning_to_end() {
    let mut world = World::new();
    let mut session = world.session("client");
    world.run(&mut session, &reclaim_complete(false)).ok();
    let reply = world.run(&mut session, &Compound::new(Minor::V1)).ok();
    let sequence = reply.get::<Sequence>();
    assert_eq!((sequence.sessionid, sequence.sequenceid, sequence.slotid), (session.id, 2, 0));
    assert_eq!((sequence.highest_slotid, sequence.target_highest_slotid), (7, 7));
    assert_eq!(sequence.status_flags, SequenceStatus::empty());
    assert_eq!(world.call(&destroy_clientid(session.clientid)).status, NFS4ERR_CLIENTID_BUSY);
    world.call(&destroy_session(session.id)).ok();
    assert_eq!(world.call(&destroy_session(session.id)).status, NFS4ERR_BADSESSION);
    world.call(&destroy_clientid(session.clientid)).ok();
    assert_eq!(world.call(&destroy_clientid(session.clientid)).status, NFS4ERR_STALE_CLIENTID);
}

#[test]
fn sessions_are_the_same_in_minor_versions_1_and_2() {
    let mut world = World::new();
    let session = world.session("client");
    let args = Sequence4Args {
        sessionid: session.id,
        sequenceid: 1,
        slotid: 0,
        highest_slotid: 0,
        cache_this: false,
    };
    world.call(&Compound::new(Minor::V2).op::<Sequence>(&args)).ok();
}

#[rstest]
#[case::minor_1(Minor::V1, NFS4ERR_INVAL)]
#[case::minor_2(Minor::V2, NFS4_OK)]
fn the_flag_of_minor_version_2(#[case] minor: Minor, #[case] status: Status) {
    let mut world = World::new();
    let args = ExchangeId4Args { flags: ExchangeIdFlags::SUPP_FENCE_OPS, ..exchange_args("client") };
    assert_eq!(world.call(&Compound::new(minor).op::<ExchangeId>(&args)).status, status);
}

#[test]
fn exchange_id_and_create_session_within_a_session() {
    let mut world = World::new();
    let mut session = world.session("one");
    let exchange = Compound::new(Minor::V1).op::<ExchangeId>(&exchange_args("two"));
    let clientid = world.run(&mut session, &exchange).ok().get::<ExchangeId>().clientid;
    let create = Compound::new(Minor::V1).op::<CreateSession>(&create_args(clientid));
    let created = world.run(&mut session, &create).ok().get::<CreateSession>();
    // A retry outside of the session is a retry (RFC 8881 section 18.36.4).
    let again = world.call(&create).ok().get::<CreateSession>();
    assert_eq!(encode_to_bytes(&created), encode_to_bytes(&again));
}

#[test]
fn destroy_clientid_of_the_own_client_is_busy() {
    let mut world = World::new();
    let mut session = world.session("client");
    let compound = destroy_clientid(session.clientid);
    assert_eq!(world.run(&mut session, &compound).status, NFS4ERR_CLIENTID_BUSY);
}

#[test]
fn destroy_session_by_another_connection() {
    let mut world = World::new();
    let mut session = world.session("client");
    let mut other = world.connect();
    assert_eq!(call(&mut other, &destroy_session(session.id)).status, NFS4ERR_CONN_NOT_BOUND_TO_SESSION);
    session.sequenceid = 1;
    call(&mut other, &session.sequence(false)).ok();
    call(&mut other, &destroy_session(session.id)).ok();
}

#[test]
fn bind_conn_to_session_binds_it() {
    let mut world = World::new();
    let session = world.session("client");
    let mut other = world.connect();
    let args = BindConnToSession4Args {
        sessionid: session.id,
        dir: ChannelDirFromClient::ForeOrBoth,
        use_conn_in_rdma_mode: false,
    };
    let compound = Compound::new(Minor::V1).op::<BindConnToSession>(&args);
    let bound = call(&mut other, &compound).ok().get::<BindConnToSession>();
    assert_eq!(bound.dir, ChannelDirFromServer::Fore);
    call(&mut other, &destroy_session(session.id)).ok();
}

#[rstest]
#[case::global(false, [NFS4_OK, NFS4ERR_COMPLETE_ALREADY])]
#[case::one_file_system_without_filehandle(true, [NFS4ERR_NOFILEHANDLE; 2])]
fn reclaim_complete_is(#[case] one_fs: bool, #[case] expected: [Status; 2]) {
    let mut world = World::new();
    let mut session = world.session("client");
    let compound = reclaim_complete(one_fs);
    let got = [(); 2].map(|()| world.run(&mut session, &compound).status);
    assert_eq!(got, expected);
}

#[test]
fn a_retry_of_reclaim_complete_is_not_a_second_one() {
    let mut world = World::new();
    let mut session = world.session("client");
    let compound = reclaim_complete(false);
    world.run(&mut session, &compound).ok();
    world.again(&session, &compound).ok();
}

#[tokio::test]
async fn a_client_is_reaped_after_its_lease() {
    let mut world = World::new();
    let mut session = world.session("client");
    world.clock.advance(LEASE);
    world.service.reap().await;
    world.run(&mut session, &Compound::new(Minor::V1)).ok();
    world.clock.advance(LEASE + std::time::Duration::from_secs(1));
    world.service.reap().await;
    assert_eq!(world.run(&mut session, &Compound::new(Minor::V1)).status, NFS4ERR_BADSESSION);
    assert_eq!(world.call(&destroy_clientid(session.clientid)).status, NFS4ERR_STALE_CLIENTID);
}

// RFC: 8881 section 18.33.3. RPCSEC_GSS needs a handle that this server gave.
#[rstest]
#[case::none(vec![CallbackSecParms4::None(())], NFS4_OK)]
#[case::no_choice(vec![], NFS4_OK)]
#[case::gss_first(vec![gss(), CallbackSecParms4::None(())], NFS4_OK)]
#[case::gss_alone(vec![gss()], NFS4ERR_NOENT)]
fn backchannel_ctl(#[case] sec_parms: Vec<CallbackSecParms4>, #[case] status: Status) {
    let mut world = World::new();
    let mut session = world.session("client");
    let args = BackchannelCtl4Args { cb_program: 0x4000_0001, sec_parms };
    let compound = Compound::new(Minor::V1).op::<BackchannelCtl>(&args);
    assert_eq!(statuses(&world.run(&mut session, &compound)), [NFS4_OK, status]);
    assert_eq!(statuses(&world.call(&compound)), [NFS4ERR_OP_NOT_IN_SESSION]);
}

fn gss() -> CallbackSecParms4 {
    CallbackSecParms4::Gss(GssCbHandles4 {
        service: RpcGssService::None,
        handle_from_server: "nobody gave it".into(),
        handle_from_client: "client".into(),
    })
}

fn bad_args() -> Vec<(&'static str, Compound)> {
    fn cut<O>(args: &O::Args) -> (&'static str, Compound)
    where
        O: Operation<Args: XdrEncode, Res: dittofs_framework::xdr::XdrDecode>,
    {
        let bytes = encode_to_bytes(args);
        let compound = Compound::new(Minor::V1).op_with_args::<O>(&bytes[..bytes.len() - 4]);
        (O::DESCRIPTOR.name, compound)
    }
    let sessionid = SessionId([0; 16]);
    let dir = ChannelDirFromClient::Fore;
    vec![
        cut::<ExchangeId>(&exchange_args("client")),
        cut::<CreateSession>(&create_args(ClientId(1))),
        cut::<DestroySession>(&DestroySession4Args { sessionid }),
        cut::<DestroyClientid>(&DestroyClientid4Args { clientid: ClientId(1) }),
        cut::<BindConnToSession>(&BindConnToSession4Args { sessionid, dir, use_conn_in_rdma_mode: false }),
        cut::<Sequence>(&Sequence4Args {
            sessionid,
            sequenceid: 1,
            slotid: 0,
            highest_slotid: 0,
            cache_this: false,
        }),
    ]
}

#[test]
fn arguments_that_are_cut_off() {
    let mut world = World::new();
    for (name, compound) in bad_args() {
        assert_eq!(world.call(&compound).status, NFS4ERR_BADXDR, "{name}");
    }
    let mut session = world.session("client");
    let compound = Compound::new(Minor::V1).op_with_args::<ReclaimComplete>(&[]);
    assert_eq!(world.run(&mut session, &compound).status, NFS4ERR_BADXDR);
}

/// Arguments with a word replaced by one that its type does not have.
#[rstest]
#[case::two_implementation_ids(encode_to_bytes(&exchange_args("abcd")), 24, 2)]
#[case::unknown_protection(encode_to_bytes(&exchange_args("abcd")), 20, 3)]
#[case::owner_too_long(encode_to_bytes(&exchange_args("abcd")), 8, 1025)]
fn bad_values_in_exchange_id(#[case] args: bytes::Bytes, #[case] at: usize, #[case] value: u32) {
    let mut world = World::new();
    let mut args = args.to_vec();
    args[at..at + 4].copy_from_slice(&value.to_be_bytes());
    args.resize(args.len() + 2000, 0);
    let compound = Compound::new(Minor::V1).op_with_args::<ExchangeId>(&args);
    assert_eq!(world.call(&compound).status, NFS4ERR_BADXDR);
}

#[rstest]
#[case::two_rdma_depths(40, 2)]
#[case::unknown_flavor(80, 5)]
fn bad_values_in_create_session(#[case] at: usize, #[case] value: u32) {
    let mut world = World::new();
    let clientid = world.exchange("client");
    let mut args = encode_to_bytes(&create_args(clientid)).to_vec();
    args[at..at + 4].copy_from_slice(&value.to_be_bytes());
    args.resize(args.len() + 64, 0);
    let compound = Compound::new(Minor::V1).op_with_args::<CreateSession>(&args);
    assert_eq!(world.call(&compound).status, NFS4ERR_BADXDR);
}

#[test]
fn nothing_is_opened_before_reclaim_complete() {
    let mut world = World::new();
    let mut session = world.session("client");
    let open = Compound::new(Minor::V1)
        .op::<PutRootFh>(&())
        .op::<Lookup>(&Lookup4Args { objname: component("export") })
        .op::<Open>(&open_args("file", 1, 0, "owner", unchecked()));
    assert_eq!(world.run(&mut session, &open).status, NFS4ERR_GRACE);
    world.run(&mut session, &reclaim_complete(false)).ok();
    world.run(&mut session, &open).ok();
    // And with a file open the client is not to be destroyed, even without a session.
    world.call(&destroy_session(session.id)).ok();
    assert_eq!(world.call(&destroy_clientid(session.clientid)).status, NFS4ERR_CLIENTID_BUSY);
}
