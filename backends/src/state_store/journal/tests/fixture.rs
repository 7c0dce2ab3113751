use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dittofs_framework::client::Protocol;
use dittofs_framework::client::UserId;
use dittofs_framework::recovery::{ClientKey, ReclaimRecord, StateEvent};
use dittofs_framework::rpc::AuthFlavor;
use tempfile::TempDir;

use crate::state_store::{JournalOptions, JournalStateStore};

/// A directory with room for a journal.
pub(super) struct Place(TempDir);

impl Default for Place {
    fn default() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Place {
    pub(super) fn journal(&self) -> PathBuf {
        self.0.path().join("state")
    }

    pub(super) fn in_writing(&self) -> PathBuf {
        self.0.path().join("state.new")
    }
}

/// The time that tests run at: epochs begin at 1,000.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000)
}

/// A journal that is compacted early.
pub(super) fn small() -> JournalOptions {
    JournalOptions { now, compact_from: 200 }
}

/// A journal that is not compacted.
pub(super) fn long() -> JournalOptions {
    JournalOptions { now, compact_from: u64::MAX }
}

pub(super) fn open(place: &Place) -> JournalStateStore {
    JournalStateStore::open_with(&place.journal(), small()).unwrap()
}

pub(super) fn key(owner: &str) -> ClientKey {
    ClientKey { protocol: Protocol::Sessions, owner: Bytes::copy_from_slice(owner.as_bytes()) }
}

pub(super) fn record(owner: &str) -> ReclaimRecord {
    let user = UserId { flavor: AuthFlavor::Sys, uid: 3 };
    ReclaimRecord { key: key(owner), verifier: [5; 8], user }
}

pub(super) fn holds(owner: &str) -> StateEvent {
    StateEvent::Holds(record(owner))
}

pub(super) fn forgotten(owner: &str) -> StateEvent {
    StateEvent::Forgotten(key(owner))
}

/// Events of all kinds, each of which makes a difference.
pub(super) fn history() -> Vec<StateEvent> {
    let old = ClientKey { protocol: Protocol::V4_0, ..key("old") };
    vec![
        holds("a"),
        StateEvent::Holds(ReclaimRecord { key: old.clone(), ..record("old") }),
        holds("b"),
        forgotten("a"),
        StateEvent::Holds(ReclaimRecord { verifier: [6; 8], ..record("b") }),
        StateEvent::Forgotten(old),
        holds("c"),
    ]
}
