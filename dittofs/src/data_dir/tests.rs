//! Origin: what an operator may do to a data directory, and what a crash may leave.
//! RFC: 8881 sections 2.10.5 (who the server is), 4.2.2 (persistent filehandles) and 8.4.2.1 (the lease before a restart).
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use dittofs_framework::export::{ExportId, Filehandles};
use dittofs_framework::fs::NodeHandle;
use rstest::rstest;
use tempfile::TempDir;

use super::*;

fn empty() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn handle(dir: &DataDir) -> Vec<u8> {
    let node = NodeHandle::from_u64(7);
    Filehandles::new(dir.server().key()).encode(ExportId(1), &node).as_bytes().to_vec()
}

fn enter(dir: &DataDir, keys: &[ExportKey]) -> Result<Vec<u32>, DataDirError> {
    let numbers = dir.numbers(keys)?;
    numbers.enter()?;
    Ok(numbers.exports.iter().map(|export| export.id.0).collect())
}

fn said<T>(outcome: Result<T, DataDirError>) -> String {
    outcome.err().unwrap().to_string()
}

#[test]
fn a_server_stays_who_it_is() {
    let (one, other) = (empty(), empty());
    let deep = one.path().join("a/b");
    let dir = DataDir::open_or_make(&deep).unwrap();
    let before = (dir.server().name().to_owned(), handle(&dir));
    drop(dir);
    let dir = DataDir::open_or_make(&deep).unwrap();
    assert_eq!((dir.server().name().to_owned(), handle(&dir)), before, "again");
    drop(dir);
    let dir = DataDir::open(&deep).unwrap();
    assert_eq!((dir.server().name().to_owned(), handle(&dir)), before, "without making it");
    let beside = DataDir::open_or_make(other.path()).unwrap();
    assert_ne!(beside.server().name(), before.0, "another one");
    assert_ne!(handle(&beside), before.1, "another one");
}

#[test]
fn others_may_not_look() {
    let dir = empty();
    let path = dir.path().join("data");
    DataDir::open_or_make(&path).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("server"))), (0o700, 0o600));
}

#[test]
fn it_is_used_by_one_at_a_time() {
    let dir = empty();
    let first = DataDir::open_or_make(dir.path()).unwrap();
    let expected = format!(
        "the data directory {} is in use by another dfs (process {})",
        dir.path().display(),
        std::process::id()
    );
    assert_eq!(said(DataDir::open_or_make(dir.path())), expected);
    assert_eq!(said(DataDir::open(dir.path())), expected);
    drop(first);
    DataDir::open_or_make(dir.path()).unwrap();
}

/// What a crash leaves of a directory that was being made.
#[rstest]
#[case::nothing(&[])]
#[case::lock(&["LOCK"])]
#[case::half_a_key(&["LOCK", "shares/", "server.new"])]
#[case::half_of_the_exports(&["LOCK", "shares/", "exports.new"])]
#[case::half_a_format(&["LOCK", "shares/", "FORMAT.new"])]
fn an_unfinished_one_is_finished(#[case] left: &[&str]) {
    let dir = empty();
    for name in left {
        let path = dir.path().join(name);
        if name.ends_with('/') { std::fs::create_dir(path) } else { std::fs::write(path, "x") }.unwrap();
    }
    assert!(matches!(DataDir::open(dir.path()), Err(DataDirError::Missing(_))), "not for a mere look");
    DataDir::open_or_make(dir.path()).unwrap();
    DataDir::open(dir.path()).unwrap();
}

#[test]
fn the_key_of_an_unfinished_one_stays() {
    let dir = empty();
    let before = handle(&DataDir::open_or_make(dir.path()).unwrap());
    std::fs::remove_file(dir.path().join("FORMAT")).unwrap();
    assert_eq!(handle(&DataDir::open_or_make(dir.path()).unwrap()), before);
}

#[rstest]
#[case::other_files(&[("mail", "")])]
#[case::another_format(&[("FORMAT", "dittofs share, version 1\n")])]
#[case::no_version(&[("FORMAT", "dittofs data directory, version one\n")])]
#[case::format_lost(&[("LOCK", ""), ("server", ""), ("exports", "")])]
fn what_is_not_ours_is_not_touched(#[case] files: &[(&str, &str)]) {
    let dir = empty();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    for opened in [DataDir::open_or_make(dir.path()), DataDir::open(dir.path())] {
        assert!(said(opened).contains("is not a data directory of dfs, and is not empty"));
    }
    assert_eq!(dir.path().read_dir().unwrap().count(), files.len());
}

#[test]
fn another_version_is_named() {
    let dir = empty();
    DataDir::open_or_make(dir.path()).unwrap();
    std::fs::write(dir.path().join("FORMAT"), "dittofs data directory, version 2\n").unwrap();
    let expected = format!(
        "the data directory {} has format version 2, and this program reads version 1",
        dir.path().display()
    );
    assert_eq!(said(DataDir::open_or_make(dir.path())), expected);
}

#[test]
fn what_is_not_there_is_not_made_for_a_mere_look() {
    let dir = empty();
    let path = dir.path().join("data");
    assert_eq!(said(DataDir::open(&path)), format!("there is no data directory at {}", path.display()));
    assert!(!path.exists());
}

/// Each file with a checksum, each of its bytes.
#[rstest]
#[case::server("server")]
#[case::exports("exports")]
#[case::lease("lease")]
fn damage_is_found_and_left(#[case] name: &str) {
    let dir = empty();
    let opened = DataDir::open_or_make(dir.path()).unwrap();
    enter(&opened, &[ExportKey::share("export")]).unwrap();
    opened.keep_lease(Duration::from_secs(90)).unwrap();
    drop(opened);
    let path = dir.path().join(name);
    let good = std::fs::read(&path).unwrap();
    let use_it = || {
        let dir = DataDir::open_or_make(dir.path())?;
        dir.lease()?;
        enter(&dir, &[ExportKey::share("other")])
    };
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert!(said(use_it()).contains(" is damaged: "), "byte {index}");
        std::fs::write(&path, &good[..index]).unwrap();
        assert!(said(use_it()).contains(" is damaged: "), "cut to {index}");
        assert_eq!(std::fs::read(&path).unwrap(), good[..index]);
    }
    std::fs::write(&path, &good).unwrap();
    use_it().unwrap();
}

#[rstest]
#[case::server("server")]
#[case::exports("exports")]
fn what_is_gone_is_not_made_anew(#[case] name: &str) {
    let dir = empty();
    let use_it = || DataDir::open_or_make(dir.path())?.numbers(&[]);
    use_it().unwrap();
    let path = dir.path().join(name);
    std::fs::remove_file(&path).unwrap();
    let expected = format!("{} is missing; bring it back from a backup", path.display());
    for _ in 0..2 {
        assert_eq!(said(use_it()), expected);
        assert!(!path.exists());
    }
}

/// A directory with numbers was in use: it is not taken for one that is being made.
#[test]
fn given_numbers_are_not_forgotten_without_the_format() {
    let dir = empty();
    enter(&DataDir::open_or_make(dir.path()).unwrap(), &[ExportKey::share("export")]).unwrap();
    std::fs::remove_file(dir.path().join("FORMAT")).unwrap();
    assert!(matches!(DataDir::open_or_make(dir.path()), Err(DataDirError::Foreign(_))));
}

#[test]
fn an_export_is_known_once_it_is_entered() {
    let dir = empty();
    let opened = DataDir::open_or_make(dir.path()).unwrap();
    let key = ExportKey::share("a");
    let numbers = opened.numbers(std::slice::from_ref(&key)).unwrap();
    assert!(!opened.knows(&key).unwrap());
    numbers.enter().unwrap();
    assert!(opened.knows(&key).unwrap());
    assert!(!opened.knows(&ExportKey::share("b")).unwrap());
}

#[test]
fn exports_keep_their_numbers() {
    let dir = empty();
    let [a, b] = ["a", "b"].map(ExportKey::share);
    let pub_one = ExportKey::directory("a", Path::new("/srv/one"));
    let pub_two = ExportKey::directory("a", Path::new("/srv/two\n3 share b"));
    let ids = |keys: &[&ExportKey]| {
        let keys: Vec<_> = keys.iter().map(|key| (*key).clone()).collect();
        enter(&DataDir::open_or_make(dir.path()).unwrap(), &keys).unwrap()
    };
    assert_eq!(ids(&[&a]), [1]);
    assert_eq!(ids(&[&b, &a]), [2, 1], "another one before it");
    assert_eq!(ids(&[&b]), [2], "without the first");
    assert_eq!(ids(&[&pub_two, &b, &pub_one, &a]), [3, 2, 4, 1], "directories are none of them");
    assert_eq!(ids(&[&a, &b, &pub_one, &pub_two]), [1, 2, 4, 3], "in another order");
}

#[test]
fn the_lease_is_kept() {
    let dir = empty();
    let opened = DataDir::open_or_make(dir.path()).unwrap();
    assert_eq!(opened.lease().unwrap(), None);
    for seconds in [3600, 90] {
        opened.keep_lease(Duration::from_secs(seconds)).unwrap();
        assert_eq!(opened.lease().unwrap(), Some(Duration::from_secs(seconds)));
    }
}

#[test]
fn the_shares_are_known_by_their_names() {
    let dir = empty();
    let opened = DataDir::open_or_make(dir.path()).unwrap();
    assert!(opened.shares().unwrap().is_empty());
    for name in ["b", "a"] {
        std::fs::create_dir(opened.share(name)).unwrap();
    }
    assert_eq!(opened.shares().unwrap(), ["a", "b"]);
}
