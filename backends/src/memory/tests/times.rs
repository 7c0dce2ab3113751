//! Which calls change which times, and the change attribute by exactly one.
//!
//! Origin: POSIX.1-2017 section 4.9 and the calls' own pages. RFC: 7862 section 12.2.3.

use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    Attributes, Authority, CreateMode, FileSystem, NewNode, NodeHandle, ServerSideCopy, ShareAccess, Sparse,
    XattrSet, Xattrs,
};
use rstest::rstest;

use super::fixture::{World, mode, root, run};

/// A directory with a file `f`, of ten bytes, a symbolic link `l` and a subdirectory `d`; and a directory `to`.
struct Scene {
    world: World,
    dir: NodeHandle,
    to: NodeHandle,
    file: NodeHandle,
    link: NodeHandle,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let dir = world.mkdir(&root(), &world.root(), "dir", 0o755).unwrap();
        let to = world.mkdir(&root(), &world.root(), "to", 0o755).unwrap();
        let file = world.file(&root(), &dir, "f", 0o644).unwrap();
        world.write(&file, 0, b"0123456789").unwrap();
        let link = world.make(&root(), &dir, "l", &NewNode::Symlink("x".into()), &mode(0o777)).unwrap().node;
        world.mkdir(&root(), &dir, "d", 0o755).unwrap();
        Self { world, dir, to, file, link }
    }
}

/// Changes of an object: `a`ccess, `m`odify, meta`d`ata.
fn changes(before: &Attributes, after: &Attributes) -> String {
    let metadata = before.time_metadata != after.time_metadata;
    assert_eq!(after.change - before.change, u64::from(metadata), "the change attribute counts changes");
    assert_eq!(before.time_create, after.time_create);
    let pairs = [
        ('a', before.time_access != after.time_access),
        ('m', before.time_modify != after.time_modify),
        ('d', metadata),
    ];
    pairs.iter().filter(|(_, changed)| *changed).map(|(letter, _)| letter).collect()
}

type Call = fn(&Scene);

fn sparse(scene: &Scene) -> &dyn Sparse {
    scene.world.fs.sparse().unwrap()
}

#[rstest]
#[case::create(|s: &Scene| { s.world.file(&root(), &s.dir, "new", 0o644).unwrap(); }, "md", "", "")]
#[case::mkdir(|s: &Scene| { s.world.mkdir(&root(), &s.dir, "new", 0o755).unwrap(); }, "md", "", "")]
#[case::create_fails(|s: &Scene| { s.world.mkdir(&root(), &s.dir, "f", 0o755).unwrap_err(); }, "", "", "")]
#[case::open_existing(
    |s: &Scene| { s.world.open(&root(), &s.dir, "f", &CreateMode::Unchecked(mode(0)), ShareAccess::BOTH).unwrap(); }, "", "", ""
)]
#[case::link(|s: &Scene| { s.world.link(&root(), &s.file, &s.to, "g").unwrap(); }, "", "md", "d")]
#[case::rmdir(|s: &Scene| { s.world.remove(&root(), &s.dir, "d").unwrap(); }, "md", "", "")]
#[case::rename_within(|s: &Scene| { s.world.rename(&root(), (&s.dir, "f"), (&s.dir, "g")).unwrap(); }, "md", "", "d")]
#[case::rename_across(|s: &Scene| { s.world.rename(&root(), (&s.dir, "f"), (&s.to, "g")).unwrap(); }, "md", "md", "d")]
#[case::write(|s: &Scene| { s.world.write(&s.file, 0, b"x").unwrap(); }, "", "", "md")]
#[case::write_nothing(|s: &Scene| { s.world.write(&s.file, 100, b"").unwrap(); }, "", "", "")]
#[case::read(|s: &Scene| { s.world.read(&s.file, 0, 1).unwrap(); }, "", "", "a")]
#[case::read_nothing(|s: &Scene| { s.world.read(&s.file, 0, 0).unwrap(); }, "", "", "")]
#[case::lookup(|s: &Scene| { s.world.lookup(&root(), &s.dir, "f").unwrap(); }, "", "", "")]
#[case::readdir(|s: &Scene| { s.world.list(&root(), &s.dir, (0, [0; 8]), Bitmap::EMPTY, 9).unwrap(); }, "a", "", "")]
#[case::chmod(|s: &Scene| { s.world.chmod(&root(), &s.file, 0o600).unwrap(); }, "", "", "d")]
#[case::allocate(|s: &Scene| run(sparse(s).allocate(&root(), &s.file, 0, 99, Authority::Open)).unwrap(), "", "", "md")]
#[case::punch(|s: &Scene| run(sparse(s).deallocate(&root(), &s.file, 0, 5, Authority::Open)).unwrap(), "", "", "md")]
#[case::set_xattr(
    |s: &Scene| { run(s.world.fs.set_xattr(&root(), &s.file, b"a", &"v".into(), XattrSet::Either)).unwrap(); }, "", "", "d"
)]
#[case::commit(|s: &Scene| run(s.world.fs.commit(&root(), &s.file, 0, 0)).unwrap(), "", "", "")]
fn what_a_call_changes(#[case] call: Call, #[case] dir: &str, #[case] to: &str, #[case] file: &str) {
    let scene = Scene::new();
    let all = [scene.dir, scene.to, scene.file];
    let before = all.map(|node| scene.world.attributes(&node).unwrap());
    call(&scene);
    let after = all.map(|node| scene.world.attributes(&node).unwrap());
    let changed: Vec<_> = before.iter().zip(&after).map(|(before, after)| changes(before, after)).collect();
    assert_eq!(changed, [dir, to, file]);
    scene.world.fs.check_invariants();
}

#[test]
fn a_copy_reads_one_file_and_changes_the_other() {
    let scene = Scene::new();
    let copy = scene.world.file(&root(), &scene.to, "copy", 0o644).unwrap();
    let before = [scene.file, copy].map(|node| scene.world.attributes(&node).unwrap());
    run(scene.world.fs.copy(&root(), &scene.file, 0, &copy, 0, 0, Authority::Open)).unwrap();
    let after = [scene.file, copy].map(|node| scene.world.attributes(&node).unwrap());
    assert_eq!([changes(&before[0], &after[0]), changes(&before[1], &after[1])], ["a", "md"]);
}

#[test]
fn replacing_a_linked_file_changes_its_metadata() {
    let scene = Scene::new();
    scene.world.link(&root(), &scene.file, &scene.to, "g").unwrap();
    let before = scene.world.attributes(&scene.file).unwrap();
    scene.world.rename(&root(), (&scene.dir, "l"), (&scene.dir, "f")).unwrap();
    let after = scene.world.attributes(&scene.file).unwrap();
    assert_eq!((changes(&before, &after).as_str(), after.nlink), ("d", 1));
}

#[test]
fn readlink_is_an_access() {
    let scene = Scene::new();
    let before = scene.world.attributes(&scene.link).unwrap();
    assert_eq!(run(scene.world.fs.readlink(&root(), &scene.link)).unwrap(), "x");
    assert_eq!(changes(&before, &scene.world.attributes(&scene.link).unwrap()), "a");
}

#[test]
fn access_times_are_not_written_with_every_access() {
    let scene = Scene::new();
    scene.world.read(&scene.file, 0, 1).unwrap();
    let first = scene.world.attributes(&scene.file).unwrap().time_access;
    scene.world.read(&scene.file, 0, 1).unwrap();
    assert_eq!(scene.world.attributes(&scene.file).unwrap().time_access, first, "nothing changed in between");
    scene.world.clock.fetch_add(24 * 60 * 60, std::sync::atomic::Ordering::Relaxed);
    scene.world.read(&scene.file, 0, 1).unwrap();
    assert!(scene.world.attributes(&scene.file).unwrap().time_access > first, "a day went by");
}
