//! Origin: the statements of the RFCs, one by one.
//! RFC: 8881 section 18.1, 8276 section 8.4.2.

use dittofs_framework::attr::{FATTR4_MODE, FATTR4_OWNER, FATTR4_OWNER_GROUP};
use dittofs_framework::proto::{Minor, NFS4ERR_INVAL, Stateid, Status};
use dittofs_framework::xdr::Utf8;
use dittofs_ops::access::{Access, Access4Args, Access4ResOk};
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_tests::{SessionOptions, TestServerOptions, mode_attr};
use rstest::rstest;

use crate::tree::{Asks, Kind, Tree, fattr};

const READ: u32 = 0x01;
const LOOKUP: u32 = 0x02;
const MODIFY: u32 = 0x04;
const EXTEND: u32 = 0x08;
const DELETE: u32 = 0x10;
const EXECUTE: u32 = 0x20;
const XATTRS: u32 = 0x1c0;
const ALL: u32 = 0x3f;

async fn access(tree: &mut Tree, name: &str, access: u32) -> Result<Access4ResOk, Status> {
    tree.run::<Access>(&["export", name], &Access4Args { access }).await
}

async fn chmod(tree: &mut Tree, name: &str, mode: u32) {
    let args = Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: mode_attr(mode) };
    tree.run::<SetAttr>(&["export", name], &args).await.expect("a new mode");
}

#[rstest]
#[case::file(Kind::File, READ | MODIFY | EXTEND | EXECUTE)]
#[case::directory(Kind::Dir, READ | LOOKUP | MODIFY | EXTEND | DELETE)]
#[case::symlink(Kind::Symlink, READ | MODIFY | EXTEND)]
#[case::block(Kind::Block, READ | MODIFY | EXTEND)]
#[case::char(Kind::Char, READ | MODIFY | EXTEND)]
#[case::fifo(Kind::Fifo, READ | MODIFY | EXTEND)]
#[case::socket(Kind::Socket, READ | MODIFY | EXTEND)]
#[tokio::test]
async fn what_is_supported_follows_from_the_type(#[case] kind: Kind, #[case] expected: u32) {
    let mut tree = Tree::new().await;
    tree.make("object", kind).await;
    for asked in [0, READ, LOOKUP, DELETE | EXECUTE, ALL] {
        let answer = access(&mut tree, "object", asked).await.unwrap();
        assert_eq!(answer.supported, asked & expected, "asked for {asked:#x}");
        assert_eq!(answer.access & !answer.supported, 0, "asked for {asked:#x}");
    }
    tree.stop().await;
}

#[rstest]
#[case::owner(1, 1, &[], READ | MODIFY | EXTEND | EXECUTE)]
#[case::group(2, 5, &[], READ | EXECUTE)]
#[case::supplementary_group(2, 6, &[7, 5], READ | EXECUTE)]
#[case::others(2, 6, &[], EXECUTE)]
#[case::root(0, 0, &[], READ | MODIFY | EXTEND | EXECUTE)]
#[tokio::test]
async fn a_caller_may(#[case] uid: u32, #[case] gid: u32, #[case] groups: &[u32], #[case] expected: u32) {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    let owned = fattr(&[
        (FATTR4_MODE, &0o751_u32),
        (FATTR4_OWNER, &Utf8::from("1")),
        (FATTR4_OWNER_GROUP, &Utf8::from("5")),
    ]);
    let args = Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: owned };
    tree.run::<SetAttr>(&["export", "file"], &args).await.expect("an owner");
    tree.session.act_as(uid, gid, groups);
    assert_eq!(access(&mut tree, "file", ALL).await.unwrap().access, expected);
    tree.stop().await;
}

#[rstest]
#[case::no_bit(0o644, 0)]
#[case::one_bit(0o645, EXECUTE)]
#[tokio::test]
async fn root_may_execute_what_somebody_may(#[case] mode: u32, #[case] expected: u32) {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    chmod(&mut tree, "file", mode).await;
    let answer = access(&mut tree, "file", EXECUTE).await.unwrap();
    assert_eq!((answer.supported, answer.access), (EXECUTE, expected));
    tree.stop().await;
}

#[rstest]
#[case::xattrs_in_minor_2(Minor::V2, XATTRS, Ok(XATTRS))]
#[case::xattrs_in_minor_1(Minor::V1, XATTRS, Err(NFS4ERR_INVAL))]
#[case::undefined(Minor::V2, 0x200, Err(NFS4ERR_INVAL))]
#[case::undefined_and_defined(Minor::V2, 0x8000_0001, Err(NFS4ERR_INVAL))]
#[tokio::test]
async fn a_further_bit_is(#[case] minor: Minor, #[case] asked: u32, #[case] expected: Result<u32, Status>) {
    let session = SessionOptions { minor, ..SessionOptions::default() };
    let mut tree = Tree::with(TestServerOptions::default(), session).await;
    tree.make("file", Kind::File).await;
    assert_eq!(access(&mut tree, "file", asked).await.map(|answer| answer.access), expected);
    tree.stop().await;
}

#[tokio::test]
async fn the_pseudo_file_system_can_be_read_by_all() {
    let mut tree = Tree::new().await;
    tree.session.act_as(1, 1, &[]);
    let answer = tree.run::<Access>(&[], &Access4Args { access: ALL }).await.unwrap();
    assert_eq!(answer.access, READ | LOOKUP);
    tree.stop().await;
}

#[tokio::test]
async fn it_refuses_like_every_operation() {
    let mut tree = Tree::new().await;
    tree.check_common::<Access>(&Access4Args { access: READ }, Asks::FileSystem).await;
    tree.stop().await;
}
