//! READDIR. RFC 8881 section 18.23.

use std::collections::BTreeSet;

use super::World;
use super::world::{ALL, Caller, Listed, NO_VERIFIER, done, mode};
use crate::attr::Bitmap;
use crate::fs::{FsError, NewNode, NodeHandle, RequestContext};

/// Attribute `size`: needs a look at each object.
const SIZE: Bitmap = Bitmap::of(&[4]);

async fn fill(me: &Caller, dir: &NodeHandle, names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut all = Vec::new();
    for name in names {
        me.make(dir, &name, &NewNode::Symlink("x".into()), &mode(0o777)).await.expect("a link");
        all.push(name);
    }
    all.sort();
    all
}

fn texts(entries: &[Listed]) -> Vec<String> {
    let mut all: Vec<_> = entries.iter().map(Listed::text).collect();
    all.sort();
    all
}

pub async fn an_empty_directory_has_no_entries(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    let (entries, end) = me.page(&dir, (0, NO_VERIFIER), SIZE, 10).await.expect("a listing");
    assert!(entries.is_empty() && end.eof);
    let (entries, end) = me.page(&dir, (0, NO_VERIFIER), SIZE, 0).await.expect("a listing");
    assert!(entries.is_empty() && end.eof, "what has nothing to give ends in any room");
}

pub async fn every_entry_comes_once_whatever_the_room(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    let names = fill(&me, &dir, (0..150).map(|number| format!("file {number}"))).await;
    for mask in [Bitmap::EMPTY, SIZE] {
        for room in [1, 7, 32, 33, 150, 5_000] {
            let (mut all, mut from) = (Vec::new(), (0, NO_VERIFIER));
            loop {
                let (entries, end) = me.page(&dir, from, mask, room).await.expect("a listing");
                assert!(end.eof || entries.len() == room, "{} in a room of {room}", entries.len());
                from = (entries.last().map_or(from.0, |entry| entry.cookie), end.cookieverf);
                all.extend(entries);
                if end.eof {
                    break;
                }
            }
            assert!(all.iter().all(|entry| entry.cookie > 2), "0, 1 and 2 are reserved");
            let cookies: BTreeSet<_> = all.iter().map(|entry| entry.cookie).collect();
            assert_eq!(cookies.len(), all.len(), "cookies differ");
            assert_eq!(texts(&all), names, "in rooms of {room}");
        }
    }
    let (entries, end) = me.page(&dir, (0, NO_VERIFIER), SIZE, 0).await.expect("a listing");
    assert!(entries.is_empty() && !end.eof, "nothing has room");
}

pub async fn listings_carry_handles_and_attributes(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    let file = me.file(&dir, "file", 0o640).await.expect("a file");
    me.write(&file, 0, b"12345").await.expect("a write");
    me.mkdir(&dir, "directory", 0o750).await.expect("a directory");
    fill(&me, &dir, ["link".to_owned()]).await;
    me.link(&file, &dir, "other name").await.expect("a link");
    let entries = me.list(&dir, ALL, 2).await.expect("a listing");
    assert_eq!(texts(&entries), ["directory", "file", "link", "other name"]);
    for entry in entries {
        assert_eq!(me.lookup(&dir, &entry.name).await, Ok(entry.node), "{}", entry.text());
        assert_eq!(me.attributes(&entry.node).await, Ok(entry.attributes.clone()), "{}", entry.text());
    }
}

pub async fn what_stays_comes_once_while_others_come_and_go(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    let stays = |number: &i32| number % 3 == 0;
    let name = |number: i32| format!("{}{number}", if stays(&number) { "stays" } else { "goes" });
    fill(&me, &dir, (0..150).map(name)).await;
    let (mut stayed, mut from, mut step) = (Vec::new(), (0, NO_VERIFIER), 0);
    loop {
        let (entries, end) = me.page(&dir, from, SIZE, 7).await.expect("a listing");
        from = (entries.last().map_or(from.0, |entry| entry.cookie), end.cookieverf);
        stayed.extend(entries.into_iter().filter(|entry| entry.text().starts_with("stays")));
        if end.eof {
            break;
        }
        for number in (0..150).filter(|number| number % 3 == 1 && number % 7 == step % 7) {
            let _gone_before = me.remove(&dir, format!("goes{number}")).await;
        }
        fill(&me, &dir, [format!("comes{step}")]).await;
        me.rename((&dir, &format!("comes{step}")), (&dir, "renamed")).await.expect("renamed");
        step += 1;
        assert!(step < 200, "a listing that does not end");
    }
    let mut expected: Vec<_> = (0..150).filter(stays).map(name).collect();
    expected.sort();
    assert_eq!(texts(&stayed), expected);
}

pub async fn a_listing_goes_on_when_its_last_entry_is_gone(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    let names = fill(&me, &dir, (0..20).map(|number| number.to_string())).await;
    let (mut all, mut from) = (Vec::new(), (0, NO_VERIFIER));
    loop {
        let (entries, end) = me.page(&dir, from, SIZE, 3).await.expect("a listing");
        from = (entries.last().map_or(from.0, |entry| entry.cookie), end.cookieverf);
        for entry in &entries {
            me.remove(&dir, &entry.name).await.expect("removed");
        }
        all.extend(entries);
        if end.eof {
            break;
        }
    }
    assert_eq!(texts(&all), names, "as rm -r has it");
    assert!(me.names(&dir).await.is_empty());
    // Behind the end nothing comes, and what comes then is not missed by who begins anew.
    let (entries, end) = me.page(&dir, from, SIZE, 3).await.expect("a listing");
    assert!(entries.is_empty() && end.eof);
}

pub async fn cookies_stay_while_the_directory_lives(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    fill(&me, &dir, ["a", "b", "c", "d"].map(String::from)).await;
    let (before, end) = me.page(&dir, (0, NO_VERIFIER), SIZE, 99).await.expect("a listing");
    me.rename((&dir, "b"), (&me.root(), "b")).await.expect("moved away");
    me.remove(&dir, "c").await.expect("removed");
    fill(&me, &dir, ["e", "f"].map(String::from)).await;
    // Whatever has become of the entry, its cookie leads to those that stay and were behind it, and to none that was before it.
    let stays = |entry: &&Listed| ["a", "d"].contains(&entry.text().as_str());
    for (place, entry) in before.iter().enumerate() {
        let (after, _) = me.page(&dir, (entry.cookie, end.cookieverf), SIZE, 99).await.expect("a listing");
        let expected: Vec<_> = before[place + 1..].iter().filter(stays).map(Listed::text).collect();
        let found: Vec<_> = after.iter().filter(stays).map(Listed::text).collect();
        assert_eq!(found, expected, "from behind {}", entry.text());
    }
}

pub async fn a_big_directory(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    let count = 10 * world.rounds();
    let names = fill(&me, &dir, (0..count).map(|number| number.to_string())).await;
    assert_eq!(texts(&me.list(&dir, SIZE, usize::MAX).await.expect("a listing")), names);
    assert_eq!(texts(&me.list(&dir, Bitmap::EMPTY, 100).await.expect("a listing")), names);
    let last = names.last().expect("a name");
    assert_eq!(done(me.lookup(&dir, last).await), Ok(()));
    for name in &names {
        me.remove(&dir, name).await.expect("removed");
    }
    me.remove(&me.root(), "d").await.expect("it is empty");
}

pub async fn what_cannot_be_listed(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    let file = me.file(&dir, "f", 0o644).await.expect("a file");
    assert_eq!(done(me.list(&file, SIZE, 9).await), Err(FsError::NotDir));
    me.remove(&dir, "f").await.expect("removed");
    me.remove(&me.root(), "d").await.expect("removed");
    assert_eq!(done(me.list(&dir, SIZE, 9).await), Err(FsError::Stale));
}

pub async fn entries_have_their_places(world: &mut World) {
    let me = world.me();
    let dir = me.dir("d").await;
    fill(&me, &dir, ["a", "gone", "b", "c"].map(String::from)).await;
    me.remove(&dir, "gone").await.expect("removed");
    let Some(places) = me.fs.entry_places() else { return };
    let listed = me.list(&dir, Bitmap::EMPTY, 10).await.expect("a listing");
    let server = RequestContext::server();
    for (index, entry) in listed.iter().enumerate() {
        let place = places.entry_place(&server, &dir, &entry.name).await.expect("a place");
        assert_eq!(place.cookie, entry.cookie);
        let previous = index.checked_sub(1).and_then(|index| listed.get(index));
        assert_eq!(place.previous, previous.map(|entry| (entry.name.clone(), entry.cookie)));
        assert_eq!(place.is_last, index + 1 == listed.len());
    }
    assert_eq!(places.entry_place(&server, &dir, b"gone").await, Err(FsError::NotFound));
    let file = me.new_file("f").await;
    assert_eq!(places.entry_place(&server, &file, b"x").await, Err(FsError::NotDir));
}
