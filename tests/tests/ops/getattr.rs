//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 5.5, 5.8.2.23 and 18.7, 9754 section 3.

use std::sync::Arc;

use dittofs_framework::attr::{
    Bitmap, FATTR4_CHANGE, FATTR4_FILEHANDLE, FATTR4_FILEID, FATTR4_FSID, FATTR4_LEASE_TIME, FATTR4_MODE,
    FATTR4_MOUNTED_ON_FILEID, FATTR4_OPEN_ARGUMENTS, FATTR4_RDATTR_ERROR, FATTR4_SPACE_TOTAL,
    FATTR4_SUPPATTR_EXCLCREAT, FATTR4_SUPPORTED_ATTRS, FATTR4_TIME_ACCESS_SET, FATTR4_TIME_DELEG_ACCESS,
    FATTR4_TIME_DELEG_MODIFY, FATTR4_TIME_MODIFY_SET, FATTR4_TYPE, WRITE_ONLY, known_in,
};
use dittofs_framework::compound::RestartedClients;
use dittofs_framework::proto::{
    FileType, Fsid, Minor, NFS4_OK, NFS4ERR_INVAL, NfsFh4, OpenArguments4, Status,
};
use dittofs_framework::state::{DelegationPolicy, GrantWhenUncontended, NoDelegations};
use dittofs_framework::xdr::XdrEncode;
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_tests::{OfferAlways, SessionOptions, TestServerOptions};
use rstest::rstest;

use crate::tree::{Asks, Kind, Tree, fattr};

#[rstest]
#[case::none(&[], &[])]
#[case::one(&[FATTR4_TYPE], &[FATTR4_TYPE])]
#[case::unsupported_is_absent(&[FATTR4_TYPE, 12, FATTR4_MODE], &[FATTR4_TYPE, FATTR4_MODE])]
#[case::undefined_is_absent(&[FATTR4_TYPE, 120], &[FATTR4_TYPE])]
#[case::only_undefined(&[120], &[])]
#[tokio::test]
async fn what_is_wanted_and_supported_is_there(#[case] wanted: &[u32], #[case] expected: &[u32]) {
    let mut tree = Tree::new().await;
    tree.make("dir", Kind::Dir).await;
    let args = Getattr4Args { attr_request: Bitmap::of(wanted) };
    let answer = tree.run::<GetAttr>(&["export", "dir"], &args).await.unwrap().obj_attributes;
    assert_eq!(answer.attrmask, Bitmap::of(expected));
    let all: [(u32, &dyn XdrEncode); 2] = [(FATTR4_TYPE, &FileType::Dir), (FATTR4_MODE, &0o755_u32)];
    let values: Vec<_> = all.into_iter().filter(|(number, _)| expected.contains(number)).collect();
    assert_eq!(answer, fattr(&values));
    tree.stop().await;
}

#[rstest]
#[case::minor_1(Minor::V1)]
#[case::minor_2(Minor::V2)]
#[tokio::test]
async fn whatever_is_supported_can_be_had_of_every_kind(#[case] minor: Minor) {
    let session = SessionOptions { minor, ..SessionOptions::default() };
    let mut tree = Tree::with(TestServerOptions::default(), session).await;
    let supported: Bitmap = tree.attribute(&["export"], FATTR4_SUPPORTED_ATTRS).await;
    assert!(supported.minus(known_in(minor)).is_empty());
    assert!(supported.contains(FATTR4_OPEN_ARGUMENTS));
    let attr_request = supported.minus(WRITE_ONLY);
    for kind in Kind::ALL {
        tree.make("object", kind).await;
        let answer = tree.run::<GetAttr>(&["export", "object"], &Getattr4Args { attr_request }).await;
        assert_eq!(answer.unwrap().obj_attributes.attrmask, attr_request, "{kind:?}");
        tree.remove("object").await;
    }
    tree.stop().await;
}

#[rstest]
#[case::access_time(&[FATTR4_TIME_ACCESS_SET])]
#[case::delegated_access_time(&[FATTR4_TIME_DELEG_ACCESS])]
#[case::delegated_modify_time(&[FATTR4_TIME_DELEG_MODIFY])]
#[case::modify_time(&[FATTR4_TIME_MODIFY_SET])]
#[case::among_others(&[FATTR4_TYPE, FATTR4_TIME_MODIFY_SET, FATTR4_MODE])]
#[tokio::test]
async fn what_can_only_be_set_cannot_be_had(#[case] wanted: &[u32]) {
    let mut tree = Tree::new().await;
    let args = Getattr4Args { attr_request: Bitmap::of(wanted) };
    assert_eq!(tree.run::<GetAttr>(&["export"], &args).await.unwrap_err(), NFS4ERR_INVAL);
    tree.stop().await;
}

// RFC: 9754 section 5.2: an extension of minor version 2.
#[tokio::test]
async fn what_a_minor_version_does_not_have_is_absent() {
    let session = SessionOptions { minor: Minor::V1, ..SessionOptions::default() };
    let mut tree = Tree::with(TestServerOptions::default(), session).await;
    let args = Getattr4Args { attr_request: Bitmap::of(&[FATTR4_TYPE, FATTR4_TIME_DELEG_ACCESS]) };
    let answer = tree.run::<GetAttr>(&["export"], &args).await.unwrap().obj_attributes;
    assert_eq!(answer.attrmask, Bitmap::of(&[FATTR4_TYPE]));
    tree.stop().await;
}

/// Where delegations are kept for clients that restart they can be claimed.
#[rstest]
#[tokio::test]
async fn open_takes_claims_of_clients_that_restarted(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let restarted_clients = RestartedClients::KeepDelegations;
    let server = TestServerOptions { restarted_clients, ..TestServerOptions::default() };
    let mut tree = Tree::with(server, SessionOptions { minor, ..SessionOptions::default() }).await;
    let arguments: OpenArguments4 = tree.attribute(&["export"], FATTR4_OPEN_ARGUMENTS).await;
    assert_eq!(arguments.open_claim, Bitmap::of(&[0, 1, 2, 3, 4, 5, 6]));
    tree.stop().await;
}

/// RFC 9754 section 3, and pynfs 4.1 DELEG24, which asks for it in minor version 1 (ADR 6): what OPEN takes depends on whether delegations are given at all.
#[rstest]
#[case::given(Minor::V2, Arc::new(GrantWhenUncontended), &[3, 4, 5, 21], &[0, 1, 2, 4, 5])]
#[case::with_timestamps(Minor::V2, Arc::new(OfferAlways), &[3, 4, 5, 20, 21], &[0, 1, 2, 4, 5])]
#[case::with_timestamps_in_4_1(Minor::V1, Arc::new(OfferAlways), &[3, 4, 5], &[0, 1, 2, 4, 5])]
#[case::given_in_4_1(Minor::V1, Arc::new(GrantWhenUncontended), &[3, 4, 5], &[0, 1, 2, 4, 5])]
#[case::not_given(Minor::V2, Arc::new(NoDelegations), &[4, 5], &[0, 1, 4])]
#[case::not_given_in_4_1(Minor::V1, Arc::new(NoDelegations), &[4, 5], &[0, 1, 4])]
#[tokio::test]
async fn open_arguments_are_those_that_open_takes(
    #[case] minor: Minor,
    #[case] policy: Arc<dyn DelegationPolicy>,
    #[case] wants: &[u32],
    #[case] claims: &[u32],
) {
    let server = TestServerOptions { delegations: Some(policy), ..TestServerOptions::default() };
    let session = SessionOptions { minor, ..SessionOptions::default() };
    let mut tree = Tree::with(server, session).await;
    let arguments: OpenArguments4 = tree.attribute(&["export"], FATTR4_OPEN_ARGUMENTS).await;
    assert_eq!(arguments.share_access_want, Bitmap::of(wants));
    assert_eq!(arguments.open_claim, Bitmap::of(claims));
    assert_eq!(arguments.share_access, Bitmap::of(&[1, 2, 3]));
    assert_eq!(arguments.share_deny, Bitmap::of(&[0, 1, 2, 3]));
    assert_eq!(arguments.create_mode, Bitmap::of(&[0, 1, 2, 3]));
    tree.stop().await;
}

#[tokio::test]
async fn the_root_of_an_export_is_mounted_on_the_pseudo_file_system() {
    let mut tree = Tree::new().await;
    tree.make("dir", Kind::Dir).await;
    let root: u64 = tree.attribute(&[], FATTR4_FILEID).await;
    assert_eq!(tree.attribute::<u64>(&[], FATTR4_MOUNTED_ON_FILEID).await, root);
    let export: u64 = tree.attribute(&["export"], FATTR4_MOUNTED_ON_FILEID).await;
    let other: u64 = tree.attribute(&["other"], FATTR4_MOUNTED_ON_FILEID).await;
    assert!(export != other && export != root && other != root);
    // Anywhere else it is the fileid.
    let dir = ["export", "dir"];
    let fileid: u64 = tree.attribute(&dir, FATTR4_FILEID).await;
    assert_eq!(tree.attribute::<u64>(&dir, FATTR4_MOUNTED_ON_FILEID).await, fileid);
    let in_pseudo: Fsid = tree.attribute(&[], FATTR4_FSID).await;
    assert_ne!(tree.attribute::<Fsid>(&["export"], FATTR4_FSID).await, in_pseudo);
    tree.stop().await;
}

#[tokio::test]
async fn values_of_the_server_and_the_file_system_are_theirs() {
    let mut tree = Tree::new().await;
    assert_eq!(tree.attribute::<u32>(&["export"], FATTR4_LEASE_TIME).await, 90);
    assert_eq!(tree.attribute::<u64>(&["export"], FATTR4_SPACE_TOTAL).await, 8 << 30);
    let handle = tree.session.lookup(&["export"]).await;
    assert_eq!(tree.attribute::<NfsFh4>(&["export"], FATTR4_FILEHANDLE).await, handle);
    assert_eq!(tree.attribute::<Status>(&["export"], FATTR4_RDATTR_ERROR).await, NFS4_OK);
    let exclcreat: Bitmap = tree.attribute(&["export"], FATTR4_SUPPATTR_EXCLCREAT).await;
    assert!(exclcreat.contains(FATTR4_MODE) && !exclcreat.contains(FATTR4_CHANGE));
    tree.stop().await;
}

#[tokio::test]
async fn it_refuses_like_every_operation() {
    let mut tree = Tree::new().await;
    let args = Getattr4Args { attr_request: Bitmap::of(&[FATTR4_TYPE]) };
    tree.check_common::<GetAttr>(&args, Asks::FileSystem).await;
    tree.stop().await;
}
