//! The directory of a share: what is opened, what is refused, and that nothing foreign is touched.
//!
//! Origin: own: what an operator may point a server at by mistake.
//! RFC: none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rstest::rstest;

use crate::embedded::{OpenError, ShareDirectory};

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

// Origin: own. RFC: none.
#[rstest]
#[case::there("", &[])]
#[case::not_there("a", &[])]
#[case::nor_its_parents("a/b/c", &[])]
#[case::a_file_systems_root("", &["lost+found"])]
#[case::half_made("", &["LOCK", "FORMAT.new"])]
fn an_empty_directory_becomes_a_share(#[case] path: &str, #[case] before: &[&str]) {
    let temp = tempfile::tempdir().unwrap();
    for name in before {
        fs::write(temp.path().join(name), "").unwrap();
    }
    let path = temp.path().join(path);
    for _ in 0..2 {
        let share = ShareDirectory::open(&path).unwrap();
        assert_eq!(share.path(), path);
        assert_eq!(fs::read_to_string(path.join("FORMAT")).unwrap(), "dittofs share 1\n");
    }
}

#[test]
fn nobody_else_reads_a_new_directory() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("share");
    drop(ShareDirectory::open(&path).unwrap());
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[rstest]
#[case::files("notes.txt", "mine")]
#[case::another_format("FORMAT", "something else 1\n")]
#[case::no_version("FORMAT", "dittofs share\n")]
#[case::no_text("FORMAT", "")]
fn what_is_no_share_is_left_alone(#[case] name: &str, #[case] text: &str) {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join(name), text).unwrap();
    let error = ShareDirectory::open(temp.path()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert_eq!(names(temp.path()), [name]);
    assert_eq!(fs::read_to_string(temp.path().join(name)).unwrap(), text);
}

#[test]
fn a_file_is_no_share() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("file");
    fs::write(&path, "").unwrap();
    let error = ShareDirectory::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
}

#[test]
fn another_version_is_named() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("FORMAT"), "dittofs share 7\n").unwrap();
    let error = ShareDirectory::open(temp.path()).unwrap_err().to_string();
    assert!(error.ends_with("has format version 7, and this program reads version 1"), "{error}");
    assert_eq!(names(temp.path()), ["FORMAT"]);
}

#[test]
fn one_at_a_time() {
    let temp = tempfile::tempdir().unwrap();
    let share = ShareDirectory::open(temp.path()).unwrap();
    let error = ShareDirectory::open(temp.path()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(share);
    ShareDirectory::open(temp.path()).unwrap();
}
