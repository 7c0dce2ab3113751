//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 section 18.26.

use dittofs_framework::proto::{
    NFS4_OK, NFS4ERR_ACCESS, NFS4ERR_BADXDR, NFS4ERR_EXIST, NFS4ERR_INVAL, NFS4ERR_NOENT,
    NFS4ERR_NOFILEHANDLE, NFS4ERR_NOTDIR, NFS4ERR_ROFS, NFS4ERR_STALE, NFS4ERR_XDEV, Status, component,
};
use dittofs_framework::xdr::encode_to_bytes;
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::link::{Link, Link4Args};
use dittofs_ops::lookup::{Lookup, Lookup4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::rename::{Rename, Rename4Args, Rename4ResOk};
use dittofs_ops::savefh::SaveFh;
use dittofs_tests::{mode_attr, walk};
use rstest::rstest;

use crate::tree::{BAD_NAMES, Kind, Tree, name};

fn args(oldname: &str, newname: &str) -> Rename4Args {
    Rename4Args { oldname: component(oldname), newname: component(newname) }
}

/// Within the share.
async fn rename(tree: &mut Tree, from: &str, to: &str) -> Result<Rename4ResOk, Status> {
    tree.run_saved::<Rename>(&["export"], &["export"], &args(from, to)).await
}

async fn is_there(tree: &mut Tree, objname: &str) -> bool {
    tree.run::<Lookup>(&["export"], &Lookup4Args { objname: component(objname) }).await.is_ok()
}

#[tokio::test]
async fn every_kind_can_be_renamed() {
    let mut tree = Tree::new().await;
    tree.session.mkdir("dir").await;
    for kind in Kind::ALL {
        let handle = tree.make("object", kind).await;
        let moved = tree.run_saved::<Rename>(&["export"], &["export", "dir"], &args("object", "moved")).await;
        let moved = moved.unwrap();
        assert_ne!(moved.source_cinfo.before, moved.source_cinfo.after, "{kind:?}");
        assert_ne!(moved.target_cinfo.before, moved.target_cinfo.after, "{kind:?}");
        assert_eq!(tree.session.lookup(&["export", "dir", "moved"]).await, handle, "{kind:?}");
        assert!(!is_there(&mut tree, "object").await);
        tree.run::<Remove>(&["export", "dir"], &Remove4Args { target: component("moved") }).await.unwrap();
    }
    tree.stop().await;
}

#[tokio::test]
async fn the_change_info_of_one_directory_is_the_same_twice() {
    let mut tree = Tree::new().await;
    tree.make("old", Kind::File).await;
    let before = tree.change().await;
    let renamed = rename(&mut tree, "old", "new").await.unwrap();
    assert_eq!(renamed.source_cinfo, renamed.target_cinfo);
    assert_eq!((renamed.source_cinfo.before, renamed.source_cinfo.after), (before, tree.change().await));
    tree.stop().await;
}

#[derive(Debug, Clone, Copy)]
enum Target {
    File,
    Fifo,
    EmptyDir,
    FullDir,
}

#[rstest]
#[case::file_onto_file(Kind::File, Target::File, Ok(()))]
#[case::file_onto_fifo(Kind::File, Target::Fifo, Ok(()))]
#[case::symlink_onto_file(Kind::Symlink, Target::File, Ok(()))]
#[case::directory_onto_empty_directory(Kind::Dir, Target::EmptyDir, Ok(()))]
#[case::directory_onto_full_directory(Kind::Dir, Target::FullDir, Err(NFS4ERR_EXIST))]
#[case::directory_onto_file(Kind::Dir, Target::File, Err(NFS4ERR_EXIST))]
#[case::file_onto_empty_directory(Kind::File, Target::EmptyDir, Err(NFS4ERR_EXIST))]
#[case::file_onto_full_directory(Kind::File, Target::FullDir, Err(NFS4ERR_EXIST))]
#[tokio::test]
async fn a_target_is_replaced_if_it_is_compatible(
    #[case] source: Kind,
    #[case] target: Target,
    #[case] expected: Result<(), Status>,
) {
    let mut tree = Tree::new().await;
    let handle = tree.make("source", source).await;
    match target {
        Target::File => drop(tree.make("target", Kind::File).await),
        Target::Fifo => drop(tree.make("target", Kind::Fifo).await),
        Target::EmptyDir | Target::FullDir => drop(tree.session.mkdir("target").await),
    }
    if matches!(target, Target::FullDir) {
        let entry = Create4Args {
            objtype: CreateType4::Fifo,
            objname: component("x"),
            createattrs: mode_attr(0o644),
        };
        tree.run::<Create>(&["export", "target"], &entry).await.unwrap();
    }
    assert_eq!(rename(&mut tree, "source", "target").await.map(drop), expected);
    assert_eq!(is_there(&mut tree, "source").await, expected.is_err());
    let found = tree.session.lookup(&["export", "target"]).await;
    assert_eq!(found == handle, expected.is_ok());
    tree.stop().await;
}

#[tokio::test]
async fn two_names_of_one_file_stay() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    let newname = Link4Args { newname: component("link") };
    tree.run_saved::<Link>(&["export", "file"], &["export"], &newname).await.unwrap();
    for (from, to) in [("file", "link"), ("file", "file")] {
        let renamed = rename(&mut tree, from, to).await.unwrap();
        assert_eq!(renamed.source_cinfo.before, renamed.source_cinfo.after);
        assert_eq!(renamed.target_cinfo.before, renamed.target_cinfo.after);
    }
    assert!(is_there(&mut tree, "file").await && is_there(&mut tree, "link").await);
    tree.stop().await;
}

#[tokio::test]
async fn a_directory_does_not_go_below_itself() {
    let mut tree = Tree::new().await;
    tree.session.mkdir("dir").await;
    let renamed = tree.run_saved::<Rename>(&["export"], &["export", "dir"], &args("dir", "below")).await;
    assert_eq!(renamed.unwrap_err(), NFS4ERR_INVAL);
    tree.stop().await;
}

#[tokio::test]
async fn names_are_refused() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    assert_eq!(rename(&mut tree, "missing", "new").await.unwrap_err(), NFS4ERR_NOENT);
    for (bytes, expected) in BAD_NAMES {
        let bad_old = Rename4Args { oldname: name(bytes), newname: component("new") };
        let bad_new = Rename4Args { oldname: component("file"), newname: name(bytes) };
        for args in [bad_old, bad_new] {
            let renamed = tree.run_saved::<Rename>(&["export"], &["export"], &args).await;
            assert_eq!(renamed.unwrap_err(), expected, "{args:?}");
        }
    }
    tree.stop().await;
}

#[tokio::test]
async fn both_handles_must_be_directories() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Dir) {
        tree.make("object", kind).await;
        let to = tree.run_saved::<Rename>(&["export"], &["export", "object"], &args("file", "x")).await;
        assert_eq!(to.unwrap_err(), NFS4ERR_NOTDIR, "to {kind:?}");
        let from = tree.run_saved::<Rename>(&["export", "object"], &["export"], &args("x", "y")).await;
        assert_eq!(from.unwrap_err(), NFS4ERR_NOTDIR, "from {kind:?}");
        tree.remove("object").await;
    }
    tree.stop().await;
}

#[tokio::test]
async fn file_systems_are_not_crossed() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    for other in [&["other"][..], &[]] {
        let renamed = tree.run_saved::<Rename>(&["export"], other, &args("file", "new")).await;
        assert_eq!(renamed.unwrap_err(), NFS4ERR_XDEV, "{other:?}");
    }
    let in_pseudo = tree.run_saved::<Rename>(&[], &[], &args("export", "new")).await;
    assert_eq!(in_pseudo.unwrap_err(), NFS4ERR_ROFS);
    tree.stop().await;
}

#[tokio::test]
async fn permission_is_needed() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    tree.session.act_as(1, 1, &[]);
    // The share is sticky.
    assert_eq!(rename(&mut tree, "file", "new").await.unwrap_err(), NFS4ERR_ACCESS);
    tree.session.act_as(0, 0, &[]);
    assert_eq!(rename(&mut tree, "file", "new").await.err().unwrap_or(NFS4_OK), NFS4_OK);
    tree.stop().await;
}

#[tokio::test]
async fn both_handles_and_both_names_are_needed() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    let no_saved = tree.at(&["export"]).op::<Rename>(&args("file", "new"));
    assert_eq!(tree.session.run(no_saved).await.status, NFS4ERR_NOFILEHANDLE);
    let neither = tree.session.compound().op::<Rename>(&args("file", "new"));
    assert_eq!(tree.session.run(neither).await.status, NFS4ERR_NOFILEHANDLE);
    let whole = encode_to_bytes(&args("file", "new"));
    for len in (0..whole.len()).step_by(4) {
        let cut = tree.at(&["export"]).op::<SaveFh>(&()).op_with_args::<Rename>(&whole[..len]);
        assert_eq!(tree.session.run(cut).await.status, NFS4ERR_BADXDR, "cut to {len} bytes");
    }
    tree.stop().await;
}

#[tokio::test]
async fn what_is_gone_is_stale() {
    let mut tree = Tree::new().await;
    tree.session.mkdir("dir").await;
    let saved = tree.at(&["export", "dir"]).op::<SaveFh>(&());
    let removed = walk(saved, &["export"]).op::<Remove>(&Remove4Args { target: component("dir") });
    assert_eq!(tree.session.run(removed.op::<Rename>(&args("x", "y"))).await.status, NFS4ERR_STALE);
    tree.stop().await;
}
