//! OPEN with creation: the four ways of it, the attributes that come along, and truncation. What else is not reached of OPEN's list is said in
//! `open`.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 18.16.3, 18.16.4, 5.8.1.14, 14.4 and 15.1.

use std::sync::Arc;

use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::attr::{
    Bitmap, FATTR4_CHANGE, FATTR4_MODE, FATTR4_OWNER, FATTR4_OWNER_GROUP, FATTR4_SIZE, FATTR4_TIME_CREATE,
    FATTR4_TIME_DELEG_MODIFY, FATTR4_TIME_MODIFY, FATTR4_TIME_MODIFY_SET, FATTR4_TYPE,
};
use dittofs_framework::proto::{
    ChannelAttrs4, Fattr4, FileType, Minor, NFS4_OK, NFS4ERR_ACCESS, NFS4ERR_ATTRNOTSUPP, NFS4ERR_BADOWNER,
    NFS4ERR_BADXDR, NFS4ERR_EXIST, NFS4ERR_FBIG, NFS4ERR_INVAL, NFS4ERR_NOENT, NFS4ERR_NOSPC, NFS4ERR_PERM,
    NFS4ERR_REP_TOO_BIG, NFS4ERR_REP_TOO_BIG_TO_CACHE, NFS4ERR_ROFS, NFS4ERR_SHARE_DENIED, NfsTime,
    Sequence4Args, Stateid, Status,
};
use dittofs_framework::state::ShareDeny;
use dittofs_framework::xdr::Utf8;
use dittofs_ops::getfh::GetFh;
use dittofs_ops::open::{CreatVerfAttr, CreateHow4, Open, Open4Args, OpenClaim4, OpenFlag4};
use dittofs_ops::sequence::Sequence;
use dittofs_tests::{
    BOTH, Client, OpenFile, READ, Session, SessionOptions, SetTime, TestServerOptions, WRITE, fattr,
    mode_attr, open_args, size_attr, unchecked, walk,
};
use rstest::rstest;

use crate::common::{CONTENT, Object, World};
use crate::tree::name;

const EXPORT: &[&str] = &["export"];
const VERIFIER: [u8; 8] = *b"verifier";
const LONG_AGO: NfsTime = NfsTime { seconds: -1_000_000_000, nseconds: 7 };

/// createmode4, without what goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Unchecked,
    Guarded,
    Exclusive4_1,
}

impl Mode {
    fn with(self, attrs: Fattr4) -> OpenFlag4 {
        OpenFlag4::Create(match self {
            Self::Unchecked => CreateHow4::Unchecked(attrs),
            Self::Guarded => CreateHow4::Guarded(attrs),
            Self::Exclusive4_1 => {
                CreateHow4::Exclusive4_1(CreatVerfAttr { cva_verf: VERIFIER, cva_attrs: attrs })
            }
        })
    }
}

fn create(file: &str, how: OpenFlag4) -> Open4Args {
    open_args(file, BOTH, 0, "creator", how)
}

/// What OPEN in the share answers: the file, and the attributes that were set.
async fn open(session: &mut Session, args: &Open4Args) -> Result<(OpenFile, Bitmap), Status> {
    let (fh, opened) = session.try_open(EXPORT, args).await?;
    Ok((OpenFile { fh, stateid: opened.stateid }, opened.attrset))
}

async fn exists(session: &mut Session, file: &str) -> bool {
    let compound = walk(session.compound(), &["export", file]).op::<GetFh>(&());
    match session.run(compound).await.status {
        NFS4_OK => true,
        status => {
            assert_eq!(status, NFS4ERR_NOENT);
            false
        }
    }
}

/// "The server will return to the client an attribute mask signifying which attributes were successfully set."
#[rstest]
#[tokio::test]
async fn attributes_are_set(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[values(Mode::Unchecked, Mode::Guarded, Mode::Exclusive4_1)] mode: Mode,
) {
    let mut world = World::of(minor).await;
    let attrs = fattr(&[
        (FATTR4_SIZE, &5_u64),
        (FATTR4_MODE, &0o640_u32),
        (FATTR4_OWNER, &Utf8::from("7")),
        (FATTR4_OWNER_GROUP, &Utf8::from("8")),
        (FATTR4_TIME_CREATE, &LONG_AGO),
        (FATTR4_TIME_MODIFY_SET, &SetTime::Client(LONG_AGO)),
    ]);
    let set = attrs.attrmask;
    let (file, attrset) = open(&mut world.session, &create("new", mode.with(attrs))).await.unwrap();
    assert_eq!(attrset, set);
    assert_eq!(file.stateid.seqid, 1);
    let session = &mut world.session;
    assert_eq!(session.attribute::<u64>(&file.fh, FATTR4_SIZE).await, 5);
    assert_eq!(session.attribute::<u32>(&file.fh, FATTR4_MODE).await, 0o640);
    assert_eq!(session.attribute::<Utf8>(&file.fh, FATTR4_OWNER).await, Utf8::from("7"));
    assert_eq!(session.attribute::<Utf8>(&file.fh, FATTR4_OWNER_GROUP).await, Utf8::from("8"));
    assert_eq!(session.attribute::<NfsTime>(&file.fh, FATTR4_TIME_CREATE).await, LONG_AGO);
    assert_eq!(session.attribute::<NfsTime>(&file.fh, FATTR4_TIME_MODIFY).await, LONG_AGO);
    world.stop().await;
}

/// Nothing was asked for, so nothing was set; the owner and group are the caller's.
#[rstest]
#[case::unchecked(Mode::Unchecked.with(Fattr4::default()))]
#[case::guarded(Mode::Guarded.with(Fattr4::default()))]
#[case::exclusive(OpenFlag4::Create(CreateHow4::Exclusive(VERIFIER)))]
#[case::exclusive4_1(Mode::Exclusive4_1.with(Fattr4::default()))]
#[tokio::test]
async fn a_file_is_the_callers(#[case] how: OpenFlag4) {
    let mut world = World::new().await;
    world.session.act_as(1000, 1001, &[]);
    let (file, attrset) = open(&mut world.session, &create("new", how)).await.unwrap();
    assert_eq!(attrset, Bitmap::EMPTY);
    assert_eq!(world.session.attribute::<Utf8>(&file.fh, FATTR4_OWNER).await, Utf8::from("1000"));
    assert_eq!(world.session.attribute::<Utf8>(&file.fh, FATTR4_OWNER_GROUP).await, Utf8::from("1001"));
    world.session.write(&file, 0, b"mine").await;
    world.stop().await;
}

/// An EXCLUSIVE4 create "SHOULD NOT leave the file's access control to anyone but the owner".
#[tokio::test]
async fn an_exclusive_file_is_the_owners_alone() {
    let mut world = World::new().await;
    let how = OpenFlag4::Create(CreateHow4::Exclusive(VERIFIER));
    let (file, _) = open(&mut world.session, &create("new", how)).await.unwrap();
    let mode = world.session.attribute::<u32>(&file.fh, FATTR4_MODE).await;
    assert_eq!(mode & 0o077, 0);
    world.stop().await;
}

/// The creator has the file open as it asked, whatever mode the file got.
#[tokio::test]
async fn a_file_without_permission_is_open_for_its_creator() {
    let mut world = World::new().await;
    world.session.act_as(1000, 1000, &[]);
    let args = create("new", Mode::Guarded.with(mode_attr(0)));
    let (file, _) = open(&mut world.session, &args).await.unwrap();
    world.session.write(&file, 0, b"mine").await;
    assert_eq!(&world.session.read(&file, 0, 4).await.data[..], b"mine");
    world.stop().await;
}

/// The change of the directory is that of the creation, and there is none where the file was there.
#[tokio::test]
async fn the_directory_changes_with_a_new_file() {
    let mut world = World::new().await;
    let share = world.session.share().await;
    let before = world.session.attribute::<u64>(&share, FATTR4_CHANGE).await;
    let (_, made) = world.session.try_open(EXPORT, &create("new", unchecked())).await.unwrap();
    let after = world.session.attribute::<u64>(&share, FATTR4_CHANGE).await;
    assert!(made.cinfo.atomic);
    assert_eq!((made.cinfo.before, made.cinfo.after), (before, after));
    assert_ne!(before, after);
    let (_, found) = world.session.try_open(EXPORT, &create("new", unchecked())).await.unwrap();
    assert_eq!((found.cinfo.before, found.cinfo.after), (after, after));
    world.stop().await;
}

/// "When an UNCHECKED4 create encounters an existing file, the attributes are not used, except that when createattrs specifies the size
/// attribute with a size of zero, the existing file is truncated."
#[rstest]
#[case::nothing(Fattr4::default(), false)]
#[case::mode(mode_attr(0o600), false)]
#[case::size(size_attr(5), false)]
#[case::longer(size_attr(50), false)]
#[case::empty(size_attr(0), true)]
#[case::empty_with_mode(fattr(&[(FATTR4_SIZE, &0_u64), (FATTR4_MODE, &0o600_u32)]), true)]
#[tokio::test]
async fn unchecked_takes_what_is_there(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[case] attrs: Fattr4,
    #[case] truncates: bool,
) {
    let mut world = World::of(minor).await;
    let (file, attrset) =
        open(&mut world.session, &create("file", Mode::Unchecked.with(attrs))).await.unwrap();
    assert_eq!(file.fh, world.file.fh);
    assert_eq!(attrset, if truncates { Bitmap::of(&[FATTR4_SIZE]) } else { Bitmap::EMPTY });
    let expected = if truncates { b"" } else { CONTENT };
    assert_eq!(world.content().await, expected);
    assert_eq!(world.session.attribute::<u32>(&file.fh, FATTR4_MODE).await, 0o644);
    world.stop().await;
}

/// Truncation is writing: it needs the permission, and that nobody denies it; else nothing happens, and nothing is open.
#[tokio::test]
async fn truncation_is_writing() {
    let mut world = World::new().await;
    world.close().await;
    let truncate = Open4Args { share_access: READ, ..create("file", Mode::Unchecked.with(size_attr(0))) };
    let mut other = world.client("other client").await;
    let denying = other.open_as("file", READ, ShareDeny::WRITE.bits(), "owner").await;
    assert_eq!(open(&mut world.session, &truncate).await.err(), Some(NFS4ERR_SHARE_DENIED));
    other.close(&denying).await;
    world.session.act_as(1000, 1000, &[]);
    assert_eq!(open(&mut world.session, &truncate).await.err(), Some(NFS4ERR_ACCESS));
    let alone = other.open_as("file", BOTH, ShareDeny::BOTH.bits(), "owner").await;
    assert_eq!(&other.read(&alone, 0, 100).await.data[..], CONTENT);
    other.close(&alone).await;
    world.session.act_as(0, 0, &[]);
    let (_, attrset) = open(&mut world.session, &truncate).await.unwrap();
    assert_eq!(attrset, Bitmap::of(&[FATTR4_SIZE]));
    world.file = world.session.open("file").await;
    assert_eq!(world.content().await, b"");
    world.stop().await;
}

/// What is there needs no right to the directory but to search it; what is not there needs the right to write to it.
#[tokio::test]
async fn a_directory_is_written_to_by_a_new_file_alone() {
    let mut world = World::new().await;
    world.session.mkdir("dir").await;
    let dir = &["export", "dir"];
    let how = || Mode::Unchecked.with(mode_attr(0o666));
    world.session.try_open(dir, &create("old", how())).await.unwrap();
    world.session.act_as(1000, 1000, &[]);
    assert!(world.session.try_open(dir, &create("old", how())).await.is_ok());
    assert_eq!(world.session.try_open(dir, &create("new", how())).await.err(), Some(NFS4ERR_ACCESS));
    world.stop().await;
}

/// "If a duplicate exists, NFS4ERR_EXIST is returned", whatever it is; likewise for an exclusive create with another verifier.
#[rstest]
#[case::guarded(Mode::Guarded.with(mode_attr(0o644)))]
#[case::guarded_with_size(Mode::Guarded.with(size_attr(0)))]
#[case::exclusive(OpenFlag4::Create(CreateHow4::Exclusive(VERIFIER)))]
#[case::exclusive4_1(Mode::Exclusive4_1.with(mode_attr(0o644)))]
#[tokio::test]
async fn what_is_there_already(#[case] how: OpenFlag4) {
    let mut world = World::new().await;
    for object in [Object::Dir, Object::Symlink, Object::Fifo] {
        world.object(object).await;
        let args = create("object", how.clone());
        assert_eq!(open(&mut world.session, &args).await.err(), Some(NFS4ERR_EXIST), "{object:?}");
        world.remove("object").await;
    }
    let args = create("file", how);
    assert_eq!(open(&mut world.session, &args).await.err(), Some(NFS4ERR_EXIST));
    assert_eq!(world.content().await, CONTENT);
    world.stop().await;
}

/// "If the object does exist and the stored verifier matches, the server uses the existing object as the newly created object": a retry in
/// another session, by another instance of the owner's name, or after a while is as good as the first.
#[rstest]
#[case::exclusive(OpenFlag4::Create(CreateHow4::Exclusive(VERIFIER)), Bitmap::EMPTY)]
#[case::exclusive4_1(Mode::Exclusive4_1.with(mode_attr(0o600)), Bitmap::of(&[FATTR4_MODE]))]
#[tokio::test]
async fn an_exclusive_create_is_retried(#[case] how: OpenFlag4, #[case] expected: Bitmap) {
    let mut world = World::new().await;
    world.session.act_as(1000, 1000, &[]);
    let args = create("new", how);
    let (first, attrset) = open(&mut world.session, &args).await.unwrap();
    assert_eq!(attrset, expected);
    world.session.write(&first, 0, b"data").await;
    let (again, attrset) = open(&mut world.session, &args).await.unwrap();
    assert_eq!(attrset, expected);
    assert_eq!(again.fh, first.fh);
    assert_eq!(again.stateid, Stateid { seqid: 2, ..first.stateid });
    let mut second = world.client("client").await;
    second.act_as(1000, 1000, &[]);
    let (in_second, _) = open(&mut second, &args).await.unwrap();
    assert_eq!(in_second.stateid, Stateid { seqid: 3, ..first.stateid });
    assert_eq!(&second.read(&in_second, 0, 10).await.data[..], b"data", "nothing was done twice");
    let verifier = *b"another!";
    for other in [
        CreateHow4::Exclusive(verifier),
        CreateHow4::Exclusive4_1(CreatVerfAttr { cva_verf: verifier, cva_attrs: Fattr4::default() }),
    ] {
        let args = create("new", OpenFlag4::Create(other));
        assert_eq!(open(&mut world.session, &args).await.err(), Some(NFS4ERR_EXIST));
    }
    world.stop().await;
}

/// Values that cannot be set, and that no file is left behind. For an exclusive create it is NFS4ERR_INVAL whatever is not in
/// suppattr_exclcreat.
#[rstest]
#[case::unsupported(fattr(&[(12, &0_u32)]), NFS4ERR_ATTRNOTSUPP, NFS4ERR_INVAL)]
#[case::undefined(fattr(&[(120, &0_u32)]), NFS4ERR_ATTRNOTSUPP, NFS4ERR_INVAL)]
#[case::read_only(fattr(&[(FATTR4_TYPE, &FileType::Reg)]), NFS4ERR_INVAL, NFS4ERR_INVAL)]
#[case::mode(mode_attr(0o10_000), NFS4ERR_INVAL, NFS4ERR_INVAL)]
#[case::owner_of_no_length(fattr(&[(FATTR4_OWNER, &Utf8::from(""))]), NFS4ERR_INVAL, NFS4ERR_INVAL)]
#[case::owner_unknown(fattr(&[(FATTR4_OWNER, &Utf8::from("who@where"))]), NFS4ERR_BADOWNER, NFS4ERR_BADOWNER)]
#[case::group_unknown(fattr(&[(FATTR4_OWNER_GROUP, &Utf8::from("-1"))]), NFS4ERR_BADOWNER, NFS4ERR_BADOWNER)]
#[case::delegated_time(
    fattr(&[(FATTR4_TIME_DELEG_MODIFY, &NfsTime { seconds: 1, nseconds: 0 })]),
    NFS4ERR_INVAL,
    NFS4ERR_INVAL
)]
#[case::nanoseconds(
    fattr(&[(FATTR4_TIME_MODIFY_SET, &SetTime::Client(NfsTime { seconds: 0, nseconds: 1_000_000_000 }))]),
    NFS4ERR_INVAL,
    NFS4ERR_INVAL
)]
#[case::settime(fattr(&[(FATTR4_TIME_MODIFY_SET, &2_u32)]), NFS4ERR_BADXDR, NFS4ERR_BADXDR)]
#[case::size(size_attr(u64::MAX), NFS4ERR_FBIG, NFS4ERR_FBIG)]
#[case::values_too_short(fattr(&[(FATTR4_SIZE, &0_u32)]), NFS4ERR_BADXDR, NFS4ERR_BADXDR)]
#[case::values_too_long(fattr(&[(FATTR4_MODE, &0_u64)]), NFS4ERR_BADXDR, NFS4ERR_BADXDR)]
#[tokio::test]
async fn attributes_are_refused(#[case] attrs: Fattr4, #[case] expected: Status, #[case] exclusive: Status) {
    let mut world = World::new().await;
    for (mode, expected) in
        [(Mode::Unchecked, expected), (Mode::Guarded, expected), (Mode::Exclusive4_1, exclusive)]
    {
        let args = create("new", mode.with(attrs.clone()));
        assert_eq!(open(&mut world.session, &args).await.err(), Some(expected), "{mode:?}");
        assert!(!exists(&mut world.session, "new").await);
    }
    world.stop().await;
}

/// The current time is a value like any other.
#[tokio::test]
async fn a_time_is_the_servers() {
    let mut world = World::new().await;
    let attrs = fattr(&[(FATTR4_TIME_MODIFY_SET, &SetTime::Server)]);
    let (_, attrset) = open(&mut world.session, &create("new", Mode::Guarded.with(attrs))).await.unwrap();
    assert_eq!(attrset, Bitmap::of(&[FATTR4_TIME_MODIFY_SET]));
    world.stop().await;
}

/// "An owner or owner_group that the principal does not have authorization to create files for": NFS4ERR_PERM.
#[rstest]
#[case::own_owner(FATTR4_OWNER, "1000", NFS4_OK)]
#[case::other_owner(FATTR4_OWNER, "1001", NFS4ERR_PERM)]
#[case::own_group(FATTR4_OWNER_GROUP, "1000", NFS4_OK)]
#[case::own_further_group(FATTR4_OWNER_GROUP, "5", NFS4_OK)]
#[case::other_group(FATTR4_OWNER_GROUP, "6", NFS4ERR_PERM)]
#[tokio::test]
async fn a_user_gives_a_file(#[case] number: u32, #[case] who: &str, #[case] expected: Status) {
    let mut world = World::new().await;
    world.session.act_as(1000, 1000, &[5]);
    let args = create("new", Mode::Guarded.with(fattr(&[(number, &Utf8::from(who))])));
    let opened = open(&mut world.session, &args).await;
    assert_eq!(opened.err().unwrap_or(NFS4_OK), expected);
    assert_eq!(exists(&mut world.session, "new").await, expected.is_ok());
    world.stop().await;
}

/// Names are bytes (section 14.4).
#[tokio::test]
async fn a_name_need_not_be_utf8() {
    let mut world = World::new().await;
    let claim = OpenClaim4::Null(name(b"\xff\xfe"));
    let args = Open4Args { claim: claim.clone(), ..create("", unchecked()) };
    let (file, _) = open(&mut world.session, &args).await.unwrap();
    let args = Open4Args { claim, ..open_args("", READ, 0, "reader", OpenFlag4::NoCreate(())) };
    assert_eq!(open(&mut world.session, &args).await.unwrap().0.fh, file.fh);
    world.stop().await;
}

#[rstest]
#[case::unchecked(unchecked())]
#[case::guarded(Mode::Guarded.with(Fattr4::default()))]
#[case::exclusive(OpenFlag4::Create(CreateHow4::Exclusive(VERIFIER)))]
#[tokio::test]
async fn the_pseudo_file_system_is_read_only(#[case] how: OpenFlag4) {
    let mut world = World::new().await;
    assert_eq!(world.session.try_open(&[], &create("new", how)).await.err(), Some(NFS4ERR_ROFS));
    world.stop().await;
}

#[tokio::test]
async fn a_full_file_system_has_no_space() {
    let fs = Arc::new(
        StoreFileSystem::in_memory(MemoryOptions { capacity: 64 << 10, ..MemoryOptions::default() })
            .expect("a share in memory"),
    );
    let server = TestServerOptions { fs, ..TestServerOptions::default() };
    let mut world = World::with(server, SessionOptions::default()).await;
    let mut count = 0;
    let status = loop {
        match open(&mut world.session, &create(&format!("file {count}"), unchecked())).await {
            Ok(_) => count += 1,
            Err(status) => break status,
        }
        assert!(count < 1000, "the file system never gets full");
    };
    assert_eq!(status, NFS4ERR_NOSPC);
    assert!(!exists(&mut world.session, &format!("file {count}")).await);
    world.stop().await;
}

/// OPEN does not run without room for its answer (section 2.10.6.4).
#[rstest]
#[case::at_all(160, 160, false, NFS4ERR_REP_TOO_BIG)]
#[case::in_the_cache(4096, 160, true, NFS4ERR_REP_TOO_BIG_TO_CACHE)]
#[case::not_to_be_cached(4096, 160, false, NFS4_OK)]
#[tokio::test]
async fn nothing_is_created_without_room_to_say_so(
    #[case] max_response_size: u32,
    #[case] max_response_size_cached: u32,
    #[case] cache_this: bool,
    #[case] expected: Status,
) {
    let mut world = World::new().await;
    let options = SessionOptions::default();
    let fore_channel = ChannelAttrs4 { max_response_size, max_response_size_cached, ..options.fore_channel };
    let options = SessionOptions { fore_channel, ..options };
    let mut small = Client::connect(&world.server).await.session_with("other client", options).await;
    let sequence = Sequence4Args { cache_this, ..small.sequence_args(0) };
    let sequence = small.compound().op::<Sequence>(&sequence);
    let open = walk(small.compound(), EXPORT).op::<Open>(&open_args("new", WRITE, 0, "owner", unchecked()));
    assert_eq!(small.client.run(&open.after(sequence)).await.status, expected);
    assert_eq!(exists(&mut world.session, "new").await, expected.is_ok());
    world.stop().await;
}
