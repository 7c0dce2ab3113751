//! OPEN of what is there: by name and by filehandle. Creation is in `open_create`, share reservations are in `open_share`.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 18.16, 14.5, 15.1 and 16.2.3.1.
//!
//! Not reached: ADMIN_REVOKED, EXPIRED (there is no revoked state), DELEG_ALREADY_WANTED (wants are not kept), DELEG_REVOKED,
//! OLD_STATEID (claims by delegations are in `delegated`), DQUOT, IO (the memory file system has no quotas and does not fail), FHEXPIRED, MOVED (handles persist, nothing migrates), RECLAIM_BAD,
//! RECLAIM_CONFLICT (there is no grace period), UNSAFE_COMPOUND, WRONGSEC (every flavour is good everywhere), DEADSESSION and
//! SERVERFAULT. BAD_SEQID, RESOURCE and STALE_CLIENTID are those of minor version 0. GRACE, which a client gets before its RECLAIM_COMPLETE, and
//! the limits of sessions are in the tests of `wire`.

use std::sync::Arc;

use dittofs_framework::attr::{Bitmap, FATTR4_CHANGE};
use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    ChangeInfo, ClientId, Minor, NFS4_OK, NFS4ERR_ACCESS, NFS4ERR_BAD_STATEID, NFS4ERR_BADHANDLE,
    NFS4ERR_BADXDR, NFS4ERR_DELAY, NFS4ERR_INVAL, NFS4ERR_ISDIR, NFS4ERR_NO_GRACE, NFS4ERR_NOENT,
    NFS4ERR_NOFILEHANDLE, NFS4ERR_NOTDIR, NFS4ERR_NOTSUPP, NFS4ERR_STALE, NfsFh4, Stateid, Status, component,
};
use dittofs_framework::state::StateLimits;
use dittofs_framework::xdr::Opaque;
use dittofs_ops::getfh::GetFh;
use dittofs_ops::open::{
    OPEN4_RESULT_LOCKTYPE_POSIX, OPEN4_RESULT_PRESERVE_UNLINKED, Open, Open4Args, Open4ResOk, OpenClaim4,
    OpenClaimDelegateCur4, OpenDelegation4, OpenDelegationType4, OpenFlag4,
};
use dittofs_tests::{
    BOTH, OpenFile, READ, SessionOptions, TestServerOptions, WRITE, open_args, unchecked, walk,
};
use rstest::rstest;

use crate::common::{Object, World, put};
use crate::plain::Plain;
use crate::tree::{BAD_NAMES, name};

const EXPORT: &[&str] = &["export"];

/// CLAIM_NULL without creation.
fn by_name(file: &str, access: u32) -> Open4Args {
    open_args(file, access, 0, "opener", OpenFlag4::NoCreate(()))
}

/// Without creation, with another claim.
fn claiming(claim: OpenClaim4) -> Open4Args {
    Open4Args { claim, ..by_name("", READ) }
}

fn by_handle() -> Open4Args {
    claiming(OpenClaim4::Fh(()))
}

fn check_result(opened: &Open4ResOk) {
    assert_eq!(opened.stateid.seqid, 1);
    assert!(!opened.stateid.is_special());
    assert_eq!(opened.rflags, OPEN4_RESULT_LOCKTYPE_POSIX | OPEN4_RESULT_PRESERVE_UNLINKED);
    assert_eq!(opened.attrset, Bitmap::EMPTY);
    assert_eq!(opened.delegation, OpenDelegation4::None(()));
}

/// "The current filehandle is replaced by that of the existing object"; nothing happens to the directory.
#[rstest]
#[tokio::test]
async fn a_file_is_opened_by_name(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[values(READ, WRITE, BOTH)] access: u32,
) {
    let mut world = World::of(minor).await;
    let share = world.session.share().await;
    let change = world.session.attribute::<u64>(&share, FATTR4_CHANGE).await;
    let (fh, opened) = world.session.try_open(EXPORT, &by_name("file", access)).await.unwrap();
    assert_eq!(fh, world.file.fh);
    assert_eq!(opened.cinfo, ChangeInfo { atomic: true, before: change, after: change });
    check_result(&opened);
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_file_is_opened_by_handle(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[values(READ, WRITE, BOTH)] access: u32,
) {
    let mut world = World::of(minor).await;
    let args = Open4Args { share_access: access, ..by_handle() };
    let (fh, opened) = world.session.try_open(&["export", "file"], &args).await.unwrap();
    assert_eq!(fh, world.file.fh);
    check_result(&opened);
    world.stop().await;
}

/// seqid and the owner's clientid: "the server MUST ignore it".
#[tokio::test]
async fn fields_of_minor_version_0_are_ignored() {
    let mut world = World::new().await;
    let mut args = by_name("file", READ);
    let (_, first) = world.session.try_open(EXPORT, &args).await.unwrap();
    args.seqid = u32::MAX;
    args.owner.clientid = ClientId(u64::MAX);
    let (_, second) = world.session.try_open(EXPORT, &args).await.unwrap();
    assert_eq!(second.stateid, Stateid { seqid: 2, ..first.stateid }, "the same owner");
    world.stop().await;
}

/// An owner is any bytes, none included.
#[rstest]
#[case::empty(&[])]
#[case::longest(&[0xff; 1024])]
#[tokio::test]
async fn an_owner_is(#[case] bytes: &[u8]) {
    let mut world = World::new().await;
    let mut args = by_name("file", READ);
    args.owner.owner = bytes.into();
    let (fh, first) = world.session.try_open(EXPORT, &args).await.unwrap();
    let (_, second) = world.session.try_open(EXPORT, &args).await.unwrap();
    assert_eq!(second.stateid, Stateid { seqid: 2, ..first.stateid });
    world.session.close(&OpenFile { fh, stateid: second.stateid }).await;
    world.stop().await;
}

/// RFC 8881 section 18.16.4.
#[rstest]
#[case::no_access(0, 0)]
#[case::unknown_access(4, 0)]
#[case::want_without_access(0x100, 0)]
#[case::unknown_want(0x600 | READ, 0)]
#[case::access_and_more(8 | BOTH, 0)]
#[case::high_bit(0x8000_0000 | READ, 0)]
#[case::unknown_denial(READ, 4)]
#[case::denial_and_more(READ, 0x13)]
#[tokio::test]
async fn bits_without_meaning_are_refused(#[case] share_access: u32, #[case] share_deny: u32) {
    let mut world = World::new().await;
    let refused = Open4Args { share_access, share_deny, ..by_name("file", READ) };
    assert_eq!(world.session.try_open(EXPORT, &refused).await.err(), Some(NFS4ERR_INVAL));
    let claim = OpenClaim4::Null(component("new"));
    let refused = Open4Args { claim, openhow: unchecked(), ..refused };
    assert_eq!(world.session.try_open(EXPORT, &refused).await.err(), Some(NFS4ERR_INVAL));
    let absent = world.session.try_open(EXPORT, &by_name("new", READ)).await;
    assert_eq!(absent.err(), Some(NFS4ERR_NOENT), "nothing was created");
    world.stop().await;
}

#[tokio::test]
async fn a_name_is_refused() {
    let mut world = World::new().await;
    let absent: [(&[u8], Status); 2] = [(b"absent", NFS4ERR_NOENT), (&[b'x'; 255], NFS4ERR_NOENT)];
    for (bytes, expected) in BAD_NAMES.into_iter().chain(absent) {
        let args = claiming(OpenClaim4::Null(name(bytes)));
        assert_eq!(world.session.try_open(EXPORT, &args).await.err(), Some(expected), "{bytes:?}");
        if expected != NFS4ERR_NOENT {
            let args = Open4Args { openhow: unchecked(), ..args };
            assert_eq!(world.session.try_open(EXPORT, &args).await.err(), Some(expected), "create {bytes:?}");
        }
    }
    world.stop().await;
}

/// "If the component provided to OPEN is a symbolic link, the error NFS4ERR_SYMLINK", "if it is a directory NFS4ERR_ISDIR", "neither of those but
/// not an ordinary file NFS4ERR_WRONG_TYPE"; "if the current filehandle is not a directory NFS4ERR_NOTDIR".
#[rstest]
#[case::dir(Object::Dir)]
#[case::symlink(Object::Symlink)]
#[case::fifo(Object::Fifo)]
#[case::socket(Object::Socket)]
#[case::block(Object::Block)]
#[case::char(Object::Char)]
#[tokio::test]
async fn what_is_no_file_is_refused(#[case] object: Object) {
    let mut world = World::new().await;
    let fh = world.object(object).await;
    let expected = Some(object.data_status(Minor::V2));
    for access in [READ, WRITE] {
        let args = by_name("object", access);
        assert_eq!(world.session.try_open(EXPORT, &args).await.err(), expected, "by name");
        let args = Open4Args { openhow: unchecked(), ..args };
        assert_eq!(world.session.try_open(EXPORT, &args).await.err(), expected, "with creation");
    }
    assert_eq!(world.run_on::<Open>(&fh, &by_handle()).await.err(), expected, "by handle");
    if object != Object::Dir {
        let args = by_name("file", READ);
        assert_eq!(world.run_on::<Open>(&fh, &args).await.err(), Some(NFS4ERR_NOTDIR));
        let args = Open4Args { openhow: unchecked(), ..args };
        assert_eq!(world.run_on::<Open>(&fh, &args).await.err(), Some(NFS4ERR_NOTDIR));
    }
    world.stop().await;
}

#[tokio::test]
async fn a_file_is_no_directory() {
    let mut world = World::new().await;
    assert_eq!(world.run::<Open>(&by_name("file", READ)).await.err(), Some(NFS4ERR_NOTDIR));
    world.stop().await;
}

/// The pseudo file system has directories alone.
#[rstest]
#[case::export(by_name("export", READ), NFS4ERR_ISDIR)]
#[case::absent(by_name("absent", READ), NFS4ERR_NOENT)]
#[case::root(by_handle(), NFS4ERR_ISDIR)]
#[tokio::test]
async fn the_pseudo_file_system_has_no_files(#[case] args: Open4Args, #[case] expected: Status) {
    let mut world = World::new().await;
    assert_eq!(world.session.try_open(&[], &args).await.err(), Some(expected));
    world.stop().await;
}

#[rstest]
#[case::previous(OpenClaim4::Previous(OpenDelegationType4::None), NFS4ERR_NO_GRACE)]
#[case::previous_with_delegation(OpenClaim4::Previous(OpenDelegationType4::Write), NFS4ERR_NO_GRACE)]
#[case::deleg_cur_fh(OpenClaim4::DelegCurFh(Stateid { seqid: 1, other: [9; 12] }), NFS4ERR_BAD_STATEID)]
#[case::delegate_prev(OpenClaim4::DelegatePrev(component("file")), NFS4ERR_NOTSUPP)]
#[case::deleg_prev_fh(OpenClaim4::DelegPrevFh(()), NFS4ERR_NOTSUPP)]
#[tokio::test]
async fn nothing_was_held_before(#[case] claim: OpenClaim4, #[case] expected: Status) {
    let mut world = World::new().await;
    assert_eq!(world.run::<Open>(&claiming(claim)).await.err(), Some(expected));
    world.stop().await;
}

/// "If opentype is OPEN4_CREATE, then the claim field MUST be one of" those with a name.
#[tokio::test]
async fn a_file_is_created_by_name_alone() {
    let mut world = World::new().await;
    let args = Open4Args { openhow: unchecked(), ..by_handle() };
    assert_eq!(world.run::<Open>(&args).await.err(), Some(NFS4ERR_INVAL));
    world.stop().await;
}

/// The bits of the mode, with execution for reading (section 6.2.1.3.2).
#[rstest]
#[case::read_by_all(0o644, READ, &[], NFS4_OK)]
#[case::write_by_owner(0o644, WRITE, &[], NFS4ERR_ACCESS)]
#[case::both_with_one_missing(0o644, BOTH, &[], NFS4ERR_ACCESS)]
#[case::read_by_owner(0o600, READ, &[], NFS4ERR_ACCESS)]
#[case::write_alone(0o622, WRITE, &[], NFS4_OK)]
#[case::read_where_write_alone(0o622, READ, &[], NFS4ERR_ACCESS)]
#[case::execution(0o711, READ, &[], NFS4_OK)]
#[case::both(0o666, BOTH, &[], NFS4_OK)]
#[case::group(0o660, BOTH, &[5, 0], NFS4_OK)]
#[case::other_group(0o660, READ, &[5], NFS4ERR_ACCESS)]
#[case::group_before_others(0o606, READ, &[0], NFS4ERR_ACCESS)]
#[tokio::test]
async fn another_user_may(
    #[case] mode: u32,
    #[case] share_access: u32,
    #[case] groups: &[u32],
    #[case] expected: Status,
) {
    let mut world = World::new().await;
    world.chmod(mode).await;
    world.session.act_as(1000, 1000, groups);
    let found = world.session.try_open(EXPORT, &by_name("file", share_access)).await;
    assert_eq!(found.err().unwrap_or(NFS4_OK), expected, "by name");
    let opened = world.run::<Open>(&Open4Args { share_access, ..by_handle() }).await;
    assert_eq!(opened.err().unwrap_or(NFS4_OK), expected, "by handle");
    world.stop().await;
}

/// Finding a name needs the right to search, which a filehandle does without.
#[tokio::test]
async fn a_directory_without_search_permission_hides_its_files() {
    let mut world = World::new().await;
    let dir = world.session.mkdir("dir").await;
    let args = Open4Args { openhow: unchecked(), ..by_name("inner", READ) };
    let (inner, _) = world.session.try_open(&["export", "dir"], &args).await.unwrap();
    world.chmod_of(&dir, 0o644).await;
    world.session.act_as(1000, 1000, &[]);
    for file in ["inner", "absent"] {
        assert_eq!(world.run_on::<Open>(&dir, &by_name(file, READ)).await.err(), Some(NFS4ERR_ACCESS));
    }
    assert!(world.run_on::<Open>(&inner, &by_handle()).await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn what_is_gone_is_stale() {
    let mut world = World::new().await;
    world.close().await;
    world.remove("file").await;
    assert_eq!(world.run::<Open>(&by_handle()).await.err(), Some(NFS4ERR_STALE));
    let dir = world.session.mkdir("dir").await;
    world.remove("dir").await;
    assert_eq!(world.run_on::<Open>(&dir, &by_name("file", READ)).await.err(), Some(NFS4ERR_STALE));
    let args = Open4Args { openhow: unchecked(), ..by_name("file", READ) };
    assert_eq!(world.run_on::<Open>(&dir, &args).await.err(), Some(NFS4ERR_STALE));
    world.stop().await;
}

#[tokio::test]
async fn a_filehandle_of_nobody_is_bad() {
    let mut world = World::new().await;
    let garbage: NfsFh4 = Opaque::from([1; 24].as_slice());
    assert_eq!(world.run_on::<Open>(&garbage, &by_handle()).await.err(), Some(NFS4ERR_BADHANDLE));
    world.stop().await;
}

#[tokio::test]
async fn without_a_filehandle() {
    let mut world = World::new().await;
    for args in [by_handle(), by_name("file", READ)] {
        let compound = world.session.compound().op::<Open>(&args);
        assert_eq!(world.session.run(compound).await.status, NFS4ERR_NOFILEHANDLE);
    }
    world.stop().await;
}

/// Arguments are decoded as a whole before anything is done.
#[rstest]
#[case::by_name(by_name("file", READ))]
#[case::by_handle(by_handle())]
#[case::create(open_args("new", READ, 0, "opener", unchecked()))]
#[case::delegate_cur(claiming(OpenClaim4::DelegateCur(OpenClaimDelegateCur4 {
    delegate_stateid: Stateid::ANONYMOUS,
    file: component("file")
})))]
#[tokio::test]
async fn arguments_that_end_too_early(#[case] args: Open4Args) {
    let mut world = World::new().await;
    let start = walk(world.session.compound(), EXPORT);
    world.refuses_cut_short::<Open>(&start, &args).await;
    let absent = world.session.try_open(EXPORT, &by_name("new", READ)).await;
    assert_eq!(absent.err(), Some(NFS4ERR_NOENT));
    world.stop().await;
}

/// Lengths that are claimed, and numbers that no enumeration has. The owner is "opener": its length is at 20, opentype at 32.
#[rstest]
#[case::owner_too_long(20, 1025)]
#[case::owner_longer_than_all(20, u32::MAX)]
#[case::opentype(32, 2)]
#[case::claim(36, 7)]
#[case::name_longer_than_all(40, u32::MAX)]
#[tokio::test]
async fn a_word_is_refused(#[case] at: usize, #[case] word: u32) {
    let mut world = World::new().await;
    world.refuses_word::<Open>(&by_name("file", READ), at, word).await;
    world.stop().await;
}

/// The same in what creation brings: createmode at 36, then the bitmap, the values, the claim and the name.
#[rstest]
#[case::createmode(36, 4)]
#[case::bitmap_longer_than_all(40, u32::MAX)]
#[case::bitmap_much_too_long(40, 65)]
#[case::values_longer_than_all(52, u32::MAX)]
#[case::claim(60, 7)]
#[case::name_longer_than_all(64, u32::MAX)]
#[tokio::test]
async fn a_word_of_creation_is_refused(#[case] at: usize, #[case] word: u32) {
    let mut world = World::new().await;
    world.refuses_word::<Open>(&open_args("new", READ, 0, "opener", unchecked()), at, word).await;
    world.stop().await;
}

/// A delegation type that does not exist, in CLAIM_PREVIOUS.
#[tokio::test]
async fn a_delegation_type_is_refused() {
    let mut world = World::new().await;
    let args = claiming(OpenClaim4::Previous(OpenDelegationType4::None));
    world.refuses_word::<Open>(&args, 40, 6).await;
    let compound = put(world.session.compound(), &world.file.fh).op_with_args::<Open>(&[]);
    assert_eq!(world.session.run(compound).await.status, NFS4ERR_BADXDR);
    world.stop().await;
}

/// A client with as many opens as it may have gets no more, and no file either. What it has open it may open again.
#[rstest]
#[case::of_a_client(StateLimits { opens_per_client: 2, ..StateLimits::default() })]
#[case::in_all(StateLimits { opens_total: 2, ..StateLimits::default() })]
#[tokio::test]
async fn there_is_a_limit(#[case] state: StateLimits) {
    let limits = Limits { state, ..Limits::default() };
    let server = TestServerOptions { limits, ..TestServerOptions::default() };
    let mut world = World::with(server, SessionOptions::default()).await;
    let second = world.session.open_as("file", READ, 0, "second owner").await;
    let args = open_args("new", READ, 0, "opener", unchecked());
    assert_eq!(world.session.try_open(EXPORT, &args).await.err(), Some(NFS4ERR_DELAY));
    let compound = walk(world.session.compound(), &["export", "new"]).op::<GetFh>(&());
    assert_eq!(world.session.run(compound).await.status, NFS4ERR_NOENT);
    world.session.close(&second).await;
    assert!(world.session.try_open(EXPORT, &args).await.is_ok());
    world.stop().await;
}

/// A file that goes while it is opened was not there: it is not the directory that is stale.
#[tokio::test]
async fn a_file_goes_while_it_is_opened() {
    let fs = Arc::new(Plain::default());
    let server = TestServerOptions { fs: fs.clone(), ..TestServerOptions::default() };
    let mut world = World::with(server, SessionOptions::default()).await;
    world.close().await;
    fs.doom("file");
    assert_eq!(world.session.try_open(EXPORT, &by_name("file", READ)).await.err(), Some(NFS4ERR_NOENT));
    world.stop().await;
}

/// "... the server promises to preserve the file through the grace period after server restart" (RFC 8881 section 18.16.3): said only where
/// the file system does.
#[tokio::test]
async fn a_file_system_that_keeps_no_removed_files_makes_no_promise() {
    let server = TestServerOptions { fs: Arc::new(Plain::default()), ..TestServerOptions::default() };
    let mut world = World::with(server, SessionOptions::default()).await;
    let opened = world.session.try_open(EXPORT, &by_name("file", READ)).await.expect("it is there");
    assert_eq!(opened.1.rflags & OPEN4_RESULT_PRESERVE_UNLINKED, 0);
    world.stop().await;
}
