//! READDIR.
//!
//! Origin: own tables.
//! RFC: 8881 section 18.23.3.

use std::collections::BTreeSet;
use std::fs;

use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{Attributes, DirEntry, DirSink, FileSystem, FsError, NodeHandle, SinkFull};
use rstest::rstest;
use tempfile::TempDir;

use super::fixture::{World, root, run};

/// The last entry.
struct One(Option<(NodeHandle, Attributes)>);

impl DirSink for One {
    fn entry(&mut self, entry: DirEntry<'_>) -> Result<(), SinkFull> {
        self.0 = Some((entry.node, entry.attributes.clone()));
        Ok(())
    }
}

fn on(filesystem: &str) -> TempDir {
    tempfile::tempdir_in(filesystem).unwrap()
}

#[rstest]
#[case::on_disk("/tmp")]
#[case::in_memory("/dev/shm")]
fn an_entry_that_stays_is_given_exactly_once(#[case] filesystem: &str, #[values(1, 7, 1000)] room: usize) {
    let world = World::in_dir(on(filesystem), |_| {});
    for number in 0..300 {
        fs::write(world.path(&format!("stays{number}")), "").unwrap();
        fs::write(world.path(&format!("goes{number}")), "").unwrap();
    }
    let mut seen = Vec::new();
    let (mut cookie, mut verifier, mut round) = (0, [0; 8], 0);
    loop {
        let (entries, end) = world.list(&root(), &world.root(), (cookie, verifier), room).unwrap();
        assert!(entries.iter().all(|(cookie, _)| *cookie > 2));
        cookie = entries.last().map_or(cookie, |(cookie, _)| *cookie);
        verifier = end.cookieverf;
        seen.extend(entries.into_iter().map(|(_, name)| name));
        if end.eof {
            break;
        }
        if round < 300 {
            drop(fs::remove_file(world.path(&format!("goes{round}"))));
            fs::write(world.path(&format!("comes{round}")), "").unwrap();
        }
        round += 1;
    }
    let all: BTreeSet<_> = seen.iter().collect();
    assert_eq!(all.len(), seen.len(), "twice");
    assert_eq!(seen.iter().filter(|name| name.starts_with("stays")).count(), 300);
    assert!(!all.iter().any(|name| *name == "." || *name == ".."));
}

#[test]
fn cookies_are_good_after_a_restart() {
    let world = World::new();
    for number in 0..20 {
        fs::write(world.path(&format!("f{number}")), "").unwrap();
    }
    let (first, end) = world.list(&root(), &world.root(), (0, [0; 8]), 10).unwrap();
    let world = world.restart();
    let cookie = first.last().unwrap().0;
    let (second, end) = world.list(&root(), &world.root(), (cookie, end.cookieverf), 100).unwrap();
    assert!(end.eof);
    let all: BTreeSet<_> = first.iter().chain(&second).map(|(_, name)| name).collect();
    assert_eq!(all.len(), 20);
}

#[rstest]
#[case::one((1, [0; 8]))]
#[case::two((2, [0; 8]))]
#[case::foreign_verifier((77, [9; 8]))]
fn cookies_that_are_none(#[case] cookie: (u64, [u8; 8])) {
    let world = World::new();
    let listed = world.list(&root(), &world.root(), cookie, 10).map(|_| ());
    assert_eq!(listed, Err(FsError::BadCookie));
}

#[test]
fn each_entry_has_its_own_handle_and_attributes() {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o640).unwrap();
    world.write(&file, 0, b"abc").unwrap();
    let file_attributes = world.attributes(&file).unwrap();
    let mut sink = One(None);
    run(world.fs.readdir(&root(), &world.root(), 0, [0; 8], Bitmap::EMPTY, &mut sink)).unwrap();
    assert_eq!(sink.0.unwrap(), (file, file_attributes));
}
