//! The code in the README is that of the examples.
//!
//! Origin: own.
//! RFC: none.
#![allow(clippy::unwrap_used)] // a failed step fails the test

use std::fs;
use std::path::Path;

/// The example that a line links to, if it does.
fn linked_example(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("](examples/")?;
    rest.split_once(')').map(|(path, _)| path)
}

#[test]
fn code_in_the_readme_is_in_its_example() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(examples.join("../README.md")).unwrap();
    let mut example = None;
    let mut compared = 0;
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        example = linked_example(line).or(example.filter(|_| !line.starts_with('#')));
        if !line.starts_with("```rust") {
            continue;
        }
        let code: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        let path = example.unwrap_or_else(|| panic!("no example is named before {:?}", code.first()));
        let source = fs::read_to_string(examples.join(path)).unwrap();
        let source: Vec<_> = source.lines().collect();
        assert!(
            source.windows(code.len()).any(|part| part == code),
            "README.md has code that is not in examples/{path}:\n{}",
            code.join("\n")
        );
        compared += 1;
    }
    assert_eq!(compared, 2, "the README has an excerpt of each example");
}
