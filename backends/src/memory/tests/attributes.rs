//! SETATTR, through the file system.
//!
//! RFC: 8881 section 18.30. Origin: POSIX chmod, chown, utimensat, truncate.

use dittofs_framework::fs::{
    Attributes, Authority, FileSystem, FsError, FsResult, NewNode, SetAttributes, SetTime,
};
use dittofs_framework::proto::NfsTime;
use rstest::rstest;

use super::fixture::{World, mode, root, run, user};

const OWNER: u32 = 10;
const GROUP: u32 = 20;
const THEN: NfsTime = NfsTime { seconds: -5_000_000_000, nseconds: 999_999_999 };

fn set() -> SetAttributes {
    SetAttributes::default()
}

fn access(time: SetTime) -> SetAttributes {
    SetAttributes { time_access: Some(time), ..set() }
}

fn modify(time: SetTime) -> SetAttributes {
    SetAttributes { time_modify: Some(time), ..set() }
}

fn size(size: u64) -> SetAttributes {
    SetAttributes { size: Some(size), ..set() }
}

#[rstest]
#[case::chmod_by_owner(OWNER, 0o600, mode(0o4711), Ok(()))]
#[case::chmod_by_another(11, 0o666, mode(0o777), Err(FsError::Perm))]
#[case::chmod_by_root(0, 0o600, mode(0), Ok(()))]
#[case::chown_by_owner(OWNER, 0o600, SetAttributes { uid: Some(11), ..set() }, Err(FsError::Perm))]
#[case::chgrp_to_own_group(OWNER, 0o600, SetAttributes { gid: Some(10), ..set() }, Ok(()))]
#[case::chgrp_to_foreign_group(OWNER, 0o600, SetAttributes { gid: Some(33), ..set() }, Err(FsError::Perm))]
#[case::no_owner(0, 0o600, SetAttributes { uid: Some(u32::MAX), ..set() }, Err(FsError::Inval))]
#[case::no_group(0, 0o600, SetAttributes { gid: Some(u32::MAX), ..set() }, Err(FsError::Inval))]
#[case::time_by_owner(OWNER, 0o400, access(SetTime::ClientTime(THEN)), Ok(()))]
#[case::time_by_writer(11, 0o666, access(SetTime::ClientTime(THEN)), Err(FsError::Perm))]
#[case::time_by_root(0, 0o400, modify(SetTime::ClientTime(THEN)), Ok(()))]
#[case::now_by_owner(OWNER, 0o400, modify(SetTime::ServerTime), Ok(()))]
#[case::now_by_writer(11, 0o602, modify(SetTime::ServerTime), Ok(()))]
#[case::now_by_another(11, 0o644, modify(SetTime::ServerTime), Err(FsError::Access))]
#[case::now_and_then_by_writer(
    11, 0o666,
    SetAttributes { time_access: Some(SetTime::ServerTime), ..modify(SetTime::ClientTime(THEN)) },
    Err(FsError::Perm)
)]
#[case::no_time(0, 0o600, modify(SetTime::ClientTime(NfsTime { seconds: 0, nseconds: 1_000_000_000 })), Err(FsError::Inval))]
#[case::birth_by_owner(OWNER, 0o600, SetAttributes { time_create: Some(THEN), ..set() }, Ok(()))]
#[case::birth_by_another(11, 0o666, SetAttributes { time_create: Some(THEN), ..set() }, Err(FsError::Perm))]
#[case::size_by_owner_override(OWNER, 0o400, size(7), Ok(()))]
#[case::size_by_writer(11, 0o602, size(7), Ok(()))]
#[case::size_by_another(11, 0o644, size(7), Err(FsError::Access))]
#[case::largest_size(OWNER, 0o600, size(i64::MAX as u64), Ok(()))]
#[case::larger_size(OWNER, 0o600, size(i64::MAX as u64 + 1), Err(FsError::FileTooBig))]
#[case::nothing(11, 0, set(), Ok(()))]
fn who_may_set_what(
    #[case] uid: u32,
    #[case] bits: u32,
    #[case] set: SetAttributes,
    #[case] expected: FsResult<()>,
) {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", bits).unwrap();
    world.chown(&file, OWNER, GROUP);
    world.chmod(&root(), &file, bits).unwrap();
    let before = world.attributes(&file).unwrap();
    let result = world.set(&user(uid, &[]), &file, &set);
    assert_eq!(result.map(|_| ()), expected);
    let after = world.attributes(&file).unwrap();
    if expected.is_err() || set.is_empty() {
        assert_eq!(after, before, "nothing is set when something must not be");
    } else {
        assert_eq!(after.change, before.change + 1);
        assert!(after.time_metadata > before.time_metadata);
    }
    world.fs.check_invariants();
}

#[test]
fn an_open_for_writing_truncates_whatever_the_mode_is_now() {
    let world = World::new();
    let file = world.file(&user(OWNER, &[]), &world.root(), "f", 0).unwrap();
    let set = SetAttributes { time_modify: Some(SetTime::ServerTime), ..size(9) };
    let other = user(11, &[]);
    assert_eq!(
        run(world.fs.set_attributes(&other, &file, &set, Authority::Credentials)).unwrap_err(),
        FsError::Access
    );
    assert_eq!(run(world.fs.set_attributes(&other, &file, &set, Authority::Open)).unwrap().size, 9);
}

#[rstest]
#[case::directory(NewNode::Directory, FsError::IsDir)]
#[case::symlink(NewNode::Symlink("x".into()), FsError::Inval)]
#[case::pipe(NewNode::Fifo, FsError::Inval)]
fn only_files_have_a_size_to_set(#[case] what: NewNode, #[case] expected: FsError) {
    let world = World::new();
    let node = world.make(&root(), &world.root(), "x", &what, &mode(0o777)).unwrap().node;
    assert_eq!(world.set(&root(), &node, &size(0)).unwrap_err(), expected);
}

#[rstest]
#[case::mode_of_a_foreign_group(OWNER, &[10], mode(0o6755), 0o4755)]
#[case::mode_of_own_group(OWNER, &[10, GROUP], mode(0o6755), 0o6755)]
#[case::mode_and_group_at_once(OWNER, &[10, 30], SetAttributes { gid: Some(30), ..mode(0o2745) }, 0o2745)]
#[case::group_clears_set_ids(OWNER, &[10], SetAttributes { gid: Some(10), ..set() }, 0o777)]
#[case::owner_by_root_clears_set_ids(0, &[0], SetAttributes { uid: Some(11), ..set() }, 0o777)]
#[case::mode_with_owner_clears_set_ids(0, &[0], SetAttributes { uid: Some(11), ..mode(0o6711) }, 0o711)]
#[case::truncation_by_owner(OWNER, &[10], size(0), 0o777)]
#[case::truncation_by_root(0, &[0], size(0), 0o6777)]
#[case::times_leave_the_mode(OWNER, &[10], modify(SetTime::ServerTime), 0o6777)]
fn set_id_bits(#[case] uid: u32, #[case] groups: &[u32], #[case] set: SetAttributes, #[case] expected: u32) {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    world.chown(&file, OWNER, GROUP);
    world.chmod(&root(), &file, 0o6777).unwrap();
    assert_eq!(world.set(&user(uid, groups), &file, &set).unwrap().mode, expected);
}

/// What a file had before times were set that the holder of a delegation kept, and after.
fn delegated(set: impl FnOnce(NfsTime) -> SetAttributes) -> (Attributes, Attributes) {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    let before = world.attributes(&file).unwrap();
    let set = set(before.time_modify);
    let after = run(world.fs.set_attributes(&user(11, &[]), &file, &set, Authority::Open)).unwrap();
    (before, after)
}

fn just_after(time: NfsTime) -> NfsTime {
    NfsTime { nseconds: time.nseconds + 1, ..time }
}

const FAR: NfsTime = NfsTime { seconds: i64::MAX, nseconds: 1 };

// Origin: own. RFC: 9754 section 5.
#[test]
fn a_delegated_access_time_is_no_change() {
    let (before, after) = delegated(|now| access(SetTime::Delegated(just_after(now))));
    assert_eq!(after, Attributes { time_access: just_after(before.time_access), ..before });
}

// Origin: own. RFC: 9754 section 5.
#[test]
fn a_delegated_access_time_before_that_of_the_file_is_ignored() {
    let (before, after) = delegated(|_| access(SetTime::Delegated(THEN)));
    assert_eq!(after, before);
}

// Origin: own. RFC: 9754 section 5.
#[test]
fn a_delegated_modify_time_is_the_time_of_the_change() {
    let (before, after) = delegated(|now| modify(SetTime::Delegated(just_after(now))));
    let time = just_after(before.time_modify);
    assert_eq!((after.time_modify, after.time_metadata, after.change), (time, time, before.change + 1));
}

// Origin: own. RFC: 9754 section 5.
#[test]
fn a_delegated_modify_time_does_not_turn_back_time_metadata() {
    let (before, after) = delegated(|_| modify(SetTime::Delegated(THEN)));
    assert_eq!((after.time_modify, after.time_metadata), (THEN, before.time_metadata));
}

// Origin: own. RFC: 9754 section 5.
#[test]
fn delegated_times_do_not_run_ahead_of_the_clock() {
    let (_, after) = delegated(|_| SetAttributes {
        time_access: Some(SetTime::Delegated(FAR)),
        ..modify(SetTime::Delegated(FAR))
    });
    assert!(after.time_access < FAR && after.time_modify < FAR);
    assert_eq!(after.time_access, after.time_modify, "the clock is read once");
    assert_eq!(after.time_metadata, after.time_modify);
}

// Origin: own. RFC: 9754 section 5: only the holder of a delegation, whose open was checked.
#[test]
fn delegated_times_need_an_open() {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o666).unwrap();
    let set = access(SetTime::Delegated(THEN));
    assert_eq!(world.set(&user(11, &[]), &file, &set).unwrap_err(), FsError::Perm);
}

#[test]
fn times_are_kept_to_the_nanosecond_before_and_after_the_epoch() {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    let far = NfsTime { seconds: i64::MAX, nseconds: 1 };
    let set = SetAttributes {
        time_access: Some(SetTime::ClientTime(THEN)),
        time_modify: Some(SetTime::ClientTime(far)),
        time_create: Some(THEN),
        ..set()
    };
    let after = world.set(&root(), &file, &set).unwrap();
    assert_eq!((after.time_access, after.time_modify, after.time_create), (THEN, far, Some(THEN)));
}

#[rstest]
#[case::shrinks(3)]
#[case::stays(10)]
#[case::grows(20)]
fn setting_the_size_sets_the_time_of_modification(#[case] new_size: u64) {
    let world = World::new();
    let file = world.file(&root(), &world.root(), "f", 0o644).unwrap();
    world.write(&file, 0, b"0123456789").unwrap();
    let before = world.attributes(&file).unwrap();
    let after = world.set(&root(), &file, &size(new_size)).unwrap();
    assert!(after.time_modify > before.time_modify && after.time_modify == after.time_metadata);
    assert_eq!((after.size, after.change), (new_size, before.change + 1));
}
