//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 18.15 and 18.31.

use dittofs_framework::attr::{
    Bitmap, FATTR4_FILEHANDLE, FATTR4_MODE, FATTR4_RDATTR_ERROR, FATTR4_SIZE, FATTR4_SPACE_TOTAL,
    FATTR4_SUPPORTED_ATTRS, FATTR4_TIME_ACCESS_SET, FATTR4_TIME_MODIFY_SET, FATTR4_TYPE, WRITE_ONLY,
};
use dittofs_framework::proto::{
    Fattr4, FileType, NFS4_OK, NFS4ERR_ATTRNOTSUPP, NFS4ERR_INVAL, NFS4ERR_NOT_SAME, NFS4ERR_SAME, Status,
};
use dittofs_framework::xdr::{Opaque, XdrEncode};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::nverify::{NVerify, Nverify4Args};
use dittofs_ops::verify::{Verify, Verify4Args};
use rstest::rstest;

use crate::tree::{Asks, Kind, Tree, fattr};

/// How VERIFY and NVERIFY of these attributes go on the object at a path.
async fn verify(tree: &mut Tree, path: &[&str], assumed: &Fattr4) -> (Status, Status) {
    let obj_attributes = assumed.clone();
    let same = tree.run::<Verify>(path, &Verify4Args { obj_attributes }).await;
    let obj_attributes = assumed.clone();
    let differs = tree.run::<NVerify>(path, &Nverify4Args { obj_attributes }).await;
    (same.err().unwrap_or(NFS4_OK), differs.err().unwrap_or(NFS4_OK))
}

const SAME: (Status, Status) = (NFS4_OK, NFS4ERR_SAME);
const DIFFERENT: (Status, Status) = (NFS4ERR_NOT_SAME, NFS4_OK);
const UNSUPPORTED: (Status, Status) = (NFS4ERR_ATTRNOTSUPP, NFS4ERR_ATTRNOTSUPP);
const INVALID: (Status, Status) = (NFS4ERR_INVAL, NFS4ERR_INVAL);

#[tokio::test]
async fn whatever_getattr_answers_is_the_same() {
    let mut tree = Tree::new().await;
    let supported: Bitmap = tree.attribute(&["export"], FATTR4_SUPPORTED_ATTRS).await;
    let incomparable = WRITE_ONLY.with(FATTR4_RDATTR_ERROR);
    let args = Getattr4Args { attr_request: supported.minus(incomparable) };
    for kind in Kind::ALL {
        tree.make("object", kind).await;
        let path = ["export", "object"];
        let attributes = tree.run::<GetAttr>(&path, &args).await.unwrap().obj_attributes;
        assert!(attributes.attrmask.contains(FATTR4_FILEHANDLE));
        assert!(attributes.attrmask.contains(FATTR4_SPACE_TOTAL));
        assert_eq!(verify(&mut tree, &path, &attributes).await, SAME, "{kind:?}");
        tree.remove("object").await;
    }
    tree.stop().await;
}

#[rstest]
#[case::nothing(fattr(&[]), SAME)]
#[case::type_alone(fattr(&[(FATTR4_TYPE, &FileType::Dir)]), SAME)]
#[case::type_and_mode(fattr(&[(FATTR4_TYPE, &FileType::Dir), (FATTR4_MODE, &0o755_u32)]), SAME)]
#[case::another_type(fattr(&[(FATTR4_TYPE, &FileType::Reg)]), DIFFERENT)]
#[case::no_type(fattr(&[(FATTR4_TYPE, &77_u32)]), DIFFERENT)]
#[case::one_of_two(fattr(&[(FATTR4_TYPE, &FileType::Dir), (FATTR4_MODE, &0o700_u32)]), DIFFERENT)]
#[case::another_size(fattr(&[(FATTR4_SIZE, &u64::MAX)]), DIFFERENT)]
#[case::values_too_short(Fattr4 { attrmask: Bitmap::of(&[FATTR4_TYPE]), attr_vals: Opaque::default() }, DIFFERENT)]
#[case::values_too_long(fattr(&[(FATTR4_TYPE, &(2_u64 << 32))]), DIFFERENT)]
#[case::unsupported(fattr(&[(12, &0_u32)]), UNSUPPORTED)]
#[case::undefined(fattr(&[(120, &0_u32)]), UNSUPPORTED)]
#[case::set_only(fattr(&[(FATTR4_TIME_ACCESS_SET, &0_u32)]), INVALID)]
#[case::set_only_among_others(fattr(&[(FATTR4_TYPE, &FileType::Dir), (FATTR4_TIME_MODIFY_SET, &0_u32)]), INVALID)]
#[case::rdattr_error(fattr(&[(FATTR4_RDATTR_ERROR, &NFS4_OK)]), INVALID)]
#[tokio::test]
async fn a_directory_of_mode_755_verifies(#[case] assumed: Fattr4, #[case] expected: (Status, Status)) {
    let mut tree = Tree::new().await;
    tree.session.mkdir("dir").await;
    assert_eq!(verify(&mut tree, &["export", "dir"], &assumed).await, expected);
    tree.stop().await;
}

#[tokio::test]
async fn they_refuse_like_every_operation() {
    let mut tree = Tree::new().await;
    let mode: &dyn XdrEncode = &0o755_u32;
    let obj_attributes = fattr(&[(FATTR4_MODE, mode)]);
    tree.check_common::<Verify>(&Verify4Args { obj_attributes: obj_attributes.clone() }, Asks::FileSystem)
        .await;
    tree.check_common::<NVerify>(&Nverify4Args { obj_attributes }, Asks::FileSystem).await;
    tree.stop().await;
}
