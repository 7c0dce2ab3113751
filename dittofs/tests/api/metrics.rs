//! `/metrics`: each with what makes it move.
//!
//! Origin: own; the guide's table.
//! RFC: none; the text format of Prometheus, version 0.0.4.

use std::collections::BTreeMap;
use std::time::Duration;

use dittofs_framework::state::{Caller, DelegationType};
use dittofs_ops::lock::NfsLockType4;
use dittofs_tests::ClientV4_0;

use crate::callbacks::until_counted;
use crate::world::{World, file_key, name_of};

/// The value of a metric, named with its labels, if there is one.
pub(crate) async fn value(world: &World, name: &str) -> Option<f64> {
    let answer = world.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let values = answer.body.lines().filter_map(|line| line.rsplit_once(' '));
    let found = values.filter(|(found, _)| *found == name).map(|(_, value)| value.parse().unwrap());
    let found: Vec<f64> = found.collect();
    assert!(found.len() < 2, "{name} is there twice:\n{}", answer.body);
    found.first().copied()
}

pub(crate) async fn assert_values(world: &World, expected: &[(&str, f64)]) {
    for (name, expected) in expected {
        let found = value(world, name).await.unwrap_or_else(|| panic!("there is no {name}"));
        assert!((found - expected).abs() < 1e-9, "{name} is {found}, not {expected}");
    }
}

#[tokio::test]
async fn the_guide_has_every_metric_and_no_other() {
    const GUIDE: &str = include_str!("../../../docs/guide/README.md");
    let world = World::new().await;
    // There once somebody is called.
    let deaf = world.session("deaf").await.clientid;
    let stateid = world.delegate(deaf, DelegationType::Read, 7);
    world.post(&format!("/api/v1/delegations/{}/recall", name_of(stateid))).await;
    until_counted(&world, r#"dittofs_callbacks_failed_total{operation="CB_RECALL",reason="no_path"}"#).await;
    let text = world.get("/metrics").await.body;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let exported: BTreeMap<_, _> = types.collect();
    let rows = GUIDE.lines().filter(|line| line.starts_with("| `dittofs_"));
    let documented: BTreeMap<_, _> = rows
        .flat_map(|row| {
            let mut cells = row.split(" | ");
            let (names, kind) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
            names.split('`').filter(|name| name.starts_with("dittofs_")).map(move |name| (name, kind))
        })
        .collect();
    assert_eq!(exported, documented);
}

#[tokio::test]
async fn the_version_is_a_label() {
    let name = concat!(r#"dittofs_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""}"#);
    assert_values(&World::new().await, &[(name, 1.0)]).await;
}

#[tokio::test]
async fn what_an_export_holds_is_told() {
    let world = World::new().await;
    let name =
        |what: &str, state: &str| format!(r#"dittofs_export_{what}{{export="/export",state="{state}"}}"#);
    let mut session = world.session("a").await;
    let file = session.open("file").await;
    let mut values = Vec::new();
    for _ in 0..2 {
        for (what, state) in
            [("files", "used"), ("files", "available"), ("bytes", "used"), ("bytes", "available")]
        {
            values.push(value(&world, &name(what, state)).await.unwrap());
        }
        session.write(&file, 0, &vec![1; 1 << 20]).await;
        session.open("other").await;
    }
    let [files, more_files, bytes, room, files_after, more_after, bytes_after, room_after] = values[..]
    else {
        panic!("{values:?}")
    };
    assert!((files_after - files - 1.0).abs() < 0.1 && more_after < more_files, "{values:?}");
    assert!(bytes_after >= bytes + 1_048_576.0 && room_after <= room - 1_048_576.0, "{values:?}");
}

const SESSION_CLIENTS: &str = r#"dittofs_clients{protocol="4.1+"}"#;

#[tokio::test]
async fn clients_and_what_they_hold_are_counted() {
    let world = World::new().await;
    let held = ["dittofs_opens", "dittofs_lock_stateids", "dittofs_locks"];
    let gauges = |clients: f64, sessions: f64, counts: [f64; 3]| {
        let mut expected = vec![(SESSION_CLIENTS, clients), ("dittofs_sessions", sessions)];
        expected.extend(held.into_iter().zip(counts));
        expected
    };
    assert_values(&world, &gauges(0.0, 0.0, [0.0; 3])).await;
    assert_values(&world, &[("dittofs_session_slots", 0.0)]).await;
    let mut session = world.session("a").await;
    let file = session.open("file").await;
    session.open("other").await;
    for at in [0, 10, 20] {
        session.lock(&file, "locker", NfsLockType4::WriteLt, (at, 5)).await;
    }
    assert_values(&world, &gauges(1.0, 1.0, [2.0, 1.0, 3.0])).await;
    // It may have more since.
    let slots = f64::from(session.fore_channel.max_requests);
    assert!(value(&world, "dittofs_session_slots").await.is_some_and(|now| now >= slots));
    world.session("a").await;
    assert_values(&world, &gauges(1.0, 2.0, [2.0, 1.0, 3.0])).await;
}

#[tokio::test]
async fn clients_of_each_protocol_are_counted() {
    let world = World::new().await;
    let clients = r#"dittofs_clients{protocol="4.0"}"#;
    assert_values(&world, &[(clients, 0.0)]).await;
    ClientV4_0::connect(&world.server, "a").await;
    ClientV4_0::connect(&world.server, "b").await;
    assert_values(&world, &[(clients, 2.0), (SESSION_CLIENTS, 0.0)]).await;
}

#[tokio::test]
async fn delegations_are_counted() {
    const ACTIVE: &str = r#"dittofs_delegations{type="read"}"#;
    let world = World::new().await;
    let [one, two, three] = [world.session("a").await, world.session("b").await, world.session("c").await];
    let [one, two, three] = [one.clientid, two.clientid, three.clientid];
    let (service, state) = (&world.server.service, world.server.service.state());
    let of = |client| Caller { client: Some(client), now: service.now() };
    assert_values(&world, &[(ACTIVE, 0.0), (r#"dittofs_delegations_granted_total{type="read"}"#, 0.0)]).await;

    let returned = world.delegate(one, DelegationType::Read, 1);
    let dropped = world.delegate(three, DelegationType::Read, 2);
    let late = world.delegate(one, DelegationType::Write, 3);
    let expired = world.delegate(two, DelegationType::Directory, 4);
    assert_values(
        &world,
        &[
            (ACTIVE, 2.0),
            (r#"dittofs_delegations{type="write"}"#, 1.0),
            (r#"dittofs_delegations{type="directory"}"#, 1.0),
            (r#"dittofs_delegations_granted_total{type="read"}"#, 2.0),
        ],
    )
    .await;

    service.carry_out(state.return_delegation(of(one), &returned, &file_key(1)).unwrap());
    service.carry_out(state.drop_client(three).1);
    assert_eq!(state.census().delegations, 2, "{dropped:?} is gone");
    world.post(&format!("/api/v1/delegations/{}/recall", name_of(late))).await;
    world.server.clock.advance(Duration::from_secs(91));
    service.reap().await;
    world.post(&format!("/api/v1/delegations/{}/recall", name_of(expired))).await;
    assert_values(
        &world,
        &[
            (ACTIVE, 0.0),
            (r#"dittofs_delegations{type="write"}"#, 0.0),
            (r#"dittofs_delegations{type="directory"}"#, 0.0),
            (r#"dittofs_delegations_returned_total{type="read"}"#, 1.0),
            (r#"dittofs_delegations_dropped_total{type="read"}"#, 1.0),
            (r#"dittofs_delegations_recalled_total{type="write",reason="administrator"}"#, 1.0),
            (r#"dittofs_delegations_recalled_total{type="write",reason="open"}"#, 0.0),
            (r#"dittofs_delegations_revoked_total{type="write",reason="not_returned"}"#, 1.0),
            (r#"dittofs_delegations_revoked_total{type="directory",reason="lease_expired"}"#, 1.0),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_grace_period_is_told() {
    let world = World::restarted(&["a", "b", "c"]).await;
    world.session("a").await;
    world.server.clock.advance(Duration::from_secs(50));
    let entitled = (r#"dittofs_grace_clients{state="entitled"}"#, 3.0);
    let completed = r#"dittofs_grace_clients{state="completed"}"#;
    let (force, remaining) = ("dittofs_grace_in_force", "dittofs_grace_remaining_seconds");
    assert_values(&world, &[(force, 1.0), (remaining, 40.0), entitled, (completed, 1.0)]).await;
    world.post("/api/v1/grace/end").await;
    assert_values(&world, &[(force, 0.0), (remaining, 0.0), entitled, (completed, 3.0)]).await;
}
