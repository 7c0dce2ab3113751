//! What every [`ContentStore`] promises, as tests. [`content_store_suite!`](crate::content_store_suite) runs them.

// The tests say by their names what they are about, and stop at what is not so.
#![allow(missing_docs, clippy::missing_panics_doc)]

mod bytes;
mod concurrent;
mod copies;
mod history;
mod limits;
mod ranges;
mod restarts;
mod seek;

use std::sync::Arc;

use ::bytes::Bytes;

use crate::storage::{ContentSize, ContentStore, Ino, StorageResult};

pub use self::bytes::*;
pub use concurrent::*;
pub use copies::*;
pub use history::*;
pub use limits::*;
pub use ranges::*;
pub use restarts::*;
pub use seek::*;

/// A store that can be left without warning and found again.
pub trait ContentStoreFixture {
    /// The store, empty at the first call, and later as it is found after a restart. What an earlier call returned has been dropped.
    fn open(&mut self) -> Arc<dyn ContentStore>;

    /// Whether what was synced is still there after a restart.
    fn outlives_restarts(&self) -> bool {
        true
    }
}

/// Tests a [`ContentStore`](crate::storage::ContentStore): `content_store_suite!(factory)` in a test module makes a test for each
/// promise. `factory` is an expression that, called without arguments, gives a new
/// [`ContentStoreFixture`](crate::testing::content_store::ContentStoreFixture). The crate needs `tokio` with `macros` and
/// `rt-multi-thread`.
#[macro_export]
macro_rules! content_store_suite {
    ($factory:expr) => {
        $crate::content_store_suite! { $factory =>
            contents_that_are_not_there_are_empty,
            what_is_written_is_read,
            a_write_replaces_its_range_alone,
            before_a_write_beyond_the_end_there_are_zeros,
            no_bytes_change_nothing,
            numbers_are_any,
            sizes_are_told_by_all_calls,
            what_is_removed_is_gone,
            what_is_not_there_can_be_removed,
            scans_go_by_number_in_pages,
            truncate_cuts_off_and_extends,
            what_was_cut_off_does_not_come_back,
            a_punched_range_reads_as_zeros,
            nothing_is_punched_beyond_the_end,
            punching_all_gives_storage_back,
            an_allocated_range_keeps_its_bytes,
            seek_finds_all_data,
            seek_at_the_ends_of_the_contents,
            copies_between_contents,
            copies_within_contents,
            a_copy_ends_where_the_source_does,
            a_copy_of_a_hole_replaces_data,
            a_clone_is_whole_and_apart,
            nothing_is_longer_than_the_limit,
            contents_reach_up_to_the_limit,
            far_offsets_are_sparse,
            the_room_adds_up,
            concurrent_writes_of_disjoint_ranges_all_stay,
            of_concurrent_writes_of_the_same_bytes_one_stays,
            reads_beside_writes_see_what_was_or_what_is,
            reads_beside_a_removal_end,
            syncs_beside_writes_all_return,
            many_contents_at_once,
            what_was_synced_is_found_after_a_restart,
            synced_twice_is_synced,
            a_random_history_is_that_of_the_model,
        }
    };
    ($factory:expr => $($case:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            $crate::testing::content_store::$case(&mut $factory()).await;
        }
    )+};
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// The file that most tests are about.
const FILE: Ino = Ino(7);

/// Bytes of which none is zero and that tell where they are and which of several they are.
fn pattern(which: u8, len: u64) -> Bytes {
    (0..len)
        .map(|at| (at % 251).wrapping_add(at / 4096).wrapping_add(u64::from(which) * 59) % 255 + 1)
        .map(|byte| u8::try_from(byte).unwrap_or(1))
        .collect::<Vec<_>>()
        .into()
}

/// A length or an offset within a buffer.
fn index(len: u64) -> usize {
    usize::try_from(len).expect("an offset in memory")
}

async fn write(store: &Arc<dyn ContentStore>, id: Ino, offset: u64, data: &Bytes) -> ContentSize {
    let size = store.write(id, offset, data.clone()).await.expect("a write");
    assert!(size.len >= offset + data.len() as u64, "{size:?} after {} at {offset}", data.len());
    size
}

async fn read(store: &Arc<dyn ContentStore>, id: Ino, offset: u64, count: u64) -> Bytes {
    let count = u32::try_from(count).expect("a count");
    store.read(id, offset, count).await.expect("a read")
}

async fn len(store: &Arc<dyn ContentStore>, id: Ino) -> u64 {
    store.size(id).await.expect("a size").unwrap_or_default().len
}

/// The contents are these, as all calls say that tell their length or bytes.
async fn assert_contents(store: &Arc<dyn ContentStore>, id: Ino, expected: &[u8]) {
    assert_eq!(len(store, id).await, expected.len() as u64, "the length of {id:?}");
    let found = read(store, id, 0, expected.len() as u64 + 1).await;
    assert_same(&found, expected);
}

/// The bytes are the same; says where they are not.
fn assert_same(found: &[u8], expected: &[u8]) {
    assert_eq!(found.len(), expected.len(), "the number of bytes");
    let differs = found.iter().zip(expected).position(|(found, expected)| found != expected);
    if let Some(at) = differs {
        panic!("byte {at} is {:?} and not {:?}", found.get(at), expected.get(at));
    }
}

/// What a store may refuse to do at all: `None` if it does.
fn if_supported<T>(result: StorageResult<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(crate::storage::StorageError::NotSupported) => None,
        Err(error) => panic!("{error}"),
    }
}
