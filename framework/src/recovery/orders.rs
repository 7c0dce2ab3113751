//! Every order of the steps of two or three threads on the grace period and on the record of who may reclaim.
//!
//! Origin: `docs/internals/concurrency.md`.
//! RFC: 8881 sections 8.4.2.1 and 8.4.3.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use loom::thread::yield_now;
use parking_lot::Mutex;

use super::*;
use crate::client::{Client, ClientName, Protocol, UserId};
use crate::clock::Timestamp;
use crate::proto::{ClientId, OpaqueId};
use crate::rpc::{AuthFlavor, BoxFuture};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use crate::sync::orders::{check_all, join, spawn};

const LEASE: Duration = Duration::from_secs(90);

fn client() -> Client {
    let user = UserId { flavor: AuthFlavor::Sys, uid: 1 };
    let owner = OpaqueId::from(&b"client"[..]);
    let name = ClientName { protocol: Protocol::Sessions, owner, verifier: [1; 8], user };
    Client::new(ClientId(1), name, LEASE, Timestamp::default())
}

/// Events in their order. Each is durable a moment after it was appended.
#[derive(Default)]
struct Events(Mutex<Vec<StateEvent>>);

impl StateStore for Events {
    fn begin(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        unreachable!("nothing is recovered")
    }

    fn append(&self, event: StateEvent) -> BoxFuture<'static, Result<(), StoreError>> {
        self.0.lock().push(event);
        Box::pin(async {
            yield_now();
            Ok(())
        })
    }
}

impl Events {
    /// Whether the client may reclaim if the server crashes now.
    fn holds(&self) -> bool {
        matches!(self.0.lock().last(), Some(StateEvent::Holds(_)))
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the store waits"),
    }
}

fn server() -> (Arc<Events>, Arc<Recovery>, Arc<Client>) {
    let events = Arc::<Events>::default();
    let recovery = Arc::new(Recovery::new(events.clone(), Grace::none(), &[]));
    (events, recovery, Arc::new(client()))
}

/// What is taken from a client is given to nobody while the client might still reclaim it.
#[test]
fn a_client_of_which_something_is_revoked_is_not_recorded_behind_that() {
    check_all(|| {
        let (events, recovery, client) = server();
        let is_revoked = Arc::new(AtomicBool::new(false));
        let (r, c, seen) = (recovery.clone(), client.clone(), is_revoked.clone());
        let opener = spawn(move || run(r.record(&c, || seen.load(Relaxed))).unwrap());
        is_revoked.store(true, Relaxed);
        run(recovery.forget(&client)).unwrap();
        assert!(!events.holds(), "it may reclaim what was revoked");
        join(opener);
        assert!(!events.holds(), "it may reclaim what was revoked");
        assert!(!client.reclaims().is_recorded());
    });
}

/// Who passes for recorded is.
#[test]
fn a_client_is_recorded_before_it_is_given_anything() {
    check_all(|| {
        let (events, recovery, client) = server();
        let openers = [(); 2].map(|()| {
            let (events, recovery, client) = (events.clone(), recovery.clone(), client.clone());
            spawn(move || {
                run(recovery.record(&client, || false)).unwrap();
                assert!(events.holds(), "a crash now would lose it its state");
            })
        });
        let _ = openers.map(join);
        assert!(client.reclaims().is_recorded());
    });
}

#[test]
fn a_record_that_was_taken_back_does_not_count() {
    check_all(|| {
        let (events, recovery, client) = server();
        let (r, c) = (recovery.clone(), client.clone());
        let opener = spawn(move || run(r.record(&c, || false)).unwrap());
        run(recovery.forget(&client)).unwrap();
        join(opener);
        assert!(!client.reclaims().is_recorded() || events.holds(), "it passes for recorded and is not");
    });
}

/// While a reclaim is under way nothing else is let in, and none is let in after the end.
#[test]
fn the_grace_period_ends_with_its_last_reclaim() {
    check_all(|| {
        let record = ReclaimRecord::from(client().name());
        let grace = Arc::new(Grace::new(Timestamp::default(), LEASE, vec![record]));
        let reclaiming = Arc::new(AtomicUsize::new(0));
        let (other, running) = (grace.clone(), reclaiming.clone());
        let reclaimer = spawn(move || {
            for _ in 0..2 {
                let Some(permit) = other.begin_reclaim(Timestamp::default()) else { return };
                assert!(other.is_in_force(), "let in when it was over");
                running.fetch_add(1, Relaxed);
                running.fetch_sub(1, Relaxed);
                permit.granted();
            }
        });
        grace.end();
        if !grace.is_in_force() {
            assert_eq!(reclaiming.load(Relaxed), 0, "over while a reclaim is running");
            assert!(grace.begin_reclaim(Timestamp::default()).is_none(), "a reclaim after the end");
        }
        join(reclaimer);
        assert!(!grace.is_in_force(), "nobody ends it any more");
    });
}
