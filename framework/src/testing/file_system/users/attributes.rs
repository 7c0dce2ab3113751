//! Who may set what, and read and write. RFC 8881 section 18.30; POSIX chmod, chown, utimensat, truncate.

use super::{Caller, GROUP, OTHER, OWNER, World, mode, size};
use crate::fs::{
    Authority, DataOrHole, FsError, FsResult, NodeHandle, SetAttributes, SetTime, ShareAccess, Stability,
};
use crate::proto::NfsTime;
use crate::testing::file_system::world::done;

const THEN: NfsTime = NfsTime { seconds: 12_345, nseconds: 0 };

fn set() -> SetAttributes {
    SetAttributes::default()
}

fn access(time: SetTime) -> SetAttributes {
    SetAttributes { time_access: Some(time), ..set() }
}

fn modify(time: SetTime) -> SetAttributes {
    SetAttributes { time_modify: Some(time), ..set() }
}

async fn file_of(me: &Caller, name: &str, bits: u32) -> NodeHandle {
    let file = me.new_file(name).await;
    me.chown(&file, OWNER, GROUP).await;
    me.chmod(&file, bits).await.expect("a mode");
    file
}

pub async fn who_may_set_what(world: &mut World) {
    let me = world.me();
    let (then, now) = (SetTime::ClientTime(THEN), SetTime::ServerTime);
    let uid = |uid| SetAttributes { uid: Some(uid), ..set() };
    let gid = |gid| SetAttributes { gid: Some(gid), ..set() };
    let both_times = SetAttributes { time_access: Some(now), ..modify(then) };
    let mut cases = vec![
        ("chmod by the owner", OWNER, 0o600, mode(0o711), Ok(())),
        ("chmod by another", OTHER, 0o666, mode(0o777), Err(FsError::Perm)),
        ("chmod by root", 0, 0o600, mode(0), Ok(())),
        ("chown by the owner", OWNER, 0o600, uid(OTHER), Err(FsError::Perm)),
        ("chown to itself", OWNER, 0o600, uid(OWNER), Ok(())),
        ("chown by another to what it is", OTHER, 0o666, uid(OWNER), Err(FsError::Perm)),
        ("chown by root", 0, 0o600, uid(77), Ok(())),
        ("chgrp to an own group", OWNER, 0o600, gid(OWNER), Ok(())),
        ("chgrp to the same foreign group", OWNER, 0o600, gid(GROUP), Ok(())),
        ("chgrp to a foreign group", OWNER, 0o600, gid(33), Err(FsError::Perm)),
        ("chgrp by another", OTHER, 0o666, gid(OTHER), Err(FsError::Perm)),
        ("chgrp by root", 0, 0o600, gid(33), Ok(())),
        ("a time by the owner", OWNER, 0o400, access(then), Ok(())),
        ("a time by a writer", OTHER, 0o666, access(then), Err(FsError::Perm)),
        ("a time by root", 0, 0o400, modify(then), Ok(())),
        ("now by the owner", OWNER, 0o400, modify(now), Ok(())),
        ("now by another", OTHER, 0o644, modify(now), Err(FsError::Access)),
        ("now and then by a writer", OTHER, 0o666, both_times, Err(FsError::Perm)),
        ("the size by a writer", OTHER, 0o602, size(7), Ok(())),
        ("the size by another", OTHER, 0o644, size(7), Err(FsError::Access)),
        (
            "all or nothing",
            OWNER,
            0o600,
            SetAttributes { uid: Some(OTHER), ..mode(0o777) },
            Err(FsError::Perm),
        ),
        ("nothing", OTHER, 0, set(), Ok(())),
    ];
    if me.sets_time_create().await {
        let birth = SetAttributes { time_create: Some(THEN), ..set() };
        cases.push(("birth by the owner", OWNER, 0o600, birth.clone(), Ok(())));
        cases.push(("birth by another", OTHER, 0o666, birth, Err(FsError::Perm)));
    }
    for (what, uid, bits, set, expected) in cases {
        let file = file_of(&me, what, bits).await;
        let before = me.attributes(&file).await.expect("a file");
        world.tick().await;
        let result = world.user(uid, &[]).set(&file, &set).await;
        assert_eq!(done(result), expected, "{what}");
        let after = me.attributes(&file).await.expect("a file");
        if expected.is_err() || set.is_empty() {
            assert_eq!(after, before, "{what}");
        } else {
            me.assert_changed(before.change, after.change, what);
            assert!(after.time_metadata > before.time_metadata, "{what}");
        }
    }
    // Both times to now are set by whoever may write; POSIX wants both, NFS can ask for one.
    let file = file_of(&me, "now by a writer", 0o602).await;
    let both = SetAttributes { time_access: Some(now), ..modify(now) };
    assert_eq!(done(world.user(OTHER, &[]).set(&file, &both).await), Ok(()));
}

pub async fn set_id_bits(world: &mut World) {
    let me = world.me();
    let cases: [(&str, u32, &[u32], SetAttributes, u32); 9] = [
        ("a mode of a foreign group", OWNER, &[OWNER], mode(0o6755), 0o4755),
        ("a mode of an own group", OWNER, &[OWNER, GROUP], mode(0o6755), 0o6755),
        ("a mode by root", 0, &[0], mode(0o6755), 0o6755),
        ("a group clears them", OWNER, &[OWNER], SetAttributes { gid: Some(OWNER), ..set() }, 0o777),
        ("an owner by root clears them", 0, &[0], SetAttributes { uid: Some(OTHER), ..set() }, 0o777),
        ("truncation by the owner", OWNER, &[OWNER], size(0), 0o777),
        ("truncation by root", 0, &[0], size(0), 0o6777),
        ("times leave the mode", OWNER, &[OWNER], modify(SetTime::ServerTime), 0o6777),
        ("a time leaves the mode", OWNER, &[OWNER], access(SetTime::ClientTime(THEN)), 0o6777),
    ];
    for (what, uid, groups, set, expected) in cases {
        let file = file_of(&me, what, 0o6777).await;
        me.write(&file, 0, b"data").await.expect("a write by root");
        me.chmod(&file, 0o6777).await.expect("a mode");
        let after = world.user(uid, groups).set(&file, &set).await.expect(what);
        assert_eq!(after.mode, expected, "{what}: {:o}", after.mode);
        assert_eq!(me.attributes(&file).await, Ok(after), "{what}");
    }
    let dir = me.dir("d").await;
    me.chown(&dir, OWNER, GROUP).await;
    me.chmod(&dir, 0o2777).await.expect("a mode");
    me.chown(&dir, OTHER, 33).await;
    assert_eq!(me.attributes(&dir).await.expect("a directory").mode, 0o2777, "of directories they stay");
}

pub async fn an_open_for_writing_truncates_whatever_the_mode_is_now(world: &mut World) {
    let me = world.me();
    let file = file_of(&me, "f", 0).await;
    let other = world.user(OTHER, &[]);
    let denied = other.fs.set_attributes(&other.cx, &file, &size(9), Authority::Credentials).await;
    assert_eq!(done(denied), Err(FsError::Access));
    let done = other.fs.set_attributes(&other.cx, &file, &size(9), Authority::Open).await;
    assert_eq!(done.map(|after| after.size), Ok(9));
}

pub async fn set_ids_go_with_a_write(world: &mut World) {
    let me = world.me();
    let cases = [
        ("owner", OWNER, 0o6777, 0o777),
        ("other", OTHER, 0o6777, 0o777),
        ("sticky stays", OTHER, 0o1777, 0o1777),
        ("plain", OTHER, 0o666, 0o666),
    ];
    for (what, uid, bits, expected) in cases {
        let file = file_of(&me, what, bits).await;
        world.user(uid, &[]).write(&file, 0, b"x").await.expect("a write");
        let after = me.attributes(&file).await.expect("a file").mode;
        assert_eq!(after, expected, "{what}: {after:o}");
    }
}

pub async fn data_needs_permission_or_an_open(world: &mut World) {
    let me = world.me();
    let credentials = (Stability::Unstable, Authority::Credentials);
    let access = |allowed| -> FsResult<()> { if allowed { Ok(()) } else { Err(FsError::Access) } };
    for (bits, reads, writes) in
        [(0o604, true, false), (0o602, false, true), (0o606, true, true), (0o660, false, false)]
    {
        let file = file_of(&me, &format!("{bits:o}"), bits).await;
        me.write(&file, 0, b"data").await.expect("a write by root");
        let other = world.user(OTHER, &[]);
        let read = other.fs.read(&other.cx, &file, 0, 9, Authority::Credentials).await;
        assert_eq!(done(read), access(reads), "{bits:o}");
        assert_eq!(other.write_as(&file, 0, b"x", credentials).await, access(writes), "{bits:o}");
        other.read(&file, 0, 9).await.expect("an open stands behind it");
        other.write(&file, 0, b"x").await.expect("an open stands behind it");
        assert_eq!(done(other.hold(&file, ShareAccess::READ).await), access(reads), "{bits:o}");
        assert_eq!(done(other.hold(&file, ShareAccess::WRITE).await), access(writes), "{bits:o}");
    }
}

pub async fn ranges_need_permission(world: &mut World) {
    let me = world.me();
    let file = file_of(&me, "f", 0o604).await;
    me.write(&file, 0, b"x").await.expect("a write by root");
    let (other, credentials) = (world.user(OTHER, &[]), Authority::Credentials);
    if let Some(sparse) = other.fs.sparse() {
        let denied = Err(FsError::Access);
        assert_eq!(sparse.allocate(&other.cx, &file, 0, 1, credentials).await, denied);
        assert_eq!(sparse.deallocate(&other.cx, &file, 0, 1, credentials).await, denied);
        let found = sparse.seek(&other.cx, &file, 0, DataOrHole::Data, credentials).await;
        assert_eq!(found, Ok(Some(0)));
    }
    if let Some(copies) = other.fs.server_side_copy() {
        let target = me.new_file("t").await;
        me.chown(&target, OTHER, OTHER).await;
        assert_eq!(copies.copy(&other.cx, &file, 0, &target, 0, 0, credentials).await, Ok(1));
        let denied = copies.copy(&other.cx, &target, 0, &file, 0, 0, credentials).await;
        assert_eq!(denied, Err(FsError::Access));
    }
}
