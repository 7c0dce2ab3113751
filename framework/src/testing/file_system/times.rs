//! Which calls change which times, and the change attribute. POSIX.1-2017 section 4.9; RFC 7862 section 12.2.3; RFC 9754 section 5.

use super::World;
use super::world::{Caller, mode, size};
use crate::attr::Bitmap;
use crate::fs::{
    Attributes, Authority, CreateMode, NewNode, NodeHandle, SetAttributes, SetTime, ShareAccess, XattrSet,
};
use crate::proto::NfsTime;

/// A directory with a file `f`, of ten bytes, a symbolic link `l` and a subdirectory `d`; and a directory `to`.
struct Scene {
    me: Caller,
    dir: NodeHandle,
    to: NodeHandle,
    file: NodeHandle,
    link: NodeHandle,
}

impl Scene {
    async fn new(world: &World, name: &str) -> Self {
        let me = world.me();
        let dir = me.dir(&format!("{name} dir")).await;
        let to = me.dir(&format!("{name} to")).await;
        let file = me.file(&dir, "f", 0o644).await.expect("a file");
        me.write(&file, 0, b"0123456789").await.expect("a write");
        me.commit(&file).await.expect("a commit");
        let link = me.make(&dir, "l", &NewNode::Symlink("x".into()), &mode(0o777)).await.expect("a link");
        me.mkdir(&dir, "d", 0o755).await.expect("a directory");
        Self { me, dir, to, file, link: link.node }
    }

    async fn attributes(&self) -> [Attributes; 3] {
        let of = async |node| self.me.attributes(node).await.expect("an object");
        [of(&self.dir).await, of(&self.to).await, of(&self.file).await]
    }
}

/// Changes of an object: `m`odify and meta`d`ata, and if `with_access` also `a`ccess.
fn changes(scene: &Scene, what: &str, before: &Attributes, after: &Attributes, with_access: bool) -> String {
    let metadata = before.time_metadata != after.time_metadata;
    if metadata {
        scene.me.assert_changed(before.change, after.change, what);
    } else {
        assert_eq!(before.change, after.change, "{what}");
    }
    assert_eq!(before.time_create, after.time_create, "{what}");
    let pairs = [
        ('a', with_access && before.time_access != after.time_access),
        ('m', before.time_modify != after.time_modify),
        ('d', metadata),
    ];
    pairs.iter().filter(|(_, changed)| *changed).map(|(letter, _)| letter).collect()
}

#[derive(Debug, Clone, Copy)]
enum Call {
    Create,
    Mkdir,
    CreateFails,
    OpenExisting,
    Link,
    Unlink,
    Rmdir,
    RenameWithin,
    RenameAcross,
    Replace,
    Write,
    WriteNothing,
    Truncate,
    Read,
    ReadNothing,
    Lookup,
    Access,
    Readdir,
    Readlink,
    Chmod,
    Commit,
    Allocate,
    Punch,
    SetXattr,
}

impl Call {
    async fn make(self, scene: &Scene) {
        let Scene { me, dir, to, file, link } = scene;
        let open = Authority::Open;
        match self {
            Self::Create => drop(me.file(dir, "new", 0o644).await.expect("a file")),
            Self::Mkdir => drop(me.mkdir(dir, "new", 0o755).await.expect("a directory")),
            Self::CreateFails => drop(me.mkdir(dir, "f", 0o755).await.expect_err("it is there")),
            Self::OpenExisting => {
                let how = CreateMode::Unchecked(mode(0));
                me.open(dir, "f", &how, ShareAccess::BOTH).await.expect("an open");
            }
            Self::Link => drop(me.link(file, to, "g").await.expect("a link")),
            Self::Unlink => {
                me.remove(dir, "l").await.expect("removed");
            }
            Self::Rmdir => drop(me.remove(dir, "d").await.expect("removed")),
            Self::RenameWithin => drop(me.rename((dir, "f"), (dir, "g")).await.expect("renamed")),
            Self::RenameAcross => drop(me.rename((dir, "f"), (to, "g")).await.expect("moved")),
            Self::Replace => {
                me.link(file, to, "g").await.expect("a link");
                me.rename((dir, "l"), (dir, "f")).await.map(drop).expect("replaced");
            }
            Self::Write => me.write(file, 0, b"x").await.expect("a write"),
            Self::WriteNothing => me.write(file, 100, b"").await.expect("a write"),
            Self::Truncate => drop(me.set(file, &size(3)).await.expect("a size")),
            Self::Read => drop(me.read(file, 0, 1).await.expect("a read")),
            Self::ReadNothing => drop(me.read(file, 0, 0).await.expect("a read")),
            Self::Lookup => drop(me.lookup(dir, "f").await.expect("it")),
            Self::Access => {
                me.fs.access(&me.cx, file, crate::fs::AccessMask::all()).await.expect("access");
            }
            Self::Readdir => drop(me.list(dir, Bitmap::EMPTY, 9).await.expect("a listing")),
            Self::Readlink => drop(me.fs.readlink(&me.cx, link).await.expect("a target")),
            Self::Chmod => drop(me.chmod(file, 0o600).await.expect("a mode")),
            Self::Commit => me.commit(file).await.expect("a commit"),
            Self::Allocate => {
                let sparse = me.fs.sparse().expect("it was looked at");
                sparse.allocate(&me.cx, file, 0, 99, open).await.expect("room");
            }
            Self::Punch => {
                let sparse = me.fs.sparse().expect("it was looked at");
                sparse.deallocate(&me.cx, file, 0, 5, open).await.expect("a hole");
            }
            Self::SetXattr => {
                let xattrs = me.fs.xattrs().expect("it was looked at");
                let set = xattrs.set_xattr(&me.cx, file, b"a", &"v".into(), XattrSet::Either).await;
                set.map(drop).expect("an attribute");
            }
        }
    }

    fn is_possible(self, me: &Caller) -> bool {
        match self {
            Self::Allocate | Self::Punch => me.fs.sparse().is_some(),
            Self::SetXattr => me.fs.xattrs().is_some(),
            _ => true,
        }
    }
}

/// Asserts what calls change of `dir`, `to` and `f`.
async fn assert_changes(world: &mut World, cases: &[(Call, [&str; 3])], with_access: bool) {
    for (call, expected) in cases {
        let what = format!("{call:?}");
        let scene = Scene::new(world, &what).await;
        if !call.is_possible(&scene.me) {
            continue;
        }
        let before = scene.attributes().await;
        world.tick().await;
        call.make(&scene).await;
        let after = scene.attributes().await;
        let pairs = before.iter().zip(&after);
        let changed: Vec<_> =
            pairs.map(|(before, after)| changes(&scene, &what, before, after, with_access)).collect();
        assert_eq!(changed, expected, "{what}");
    }
}

pub async fn what_a_call_changes(world: &mut World) {
    let cases = [
        (Call::Create, ["md", "", ""]),
        (Call::Mkdir, ["md", "", ""]),
        (Call::CreateFails, ["", "", ""]),
        (Call::OpenExisting, ["", "", ""]),
        (Call::Link, ["", "md", "d"]),
        (Call::Unlink, ["md", "", ""]),
        (Call::Rmdir, ["md", "", ""]),
        (Call::RenameWithin, ["md", "", "d"]),
        (Call::RenameAcross, ["md", "md", "d"]),
        (Call::Write, ["", "", "md"]),
        (Call::WriteNothing, ["", "", ""]),
        (Call::Truncate, ["", "", "md"]),
        (Call::Read, ["", "", ""]),
        (Call::Lookup, ["", "", ""]),
        (Call::Access, ["", "", ""]),
        (Call::Readdir, ["", "", ""]),
        (Call::Readlink, ["", "", ""]),
        (Call::Chmod, ["", "", "d"]),
        (Call::Commit, ["", "", ""]),
        (Call::SetXattr, ["", "", "d"]),
    ];
    assert_changes(world, &cases, false).await;
}

pub async fn what_a_call_changes_exactly(world: &mut World) {
    let cases = [
        (Call::Create, ["md", "", ""]),
        (Call::OpenExisting, ["", "", ""]),
        (Call::Link, ["", "md", "d"]),
        (Call::RenameAcross, ["md", "md", "d"]),
        (Call::Write, ["", "", "md"]),
        (Call::Read, ["", "", "a"]),
        (Call::ReadNothing, ["", "", ""]),
        (Call::Lookup, ["", "", ""]),
        (Call::Readdir, ["a", "", ""]),
        (Call::Chmod, ["", "", "d"]),
        (Call::Commit, ["", "", ""]),
        (Call::Allocate, ["", "", "md"]),
        (Call::Punch, ["", "", "md"]),
    ];
    assert_changes(world, &cases, true).await;

    // The file that loses its name here has another one.
    let scene = Scene::new(world, "replace").await;
    let before = scene.attributes().await;
    world.tick().await;
    Call::Replace.make(&scene).await;
    let after = scene.attributes().await;
    assert!(after[2].time_metadata > before[2].time_metadata && after[2].nlink == 1);
    assert_eq!(after[2].time_modify, before[2].time_modify);
}

pub async fn access_times_follow_reads(world: &mut World) {
    let scene = Scene::new(world, "reads").await;
    let me = &scene.me;
    world.tick().await;
    me.read(&scene.file, 0, 1).await.expect("a read");
    let first = me.attributes(&scene.file).await.expect("a file");
    assert!(first.time_access > first.time_modify);
    let link = me.attributes(&scene.link).await.expect("a link");
    world.tick().await;
    me.fs.readlink(&me.cx, &scene.link).await.expect("a target");
    assert!(me.attributes(&scene.link).await.expect("a link").time_access > link.time_access);
    // Once there is a read after the last change, more of them need not be noted; they never turn the time back.
    me.read(&scene.file, 0, 1).await.expect("a read");
    let second = me.attributes(&scene.file).await.expect("a file");
    assert!(second.time_access >= first.time_access);
    world.tick().await;
    me.write(&scene.file, 0, b"x").await.expect("a write");
    world.tick().await;
    me.read(&scene.file, 0, 1).await.expect("a read");
    assert!(me.attributes(&scene.file).await.expect("a file").time_access > second.time_access);
}

const THEN: NfsTime = NfsTime { seconds: -5_000_000_000, nseconds: 999_999_999 };
const FAR: NfsTime = NfsTime { seconds: i64::MAX, nseconds: 1 };

fn access(time: SetTime) -> SetAttributes {
    SetAttributes { time_access: Some(time), ..SetAttributes::default() }
}

fn modify(time: SetTime) -> SetAttributes {
    SetAttributes { time_modify: Some(time), ..SetAttributes::default() }
}

/// What a file had before times were set that the holder of a delegation kept, and after.
async fn delegated(
    world: &mut World,
    set: impl FnOnce(NfsTime) -> SetAttributes,
) -> (Attributes, Attributes) {
    let me = world.me();
    let file = me.new_file("f").await;
    let before = me.attributes(&file).await.expect("a file");
    world.tick().await;
    let set = set(before.time_modify);
    let after = me.fs.set_attributes(&me.cx, &file, &set, Authority::Open).await.expect("times");
    assert_eq!(me.attributes(&file).await.as_ref(), Ok(&after));
    (before, after)
}

fn just_after(time: NfsTime) -> NfsTime {
    NfsTime { nseconds: time.nseconds + 1, ..time }
}

pub async fn a_delegated_access_time_is_no_change(world: &mut World) {
    let (before, after) = delegated(world, |now| access(SetTime::Delegated(just_after(now)))).await;
    assert_eq!(after, Attributes { time_access: just_after(before.time_access), ..before });
}

pub async fn a_delegated_access_time_before_that_of_the_file_is_ignored(world: &mut World) {
    let (before, after) = delegated(world, |_| access(SetTime::Delegated(THEN))).await;
    assert_eq!(after, before);
}

pub async fn a_delegated_modify_time_is_the_time_of_the_change(world: &mut World) {
    let (before, after) = delegated(world, |now| modify(SetTime::Delegated(just_after(now)))).await;
    let time = just_after(before.time_modify);
    assert_eq!((after.time_modify, after.time_metadata), (time, time));
    world.me().assert_changed(before.change, after.change, "a delegated time");
}

pub async fn a_delegated_modify_time_does_not_turn_back_time_metadata(world: &mut World) {
    let (before, after) = delegated(world, |_| modify(SetTime::Delegated(THEN))).await;
    assert_eq!((after.time_modify, after.time_metadata), (THEN, before.time_metadata));
}

pub async fn delegated_times_do_not_run_ahead_of_the_clock(world: &mut World) {
    let both =
        |_| SetAttributes { time_access: Some(SetTime::Delegated(FAR)), ..modify(SetTime::Delegated(FAR)) };
    let (_, after) = delegated(world, both).await;
    assert!(after.time_access < FAR && after.time_modify < FAR);
    assert_eq!(after.time_access, after.time_modify, "the clock is read once");
    assert_eq!(after.time_metadata, after.time_modify);
}

pub async fn delegated_times_need_an_open(world: &mut World) {
    let me = world.me();
    let file = me.file(&me.root(), "f", 0o666).await.expect("a file");
    let stranger = world.user(me.uid() + 11, &[]);
    let set = access(SetTime::Delegated(THEN));
    assert_eq!(stranger.set(&file, &set).await, Err(crate::fs::FsError::Perm));
}
