//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 18.13 and 18.14.

use dittofs_framework::attr::{FATTR4_FILEID, FATTR4_FSID, FATTR4_MOUNTED_ON_FILEID};
use dittofs_framework::proto::{
    Fsid, NFS4_OK, NFS4ERR_ACCESS, NFS4ERR_NOENT, NFS4ERR_NOTDIR, NFS4ERR_SYMLINK, OP_GETFH, Stateid, Status,
    component,
};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::lookup::{Lookup, Lookup4Args};
use dittofs_ops::lookupp::LookupP;
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_tests::mode_attr;

use crate::tree::{Asks, BAD_NAMES, Kind, Tree, by_kind, name};

fn args(objname: &str) -> Lookup4Args {
    Lookup4Args { objname: component(objname) }
}

/// What a current filehandle of each kind is to LOOKUP of a missing name, and to LOOKUPP.
fn directory_expected(kind: Kind, of_directory: Status) -> Status {
    match kind {
        Kind::Dir => of_directory,
        Kind::Symlink => NFS4ERR_SYMLINK,
        _ => NFS4ERR_NOTDIR,
    }
}

#[tokio::test]
async fn every_kind_is_found() {
    let mut tree = Tree::new().await;
    for kind in Kind::ALL {
        let made = tree.make("object", kind).await;
        assert_eq!(tree.session.lookup(&["export", "object"]).await, made, "{kind:?}");
        tree.remove("object").await;
    }
    tree.stop().await;
}

#[tokio::test]
async fn a_missing_name_is_not_found_and_only_directories_are_searched() {
    let mut tree = Tree::new().await;
    let statuses = tree.statuses::<Lookup>(&args("missing")).await;
    assert_eq!(statuses, by_kind(|kind| directory_expected(kind, NFS4ERR_NOENT)));
    tree.stop().await;
}

#[tokio::test]
async fn a_name_is_refused() {
    let mut tree = Tree::new().await;
    for (bytes, expected) in BAD_NAMES {
        let args = Lookup4Args { objname: name(bytes) };
        assert_eq!(tree.run::<Lookup>(&["export"], &args).await.unwrap_err(), expected, "{bytes:?}");
    }
    tree.stop().await;
}

#[tokio::test]
async fn a_failure_ends_the_compound() {
    let mut tree = Tree::new().await;
    let compound = tree.at(&["export"]).op::<Lookup>(&args("missing")).op::<GetFh>(&());
    let reply = tree.session.run(compound).await;
    assert_eq!(reply.status, NFS4ERR_NOENT);
    assert!(reply.results.iter().all(|result| result.opnum != OP_GETFH));
    tree.stop().await;
}

#[tokio::test]
async fn a_mount_point_is_entered_and_left() {
    let mut tree = Tree::new().await;
    assert_ne!(
        tree.attribute::<Fsid>(&["export"], FATTR4_FSID).await,
        tree.attribute::<Fsid>(&[], FATTR4_FSID).await
    );
    assert_ne!(
        tree.attribute::<u64>(&["export"], FATTR4_MOUNTED_ON_FILEID).await,
        tree.attribute::<u64>(&[], FATTR4_FILEID).await
    );
    let root = tree.session.lookup(&[]).await;
    let up = tree.at(&["export"]).op::<LookupP>(&()).op::<GetFh>(&());
    assert_eq!(tree.session.run(up).await.ok().get::<GetFh>().object, root);
    tree.stop().await;
}

#[tokio::test]
async fn search_permission_is_needed() {
    let mut tree = Tree::new().await;
    tree.session.mkdir("dir").await;
    let closed = Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: mode_attr(0o700) };
    tree.run::<SetAttr>(&["export", "dir"], &closed).await.unwrap();
    tree.session.act_as(1, 1, &[]);
    let found = tree.run::<Lookup>(&["export", "dir"], &args("missing")).await;
    assert_eq!(found.unwrap_err(), NFS4ERR_ACCESS);
    assert_eq!(tree.run::<LookupP>(&["export", "dir"], &()).await.unwrap_err(), NFS4ERR_ACCESS);
    tree.stop().await;
}

#[tokio::test]
async fn lookup_refuses_like_every_operation() {
    let mut tree = Tree::new().await;
    tree.check_common::<Lookup>(&args("missing"), Asks::FileSystem).await;
    tree.stop().await;
}

#[tokio::test]
async fn the_parent_of_a_directory_is_found() {
    let mut tree = Tree::new().await;
    let share = tree.session.share().await;
    tree.session.mkdir("dir").await;
    let up = tree.at(&["export", "dir"]).op::<LookupP>(&()).op::<GetFh>(&());
    assert_eq!(tree.session.run(up).await.ok().get::<GetFh>().object, share);
    tree.stop().await;
}

#[tokio::test]
async fn only_directories_have_a_parent_to_find() {
    let mut tree = Tree::new().await;
    let statuses = tree.statuses::<LookupP>(&()).await;
    assert_eq!(statuses, by_kind(|kind| directory_expected(kind, NFS4_OK)));
    tree.stop().await;
}

#[tokio::test]
async fn the_root_has_no_parent() {
    let mut tree = Tree::new().await;
    assert_eq!(tree.run::<LookupP>(&[], &()).await.unwrap_err(), NFS4ERR_NOENT);
    tree.stop().await;
}

#[tokio::test]
async fn lookupp_refuses_like_every_operation() {
    let mut tree = Tree::new().await;
    tree.check_common::<LookupP>(&(), Asks::FileSystem).await;
    tree.stop().await;
}
