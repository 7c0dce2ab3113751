//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 5.5, 8.2.3, 18.30 and 15.1.2.9.

use dittofs_framework::attr::{
    Bitmap, FATTR4_CHANGE, FATTR4_MODE, FATTR4_OWNER, FATTR4_OWNER_GROUP, FATTR4_SIZE, FATTR4_TIME_ACCESS,
    FATTR4_TIME_ACCESS_SET, FATTR4_TIME_CREATE, FATTR4_TIME_DELEG_ACCESS, FATTR4_TIME_DELEG_MODIFY,
    FATTR4_TIME_MODIFY, FATTR4_TIME_MODIFY_SET, FATTR4_TYPE,
};
use dittofs_framework::op::Operation;
use dittofs_framework::proto::{
    Fattr4, FileType, NFS4_OK, NFS4ERR_ACCESS, NFS4ERR_ATTRNOTSUPP, NFS4ERR_BAD_STATEID, NFS4ERR_BADOWNER,
    NFS4ERR_BADXDR, NFS4ERR_FBIG, NFS4ERR_INVAL, NFS4ERR_ISDIR, NFS4ERR_LOCKED, NFS4ERR_OPENMODE,
    NFS4ERR_PERM, NFS4ERR_ROFS, NFS4ERR_WRONG_TYPE, NfsTime, OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS,
    Stateid, Status,
};
use dittofs_framework::xdr::{Opaque, Utf8, XdrEncode};
use dittofs_ops::open::Open;
use dittofs_ops::putfh::{PutFh, Putfh4Args};
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_tests::{BOTH, Client, READ, SetTime, mode_attr, open_args, size_attr, unchecked};
use rstest::rstest;

use crate::delegated::Delegated;
use crate::tree::{Asks, Kind, Tree, by_kind, fattr};

const LONG_AGO: NfsTime = NfsTime { seconds: -86_400, nseconds: 999_999_999 };

fn args(obj_attributes: Fattr4) -> Setattr4Args {
    Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes }
}

async fn set(tree: &mut Tree, name: &str, attributes: Fattr4) -> Result<Bitmap, Status> {
    tree.run::<SetAttr>(&["export", name], &args(attributes)).await
}

#[rstest]
#[case::mode(mode_attr(0o4711), FATTR4_MODE, 0o4711_u32)]
#[case::owner(fattr(&[(FATTR4_OWNER, &Utf8::from("7"))]), FATTR4_OWNER, Utf8::from("7"))]
#[case::group(fattr(&[(FATTR4_OWNER_GROUP, &Utf8::from("7"))]), FATTR4_OWNER_GROUP, Utf8::from("7"))]
#[case::size(size_attr(1 << 40), FATTR4_SIZE, 1_u64 << 40)]
#[case::access_time(fattr(&[(FATTR4_TIME_ACCESS_SET, &SetTime::Client(LONG_AGO))]), FATTR4_TIME_ACCESS, LONG_AGO)]
#[case::modify_time(fattr(&[(FATTR4_TIME_MODIFY_SET, &SetTime::Client(LONG_AGO))]), FATTR4_TIME_MODIFY, LONG_AGO)]
#[case::creation_time(fattr(&[(FATTR4_TIME_CREATE, &LONG_AGO)]), FATTR4_TIME_CREATE, LONG_AGO)]
#[tokio::test]
async fn an_attribute_is_set<T>(#[case] attributes: Fattr4, #[case] number: u32, #[case] expected: T)
where
    T: dittofs_framework::xdr::XdrDecode + PartialEq + std::fmt::Debug,
{
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    let path = ["export", "file"];
    let before: u64 = tree.attribute(&path, FATTR4_CHANGE).await;
    let asked = attributes.attrmask;
    assert_eq!(set(&mut tree, "file", attributes).await, Ok(asked));
    assert_eq!(tree.attribute::<T>(&path, number).await, expected);
    assert_ne!(tree.attribute::<u64>(&path, FATTR4_CHANGE).await, before);
    tree.stop().await;
}

#[tokio::test]
async fn the_servers_time_is_later_than_one_that_was_set() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    for (number, read) in
        [(FATTR4_TIME_ACCESS_SET, FATTR4_TIME_ACCESS), (FATTR4_TIME_MODIFY_SET, FATTR4_TIME_MODIFY)]
    {
        set(&mut tree, "file", fattr(&[(number, &SetTime::Client(LONG_AGO))])).await.unwrap();
        set(&mut tree, "file", fattr(&[(number, &SetTime::Server)])).await.unwrap();
        assert!(tree.attribute::<NfsTime>(&["export", "file"], read).await > LONG_AGO);
    }
    tree.stop().await;
}

#[tokio::test]
async fn several_attributes_are_set_at_once() {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    let all = fattr(&[
        (FATTR4_SIZE, &10_u64),
        (FATTR4_MODE, &0o600_u32),
        (FATTR4_OWNER, &Utf8::from("3")),
        (FATTR4_TIME_MODIFY_SET, &SetTime::Client(LONG_AGO)),
    ]);
    let asked = all.attrmask;
    assert_eq!(set(&mut tree, "file", all).await, Ok(asked));
    assert_eq!(tree.attribute::<u64>(&["export", "file"], FATTR4_SIZE).await, 10);
    assert_eq!(tree.attribute::<NfsTime>(&["export", "file"], FATTR4_TIME_MODIFY).await, LONG_AGO);
    assert_eq!(set(&mut tree, "file", Fattr4::default()).await, Ok(Bitmap::EMPTY));
    tree.stop().await;
}

#[rstest]
#[case::read_only(fattr(&[(FATTR4_TYPE, &FileType::Dir)]), NFS4ERR_INVAL)]
#[case::read_only_among_others(fattr(&[(FATTR4_CHANGE, &1_u64), (FATTR4_MODE, &0o600_u32)]), NFS4ERR_INVAL)]
#[case::mode_of_too_many_bits(mode_attr(0o10000), NFS4ERR_INVAL)]
#[case::owner_of_no_length(fattr(&[(FATTR4_OWNER, &Utf8::from(""))]), NFS4ERR_INVAL)]
#[case::group_of_no_length(fattr(&[(FATTR4_OWNER_GROUP, &Utf8::from(""))]), NFS4ERR_INVAL)]
#[case::a_billion_nanoseconds(
    fattr(&[(FATTR4_TIME_MODIFY_SET, &SetTime::Client(NfsTime { seconds: 0, nseconds: 1_000_000_000 }))]),
    NFS4ERR_INVAL
)]
#[case::unsupported(fattr(&[(12, &0_u32)]), NFS4ERR_ATTRNOTSUPP)]
#[case::undefined(fattr(&[(120, &0_u32)]), NFS4ERR_ATTRNOTSUPP)]
#[case::owner_unknown(fattr(&[(FATTR4_OWNER, &Utf8::from("nobody@nowhere"))]), NFS4ERR_BADOWNER)]
#[case::group_unknown(fattr(&[(FATTR4_OWNER_GROUP, &Utf8::from("-1"))]), NFS4ERR_BADOWNER)]
#[case::size_too_large(size_attr(u64::MAX), NFS4ERR_FBIG)]
#[case::no_values(Fattr4 { attrmask: Bitmap::of(&[FATTR4_MODE]), attr_vals: Opaque::default() }, NFS4ERR_BADXDR)]
#[case::values_left_over(fattr(&[(FATTR4_MODE, &0_u64)]), NFS4ERR_BADXDR)]
#[case::delegated_access_time_without_delegation(fattr(&[(FATTR4_TIME_DELEG_ACCESS, &LONG_AGO)]), NFS4ERR_BAD_STATEID)]
#[case::delegated_modify_time_without_delegation(fattr(&[(FATTR4_TIME_DELEG_MODIFY, &LONG_AGO)]), NFS4ERR_BAD_STATEID)]
#[case::one_time_in_two_ways(
    fattr(&[(FATTR4_TIME_MODIFY_SET, &SetTime::Server), (FATTR4_TIME_DELEG_MODIFY, &LONG_AGO)]),
    NFS4ERR_INVAL
)]
#[case::time_of_no_kind(fattr(&[(FATTR4_TIME_MODIFY_SET, &2_u32)]), NFS4ERR_BADXDR)]
#[tokio::test]
async fn attributes_are_refused_and_none_is_set(#[case] attributes: Fattr4, #[case] expected: Status) {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    let mode: u32 = tree.attribute(&["export", "file"], FATTR4_MODE).await;
    let compound = tree.at(&["export", "file"]).op::<SetAttr>(&args(attributes));
    let reply = tree.session.run(compound).await;
    assert_eq!(reply.status, expected);
    // "On either success or failure of the operation, the server will return the attrsset bitmask".
    assert_eq!(reply.error_body::<Bitmap>(), Bitmap::EMPTY);
    assert_eq!(tree.attribute::<u32>(&["export", "file"], FATTR4_MODE).await, mode);
    tree.stop().await;
}

/// RFC 9754 section 5: who keeps the times by a delegation may set them, with it. What is from before the delegation is ignored, what is
/// from after now is now, and a time of access changes nothing else.
#[tokio::test]
async fn the_holder_of_a_delegation_sets_the_times_that_it_kept() {
    let mut world = Delegated::new().await;
    let held = world.delegate(BOTH | 0x200 | OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS).await;
    let fh = held.file.fh.clone();
    let times = |access, modify| {
        let values: [(u32, &dyn XdrEncode); 2] =
            [(FATTR4_TIME_DELEG_ACCESS, access), (FATTR4_TIME_DELEG_MODIFY, modify)];
        Setattr4Args { stateid: held.stateid, obj_attributes: fattr(&values) }
    };
    let modified: NfsTime = world.holder.attribute(&fh, FATTR4_TIME_MODIFY).await;
    let accessed: NfsTime = world.holder.attribute(&fh, FATTR4_TIME_ACCESS).await;
    let change: u64 = world.holder.attribute(&fh, FATTR4_CHANGE).await;
    let set = world.run::<SetAttr>(&held, &times(&LONG_AGO, &LONG_AGO)).await;
    assert_eq!(set, Ok(Bitmap::of(&[FATTR4_TIME_DELEG_ACCESS, FATTR4_TIME_DELEG_MODIFY])));
    assert_eq!(world.holder.attribute::<NfsTime>(&fh, FATTR4_TIME_MODIFY).await, modified);
    assert_eq!(world.holder.attribute::<NfsTime>(&fh, FATTR4_TIME_ACCESS).await, accessed);
    assert_eq!(world.holder.attribute::<u64>(&fh, FATTR4_CHANGE).await, change, "nothing was set");

    let later = NfsTime { nseconds: modified.nseconds, seconds: modified.seconds };
    let far = NfsTime { seconds: i64::MAX, nseconds: 0 };
    world.run::<SetAttr>(&held, &times(&far, &later)).await.unwrap();
    assert_eq!(world.holder.attribute::<NfsTime>(&fh, FATTR4_TIME_MODIFY).await, later);
    let accessed_now: NfsTime = world.holder.attribute(&fh, FATTR4_TIME_ACCESS).await;
    assert!(accessed_now > accessed && accessed_now < far);
    assert!(world.holder.attribute::<u64>(&fh, FATTR4_CHANGE).await > change);
    world.stop().await;
}

/// A delegation that does not keep them is not enough, and neither is an open.
#[rstest]
#[case::without_times(BOTH | 0x200, false)]
#[case::for_reading(READ | 0x100 | OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS, false)]
#[case::of_the_open(BOTH | 0x200 | OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS, true)]
#[tokio::test]
async fn nobody_else_sets_the_times_of_a_delegation(#[case] share_access: u32, #[case] of_open: bool) {
    let mut world = Delegated::new().await;
    let held = world.delegate(share_access).await;
    let stateid = if of_open { held.file.stateid } else { held.stateid };
    let obj_attributes = fattr(&[(FATTR4_TIME_DELEG_MODIFY, &LONG_AGO)]);
    let set = world.run::<SetAttr>(&held, &Setattr4Args { stateid, obj_attributes }).await;
    assert_eq!(set, Err(NFS4ERR_BAD_STATEID));
    world.stop().await;
}

#[tokio::test]
async fn every_kind_has_a_mode_and_only_files_a_size_to_set() {
    let mut tree = Tree::new().await;
    let modes = tree.statuses::<SetAttr>(&args(mode_attr(0o700))).await;
    assert_eq!(modes, by_kind(|_| NFS4_OK));
    let sizes = tree.statuses::<SetAttr>(&args(size_attr(0))).await;
    let expected = by_kind(|kind| match kind {
        Kind::File => NFS4_OK,
        Kind::Dir => NFS4ERR_ISDIR,
        _ => NFS4ERR_WRONG_TYPE,
    });
    assert_eq!(sizes, expected);
    tree.stop().await;
}

/// Which stateid a size is set with.
#[derive(Debug, Clone, Copy)]
enum By {
    Open,
    OpenForReading,
    OtherFile,
    Garbage,
    Anonymous,
    Bypass,
}

#[rstest]
#[case::open(By::Open, NFS4_OK)]
#[case::open_for_reading(By::OpenForReading, NFS4ERR_OPENMODE)]
#[case::open_of_another_file(By::OtherFile, NFS4ERR_BAD_STATEID)]
#[case::garbage(By::Garbage, NFS4ERR_BAD_STATEID)]
#[case::anonymous(By::Anonymous, NFS4_OK)]
#[case::bypass(By::Bypass, NFS4_OK)]
#[tokio::test]
async fn a_size_is_set_on_the_authority_of_a_stateid(#[case] by: By, #[case] expected: Status) {
    let mut tree = Tree::new().await;
    let file = tree.session.open("file").await;
    let stateid = match by {
        By::Open => file.stateid,
        By::OpenForReading => tree.session.open_as("file", READ, 0, "reader").await.stateid,
        By::OtherFile => tree.session.open("other").await.stateid,
        By::Garbage => Stateid { seqid: 1, other: *b"never issued" },
        By::Anonymous => Stateid::ANONYMOUS,
        By::Bypass => Stateid::READ_BYPASS,
    };
    let path = ["export", "file"];
    let size = Setattr4Args { stateid, obj_attributes: size_attr(5) };
    assert_eq!(tree.run::<SetAttr>(&path, &size).await.err().unwrap_or(NFS4_OK), expected);
    // For anything else the stateid does not matter.
    let mode = Setattr4Args { stateid, obj_attributes: mode_attr(0o600) };
    assert_eq!(tree.run::<SetAttr>(&path, &mode).await, Ok(Bitmap::of(&[FATTR4_MODE])));
    tree.stop().await;
}

#[tokio::test]
async fn the_current_stateid_is_that_of_the_open_before() {
    let mut tree = Tree::new().await;
    let size = Setattr4Args { stateid: Stateid::CURRENT, obj_attributes: size_attr(7) };
    let how = open_args("file", BOTH, 0, "owner", unchecked());
    let compound = tree.at(&["export"]).op::<Open>(&how).op::<SetAttr>(&size);
    tree.session.run(compound).await.ok();
    assert_eq!(tree.attribute::<u64>(&["export", "file"], FATTR4_SIZE).await, 7);
    let no_current = tree.run::<SetAttr>(&["export", "file"], &size).await;
    assert_eq!(no_current.unwrap_err(), NFS4ERR_BAD_STATEID);
    tree.stop().await;
}

#[tokio::test]
async fn a_denied_write_is_a_size_that_cannot_be_set() {
    const DENY_WRITE: u32 = 2;
    let mut tree = Tree::new().await;
    let mut other = Client::connect(&tree.server).await.session("other client").await;
    let file = other.open_as("file", READ, DENY_WRITE, "denying owner").await;
    let put = tree.session.compound().op::<PutFh>(&Putfh4Args { object: file.fh });
    let reply = tree.session.run(put.op::<SetAttr>(&args(size_attr(0)))).await;
    assert_eq!(reply.status, NFS4ERR_LOCKED);
    tree.stop().await;
}

#[rstest]
#[case::mode_of_others(mode_attr(0o777), NFS4ERR_PERM)]
#[case::owner_of_others(fattr(&[(FATTR4_OWNER, &Utf8::from("1"))]), NFS4ERR_PERM)]
#[case::time_of_others(fattr(&[(FATTR4_TIME_MODIFY_SET, &SetTime::Client(LONG_AGO))]), NFS4ERR_PERM)]
#[case::size_without_write_permission(size_attr(0), NFS4ERR_ACCESS)]
#[case::servers_time_without_write_permission(fattr(&[(FATTR4_TIME_MODIFY_SET, &SetTime::Server)]), NFS4ERR_ACCESS)]
#[tokio::test]
async fn permission_is_needed(#[case] attributes: Fattr4, #[case] expected: Status) {
    let mut tree = Tree::new().await;
    tree.make("file", Kind::File).await;
    tree.session.act_as(1, 1, &[]);
    assert_eq!(set(&mut tree, "file", attributes).await, Err(expected));
    tree.stop().await;
}

#[tokio::test]
async fn the_pseudo_file_system_is_read_only() {
    let mut tree = Tree::new().await;
    let done = tree.run::<SetAttr>(&[], &args(mode_attr(0o777))).await;
    assert_eq!(done.unwrap_err(), NFS4ERR_ROFS);
    tree.stop().await;
}

#[tokio::test]
async fn it_refuses_like_every_operation_but_with_a_body() {
    let mut tree = Tree::new().await;
    assert_eq!(SetAttr::DESCRIPTOR.error_tail, [0; 4]);
    tree.check_common::<SetAttr>(&args(mode_attr(0o755)), Asks::FileSystem).await;
    tree.stop().await;
}
