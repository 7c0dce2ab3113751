//! Origin: what scripts and people rely on.
//! RFC: none, where a test does not name one.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;

use dittofs_framework::attr::FATTR4_OPEN_ARGUMENTS;
use dittofs_framework::proto::{NFS_PROGRAM, NFS_V4, OPEN_ARGS_SHARE_ACCESS_WANT_ANY_DELEG, OpenArguments4};
use dittofs_framework::testing::{RpcClient, RpcCredential, RpcError, RpcTarget};
use dittofs_tests::callbacks::{CallbackListener, Callbacks};
use dittofs_tests::{Client, ClientV4_0};
use rstest::rstest;
use rustix::process::Signal;

use crate::program::{Server, dfs, run, text};

const NULL: RpcTarget = RpcTarget { program: NFS_PROGRAM, version: NFS_V4, procedure: 0 };

const START: [&str; 4] = ["start", "--ephemeral", "--listen", "127.0.0.1:0"];

/// `dfs start --ephemeral` on a free port.
fn start(args: &[&str]) -> Server {
    Server::of(dfs(&START).args(args))
}

#[rstest]
#[case::dfs(&["--help"], include_str!("../expected/help.txt"))]
#[case::start(&["start", "--help"], include_str!("../expected/start-help.txt"))]
#[case::status(&["status", "--help"], include_str!("../expected/status-help.txt"))]
#[case::fsck(&["fsck", "--help"], include_str!("../expected/fsck-help.txt"))]
#[case::ops(&["ops", "--help"], include_str!("../expected/ops-help.txt"))]
fn help(#[case] args: &[&str], #[case] expected: &str) {
    let output = run(args);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), expected);
    assert!(output.stderr.is_empty());
}

#[test]
fn version() {
    let output = run(&["--version"]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), concat!("dfs ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn without_a_command_it_shows_its_help_and_fails() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr), include_str!("../expected/help.txt"));
}

/// `just op-table` writes the file anew.
#[test]
fn the_table_of_operations_in_the_documentation_is_the_programs() {
    let output = run(&["ops"]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), include_str!("../../../docs/op-table.md"), "run `just op-table`");
}

#[rstest]
#[case::unknown_command(&["stop"], "unrecognized subcommand 'stop'")]
#[case::unknown_flag(&["start", "--ephemeral", "--verbose"], "unexpected argument '--verbose' found")]
#[case::in_memory_and_kept(
    &["start", "--ephemeral", "--data-dir", "/srv"],
    "the argument '--ephemeral' cannot be used with '--data-dir <DIR>'"
)]
#[case::in_memory_and_a_share(
    &["start", "--ephemeral", "--share", "a"],
    "the argument '--ephemeral' cannot be used with '--share <NAME>'"
)]
#[case::in_memory_and_a_directory(
    &["start", "--ephemeral", "--directory", "a=/srv"],
    "the argument '--ephemeral' cannot be used with '--directory <NAME=PATH>'"
)]
#[case::capacity_without_memory(
    &["start", "--capacity-mib", "9"],
    "the following required arguments were not provided: --ephemeral"
)]
#[case::no_name_for_a_share(
    &["start", "--share", "a/b"],
    "invalid value 'a/b' for '--share <NAME>': a name has up to 64 letters, digits, '-', '_' and '.', and does not begin with '.'"
)]
#[case::no_path_of_a_directory(
    &["start", "--directory", "a"],
    "invalid value 'a' for '--directory <NAME=PATH>': it is not NAME=PATH"
)]
#[case::address_without_port(
    &["start", "--ephemeral", "--listen", "127.0.0.1"],
    "invalid value '127.0.0.1' for '--listen <ADDR:PORT>': invalid socket address syntax"
)]
#[case::port_too_large(
    &["start", "--ephemeral", "--listen", "127.0.0.1:65536"],
    "invalid value '127.0.0.1:65536' for '--listen <ADDR:PORT>': invalid socket address syntax"
)]
#[case::api_without_port(
    &["start", "--ephemeral", "--api", "127.0.0.1"],
    "invalid value '127.0.0.1' for '--api <ADDR:PORT>': invalid socket address syntax"
)]
#[case::missing_value(
    &["start", "--ephemeral", "--listen"],
    "a value is required for '--listen <ADDR:PORT>' but none was supplied"
)]
#[case::no_lease(
    &["start", "--ephemeral", "--lease", "0"],
    "invalid value '0' for '--lease <SECONDS>': 0 is not in 1..=3600"
)]
#[case::lease_too_long(
    &["start", "--ephemeral", "--lease", "3601"],
    "invalid value '3601' for '--lease <SECONDS>': 3601 is not in 1..=3600"
)]
#[case::capacity_that_is_no_number(
    &["start", "--ephemeral", "--capacity-mib", "much"],
    "invalid value 'much' for '--capacity-mib <MIB>': invalid digit found in string"
)]
#[case::flag_twice(
    &["start", "--ephemeral", "--lease", "9", "--lease", "9"],
    "the argument '--lease <SECONDS>' cannot be used multiple times"
)]
fn a_bad_command_line_gets_one_line(#[case] args: &[&str], #[case] expected: &str) {
    let output = run(args);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr), format!("dfs: {expected}; see --help\n"));
    assert!(output.stdout.is_empty());
}

#[rstest]
#[case::unknown_level(b"info,dittofs_framework=loud")]
#[case::half_a_directive(b"[")]
#[case::no_text(b"info,\xff=debug")]
fn a_log_level_that_cannot_be_read_gets_one_line(#[case] wanted: &[u8]) {
    let mut command = dfs(&START);
    let output = command.env("DFS_LOG", OsStr::from_bytes(wanted)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.starts_with("dfs: DFS_LOG: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn the_log_level_is_what_was_asked_for() {
    for (wanted, is_said) in [("info", true), ("error", false)] {
        let mut server = Server::of(dfs(&START).env("DFS_LOG", wanted));
        server.send(Signal::TERM);
        let (status, said) = server.end();
        assert!(status.success());
        assert_eq!(said.contains("stopping"), is_said, "{wanted}: {said}");
    }
}

#[test]
fn a_port_that_is_taken_gets_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = run(&["start", "--ephemeral", "--listen", &addr]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.starts_with(&format!("dfs: cannot listen on {addr}: ")), "{said}");
    assert!(said.contains("in use"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn an_address_that_is_not_of_this_machine_gets_one_line() {
    // RFC 5737: an address for documentation alone.
    let output = run(&["start", "--ephemeral", "--listen", "192.0.2.1:2049"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.starts_with("dfs: cannot listen on 192.0.2.1:2049: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[rstest]
#[case::terminate(Signal::TERM)]
#[case::interrupt(Signal::INT)]
#[tokio::test]
async fn a_signal_drains_it(#[case] signal: Signal) {
    let mut server = start(&[]);
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    client.call(NULL, &RpcCredential::none(), &()).await.unwrap();
    let mut idle = RpcClient::connect(server.addr).await.unwrap();
    // Half of a record: no request, so nothing is waited for.
    idle.write_raw(&[0x80, 0, 0, 40, 0, 0]).await.unwrap();
    server.send(signal);
    let (status, said) = server.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("stopping"), "{said}");
    for mut client in [client, idle] {
        assert!(matches!(client.read_record().await, Err(RpcError::Closed)));
    }
}

#[test]
fn it_says_how_to_mount_the_share() {
    let mut server = start(&["--lease", "20", "--capacity-mib", "64"]);
    let line = server.line();
    let command = format!("mount -t nfs4 -o vers=4.2,port={} 127.0.0.1:/export /mnt", server.addr.port());
    assert!(line.contains(&command), "{line}");
    server.send(Signal::TERM);
    assert!(server.end().0.success());
}

#[test]
fn an_api_on_a_port_that_is_taken_gets_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = dfs(&START).args(["--api", &addr]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.starts_with(&format!("dfs: cannot listen on {addr} for the API: ")), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn an_api_that_others_reach_is_warned_of() {
    // RFC 5737: an address for documentation alone.
    let output = dfs(&START).args(["--api", "192.0.2.1:20490"]).output().unwrap();
    let said = text(&output.stderr);
    assert!(said.contains("the API has no authentication"), "{said}");
}

#[test]
fn it_says_where_its_api_is_and_ends_with_it() {
    let mut server = start(&["--api", "127.0.0.1:0"]);
    let line = server.line();
    let api = line.strip_prefix("API on ").unwrap_or_else(|| panic!("{line}")).trim_end();
    let status = run(&["status", "--api", api]);
    assert!(status.status.success(), "{}", text(&status.stderr));
    server.send(Signal::TERM);
    let (status, said) = server.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!said.contains("the API has no authentication"), "{said}");
}

/// RFC: 9754 section 3. What OPEN takes tells whether delegations are given.
#[rstest]
#[case::given(&[], true)]
#[case::not_given(&["--no-delegations"], false)]
#[tokio::test]
async fn delegations_are_given_unless_it_is_told_not_to(#[case] args: &[&str], #[case] given: bool) {
    let server = start(args);
    let mut session = Client::connect_to(server.addr).await.session("client").await;
    let root = session.share().await;
    let arguments: OpenArguments4 = session.attribute(&root, FATTR4_OPEN_ARGUMENTS).await;
    assert_eq!(arguments.share_access_want.contains(OPEN_ARGS_SHARE_ACCESS_WANT_ANY_DELEG), given);
}

/// RFC: 7530 section 16.33. The client comes from 127.0.0.1 and wants to be called at 127.0.0.2.
#[rstest]
#[case::its_own(&[], 0)]
#[case::any(&["--callback-any-address"], 1)]
#[tokio::test]
async fn a_client_is_called_at_its_own_address_unless_any_is_allowed(
    #[case] args: &[&str],
    #[case] calls: usize,
) {
    let server = start(args);
    let callbacks = Callbacks::new(0);
    let elsewhere = CallbackListener::start_at(&callbacks, "127.0.0.2:0".parse().unwrap()).await;
    let named = elsewhere.setclientid_args("elsewhere", [1; 8]);
    ClientV4_0::establish_with(Client::connect_to(server.addr).await, &named).await;
    // When this one has been called, the other would have been as well: they are called in their order.
    let at_home = CallbackListener::start(&callbacks).await;
    let named = at_home.setclientid_args("at home", [1; 8]);
    ClientV4_0::establish_with(Client::connect_to(server.addr).await, &named).await;
    callbacks.wait_nulls(1 + calls).await;
    assert_eq!((elsewhere.connections(), at_home.connections()), (calls, 1));
}
