//! Origin: the statements of the RFC, one by one.
//! RFC: 8276 section 8.4.4.

use std::sync::Arc;

use dittofs_framework::proto::{
    NFS4ERR_ACCESS, NFS4ERR_BADCHAR, NFS4ERR_INVAL, NFS4ERR_NOTSUPP, NFS4ERR_NOXATTR, NFS4ERR_PERM,
    NFS4ERR_STALE, Status, component,
};
use dittofs_ops::removexattr::{RemoveXattr, RemoveXattr4Args};
use dittofs_tests::{SessionOptions, TestServerOptions};
use rstest::rstest;

use crate::common::{Object, World};
use crate::plain::Plain;

fn args(name: &str) -> RemoveXattr4Args {
    RemoveXattr4Args { name: component(name) }
}

#[tokio::test]
async fn an_attribute_is_removed_once() {
    let mut world = World::new().await;
    world.set_xattr("name", "value").await;
    let before = world.change().await;
    let info = world.run::<RemoveXattr>(&args("name")).await.unwrap();
    let after = world.change().await;
    assert_ne!(before, after);
    assert_eq!((info.atomic, info.before, info.after), (true, before, after));
    assert_eq!(world.run::<RemoveXattr>(&args("name")).await, Err(NFS4ERR_NOXATTR));
    assert_eq!(world.change().await, after);
    world.stop().await;
}

#[rstest]
#[case::missing("nothing", NFS4ERR_NOXATTR)]
#[case::too_long(&*"n".repeat(256), NFS4ERR_NOXATTR)]
#[case::no_name("", NFS4ERR_INVAL)]
#[case::nul("na\0me", NFS4ERR_BADCHAR)]
#[tokio::test]
async fn a_name_is_refused(#[case] name: &str, #[case] expected: Status) {
    let mut world = World::new().await;
    world.set_xattr("name", "value").await;
    assert_eq!(world.run::<RemoveXattr>(&args(name)).await, Err(expected));
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
    let done = world.run_on::<RemoveXattr>(&fh, &args("name")).await;
    assert_eq!(done, Err(NFS4ERR_PERM));
    world.stop().await;
}

#[tokio::test]
async fn a_file_system_without_extended_attributes_cannot() {
    let options = TestServerOptions { fs: Arc::new(Plain::default()), ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    assert_eq!(world.run::<RemoveXattr>(&args("name")).await, Err(NFS4ERR_NOTSUPP));
    let root = world.session.lookup(&[]).await;
    assert_eq!(
        world.run_on::<RemoveXattr>(&root, &args("name")).await,
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
    assert_eq!(world.run::<RemoveXattr>(&args("name")).await, Err(NFS4ERR_ACCESS));
    world.stop().await;
}

#[tokio::test]
async fn a_handle_of_a_removed_file_is_stale() {
    let mut world = World::new().await;
    world.remove("file").await;
    world.close().await;
    assert_eq!(world.run::<RemoveXattr>(&args("name")).await, Err(NFS4ERR_STALE));
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handle_or_cut_short_is_refused() {
    let mut world = World::new().await;
    world.refuses_without_handle_and_cut_short::<RemoveXattr>(&args("name")).await;
    world.stop().await;
}
