//! Every file of tests says in its head where its cases come from, and what text they hold the code to.
//!
//! Origin: own.
//! RFC: none.
#![allow(clippy::unwrap_used)] // a failed step fails the test

use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 6] = ["framework", "ops", "backends", "dittofs", "examples", "tests"];
/// What a test begins with.
const TESTS: [&str; 4] = ["#[test]", "#[tokio::test", "#[rstest]", "proptest! {"];

/// The files below `dir` that hold tests alone.
fn test_files(dir: &Path, within_tests: bool, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "target" && name != "fuzz" {
            test_files(&path, within_tests || name == "tests", found);
        } else if name.ends_with("tests.rs")
            || (within_tests && path.extension().is_some_and(|ext| ext == "rs"))
        {
            found.push(path);
        }
    }
}

#[test]
fn every_file_of_tests_says_where_they_come_from() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for name in CRATES {
        // The sources of this crate are what its tests share.
        let is_this = name == "tests";
        let dir = if is_this { root.join("tests/tests") } else { root.join(name) };
        test_files(&dir, is_this, &mut files);
    }
    assert!(files.len() > 50, "{} files", files.len());
    files.retain(|file| {
        let text = fs::read_to_string(file).unwrap();
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let has_tests =
            TESTS.iter().any(|start| text.lines().any(|line| line.trim_start().starts_with(start)));
        has_tests && !(head.contains("Origin:") && head.contains("RFC:"))
    });
    assert!(files.is_empty(), "no `Origin:` or no `RFC:` in the head of {files:#?}");
}
