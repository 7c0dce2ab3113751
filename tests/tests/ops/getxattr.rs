//! Origin: the statements of the RFC, one by one.
//! RFC: 8276 section 8.4.1.

use std::sync::Arc;

use dittofs_framework::proto::{
    NFS4ERR_ACCESS, NFS4ERR_INVAL, NFS4ERR_NOTSUPP, NFS4ERR_NOXATTR, NFS4ERR_REP_TOO_BIG, NFS4ERR_STALE,
    Status, component,
};
use dittofs_ops::getxattr::{GetXattr, GetXattr4Args};
use dittofs_tests::{SessionOptions, TestServerOptions};
use rstest::rstest;

use crate::common::{Object, World};
use crate::plain::Plain;

fn args(name: &str) -> GetXattr4Args {
    GetXattr4Args { name: component(name) }
}

#[rstest]
#[case::there("name", Ok("value"))]
#[case::empty_value("empty", Ok(""))]
#[case::missing("nothing", Err(NFS4ERR_NOXATTR))]
#[case::other_case("Name", Err(NFS4ERR_NOXATTR))]
#[case::too_long(&*"n".repeat(256), Err(NFS4ERR_NOXATTR))]
#[case::no_name("", Err(NFS4ERR_INVAL))]
#[case::nul("na\0me", Err(NFS4ERR_INVAL))]
#[tokio::test]
async fn an_attribute_is(#[case] name: &str, #[case] expected: Result<&str, Status>) {
    let mut world = World::new().await;
    world.set_xattr("name", "value").await;
    world.set_xattr("empty", "").await;
    let value = world.run::<GetXattr>(&args(name)).await;
    assert_eq!(value.as_deref().map_err(|status| *status), expected.map(str::as_bytes));
    world.stop().await;
}

#[tokio::test]
async fn a_directory_has_attributes() {
    let mut world = World::new().await;
    let dir = world.object(Object::Dir).await;
    assert_eq!(world.run_on::<GetXattr>(&dir, &args("name")).await, Err(NFS4ERR_NOXATTR));
    world.set_xattr_of(&dir, "name", "value").await;
    assert_eq!(world.run_on::<GetXattr>(&dir, &args("name")).await.unwrap()[..], *b"value");
    world.stop().await;
}

/// "... such as to cause the channel's negotiated maximum response size to be exceeded, then the server MUST return
/// NFS4ERR_REP_TOO_BIG."
#[tokio::test]
async fn a_value_over_the_sessions_limit_is_too_big() {
    let mut session = SessionOptions::default();
    session.fore_channel.max_response_size = 1024;
    let mut world = World::with(TestServerOptions::default(), session).await;
    world.set_xattr("name", &"v".repeat(1024)).await;
    assert_eq!(world.run::<GetXattr>(&args("name")).await, Err(NFS4ERR_REP_TOO_BIG));
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
    let done = world.run_on::<GetXattr>(&fh, &args("name")).await;
    assert_eq!(done, Err(NFS4ERR_NOXATTR));
    world.stop().await;
}

#[tokio::test]
async fn a_file_system_without_extended_attributes_cannot() {
    let options = TestServerOptions { fs: Arc::new(Plain::default()), ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    assert_eq!(world.run::<GetXattr>(&args("name")).await, Err(NFS4ERR_NOTSUPP));
    let root = world.session.lookup(&[]).await;
    assert_eq!(
        world.run_on::<GetXattr>(&root, &args("name")).await,
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
    assert_eq!(world.run::<GetXattr>(&args("name")).await, Err(NFS4ERR_ACCESS));
    world.stop().await;
}

#[tokio::test]
async fn a_handle_of_a_removed_file_is_stale() {
    let mut world = World::new().await;
    world.remove("file").await;
    world.close().await;
    assert_eq!(world.run::<GetXattr>(&args("name")).await, Err(NFS4ERR_STALE));
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handle_or_cut_short_is_refused() {
    let mut world = World::new().await;
    world.refuses_without_handle_and_cut_short::<GetXattr>(&args("name")).await;
    world.stop().await;
}
