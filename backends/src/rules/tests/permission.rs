//! The rules of permission, as functions.
//!
//! Origin: POSIX.1-2017 sections 4.5 (file access permissions), chmod, chown, unlink; Linux where POSIX leaves it open.
//! RFC: 8881 section 18.1.3; the rules of mode bits are left to POSIX.

use dittofs_framework::fs::{AccessMask, Authority, Credentials, FsError, FsResult, ShareAccess};
use dittofs_framework::proto::FileType;
use rstest::rstest;

use crate::rules::permission::{self, Facts, Want};

/// Of user 10 and group 20.
fn facts(file_type: FileType, mode: u32) -> Facts {
    Facts { file_type, mode, uid: 10, gid: 20 }
}

/// A user, with its own group first.
fn caller(uid: u32, groups: &[u32]) -> Credentials {
    let (gid, groups) = groups.split_first().map_or((uid, &[][..]), |(gid, rest)| (*gid, rest));
    Credentials { uid, gid, groups: groups.iter().copied().collect() }
}

#[rstest]
#[case::owner_by_owner_bits(10, &[99], FileType::Reg, 0o700, Want::all(), true)]
#[case::owner_not_by_other_bits(10, &[99], FileType::Reg, 0o077, Want::READ, false)]
#[case::owner_in_group_not_by_group_bits(10, &[20], FileType::Reg, 0o070, Want::READ, false)]
#[case::primary_group(11, &[20], FileType::Reg, 0o040, Want::READ, true)]
#[case::supplementary_group(11, &[98, 99, 20], FileType::Reg, 0o020, Want::WRITE, true)]
#[case::group_not_by_other_bits(11, &[20], FileType::Reg, 0o007, Want::READ, false)]
#[case::other(11, &[11], FileType::Reg, 0o004, Want::READ, true)]
#[case::other_not_by_group_bits(11, &[11], FileType::Reg, 0o770, Want::READ, false)]
#[case::all_of_what_is_wanted(11, &[11], FileType::Reg, 0o004, Want::READ.union(Want::WRITE), false)]
#[case::root_reads_and_writes(0, &[0], FileType::Reg, 0, Want::READ.union(Want::WRITE), true)]
#[case::root_executes_what_nobody_can(0, &[0], FileType::Reg, 0o666, Want::EXECUTE, false)]
#[case::root_executes_what_anybody_can(0, &[0], FileType::Reg, 0o001, Want::EXECUTE, true)]
#[case::root_searches_any_directory(0, &[0], FileType::Dir, 0, Want::EXECUTE, true)]
fn modes(
    #[case] uid: u32,
    #[case] groups: &[u32],
    #[case] file_type: FileType,
    #[case] mode: u32,
    #[case] want: Want,
    #[case] allowed: bool,
) {
    assert_eq!(permission::allows(&caller(uid, groups), &facts(file_type, mode), want), allowed);
}

#[rstest]
#[case::no_sticky_bit(0o777, 11, 12, Ok(()))]
#[case::owner_of_the_directory(0o1777, 10, 12, Ok(()))]
#[case::owner_of_the_file(0o1777, 12, 12, Ok(()))]
#[case::root(0o1777, 0, 12, Ok(()))]
#[case::neither(0o1777, 11, 12, Err(FsError::Perm))]
#[case::owner_of_the_file_without_write_permission(0o1755, 12, 12, Err(FsError::Access))]
#[case::write_without_search_permission(0o1776, 12, 12, Err(FsError::Access))]
fn taking_entries_out(
    #[case] mode: u32,
    #[case] uid: u32,
    #[case] victim: u32,
    #[case] expected: FsResult<()>,
) {
    let victim = Facts { uid: victim, ..facts(FileType::Reg, 0o644) };
    assert_eq!(permission::check_unlink(&caller(uid, &[]), &facts(FileType::Dir, mode), &victim), expected);
}

#[rstest]
#[case::read(11, 0o004, ShareAccess::READ, true)]
#[case::read_of_an_executable(11, 0o001, ShareAccess::READ, true)]
#[case::write_of_an_executable(11, 0o001, ShareAccess::WRITE, false)]
#[case::both_need_both(11, 0o004, ShareAccess::BOTH, false)]
#[case::both(11, 0o006, ShareAccess::BOTH, true)]
#[case::owner_without_permission(10, 0o066, ShareAccess::READ, false)]
fn opening(#[case] uid: u32, #[case] mode: u32, #[case] access: ShareAccess, #[case] allowed: bool) {
    let result = permission::check_open(&caller(uid, &[]), &facts(FileType::Reg, mode), access);
    assert_eq!(result, if allowed { Ok(()) } else { Err(FsError::Access) });
}

#[rstest]
#[case::open(11, 0, Authority::Open, true, true)]
#[case::owner(10, 0, Authority::Credentials, true, true)]
#[case::root(0, 0, Authority::Credentials, true, true)]
#[case::other(11, 0, Authority::Credentials, false, false)]
#[case::reader(11, 0o004, Authority::Credentials, true, false)]
#[case::writer(11, 0o002, Authority::Credentials, false, true)]
#[case::executor(11, 0o001, Authority::Credentials, true, false)]
fn reading_and_writing(
    #[case] uid: u32,
    #[case] mode: u32,
    #[case] authority: Authority,
    #[case] reads: bool,
    #[case] writes: bool,
) {
    let (caller, facts) = (caller(uid, &[]), facts(FileType::Reg, mode));
    assert_eq!(permission::check_read(&caller, &facts, authority).is_ok(), reads);
    assert_eq!(permission::check_write(&caller, &facts, authority).is_ok(), writes);
}

const XATTRS: AccessMask = AccessMask::XAREAD.union(AccessMask::XALIST).union(AccessMask::XAWRITE);
const CHANGES: AccessMask = AccessMask::MODIFY.union(AccessMask::EXTEND);

#[rstest]
#[case::file_all(FileType::Reg, 0o007, AccessMask::READ | CHANGES | AccessMask::EXECUTE | XATTRS)]
#[case::file_read(FileType::Reg, 0o004, AccessMask::READ | AccessMask::XAREAD | AccessMask::XALIST)]
#[case::file_write(FileType::Reg, 0o002, CHANGES | AccessMask::XAWRITE)]
#[case::file_execute(FileType::Reg, 0o001, AccessMask::EXECUTE)]
#[case::directory_all(FileType::Dir, 0o007, AccessMask::READ | AccessMask::LOOKUP | CHANGES | AccessMask::DELETE | XATTRS)]
#[case::directory_write_without_search(FileType::Dir, 0o002, AccessMask::XAWRITE)]
#[case::directory_search(FileType::Dir, 0o001, AccessMask::LOOKUP)]
#[case::pipe_has_no_xattrs(FileType::Fifo, 0o006, AccessMask::READ | CHANGES)]
#[case::nothing(FileType::Reg, 0o770, AccessMask::empty())]
fn access(#[case] file_type: FileType, #[case] mode: u32, #[case] expected: AccessMask) {
    let facts = facts(file_type, mode);
    assert_eq!(permission::access(&caller(11, &[]), &facts, AccessMask::all()), expected);
    assert_eq!(permission::access(&caller(11, &[]), &facts, AccessMask::READ), expected & AccessMask::READ);
}

#[rstest]
#[case::plain(11, &[30], FileType::Reg, 0o755, 0o644, (0o644, 30))]
#[case::set_group_id_of_own_group(11, &[30], FileType::Reg, 0o755, 0o2755, (0o2755, 30))]
#[case::group_of_the_directory(11, &[30], FileType::Reg, 0o2755, 0o644, (0o644, 20))]
#[case::no_program_of_a_foreign_group(11, &[30], FileType::Reg, 0o2755, 0o2755, (0o755, 20))]
#[case::locking_bit_of_a_foreign_group(11, &[30], FileType::Reg, 0o2755, 0o2644, (0o2644, 20))]
#[case::program_of_a_group_of_the_caller(11, &[30, 20], FileType::Reg, 0o2755, 0o2755, (0o2755, 20))]
#[case::root(0, &[0], FileType::Reg, 0o2755, 0o6755, (0o6755, 20))]
#[case::directory(11, &[30], FileType::Dir, 0o755, 0o1755, (0o1755, 30))]
#[case::directory_inherits_the_bit(11, &[30], FileType::Dir, 0o2755, 0o755, (0o2755, 20))]
fn new_objects(
    #[case] uid: u32,
    #[case] groups: &[u32],
    #[case] file_type: FileType,
    #[case] dir: u32,
    #[case] mode: u32,
    #[case] (expected_mode, gid): (u32, u32),
) {
    let made = permission::facts_of_new(&caller(uid, groups), &facts(FileType::Dir, dir), file_type, mode);
    assert_eq!(made, Facts { file_type, mode: expected_mode, uid, gid });
}

#[rstest]
#[case::root_to_anybody(0, 10, Some(77), None, true)]
#[case::owner_to_itself(10, 10, Some(10), None, true)]
#[case::owner_to_another(10, 10, Some(11), None, false)]
#[case::other_to_what_it_is(11, 10, Some(10), None, false)]
#[case::owner_to_own_group(10, 10, None, Some(31), true)]
#[case::owner_keeps_a_foreign_group(10, 10, None, Some(20), true)]
#[case::owner_to_foreign_group(10, 10, None, Some(32), false)]
#[case::other_to_own_group(11, 10, None, Some(31), false)]
#[case::root_to_any_group(0, 10, None, Some(32), true)]
fn giving_away(
    #[case] uid: u32,
    #[case] owner: u32,
    #[case] new_owner: Option<u32>,
    #[case] new_group: Option<u32>,
    #[case] allowed: bool,
) {
    let caller = caller(uid, &[30, 31]);
    let facts = Facts { uid: owner, ..facts(FileType::Reg, 0o644) };
    let owner = new_owner.map_or(Ok(()), |uid| permission::check_new_owner(&caller, &facts, uid));
    let group = new_group.map_or(Ok(()), |gid| permission::check_new_group(&caller, &facts, gid));
    assert_eq!(owner.and(group), if allowed { Ok(()) } else { Err(FsError::Perm) });
}

#[rstest]
#[case::member(10, &[20], 0o6755, 0o6755)]
#[case::not_a_member(10, &[30], 0o6755, 0o4755)]
#[case::not_a_member_and_no_execution(10, &[30], 0o2644, 0o644)]
#[case::root(0, &[0], 0o7777, 0o7777)]
fn changing_the_mode(#[case] uid: u32, #[case] groups: &[u32], #[case] mode: u32, #[case] expected: u32) {
    assert_eq!(permission::mode_after_chmod(&caller(uid, groups), 20, mode), expected);
}

#[rstest]
#[case::owner(10, &[20], FileType::Reg, 0o6755, 0o755)]
#[case::locking_bit_stays(10, &[20], FileType::Reg, 0o6745, 0o2745)]
#[case::locking_bit_of_a_foreign_group_goes(10, &[30], FileType::Reg, 0o6745, 0o745)]
#[case::root_too(0, &[0], FileType::Reg, 0o6755, 0o755)]
#[case::not_of_directories(10, &[20], FileType::Dir, 0o6755, 0o6755)]
fn set_ids_after_chown(
    #[case] uid: u32,
    #[case] groups: &[u32],
    #[case] file_type: FileType,
    #[case] mode: u32,
    #[case] expected: u32,
) {
    assert_eq!(permission::mode_after_chown(&caller(uid, groups), &facts(file_type, mode)), expected);
}

#[rstest]
#[case::owner(10, &[20], 0o6777, 0o777)]
#[case::other(11, &[11], 0o6777, 0o777)]
#[case::locking_bit_stays(10, &[20], 0o6767, 0o2767)]
#[case::root_keeps_them(0, &[0], 0o6777, 0o6777)]
#[case::sticky_stays(11, &[11], 0o1777, 0o1777)]
fn set_ids_after_a_write(#[case] uid: u32, #[case] groups: &[u32], #[case] mode: u32, #[case] expected: u32) {
    assert_eq!(permission::mode_after_write(&caller(uid, groups), &facts(FileType::Reg, mode)), expected);
}
