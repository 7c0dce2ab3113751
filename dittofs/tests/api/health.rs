//! Health and the grace period, as they are asked for.
//!
//! Origin: liveness and readiness probes of service managers; operators after a restart.
//! RFC: 9110 section 15 (status codes); 8881 section 8.4.2.1 (the grace period).

use std::time::Duration;

use dittofs::api::Phase;
use serde_json::json;

use crate::world::{World, complaint, printed};

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[tokio::test]
async fn a_server_that_serves_is_live_and_ready() {
    let world = World::new().await;
    let live = world.get("/health/live").await;
    assert_eq!((live.status, live.json()), (200, json!({ "version": VERSION })));
    let grace = json!({ "in_force": false, "remaining_s": 0, "entitled": 0, "completed": 0 });
    let ready = world.get("/health/ready").await;
    assert_eq!(
        (ready.status, ready.json()),
        (200, json!({ "ready": true, "version": VERSION, "grace": grace }))
    );
    assert_eq!(printed(&world.dfs(&["status"]).await), format!("dfs {VERSION} is ready\n"));
}

#[tokio::test]
async fn a_grace_period_leaves_it_ready_and_is_told() {
    let world = World::restarted(&["a", "b", "c"]).await;
    world.server.clock.advance(Duration::from_millis(42_500));
    world.session("a").await;
    let ready = world.get("/health/ready").await;
    assert_eq!(ready.status, 200);
    let grace = json!({ "in_force": true, "remaining_s": 48, "entitled": 3, "completed": 1 });
    assert_eq!(ready.json()["grace"], grace);
    assert_eq!(world.get("/api/v1/grace").await.json(), grace);
    let expected = format!("dfs {VERSION} is ready\nGrace period: 48s remaining (1/3 clients reclaimed)\n");
    assert_eq!(printed(&world.dfs(&["status"]).await), expected);
}

#[tokio::test]
async fn a_grace_period_can_be_ended() {
    let world = World::restarted(&["a", "b"]).await;
    let over = json!({ "in_force": false, "remaining_s": 0, "entitled": 2, "completed": 2 });
    let ended = world.post("/api/v1/grace/end").await;
    assert_eq!((ended.status, ended.json()), (200, over.clone()));
    assert!(!world.server.service.grace().is_in_force());
    assert_eq!(world.post("/api/v1/grace/end").await.json(), over, "once more");
}

#[tokio::test]
async fn a_server_that_stops_is_live_and_not_ready() {
    let world = World::new().await;
    world.phase.send_replace(Phase::Draining);
    let ready = world.get("/health/ready").await;
    assert_eq!((ready.status, ready.json()["ready"].as_bool()), (503, Some(false)));
    assert_eq!(world.get("/health/live").await.status, 200);
    assert_eq!(complaint(&world.dfs(&["status"]).await), "dfs: the server is stopping\n");
}

#[tokio::test]
async fn the_api_ends_with_the_server() {
    let world = World::new().await;
    assert_eq!(world.get("/health/live").await.status, 200);
    world.phase.send_replace(Phase::Over);
    world.serving.await.unwrap();
}
