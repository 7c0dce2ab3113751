//! A server that is not root: as itself, with the map of places.
//!
//! Origin: own tables.
//! RFC: none.

use std::os::unix::process::CommandExt;
use std::process::Command;

use dittofs_framework::fs::{CreateMode, FsError, ShareAccess};

use super::fixture::{World, mode, user};
use crate::posix::{Identity, PosixError, PosixFileSystem, PosixOptions};

const NOBODY: u32 = 65_534;

/// Runs the test of this name in a process that is not root: this one, or another if this one is.
fn not_as_root(name: &str, body: impl FnOnce()) {
    if !rustix::process::geteuid().is_root() {
        return body();
    }
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "--test-threads", "1"]).arg(format!("posix::tests::itself::{name}"));
    let output = test.uid(NOBODY).gid(NOBODY).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && out.contains("1 passed"), "{out}");
}

#[test]
fn it_can_only_be_itself() {
    not_as_root("it_can_only_be_itself", || {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("export")).unwrap();
        let mut options = PosixOptions::new(dir.path().join("export"), dir.path().join("state"));
        options.identity = Identity::Caller;
        let opened = PosixFileSystem::open(options.clone()).map(|_| ());
        assert!(matches!(opened, Err(PosixError::NeedsRoot)), "{opened:?}");
        options.identity = Identity::Squash { uid: 7, gid: 7 };
        let opened = PosixFileSystem::open(options).map(|_| ());
        assert!(matches!(opened, Err(PosixError::NotSelf { uid: 7, gid: 7, .. })), "{opened:?}");
    });
}

#[test]
fn it_serves_as_itself_and_by_places() {
    not_as_root("it_serves_as_itself_and_by_places", || {
        let world = World::new();
        assert!(world.fs.volume.map.is_some(), "it may not open kernel handles");
        let caller = user(7, &[7]);
        let own = rustix::process::geteuid().as_raw();
        let dir = world.mkdir(&caller, &world.root(), "d", 0o755).unwrap();
        let file = world.file(&caller, &dir, "f", 0o644).unwrap();
        assert_eq!(world.attributes(&file).unwrap().uid, own);
        world.write(&file, 0, b"data").unwrap();
        world.rename(&caller, (&dir, "f"), (&world.root(), "g")).unwrap();
        let world = world.restart();
        assert_eq!(world.read(&file).unwrap(), b"data"[..]);
        assert_eq!(world.parent(&dir), Ok(world.root()));
        // It has no privilege to lend: what it may not open nobody may.
        let how = CreateMode::Unchecked(mode(0));
        let opened = world.open(&caller, &world.root(), "closed", &how, ShareAccess::BOTH).unwrap();
        world.write(&opened.found.node, 0, b"x").unwrap();
        assert_eq!(world.read(&opened.found.node).unwrap(), b"x"[..]);
        assert_eq!(
            world.open(&caller, &world.root(), "closed", &how, ShareAccess::BOTH).map(|_| ()).unwrap_err(),
            FsError::Access
        );
    });
}
