//! The code in the documents is that of the examples.
//!
//! Origin: own.
//! RFC: none.
#![allow(clippy::unwrap_used)] // a failed step fails the test

use std::fs;
use std::path::Path;

use rstest::rstest;

/// The example that a line links to, if it does: the last one in the line.
fn linked_example(line: &str) -> Option<&str> {
    let (_, rest) = line.rsplit_once("](")?;
    let (path, _) = rest.split_once(')')?;
    path.trim_start_matches("../").strip_prefix("examples/").filter(|path| !path.ends_with('/'))
}

#[rstest]
#[case::readme("README.md", 2)]
#[case::backends("docs/framework/backends.md", 13)]
fn code_in_the_documents_is_in_its_example(#[case] document: &str, #[case] excerpts: usize) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(examples.join("..").join(document)).unwrap();
    let mut example = None;
    let mut compared = 0;
    let mut lines = text.lines();
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
            "{document} has code that is not in examples/{path}:\n{}",
            code.join("\n")
        );
        compared += 1;
    }
    assert_eq!(compared, excerpts, "excerpts in {document}");
}
