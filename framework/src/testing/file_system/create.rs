//! CREATE, and OPEN with creation. RFC 8881 sections 18.4 and 18.16.3.

use super::World;
use super::world::{done, mode};
use crate::fs::{AttrMask, CreateMode, Created, FsError, NewNode, SetAttributes, SetTime, ShareAccess};
use crate::proto::{FileType, NfsTime};

const VERIFIER: [u8; 8] = *b"verifier";

pub(super) fn exclusive(verifier: [u8; 8]) -> CreateMode {
    CreateMode::Exclusive(verifier, SetAttributes::default())
}

fn guarded(bits: u32) -> CreateMode {
    CreateMode::Guarded(mode(bits))
}

fn unchecked(bits: u32) -> CreateMode {
    CreateMode::Unchecked(mode(bits))
}

pub async fn an_empty_root_directory(world: &mut World) {
    let me = world.me();
    let root = me.attributes(&me.root()).await.expect("the root");
    assert_eq!(root.file_type, FileType::Dir);
    assert!(me.names(&me.root()).await.is_empty());
    assert_eq!(me.lookup(&me.root(), "x").await, Err(FsError::NotFound));
    assert_eq!(done(me.remove(&me.root(), "x").await), Err(FsError::NotFound));
}

pub async fn what_holds_for_all_objects(world: &mut World) {
    let me = world.me();
    let info = me.fs.info();
    assert!(info.max_name >= 14 && info.max_link >= 8 && info.max_file_size > u64::from(u32::MAX));
    assert!(info.time_delta.seconds > 0 || info.time_delta.nseconds > 0);
    assert!(info.case_preserving || info.case_insensitive, "names are as they were given, or as others");
    let usage = me.fs.usage(&me.cx).await.expect("usage");
    assert!(usage.space_avail <= usage.space_free && usage.space_free <= usage.space_total, "{usage:?}");
    assert!(usage.files_avail <= usage.files_free && usage.files_free <= usage.files_total, "{usage:?}");
}

pub async fn every_type_of_object(world: &mut World) {
    let me = world.me();
    let cases = [
        ("directory", NewNode::Directory, FileType::Dir),
        ("symlink", NewNode::Symlink("target".into()), FileType::Lnk),
        ("pipe", NewNode::Fifo, FileType::Fifo),
        ("socket", NewNode::Socket, FileType::Sock),
    ];
    for (name, what, file_type) in cases {
        world.tick().await;
        let before = me.attributes(&me.root()).await.expect("the root");
        let found = me.make(&me.root(), name, &what, &mode(0o640)).await.expect(name);
        let made = me.attributes(&found.node).await.expect(name);
        assert_eq!(made, found.attributes, "{name}");
        assert_eq!((made.file_type, made.uid), (file_type, me.uid()), "{name}");
        assert!(file_type == FileType::Lnk || made.mode == 0o640, "{name} {:o}", made.mode);
        assert_eq!((made.rawdev.specdata1, made.rawdev.specdata2), (0, 0), "{name}");
        assert!(file_type == FileType::Dir || made.nlink == 1, "{name}");
        assert!(file_type != FileType::Lnk || made.size == 6, "{name}");
        let after = me.attributes(&me.root()).await.expect("the root");
        me.assert_changed(before.change, after.change, name);
    }
}

pub async fn attributes_of_new_objects(world: &mut World) {
    let me = world.me();
    let then = NfsTime { seconds: 77, nseconds: 0 };
    let set = SetAttributes { time_modify: Some(SetTime::ClientTime(then)), ..mode(0o604) };
    let made = me.make(&me.root(), "directory", &NewNode::Directory, &set).await.expect("a directory");
    assert_eq!((made.attributes.mode, made.attributes.time_modify), (0o604, then));
    let set = SetAttributes { size: Some(77), ..set };
    let how = CreateMode::Guarded(set);
    let opened = me.open(&me.root(), "file", &how, ShareAccess::BOTH).await.expect("a file");
    let made = opened.found.attributes;
    assert_eq!((made.mode, made.time_modify, made.size), (0o604, then, 77));
    assert_eq!(made, me.attributes(&opened.found.node).await.expect("a file"));
    assert_eq!(me.read(&opened.found.node, 0, 100).await, Ok(vec![0; 77].into()));

    let bad_time = SetTime::ClientTime(NfsTime { seconds: 1, nseconds: 1_000_000_000 });
    let too_large = me.fs.info().max_file_size.checked_add(1);
    let refused = [
        (SetAttributes { time_access: Some(bad_time), ..mode(0o600) }, FsError::Inval),
        (SetAttributes { size: too_large, ..mode(0o600) }, FsError::FileTooBig),
    ];
    for (set, expected) in refused.into_iter().filter(|(set, _)| *set != mode(0o600)) {
        let how = CreateMode::Guarded(set);
        let opened = me.open(&me.root(), "refused", &how, ShareAccess::BOTH).await;
        assert_eq!(done(opened), Err(expected), "{how:?}");
        assert_eq!(me.lookup(&me.root(), "refused").await, Err(FsError::NotFound), "nothing is left of it");
    }
}

pub async fn an_unchecked_create_makes_or_opens(world: &mut World) {
    let me = world.me();
    let before = me.attributes(&me.root()).await.expect("the root").change;
    world.tick().await;
    let made = me.open(&me.root(), "f", &unchecked(0o640), ShareAccess::BOTH).await.expect("a file");
    assert_eq!((made.created, made.found.attributes.mode), (Created::New, 0o640));
    assert_eq!(made.found.attributes.file_type, FileType::Reg);
    if made.dir_change.atomic {
        assert_eq!(made.dir_change.before, before);
        me.assert_changed(before, made.dir_change.after, "a name was added");
    }
    me.write(&made.found.node, 0, b"data").await.expect("a write");
    // It does not get the attributes; a size is set by the caller when it knows that it may.
    let set = SetAttributes { size: Some(0), ..mode(0o777) };
    let again = me.open(&me.root(), "f", &CreateMode::Unchecked(set), ShareAccess::BOTH).await.expect("it");
    assert_eq!((again.created, again.found.node), (Created::Existing, made.found.node));
    assert_eq!((again.found.attributes.mode, again.found.attributes.size), (0o640, 4));
    assert_eq!(again.dir_change.before, again.dir_change.after);
}

pub async fn a_guarded_create_only_makes(world: &mut World) {
    let me = world.me();
    let made = me.open(&me.root(), "f", &guarded(0o600), ShareAccess::READ).await.expect("a file");
    assert_eq!(made.created, Created::New);
    for access in [ShareAccess::READ, ShareAccess::WRITE] {
        assert_eq!(done(me.open(&me.root(), "f", &guarded(0o600), access).await), Err(FsError::Exist));
    }
    me.dir("d").await;
    assert_eq!(done(me.open(&me.root(), "d", &guarded(0o600), ShareAccess::READ).await), Err(FsError::Exist));
}

pub async fn an_exclusive_create_can_be_repeated(world: &mut World) {
    let me = world.me();
    let how = exclusive(VERIFIER);
    let made = me.open(&me.root(), "f", &how, ShareAccess::BOTH).await.expect("a file");
    assert_eq!(made.created, Created::New);
    let again = me.open(&me.root(), "f", &how, ShareAccess::BOTH).await.expect("it again");
    assert_eq!((again.created, again.found.node), (Created::Existing, made.found.node));
    assert_eq!(again.dir_change.before, again.dir_change.after);
    for other in [[0; 8], [0xff; 8], *b"verifieR"] {
        let opened = me.open(&me.root(), "f", &exclusive(other), ShareAccess::BOTH).await;
        assert_eq!(done(opened), Err(FsError::Exist), "{other:?}");
    }
    let opened = me.open(&me.root(), "f", &unchecked(0o644), ShareAccess::BOTH).await.expect("it is there");
    assert_eq!(opened.created, Created::Existing);
    // A file that was not made so has no verifier, not even zeros.
    me.new_file("plain").await;
    assert_eq!(
        done(me.open(&me.root(), "plain", &exclusive([0; 8]), ShareAccess::BOTH).await),
        Err(FsError::Exist)
    );
    // The verifiers are those of files, not of names.
    me.remove(&me.root(), "f").await.expect("removed");
    let next = me.open(&me.root(), "f", &how, ShareAccess::BOTH).await.expect("another file");
    assert_eq!(next.created, Created::New);
    assert_ne!(next.found.node, made.found.node);
    let set = CreateMode::Exclusive(*b"with set", mode(0o604));
    for created in [Created::New, Created::Existing] {
        let opened = me.open(&me.root(), "g", &set, ShareAccess::BOTH).await.expect("a file");
        assert_eq!((opened.created, opened.found.attributes.mode), (created, 0o604));
    }
}

pub async fn the_verifier_lasts_until_attributes_are_set(world: &mut World) {
    let me = world.me();
    let how = exclusive(VERIFIER);
    let made = me.open(&me.root(), "f", &how, ShareAccess::BOTH).await.expect("a file");
    me.write(&made.found.node, 0, b"x").await.expect("a write");
    me.commit(&made.found.node).await.expect("a commit");
    me.read(&made.found.node, 0, 9).await.expect("a read");
    me.open(&me.root(), "f", &how, ShareAccess::BOTH).await.expect("a write is no SETATTR");
    me.chmod(&made.found.node, 0o600).await.expect("a mode");
    let again = me.open(&me.root(), "f", &how, ShareAccess::BOTH).await;
    assert_eq!(done(again), Err(FsError::Exist));
}

pub async fn only_files_are_opened(world: &mut World) {
    let me = world.me();
    let cases = [
        ("directory", NewNode::Directory, FsError::IsDir),
        ("symlink", NewNode::Symlink("x".into()), FsError::Symlink),
        ("pipe", NewNode::Fifo, FsError::WrongType),
        ("socket", NewNode::Socket, FsError::WrongType),
    ];
    for (name, what, expected) in cases {
        let node = me.make(&me.root(), name, &what, &mode(0o777)).await.expect(name).node;
        let opened = me.open(&me.root(), name, &unchecked(0o644), ShareAccess::READ).await;
        assert_eq!(done(opened), Err(expected), "{name}");
        assert_eq!(done(me.hold(&node, ShareAccess::READ).await), Err(expected), "{name}");
        let guarded = me.open(&me.root(), name, &guarded(0), ShareAccess::READ).await;
        assert_eq!(done(guarded), Err(FsError::Exist), "{name}");
    }
}

pub async fn a_new_file_is_opened_whatever_its_mode(world: &mut World) {
    let me = world.me();
    let made = me.open(&me.root(), "f", &unchecked(0), ShareAccess::BOTH).await.expect("a file");
    assert_eq!(made.found.attributes.mode, 0);
    me.write(&made.found.node, 0, b"data").await.expect("it is open for writing");
    assert_eq!(me.read(&made.found.node, 0, 9).await, Ok("data".into()));
}

pub async fn what_is_there_is_not_made_again(world: &mut World) {
    let me = world.me();
    me.new_file("file").await;
    me.dir("directory").await;
    me.make(&me.root(), "link", &NewNode::Symlink("x".into()), &mode(0o777)).await.expect("a link");
    let before = me.attributes(&me.root()).await.expect("the root");
    for name in ["file", "directory", "link"] {
        for what in [NewNode::Directory, NewNode::Symlink("y".into()), NewNode::Fifo, NewNode::Socket] {
            let made = me.make(&me.root(), name, &what, &mode(0o755)).await;
            assert_eq!(done(made), Err(FsError::Exist), "{what:?} {name}");
        }
    }
    assert_eq!(me.attributes(&me.root()).await.expect("the root").change, before.change);
}

pub async fn names_are_any_bytes_up_to_the_limit(world: &mut World) {
    let me = world.me();
    let longest = usize::try_from(me.fs.info().max_name).expect("a length");
    let names: [&[u8]; 12] = [
        b"\x01",
        b"\xff",
        b"not \xff UTF-8",
        b"...",
        b".hidden",
        b" ",
        b"a\nb",
        b"\\",
        b"*?",
        b"caf\xc3\xa9",
        b"cafe\xcc\x81",
        &vec![b'n'; longest],
    ];
    for name in names {
        let made = me.file(&me.root(), name, 0o644).await;
        if me.fs.info().case_insensitive && made.is_err() {
            assert_eq!(made, Err(FsError::BadName), "{name:?}");
            continue;
        }
        assert_eq!(me.lookup(&me.root(), name).await, made, "{name:?}");
        let listed = me.list(&me.root(), AttrMask::EMPTY, 99).await.expect("a listing");
        assert!(listed.iter().any(|entry| entry.name == name), "{name:?}");
    }
    let longer = "n".repeat(longest + 1);
    let too_long = Err(FsError::NameTooLong);
    let (top, file) = (me.root(), me.lookup(&me.root(), [0xff]).await.expect("a file"));
    assert_eq!(done(me.file(&top, &longer, 0o644).await), too_long);
    assert_eq!(done(me.mkdir(&top, &longer, 0o755).await), too_long);
    assert_eq!(done(me.lookup(&top, &longer).await), too_long);
    assert_eq!(done(me.link(&file, &top, &longer).await), too_long);
    assert_eq!(done(me.remove(&top, &longer).await), too_long);
    assert_eq!(done(me.rename((&top, " "), (&top, &longer)).await), too_long);
    assert_eq!(done(me.rename((&top, &longer), (&top, " ")).await), too_long);
}

pub async fn symbolic_links_keep_any_target(world: &mut World) {
    let me = world.me();
    if !me.fs.info().symlink_support {
        let made = me.make(&me.root(), "l", &NewNode::Symlink("x".into()), &mode(0o777)).await;
        return assert_eq!(done(made), Err(FsError::BadType));
    }
    let targets: [&[u8]; 6] = [b"x", b"/", b"../../x", b"a\xff\n", b"caf\xc3\xa9", &[b'a'; 1000]];
    for (number, target) in targets.into_iter().enumerate() {
        let what = NewNode::Symlink(bytes::Bytes::copy_from_slice(target));
        let made = me.make(&me.root(), format!("{number}"), &what, &mode(0o777)).await.expect("a link");
        assert_eq!(made.attributes.size, target.len() as u64);
        assert_eq!(me.fs.readlink(&me.cx, &made.node).await.as_deref(), Ok(target));
    }
}

pub async fn only_symbolic_links_are_read_as_such(world: &mut World) {
    let me = world.me();
    let file = me.new_file("file").await;
    let pipe = me.make(&me.root(), "pipe", &NewNode::Fifo, &mode(0o644)).await.expect("a pipe").node;
    for node in [me.root(), file, pipe] {
        assert_eq!(me.fs.readlink(&me.cx, &node).await, Err(FsError::Inval));
    }
}
