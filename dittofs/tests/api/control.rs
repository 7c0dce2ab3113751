//! `dfsctl` as whoever runs it sees it.
//!
//! Origin: what scripts and people rely on.
//! RFC: none.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use crate::world::{World, complaint, printed, program_with, text};

const DFSCTL: &str = env!("CARGO_BIN_EXE_dfsctl");

#[rstest]
#[case::dfsctl(&["--help"], include_str!("../expected/dfsctl-help.txt"))]
#[case::delegation(&["delegation", "--help"], include_str!("../expected/dfsctl-delegation-help.txt"))]
#[case::delegation_list(&["delegation", "list", "--help"], include_str!("../expected/dfsctl-delegation-list-help.txt"))]
#[case::delegation_recall(&["delegation", "recall", "--help"], include_str!("../expected/dfsctl-delegation-recall-help.txt"))]
#[case::client(&["client", "--help"], include_str!("../expected/dfsctl-client-help.txt"))]
#[case::grace(&["grace", "--help"], include_str!("../expected/dfsctl-grace-help.txt"))]
fn help(#[case] args: &[&str], #[case] expected: &str) {
    let output = program_with(DFSCTL, args).output().unwrap();
    assert_eq!(printed(&output), expected);
}

#[rstest]
#[case::unknown_command(&["stop"], "unrecognized subcommand 'stop'")]
#[case::unknown_format(&["grace", "show", "-o", "xml"], "invalid value 'xml' for '--output <FORMAT>' [possible values: table, json, yaml]")]
#[case::address_without_port(
    &["grace", "show", "--api", "localhost"],
    "invalid value 'localhost' for '--api <ADDR:PORT>': not ADDR:PORT or http://ADDR:PORT"
)]
#[case::tls(
    &["grace", "show", "--api", "https://localhost:20490"],
    "invalid value 'https://localhost:20490' for '--api <ADDR:PORT>': the API is reached by http:// alone"
)]
fn a_bad_command_line_gets_one_line(#[case] args: &[&str], #[case] expected: &str) {
    let output = program_with(DFSCTL, args).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr), format!("dfsctl: {expected}; see --help\n"));
}

#[rstest]
#[case::dfsctl(DFSCTL, &["grace", "show"])]
#[case::dfs(env!("CARGO_BIN_EXE_dfs"), &["status"])]
fn a_server_that_does_not_answer_gets_one_line(#[case] program: &str, #[case] args: &[&str]) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = taken.local_addr().unwrap().to_string();
    drop(taken);
    let output = program_with(program, args).args(["--api", &nobody]).output().unwrap();
    let said = complaint(&output);
    assert!(said.contains(&format!("no answer from the API at {nobody}: ")), "{said}");
    assert!(said.ends_with("; does the server run, and with --api?\n"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[tokio::test]
async fn an_answer_of_another_program_is_told() {
    let world = World::new().await;
    // Its port for NFS: an RPC server closes what is no record.
    let output = world.dfsctl(&["grace", "show", "--api", &world.server.addr.to_string()]).await;
    assert!(complaint(&output).starts_with("dfsctl: no answer from the API at "));
}

#[tokio::test]
async fn clients_are_listed() {
    let world = World::new().await;
    let mut session = world.session("first\x1b[2J").await;
    session.open("file").await;
    world.server.clock.advance(Duration::from_secs(91));
    world.session("second").await;
    let ids: Vec<_> = world.server.service.clients().iter().map(|client| client.id().0.to_string()).collect();
    let [first, second] = &ids[..] else { panic!("{ids:?}") };

    let table = world.dfsctl(&["client", "list"]).await;
    let width = first.len().max(second.len());
    let expected = format!(
        "{:width$}  VERSION  UID  IDLE  LEASE    CALLBACKS  OPENS  LOCKS  DELEGATIONS  NAME\n\
         {first:width$}  4.1+     0    91s   expired  none       1      0      0            first\u{fffd}[2J\n\
         {second:width$}  4.1+     0    0s    valid    none       0      0      0            second\n",
        "CLIENT"
    );
    assert_eq!(printed(&table), expected);

    let json = world.dfsctl(&["client", "list", "-o", "json"]).await;
    let expected = json!([
        { "clientid": first, "name": "first\u{1b}[2J", "protocol": "4.1+", "uid": 0, "idle_s": 91, "expired": true, "callbacks": "none", "opens": 1, "locks": 0, "delegations": 0 },
        { "clientid": second, "name": "second", "protocol": "4.1+", "uid": 0, "idle_s": 0, "expired": false, "callbacks": "none", "opens": 0, "locks": 0, "delegations": 0 },
    ]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(printed(&json)).unwrap(), expected);
}

#[tokio::test]
async fn the_grace_period_is_shown_and_ended() {
    let world = World::restarted(&["a", "b", "c"]).await;
    world.session("a").await;
    let table = "IN FORCE  REMAINING  RECLAIMED  ENTITLED\nyes       90s        1          3\n";
    assert_eq!(printed(&world.dfsctl(&["grace", "show"]).await), table);
    let yaml = "in_force: true\nremaining_s: 90\nentitled: 3\ncompleted: 1\n";
    assert_eq!(printed(&world.dfsctl(&["grace", "show", "-o", "yaml"]).await), yaml);
    let table = "IN FORCE  REMAINING  RECLAIMED  ENTITLED\nno        0s         3          3\n";
    assert_eq!(printed(&world.dfsctl(&["grace", "end"]).await), table);
}
