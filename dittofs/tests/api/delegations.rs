//! Who holds which delegation, and delegations that an operator wants back.
//!
//! Origin: own.
//! RFC: 8881 sections 10.4 and 10.4.6.

use std::time::Duration;

use dittofs_framework::state::DelegationType;
use serde_json::{Value, json};

use crate::world::{World, complaint, name_of, printed};

/// A list of the API as stateids, and where it goes on.
async fn page(world: &World, query: &str) -> (Vec<String>, Option<String>) {
    let answer = world.get(&format!("/api/v1/delegations{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let list = answer.json();
    let stateid = |delegation: &Value| delegation["stateid"].as_str().unwrap().to_owned();
    let stateids = list["delegations"].as_array().unwrap().iter().map(stateid).collect();
    (stateids, list["next"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn they_are_listed_in_pages_and_by_client() {
    let world = World::new().await;
    assert_eq!(page(&world, "").await, (vec![], None));
    let one = world.session("one").await.clientid;
    let two = world.session("two").await.clientid;
    let given: Vec<_> = (0..5).map(|n| [one, two][n % 2]).zip(1..).collect();
    let given: Vec<_> =
        given.iter().map(|(client, n)| name_of(world.delegate(*client, DelegationType::Read, *n))).collect();
    assert_eq!(page(&world, "").await, (given.clone(), None));
    let of = |of: u64, rest: &str| format!("?client={of}{rest}");
    assert_eq!(page(&world, &of(two.0, "")).await, (vec![given[1].clone(), given[3].clone()], None));
    assert_eq!(page(&world, &of(u64::MAX, "")).await, (vec![], None), "nobody");

    let (first, next) = page(&world, "?limit=3").await;
    assert_eq!((&first[..], next.as_ref()), (&given[..3], Some(&given[2])));
    let after = format!("?limit=3&after={}", next.unwrap());
    assert_eq!(page(&world, &after).await, (given[3..].to_vec(), None));
}

#[tokio::test]
async fn one_is_seen_with_its_holder_and_its_recall() {
    let world = World::new().await;
    let holder = world.session("holder\u{e9}").await.clientid;
    let stateid = name_of(world.delegate(holder, DelegationType::Write, 7));
    let seen = |recalled_s: Value| {
        json!({
            "stateid": &stateid,
            "type": "write",
            "clientid": holder.0.to_string(),
            "client": "holder\u{e9}",
            "export": "/export",
            "file": "0000000000000007",
            "recalled_s": recalled_s,
        })
    };
    let listed = async || world.get("/api/v1/delegations").await.json()["delegations"][0].clone();
    assert_eq!(listed().await, seen(Value::Null));

    let recall = format!("/api/v1/delegations/{stateid}/recall");
    let answer = json!({ "stateid": &stateid, "outcome": "recalled" });
    assert_eq!(world.post(&recall).await.json(), answer);
    assert_eq!(listed().await, seen(json!(0)));
    world.server.clock.advance(Duration::from_secs(40));
    assert_eq!(world.post(&recall).await.json(), answer, "once more");
    assert_eq!(listed().await, seen(json!(40)), "it was asked for before");
}

#[tokio::test]
async fn one_whose_holder_has_no_lease_is_revoked() {
    let world = World::new().await;
    let holder = world.session("holder").await.clientid;
    let stateid = name_of(world.delegate(holder, DelegationType::Write, 7));
    world.server.clock.advance(Duration::from_secs(91));
    let recall = format!("/api/v1/delegations/{stateid}/recall");
    assert_eq!(world.post(&recall).await.json(), json!({ "stateid": &stateid, "outcome": "revoked" }));
    assert_eq!(world.post(&recall).await.status, 404);
}

#[tokio::test]
async fn dfsctl_lists_and_recalls_them() {
    let world = World::new().await;
    let holder = world.session("holder").await.clientid;
    let other = world.session("other").await.clientid;
    let stateid = name_of(world.delegate(holder, DelegationType::Read, 7));
    world.delegate(other, DelegationType::Read, 7);

    let recalled = world.dfsctl(&["delegation", "recall", &stateid]).await;
    assert_eq!(printed(&recalled), format!("STATEID                   OUTCOME\n{stateid}  recalled\n"));
    world.server.clock.advance(Duration::from_secs(3));
    let id = holder.0.to_string();
    let listed = world.dfsctl(&["delegation", "list", "--client", &id]).await;
    let width = id.len().max("CLIENT".len());
    let expected = format!(
        "STATEID                   TYPE  RECALLED  {:width$}  EXPORT   FILE              CLIENT NAME\n\
         {stateid}  read  3s ago    {id:width$}  /export  0000000000000007  holder\n",
        "CLIENT"
    );
    assert_eq!(printed(&listed), expected);
    let listed = world.dfsctl(&["delegation", "list", "-o", "json"]).await;
    let listed: Value = serde_json::from_str(printed(&listed)).unwrap();
    assert_eq!((listed.as_array().unwrap().len(), &listed[1]["client"]), (2, &json!("other")));
    let listed = world.dfsctl(&["delegation", "list", "-o", "yaml"]).await;
    assert!(printed(&listed).contains("  type: read\n"), "{}", printed(&listed));
}

#[tokio::test]
async fn dfsctl_says_which_delegation_there_is_not() {
    let world = World::new().await;
    let recalled = world.dfsctl(&["delegation", "recall", "000000000000000000000001"]).await;
    assert_eq!(
        complaint(&recalled),
        "dfsctl: there is no delegation with the stateid 000000000000000000000001\n"
    );
    let recalled = world.dfsctl(&["delegation", "recall", "../x"]).await;
    let expected =
        "dfsctl: \"../x\" is not the stateid of a delegation, as `dfsctl delegation list` shows it\n";
    assert_eq!(complaint(&recalled), expected);
}
