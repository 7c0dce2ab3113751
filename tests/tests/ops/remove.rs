//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 section 18.25.

use dittofs_framework::attr::FATTR4_NUMLINKS;
use dittofs_framework::proto::{
    NFS4_OK, NFS4ERR_ACCESS, NFS4ERR_NOENT, NFS4ERR_NOTDIR, NFS4ERR_NOTEMPTY, NFS4ERR_ROFS, component,
};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::lookup::{Lookup, Lookup4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_tests::mode_attr;

use crate::tree::{Asks, BAD_NAMES, Kind, Tree, by_kind, name};

fn args(target: &str) -> Remove4Args {
    Remove4Args { target: component(target) }
}

#[tokio::test]
async fn every_kind_can_be_removed() {
    let mut tree = Tree::new().await;
    for kind in Kind::ALL {
        tree.make("object", kind).await;
        let before = tree.change().await;
        let cinfo = tree.remove("object").await;
        assert_eq!((cinfo.atomic, cinfo.before, cinfo.after), (true, before, tree.change().await));
        assert_ne!(cinfo.before, cinfo.after);
        let found = tree.run::<Lookup>(&["export"], &Lookup4Args { objname: component("object") }).await;
        assert_eq!(found.unwrap_err(), NFS4ERR_NOENT, "{kind:?}");
    }
    tree.stop().await;
}

#[tokio::test]
async fn an_open_file_loses_its_name_and_lives_on() {
    let mut tree = Tree::new().await;
    let file = tree.session.open("file").await;
    tree.session.write(&file, 0, b"still here").await;
    tree.remove("file").await;
    assert_eq!(&*tree.session.read(&file, 0, 100).await.data, b"still here");
    tree.stop().await;
}

#[tokio::test]
async fn a_directory_must_be_empty() {
    let mut tree = Tree::new().await;
    tree.session.mkdir("dir").await;
    let what =
        Create4Args { objtype: CreateType4::Fifo, objname: component("x"), createattrs: mode_attr(0o644) };
    tree.run::<Create>(&["export", "dir"], &what).await.unwrap();
    assert_eq!(tree.run::<Remove>(&["export"], &args("dir")).await.unwrap_err(), NFS4ERR_NOTEMPTY);
    tree.run::<Remove>(&["export", "dir"], &args("x")).await.unwrap();
    tree.remove("dir").await;
    assert_eq!(tree.attribute::<u32>(&["export"], FATTR4_NUMLINKS).await, 2);
    tree.stop().await;
}

#[tokio::test]
async fn a_missing_name_is_not_found_and_only_directories_have_names() {
    let mut tree = Tree::new().await;
    let statuses = tree.statuses::<Remove>(&args("missing")).await;
    let expected = by_kind(|kind| if kind == Kind::Dir { NFS4ERR_NOENT } else { NFS4ERR_NOTDIR });
    assert_eq!(statuses, expected);
    tree.stop().await;
}

#[tokio::test]
async fn a_name_is_refused() {
    let mut tree = Tree::new().await;
    for (bytes, expected) in BAD_NAMES {
        let args = Remove4Args { target: name(bytes) };
        assert_eq!(tree.run::<Remove>(&["export"], &args).await.unwrap_err(), expected, "{bytes:?}");
    }
    tree.stop().await;
}

#[tokio::test]
async fn permission_is_needed() {
    let mut tree = Tree::new().await;
    tree.session.mkdir("roots").await;
    let what =
        Create4Args { objtype: CreateType4::Fifo, objname: component("x"), createattrs: mode_attr(0o666) };
    tree.run::<Create>(&["export", "roots"], &what).await.unwrap();
    tree.make("file", Kind::File).await;
    tree.session.act_as(1, 1, &[]);
    // The share is sticky: others' files stay, which POSIX calls EPERM and REMOVE has no status for but NFS4ERR_ACCESS.
    assert_eq!(tree.run::<Remove>(&["export"], &args("file")).await.unwrap_err(), NFS4ERR_ACCESS);
    assert_eq!(tree.run::<Remove>(&["export", "roots"], &args("x")).await.err(), Some(NFS4ERR_ACCESS));
    tree.session.act_as(0, 0, &[]);
    assert_eq!(tree.run::<Remove>(&["export"], &args("file")).await.err().unwrap_or(NFS4_OK), NFS4_OK);
    tree.stop().await;
}

#[tokio::test]
async fn the_pseudo_file_system_is_read_only() {
    let mut tree = Tree::new().await;
    assert_eq!(tree.run::<Remove>(&[], &args("export")).await.unwrap_err(), NFS4ERR_ROFS);
    tree.stop().await;
}

#[tokio::test]
async fn it_refuses_like_every_operation() {
    let mut tree = Tree::new().await;
    tree.check_common::<Remove>(&args("missing"), Asks::FileSystem).await;
    tree.stop().await;
}
