//! Origin: the order in which records are made, taken back and become durable, with a store that answers when it is told.
//! RFC: 8881 section 8.4.3.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::scripted::{Answer, ScriptedStore};
use super::{ClientKey, Grace, ReclaimRecord, Recovery, StateEvent, StoreError};
use crate::client::{Client, ClientName, Protocol, UserId};
use crate::clock::Timestamp;
use crate::proto::{ClientId, OpaqueId, SequenceStatus};
use crate::rpc::AuthFlavor;

const NOW: Timestamp = Timestamp::from_nanos(0);
const PERIOD: Duration = Duration::from_secs(90);

struct World {
    store: Arc<ScriptedStore>,
    recovery: Recovery,
}

impl World {
    /// These clients held state when the server went down.
    fn new(clients: &[ReclaimRecord]) -> Self {
        let store = Arc::new(ScriptedStore::default());
        let grace = Grace::new(NOW, PERIOD, clients.to_vec());
        Self { recovery: Recovery::new(store.clone(), grace, clients), store }
    }

    /// Records a client, with an answer at once.
    fn record(&self, client: &Client) {
        let mut recording = pin!(self.recovery.record(client, || false));
        if poll(&mut recording).is_pending() {
            self.store.answer(self.store.events().len() - 1, Ok(()));
            assert_eq!(poll(&mut recording), Poll::Ready(true));
        }
    }
}

/// Whether a step succeeded, if it is over.
fn poll(step: &mut Pin<&mut impl Future<Output = Answer>>) -> Poll<bool> {
    step.as_mut().poll(&mut Context::from_waker(Waker::noop())).map(|answer| answer.is_ok())
}

fn client_of(protocol: Protocol, id: u64, verifier: u8) -> Client {
    let user = UserId { flavor: AuthFlavor::Sys, uid: 0 };
    let name = ClientName { protocol, owner: OpaqueId::from("client"), verifier: [verifier; 8], user };
    Client::new(ClientId(id), name, PERIOD, NOW)
}

fn client(id: u64, verifier: u8) -> Client {
    client_of(Protocol::Sessions, id, verifier)
}

fn record_of(client: &Client) -> ReclaimRecord {
    ReclaimRecord::from(client.name())
}

fn holds(client: &Client) -> StateEvent {
    StateEvent::Holds(record_of(client))
}

fn forgotten(client: &Client) -> StateEvent {
    StateEvent::Forgotten(key(client))
}

fn key(client: &Client) -> ClientKey {
    record_of(client).key
}

#[test]
fn a_client_is_recorded_once() {
    let world = World::new(&[]);
    let client = client(1, 1);
    world.record(&client);
    world.record(&client);
    assert_eq!(world.store.events(), [holds(&client)]);
}

#[test]
fn what_failed_is_tried_again() {
    let world = World::new(&[]);
    let client = client(1, 1);
    let mut recording = pin!(world.recovery.record(&client, || false));
    assert_eq!(poll(&mut recording), Poll::Pending);
    world.store.answer(0, Err(StoreError::Closed));
    assert_eq!(poll(&mut recording), Poll::Ready(false));
    world.record(&client);
    assert_eq!(world.store.events(), [holds(&client), holds(&client)]);

    let mut forgetting = pin!(world.recovery.forget(&client));
    assert_eq!(poll(&mut forgetting), Poll::Pending);
    world.store.answer(2, Err(StoreError::Closed));
    assert_eq!(poll(&mut forgetting), Poll::Ready(false));
    let mut again = pin!(world.recovery.forget(&client));
    assert_eq!(poll(&mut again), Poll::Pending);
    world.store.answer(3, Ok(()));
    assert_eq!(poll(&mut again), Poll::Ready(true));
    // Nothing is left to forget.
    assert_eq!(poll(&mut pin!(world.recovery.forget(&client))), Poll::Ready(true));
    assert_eq!(world.store.events().len(), 4);
}

#[test]
fn a_record_that_was_taken_back_meanwhile_is_none() {
    let world = World::new(&[]);
    let client = client(1, 1);
    let mut recording = pin!(world.recovery.record(&client, || false));
    assert_eq!(poll(&mut recording), Poll::Pending);
    let mut forgetting = pin!(world.recovery.forget(&client));
    assert_eq!(poll(&mut forgetting), Poll::Pending);
    world.store.answer(1, Ok(()));
    world.store.answer(0, Ok(()));
    assert_eq!(poll(&mut forgetting), Poll::Ready(true));
    assert_eq!(poll(&mut recording), Poll::Ready(true));
    assert!(!client.reclaims().is_recorded());
    world.record(&client);
    assert_eq!(world.store.events(), [holds(&client), forgotten(&client), holds(&client)]);
}

#[test]
fn who_has_lost_something_is_not_recorded_anew() {
    let world = World::new(&[]);
    let client = client(1, 1);
    let mut recording = pin!(world.recovery.record(&client, || true));
    assert_eq!(poll(&mut recording), Poll::Ready(true));
    // Revoked after the look at it: the event is to stay away as well.
    let revoked_then = || {
        assert_eq!(poll(&mut pin!(world.recovery.forget(&client))), Poll::Ready(true));
        false
    };
    assert_eq!(poll(&mut pin!(world.recovery.record(&client, revoked_then))), Poll::Ready(true));
    assert_eq!(world.store.events(), []);
}

#[test]
fn the_late_end_of_an_incarnation_leaves_the_record_of_the_next() {
    let world = World::new(&[]);
    let (old, new) = (client(1, 1), client(2, 2));
    world.record(&old);
    let mut forgetting = pin!(world.recovery.forget(&old));
    assert_eq!(poll(&mut forgetting), Poll::Pending);
    world.store.answer(1, Err(StoreError::Closed));
    assert_eq!(poll(&mut forgetting), Poll::Ready(false));
    world.record(&new);
    assert_eq!(poll(&mut pin!(world.recovery.forget(&old))), Poll::Ready(true));
    assert_eq!(world.store.events(), [holds(&old), forgotten(&old), holds(&new)]);
}

/// A record that could not be made does not hide the one that is there.
#[test]
fn what_failed_leaves_the_record_of_another_incarnation() {
    let world = World::new(&[]);
    let (old, new) = (client(1, 1), client(2, 2));
    world.record(&old);
    let mut recording = pin!(world.recovery.record(&new, || false));
    assert_eq!(poll(&mut recording), Poll::Pending);
    world.store.answer(1, Err(StoreError::Closed));
    assert_eq!(poll(&mut recording), Poll::Ready(false));
    assert_eq!(poll(&mut pin!(world.recovery.depart(&old))), Poll::Pending);
    assert_eq!(world.store.events(), [holds(&old), holds(&new), forgotten(&old)]);
}

/// In minor version 0 a client may go while a request of it is under way.
#[test]
fn who_is_gone_takes_no_record_away() {
    let world = World::new(&[]);
    let (old, new) = (client(1, 1), client(2, 2));
    world.record(&old);
    let mut departing = pin!(world.recovery.depart(&old));
    assert_eq!(poll(&mut departing), Poll::Pending);
    world.store.answer(1, Ok(()));
    assert_eq!(poll(&mut departing), Poll::Ready(true));
    world.record(&new);
    world.record(&old);
    assert_eq!(world.store.events(), [holds(&old), forgotten(&old), holds(&new)]);
}

#[test]
fn who_reclaims_has_its_record_from_before() {
    let old = client(1, 1);
    let world = World::new(&[record_of(&old)]);
    let back = client(2, 1);
    world.recovery.confirm(&back, NOW);
    assert!(back.may_reclaim() && back.status().contains(SequenceStatus::RESTART_RECLAIM_NEEDED));
    world.record(&back);
    assert_eq!(world.store.events(), []);
    // Until it is gone.
    let mut forgetting = pin!(world.recovery.forget(&back));
    assert_eq!(poll(&mut forgetting), Poll::Pending);
    assert!(!back.may_reclaim() && world.recovery.grace().is_due(NOW));
    assert_eq!(world.store.events(), [forgotten(&back)]);
}

#[test]
fn who_reclaims_in_minor_version_0_is_recorded_at_once() {
    let old = client_of(Protocol::V4_0, 1, 1);
    let world = World::new(&[record_of(&old)]);
    let back = client_of(Protocol::V4_0, 2, 1);
    world.recovery.confirm(&back, NOW);
    world.record(&back);
    assert_eq!(world.store.events(), [holds(&back)]);
}

#[test]
fn a_stranger_takes_no_record_away() {
    let old = client(1, 1);
    let world = World::new(&[record_of(&old)]);
    let restarted = client(2, 2);
    world.recovery.confirm(&restarted, NOW);
    assert!(!restarted.may_reclaim());
    assert_eq!(poll(&mut pin!(world.recovery.forget(&restarted))), Poll::Ready(true));
    assert_eq!(world.store.events(), []);
}

#[test]
fn grace_ends_when_that_is_durable() {
    let old = client(1, 1);
    let world = World::new(&[record_of(&old)]);
    let back = client(2, 1);
    world.recovery.confirm(&back, NOW);
    let mut ending = pin!(world.recovery.end_grace());
    assert_eq!(poll(&mut ending), Poll::Pending);
    assert!(world.recovery.grace().is_in_force());
    world.store.answer(0, Ok(()));
    assert_eq!(poll(&mut ending), Poll::Ready(true));
    assert!(!world.recovery.grace().is_in_force());
    // The end has taken the record away.
    assert_eq!(poll(&mut pin!(world.recovery.forget(&back))), Poll::Ready(true));
    assert_eq!(world.store.events(), [StateEvent::GraceEnded]);
}
