//! Extended attributes. RFC 8276 section 8.4.

use bytes::Bytes;

use super::World;
use super::world::{Caller, done, mode};
use crate::fs::{AccessMask, FsError, FsResult, NewNode, NodeHandle, XattrSet, Xattrs};

impl Caller {
    fn xattrs(&self) -> Option<&dyn Xattrs> {
        self.fs.xattrs()
    }

    pub(super) async fn set_xattr(
        &self,
        node: &NodeHandle,
        name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        when: XattrSet,
    ) -> FsResult<()> {
        let xattrs = self.xattrs().expect("it has them");
        let value = Bytes::copy_from_slice(value.as_ref());
        done(xattrs.set_xattr(&self.cx, node, name.as_ref(), &value, when).await)
    }

    pub(super) async fn xattr(&self, node: &NodeHandle, name: impl AsRef<[u8]>) -> FsResult<Bytes> {
        self.xattrs().expect("it has them").xattr(&self.cx, node, name.as_ref()).await
    }

    pub(super) async fn remove_xattr(&self, node: &NodeHandle, name: &str) -> FsResult<()> {
        done(self.xattrs().expect("it has them").remove_xattr(&self.cx, node, name.as_bytes()).await)
    }

    pub(super) async fn xattr_names(&self, node: &NodeHandle, max_bytes: u32) -> FsResult<Vec<Bytes>> {
        let (mut names, mut cookie) = (Vec::new(), 0);
        loop {
            let list = self.xattrs().expect("it has them").list_xattrs(&self.cx, node, cookie, max_bytes);
            let page = list.await?;
            let room: usize = page.names.iter().map(|name| 4 + name.len().next_multiple_of(4)).sum();
            assert!(room as u64 <= u64::from(max_bytes), "{room} in {max_bytes}");
            assert!(page.eof || !page.names.is_empty(), "neither names nor the end");
            names.extend(page.names);
            if page.eof {
                names.sort();
                return Ok(names);
            }
            cookie = page.cookie;
        }
    }
}

pub async fn xattrs_are_set_by_what_is_there(world: &mut World) {
    let me = world.me();
    if me.xattrs().is_none() {
        return;
    }
    let cases = [
        ("new", XattrSet::Either, Ok(())),
        ("there", XattrSet::Either, Ok(())),
        ("new", XattrSet::Create, Ok(())),
        ("there", XattrSet::Create, Err(FsError::Exist)),
        ("new", XattrSet::Replace, Err(FsError::NoXattr)),
        ("there", XattrSet::Replace, Ok(())),
    ];
    for (number, (name, when, expected)) in cases.into_iter().enumerate() {
        let what = format!("{when:?} {name}");
        let file = me.new_file(&number.to_string()).await;
        me.set_xattr(&file, "there", "old", XattrSet::Either).await.expect("an attribute");
        let before = me.attributes(&file).await.expect("a file").change;
        world.tick().await;
        assert_eq!(me.set_xattr(&file, name, "value", when).await, expected, "{what}");
        let after = me.attributes(&file).await.expect("a file").change;
        let value = me.xattr(&file, name).await;
        if expected.is_ok() {
            me.assert_changed(before, after, &what);
            assert_eq!(value, Ok("value".into()), "{what}");
        } else {
            assert_eq!(before, after, "{what}");
            assert_eq!(
                value,
                if name == "there" { Ok("old".into()) } else { Err(FsError::NoXattr) },
                "{what}"
            );
        }
    }
}

pub async fn xattrs_are_any_bytes(world: &mut World) {
    let me = world.me();
    if me.xattrs().is_none() {
        return;
    }
    let file = me.new_file("f").await;
    let names: [&[u8]; 5] = [b"a", b"caf\xc3\xa9", b"not.\xff", b"A", &[b'n'; 200]];
    let values: [&[u8]; 5] = [b"", b"\0", b"\0\xff\0", b"text", &[7; 1000]];
    for round in 0..2 {
        for (index, name) in names.iter().enumerate() {
            let value = values[(index + round) % values.len()];
            assert_eq!(me.set_xattr(&file, name, value, XattrSet::Either).await, Ok(()), "{name:?}");
            assert_eq!(me.xattr(&file, name).await.as_deref(), Ok(value), "{name:?}");
        }
    }
    let mut expected = names.map(Bytes::copy_from_slice).to_vec();
    expected.sort();
    assert_eq!(me.xattr_names(&file, 10_000).await, Ok(expected));
}

pub async fn xattrs_are_removed(world: &mut World) {
    let me = world.me();
    if me.xattrs().is_none() {
        return;
    }
    let file = me.new_file("f").await;
    assert_eq!(me.xattr(&file, "a").await, Err(FsError::NoXattr));
    assert_eq!(me.remove_xattr(&file, "a").await, Err(FsError::NoXattr));
    me.set_xattr(&file, "a", "1", XattrSet::Either).await.expect("an attribute");
    me.set_xattr(&file, "b", "2", XattrSet::Either).await.expect("an attribute");
    let before = me.attributes(&file).await.expect("a file").change;
    world.tick().await;
    me.remove_xattr(&file, "a").await.expect("removed");
    me.assert_changed(before, me.attributes(&file).await.expect("a file").change, "removed");
    assert_eq!(me.xattr(&file, "a").await, Err(FsError::NoXattr));
    assert_eq!(me.remove_xattr(&file, "a").await, Err(FsError::NoXattr));
    assert_eq!(me.xattr_names(&file, 100).await, Ok(vec!["b".into()]));
    me.set_xattr(&file, "a", "again", XattrSet::Create).await.expect("an attribute");
    assert_eq!(me.xattr(&file, "a").await, Ok("again".into()));
}

pub async fn xattrs_of_types(world: &mut World) {
    let me = world.me();
    if me.xattrs().is_none() {
        return;
    }
    let cases = [
        ("directory", NewNode::Directory, Ok(())),
        ("symlink", NewNode::Symlink("x".into()), Err(FsError::Perm)),
        ("pipe", NewNode::Fifo, Err(FsError::Perm)),
    ];
    for (name, what, expected) in cases {
        let node = me.make(&me.root(), name, &what, &mode(0o777)).await.expect(name).node;
        assert_eq!(me.xattr(&node, "a").await, Err(FsError::NoXattr), "{name}");
        assert_eq!(me.set_xattr(&node, "a", "1", XattrSet::Either).await, expected, "{name}");
        let names = if expected.is_ok() { vec!["a".into()] } else { vec![] };
        assert_eq!(me.xattr_names(&node, 100).await, Ok(names), "{name}");
    }
}

pub async fn listing_xattrs_goes_on_from_its_cookie(world: &mut World) {
    let me = world.me();
    let Some(xattrs) = me.xattrs() else { return };
    let file = me.new_file("f").await;
    for name in ["one", "three", "seven", "eleven"] {
        me.set_xattr(&file, name, "", XattrSet::Either).await.expect("an attribute");
    }
    let too_small = xattrs.list_xattrs(&me.cx, &file, 0, 7).await.expect("a list");
    assert!(too_small.names.is_empty() && !too_small.eof);
    // Each name takes 8 or 12 bytes.
    for room in [12, 16, 20, 24, 31, 32, 40, 1000] {
        let names = me.xattr_names(&file, room).await.expect("a list");
        assert_eq!(names, ["eleven", "one", "seven", "three"], "in {room}");
    }
    let first = xattrs.list_xattrs(&me.cx, &file, 0, 12).await.expect("a list");
    assert!(first.names.len() == 1 && !first.eof);
    let gone = String::from_utf8_lossy(&first.names[0]).into_owned();
    me.remove_xattr(&file, &gone).await.expect("removed");
    let rest = xattrs.list_xattrs(&me.cx, &file, first.cookie, 100).await.expect("a list");
    assert!(rest.eof && rest.names.len() == 3 && !rest.names.contains(&first.names[0]), "{rest:?}");
}

pub async fn a_long_list_of_xattrs(world: &mut World) {
    let me = world.me();
    if me.xattrs().is_none() {
        return;
    }
    let file = me.new_file("f").await;
    let mut expected = Vec::new();
    for number in 0..60 {
        let name = format!("attribute {number}");
        me.set_xattr(&file, &name, number.to_string(), XattrSet::Create).await.expect("an attribute");
        expected.push(Bytes::from(name));
    }
    expected.sort();
    for room in [32, 100, 1000, 100_000] {
        assert_eq!(me.xattr_names(&file, room).await.as_ref(), Ok(&expected), "in {room}");
    }
    assert_eq!(me.xattr(&file, "attribute 59").await, Ok("59".into()));
}

pub async fn xattrs_go_with_their_object(world: &mut World) {
    let me = world.me();
    if me.xattrs().is_none() {
        return;
    }
    let file = me.new_file("f").await;
    me.set_xattr(&file, "a", "1", XattrSet::Either).await.expect("an attribute");
    me.rename((&me.root(), "f"), (&me.root(), "g")).await.expect("renamed");
    assert_eq!(me.xattr(&file, "a").await, Ok("1".into()));
    me.remove(&me.root(), "g").await.expect("removed");
    assert_eq!(me.xattr(&file, "a").await, Err(FsError::Stale));
    assert_eq!(me.set_xattr(&file, "a", "1", XattrSet::Either).await, Err(FsError::Stale));
    assert_eq!(me.xattr_names(&file, 100).await, Err(FsError::Stale));
    let next = me.new_file("g").await;
    assert_eq!(me.xattr(&next, "a").await, Err(FsError::NoXattr));
}

pub async fn access_to_xattrs_is_told(world: &mut World) {
    let me = world.me();
    if me.xattrs().is_none() {
        return;
    }
    let all = AccessMask::XAREAD | AccessMask::XAWRITE | AccessMask::XALIST;
    for node in [me.new_file("f").await, me.dir("d").await] {
        me.chmod(&node, 0o700).await.expect("a mode");
        assert_eq!(me.fs.access(&me.cx, &node, all).await, Ok(all));
    }
}
