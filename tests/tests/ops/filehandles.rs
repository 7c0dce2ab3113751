//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 16.2.3.1, 18.8, 18.19 to 18.21, 18.27 and 18.28.

use dittofs_framework::attr::{Bitmap, FATTR4_TYPE};
use dittofs_framework::proto::{
    NFS4ERR_BADHANDLE, NFS4ERR_BADXDR, NFS4ERR_NOFILEHANDLE, NFS4ERR_STALE, NfsFh4,
};
use dittofs_framework::xdr::Opaque;
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::putfh::{PutFh, Putfh4Args};
use dittofs_ops::putpubfh::PutPubFh;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_ops::restorefh::RestoreFh;
use dittofs_ops::savefh::SaveFh;
use dittofs_tests::walk;
use rstest::rstest;

use crate::tree::{Kind, Tree};

#[tokio::test]
async fn a_handle_comes_back_as_it_was_put() {
    let mut tree = Tree::new().await;
    for kind in Kind::ALL {
        let object = tree.make("object", kind).await;
        let put = tree.session.compound().op::<PutFh>(&Putfh4Args { object: object.clone() });
        let reply = tree.session.run(put.op::<GetFh>(&())).await.ok();
        assert_eq!(reply.get::<GetFh>().object, object, "{kind:?}");
        tree.remove("object").await;
    }
    tree.stop().await;
}

#[tokio::test]
async fn the_public_and_the_root_handle_are_the_same() {
    let mut tree = Tree::new().await;
    let compound = tree.session.compound().op::<PutRootFh>(&()).op::<GetFh>(&());
    let reply = tree.session.run(compound.op::<PutPubFh>(&()).op::<GetFh>(&())).await.ok();
    assert_eq!(reply.get_nth::<GetFh>(0), reply.get_nth::<GetFh>(1));
    tree.stop().await;
}

#[derive(Debug, Clone, Copy)]
enum Forged {
    Text,
    Empty,
    Cut,
    Longer,
    OtherExport,
    OtherObject,
}

impl Forged {
    fn from(self, good: &NfsFh4) -> NfsFh4 {
        let mut bytes = good.to_vec();
        match self {
            Self::Text => bytes = b"abc".to_vec(),
            Self::Empty => bytes.clear(),
            Self::Cut => drop(bytes.pop()),
            Self::Longer => bytes.push(0),
            Self::OtherExport => bytes[4] ^= 3,
            Self::OtherObject => *bytes.last_mut().unwrap() ^= 1,
        }
        Opaque::from(bytes.as_slice())
    }
}

#[rstest]
#[case::text(Forged::Text)]
#[case::empty(Forged::Empty)]
#[case::cut(Forged::Cut)]
#[case::longer(Forged::Longer)]
#[case::of_another_export(Forged::OtherExport)]
#[case::of_another_object(Forged::OtherObject)]
#[tokio::test]
async fn a_handle_that_the_server_did_not_make_is_bad(#[case] forged: Forged) {
    let mut tree = Tree::new().await;
    let object = forged.from(&tree.session.share().await);
    let put = tree.session.compound().op::<PutFh>(&Putfh4Args { object });
    assert_eq!(tree.session.run(put).await.status, NFS4ERR_BADHANDLE);
    tree.stop().await;
}

#[rstest]
#[case::nothing(&[])]
#[case::cut_short(&[0, 0, 0, 8, 1, 2, 3, 4])]
#[case::more_than_128_bytes(&[0, 0, 0, 129])]
#[case::four_gigabytes(&[0xff; 4])]
#[tokio::test]
async fn what_is_no_handle_is_bad_xdr(#[case] args: &[u8]) {
    let mut tree = Tree::new().await;
    let mut args = args.to_vec();
    if args == [0, 0, 0, 129] {
        args.extend([0; 132]);
    }
    let put = tree.session.compound().op_with_args::<PutFh>(&args);
    assert_eq!(tree.session.run(put).await.status, NFS4ERR_BADXDR);
    tree.stop().await;
}

#[tokio::test]
async fn a_handle_of_what_is_gone_is_stale_when_it_is_used() {
    let mut tree = Tree::new().await;
    let object = tree.make("object", Kind::Fifo).await;
    tree.remove("object").await;
    let args = Getattr4Args { attr_request: Bitmap::of(&[FATTR4_TYPE]) };
    let put = tree.session.compound().op::<PutFh>(&Putfh4Args { object });
    assert_eq!(tree.session.run(put.op::<GetAttr>(&args)).await.status, NFS4ERR_STALE);
    tree.stop().await;
}

#[tokio::test]
async fn the_saved_handle_is_restored_and_stays_saved() {
    let mut tree = Tree::new().await;
    tree.make("dir", Kind::Dir).await;
    let dir = tree.session.lookup(&["export", "dir"]).await;
    let saved = tree.at(&["export", "dir"]).op::<SaveFh>(&()).op::<GetFh>(&());
    let restored = walk(saved, &["export"]).op::<GetFh>(&()).op::<RestoreFh>(&()).op::<GetFh>(&());
    let again = restored.op::<PutRootFh>(&()).op::<RestoreFh>(&()).op::<GetFh>(&());
    let reply = tree.session.run(again).await.ok();
    let handles: Vec<_> = (0..4).map(|nth| reply.get_nth::<GetFh>(nth).object).collect();
    assert_eq!(handles, [dir.clone(), tree.session.share().await, dir.clone(), dir]);
    tree.stop().await;
}

#[tokio::test]
async fn without_a_handle_there_is_nothing_to_use() {
    let mut tree = Tree::new().await;
    let empty = |tree: &Tree| tree.session.compound();
    let compounds = [
        empty(&tree).op::<GetFh>(&()),
        empty(&tree).op::<SaveFh>(&()),
        empty(&tree).op::<RestoreFh>(&()),
        empty(&tree).op::<PutRootFh>(&()).op::<RestoreFh>(&()),
    ];
    for compound in compounds {
        assert_eq!(tree.session.run(compound).await.status, NFS4ERR_NOFILEHANDLE);
    }
    tree.stop().await;
}
