//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 section 18.9.

use dittofs_framework::attr::{FATTR4_FILEID, FATTR4_NUMLINKS};
use dittofs_framework::proto::{
    NFS4_OK, NFS4ERR_ACCESS, NFS4ERR_BADXDR, NFS4ERR_EXIST, NFS4ERR_ISDIR, NFS4ERR_NOFILEHANDLE,
    NFS4ERR_NOTDIR, NFS4ERR_ROFS, NFS4ERR_STALE, NFS4ERR_XDEV, component,
};
use dittofs_ops::link::{Link, Link4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_tests::walk;

use crate::tree::{BAD_NAMES, Kind, Tree, by_kind, name};

fn args() -> Link4Args {
    Link4Args { newname: component("new") }
}

#[tokio::test]
async fn anything_but_a_directory_can_be_linked() {
    let mut tree = Tree::new().await;
    for (kind, expected) in by_kind(|kind| if kind == Kind::Dir { NFS4ERR_ISDIR } else { NFS4_OK }) {
        tree.make("object", kind).await;
        let before = tree.change().await;
        let linked = tree.run_saved::<Link>(&["export", "object"], &["export"], &args()).await;
        assert_eq!(linked.as_ref().err().copied().unwrap_or(NFS4_OK), expected, "{kind:?}");
        if let Ok(linked) = linked {
            assert_eq!((linked.cinfo.before, linked.cinfo.after), (before, tree.change().await));
            assert_ne!(linked.cinfo.before, linked.cinfo.after);
            assert_eq!(tree.attribute::<u32>(&["export", "object"], FATTR4_NUMLINKS).await, 2);
            let fileid: u64 = tree.attribute(&["export", "object"], FATTR4_FILEID).await;
            assert_eq!(tree.attribute::<u64>(&["export", "new"], FATTR4_FILEID).await, fileid);
            tree.remove("new").await;
        }
        tree.remove("object").await;
    }
    tree.stop().await;
}

#[tokio::test]
async fn only_a_directory_takes_links() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Dir) {
        tree.make("object", kind).await;
        let linked = tree.run_saved::<Link>(&["export", "file"], &["export", "object"], &args()).await;
        assert_eq!(linked.unwrap_err(), NFS4ERR_NOTDIR, "{kind:?}");
        tree.remove("object").await;
    }
    tree.stop().await;
}

#[tokio::test]
async fn a_name_is_refused() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    for (bytes, expected) in BAD_NAMES {
        let args = Link4Args { newname: name(bytes) };
        let linked = tree.run_saved::<Link>(&["export", "file"], &["export"], &args).await;
        assert_eq!(linked.unwrap_err(), expected, "{bytes:?}");
    }
    tree.stop().await;
}

#[tokio::test]
async fn a_name_that_is_taken_exists() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    for taken in ["file", "dir"] {
        if taken == "dir" {
            tree.make("dir", Kind::Dir).await;
        }
        let args = Link4Args { newname: component(taken) };
        let linked = tree.run_saved::<Link>(&["export", "file"], &["export"], &args).await;
        assert_eq!(linked.unwrap_err(), NFS4ERR_EXIST, "{taken}");
    }
    tree.stop().await;
}

#[tokio::test]
async fn file_systems_are_not_crossed() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    for other in [&["other"][..], &[]] {
        let linked = tree.run_saved::<Link>(&["export", "file"], other, &args()).await;
        assert_eq!(linked.unwrap_err(), NFS4ERR_XDEV, "{other:?}");
    }
    let in_pseudo = tree.run_saved::<Link>(&[], &[], &args()).await;
    assert_eq!(in_pseudo.unwrap_err(), NFS4ERR_ROFS);
    tree.stop().await;
}

#[tokio::test]
async fn permission_is_needed() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    tree.make("dir", Kind::Dir).await;
    tree.session.act_as(1, 1, &[]);
    let linked = tree.run_saved::<Link>(&["export", "file"], &["export", "dir"], &args()).await;
    assert_eq!(linked.unwrap_err(), NFS4ERR_ACCESS);
    tree.stop().await;
}

#[tokio::test]
async fn both_handles_are_needed() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    let no_saved = tree.at(&["export"]).op::<Link>(&args());
    assert_eq!(tree.session.run(no_saved).await.status, NFS4ERR_NOFILEHANDLE);
    let neither = tree.session.compound().op::<Link>(&args());
    assert_eq!(tree.session.run(neither).await.status, NFS4ERR_NOFILEHANDLE);
    let cut = walk(tree.at(&["export", "file"]).op::<SaveFh>(&()), &["export"]);
    assert_eq!(tree.session.run(cut.op_with_args::<Link>(&[0, 0, 0, 9])).await.status, NFS4ERR_BADXDR);
    tree.stop().await;
}

#[tokio::test]
async fn what_is_gone_is_stale() {
    let mut tree = Tree::new().await;
    tree.make("fifo", Kind::Fifo).await;
    let saved = tree.at(&["export", "fifo"]).op::<SaveFh>(&());
    let removed = walk(saved, &["export"]).op::<Remove>(&Remove4Args { target: component("fifo") });
    assert_eq!(tree.session.run(removed.op::<Link>(&args())).await.status, NFS4ERR_STALE);
    tree.stop().await;
}
