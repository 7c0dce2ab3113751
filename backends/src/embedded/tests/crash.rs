//! A process that is killed in the middle of its work.
//!
//! Origin: own scenarios; the promises of `MetadataStore::apply`.
//! RFC: 8881 section 18.32: what is acknowledged as stable outlives a crash.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use dittofs_framework::storage::{Ino, MetadataStore};

use super::fixture::{apply, assert_there, create, open, remove};
use crate::embedded::{EmbeddedMetadataStore, OpenError, ShareDirectory};

const TEST: &str = "embedded::tests::crash::acknowledged_batches_outlive_kills";
/// Where the process that is to be killed works.
const DIRECTORY: &str = "DITTOFS_CRASH_TEST";
const KILLS: u64 = 8;
/// So many of the latest files are there; the others were removed.
const KEPT: u64 = 50;

/// The test is also the process that it kills.
//
// Origin: own. RFC: 8881 section 18.4.3 (what CREATE has answered is on stable storage) is why.
#[tokio::test]
async fn acknowledged_batches_outlive_kills() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return work(Path::new(&directory)).await;
    }
    let temp = tempfile::tempdir().unwrap();
    let mut last = 0;
    for kill in 0..KILLS {
        let acknowledged = run_and_kill(temp.path(), 20 + 37 * kill);
        assert!(acknowledged > last, "nothing was done");
        let store = open(temp.path()).unwrap();
        last = check(&store, acknowledged).await;
    }
}

/// Makes a file and removes an old one, again and again.
async fn work(directory: &Path) {
    let store = open(directory).unwrap();
    let latest = store.scan(Ino(0), usize::MAX).await.unwrap();
    let mut number = latest.last().map_or(0, |(ino, _)| ino.0);
    loop {
        number += 1;
        let removed = number.checked_sub(KEPT).filter(|old| *old > 0);
        apply(&store, create(number).into_iter().chain(removed.into_iter().flat_map(remove))).await.unwrap();
        // Past what catches the output of tests.
        writeln!(std::io::stdout(), "\ndone {number}").unwrap();
    }
}

/// Returns the last file that was acknowledged.
fn run_and_kill(directory: &Path, after: u64) -> u64 {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", TEST, "--nocapture"]).env(DIRECTORY, directory);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut count, mut last) = (0, 0);
    for line in lines {
        let Ok(line) = line else { break };
        let Some(number) = line.strip_prefix("done ") else { continue };
        // The last line may be cut off.
        last = number.parse().unwrap_or(last).max(last);
        count += 1;
        if count == after {
            let error = ShareDirectory::open(directory).unwrap_err();
            assert!(matches!(error, OpenError::InUse { .. }), "{error}");
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    last
}

/// Asserts that all is as it was after the last batch, or after the one behind it, and returns its number.
async fn check(store: &EmbeddedMetadataStore, acknowledged: u64) -> u64 {
    let all = store.scan(Ino(0), usize::MAX).await.unwrap();
    let last = all.last().unwrap().0.0;
    assert!(last == acknowledged || last == acknowledged + 1, "{last} of {acknowledged}");
    let expected: Vec<_> = (last.saturating_sub(KEPT) + 1..=last).collect();
    assert_eq!(all.iter().map(|(ino, _)| ino.0).collect::<Vec<_>>(), expected);
    let listed = store.entries(Ino(1), 0, usize::MAX).await.unwrap();
    assert_eq!(listed.iter().map(|named| named.entry.cookie).collect::<Vec<_>>(), expected);
    for number in expected {
        assert_there(store, number).await;
    }
    last
}
