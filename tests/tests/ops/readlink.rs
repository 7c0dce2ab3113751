//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 section 18.24.

use dittofs_framework::proto::{NFS4_OK, NFS4ERR_WRONG_TYPE, component};
use dittofs_framework::xdr::Opaque;
use dittofs_ops::create::CreateType4;
use dittofs_ops::readlink::ReadLink;
use rstest::rstest;

use crate::tree::{Asks, Kind, Tree, by_kind};

#[rstest]
#[case::relative(b"../there")]
#[case::not_utf8(b"\xff\xfe/x")]
#[case::longest(&[b'a'; 4095])]
#[tokio::test]
async fn the_content_comes_back_as_it_went(#[case] text: &[u8]) {
    let mut tree = Tree::new().await;
    tree.session.create("link", CreateType4::Link(Opaque::from(text)), 0o777).await;
    let read = tree.run::<ReadLink>(&["export", "link"], &()).await.unwrap();
    assert_eq!(&*read.link, text);
    tree.stop().await;
}

#[tokio::test]
async fn only_a_symbolic_link_can_be_read() {
    let mut tree = Tree::new().await;
    let statuses = tree.statuses::<ReadLink>(&()).await;
    let expected = by_kind(|kind| if kind == Kind::Symlink { NFS4_OK } else { NFS4ERR_WRONG_TYPE });
    assert_eq!(statuses, expected);
    tree.stop().await;
}

#[tokio::test]
async fn it_refuses_like_every_operation() {
    let mut tree = Tree::new().await;
    tree.session.create("link", CreateType4::Link(component("there")), 0o777).await;
    tree.check_common::<ReadLink>(&(), Asks::FileSystem).await;
    tree.stop().await;
}
