//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 section 18.4.

use std::sync::Arc;

use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::attr::{
    Bitmap, FATTR4_FILEID, FATTR4_MODE, FATTR4_NUMLINKS, FATTR4_OWNER, FATTR4_OWNER_GROUP, FATTR4_RAWDEV,
    FATTR4_SIZE, FATTR4_TYPE,
};
use dittofs_framework::proto::{
    Fattr4, FileType, NFS4_OK, NFS4ERR_ACCESS, NFS4ERR_ATTRNOTSUPP, NFS4ERR_BADCHAR, NFS4ERR_BADOWNER,
    NFS4ERR_BADTYPE, NFS4ERR_BADXDR, NFS4ERR_EXIST, NFS4ERR_INVAL, NFS4ERR_NAMETOOLONG, NFS4ERR_NOSPC,
    NFS4ERR_NOTDIR, NFS4ERR_PERM, NFS4ERR_ROFS, SpecData, Status, component,
};
use dittofs_framework::xdr::{Opaque, Utf8};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::getfh::GetFh;
use dittofs_tests::{SessionOptions, TestServerOptions, mode_attr};
use rstest::rstest;

use crate::tree::{Asks, BAD_NAMES, Kind, Tree, by_kind, fattr, name};

fn args(objtype: CreateType4) -> Create4Args {
    Create4Args { objtype, objname: component("new"), createattrs: mode_attr(0o750) }
}

#[rstest]
#[case::directory(Kind::Dir, FileType::Dir, 2)]
#[case::symlink(Kind::Symlink, FileType::Lnk, 1)]
#[case::block(Kind::Block, FileType::Blk, 1)]
#[case::char(Kind::Char, FileType::Chr, 1)]
#[case::fifo(Kind::Fifo, FileType::Fifo, 1)]
#[case::socket(Kind::Socket, FileType::Sock, 1)]
#[tokio::test]
async fn it_makes(#[case] kind: Kind, #[case] file_type: FileType, #[case] links: u32) {
    let mut tree = Tree::new().await;
    let before = tree.change().await;
    let what = args(kind.create_type().unwrap());
    let attr_request = Bitmap::of(&[FATTR4_TYPE]);
    let compound = tree.at(&["export"]).op::<Create>(&what).op::<GetFh>(&());
    let reply = tree.session.run(compound.op::<GetAttr>(&Getattr4Args { attr_request })).await.ok();

    let created = reply.get::<Create>();
    assert_eq!(created.attrset, Bitmap::of(&[FATTR4_MODE]));
    assert!(created.cinfo.atomic);
    assert_eq!(created.cinfo.before, before);
    assert_eq!(created.cinfo.after, tree.change().await);
    assert_ne!(created.cinfo.after, before);
    // The object is the current filehandle, and is what LOOKUP finds.
    assert_eq!(reply.get::<GetAttr>().obj_attributes, fattr(&[(FATTR4_TYPE, &file_type)]));
    assert_eq!(reply.get::<GetFh>().object, tree.session.lookup(&["export", "new"]).await);
    assert_eq!(tree.attribute::<u32>(&["export", "new"], FATTR4_NUMLINKS).await, links);
    tree.stop().await;
}

#[tokio::test]
async fn a_device_keeps_its_numbers_and_a_fileid_of_its_own() {
    let mut tree = Tree::new().await;
    let device = SpecData { specdata1: 7, specdata2: 9 };
    tree.run::<Create>(&["export"], &args(CreateType4::Block(device))).await.unwrap();
    assert_eq!(tree.attribute::<SpecData>(&["export", "new"], FATTR4_RAWDEV).await, device);
    let fileid = tree.attribute::<u64>(&["export", "new"], FATTR4_FILEID).await;
    assert_ne!(fileid, tree.attribute::<u64>(&["export"], FATTR4_FILEID).await);
    tree.stop().await;
}

#[tokio::test]
async fn the_owner_is_the_caller_unless_it_says_otherwise() {
    let mut tree = Tree::new().await;
    tree.session.act_as(1, 5, &[]);
    tree.run::<Create>(&["export"], &args(CreateType4::Dir)).await.unwrap();
    assert_eq!(tree.attribute::<Utf8>(&["export", "new"], FATTR4_OWNER).await, Utf8::from("1"));
    assert_eq!(tree.attribute::<Utf8>(&["export", "new"], FATTR4_OWNER_GROUP).await, Utf8::from("5"));

    tree.session.act_as(0, 0, &[]);
    let createattrs = fattr(&[(FATTR4_OWNER, &Utf8::from("8"))]);
    let given = Create4Args { objname: component("given"), createattrs, ..args(CreateType4::Dir) };
    let created = tree.run::<Create>(&["export"], &given).await.unwrap();
    assert_eq!(created.attrset, Bitmap::of(&[FATTR4_OWNER]));
    assert_eq!(tree.attribute::<Utf8>(&["export", "given"], FATTR4_OWNER).await, Utf8::from("8"));
    tree.stop().await;
}

#[rstest]
#[case::regular_file(CreateType4::Other(1), NFS4ERR_BADTYPE)]
#[case::attribute_directory(CreateType4::Other(8), NFS4ERR_BADTYPE)]
#[case::named_attribute(CreateType4::Other(9), NFS4ERR_BADTYPE)]
#[case::type_unknown(CreateType4::Other(77), NFS4ERR_BADTYPE)]
#[case::link_to_nothing(CreateType4::Link(component("")), NFS4ERR_INVAL)]
#[case::link_with_nul(CreateType4::Link(component("a\0")), NFS4ERR_BADCHAR)]
#[case::link_too_long(CreateType4::Link(Opaque::from(&[b'a'; 4096][..])), NFS4ERR_NAMETOOLONG)]
#[tokio::test]
async fn a_type_is_refused(#[case] objtype: CreateType4, #[case] expected: Status) {
    let mut tree = Tree::new().await;
    assert_eq!(tree.run::<Create>(&["export"], &args(objtype)).await.unwrap_err(), expected);
    tree.stop().await;
}

#[rstest]
#[case::size(fattr(&[(FATTR4_SIZE, &0_u64)]), NFS4ERR_INVAL)]
#[case::read_only(fattr(&[(FATTR4_TYPE, &FileType::Dir)]), NFS4ERR_INVAL)]
#[case::mode_of_too_many_bits(mode_attr(0o10000), NFS4ERR_INVAL)]
#[case::owner_of_no_length(fattr(&[(FATTR4_OWNER, &Utf8::from(""))]), NFS4ERR_INVAL)]
#[case::unsupported(fattr(&[(12, &0_u32)]), NFS4ERR_ATTRNOTSUPP)]
#[case::undefined(fattr(&[(120, &0_u32)]), NFS4ERR_ATTRNOTSUPP)]
#[case::owner_unknown(fattr(&[(FATTR4_OWNER, &Utf8::from("nobody@nowhere"))]), NFS4ERR_BADOWNER)]
#[case::values_too_short(Fattr4 { attrmask: Bitmap::of(&[FATTR4_MODE]), attr_vals: Opaque::default() }, NFS4ERR_BADXDR)]
#[case::values_too_long(fattr(&[(FATTR4_MODE, &0_u64)]), NFS4ERR_BADXDR)]
#[tokio::test]
async fn attributes_are_refused(#[case] createattrs: Fattr4, #[case] expected: Status) {
    let mut tree = Tree::new().await;
    let args = Create4Args { createattrs, ..args(CreateType4::Dir) };
    assert_eq!(tree.run::<Create>(&["export"], &args).await.unwrap_err(), expected);
    tree.stop().await;
}

#[tokio::test]
async fn a_name_is_refused() {
    let mut tree = Tree::new().await;
    for (bytes, expected) in BAD_NAMES {
        let args = Create4Args { objname: name(bytes), ..args(CreateType4::Dir) };
        assert_eq!(tree.run::<Create>(&["export"], &args).await.unwrap_err(), expected, "{bytes:?}");
    }
    let not_utf8 = Create4Args { objname: name(b"\xff\xfe"), ..args(CreateType4::Dir) };
    tree.run::<Create>(&["export"], &not_utf8).await.unwrap();
    tree.stop().await;
}

#[tokio::test]
async fn a_name_that_is_taken_exists() {
    let mut tree = Tree::new().await;
    for kind in Kind::ALL {
        tree.make("new", kind).await;
        let again = tree.run::<Create>(&["export"], &args(CreateType4::Dir)).await;
        assert_eq!(again.unwrap_err(), NFS4ERR_EXIST, "{kind:?}");
        tree.remove("new").await;
    }
    tree.stop().await;
}

#[tokio::test]
async fn only_a_directory_has_entries() {
    let mut tree = Tree::new().await;
    let expected = by_kind(|kind| if kind == Kind::Dir { NFS4_OK } else { NFS4ERR_NOTDIR });
    for (kind, status) in expected {
        let object = format!("{kind:?}");
        tree.make(&object, kind).await;
        let created = tree.run::<Create>(&["export", &object], &args(CreateType4::Fifo)).await;
        assert_eq!(created.err().unwrap_or(NFS4_OK), status, "{kind:?}");
    }
    tree.stop().await;
}

#[tokio::test]
async fn permission_is_needed() {
    let mut tree = Tree::new().await;
    tree.session.mkdir("roots").await;
    tree.session.act_as(1, 1, &[]);
    let denied = tree.run::<Create>(&["export", "roots"], &args(CreateType4::Dir)).await;
    assert_eq!(denied.unwrap_err(), NFS4ERR_ACCESS);
    // An owner that the caller may not create for.
    let createattrs = fattr(&[(FATTR4_OWNER, &Utf8::from("2"))]);
    let foreign = Create4Args { createattrs, ..args(CreateType4::Dir) };
    assert_eq!(tree.run::<Create>(&["export"], &foreign).await.unwrap_err(), NFS4ERR_PERM);
    tree.stop().await;
}

#[tokio::test]
async fn the_pseudo_file_system_is_read_only() {
    let mut tree = Tree::new().await;
    let refused = tree.run::<Create>(&[], &args(CreateType4::Dir)).await;
    assert_eq!(refused.unwrap_err(), NFS4ERR_ROFS);
    tree.stop().await;
}

#[tokio::test]
async fn a_full_file_system_has_no_space() {
    let fs = Arc::new(
        StoreFileSystem::in_memory(MemoryOptions { capacity: 4096, ..MemoryOptions::default() })
            .expect("a share in memory"),
    );
    let options = TestServerOptions { fs, ..TestServerOptions::default() };
    let mut tree = Tree::with(options, SessionOptions::default()).await;
    let mut last = Ok(());
    for number in 0..100 {
        let args = Create4Args { objname: component(&number.to_string()), ..args(CreateType4::Dir) };
        last = tree.run::<Create>(&["export"], &args).await.map(drop);
        if last.is_err() {
            break;
        }
    }
    assert_eq!(last, Err(NFS4ERR_NOSPC));
    tree.stop().await;
}

#[tokio::test]
async fn it_refuses_like_every_operation() {
    let mut tree = Tree::new().await;
    tree.check_common::<Create>(&args(CreateType4::Link(component("there"))), Asks::FileSystem).await;
    tree.stop().await;
}
