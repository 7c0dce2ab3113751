//! Origin: a disk on which every step in turn is the first to fail, and a crash behind it.
//! RFC: 8881 section 8.4.3.

use dittofs_framework::recovery::{Ledger, Recovered, StateEvent, StateStore};

use super::disk::{FailingDisk, Steps};
use super::fixture::{Place, history, holds, long, record, small};
use crate::state_store::{JournalOptions, JournalStateStore};

fn open_failing(place: &Place, steps: &Steps, options: JournalOptions) -> Option<JournalStateStore> {
    let disk = Box::new(FailingDisk(steps.clone()));
    JournalStateStore::open_on(disk, &place.journal(), options).ok()
}

fn found(place: &Place) -> Recovered {
    let file = std::fs::read(place.journal()).unwrap_or_default();
    if file.is_empty() {
        return Ledger::default().recovered();
    }
    super::super::scan::scan(&file).unwrap().ledger.recovered()
}

/// A long history, so that the file is compacted in it.
fn long_history() -> Vec<StateEvent> {
    (0..4).flat_map(|_| history()).collect()
}

/// The disk fails for good at one step after another: the file then holds what was acknowledged, or that and the event that was
/// under way.
#[tokio::test]
async fn a_crash_at_any_step_loses_nothing() {
    let mut steps_in_all = 0;
    for first_failure in 0.. {
        let place = Place::default();
        let steps = Steps::left(first_failure);
        let mut ledger = Ledger::default();
        let mut under_way = ledger.clone();
        if let Some(store) = open_failing(&place, &steps, small()) {
            under_way.begin(1_000);
            if store.begin().await.is_ok() {
                ledger.begin(1_000);
                for event in long_history() {
                    under_way = ledger.clone();
                    under_way.apply(&event);
                    if store.append(event).await.is_err() {
                        break;
                    }
                    ledger = under_way.clone();
                }
            }
        }
        let found = found(&place);
        assert!(
            found == ledger.recovered() || found == under_way.recovered(),
            "{found:?} after {first_failure}"
        );
        steps_in_all = first_failure;
        if steps.count() > 0 {
            break;
        }
    }
    assert!(steps_in_all > 60, "the history has compactions in it");
}

/// The disk fails at one step after another and is mended: what failed had no effect, what comes then has.
#[tokio::test]
async fn after_a_failure_it_goes_on() {
    for first_failure in 0..80 {
        let place = Place::default();
        let steps = Steps::left(u32::MAX);
        let store = open_failing(&place, &steps, small()).unwrap();
        store.begin().await.unwrap();
        let mut ledger = Ledger::default();
        ledger.begin(1_000);
        steps.set(first_failure);
        for event in long_history() {
            if store.append(event.clone()).await.is_err() {
                // Broken for a while: the next one fails as well.
                assert!(store.append(holds("nobody")).await.is_err());
                steps.set(u32::MAX);
                store.append(event.clone()).await.unwrap();
            }
            ledger.apply(&event);
        }
        assert_eq!(found(&place), ledger.recovered(), "{first_failure}");
        drop(store);
        let again = JournalStateStore::open_with(&place.journal(), small()).unwrap();
        assert_eq!(again.begin().await.unwrap(), ledger.begin(1_000));
    }
}

#[tokio::test]
async fn an_epoch_that_failed_was_not_begun() {
    let place = Place::default();
    let steps = Steps::left(u32::MAX);
    let store = open_failing(&place, &steps, long()).unwrap();
    steps.set(0);
    store.begin().await.unwrap_err();
    steps.set(u32::MAX);
    assert_eq!(store.begin().await.unwrap().boot_epoch, 1_000);
    assert_eq!(store.begin().await.unwrap().boot_epoch, 1_001);
}

/// The instance before may have been killed right after it put a new file in the place of the old one: nothing is added to a file whose
/// name is not durable.
#[test]
fn a_file_that_is_found_has_a_durable_name() {
    let place = Place::default();
    drop(super::fixture::open(&place));
    let steps = Steps::left(u32::MAX);
    drop(open_failing(&place, &steps, long()).unwrap());
    let taken = u32::MAX - steps.count();
    assert_eq!(taken, 2, "opened, and the directory flushed");
    steps.set(1);
    assert!(open_failing(&place, &steps, long()).is_none());
}

#[tokio::test]
async fn an_owner_that_is_too_long_is_refused() {
    let place = Place::default();
    let store = super::fixture::open(&place);
    store.append(holds(&"x".repeat(1025))).await.unwrap_err();
    store.append(holds(&"x".repeat(1024))).await.unwrap();
    assert_eq!(store.begin().await.unwrap().clients, [record(&"x".repeat(1024))]);
}

/// Clients that come at once share a flush: far fewer steps than two for each.
#[tokio::test]
async fn events_that_are_queued_share_a_flush() {
    let place = Place::default();
    let steps = Steps::left(u32::MAX);
    let store = open_failing(&place, &steps, long()).unwrap();
    store.begin().await.unwrap();
    // The thread takes what is queued while it flushes: the first may go alone, the rest goes in few.
    let before = steps.count();
    let futures: Vec<_> = (0..400).map(|number| store.append(holds(&number.to_string()))).collect();
    for future in futures {
        future.await.unwrap();
    }
    let taken = before - steps.count();
    assert!(taken < 400, "{taken} writes and flushes for 400 events");
}
