//! Calls to clients in the metrics.
//!
//! Origin: own: each counter with what makes it rise.
//! RFC: 8881 sections 2.10.3.1 and 20.

use std::time::Duration;

use dittofs_framework::attr::Bitmap;
use dittofs_framework::client::CallbackPath;
use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    CbOp, ChannelDirFromClient, Minor, NFS4ERR_BADHANDLE, NfsTime, NotifyType,
    OPEN4_SHARE_ACCESS_WANT_NO_DELEG,
};
use dittofs_framework::state::DelegationType;
use dittofs_framework::testing::CallReply;
use dittofs_ops::get_dir_delegation::{GetDirDelegation, GetDirDelegation4Args, GetDirDelegation4Res};
use dittofs_tests::callbacks::{Answer, BackOptions, DelegClient, Delegation};
use dittofs_tests::{TestServer, TestServerOptions};
use rstest::rstest;

use crate::metrics::{assert_values, value};
use crate::world::{World, name_of};

/// Long enough for every test, in real time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is so.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never {what}"));
}

/// Waits until a metric is there and not zero.
pub(crate) async fn until_counted(world: &World, name: &str) {
    until(name, async || value(world, name).await.is_some_and(|value| value > 0.0)).await;
}

/// A client that the server has found to answer calls.
async fn answering(world: &World, name: &str, minor: Minor) -> DelegClient {
    let options = BackOptions { minor, ..BackOptions::default() };
    let client = DelegClient::unproven(&world.server, name, &options).await;
    let is_proven = async || {
        let clients = world.server.service.clients();
        let own = clients.iter().find(|client| client.name().owner.0[..] == *name.as_bytes());
        own.is_some_and(|client| client.callback_path() == CallbackPath::Proven)
    };
    until("answered", is_proven).await;
    client
}

async fn read_delegation(client: &mut DelegClient, name: &str) -> Delegation {
    // In minor version 0 an open-owner is to be confirmed before it is given a delegation.
    let made = client.open_write(name).wanting(OPEN4_SHARE_ACCESS_WANT_NO_DELEG).await;
    if let Some(stateid) = made.delegation.stateid() {
        client.give_back(&Delegation { fh: made.fh.clone(), stateid }).await;
    }
    client.close(&made.file()).await;
    client.open_read(name).wanting_read().await.read_delegation()
}

/// The name of a metric of an operation.
fn of(metric: &str, operation: &str) -> String {
    format!(r#"dittofs_{metric}{{operation="{operation}"}}"#)
}

fn failed(operation: &str, reason: &str) -> String {
    format!(r#"dittofs_callbacks_failed_total{{operation="{operation}",reason="{reason}"}}"#)
}

#[rstest]
#[tokio::test]
async fn calls_and_their_time_are_counted(#[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor) {
    let world = World::new().await;
    assert_eq!(value(&world, &of("callbacks_sent_total", "CB_NULL")).await, None, "nobody was called yet");
    let mut holder = answering(&world, "holder", minor).await;
    until_counted(&world, &of("callback_duration_seconds_count", "CB_NULL")).await;
    assert_values(&world, &[(&of("callbacks_sent_total", "CB_NULL"), 1.0)]).await;

    let delegation = read_delegation(&mut holder, "file").await;
    let mut other = world.session("other").await;
    tokio::join!(other.open("file"), holder.give_back_when_recalled(&delegation));
    until_counted(&world, &of("callback_duration_seconds_count", "CB_RECALL")).await;
    let bucket = |bound: &str| {
        format!(r#"dittofs_callback_duration_seconds_bucket{{operation="CB_RECALL",le="{bound}"}}"#)
    };
    assert_values(
        &world,
        &[
            (&of("callbacks_sent_total", "CB_RECALL"), 1.0),
            (&of("callbacks_retried_total", "CB_RECALL"), 0.0),
            (&failed("CB_RECALL", "timed_out"), 0.0),
            (&of("callback_duration_seconds_count", "CB_RECALL"), 1.0),
            (&bucket("10"), 1.0),
            (&bucket("+Inf"), 1.0),
            (r#"dittofs_delegations_granted_total{type="read"}"#, 1.0),
            (r#"dittofs_delegations_recalled_total{type="read",reason="open"}"#, 1.0),
            (r#"dittofs_delegations_returned_total{type="read"}"#, 1.0),
        ],
    )
    .await;
    let sum = value(&world, &of("callback_duration_seconds_sum", "CB_RECALL")).await;
    assert!(sum.is_some_and(|seconds| seconds > 0.0 && seconds < PATIENCE.as_secs_f64()), "{sum:?}");
}

#[rstest]
#[case::takes_no_calls(Answer::Rpc(CallReply::ProgUnavail), "rejected")]
#[case::says_nothing(Answer::Never, "timed_out")]
#[case::hangs_up(Answer::DropBefore, "lost")]
#[tokio::test]
async fn calls_that_fail_are_counted(#[case] answer: Answer, #[case] reason: &str) {
    let mut limits = Limits::default();
    limits.callbacks.reply_timeout = Duration::from_millis(100);
    limits.callbacks.rebind_wait = Duration::from_millis(100);
    let options = TestServerOptions { limits, ..TestServerOptions::default() };
    let world = World::of(TestServer::start_with(options).await).await;
    let mut holder = answering(&world, "holder", Minor::V2).await;
    let delegation = read_delegation(&mut holder, "file").await;
    holder.callbacks().answer(CbOp::Recall, answer);
    world.post(&format!("/api/v1/delegations/{}/recall", name_of(delegation.stateid))).await;
    until_counted(&world, &failed("CB_RECALL", reason)).await;
    assert_values(&world, &[(&of("callback_duration_seconds_count", "CB_RECALL"), 0.0)]).await;
}

#[tokio::test]
async fn a_call_for_which_there_is_no_way_is_counted() {
    let world = World::new().await;
    let deaf = world.session("deaf").await.clientid;
    let stateid = world.delegate(deaf, DelegationType::Read, 7);
    world.post(&format!("/api/v1/delegations/{}/recall", name_of(stateid))).await;
    until_counted(&world, &failed("CB_RECALL", "no_path")).await;
    assert_values(&world, &[(&of("callbacks_sent_total", "CB_RECALL"), 0.0)]).await;
}

#[tokio::test]
async fn a_call_that_is_sent_once_more_is_counted() {
    let world = World::new().await;
    let mut holder = answering(&world, "holder", Minor::V2).await;
    holder.bind(&world.server, ChannelDirFromClient::BackOrBoth).await;
    let delegation = read_delegation(&mut holder, "file").await;
    holder.callbacks().answer_once(CbOp::Recall, Answer::DropBefore);
    world.post(&format!("/api/v1/delegations/{}/recall", name_of(delegation.stateid))).await;
    until_counted(&world, &of("callback_duration_seconds_count", "CB_RECALL")).await;
    let (sent, retried) =
        (of("callbacks_sent_total", "CB_RECALL"), of("callbacks_retried_total", "CB_RECALL"));
    assert_values(&world, &[(&sent, 2.0), (&retried, 1.0)]).await;
}

#[rstest]
#[case::taken(Answer::Ok, "dittofs_notifications_sent_total", 1.0)]
#[case::not_taken(Answer::Status(NFS4ERR_BADHANDLE), "dittofs_notifications_failed_total", 0.0)]
#[tokio::test]
async fn notifications_are_counted(#[case] answer: Answer, #[case] counter: &str, #[case] changes: f64) {
    let world = World::new().await;
    assert_values(&world, &[(counter, 0.0), ("dittofs_notification_changes_total", 0.0)]).await;
    let mut holder = answering(&world, "holder", Minor::V2).await;
    holder.callbacks().answer(CbOp::Notify, answer);
    let share = holder.session().share().await;
    let args = GetDirDelegation4Args {
        signal_deleg_avail: false,
        notification_types: Bitmap::of(&[NotifyType::AddEntry.bit()]),
        child_attr_delay: NfsTime::default(),
        dir_attr_delay: NfsTime::default(),
        child_attributes: Bitmap::EMPTY,
        dir_attributes: Bitmap::EMPTY,
    };
    let given = holder.run_on::<GetDirDelegation>(&share, &args).await.unwrap();
    assert!(matches!(given, GetDirDelegation4Res::Ok(_)), "{given:?}");
    world.session("other").await.open("new").await;
    until(counter, async || {
        // What waits to be told waits on the server's clock.
        world.server.clock.advance(Duration::from_millis(1));
        value(&world, counter).await == Some(1.0)
    })
    .await;
    assert_values(&world, &[("dittofs_notification_changes_total", changes)]).await;
}

#[tokio::test]
async fn it_is_seen_whether_calls_reach_a_client() {
    let world = World::new().await;
    let holder = answering(&world, "holder", Minor::V2).await;
    let seen = async || world.get("/api/v1/clients").await.json()["clients"][0]["callbacks"].clone();
    assert_eq!(seen().await, "proven");
    holder.connection(0).close().await;
    until("down", async || seen().await == "down").await;
}
