//! READDIR.
//!
//! Origin: own tables.
//! RFC: 8881 section 18.23.

use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{EntryPlaces, FileSystem, FsError, FsResult, NodeHandle, RequestContext};
use rstest::rstest;

use super::fixture::{World, mode, root, user};

/// Attribute `size`: needs each object's lock.
const SIZE: Bitmap = Bitmap::of(&[4]);
const NONE: [u8; 8] = [0; 8];

#[rstest]
#[case::without_attributes(Bitmap::EMPTY)]
#[case::with_attributes(SIZE)]
fn every_entry_comes_once_whatever_the_room(
    #[case] mask: Bitmap,
    #[values(1, 7, 32, 33, 5_000)] room: usize,
) {
    let world = World::new();
    let dir = world.mkdir(&root(), &world.root(), "d", 0o755).unwrap();
    for number in 0..500 {
        world.file(&root(), &dir, &format!("file {number}"), 0o644).unwrap();
    }
    let (mut all, mut from) = (Vec::new(), (0, NONE));
    loop {
        let (entries, end) = world.list(&root(), &dir, from, mask, room).unwrap();
        assert!(end.eof || entries.len() == room);
        from = (entries.last().map_or(from.0, |(cookie, _)| *cookie), end.cookieverf);
        all.extend(entries);
        if end.eof {
            break;
        }
    }
    assert!(all.iter().all(|(cookie, _)| *cookie > 2));
    let names: Vec<_> = all.into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, (0..500).map(|number| format!("file {number}")).collect::<Vec<_>>());
}

#[test]
fn what_stays_comes_once_while_others_come_and_go() {
    let world = World::new();
    let dir = world.mkdir(&root(), &world.root(), "d", 0o755).unwrap();
    for number in 0..300 {
        world
            .file(
                &root(),
                &dir,
                &format!("{}{number}", if number % 3 == 0 { "stays" } else { "goes" }),
                0o644,
            )
            .unwrap();
    }
    let (mut stayed, mut from, mut step) = (Vec::new(), (0, NONE), 0);
    loop {
        let (entries, end) = world.list(&root(), &dir, from, SIZE, 10).unwrap();
        from = (entries.last().map_or(from.0, |(cookie, _)| *cookie), end.cookieverf);
        stayed.extend(entries.into_iter().map(|(_, name)| name).filter(|name| name.starts_with("stays")));
        if end.eof {
            break;
        }
        for number in (0..300).filter(|number| number % 3 == 1 && number % 7 == step % 7) {
            let _gone_before = world.remove(&root(), &dir, &format!("goes{number}"));
        }
        world.file(&root(), &dir, &format!("comes{step}"), 0o644).unwrap();
        world.rename(&root(), (&dir, &format!("comes{step}")), (&dir, "renamed")).unwrap();
        step += 1;
    }
    assert_eq!(stayed, (0..300).step_by(3).map(|number| format!("stays{number}")).collect::<Vec<_>>());
    world.fs.check_invariants();
}

#[rstest]
#[case::start(0, None, Ok(2))]
#[case::start_with_any_verifier(0, Some([9; 8]), Ok(2))]
#[case::reserved_cookie(1, None, Err(FsError::BadCookie))]
#[case::other_reserved_cookie(2, None, Err(FsError::BadCookie))]
#[case::on_from_the_first(3, None, Ok(1))]
#[case::no_verifier(3, Some(NONE), Err(FsError::BadCookie))]
#[case::foreign_verifier(3, Some([9; 8]), Err(FsError::BadCookie))]
#[case::behind_the_end(99, None, Ok(0))]
fn cookies(#[case] cookie: u64, #[case] verifier: Option<[u8; 8]>, #[case] expected: FsResult<usize>) {
    let world = World::new();
    let dir = world.mkdir(&root(), &world.root(), "d", 0o755).unwrap();
    world.file(&root(), &dir, "a", 0o644).unwrap();
    world.file(&root(), &dir, "b", 0o644).unwrap();
    let (_, end) = world.list(&root(), &dir, (0, NONE), SIZE, 9).unwrap();
    let result = world.list(&root(), &dir, (cookie, verifier.unwrap_or(end.cookieverf)), SIZE, 9);
    assert_eq!(result.map(|(entries, _)| entries.len()), expected);
}

#[test]
fn what_cannot_be_listed() {
    let world = World::new();
    let dir = world.mkdir(&root(), &world.root(), "d", 0o711).unwrap();
    let file = world.file(&root(), &dir, "f", 0o644).unwrap();
    let list = |cx: &RequestContext, node: &NodeHandle| world.list(cx, node, (0, NONE), SIZE, 9).map(|_| ());
    assert_eq!(list(&user(7, &[]), &dir), Err(FsError::Access));
    assert_eq!(list(&root(), &file), Err(FsError::NotDir));
    world.chmod(&root(), &dir, 0o744).unwrap();
    assert_eq!(list(&user(7, &[]), &dir), Ok(()));
    world.remove(&root(), &dir, "f").unwrap();
    world.remove(&root(), &world.root(), "d").unwrap();
    assert_eq!(list(&root(), &dir), Err(FsError::Stale));
}

#[test]
fn many_entries() {
    let world = World::new();
    let top = world.root();
    for number in 0..20_000 {
        world
            .make(&root(), &top, &number.to_string(), &dittofs_framework::fs::NewNode::Fifo, &mode(0o644))
            .unwrap();
    }
    let (entries, end) = world.list(&root(), &top, (0, NONE), SIZE, usize::MAX).unwrap();
    assert!(end.eof && entries.len() == 20_000);
    for number in 0..20_000 {
        world.remove(&root(), &top, &number.to_string()).unwrap();
    }
    world.fs.check_invariants();
}

// Origin: the places that a notification of a new entry names.
// RFC: 8881 section 20.4.3.
#[rstest]
#[case::first("a", None, false)]
#[case::between("b", Some("a"), false)]
#[case::last("c", Some("b"), true)]
#[tokio::test]
async fn an_entry_has_its_place(#[case] name: &str, #[case] previous: Option<&str>, #[case] is_last: bool) {
    let world = World::new();
    let dir = world.mkdir(&root(), &world.root(), "d", 0o755).unwrap();
    for name in ["a", "gone", "b", "c"] {
        world.file(&root(), &dir, name, 0o644).unwrap();
    }
    let request = RequestContext::server();
    world.fs.remove(&request, &dir, b"gone").await.unwrap();
    let (entries, _) = world.list(&root(), &dir, (0, NONE), Bitmap::EMPTY, 10).unwrap();
    let cookie = |name: &str| entries.iter().find(|(_, entry)| entry == name).unwrap().0;
    let place = world.fs.entry_place(&request, &dir, name.as_bytes()).await.unwrap();
    assert_eq!(place.cookie, cookie(name));
    assert_eq!(place.previous, previous.map(|name| (name.to_owned().into(), cookie(name))));
    assert_eq!(place.is_last, is_last);
    let missing = world.fs.entry_place(&request, &dir, b"gone").await;
    assert_eq!(missing, Err(FsError::NotFound));
}
