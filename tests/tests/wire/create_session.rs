//! Origin: the four phases of RFC 8881 section 18.36.4, its arguments one by one, and the slot of the client ID.
//! RFC: 8881 sections 15.2 and 18.36.
//!
//! Not reached: WRONG_CRED (no state protection), DEADSESSION (no session is persistent) and SERVERFAULT. REQ_TOO_BIG and TOO_MANY_OPS are
//! SEQUENCE's to say; RETRY_UNCACHED_REP is in `replay`.

use bytes::Bytes;
use dittofs_framework::proto::*;
use dittofs_framework::session::SessionLimits;
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::{Opaque, encode_to_bytes};
use dittofs_ops::create_session::CreateSession;
use dittofs_ops::destroy_clientid::{DestroyClientid, DestroyClientid4Args};
use dittofs_ops::exchange_id::ExchangeId;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_tests::*;
use rstest::rstest;

use crate::common::*;

const OWNER: &str = "owner";
const VERIFIER: [u8; 8] = [1; 8];

/// An unconfirmed client and the arguments that confirm it.
async fn unconfirmed(server: &TestServer, minor: Minor) -> (Client, CreateSession4Args) {
    let mut client = Client::connect(server).await;
    let id = client.exchange_id(minor, OWNER, VERIFIER).await;
    (client, create_session_args(id.clientid, id.sequenceid, &options(minor)))
}

fn create(minor: Minor, args: &CreateSession4Args) -> Compound {
    Compound::new(minor).op::<CreateSession>(args)
}

/// The first SEQUENCE of a session.
fn first(minor: Minor, sessionid: SessionId) -> Compound {
    let args = Sequence4Args { sessionid, sequenceid: 1, slotid: 0, highest_slotid: 0, cache_this: false };
    Compound::new(minor).op::<dittofs_ops::sequence::Sequence>(&args)
}

#[rstest]
#[tokio::test]
async fn the_first_session_confirms_the_client(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let (mut client, args) = unconfirmed(&server, minor).await;
    let created = client.run(&create(minor, &args)).await.ok().get::<CreateSession>();
    assert_eq!(created.sequence, args.sequence);
    assert!(args.flags.contains(created.flags), "nothing is granted that was not asked for");
    client.run(&first(minor, created.sessionid)).await.ok();
    let again = client.exchange_id(minor, OWNER, VERIFIER).await;
    assert_eq!(again.clientid, args.clientid);
    assert!(again.flags.contains(ExchangeIdFlags::CONFIRMED_R));
    server.stop().await;
}

type Change = fn(&mut CreateSession4Args);

fn gss() -> CallbackSecParms4 {
    CallbackSecParms4::Gss(GssCbHandles4 {
        service: RpcGssService::None,
        handle_from_server: Opaque::from("unknown"),
        handle_from_client: Opaque::from("any"),
    })
}

#[rstest]
#[case::the_contrived_reply(|args: &mut CreateSession4Args| args.sequence -= 1, NFS4ERR_SEQ_MISORDERED)]
#[case::one_too_many(|args: &mut CreateSession4Args| args.sequence += 1, NFS4ERR_SEQ_MISORDERED)]
#[case::far_off(|args: &mut CreateSession4Args| args.sequence ^= 0x8000_0000, NFS4ERR_SEQ_MISORDERED)]
#[case::unknown_client(|args: &mut CreateSession4Args| args.clientid.0 ^= 0xff, NFS4ERR_STALE_CLIENTID)]
#[case::client_zero(|args: &mut CreateSession4Args| args.clientid = ClientId(0), NFS4ERR_STALE_CLIENTID)]
#[case::flag_not_defined(|args: &mut CreateSession4Args| args.flags = CreateSessionFlags::from_bits_retain(8), NFS4ERR_INVAL)]
#[case::every_flag(|args: &mut CreateSession4Args| args.flags = CreateSessionFlags::from_bits_retain(u32::MAX), NFS4ERR_INVAL)]
#[case::no_reply_fits(|args: &mut CreateSession4Args| args.fore_channel.max_response_size = 40, NFS4ERR_TOOSMALL)]
#[case::no_reply_at_all(|args: &mut CreateSession4Args| args.fore_channel.max_response_size = 0, NFS4ERR_TOOSMALL)]
#[case::no_request_fits(|args: &mut CreateSession4Args| args.fore_channel.max_request_size = 20, NFS4ERR_TOOSMALL)]
#[case::no_callback_reply_fits(|args: &mut CreateSession4Args| args.back_channel.max_response_size = 20, NFS4ERR_TOOSMALL)]
#[case::no_callback_fits(|args: &mut CreateSession4Args| args.back_channel.max_request_size = 20, NFS4ERR_TOOSMALL)]
#[case::unknown_gss_handle(|args: &mut CreateSession4Args| args.sec_parms = vec![gss()], NFS4ERR_NOENT)]
#[tokio::test]
async fn what_is_refused_changes_nothing(
    #[case] change: Change,
    #[case] expected: Status,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let (mut client, good) = unconfirmed(&server, minor).await;
    let mut bad = good.clone();
    change(&mut bad);
    assert_eq!(statuses(&client.run(&create(minor, &bad)).await), [expected]);
    let update =
        ExchangeId4Args { flags: ExchangeIdFlags::UPD_CONFIRMED_REC_A, ..exchange_id_args(OWNER, VERIFIER) };
    let update = client.run(&Compound::new(minor).op::<ExchangeId>(&update)).await;
    assert_eq!(statuses(&update), [NFS4ERR_NOENT], "the record is not confirmed");
    client.run(&create(minor, &good)).await.ok();
    server.stop().await;
}

#[rstest]
#[case::gss_beside_others(|args: &mut CreateSession4Args| args.sec_parms = vec![gss(), CallbackSecParms4::None(())])]
#[case::sys(|args: &mut CreateSession4Args| args.sec_parms = vec![CallbackSecParms4::Sys(AuthSysParms {
    stamp: 0, machine_name: Opaque::from("machine"), uid: 0, gid: 0, gids: Gids(vec![7; 16]),
})])]
#[case::no_callbacks(|args: &mut CreateSession4Args| args.sec_parms = vec![])]
#[case::nothing_is_cached(|args: &mut CreateSession4Args| args.fore_channel.max_response_size_cached = 0)]
#[case::largest(|args: &mut CreateSession4Args| args.fore_channel = ChannelAttrs4 {
    header_pad_size: u32::MAX,
    max_request_size: u32::MAX,
    max_response_size: u32::MAX,
    max_response_size_cached: u32::MAX,
    max_operations: u32::MAX,
    max_requests: u32::MAX,
    rdma_ird: AtMostOneU32(Some(u32::MAX)),
})]
#[case::no_slots(|args: &mut CreateSession4Args| args.fore_channel.max_requests = 0)]
#[case::every_flag_that_there_is(|args: &mut CreateSession4Args| args.flags = CreateSessionFlags::all())]
#[tokio::test]
async fn what_is_granted_is_no_more_than_was_asked_for(
    #[case] change: Change,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let (mut client, mut args) = unconfirmed(&server, minor).await;
    change(&mut args);
    let created = client.run(&create(minor, &args)).await.ok().get::<CreateSession>();
    for (asked, granted) in
        [(&args.fore_channel, &created.fore_channel), (&args.back_channel, &created.back_channel)]
    {
        assert!(granted.header_pad_size <= asked.header_pad_size);
        assert!(granted.max_request_size <= asked.max_request_size);
        assert!(granted.max_response_size <= asked.max_response_size);
        assert!(granted.max_response_size_cached <= asked.max_response_size_cached);
        assert!(granted.rdma_ird.0.unwrap_or(0) <= asked.rdma_ird.0.unwrap_or(0));
        assert!(granted.max_requests >= 1);
    }
    let (asked, granted) = (&args.back_channel, &created.back_channel);
    assert_eq!((granted.max_operations, granted.max_requests), (asked.max_operations, asked.max_requests));
    assert!(created.fore_channel.max_operations >= 2);
    let never = CreateSessionFlags::PERSIST | CreateSessionFlags::CONN_RDMA;
    assert!(!created.flags.intersects(never), "there is no such cache and no such connection");
    client.run(&first(minor, created.sessionid)).await.ok();
    server.stop().await;
}

#[rstest]
#[case::unconfirmed(false)]
#[case::confirmed(true)]
#[tokio::test]
async fn another_user_is_refused(#[case] is_confirmed: bool, #[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let (mut client, mut args) = unconfirmed(&server, minor).await;
    if is_confirmed {
        client.run(&create(minor, &args)).await.ok();
        args.sequence += 1;
    }
    client.act_as(1000, 1000, &[]);
    assert_eq!(statuses(&client.run(&create(minor, &args)).await), [NFS4ERR_CLID_INUSE]);
    client.act_as(0, 0, &[]);
    client.run(&create(minor, &args)).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_retry_gets_the_same_reply_and_no_session(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let limits = SessionLimits { sessions_per_client: 2, ..SessionLimits::default() };
    let server = server_with(limits).await;
    let (mut client, mut args) = unconfirmed(&server, minor).await;
    let compound = create(minor, &args);
    let one = client.run(&compound).await.ok();
    for _ in 0..3 {
        assert_eq!(client.run(&compound).await.raw, one.raw);
    }
    let mut other = Client::connect(&server).await;
    assert_eq!(other.run(&compound).await.raw, one.raw, "by another connection");
    let mut within = session(&server, "another", minor).await;
    let result = within.run(create(minor, &args)).await.ok();
    assert_eq!(result.results[1].body, one.results[0].body, "within a session");
    let before = args.sequence;
    args.sequence += 1;
    let two = client.run(&create(minor, &args)).await.ok();
    assert_ne!(two.results[0].body, one.results[0].body);
    args.sequence = before;
    assert_eq!(statuses(&client.run(&create(minor, &args)).await), [NFS4ERR_SEQ_MISORDERED]);
    args.sequence += 2;
    assert_eq!(statuses(&client.run(&create(minor, &args)).await), [NFS4ERR_NOSPC], "there were two");
    server.stop().await;
}

#[tokio::test]
async fn sessions_over_the_limit_have_no_space() {
    let limits = SessionLimits { sessions_per_client: 1, ..SessionLimits::default() };
    let server = server_with(limits).await;
    let (mut client, mut args) = unconfirmed(&server, Minor::V1).await;
    let created = client.run(&create(Minor::V1, &args)).await.ok().get::<CreateSession>();
    args.sequence += 1;
    assert_eq!(statuses(&client.run(&create(Minor::V1, &args)).await), [NFS4ERR_NOSPC]);
    client.run(&destroy_session(Minor::V1, created.sessionid)).await.ok();
    client.run(&create(Minor::V1, &args)).await.ok();
    server.stop().await;
}

#[rstest]
#[case::never_confirmed(2, false)]
#[case::expired(1, true)]
#[tokio::test]
async fn a_client_that_was_forgotten_is_stale(#[case] leases: u32, #[case] is_confirmed: bool) {
    let server = TestServer::start().await;
    let (mut client, mut args) = unconfirmed(&server, Minor::V1).await;
    if is_confirmed {
        client.run(&create(Minor::V1, &args)).await.ok();
        args.sequence += 1;
    }
    server.clock.advance(leases * LEASE + SECOND);
    server.service.reap().await;
    assert_eq!(statuses(&client.run(&create(Minor::V1, &args)).await), [NFS4ERR_STALE_CLIENTID]);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_was_destroyed_is_stale() {
    let server = TestServer::start().await;
    let (mut client, args) = unconfirmed(&server, Minor::V2).await;
    let destroy = DestroyClientid4Args { clientid: args.clientid };
    client.run(&Compound::new(Minor::V2).op::<DestroyClientid>(&destroy)).await.ok();
    assert_eq!(statuses(&client.run(&create(Minor::V2, &args)).await), [NFS4ERR_STALE_CLIENTID]);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn confirming_a_new_incarnation_ends_the_old_one(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut old = session(&server, OWNER, minor).await;
    old.open_as("file", BOTH, BOTH, "opener").await;
    let id = old.client.exchange_id(minor, OWNER, [2; 8]).await;
    assert_ne!(id.clientid, old.clientid);
    old.sequence().await;
    let args = create_session_args(id.clientid, id.sequenceid, &options(minor));
    old.client.run(&create(minor, &args)).await.ok();
    assert_eq!(old.run(old.compound()).await.status, NFS4ERR_BADSESSION);
    // Its share reservation has gone with it.
    session(&server, "another", minor).await.open("file").await;
    server.stop().await;
}

#[tokio::test]
async fn a_running_request_of_the_old_incarnation_delays_the_new_one() {
    let (server, gate) = gated(OP_PUTROOTFH).await;
    let mut old = session(&server, OWNER, Minor::V1).await;
    let running = old.request(0, CacheThis::No, roots(Minor::V1, 1));
    let xid = old.client.send(&running).await;
    gate.arrival().await;
    let mut client = Client::connect(&server).await;
    let id = client.exchange_id(Minor::V1, OWNER, [2; 8]).await;
    let args = create_session_args(id.clientid, id.sequenceid, &options(Minor::V1));
    assert_eq!(statuses(&client.run(&create(Minor::V1, &args)).await), [NFS4ERR_DELAY]);
    gate.open();
    old.client.receive(xid, &running).await.ok();
    client.run(&create(Minor::V1, &args)).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn without_sequence_it_is_alone(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let (mut client, args) = unconfirmed(&server, minor).await;
    let reply = client.run(&create(minor, &args).op::<PutRootFh>(&())).await;
    assert_eq!(statuses(&reply), [NFS4ERR_NOT_ONLY_OP]);
    client.run(&create(minor, &args)).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn behind_sequence_it_stands_anywhere(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let (_, args) = unconfirmed(&server, minor).await;
    let mut session = session(&server, "another", minor).await;
    let compound = session.compound().op::<PutRootFh>(&()).op::<CreateSession>(&args).op::<PutRootFh>(&());
    let created = session.run(compound).await.ok().get::<CreateSession>();
    // The connection it came by belongs to the new session: it may end it.
    session.client.run(&destroy_session(minor, created.sessionid)).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn without_room_for_the_reply_no_session_is_made(
    #[values(CacheThis::Yes, CacheThis::No)] cache: CacheThis,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let (mut client, args) = unconfirmed(&server, minor).await;
    let mut session = narrow_session(&server, "another", minor, cache, 120).await;
    let request = session.request(0, cache, create(minor, &args));
    assert_eq!(statuses(&session.client.run(&request).await), [NFS4_OK, too_big(cache)]);
    client.run(&create(minor, &args)).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn arguments_that_are_cut_off(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let (mut client, mut args) = unconfirmed(&server, minor).await;
    args.sec_parms.push(gss());
    cut_off_is_bad_xdr::<CreateSession>(&mut client, minor, &encode_to_bytes(&args)).await;
    args.sec_parms.clear();
    client.run(&create(minor, &args)).await.ok();
    server.stop().await;
}

fn plain() -> Bytes {
    encode_to_bytes(&create_session_args(ClientId(1), 1, &options(Minor::V1)))
}

fn with_sys() -> Bytes {
    let sys =
        AuthSysParms { stamp: 0, machine_name: Opaque::from("abcd"), uid: 0, gid: 0, gids: Gids(vec![]) };
    let args = create_session_args(ClientId(1), 1, &options(Minor::V1));
    encode_to_bytes(&CreateSession4Args { sec_parms: vec![CallbackSecParms4::Sys(sys)], ..args })
}

/// Words: client ID 0 and 4, sequence 8, flags 12, the fore channel from 16 with its RDMA depth at 40, the backchannel from 44
/// with its depth at 68, the program 72, the credentials 76, the flavor 80, then of AUTH_SYS the stamp 84, the machine 88 and 92,
/// the user 96, the group 100, the groups 104.
#[rstest]
#[case::two_rdma_depths(plain(), 40, 2)]
#[case::endless_rdma_depths(plain(), 40, u32::MAX)]
#[case::two_rdma_depths_back(plain(), 68, 2)]
#[case::endless_credentials(plain(), 76, u32::MAX)]
#[case::unknown_flavor(plain(), 80, 5)]
#[case::machine_name_over_the_limit(with_sys(), 88, 256)]
#[case::endless_machine_name(with_sys(), 88, u32::MAX)]
#[case::groups_over_the_limit(with_sys(), 104, 17)]
#[case::endless_groups(with_sys(), 104, u32::MAX)]
#[tokio::test]
async fn values_that_the_type_does_not_have(
    #[case] args: Bytes,
    #[case] at: usize,
    #[case] value: u32,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    let compound = Compound::new(minor).op_with_args::<CreateSession>(&with_word(&args, at, value));
    assert_eq!(statuses(&client.run(&compound).await), [NFS4ERR_BADXDR]);
    server.stop().await;
}
