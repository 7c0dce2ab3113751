//! What every [`StateStore`] promises, as tests. [`state_store_suite!`](crate::state_store_suite) runs them.

// The tests say by their names what they are about, and stop at what is not so.
#![allow(missing_docs, clippy::missing_panics_doc)]

use std::sync::Arc;

use bytes::Bytes;

use crate::client::Protocol;
use crate::client::UserId;
use crate::recovery::{ClientKey, Ledger, ReclaimRecord, Recovered, StateEvent, StateStore};
use crate::rpc::AuthFlavor;
use crate::testing::random::Random;

/// A store that can be left without warning and found again.
pub trait StateStoreFixture {
    /// The store, empty at the first call, and later as the next instance of a server finds it. What an earlier call returned has been
    /// dropped.
    fn open(&mut self) -> Arc<dyn StateStore>;
}

/// Tests a [`StateStore`](crate::recovery::StateStore): `state_store_suite!(factory)` in a test module makes a test for each
/// promise. `factory` is an expression that, called without arguments, gives a new
/// [`StateStoreFixture`](crate::testing::state_store::StateStoreFixture). The crate needs `tokio` with `macros` and `rt`.
#[macro_export]
macro_rules! state_store_suite {
    ($factory:expr) => {
        $crate::state_store_suite! { $factory =>
            is_empty_at_first,
            epochs_grow_within_an_instance_and_over_restarts,
            who_holds_is_found_after_a_restart,
            who_is_forgotten_is_not_found,
            the_latest_record_of_a_client_counts,
            owners_are_any_bytes,
            protocols_are_name_spaces,
            two_restarts_in_a_row_forget_nobody,
            the_end_of_grace_forgets_who_did_not_come_back,
            the_order_is_that_of_the_calls,
            a_dropped_future_takes_nothing_back,
            many_at_once,
            a_random_history_amounts_to_what_the_ledger_says,
        }
    };
    ($factory:expr => $($case:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $case() {
            $crate::testing::state_store::$case(&mut $factory()).await;
        }
    )+};
}

fn key(owner: &[u8]) -> ClientKey {
    ClientKey { protocol: Protocol::Sessions, owner: Bytes::copy_from_slice(owner) }
}

fn record(owner: &str) -> ReclaimRecord {
    let user = UserId { flavor: AuthFlavor::Sys, uid: 1000 };
    ReclaimRecord { key: key(owner.as_bytes()), verifier: *b"verifier", user }
}

fn holds(owner: &str) -> StateEvent {
    StateEvent::Holds(record(owner))
}

fn forgotten(owner: &str) -> StateEvent {
    StateEvent::Forgotten(key(owner.as_bytes()))
}

/// One instance of a server: begins, and appends these events one after the other.
async fn instance(fixture: &mut impl StateStoreFixture, events: &[StateEvent]) -> Recovered {
    let store = fixture.open();
    let recovered = store.begin().await.expect("a new epoch");
    for event in events {
        store.append(event.clone()).await.expect("an event");
    }
    recovered
}

/// Who is left for the next instance, by the owners.
async fn left(fixture: &mut impl StateStoreFixture) -> Vec<String> {
    let clients = instance(fixture, &[]).await.clients;
    clients.iter().map(|record| String::from_utf8_lossy(&record.key.owner).into_owned()).collect()
}

pub async fn is_empty_at_first(fixture: &mut impl StateStoreFixture) {
    let recovered = instance(fixture, &[]).await;
    assert_eq!(recovered.clients, []);
    assert_ne!(recovered.boot_epoch, 0);
}

pub async fn epochs_grow_within_an_instance_and_over_restarts(fixture: &mut impl StateStoreFixture) {
    let mut latest = 0;
    for _ in 0..4 {
        let store = fixture.open();
        for _ in 0..3 {
            let epoch = store.begin().await.expect("a new epoch").boot_epoch;
            assert!(epoch > latest, "{epoch} after {latest}");
            latest = epoch;
        }
    }
}

pub async fn who_holds_is_found_after_a_restart(fixture: &mut impl StateStoreFixture) {
    instance(fixture, &[holds("b"), holds("a")]).await;
    let found = instance(fixture, &[]).await.clients;
    assert_eq!(found, [record("a"), record("b")], "in the order of the keys");
}

pub async fn who_is_forgotten_is_not_found(fixture: &mut impl StateStoreFixture) {
    instance(fixture, &[holds("a"), holds("b"), forgotten("a"), forgotten("never seen")]).await;
    assert_eq!(left(fixture).await, ["b"]);
    instance(fixture, &[forgotten("b"), holds("b")]).await;
    assert_eq!(left(fixture).await, ["b"]);
    instance(fixture, &[forgotten("b")]).await;
    assert!(left(fixture).await.is_empty());
}

pub async fn the_latest_record_of_a_client_counts(fixture: &mut impl StateStoreFixture) {
    let user = UserId { flavor: AuthFlavor::None, uid: u32::MAX };
    let later = ReclaimRecord { verifier: [0xff; 8], user, ..record("a") };
    instance(fixture, &[holds("a"), StateEvent::Holds(later.clone())]).await;
    assert_eq!(instance(fixture, &[]).await.clients, [later]);
}

pub async fn owners_are_any_bytes(fixture: &mut impl StateStoreFixture) {
    let owners: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"\xff\xfe not UTF-8", b"line\nend\r", &[7; 1024]];
    let records = owners.map(|owner| ReclaimRecord { key: key(owner), ..record("") });
    instance(fixture, &records.clone().map(StateEvent::Holds)).await;
    let mut expected = records.to_vec();
    expected.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(instance(fixture, &[]).await.clients, expected);
}

pub async fn protocols_are_name_spaces(fixture: &mut impl StateStoreFixture) {
    let old_key = ClientKey { protocol: Protocol::V4_0, ..record("a").key };
    let old = ReclaimRecord { key: old_key.clone(), ..record("a") };
    instance(fixture, &[holds("a"), StateEvent::Holds(old.clone())]).await;
    let both = instance(fixture, &[StateEvent::Forgotten(record("a").key)]).await;
    assert_eq!(both.clients.len(), 2);
    let one = instance(fixture, &[StateEvent::Forgotten(old_key)]).await;
    assert_eq!(one.clients, [old]);
    assert_eq!(instance(fixture, &[]).await.clients, []);
}

pub async fn two_restarts_in_a_row_forget_nobody(fixture: &mut impl StateStoreFixture) {
    instance(fixture, &[holds("a"), holds("b")]).await;
    instance(fixture, &[holds("a")]).await;
    instance(fixture, &[]).await;
    assert_eq!(left(fixture).await, ["a", "b"]);
}

pub async fn the_end_of_grace_forgets_who_did_not_come_back(fixture: &mut impl StateStoreFixture) {
    instance(fixture, &[holds("a"), holds("b")]).await;
    instance(fixture, &[holds("a"), StateEvent::GraceEnded, holds("c")]).await;
    assert_eq!(left(fixture).await, ["a", "c"]);
    instance(fixture, &[holds("c"), StateEvent::GraceEnded, StateEvent::GraceEnded]).await;
    assert_eq!(left(fixture).await, ["c"]);
}

pub async fn the_order_is_that_of_the_calls(fixture: &mut impl StateStoreFixture) {
    let store = fixture.open();
    store.begin().await.expect("a new epoch");
    let (first, second) = (store.append(holds("a")), store.append(forgotten("a")));
    let (third, fourth) = (store.append(forgotten("b")), store.append(holds("b")));
    // The later ones are waited for before the earlier ones are looked at.
    for future in [fourth, second, third, first] {
        future.await.expect("an event");
    }
    drop(store);
    assert_eq!(left(fixture).await, ["b"]);
}

pub async fn a_dropped_future_takes_nothing_back(fixture: &mut impl StateStoreFixture) {
    let store = fixture.open();
    store.begin().await.expect("a new epoch");
    drop(store.append(holds("a")));
    store.append(holds("b")).await.expect("an event");
    drop(store);
    assert_eq!(left(fixture).await, ["a", "b"]);
}

pub async fn many_at_once(fixture: &mut impl StateStoreFixture) {
    let store = fixture.open();
    store.begin().await.expect("a new epoch");
    let owners: Vec<_> = (0..500).map(|number| format!("client {number:03}")).collect();
    let futures: Vec<_> = owners.iter().map(|owner| store.append(holds(owner))).collect();
    for future in futures {
        future.await.expect("an event");
    }
    drop(store);
    assert_eq!(left(fixture).await, owners);
}

pub async fn a_random_history_amounts_to_what_the_ledger_says(fixture: &mut impl StateStoreFixture) {
    let mut random = Random::new(1);
    let mut ledger = Ledger::default();
    for _ in 0..40 {
        let store = fixture.open();
        let recovered = store.begin().await.expect("a new epoch");
        let expected = ledger.begin(recovered.boot_epoch);
        assert_eq!(recovered, expected);
        for _ in 0..random.below(30) {
            let mut client = record(&format!("client {}", random.below(12)));
            client.verifier = [u8::try_from(random.below(3)).unwrap_or_default(); 8];
            let event = match random.below(10) {
                0 => StateEvent::GraceEnded,
                1..4 => StateEvent::Forgotten(client.key),
                _ => StateEvent::Holds(client),
            };
            ledger.apply(&event);
            store.append(event).await.expect("an event");
        }
    }
}
