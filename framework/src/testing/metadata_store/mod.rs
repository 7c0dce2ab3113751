//! What every [`MetadataStore`] promises, as tests. [`metadata_store_suite!`](crate::metadata_store_suite) runs them.

// The tests say by their names what they are about, and stop at what is not so.
#![allow(missing_docs, clippy::missing_panics_doc, clippy::indexing_slicing)]

mod changes;
mod concurrent;
mod history;
mod model;
mod pages;
mod records;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use changes::*;
pub use concurrent::*;
pub use history::*;
pub use pages::*;
pub use records::*;

use crate::proto::{FileType, NfsTime};
use crate::storage::{
    Batch, Entry, Ino, InodeRecord, MetadataStore, Mutation, RecordBody, RecordTimes, Xattr,
};

/// A store that can be left without warning and found again.
#[async_trait]
pub trait MetadataStoreFixture: Send {
    /// The store: empty at the first call, and later as it is found after a restart. What an earlier call returned has been dropped.
    async fn open(&mut self) -> Arc<dyn MetadataStore>;
}

/// Tests a [`MetadataStore`](crate::storage::MetadataStore): `metadata_store_suite!(factory)` in a test module makes a test for each
/// promise. `factory` is an expression that, called without arguments, gives a new
/// [`MetadataStoreFixture`](crate::testing::metadata_store::MetadataStoreFixture). The crate needs `tokio` with `macros` and
/// `rt-multi-thread`.
#[macro_export]
macro_rules! metadata_store_suite {
    ($factory:expr) => {
        $crate::metadata_store_suite! { $factory =>
            is_empty_at_first,
            the_volume_is_what_was_put_last,
            inodes_are_what_was_put_last,
            records_come_back_as_they_were,
            inodes_come_in_the_order_of_the_question,
            many_inodes_in_one_call,
            entries_are_found_by_name,
            names_of_entries_are_any_bytes,
            names_of_xattrs_are_any_bytes,
            xattrs_are_found_by_name,
            values_of_xattrs_are_any_bytes,
            orphans_are_those_that_are_marked,
            what_is_removed_is_gone,
            an_empty_batch_changes_nothing,
            changes_of_a_batch_are_made_in_order,
            a_name_can_go_and_come_back_in_one_batch,
            names_can_be_exchanged_in_one_batch,
            an_object_can_come_and_go_in_one_batch,
            a_batch_can_be_big,
            objects_do_not_share_names,
            a_directory_need_not_be_there,
            room_is_not_more_than_there_is,
            entries_come_in_pages,
            entries_come_from_any_cookie_on,
            a_page_goes_on_where_its_last_entry_was_removed,
            the_entry_before_a_cookie,
            xattrs_come_in_pages,
            orphans_come_in_pages,
            objects_come_in_pages,
            entries_of_all_directories_come_in_pages,
            the_largest_cookies_and_numbers,
            big_directories,
            readers_see_batches_whole,
            what_has_returned_is_seen,
            readers_of_pages_miss_nothing_that_stays,
            everything_is_there_after_a_restart,
            each_batch_is_there_after_a_restart,
            a_random_history_amounts_to_what_a_model_says,
        }
    };
    ($factory:expr => $($case:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            $crate::testing::metadata_store::$case(&mut $factory()).await;
        }
    )+};
}

/// Zero is above nothing: cookies and numbers begin behind it.
const START: Ino = Ino(0);

fn name(text: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(text.as_ref())
}

/// A regular file with this change attribute.
fn file(change: u64) -> InodeRecord {
    InodeRecord {
        file_type: FileType::Reg,
        mode: 0o644,
        uid: 1000,
        gid: 100,
        nlink: 1,
        size: 0,
        allocated: 0,
        change,
        times: RecordTimes::all(NfsTime { seconds: 1_000_000, nseconds: 7 }),
        exclusive: None,
        xattr_bytes: 0,
        next_xattr_cookie: 1,
        body: RecordBody::Empty,
    }
}

fn entry(cookie: u64, ino: u64) -> Entry {
    Entry { cookie, ino: Ino(ino), file_type: FileType::Reg }
}

fn put_inode(ino: u64, change: u64) -> Mutation {
    Mutation::PutInode(Ino(ino), file(change))
}

fn put_entry(dir: u64, text: impl AsRef<[u8]>, cookie: u64, ino: u64) -> Mutation {
    Mutation::PutEntry { dir: Ino(dir), name: name(text), entry: entry(cookie, ino) }
}

fn remove_entry(dir: u64, text: impl AsRef<[u8]>, cookie: u64) -> Mutation {
    Mutation::RemoveEntry { dir: Ino(dir), name: name(text), cookie }
}

fn put_xattr(ino: u64, text: impl AsRef<[u8]>, cookie: u64, value: impl AsRef<[u8]>) -> Mutation {
    let xattr = Xattr { cookie, value: name(value) };
    Mutation::PutXattr { ino: Ino(ino), name: name(text), xattr }
}

fn remove_xattr(ino: u64, text: impl AsRef<[u8]>, cookie: u64) -> Mutation {
    Mutation::RemoveXattr { ino: Ino(ino), name: name(text), cookie }
}

async fn apply(store: &Arc<dyn MetadataStore>, mutations: impl IntoIterator<Item = Mutation>) {
    let batch = Batch { mutations: mutations.into_iter().collect() };
    store.apply(batch).await.expect("a batch is applied");
}
