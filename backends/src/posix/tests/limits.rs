//! How much is open inside.
//!
//! Origin: own tables.
//! RFC: none.

use dittofs_framework::fs::ShareAccess;

use super::fixture::{World, root};

#[test]
fn descriptors_stay_within_the_limit() {
    let world = World::with(|options| options.max_open_files = 20);
    let files: Vec<_> = (0..100)
        .map(|number| {
            let file = world.file(&root(), &world.root(), &format!("f{number}"), 0o644).unwrap();
            world.write(&file, 0, format!("data {number}").as_bytes()).unwrap();
            file
        })
        .collect();
    for (number, file) in files.iter().enumerate() {
        assert_eq!(world.read(file).unwrap(), format!("data {number}").as_bytes());
        // One more than the limit while a node is looked at.
        assert!(world.fs.volume.nodes.open() <= 24, "{}", world.fs.volume.nodes.open());
    }
}

#[test]
fn what_clients_have_open_stays_open() {
    let world = World::with(|options| options.max_open_files = 4);
    let files: Vec<_> = (0..20)
        .map(|number| {
            let name = format!("f{number}");
            let file = world.file(&root(), &world.root(), &name, 0o644).unwrap();
            let hold = world.hold(&root(), &file, ShareAccess::BOTH).unwrap();
            world.write(&file, 0, b"data").unwrap();
            world.remove(&root(), &world.root(), &name).unwrap();
            (file, hold)
        })
        .collect();
    for (file, _) in &files {
        assert_eq!(world.read(file).unwrap(), b"data"[..]);
    }
    drop(files);
    let file = world.file(&root(), &world.root(), "last", 0o644).unwrap();
    world.read(&file).unwrap();
    world.read(&world.lookup(&root(), &world.root(), "last").unwrap()).unwrap();
}

#[test]
fn what_nobody_uses_is_closed() {
    let world = World::new();
    let used = world.file(&root(), &world.root(), "used", 0o644).unwrap();
    let file = world.file(&root(), &world.root(), "held", 0o644).unwrap();
    let gone = world.file(&root(), &world.root(), "gone", 0o644).unwrap();
    let hold = world.hold(&root(), &file, ShareAccess::BOTH).unwrap();
    let nodes = &world.fs.volume.nodes;
    nodes.close_unused();
    std::fs::remove_file(world.path("gone")).unwrap();
    world.read(&used).unwrap();
    nodes.close_unused();
    assert!(nodes.peek(&gone).is_none(), "its space is free again");
    assert!(nodes.peek(&used).is_some() && nodes.peek(&file).is_some());
    nodes.close_unused();
    assert!(nodes.peek(&used).is_none() && nodes.peek(&file).is_some());
    world.read(&used).expect("it is opened again");
    drop(hold);
}
