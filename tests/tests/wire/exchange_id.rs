//! Origin: the nine cases of RFC 8881 section 18.35.4, its rules on flags and protection, and every length of the arguments.
//! RFC: 8881 sections 2.4, 2.10.5, 15.2 and 18.35; 7862 section 14.1.
//!
//! Not reached: BADCHAR (strings are bytes), ENCR_ALG_UNSUPP, HASH_ALG_UNSUPP (SP4_SSV is refused before they are looked at), DEADSESSION
//! (no session is persistent) and SERVERFAULT. REQ_TOO_BIG and TOO_MANY_OPS are SEQUENCE's to say; RETRY_UNCACHED_REP is in `replay`.

use bytes::Bytes;
use dittofs_framework::attr::Bitmap;
use dittofs_framework::proto::*;
use dittofs_framework::session::SessionLimits;
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::{Opaque, encode_to_bytes};
use dittofs_ops::exchange_id::ExchangeId;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_tests::*;
use rstest::rstest;

use crate::common::*;

const OWNER: &str = "owner";
/// Verifier of [`options`]' sessions.
const OLD: [u8; 8] = [1; 8];
const NEW: [u8; 8] = [2; 8];
const USER: u32 = 0;
const STRANGER: u32 = 1000;

/// What the server knows of the owner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    Unconfirmed,
    /// With a session.
    Confirmed,
    /// Without sessions and state.
    Idle,
    /// Without sessions, with an open.
    Holding,
    /// With a session, and an unconfirmed record of a new incarnation.
    Restarting,
    /// With a session, and a lease that ran out.
    Expired,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// A new client ID, not confirmed.
    New,
    /// The confirmed client ID.
    Same,
    Fails(Status),
}

/// Brings the server to know of the owner what `known` says. Returns the client ID of the confirmed record, or else of the
/// unconfirmed one, and the session if it lives.
async fn prepare(server: &TestServer, known: Known, minor: Minor) -> (Option<ClientId>, Option<Session>) {
    if known == Known::Nothing {
        return (None, None);
    }
    if known == Known::Unconfirmed {
        let unconfirmed = Client::connect(server).await.exchange_id(minor, OWNER, OLD).await;
        return (Some(unconfirmed.clientid), None);
    }
    let mut session = session(server, OWNER, minor).await;
    let clientid = Some(session.clientid);
    match known {
        Known::Holding => drop(session.open("held").await),
        Known::Restarting => {
            session.client.exchange_id(minor, OWNER, NEW).await;
        }
        Known::Expired => server.clock.advance(LEASE + SECOND),
        _ => {}
    }
    if matches!(known, Known::Idle | Known::Holding) {
        session.client.run(&destroy_session(minor, session.sessionid)).await.ok();
        return (clientid, None);
    }
    (clientid, Some(session))
}

async fn exchange(
    server: &TestServer,
    minor: Minor,
    verifier: [u8; 8],
    uid: u32,
    flags: ExchangeIdFlags,
) -> Result<ExchangeId4ResOk, Status> {
    let mut client = Client::connect(server).await;
    client.act_as(uid, uid, &[]);
    let args = ExchangeId4Args { flags, ..exchange_id_args(OWNER, verifier) };
    let reply = client.run(&Compound::new(minor).op::<ExchangeId>(&args)).await;
    if reply.status.is_ok() { Ok(reply.get::<ExchangeId>()) } else { Err(reply.status) }
}

fn outcome(known: Option<ClientId>, result: &Result<ExchangeId4ResOk, Status>) -> Outcome {
    match result {
        Err(status) => Outcome::Fails(*status),
        Ok(reply) if reply.flags.contains(ExchangeIdFlags::CONFIRMED_R) => {
            assert_eq!(Some(reply.clientid), known);
            Outcome::Same
        }
        Ok(reply) => {
            assert_ne!(Some(reply.clientid), known);
            Outcome::New
        }
    }
}

#[rstest]
#[case::case_1_new_owner(Known::Nothing, OLD, USER, Outcome::New, None)]
#[case::case_2_retry(Known::Confirmed, OLD, USER, Outcome::Same, Some(NFS4_OK))]
#[case::case_2_without_session(Known::Idle, OLD, USER, Outcome::Same, None)]
#[case::case_2_beside_unconfirmed(Known::Restarting, OLD, USER, Outcome::Same, Some(NFS4_OK))]
#[case::case_2_expired(Known::Expired, OLD, USER, Outcome::Same, Some(NFS4_OK))]
#[case::case_3_in_use(Known::Confirmed, OLD, STRANGER, Outcome::Fails(NFS4ERR_CLID_INUSE), Some(NFS4_OK))]
#[case::case_3_other_verifier(
    Known::Confirmed,
    NEW,
    STRANGER,
    Outcome::Fails(NFS4ERR_CLID_INUSE),
    Some(NFS4_OK)
)]
#[case::case_3_open_without_session(Known::Holding, OLD, STRANGER, Outcome::Fails(NFS4ERR_CLID_INUSE), None)]
#[case::case_3_without_state(Known::Idle, OLD, STRANGER, Outcome::New, None)]
#[case::case_3_expired(Known::Expired, NEW, STRANGER, Outcome::New, Some(NFS4ERR_BADSESSION))]
#[case::case_4_same(Known::Unconfirmed, OLD, USER, Outcome::New, None)]
#[case::case_4_other_verifier(Known::Unconfirmed, NEW, USER, Outcome::New, None)]
#[case::case_4_other_user(Known::Unconfirmed, OLD, STRANGER, Outcome::New, None)]
#[case::case_5_restart(Known::Confirmed, NEW, USER, Outcome::New, Some(NFS4_OK))]
#[case::case_5_restart_again(Known::Restarting, [3; 8], USER, Outcome::New, Some(NFS4_OK))]
#[tokio::test]
async fn without_update(
    #[case] known: Known,
    #[case] verifier: [u8; 8],
    #[case] uid: u32,
    #[case] expected: Outcome,
    #[case] old_session: Option<Status>,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let (clientid, session) = prepare(&server, known, minor).await;
    let result = exchange(&server, minor, verifier, uid, ExchangeIdFlags::empty()).await;
    assert_eq!(outcome(clientid, &result), expected);
    let alive = match session {
        Some(mut session) => Some(session.run(session.compound()).await.status),
        None => None,
    };
    assert_eq!(alive, old_session, "the session that was there before");
    server.stop().await;
}

#[rstest]
#[case::case_6_update(Known::Confirmed, OLD, USER, Outcome::Same)]
#[case::case_6_beside_unconfirmed(Known::Restarting, OLD, USER, Outcome::Same)]
#[case::case_7_unknown(Known::Nothing, OLD, USER, Outcome::Fails(NFS4ERR_NOENT))]
#[case::case_7_unconfirmed(Known::Unconfirmed, OLD, USER, Outcome::Fails(NFS4ERR_NOENT))]
#[case::case_8_verifier(Known::Confirmed, NEW, USER, Outcome::Fails(NFS4ERR_NOT_SAME))]
#[case::case_8_verifier_and_user(Known::Confirmed, NEW, STRANGER, Outcome::Fails(NFS4ERR_NOT_SAME))]
#[case::case_9_user(Known::Confirmed, OLD, STRANGER, Outcome::Fails(NFS4ERR_PERM))]
#[tokio::test]
async fn with_update(
    #[case] known: Known,
    #[case] verifier: [u8; 8],
    #[case] uid: u32,
    #[case] expected: Outcome,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let (clientid, session) = prepare(&server, known, minor).await;
    let result = exchange(&server, minor, verifier, uid, ExchangeIdFlags::UPD_CONFIRMED_REC_A).await;
    assert_eq!(outcome(clientid, &result), expected);
    if let Some(mut session) = session {
        session.sequence().await;
    }
    server.stop().await;
}

#[rstest]
#[case::none(0, true, true)]
#[case::referrals_and_migration(0x3, true, true)]
#[case::bind_principal(0x100, true, true)]
#[case::every_role(0x7_0000, true, true)]
#[case::fence(0x4, false, true)]
#[case::not_defined_low(0x8, false, false)]
#[case::not_defined_high(0x2000_0000, false, false)]
#[case::of_the_reply(0x8000_0000, false, false)]
#[case::all(u32::MAX, false, false)]
#[tokio::test]
async fn flags(#[case] bits: u32, #[case] good_in_v4_1: bool, #[case] good_in_v4_2: bool) {
    let server = TestServer::start().await;
    for (minor, is_good) in [(Minor::V1, good_in_v4_1), (Minor::V2, good_in_v4_2)] {
        let flags = ExchangeIdFlags::from_bits_retain(bits);
        let result = exchange(&server, minor, OLD, USER, flags).await;
        assert_eq!(result.as_ref().err().copied(), (!is_good).then_some(NFS4ERR_INVAL), "{minor:?}");
        if let Ok(reply) = result {
            let only_arguments = ExchangeIdFlags::UPD_CONFIRMED_REC_A;
            assert!(!reply.flags.intersects(only_arguments | ExchangeIdFlags::CONFIRMED_R));
            assert!(reply.flags.contains(ExchangeIdFlags::USE_NON_PNFS), "RFC 8881 section 13.1");
        }
    }
    server.stop().await;
}

fn protect_ops() -> StateProtectOps4 {
    StateProtectOps4 { must_enforce: Bitmap::EMPTY, must_allow: Bitmap::EMPTY }
}

fn ssv() -> StateProtect4A {
    StateProtect4A::Ssv(SsvSpParms4 {
        ops: protect_ops(),
        hash_algs: vec![Opaque::from("hash")],
        encr_algs: vec![Opaque::from("encr")],
        window: 1,
        num_gss_handles: 0,
    })
}

#[rstest]
#[case::machine_credential(StateProtect4A::MachCred(protect_ops()))]
#[case::secret_state_verifier(ssv())]
#[tokio::test]
async fn protection_needs_rpcsec_gss(#[case] state_protect: StateProtect4A) {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    let args = ExchangeId4Args { state_protect, ..exchange_id_args(OWNER, OLD) };
    let reply = client.run(&Compound::new(Minor::V1).op::<ExchangeId>(&args)).await;
    assert_eq!(statuses(&reply), [NFS4ERR_INVAL]);
    server.stop().await;
}

#[rstest]
#[case::no_owner(exchange_id_args("", OLD))]
#[case::longest_owner(exchange_id_args(&"o".repeat(1024), OLD))]
#[case::implementation(ExchangeId4Args {
    client_impl_id: AtMostOne(Some(NfsImplId4 {
        domain: Opaque::from("example.org"),
        name: Opaque::from("any name"),
        date: NfsTime { seconds: -1, nseconds: 0 },
    })),
    ..exchange_id_args(OWNER, OLD)
})]
#[tokio::test]
async fn unusual_arguments_are_good(
    #[case] args: ExchangeId4Args,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    client.run(&Compound::new(minor).op::<ExchangeId>(&args)).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn the_server_is_the_same_on_every_connection() {
    let server = TestServer::start().await;
    let one = Client::connect(&server).await.exchange_id(Minor::V1, "one", OLD).await;
    let two = Client::connect(&server).await.exchange_id(Minor::V2, "two", OLD).await;
    assert_ne!(one.clientid, two.clientid);
    assert_eq!((&one.server_owner, &one.server_scope), (&two.server_owner, &two.server_scope));
    assert!(!one.server_scope.is_empty() && !one.server_owner.major_id.is_empty());
    server.stop().await;
}

/// A client with a session keeps its place as long as its lease; one that is not confirmed only until another wants it.
#[tokio::test]
async fn there_is_a_limit_of_records() {
    let server = server_with(SessionLimits { clients: 1, ..SessionLimits::default() }).await;
    let mut client = Client::connect(&server).await;
    client.exchange_id(Minor::V1, "one", OLD).await;
    let confirmed = Client::connect(&server).await.session_with("two", SessionOptions::default()).await;
    let one = Compound::new(Minor::V1).op::<ExchangeId>(&exchange_id_args("one", OLD));
    assert_eq!(statuses(&client.run(&one).await), [NFS4ERR_DELAY]);
    server.clock.advance(LEASE + SECOND);
    client.run(&one).await.ok();
    drop(confirmed);
    server.stop().await;
}

#[rstest]
#[case::alone_but_not_last(false)]
#[case::twice(true)]
#[tokio::test]
async fn without_sequence_it_is_alone(#[case] twice: bool, #[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let args = exchange_id_args(OWNER, OLD);
    let first = Compound::new(minor).op::<ExchangeId>(&args);
    let compound = if twice { first.op::<ExchangeId>(&args) } else { first.op::<PutRootFh>(&()) };
    let reply = Client::connect(&server).await.run(&compound).await;
    assert_eq!(statuses(&reply), [NFS4ERR_NOT_ONLY_OP]);
    let update = exchange(&server, minor, OLD, USER, ExchangeIdFlags::UPD_CONFIRMED_REC_A).await;
    assert_eq!(update.err(), Some(NFS4ERR_NOENT), "nothing was made");
    server.stop().await;
}

#[rstest]
#[case::another_owner("another", false)]
#[case::update(OWNER, true)]
#[tokio::test]
async fn behind_sequence(
    #[case] of: &str,
    #[case] is_update: bool,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let mut session = session(&server, OWNER, minor).await;
    let flags = if is_update { ExchangeIdFlags::UPD_CONFIRMED_REC_A } else { ExchangeIdFlags::empty() };
    let args = ExchangeId4Args { flags, ..exchange_id_args(of, OLD) };
    let compound = session.compound().op::<ExchangeId>(&args).op::<PutRootFh>(&());
    let reply = session.run(compound).await.ok().get::<ExchangeId>();
    assert_eq!(reply.clientid == session.clientid, is_update);
    assert_eq!(reply.flags.contains(ExchangeIdFlags::CONFIRMED_R), is_update);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn without_room_for_the_reply_nothing_is_made(
    #[values(CacheThis::Yes, CacheThis::No)] cache: CacheThis,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = server_with(SessionLimits { clients: 2, ..SessionLimits::default() }).await;
    let mut session = narrow_session(&server, OWNER, minor, cache, 200).await;
    let compound = session.compound().op::<ExchangeId>(&exchange_id_args("another", OLD));
    let request = session.request(0, cache, compound);
    assert_eq!(statuses(&session.client.run(&request).await), [NFS4_OK, too_big(cache)]);
    // There is room for one record more.
    session.client.exchange_id(minor, "a third", OLD).await;
    server.stop().await;
}

#[rstest]
#[case::plain(exchange_id_args("owner with a length of its own", OLD))]
#[case::machine_credential(ExchangeId4Args {
    state_protect: StateProtect4A::MachCred(protect_ops()),
    ..exchange_id_args(OWNER, OLD)
})]
#[case::secret_state_verifier(ExchangeId4Args { state_protect: ssv(), ..exchange_id_args(OWNER, OLD) })]
#[tokio::test]
async fn arguments_that_are_cut_off(
    #[case] args: ExchangeId4Args,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    cut_off_is_bad_xdr::<ExchangeId>(&mut client, minor, &encode_to_bytes(&args)).await;
    server.stop().await;
}

fn plain() -> Bytes {
    encode_to_bytes(&exchange_id_args("abcd", OLD))
}

fn with_ssv() -> Bytes {
    encode_to_bytes(&ExchangeId4Args { state_protect: ssv(), ..exchange_id_args("abcd", OLD) })
}

/// Words: verifier 0 and 4, owner 8 and 12, flags 16, protection 20, then the implementation 24 or the two bitmaps 24 and 28,
/// the hash algorithms 32, 36, 40, the encryption algorithms 44, 48, 52, the window 56, the handles 60.
#[rstest]
#[case::owner_over_the_limit(plain(), 8, 1025)]
#[case::owner_endless(plain(), 8, u32::MAX)]
#[case::unknown_protection(plain(), 20, 3)]
#[case::two_implementations(plain(), 24, 2)]
#[case::endless_implementations(plain(), 24, u32::MAX)]
#[case::endless_bitmap(with_ssv(), 24, u32::MAX)]
#[case::endless_second_bitmap(with_ssv(), 28, u32::MAX)]
#[case::endless_hash_algorithms(with_ssv(), 32, u32::MAX)]
#[case::endless_hash_algorithm(with_ssv(), 36, u32::MAX)]
#[case::endless_encryption_algorithms(with_ssv(), 44, u32::MAX)]
#[case::endless_encryption_algorithm(with_ssv(), 48, u32::MAX)]
#[tokio::test]
async fn values_that_the_type_does_not_have(
    #[case] args: Bytes,
    #[case] at: usize,
    #[case] value: u32,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    let compound = Compound::new(minor).op_with_args::<ExchangeId>(&with_word(&args, at, value));
    assert_eq!(statuses(&client.run(&compound).await), [NFS4ERR_BADXDR]);
    server.stop().await;
}
