//! Origin: the statements of the RFC, one by one.
//! RFC: 8276 section 8.4.2.

use std::sync::Arc;

use dittofs_framework::proto::{
    NFS4ERR_ACCESS, NFS4ERR_BADCHAR, NFS4ERR_BADXDR, NFS4ERR_EXIST, NFS4ERR_INVAL, NFS4ERR_NAMETOOLONG,
    NFS4ERR_NOTSUPP, NFS4ERR_NOXATTR, NFS4ERR_PERM, NFS4ERR_STALE, NFS4ERR_XATTR2BIG, Status, component,
};
use dittofs_framework::xdr::{Opaque, encode_to_bytes};
use dittofs_ops::getxattr::{GetXattr, GetXattr4Args};
use dittofs_ops::setxattr::{SetXattr, SetXattr4Args, SetXattrOption4};
use dittofs_tests::{SessionOptions, TestServerOptions};
use rstest::rstest;

use crate::common::{Object, World, put};
use crate::plain::Plain;

fn args(option: SetXattrOption4, key: &str, value: &str) -> SetXattr4Args {
    SetXattr4Args { option, key: component(key), value: Opaque::from(value) }
}

const EITHER: SetXattrOption4 = SetXattrOption4::Either;
const CREATE: SetXattrOption4 = SetXattrOption4::Create;
const REPLACE: SetXattrOption4 = SetXattrOption4::Replace;

#[rstest]
#[case::either_new(EITHER, "new", Ok(()))]
#[case::either_there(EITHER, "there", Ok(()))]
#[case::create_new(CREATE, "new", Ok(()))]
#[case::create_there(CREATE, "there", Err(NFS4ERR_EXIST))]
#[case::replace_new(REPLACE, "new", Err(NFS4ERR_NOXATTR))]
#[case::replace_there(REPLACE, "there", Ok(()))]
#[tokio::test]
async fn an_attribute_is_set(
    #[case] option: SetXattrOption4,
    #[case] key: &str,
    #[case] expected: Result<(), Status>,
) {
    let mut world = World::new().await;
    world.set_xattr("there", "before").await;
    let before = world.change().await;
    let set = world.run::<SetXattr>(&args(option, key, "after")).await;
    assert_eq!(set.as_ref().map(|_| ()).map_err(|status| *status), expected);
    let after = world.change().await;
    match set {
        Ok(info) => assert_eq!((info.atomic, info.before, info.after), (true, before, after)),
        Err(_) => assert_eq!(before, after),
    }
    assert_eq!(before == after, expected.is_err());
    let value = world.run::<GetXattr>(&GetXattr4Args { name: component(key) }).await;
    let expected_value = match (expected, key) {
        (Ok(()), _) => Ok(&b"after"[..]),
        (Err(_), "there") => Ok(&b"before"[..]),
        _ => Err(NFS4ERR_NOXATTR),
    };
    assert_eq!(value.as_deref().map_err(|status| *status), expected_value);
    world.stop().await;
}

#[rstest]
#[case::no_name("", 1, Err(NFS4ERR_INVAL))]
#[case::nul("na\0me", 1, Err(NFS4ERR_BADCHAR))]
#[case::slash("na/me", 1, Ok(()))]
#[case::dots("..", 1, Ok(()))]
#[case::longest_name(&*"n".repeat(255), 1, Ok(()))]
#[case::too_long(&*"n".repeat(256), 1, Err(NFS4ERR_NAMETOOLONG))]
#[case::longest_value("name", 65_536, Ok(()))]
#[case::too_big("name", 65_537, Err(NFS4ERR_XATTR2BIG))]
#[tokio::test]
async fn a_name_and_a_value_are(
    #[case] key: &str,
    #[case] value_len: usize,
    #[case] expected: Result<(), Status>,
) {
    let mut world = World::new().await;
    let set = world.run::<SetXattr>(&args(EITHER, key, &"v".repeat(value_len))).await;
    assert_eq!(set.map(drop), expected);
    world.stop().await;
}

#[tokio::test]
async fn an_option_that_is_none_is_bad_xdr() {
    let mut world = World::new().await;
    let mut bad = encode_to_bytes(&args(EITHER, "name", "value")).to_vec();
    bad[3] = 3;
    let compound = put(world.session.compound(), &world.file.fh).op_with_args::<SetXattr>(&bad);
    assert_eq!(world.session.run(compound).await.status, NFS4ERR_BADXDR);
    world.stop().await;
}

/// The user name space is one of files and directories alone (RFC 8276 section 8.1).
#[rstest]
#[tokio::test]
async fn other_objects_have_none(
    #[values(Object::Symlink, Object::Fifo, Object::Socket, Object::Block, Object::Char)] object: Object,
) {
    let mut world = World::new().await;
    let fh = world.object(object).await;
    let done = world.run_on::<SetXattr>(&fh, &args(EITHER, "name", "value")).await;
    assert_eq!(done, Err(NFS4ERR_PERM));
    world.stop().await;
}

#[tokio::test]
async fn a_file_system_without_extended_attributes_cannot() {
    let options = TestServerOptions { fs: Arc::new(Plain::default()), ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    assert_eq!(world.run::<SetXattr>(&args(EITHER, "name", "value")).await, Err(NFS4ERR_NOTSUPP));
    let root = world.session.lookup(&[]).await;
    assert_eq!(
        world.run_on::<SetXattr>(&root, &args(EITHER, "name", "value")).await,
        Err(NFS4ERR_NOTSUPP),
        "pseudo file system"
    );
    world.stop().await;
}

#[tokio::test]
async fn it_needs_permission() {
    let mut world = World::new().await;
    world.set_xattr("name", "value").await;
    world.chmod(0o600).await;
    world.session.act_as(1000, 1000, &[]);
    assert_eq!(world.run::<SetXattr>(&args(EITHER, "name", "value")).await, Err(NFS4ERR_ACCESS));
    world.stop().await;
}

#[tokio::test]
async fn a_handle_of_a_removed_file_is_stale() {
    let mut world = World::new().await;
    world.remove("file").await;
    world.close().await;
    assert_eq!(world.run::<SetXattr>(&args(EITHER, "name", "value")).await, Err(NFS4ERR_STALE));
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handle_or_cut_short_is_refused() {
    let mut world = World::new().await;
    world.refuses_without_handle_and_cut_short::<SetXattr>(&args(EITHER, "name", "value")).await;
    world.stop().await;
}
