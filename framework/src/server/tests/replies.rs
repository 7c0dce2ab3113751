//! What is answered to what: every reply of RFC 5531 section 9, on the wire.
//!
//! Origin: own tables.
//! RFC: 5531 sections 8 to 10 and appendix A.

use rstest::rstest;

use super::*;
use crate::server::BindError;
use crate::testing::{RpcClient, RpcError};

fn at(program: u32, version: u32, procedure: u32) -> RpcTarget {
    RpcTarget { program, version, procedure }
}

fn flavor(flavor: u32, body: &[u8]) -> RpcCredential {
    RpcCredential { flavor, body: Bytes::copy_from_slice(body) }
}

/// authsys_parms with these lengths, whether or not they are allowed.
fn sys(name_len: u32, groups: u32) -> RpcCredential {
    let mut w = XdrWriter::new();
    w.u32(0);
    w.opaque(&vec![b'm'; name_len as usize]);
    w.u32(0);
    w.u32(0);
    w.u32(groups);
    (0..groups).for_each(|group| w.u32(group));
    flavor(1, &w.finish().to_bytes())
}

fn text(result: &Result<Bytes, RpcError>) -> String {
    match result {
        Ok(results) => format!("{results:?}"),
        Err(error) => format!("{error:?}"),
    }
}

#[rstest]
#[case::null(target(procedure::NULL), cred(), 0, r#"b"""#)]
#[case::null_from_nobody(target(procedure::NULL), RpcCredential::none(), 0, r#"b"""#)]
#[case::body_of_auth_none_is_undefined(target(procedure::NULL), flavor(0, b"junk"), 0, r#"b"""#)]
#[case::lower_version(at(PROGRAM, 2, procedure::ECHO), cred(), 0x4142_4344, r#"b"ABCD""#)]
#[case::unknown_program(at(PROGRAM + 1, VERSION, 0), cred(), 0, "ProgUnavail")]
#[case::version_too_low(at(PROGRAM, 1, 0), cred(), 0, "ProgMismatch(2, 3)")]
#[case::version_too_high(at(PROGRAM, 4, 0), cred(), 0, "ProgMismatch(2, 3)")]
#[case::unknown_procedure(target(99), cred(), 0, "ProcUnavail")]
#[case::program_says_proc_unavail(target(procedure::REPLY), cred(), 0, "ProcUnavail")]
#[case::program_says_garbage_args(target(procedure::REPLY), cred(), 1, "GarbageArgs")]
#[case::program_says_system_err(target(procedure::REPLY), cred(), 2, "SystemErr")]
#[case::program_says_auth_error(target(procedure::REPLY), cred(), 3, "AuthError(5)")]
#[case::panic_in_the_call(target(procedure::PANIC), cred(), 0, "SystemErr")]
#[case::panic_when_polled(target(procedure::PANIC), cred(), 1, "SystemErr")]
#[case::panic_after_waiting(target(procedure::PANIC), cred(), 2, "SystemErr")]
#[case::auth_short(target(procedure::NULL), flavor(2, b""), 0, "AuthError(2)")]
#[case::auth_dh(target(procedure::NULL), flavor(3, b""), 0, "AuthError(2)")]
#[case::rpcsec_gss(target(procedure::NULL), flavor(6, &[0; 20]), 0, "AuthError(2)")]
#[case::unknown_flavor(target(procedure::NULL), flavor(u32::MAX, b""), 0, "AuthError(2)")]
#[case::auth_before_program(at(PROGRAM + 1, VERSION, 0), flavor(6, b""), 0, "AuthError(2)")]
#[case::auth_sys_empty(target(procedure::NULL), flavor(1, b""), 0, "AuthError(1)")]
#[case::auth_sys_trailing(target(procedure::NULL), flavor(1, &[0; 24]), 0, "AuthError(1)")]
#[case::auth_sys_name_of_255(target(procedure::NULL), sys(255, 0), 0, r#"b"""#)]
#[case::auth_sys_name_of_256(target(procedure::NULL), sys(256, 0), 0, "AuthError(1)")]
#[case::auth_sys_16_groups(target(procedure::NULL), sys(0, 16), 0, r#"b"""#)]
#[case::auth_sys_17_groups(target(procedure::NULL), sys(0, 17), 0, "AuthError(1)")]
#[case::credential_of_400(target(procedure::NULL), flavor(0, &[0; 400]), 0, r#"b"""#)]
#[case::credential_of_401(target(procedure::NULL), flavor(0, &[0; 401]), 0, "AuthError(1)")]
#[tokio::test]
async fn calls(
    #[case] target: RpcTarget,
    #[case] cred: RpcCredential,
    #[case] args: u32,
    #[case] expected: &str,
) {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    assert_eq!(text(&client.call(target, &cred, &args).await), expected);
    // Whatever it was, the connection goes on.
    let echo = client.call(super::target(procedure::ECHO), &super::cred(), &args).await;
    assert_eq!(echo.unwrap(), args.to_be_bytes().as_slice());
}

const XID: u32 = 0xabcd;

/// A message of these words is answered by one of those, or (none) by closing the connection.
#[rstest]
#[case::rpc_version_1(&[XID, 0, 1, PROGRAM, VERSION, 0, 0, 0, 0, 0], &[XID, 1, 1, 0, 2, 2])]
#[case::rpc_version_3(&[XID, 0, 3, PROGRAM, VERSION, 0, 0, 0, 0, 0], &[XID, 1, 1, 0, 2, 2])]
#[case::rpc_version_alone(&[XID, 0, 7], &[XID, 1, 1, 0, 2, 2])]
#[case::success(&[XID, 0, 2, PROGRAM, VERSION, 0, 0, 0, 0, 0], &[XID, 1, 0, 0, 0, 0])]
#[case::no_credential(&[XID, 0, 2, PROGRAM, VERSION, 0], &[XID, 1, 1, 1, 1])]
#[case::credential_cut_off(&[XID, 0, 2, PROGRAM, VERSION, 0, 1, 400, 5], &[XID, 1, 1, 1, 1])]
#[case::credential_of_4_gib(&[XID, 0, 2, PROGRAM, VERSION, 0, 1, u32::MAX, 5], &[XID, 1, 1, 1, 1])]
#[case::no_verifier(&[XID, 0, 2, PROGRAM, VERSION, 0, 0, 0], &[XID, 1, 1, 1, 3])]
#[case::verifier_cut_off(&[XID, 0, 2, PROGRAM, VERSION, 0, 0, 0, 0, 8, 1], &[XID, 1, 1, 1, 3])]
#[case::verifier_of_4_gib(&[XID, 0, 2, PROGRAM, VERSION, 0, 0, 0, 0, u32::MAX], &[XID, 1, 1, 1, 3])]
#[case::verifier_of_another_flavor(&[XID, 0, 2, PROGRAM, VERSION, 0, 0, 0, 6, 0], &[XID, 1, 1, 1, 3])]
#[case::verifier_with_a_body(&[XID, 0, 2, PROGRAM, VERSION, 0, 0, 0, 0, 4, 9], &[XID, 1, 0, 0, 0, 0])]
#[case::empty(&[], &[])]
#[case::xid_alone(&[XID], &[])]
#[case::unknown_msg_type(&[XID, 2, 2, PROGRAM, VERSION, 0, 0, 0, 0, 0], &[])]
#[case::no_rpc_version(&[XID, 0], &[])]
#[case::no_program(&[XID, 0, 2], &[])]
#[case::no_procedure(&[XID, 0, 2, PROGRAM, VERSION], &[])]
#[tokio::test]
async fn headers(#[case] message: &[u32], #[case] expected: &[u32]) {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    let message: Vec<u8> = message.iter().flat_map(|word| word.to_be_bytes()).collect();
    let len = u32::try_from(message.len()).unwrap();
    client.write_raw(&(len | 0x8000_0000).to_be_bytes()).await.unwrap();
    client.write_raw(&message).await.unwrap();
    let reply = client.read_record().await;
    if expected.is_empty() {
        assert!(matches!(reply, Err(RpcError::Closed)), "{reply:?}");
    } else {
        let expected: Vec<u8> = expected.iter().flat_map(|word| word.to_be_bytes()).collect();
        assert_eq!(reply.unwrap(), expected);
    }
}

#[rstest]
#[case::nobody(RpcCredential::none(), &[0, 65_534, 65_534])]
#[case::root(RpcCredential::sys(0, 0, &[]), &[1, 0, 0])]
#[case::user(RpcCredential::sys(1000, 100, &[4, 24]), &[1, 1000, 100, 4, 24])]
#[tokio::test]
async fn callers(#[case] cred: RpcCredential, #[case] expected: &[u32]) {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    let who = client.call(target(procedure::WHO), &cred, &()).await.unwrap();
    let expected: Vec<u8> = expected.iter().flat_map(|word| word.to_be_bytes()).collect();
    assert_eq!(who, expected);
}

#[tokio::test]
async fn a_call_knows_its_connection_and_its_length() {
    let server = start(ServerLimits::default()).await;
    let mut first = RpcClient::connect(server.addr).await.unwrap();
    let mut second = RpcClient::connect(server.addr).await.unwrap();
    let mut ids = Vec::new();
    for client in [&mut first, &mut second] {
        let results = client.call(target(procedure::WHERE), &RpcCredential::none(), &1_u64).await.unwrap();
        let mut r = XdrReader::new(&results);
        ids.push(r.u64().unwrap());
        assert_eq!(r.u32(), Ok(40 + 8));
    }
    assert_ne!(ids[0], ids[1]);
    let again = first.call(target(procedure::WHERE), &RpcCredential::none(), &()).await.unwrap();
    assert_eq!(XdrReader::new(&again).u64(), Ok(ids[0]));
}

#[tokio::test]
async fn a_dropped_call_closes_the_connection_behind_the_replies_that_are_ready() {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    let mut records = record(1, procedure::ECHO, b"good");
    records.extend(record(2, procedure::REPLY, &9_u32.to_be_bytes()));
    client.write_raw(&records).await.unwrap();
    assert_eq!(client.receive(1).await.unwrap(), b"good".as_slice());
    assert!(matches!(client.read_record().await, Err(RpcError::Closed)));
}

#[tokio::test]
async fn a_reply_from_the_client_is_ignored() {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    let reply: Vec<u8> = [7, 1, 0, 0, 0, 0_u32].iter().flat_map(|word| word.to_be_bytes()).collect();
    client.write_raw(&fragments(&reply, usize::MAX)).await.unwrap();
    let echo = client.call(target(procedure::ECHO), &cred(), &5_u32).await.unwrap();
    assert_eq!(echo, 5_u32.to_be_bytes().as_slice());
}

#[tokio::test]
async fn programs_of_one_number_share_it_by_version() {
    let programs = |first, second| {
        let (first, second) = (Probe::new(first), Probe::new(second));
        Server::builder().program(first).program(second).bind((Ipv4Addr::LOCALHOST, 0))
    };
    let twice = programs(2..=4, 4..=5).await.err();
    assert!(matches!(twice, Some(BindError::VersionTwice { program: PROGRAM, version: 4 })), "{twice:?}");

    let server = programs(4..=4, 2..=2).await.unwrap();
    let mut client = RpcClient::connect(server.local_addr()).await.unwrap();
    tokio::spawn(server.serve(std::future::pending()));
    for (version, expected) in
        [(1, "ProgMismatch(2, 4)"), (2, r#"b"""#), (3, "ProgMismatch(2, 4)"), (4, r#"b"""#)]
    {
        let result = client.call(at(PROGRAM, version, procedure::NULL), &cred(), &()).await;
        assert_eq!(text(&result), expected, "version {version}");
    }
}

#[tokio::test]
async fn an_authenticator_decides_and_its_panic_is_a_failed_request() {
    struct Moody;
    impl crate::rpc::Authenticator for Moody {
        fn authenticate(
            &self,
            cred: crate::rpc::OpaqueAuth<'_>,
            _verf: crate::rpc::OpaqueAuth<'_>,
            _connection: &Connection,
        ) -> Result<crate::rpc::Principal, AuthStat> {
            assert_ne!(cred.flavor, AuthFlavor::None.number(), "asked to");
            Err(AuthStat::TooWeak)
        }
    }
    let builder = Server::builder().program(Probe::new(1..=VERSION)).authenticator(Moody);
    let server = builder.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut client = RpcClient::connect(server.local_addr()).await.unwrap();
    tokio::spawn(server.serve(std::future::pending()));
    let panicked = client.call(target(procedure::NULL), &RpcCredential::none(), &()).await;
    assert_eq!(text(&panicked), "SystemErr");
    let weak = client.call(target(procedure::NULL), &cred(), &()).await;
    assert_eq!(text(&weak), "AuthError(5)");
}

#[test]
fn an_attachment_stays_with_its_connection() {
    let connection = Connection::new(ConnectionId(1), SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    let kept: Arc<parking_lot::Mutex<Vec<u32>>> = connection.attachment_or_default();
    kept.lock().push(5);
    assert_eq!(*connection.attachment_or_default::<parking_lot::Mutex<Vec<u32>>>().lock(), [5]);
    // One of another type takes its place.
    assert_eq!(*connection.attachment_or_default::<u64>(), 0);
    assert!(connection.attachment_or_default::<parking_lot::Mutex<Vec<u32>>>().lock().is_empty());
}
