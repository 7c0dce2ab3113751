//! Each call as its caller: users, groups, and no trace of the one before.
//!
//! Origin: own tables.
//! RFC: 8881 section 5.8.1.11, 5531 appendix A.

use dittofs_framework::fs::{Authority, CreateMode, FileSystem, FsError, FsResult, NewNode, ShareAccess};
use rstest::rstest;

use super::fixture::{World, mode, root, run, user};
use crate::posix::Identity;

#[test]
fn what_is_made_is_the_callers() {
    let world = World::new();
    for (uid, gid) in [(7, 9), (0, 0), (8, 9), (7, 10), (65_533, 65_533)] {
        let caller = user(uid, &[gid, 11]);
        let file = world.file(&caller, &world.root(), &format!("f{uid}{gid}"), 0o600).unwrap();
        let dir = world.mkdir(&caller, &world.root(), &format!("d{uid}{gid}"), 0o700).unwrap();
        for node in [file, dir] {
            let made = world.attributes(&node).unwrap();
            assert_eq!((made.uid, made.gid), (uid, gid));
        }
    }
}

#[rstest]
#[case::owner(7, &[7], 0o600, Ok(()))]
#[case::owner_may_not(7, &[9], 0o066, Err(FsError::Access))]
#[case::group(8, &[9], 0o060, Ok(()))]
#[case::group_may_not(8, &[9], 0o606, Err(FsError::Access))]
#[case::supplementary_group(8, &[8, 10, 9], 0o060, Ok(()))]
#[case::others(8, &[8], 0o006, Ok(()))]
#[case::others_may_not(8, &[8], 0o660, Err(FsError::Access))]
#[case::superuser(0, &[0], 0, Ok(()))]
fn opening(#[case] uid: u32, #[case] groups: &[u32], #[case] bits: u32, #[case] expected: FsResult<()>) {
    let world = World::new();
    let file = world.file(&user(7, &[9]), &world.root(), "f", bits).unwrap();
    let caller = user(uid, groups);
    assert_eq!(world.hold(&caller, &file, ShareAccess::BOTH).map(|_| ()), expected);
    let how = CreateMode::Unchecked(mode(0o644));
    assert_eq!(world.open(&caller, &world.root(), "f", &how, ShareAccess::BOTH).map(|_| ()), expected);
    if uid != 7 {
        assert_eq!(world.write_as(&caller, &file, 0, b"x", Authority::Credentials).map(|_| ()), expected);
        assert_eq!(world.read_as(&caller, &file, Authority::Credentials).map(|_| ()), expected);
    }
    world.write_as(&caller, &file, 0, b"x", Authority::Open).expect("an open was checked before");
    world.read_as(&caller, &file, Authority::Open).expect("an open was checked before");
}

#[rstest]
#[case::last_of_many(64, 163, Ok(()))]
#[case::first_of_many(64, 100, Ok(()))]
#[case::none_of_many(64, 99, Err(FsError::Access))]
fn as_many_groups_as_there_can_be(#[case] count: u32, #[case] gid: u32, #[case] expected: FsResult<()>) {
    let world = World::new();
    let dir = world.mkdir(&user(7, &[gid]), &world.root(), "d", 0o070).unwrap();
    let groups: Vec<u32> = std::iter::once(8).chain(100..100 + count).collect();
    let caller = user(8, &groups);
    assert_eq!(world.file(&caller, &dir, "f", 0o600).map(|_| ()), expected);
    assert_eq!(world.list(&caller, &dir, (0, [0; 8]), 10).map(|_| ()), expected);
    // The next caller on the same thread has none of them.
    assert_eq!(world.file(&user(8, &[8]), &dir, "g", 0o600).map(|_| ()), Err(FsError::Access));
    assert_eq!(world.lookup(&user(8, &[8]), &dir, "f").map(|_| ()), Err(FsError::Access));
}

/// The kernel takes the capabilities that override permissions from a thread whose user is not root: on one thread, so that each
/// call runs where root's ran before.
#[test]
fn privilege_does_not_stay_on_a_thread() {
    let world = World::with(|options| options.threads = 1);
    let private = world.mkdir(&root(), &world.root(), "private", 0o700).unwrap();
    let file = world.file(&root(), &private, "f", 0o600).unwrap();
    for _ in 0..3 {
        world.lookup(&root(), &private, "f").unwrap();
        let caller = user(7, &[7]);
        assert_eq!(world.lookup(&caller, &private, "f"), Err(FsError::Access));
        assert_eq!(world.hold(&caller, &file, ShareAccess::READ).map(|_| ()).unwrap_err(), FsError::Access);
        assert_eq!(world.set(&caller, &file, &mode(0o777)).unwrap_err(), FsError::Perm);
        assert_eq!(world.remove(&caller, &private, "f").map(|_| ()), Err(FsError::Access));
        let device = NewNode::BlockDevice(dittofs_framework::proto::SpecData { specdata1: 8, specdata2: 0 });
        assert_eq!(
            world.make(&caller, &world.root(), "disk", &device, &mode(0o666)).map(|_| ()),
            Err(FsError::Perm)
        );
        // A handle that has to be opened with the server's privilege, in between.
        assert_eq!(
            world.rename(&caller, (&private, "f"), (&world.root(), "mine")).map(|_| ()),
            Err(FsError::Access)
        );
    }
}

#[test]
fn all_are_one_when_squashed() {
    let world = World::with(|options| options.identity = Identity::Squash { uid: 7, gid: 9 });
    let file = world.file(&root(), &world.root(), "f", 0o600).unwrap();
    let made = world.attributes(&file).unwrap();
    assert_eq!((made.uid, made.gid), (7, 9));
    world.hold(&user(100, &[100]), &file, ShareAccess::BOTH).unwrap();
    std::fs::write(world.path("secret"), "x").unwrap();
    std::fs::set_permissions(world.path("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    let secret = world.lookup(&root(), &world.root(), "secret").unwrap();
    assert_eq!(world.hold(&root(), &secret, ShareAccess::READ).map(|_| ()).unwrap_err(), FsError::Access);
}

#[test]
fn set_id_bits_go_with_a_write_unless_root_writes() {
    let world = World::new();
    let file = world.file(&user(7, &[7]), &world.root(), "f", 0o6777).unwrap();
    assert_eq!(world.attributes(&file).unwrap().mode, 0o6777);
    world.write_as(&root(), &file, 0, b"x", Authority::Open).unwrap();
    assert_eq!(world.attributes(&file).unwrap().mode, 0o6777);
    world.write_as(&user(8, &[8]), &file, 0, b"x", Authority::Open).unwrap();
    assert_eq!(world.attributes(&file).unwrap().mode, 0o777);
}

#[test]
fn a_file_stays_open_whatever_becomes_of_its_mode() {
    let world = World::new();
    let caller = user(7, &[7]);
    let how = CreateMode::Unchecked(mode(0));
    let opened = world.open(&caller, &world.root(), "f", &how, ShareAccess::BOTH).unwrap();
    world.write_as(&caller, &opened.found.node, 0, b"x", Authority::Open).unwrap();
    assert_eq!(world.read_as(&caller, &opened.found.node, Authority::Open).unwrap(), b"x"[..]);
    let again = world.open(&caller, &world.root(), "f", &how, ShareAccess::BOTH);
    assert_eq!(again.map(|_| ()).unwrap_err(), FsError::Access);
    run(world.fs.commit(&caller, &opened.found.node, 0, 0)).unwrap();
}

#[test]
fn one_time_to_now_is_for_whoever_may_write() {
    use dittofs_framework::fs::{SetAttributes, SetTime};
    let world = World::new();
    let file = world.file(&user(7, &[7]), &world.root(), "f", 0o622).unwrap();
    let now = SetAttributes { time_modify: Some(SetTime::ServerTime), ..SetAttributes::default() };
    world.set(&user(8, &[8]), &file, &now).unwrap();
    world.set(&user(7, &[7]), &file, &mode(0o600)).unwrap();
    assert_eq!(world.set(&user(8, &[8]), &file, &now).unwrap_err(), FsError::Access);
}
