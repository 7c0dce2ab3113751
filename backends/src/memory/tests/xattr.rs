//! Extended attributes.
//!
//! Origin: own tables.
//! RFC: 8276 section 8.4.

use bytes::Bytes;
use dittofs_framework::fs::{FsError, FsResult, NewNode, NodeHandle, RequestContext, XattrSet, Xattrs};
use rstest::rstest;

use super::fixture::{World, mode, root, run, user};
use crate::memory::xattr::{MAX_XATTR_NAME, MAX_XATTR_TOTAL, MAX_XATTR_VALUE};

impl World {
    fn set_xattr(
        &self,
        cx: &RequestContext,
        node: &NodeHandle,
        name: &[u8],
        value: &[u8],
        when: XattrSet,
    ) -> FsResult<()> {
        run(self.fs.set_xattr(cx, node, name, &Bytes::copy_from_slice(value), when)).map(|_| ())
    }

    fn xattr(&self, cx: &RequestContext, node: &NodeHandle, name: &[u8]) -> FsResult<Bytes> {
        run(self.fs.xattr(cx, node, name))
    }
}

fn file(world: &World) -> NodeHandle {
    world.file(&root(), &world.root(), "f", 0o644).unwrap()
}

#[rstest]
#[case::either_new("new", XattrSet::Either, Ok(()))]
#[case::either_there("there", XattrSet::Either, Ok(()))]
#[case::create_new("new", XattrSet::Create, Ok(()))]
#[case::create_there("there", XattrSet::Create, Err(FsError::Exist))]
#[case::replace_new("new", XattrSet::Replace, Err(FsError::NoXattr))]
#[case::replace_there("there", XattrSet::Replace, Ok(()))]
fn when_to_set(#[case] name: &str, #[case] when: XattrSet, #[case] expected: FsResult<()>) {
    let world = World::new();
    let file = file(&world);
    world.set_xattr(&root(), &file, b"there", b"old", XattrSet::Either).unwrap();
    assert_eq!(world.set_xattr(&root(), &file, name.as_bytes(), b"value", when), expected);
    let value = world.xattr(&root(), &file, name.as_bytes());
    let kept = if name == "there" { Ok(Bytes::from("old")) } else { Err(FsError::NoXattr) };
    assert_eq!(value, if expected.is_ok() { Ok(Bytes::from("value")) } else { kept });
    world.fs.check_invariants();
}

#[test]
fn removal() {
    let world = World::new();
    let file = file(&world);
    assert_eq!(run(world.fs.remove_xattr(&root(), &file, b"a")), Err(FsError::NoXattr));
    world.set_xattr(&root(), &file, b"a", b"1", XattrSet::Either).unwrap();
    run(world.fs.remove_xattr(&root(), &file, b"a")).unwrap();
    assert_eq!(world.xattr(&root(), &file, b"a"), Err(FsError::NoXattr));
    assert_eq!(run(world.fs.remove_xattr(&root(), &file, b"a")), Err(FsError::NoXattr));
    world.fs.check_invariants();
}

#[rstest]
#[case::longest_name(MAX_XATTR_NAME, 1, Ok(()))]
#[case::longer_name(MAX_XATTR_NAME + 1, 1, Err(FsError::NameTooLong))]
#[case::longest_value(1, MAX_XATTR_VALUE, Ok(()))]
#[case::longer_value(1, MAX_XATTR_VALUE + 1, Err(FsError::XattrTooBig))]
#[case::no_value(1, 0, Ok(()))]
fn limits(#[case] name: usize, #[case] value: usize, #[case] expected: FsResult<()>) {
    let world = World::new();
    let file = file(&world);
    assert_eq!(
        world.set_xattr(&root(), &file, &vec![b'n'; name], &vec![1; value], XattrSet::Either),
        expected
    );
}

#[test]
fn an_object_has_so_much_and_no_more() {
    let world = World::new();
    let file = file(&world);
    let value = vec![1; MAX_XATTR_VALUE];
    let fit = (MAX_XATTR_TOTAL / (MAX_XATTR_VALUE as u64 + 70)) as usize;
    for number in 0..fit {
        world.set_xattr(&root(), &file, number.to_string().as_bytes(), &value, XattrSet::Create).unwrap();
    }
    assert_eq!(world.set_xattr(&root(), &file, b"more", &value, XattrSet::Create), Err(FsError::NoSpace));
    world.set_xattr(&root(), &file, b"0", &value, XattrSet::Replace).expect("it takes the old one's place");
    world.fs.check_invariants();
    world.remove(&root(), &world.root(), "f").unwrap();
    world.fs.check_invariants();
}

#[rstest]
#[case::reader(0o604, true, false)]
#[case::writer(0o602, false, true)]
#[case::both(0o606, true, true)]
#[case::neither(0o660, false, false)]
fn permissions(#[case] bits: u32, #[case] reads: bool, #[case] writes: bool) {
    let world = World::new();
    let file = file(&world);
    world.set_xattr(&root(), &file, b"a", b"1", XattrSet::Either).unwrap();
    world.chmod(&root(), &file, bits).unwrap();
    let other = user(7, &[]);
    let access = |allowed: bool| if allowed { Ok(()) } else { Err(FsError::Access) };
    assert_eq!(world.xattr(&other, &file, b"a").map(|_| ()), access(reads));
    assert_eq!(run(world.fs.list_xattrs(&other, &file, 0, 100)).map(|_| ()), access(reads));
    assert_eq!(world.set_xattr(&other, &file, b"a", b"2", XattrSet::Either), access(writes));
    assert_eq!(run(world.fs.remove_xattr(&other, &file, b"a")).map(|_| ()), access(writes));
}

#[rstest]
#[case::directory(NewNode::Directory, 0o777, Ok(()), FsError::NoXattr)]
#[case::sticky_directory(NewNode::Directory, 0o1777, Err(FsError::Perm), FsError::NoXattr)]
#[case::symlink(NewNode::Symlink("x".into()), 0o777, Err(FsError::Perm), FsError::NoXattr)]
#[case::pipe(NewNode::Fifo, 0o777, Err(FsError::Perm), FsError::NoXattr)]
fn types(#[case] what: NewNode, #[case] bits: u32, #[case] set: FsResult<()>, #[case] get: FsError) {
    let world = World::new();
    let node = world.make(&root(), &world.root(), "x", &what, &mode(bits)).unwrap().node;
    let other = user(7, &[]);
    assert_eq!(world.xattr(&other, &node, b"a"), Err(get));
    assert_eq!(world.set_xattr(&other, &node, b"a", b"1", XattrSet::Either), set);
    assert!(run(world.fs.list_xattrs(&other, &node, 0, 100)).unwrap().eof);
}

#[test]
fn listing_goes_on_from_its_cookie() {
    let world = World::new();
    let file = file(&world);
    for name in ["one", "three", "seven", "eleven"] {
        world.set_xattr(&root(), &file, name.as_bytes(), b"", XattrSet::Either).unwrap();
    }
    let list = |cookie, max| run(world.fs.list_xattrs(&root(), &file, cookie, max)).unwrap();
    let too_small = list(0, 7);
    assert!(too_small.names.is_empty() && !too_small.eof);
    let first = list(0, 8 + 12 + 11);
    assert_eq!((first.names, first.eof), (vec![Bytes::from("one"), Bytes::from("three")], false));
    run(world.fs.remove_xattr(&root(), &file, b"three")).unwrap();
    let rest = list(first.cookie, 24);
    assert_eq!((rest.names, rest.eof), (vec![Bytes::from("seven"), Bytes::from("eleven")], true));
    assert!(list(rest.cookie, 100).names.is_empty());
}
