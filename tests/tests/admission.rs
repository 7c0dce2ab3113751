//! Which operation may stand where: every number from 0 to 80 in every minor version, first and behind SEQUENCE.
//!
//! Origin: the rules of RFC 8881 and RFC 7862, written out by number here and independent of the rows of the operations.
//! RFC: 7530 sections 15.2.4 and 16.29.4; 8881 sections 2.10.6.4, 15.1.3.4, 16.2.3 and 18.46.3; 7862 section 13; 8276 section 8.2.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::compound::{Limits, Nfs4Service};
use dittofs_framework::export::Namespace;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::*;
use dittofs_framework::registry::{Registry, RegistryError, Slot};
use dittofs_framework::testing::Compound;
use dittofs_framework::v4_0::V4_0Limits;
use dittofs_ops as _;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_ops::sequence::Sequence;
use dittofs_tests::{Client, TestServer, TestServerOptions};
use rstest::rstest;

/// Of NFSv4.0 alone (OPEN_CONFIRM, RENEW, SETCLIENTID, SETCLIENTID_CONFIRM, RELEASE_LOCKOWNER): NFS4ERR_NOTSUPP from minor version 1 on (RFC 8881 section 17, "MNI").
const V4_0_ONLY: [u32; 5] = [20, 30, 35, 36, 39];
/// Optional, and not here: OPENATTR, the pNFS operations and SET_SSV.
const ABSENT_V4_1: [u32; 7] = [19, 47, 48, 49, 50, 51, 54];
/// Optional, and not here: COPY_NOTIFY, LAYOUTERROR, LAYOUTSTATS, OFFLOAD_CANCEL, OFFLOAD_STATUS, WRITE_SAME.
const ABSENT_V4_2: [u32; 6] = [61, 64, 65, 66, 67, 70];
/// May come without SEQUENCE: BIND_CONN_TO_SESSION, EXCHANGE_ID, CREATE_SESSION, DESTROY_SESSION, DESTROY_CLIENTID.
const WITHOUT_SEQUENCE: [u32; 5] = [41, 42, 43, 44, 57];
/// SEQUENCE.
const SEQUENCE: u32 = 53;

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Illegal,
    NotSupp,
    Run,
}

fn kind_of(slot: &Slot) -> Kind {
    match slot {
        Slot::Illegal => Kind::Illegal,
        Slot::NotSupp => Kind::NotSupp,
        Slot::Run(_) => Kind::Run,
    }
}

fn expected(minor: Minor, number: u32) -> Kind {
    let last = match minor {
        Minor::V0 => 39,
        Minor::V1 => 58,
        Minor::V2 => 75,
    };
    if !(3..=last).contains(&number) {
        return Kind::Illegal;
    }
    let is_old = V4_0_ONLY.contains(&number) && minor != Minor::V0;
    let is_absent = is_old || ABSENT_V4_1.contains(&number) || ABSENT_V4_2.contains(&number);
    if is_absent { Kind::NotSupp } else { Kind::Run }
}

#[test]
fn every_number_means_what_the_rfc_says_in_every_minor_version() {
    let table = Registry::linked().build().unwrap();
    for minor in Minor::ALL {
        for number in 0..=80 {
            let slot = table.slot(minor, OpNum::from_code(number));
            assert_eq!(kind_of(slot), expected(minor, number), "{number} in {minor:?}");
        }
        assert_eq!(kind_of(table.slot(minor, OpNum::from_code(10_044))), Kind::Illegal, "OP_ILLEGAL itself");
        assert_eq!(kind_of(table.slot(minor, OpNum::from_code(u32::MAX))), Kind::Illegal);
    }
}

#[test]
fn every_row_has_an_error_list_and_its_name() {
    let table = Registry::linked().build().unwrap();
    for (row, origin) in table.rows() {
        assert!(!row.errors.is_empty(), "{}", row.name);
        assert_eq!(row.opnum.name(), Some(row.name));
        assert!(origin.starts_with("dittofs_ops"), "{origin}");
        // What is answered while nothing more can be remembered for duplicates.
        let is_remembered = row.flags.contains(OpFlags::NON_IDEMPOTENT);
        assert!(!is_remembered || row.allows(NFS4ERR_DELAY), "{}", row.name);
    }
}

/// What an operation without arguments answers as the first and only one of its compound.
fn first(minor: Minor, number: u32) -> Status {
    match expected(minor, number) {
        Kind::Illegal => NFS4ERR_OP_ILLEGAL,
        Kind::NotSupp => NFS4ERR_NOTSUPP,
        Kind::Run if minor == Minor::V0 => first_v4_0(number),
        Kind::Run if number == SEQUENCE || WITHOUT_SEQUENCE.contains(&number) => NFS4ERR_BADXDR,
        Kind::Run => NFS4ERR_OP_NOT_IN_SESSION,
    }
}

/// Without a session nothing is out of position: what is missing is a filehandle, or the arguments.
fn first_v4_0(number: u32) -> Status {
    const RESTOREFH: u32 = 31;
    const DELEGPURGE: u32 = 7;
    const PUTFH: u32 = 22;
    // OPEN_CONFIRM confirms the open of the current file.
    const OPEN_CONFIRM: u32 = 20;
    match number {
        _ if ALWAYS.contains(&number) => NFS4_OK,
        RESTOREFH => NFS4ERR_RESTOREFH,
        OPEN_CONFIRM => NFS4ERR_NOFILEHANDLE,
        _ if number == PUTFH || number == DELEGPURGE || V4_0_ONLY.contains(&number) => NFS4ERR_BADXDR,
        _ => NFS4ERR_NOFILEHANDLE,
    }
}

#[rstest]
#[case::v4_0(Minor::V0)]
#[case::v4_1(Minor::V1)]
#[case::v4_2(Minor::V2)]
#[tokio::test]
async fn every_number_first(#[case] minor: Minor) {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    for number in 0..=80 {
        let reply = client.run(&Compound::new(minor).raw(OpNum::from_code(number), &[])).await;
        assert_eq!(reply.status, first(minor, number), "{number}");
        let answered = reply.results[0].opnum.code();
        let is_illegal = expected(minor, number) == Kind::Illegal;
        assert_eq!(answered, if is_illegal { 10_044 } else { number }, "{number}");
    }
    server.stop().await;
}

/// Without the need of a filehandle and without arguments: PUTPUBFH, PUTROOTFH.
const ALWAYS: [u32; 2] = [23, 24];
/// Without the need of a filehandle, with arguments: DELEGPURGE, PUTFH, BACKCHANNEL_CTL, FREE_STATEID, TEST_STATEID, RECLAIM_COMPLETE and those that may
/// also come without SEQUENCE, but for BIND_CONN_TO_SESSION.
const NO_FILEHANDLE: [u32; 10] = [7, 22, 40, 42, 43, 44, 45, 55, 57, 58];

fn behind_sequence(minor: Minor, number: u32) -> Status {
    match expected(minor, number) {
        Kind::Illegal => NFS4ERR_OP_ILLEGAL,
        Kind::NotSupp => NFS4ERR_NOTSUPP,
        Kind::Run if number == SEQUENCE => NFS4ERR_SEQUENCE_POS,
        // BIND_CONN_TO_SESSION is alone or not at all (RFC 8881 section 18.34.3).
        Kind::Run if number == 41 => NFS4ERR_NOT_ONLY_OP,
        Kind::Run if ALWAYS.contains(&number) => NFS4_OK,
        Kind::Run if NO_FILEHANDLE.contains(&number) => NFS4ERR_BADXDR,
        Kind::Run => NFS4ERR_NOFILEHANDLE,
    }
}

#[rstest]
#[case::v4_1(Minor::V1)]
#[case::v4_2(Minor::V2)]
#[tokio::test]
async fn every_number_behind_sequence(#[case] minor: Minor) {
    let server = TestServer::start().await;
    let options = dittofs_tests::SessionOptions { minor, ..Default::default() };
    let mut session = Client::connect(&server).await.session_with("admission", options).await;
    for number in 0..=80 {
        let reply = session.run(session.compound().raw(OpNum::from_code(number), &[])).await;
        assert_eq!(reply.status, behind_sequence(minor, number), "{number}");
    }
    server.stop().await;
}

#[rstest]
#[case::bind_conn_to_session(OP_BIND_CONN_TO_SESSION)]
#[case::exchange_id(OP_EXCHANGE_ID)]
#[case::create_session(OP_CREATE_SESSION)]
#[case::destroy_session(OP_DESTROY_SESSION)]
#[case::destroy_clientid(OP_DESTROY_CLIENTID)]
#[tokio::test]
async fn without_sequence_an_operation_is_alone(#[case] opnum: OpNum) {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    let reply = client.run(&Compound::new(Minor::V1).raw(opnum, &[]).op::<PutRootFh>(&())).await;
    assert_eq!(reply.status, NFS4ERR_NOT_ONLY_OP);
    assert_eq!(reply.results.len(), 1);
    server.stop().await;
}

#[rstest]
#[case::three(3)]
#[case::largest(u32::MAX)]
#[tokio::test]
async fn an_unknown_minor_version_is_a_mismatch(#[case] minorversion: u32) {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    let compound = Compound::of_number(minorversion).tag(b"which").op::<PutRootFh>(&());
    let reply = client.run(&compound).await;
    assert_eq!(reply.status, NFS4ERR_MINOR_VERS_MISMATCH);
    assert_eq!(&reply.tag[..], b"which");
    assert!(reply.results.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_compound_of_nothing_is_good() {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    let reply = client.run(&Compound::new(Minor::V1).tag("märz".as_bytes())).await.ok();
    assert_eq!(&reply.tag[..], "märz".as_bytes());
    server.stop().await;
}

/// "The tag argument is not in UTF-8 encoding" (RFC 8881 section 16.2.4). It comes back as it is.
#[tokio::test]
async fn a_tag_is_utf8() {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    let reply = client.run(&Compound::new(Minor::V1).tag(b"\xc0\xc1").op::<PutRootFh>(&())).await;
    assert_eq!((reply.status, reply.results.len(), &reply.tag[..]), (NFS4ERR_INVAL, 0, &b"\xc0\xc1"[..]));
    server.stop().await;
}

/// The tag is a part of the reply that a slot keeps.
#[rstest]
#[case::longest(Minor::V1, 8, NFS4_OK)]
#[case::too_long(Minor::V1, 9, NFS4ERR_REQ_TOO_BIG)]
#[case::longest_v4_0(Minor::V0, 8, NFS4_OK)]
#[case::too_long_v4_0(Minor::V0, 9, NFS4ERR_RESOURCE)]
#[tokio::test]
async fn the_tag_is_limited(#[case] minor: Minor, #[case] len: usize, #[case] status: Status) {
    let limits = Limits { max_tag: 8, ..Limits::default() };
    let server = TestServer::start_with(TestServerOptions { limits, ..TestServerOptions::default() }).await;
    let mut client = Client::connect(&server).await;
    let reply = client.run(&Compound::new(minor).tag(&vec![b't'; len])).await;
    assert_eq!(reply.status, status);
    assert!(reply.results.is_empty());
    server.stop().await;
}

/// In minor versions with sessions it is the session that has limits.
#[rstest]
#[case::most(4, usize::MAX, NFS4_OK, 4)]
#[case::too_many(5, usize::MAX, NFS4ERR_RESOURCE, 0)]
// A reply's header of 24 bytes, status, tag and count, an answer each, and room for the error of one more.
#[case::longest_reply(4, 24 + 12 + 3 * 8 + 12, NFS4_OK, 4)]
#[case::too_long_a_reply(4, 24 + 12 + 3 * 8 + 11, NFS4ERR_RESOURCE, 3)]
#[tokio::test]
async fn a_compound_of_v4_0_is_limited(
    #[case] count: usize,
    #[case] reply: usize,
    #[case] status: Status,
    #[case] results: usize,
) {
    let reply = u32::try_from(reply).unwrap_or(u32::MAX);
    let v4_0 = V4_0Limits { operations: 4, reply, ..V4_0Limits::default() };
    let limits = Limits { v4_0, ..Limits::default() };
    let server = TestServer::start_with(TestServerOptions { limits, ..TestServerOptions::default() }).await;
    let mut client = Client::connect(&server).await;
    let compound = (0..count).fold(Compound::new(Minor::V0), |compound, _| compound.op::<PutRootFh>(&()));
    let reply = client.run(&compound).await;
    assert_eq!((reply.status, reply.results.len()), (status, results));
    server.stop().await;
}

#[tokio::test]
async fn operations_behind_the_one_that_fails_do_not_run() {
    let server = TestServer::start().await;
    let mut session = Client::connect(&server).await.session("stop").await;
    let compound = session.compound().raw(OP_GETFH, &[]).op::<PutRootFh>(&()).raw(OP_GETFH, &[]);
    let reply = session.run(compound).await;
    assert_eq!(reply.status, NFS4ERR_NOFILEHANDLE);
    assert_eq!(reply.results.len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_second_sequence_is_out_of_position_and_harms_nothing() {
    let server = TestServer::start().await;
    let mut session = Client::connect(&server).await.session("twice").await;
    let again = session.compound().op::<Sequence>(&session.sequence_args(1));
    assert_eq!(session.run(again).await.status, NFS4ERR_SEQUENCE_POS);
    session.sequence().await;
    server.stop().await;
}

/// An operation of v4.0 alone: its row says so, and nothing else.
struct Old;

impl Operation for Old {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::V4_0_ONLY,
        flags: OpFlags::NO_CURRENT_FH,
        // OPENATTR, which is not here.
        ..OpDescriptor::new(OP_OPENATTR, &[NFS4ERR_BADXDR])
    };
    type Args = ();
    type Res = ();

    async fn call(&self, _: &mut CompoundContext<'_>, (): ()) -> OpResult<()> {
        Ok(())
    }
}

#[rstest]
#[case::v4_1_first(Minor::V1, false)]
#[case::v4_2_first(Minor::V2, false)]
#[case::v4_1_behind_sequence(Minor::V1, true)]
#[case::v4_2_behind_sequence(Minor::V2, true)]
#[tokio::test]
async fn an_operation_of_v4_0_alone_is_not_supported_by_its_row(
    #[case] minor: Minor,
    #[case] in_session: bool,
) {
    let registry = Registry::linked().add(Old);
    let options = dittofs_tests::TestServerOptions { registry, ..Default::default() };
    let server = TestServer::start_with(options).await;
    let mut client = Client::connect(&server).await;
    let compound = Compound::new(minor).op::<Old>(&());
    let status = if in_session {
        let options = dittofs_tests::SessionOptions { minor, ..Default::default() };
        client.session_with("old", options).await.run(compound).await.status
    } else {
        client.run(&compound).await.status
    };
    assert_eq!(status, NFS4ERR_NOTSUPP);
    server.stop().await;
}

#[test]
fn two_claims_on_a_number_name_both_claimants() {
    struct Mine;
    impl Operation for Mine {
        const DESCRIPTOR: OpDescriptor = OpDescriptor::new(OP_GETFH, &[NFS4ERR_STALE]);
        type Args = ();
        type Res = ();
        async fn call(&self, _: &mut CompoundContext<'_>, (): ()) -> OpResult<()> {
            Ok(())
        }
    }
    let Err(RegistryError::Duplicate { number, first, second, .. }) = Registry::linked().add(Mine).build()
    else {
        panic!("a second GETFH was taken");
    };
    assert_eq!(number, 10);
    assert!(first.starts_with("dittofs_ops") && second.contains("Mine"), "{first} {second}");
    assert!(Registry::linked().replace(Mine).build().is_ok(), "replacing is explicit");
    assert!(matches!(Registry::empty().replace(Mine).build(), Err(RegistryError::Absent(OP_GETFH))));
    let table = Registry::linked().remove(OP_GETFH).build().unwrap();
    assert_eq!(kind_of(table.slot(Minor::V1, OP_GETFH)), Kind::NotSupp);
}

#[test]
fn a_service_without_exports_can_be_built() {
    let service = Nfs4Service::builder(Namespace::builder().build().unwrap()).build().unwrap();
    assert!(Minor::ALL.into_iter().all(|minor| service.serves(minor)));
}
