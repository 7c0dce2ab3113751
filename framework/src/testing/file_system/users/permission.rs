//! What modes allow. POSIX.1-2017 section 4.5; RFC 8881 section 18.1.3.

use super::{GROUP, OTHER, OWNER, World};
use crate::attr::Bitmap;
use crate::fs::{AccessMask, FsError, ShareAccess, XattrSet};
use crate::testing::file_system::world::{NO_VERIFIER, done};

/// What it is about, the caller and its groups, the mode, what is wanted, and whether that is allowed.
type Case = (&'static str, u32, &'static [u32], u32, ShareAccess, bool);

pub async fn modes_say_who_may_do_what(world: &mut World) {
    let me = world.me();
    let file = me.new_file("f").await;
    me.chown(&file, OWNER, GROUP).await;
    let (read, write) = (ShareAccess::READ, ShareAccess::WRITE);

    let cases: [Case; 12] = [
        ("the owner by its bits", OWNER, &[99], 0o600, ShareAccess::BOTH, true),
        ("the owner not by the others' bits", OWNER, &[99], 0o066, read, false),
        ("the owner in the group not by its bits", OWNER, &[GROUP], 0o060, read, false),
        ("the primary group", OTHER, &[GROUP], 0o040, read, true),
        ("a supplementary group", OTHER, &[98, 99, GROUP], 0o020, write, true),
        ("the group not by the others' bits", OTHER, &[GROUP], 0o006, read, false),
        ("others", OTHER, &[OTHER], 0o004, read, true),
        ("others not by the bits of owner and group", OTHER, &[OTHER], 0o660, read, false),
        ("all of what is wanted", OTHER, &[OTHER], 0o004, ShareAccess::BOTH, false),
        ("writing alone", OTHER, &[OTHER], 0o002, write, true),
        ("not writing by reading", OTHER, &[OTHER], 0o004, write, false),
        ("the superuser", 0, &[0], 0, ShareAccess::BOTH, true),
    ];
    for (what, uid, groups, bits, access, expected) in cases {
        me.chmod(&file, bits).await.expect("a mode");
        let opened = done(world.user(uid, groups).hold(&file, access).await);
        assert_eq!(opened, if expected { Ok(()) } else { Err(FsError::Access) }, "{what}");
    }
}

pub async fn access_says_what_may_be_done(world: &mut World) {
    let me = world.me();
    let (file, dir) = (me.new_file("f").await, me.dir("d").await);
    for node in [file, dir] {
        me.chown(&node, OWNER, GROUP).await;
    }
    let (read, look, execute) = (AccessMask::READ, AccessMask::LOOKUP, AccessMask::EXECUTE);
    let change = AccessMask::MODIFY | AccessMask::EXTEND;
    let none = AccessMask::empty();
    let cases = [
        ("file read", file, 0o004, read),
        ("file write", file, 0o002, change),
        ("file execute", file, 0o001, execute),
        ("file of others", file, 0o770, none),
        ("directory all", dir, 0o007, read | look | change | AccessMask::DELETE),
        ("directory read", dir, 0o004, read),
        ("directory write without search", dir, 0o002, none),
        ("directory search", dir, 0o001, look),
    ];
    // DELETE is about entries of directories, so of a file it says nothing.
    let asked = read | look | change | execute;
    for (what, node, bits, expected) in cases {
        me.chmod(&node, bits).await.expect("a mode");
        let asked = if node == dir { asked | AccessMask::DELETE } else { asked };
        let other = world.user(OTHER, &[]);
        assert_eq!(other.fs.access(&other.cx, &node, asked).await, Ok(expected), "{what}");
        assert_eq!(other.fs.access(&other.cx, &node, read).await, Ok(expected & read), "{what}");
        let owner = world.user(OWNER, &[]);
        let none_or_all = owner.fs.access(&owner.cx, &node, asked).await.expect("access");
        assert_eq!(none_or_all == none, bits & 0o700 == 0, "{what}, the owner");
    }
    me.chmod(&file, 0o644).await.expect("a mode");
    let of_root = me.fs.access(&me.cx, &file, asked).await;
    assert_eq!(of_root, Ok(read | change), "the superuser does not execute what nobody can");
}

pub async fn search_permission_is_needed_on_the_way(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    let below = me.mkdir(&dir, "below", 0o755).await.expect("a directory");
    let other = world.user(OTHER, &[]);
    me.chmod(&dir, 0o766).await.expect("a mode");
    assert_eq!(other.lookup(&dir, "below").await, Err(FsError::Access));
    assert_eq!(other.lookup(&dir, "nothing").await, Err(FsError::Access), "nor is told what is not there");
    me.chmod(&dir, 0o711).await.expect("a mode");
    assert_eq!(other.lookup(&dir, "below").await, Ok(below));
    assert_eq!(other.parent(&below).await, Ok(dir));
    me.chmod(&below, 0o766).await.expect("a mode");
    assert_eq!(other.parent(&below).await, Err(FsError::Access));
}

pub async fn who_may_list(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    me.mkdir(&dir, "below", 0o755).await.expect("a directory");
    let other = world.user(OTHER, &[]);
    for (bits, expected) in [(0o711, Err(FsError::Access)), (0o744, Ok(())), (0o755, Ok(()))] {
        me.chmod(&dir, bits).await.expect("a mode");
        let listed = other.page(&dir, (0, NO_VERIFIER), Bitmap::EMPTY, 9).await;
        assert_eq!(done(listed), expected, "{bits:o}");
    }
}

pub async fn who_may_use_xattrs(world: &mut World) {
    let me = world.me();
    if me.fs.xattrs().is_none() {
        return;
    }
    let file = me.new_file("f").await;
    me.set_xattr(&file, "a", "1", XattrSet::Either).await.expect("an attribute");
    for (bits, reads, writes) in
        [(0o604, true, false), (0o602, false, true), (0o606, true, true), (0o660, false, false)]
    {
        me.chmod(&file, bits).await.expect("a mode");
        let other = world.user(OTHER, &[]);
        let access = |allowed: bool| if allowed { Ok(()) } else { Err(FsError::Access) };
        assert_eq!(done(other.xattr(&file, "a").await), access(reads), "{bits:o}");
        assert_eq!(done(other.xattr_names(&file, 100).await), access(reads), "{bits:o}");
        assert_eq!(other.set_xattr(&file, "a", "2", XattrSet::Either).await, access(writes), "{bits:o}");
        assert_eq!(other.remove_xattr(&file, "a").await, access(writes), "{bits:o}");
        me.set_xattr(&file, "a", "1", XattrSet::Either).await.expect("an attribute");
        let asked = AccessMask::XAREAD | AccessMask::XAWRITE;
        let mut expected = AccessMask::empty();
        expected.set(AccessMask::XAREAD, reads);
        expected.set(AccessMask::XAWRITE, writes);
        assert_eq!(other.fs.access(&other.cx, &file, asked).await, Ok(expected), "{bits:o}");
    }
    let sticky = me.mkdir(&me.root(), "sticky", 0o1777).await.expect("a directory");
    me.chmod(&sticky, 0o1777).await.expect("a mode");
    let set = world.user(OTHER, &[]).set_xattr(&sticky, "a", "1", XattrSet::Either).await;
    assert_eq!(set, Err(FsError::Perm), "of a sticky directory only the owner sets them");
}
