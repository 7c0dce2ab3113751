//! What every store of state promises, kept in a journal file.
//!
//! Origin: the suite for stores of state.
//! RFC: 8881 sections 8.4.2.1 and 8.4.3.

mod damage;
mod disk;
mod failure;
mod fixture;
mod instances;

use std::sync::Arc;

use dittofs_framework::recovery::StateStore;
use dittofs_framework::state_store_suite;
use dittofs_framework::testing::state_store::StateStoreFixture;
use fixture::{Place, open, small};

use super::JournalStateStore;

struct Fixture {
    place: Place,
    compacts: bool,
}

impl StateStoreFixture for Fixture {
    fn open(&mut self) -> Arc<dyn StateStore> {
        let options = if self.compacts { small() } else { super::JournalOptions::default() };
        Arc::new(JournalStateStore::open_with(&self.place.journal(), options).unwrap())
    }
}

mod promises {
    use super::*;

    state_store_suite!(|| Fixture { place: Place::default(), compacts: false });
}

/// The same with a file that is compacted all the time.
mod promises_when_compacted {
    use super::*;

    state_store_suite!(|| Fixture { place: Place::default(), compacts: true });
}

#[tokio::test]
async fn the_file_stays_short() {
    let place = Place::default();
    let store = open(&place);
    store.begin().await.unwrap();
    for _ in 0..2_000 {
        store.append(fixture::holds("a")).await.unwrap();
        store.append(fixture::forgotten("a")).await.unwrap();
    }
    drop(store);
    let length = std::fs::metadata(place.journal()).unwrap().len();
    assert!(length < 1_000, "{length} bytes for nobody");
}
