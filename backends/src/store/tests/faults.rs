//! Stores that fail in the middle: what was acknowledged is there, nothing is half done, and life goes on.
//!
//! Origin: own history, with a fault at each of its calls of the stores.
//! RFC: none; durability of what was acknowledged is that of RFC 8881 sections 18.3 and 18.32.

use std::sync::Arc;

use dittofs_framework::fs::{FileSystem, FsError, NewNode, Stability};
use dittofs_framework::proto::NfsTime;
use dittofs_framework::storage::StorageError;
use dittofs_framework::testing::faults::{Calls, Fault, Loss};
use rstest::rstest;

use super::history::{History, Snapshot, data};
use super::stores::Stores;

async fn open(stores: &Stores) -> History {
    let fs: Arc<dyn FileSystem> = stores.open(Arc::new(|| NfsTime { seconds: 1_000, nseconds: 0 })).await;
    History::new(fs)
}

/// What is to be seen before each step and after the last one, and how many calls of these kinds all of them make.
async fn expected(calls: Calls) -> (Vec<Snapshot>, u64) {
    let stores = Stores::new(1 << 30);
    let history = open(&stores).await;
    let before = stores.faults.count(calls);
    let mut snapshots = vec![history.snapshot().await.unwrap()];
    for number in 0..History::STEPS {
        assert_eq!(history.step(number).await, Ok(()), "step {number}");
        snapshots.push(history.snapshot().await.unwrap());
    }
    (snapshots, stores.faults.count(calls) - before)
}

/// New things work, and are gone afterwards.
async fn assert_works(history: &History, what: &str) {
    let result = async {
        history.make("new", NewNode::Directory).await?;
        history.create("new/file").await?;
        history.write("new/file", 10, data(10_000, 9), Stability::FileSync).await?;
        assert_eq!(history.read("new/file", 1 << 20).await?.len(), 10_010);
        history.remove("new/file").await?;
        history.remove("new").await
    };
    assert_eq!(result.await, Ok(()), "{what}");
}

/// What comes of a call while there is power. Without, the file system waits for it to come back.
async fn before_the_power_goes<T>(stores: &Stores, call: impl Future<Output = T>) -> Option<T> {
    let mut call = std::pin::pin!(call);
    loop {
        tokio::select! {
            biased;
            done = &mut call => return Some(done),
            () = tokio::task::yield_now() => {}
        }
        if stores.faults.is_off() {
            return None;
        }
    }
}

#[rstest]
#[case::before_all_is_lost(Fault::PowerOff, |_| Loss::All)]
#[case::before_nothing_is_lost(Fault::PowerOff, |_| Loss::Nothing)]
#[case::before_something_is_lost(Fault::PowerOff, Loss::Some)]
#[case::after_all_is_lost(Fault::PowerOffAfter, |_| Loss::All)]
#[case::after_nothing_is_lost(Fault::PowerOffAfter, |_| Loss::Nothing)]
#[case::after_something_is_lost(Fault::PowerOffAfter, Loss::Some)]
#[tokio::test]
async fn the_power_goes_at_any_call(#[case] fault: Fault, #[case] loss: fn(u64) -> Loss) {
    let (snapshots, calls) = expected(Calls::CHANGES).await;
    assert!(calls > 40, "{calls}");
    for nth in 1..=calls {
        let stores = Stores::new(1 << 30);
        let history = open(&stores).await;
        stores.faults.fail(Calls::CHANGES, nth, fault);
        let mut done = 0;
        while done < History::STEPS
            && before_the_power_goes(&stores, history.step(done)).await == Some(Ok(()))
        {
            done += 1;
        }
        assert!(stores.faults.is_off(), "call {nth}: a fault that nobody met");
        drop(history);

        stores.crash(loss(nth)).await;
        let history = open(&stores).await;
        let seen = history.snapshot().await.unwrap();
        let after = snapshots.get(done + 1).unwrap_or(&snapshots[done]);
        assert!(
            seen.is_of(&snapshots[done], after),
            "call {nth}, step {done}: {seen:#?} is neither {:#?} nor {after:#?}",
            snapshots[done]
        );
        assert_works(&history, &format!("after call {nth}")).await;
        drop(history);
        stores.crash(Loss::All).await;
    }
}

/// Steps that a client sends again until they are acknowledged.
const WRITES: [usize; 5] = [2, 5, 10, 19, 21];

#[rstest]
#[case::no_room_for_metadata(Calls::APPLY, Fault::NoSpace, FsError::NoSpace)]
#[case::no_room_for_contents(Calls::WRITE, Fault::NoSpace, FsError::NoSpace)]
#[case::no_room_for_holes(Calls::RESHAPE, Fault::NoSpace, FsError::NoSpace)]
#[case::no_room_at_last(Calls::SYNC, Fault::NoSpace, FsError::NoSpace)]
#[case::metadata_fails(Calls::APPLY, Fault::Failed, FsError::Io)]
#[case::metadata_fails_after_it_is_done(Calls::APPLY, Fault::FailedAfter, FsError::Io)]
#[case::a_write_fails(Calls::WRITE, Fault::Failed, FsError::Io)]
#[case::a_write_is_torn(Calls::WRITE, Fault::Torn, FsError::Io)]
#[case::a_write_fails_after_it_is_done(Calls::WRITE, Fault::FailedAfter, FsError::Io)]
#[case::a_flush_fails(Calls::SYNC, Fault::Failed, FsError::Io)]
#[case::a_flush_fails_after_it_is_done(Calls::SYNC, Fault::FailedAfter, FsError::Io)]
#[case::a_change_fails(Calls::RESHAPE, Fault::Failed, FsError::Io)]
#[case::a_change_fails_after_it_is_done(Calls::RESHAPE, Fault::FailedAfter, FsError::Io)]
#[tokio::test]
async fn one_call_fails_and_the_next_works(
    #[case] kind: Calls,
    #[case] fault: Fault,
    #[case] error: FsError,
) {
    let (snapshots, calls) = expected(kind).await;
    assert!(calls > 0, "{kind:?}");
    for nth in 1..=calls {
        let stores = Stores::new(1 << 30);
        let history = open(&stores).await;
        stores.faults.fail(kind, nth, fault);
        for number in 0..History::STEPS {
            let (before, after) = (&snapshots[number], &snapshots[number + 1]);
            let what = format!("call {nth}, step {number}");
            if let Err(met) = history.step(number).await {
                assert_eq!(met, error, "{what}");
                let seen = history.snapshot().await.unwrap();
                assert!(seen.is_of(before, after), "{what}: {seen:#?} is neither {before:#?} nor {after:#?}");
                // What was not acknowledged the client sends again, unless it sees that it is done. Data may be there and not durable.
                if seen != *after || WRITES.contains(&number) {
                    assert_eq!(history.step(number).await, Ok(()), "{what}, again");
                }
            }
            let seen = history.snapshot().await.unwrap();
            assert!(seen == *after, "{what}: {seen:#?} and not {after:#?}");
        }
        drop(history);
        stores.crash(Loss::All).await;
        let history = open(&stores).await;
        assert_eq!(history.snapshot().await.as_ref(), Ok(&snapshots[History::STEPS]), "call {nth}");
        assert_works(&history, &format!("after call {nth}")).await;
    }
}

#[tokio::test]
async fn without_room_nothing_grows_and_everything_is_as_before() {
    let stores = Stores::new(1 << 30);
    let history = open(&stores).await;
    history.create("f").await.unwrap();
    history.write("f", 0, data(1_000, 1), Stability::FileSync).await.unwrap();
    let before = history.snapshot().await.unwrap();
    stores.faults.fail_all(Calls::APPLY | Calls::WRITE, Fault::NoSpace);
    for _ in 0..3 {
        assert_eq!(history.create("g").await, Err(FsError::NoSpace));
        assert_eq!(history.make("d", NewNode::Directory).await, Err(FsError::NoSpace));
        assert_eq!(history.write("f", 0, data(9, 2), Stability::FileSync).await, Err(FsError::NoSpace));
        assert_eq!(history.snapshot().await.as_ref(), Ok(&before));
    }
    stores.faults.mend();
    assert_works(&history, "with room").await;
    assert_eq!(history.snapshot().await, Ok(before));
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_until_it_can() {
    let stores = Stores::new(1 << 30);
    let history = open(&stores).await;
    history.make("d", NewNode::Directory).await.unwrap();
    history.create("d/f").await.unwrap();
    history.write("d/f", 0, data(1_000, 1), Stability::FileSync).await.unwrap();
    let before = history.snapshot().await.unwrap();
    drop(history);
    stores.crash(Loss::All).await;
    let history = open(&stores).await;
    stores.faults.fail_all(Calls::READ_METADATA | Calls::READ, Fault::Failed);
    assert_eq!(history.find("d").await, Err(FsError::Io));
    assert_eq!(history.snapshot().await, Err(FsError::Io));
    stores.faults.mend();
    assert_eq!(history.snapshot().await, Ok(before));
    stores.faults.fail_all(Calls::READ, Fault::Failed);
    assert_eq!(history.read("d/f", 10).await, Err(FsError::Io));
    stores.faults.mend();
    assert_eq!(history.read("d/f", 1_000).await, Ok(data(1_000, 1)));
}

// Origin: a flush that fails may have lost what was to be flushed, and the next one says nothing of it.
// RFC: 8881 section 18.32.3, the verifier tells of it.
#[tokio::test]
async fn the_verifier_tells_of_a_flush_that_failed() {
    let stores = Stores::new(1 << 30);
    let history = open(&stores).await;
    history.create("f").await.unwrap();
    history.write("f", 0, data(1_000, 1), Stability::Unstable).await.unwrap();
    let verifier = history.fs.write_verifier();
    stores.faults.fail(Calls::SYNC, 1, Fault::Failed);
    assert_eq!(history.commit("f").await, Err(FsError::Io));
    let is_told = history.fs.write_verifier() != verifier;
    let again = history.commit("f").await;
    drop(history);
    stores.crash(Loss::All).await;
    let is_there = open(&stores).await.read("f", 1 << 20).await == Ok(data(1_000, 1));
    assert!(is_told || again.is_err() || is_there, "a client believes that it is durable");
}

/// Objects of a new volume have the numbers of those that were lost.
#[tokio::test]
async fn contents_are_not_given_to_the_files_of_a_new_volume() {
    let stores = Stores::new(1 << 30);
    let history = open(&stores).await;
    history.make("directory", NewNode::Directory).await.unwrap();
    stores.open_without_metadata().await.unwrap();
    history.create("file").await.unwrap();
    history.write("file", 0, data(100, 1), Stability::FileSync).await.unwrap();
    let error = stores.open_without_metadata().await.err().unwrap();
    assert!(matches!(error, StorageError::Damaged(_)), "{error}");
}
