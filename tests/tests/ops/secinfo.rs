//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 2.6.3.1.1.8, 18.29 and 18.45.

use dittofs_framework::proto::{
    NFS4ERR_BADXDR, NFS4ERR_NOENT, NFS4ERR_NOFILEHANDLE, NFS4ERR_NOTDIR, component,
};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_ops::secinfo::{SecInfo, Secinfo4Args};
use dittofs_ops::secinfo_no_name::{SecInfoNoName, SecinfoStyle4};
use dittofs_ops::security::Secinfo4;

use crate::tree::{Asks, BAD_NAMES, Kind, Tree, by_kind, name};

const ACCEPTED: [Secinfo4; 2] = [Secinfo4::AuthSys(()), Secinfo4::AuthNone(())];

fn args(name: &str) -> Secinfo4Args {
    Secinfo4Args { name: component(name) }
}

#[tokio::test]
async fn every_name_has_the_same_flavors() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    assert_eq!(tree.run::<SecInfo>(&["export"], &args("file")).await.unwrap(), ACCEPTED);
    assert_eq!(tree.run::<SecInfo>(&[], &args("export")).await.unwrap(), ACCEPTED);
    for style in [SecinfoStyle4::CurrentFh, SecinfoStyle4::Parent] {
        let flavors = tree.run::<SecInfoNoName>(&["export"], &style).await.unwrap();
        assert_eq!(flavors, ACCEPTED, "{style:?}");
    }
    let flavors = tree.run::<SecInfoNoName>(&["export", "file"], &SecinfoStyle4::CurrentFh).await;
    assert_eq!(flavors.unwrap(), ACCEPTED);
    tree.stop().await;
}

#[tokio::test]
async fn the_current_handle_is_consumed() {
    let mut tree = Tree::new().await;
    let named = tree.at(&[]).op::<SecInfo>(&args("export")).op::<GetFh>(&());
    let unnamed = tree.at(&[]).op::<SecInfoNoName>(&SecinfoStyle4::CurrentFh).op::<GetFh>(&());
    for compound in [named, unnamed] {
        assert_eq!(tree.session.run(compound).await.status, NFS4ERR_NOFILEHANDLE);
    }
    let again = tree.at(&[]).op::<SecInfo>(&args("export")).op::<PutRootFh>(&()).op::<GetFh>(&());
    tree.session.run(again).await.ok();
    tree.stop().await;
}

#[tokio::test]
async fn a_name_is_looked_up() {
    let mut tree = Tree::new().await;
    let statuses = tree.statuses::<SecInfo>(&args("missing")).await;
    let expected = by_kind(|kind| if kind == Kind::Dir { NFS4ERR_NOENT } else { NFS4ERR_NOTDIR });
    assert_eq!(statuses, expected);
    for (bytes, expected) in BAD_NAMES {
        let args = Secinfo4Args { name: name(bytes) };
        assert_eq!(tree.run::<SecInfo>(&["export"], &args).await.unwrap_err(), expected, "{bytes:?}");
    }
    tree.stop().await;
}

#[tokio::test]
async fn the_parent_is_looked_up() {
    let mut tree = Tree::new().await;
    let root = tree.run::<SecInfoNoName>(&[], &SecinfoStyle4::Parent).await;
    assert_eq!(root.unwrap_err(), NFS4ERR_NOENT);
    tree.make("link", Kind::Symlink).await;
    let link = tree.run::<SecInfoNoName>(&["export", "link"], &SecinfoStyle4::Parent).await;
    assert_eq!(link.unwrap_err(), NFS4ERR_NOTDIR);
    tree.stop().await;
}

#[tokio::test]
async fn they_refuse_like_every_operation() {
    let mut tree = Tree::new().await;
    tree.check_common::<SecInfo>(&args("missing"), Asks::FileSystem).await;
    tree.check_common::<SecInfoNoName>(&SecinfoStyle4::CurrentFh, Asks::Nobody).await;
    let no_style = tree.at(&[]).op_with_args::<SecInfoNoName>(&[0, 0, 0, 2]);
    assert_eq!(tree.session.run(no_style).await.status, NFS4ERR_BADXDR);
    tree.stop().await;
}
