//! Origin: the statements of the RFC, one by one. Which changes recall a delegation or are told is in `callbacks/directory.rs`.
//! RFC: 8881 sections 10.9 and 18.39.
//!
//! Not reached: FHEXPIRED, MOVED (handles persist, nothing migrates), NOTSUPP, and what is the dispatcher's.

use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::attr::{
    Bitmap, FATTR4_CHANGE, FATTR4_DIR_NOTIF_DELAY, FATTR4_DIRENT_NOTIF_DELAY, FATTR4_FILEHANDLE, FATTR4_MODE,
    FATTR4_RDATTR_ERROR, FATTR4_SIZE, FATTR4_SPACE_FREE, FATTR4_TIME_MODIFY_SET,
};
use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    NFS4_OK, NFS4ERR_ACCESS, NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, NFS4ERR_DIRDELEG_UNAVAIL, NFS4ERR_GRACE,
    NFS4ERR_INVAL, NFS4ERR_NOTDIR, NFS4ERR_STALE, NfsFh4, NfsTime, NotifyType, Stateid, Status, component,
};
use dittofs_framework::state::{NoDelegations, NotifyLimits, StateLimits};
use dittofs_ops::delegreturn::{DelegReturn, Delegreturn4Args};
use dittofs_ops::get_dir_delegation::{
    GetDirDelegation, GetDirDelegation4Args, GetDirDelegation4Res, GetDirDelegation4ResOk,
};
use dittofs_ops::readdir::{ReadDir, Readdir4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_tests::{Client, DirectoriesToEverybody, Session, SessionOptions, TestServer, TestServerOptions};
use rstest::rstest;

use crate::common::{Object, World, put};
use crate::plain::Plain;

/// Nothing of whom has to be waited for.
fn options() -> TestServerOptions {
    let state = StateLimits { recall_wait: Duration::ZERO, ..StateLimits::default() };
    let limits = Limits { state, ..Limits::default() };
    TestServerOptions {
        limits,
        delegations: Some(Arc::new(DirectoriesToEverybody)),
        ..TestServerOptions::default()
    }
}

async fn world() -> World {
    World::with(options(), SessionOptions::default()).await
}

const ZERO: NfsTime = NfsTime { seconds: 0, nseconds: 0 };
const ADD: u32 = NotifyType::AddEntry.bit();
const REMOVE: u32 = NotifyType::RemoveEntry.bit();
const RENAME: u32 = NotifyType::RenameEntry.bit();
const OF_DIR: u32 = NotifyType::ChangeDirAttrs.bit();
const OF_CHILD: u32 = NotifyType::ChangeChildAttrs.bit();
const VERIFIER: u32 = NotifyType::ChangeCookieVerifier.bit();
const UNAVAIL: GetDirDelegation4Res = GetDirDelegation4Res::Unavail(false);

fn args() -> GetDirDelegation4Args {
    GetDirDelegation4Args {
        signal_deleg_avail: false,
        notification_types: Bitmap::EMPTY,
        child_attr_delay: ZERO,
        dir_attr_delay: ZERO,
        child_attributes: Bitmap::EMPTY,
        dir_attributes: Bitmap::EMPTY,
    }
}

fn asking(types: &[u32], child: &[u32], dir: &[u32]) -> GetDirDelegation4Args {
    GetDirDelegation4Args {
        notification_types: Bitmap::of(types),
        child_attributes: Bitmap::of(child),
        dir_attributes: Bitmap::of(dir),
        ..args()
    }
}

async fn ask(session: &mut Session, fh: &NfsFh4) -> Result<GetDirDelegation4Res, Status> {
    session.run_on::<GetDirDelegation>(fh, &args()).await
}

fn granted(res: GetDirDelegation4Res) -> GetDirDelegation4ResOk {
    match res {
        GetDirDelegation4Res::Ok(granted) => granted,
        GetDirDelegation4Res::Unavail(_) => panic!("no delegation"),
    }
}

/// "The server MUST NOT add bits to gddr_notification that the client did not request."
#[rstest]
#[case::nothing(asking(&[], &[], &[]), &[], &[], &[])]
#[case::entries(asking(&[ADD, REMOVE, RENAME], &[], &[]), &[ADD, REMOVE, RENAME], &[], &[])]
#[case::attributes_of_entries(asking(&[ADD], &[FATTR4_SIZE, FATTR4_FILEHANDLE], &[]), &[ADD], &[FATTR4_SIZE, FATTR4_FILEHANDLE], &[])]
#[case::attributes_of_the_directory(asking(&[OF_DIR], &[], &[FATTR4_CHANGE]), &[OF_DIR], &[], &[FATTR4_CHANGE])]
#[case::no_entries_whose_attributes(asking(&[REMOVE], &[FATTR4_SIZE], &[]), &[REMOVE], &[], &[])]
#[case::attributes_without_notification(asking(&[ADD], &[], &[FATTR4_CHANGE]), &[ADD], &[], &[])]
#[case::notification_without_attributes(asking(&[OF_DIR], &[], &[]), &[], &[], &[])]
#[case::not_to_be_had(asking(&[OF_CHILD, VERIFIER, 9], &[FATTR4_SIZE], &[FATTR4_SIZE]), &[], &[], &[])]
#[case::not_told(
    asking(&[ADD, OF_DIR], &[FATTR4_SPACE_FREE, FATTR4_MODE], &[FATTR4_RDATTR_ERROR, FATTR4_TIME_MODIFY_SET, FATTR4_MODE]),
    &[ADD, OF_DIR], &[FATTR4_MODE], &[FATTR4_MODE]
)]
#[tokio::test]
async fn of_what_is_asked_for_it_is_told_what_is_granted(
    #[case] args: GetDirDelegation4Args,
    #[case] types: &[u32],
    #[case] child: &[u32],
    #[case] dir: &[u32],
) {
    let mut world = world().await;
    let share = world.session.share().await;
    let granted = granted(world.run_on::<GetDirDelegation>(&share, &args).await.unwrap());
    assert_eq!(granted.notification, Bitmap::of(types));
    assert_eq!(granted.child_attributes, Bitmap::of(child));
    assert_eq!(granted.dir_attributes, Bitmap::of(dir));
    world.stop().await;
}

#[tokio::test]
async fn the_verifier_is_that_of_listings() {
    let mut world = world().await;
    let share = world.session.share().await;
    let granted = granted(ask(&mut world.session, &share).await.unwrap());
    let list = Readdir4Args {
        cookie: 0,
        cookieverf: [0; 8],
        dircount: 0,
        maxcount: 4096,
        attr_request: Bitmap::EMPTY,
    };
    let listed = world.run_on::<ReadDir>(&share, &list).await.unwrap();
    assert_eq!(granted.cookieverf, listed.cookieverf);
    world.stop().await;
}

/// "The server MUST reply with the value of gddr_status set to NFS4_OK, the value of gddrnf_status set to GDD4_UNAVAIL, and the
/// value of gddrnf_will_signal_deleg_avail set to FALSE."
#[rstest]
#[tokio::test]
async fn who_holds_one_gets_no_other(#[values(false, true)] signal_deleg_avail: bool) {
    let mut world = world().await;
    let share = world.session.share().await;
    let granted = granted(ask(&mut world.session, &share).await.unwrap());
    let again = GetDirDelegation4Args { signal_deleg_avail, ..args() };
    assert_eq!(world.run_on::<GetDirDelegation>(&share, &again).await, Ok(UNAVAIL));
    let mut other = world.client("other client").await;
    self::granted(ask(&mut other, &share).await.unwrap());
    // The one that it held before is intact.
    let back = Delegreturn4Args { deleg_stateid: granted.stateid };
    assert_eq!(world.run_on::<DelegReturn>(&share, &back).await, Ok(()));
    assert_eq!(world.run_on::<DelegReturn>(&share, &back).await, Err(NFS4ERR_BAD_STATEID));
    self::granted(ask(&mut world.session, &share).await.unwrap());
    world.stop().await;
}

/// Nobody gets word later, so who wants it is told that there will be none.
#[rstest]
#[case::at_once_or_never(false, Ok(UNAVAIL))]
#[case::or_later(true, Err(NFS4ERR_DIRDELEG_UNAVAIL))]
#[tokio::test]
async fn where_none_is_offered_none_is_given(
    #[case] signal_deleg_avail: bool,
    #[case] expected: Result<GetDirDelegation4Res, Status>,
) {
    let options = TestServerOptions { delegations: Some(Arc::new(NoDelegations)), ..options() };
    let mut world = World::with(options, SessionOptions::default()).await;
    let share = world.session.share().await;
    let args = GetDirDelegation4Args { signal_deleg_avail, ..args() };
    assert_eq!(world.run_on::<GetDirDelegation>(&share, &args).await, expected);
    world.stop().await;
}

/// "A server must support synchronous callbacks in order to support directory delegations."
#[tokio::test]
async fn who_cannot_be_called_back_gets_none() {
    let mut world = World::new().await;
    let share = world.session.share().await;
    assert_eq!(ask(&mut world.session, &share).await, Ok(UNAVAIL));
    world.stop().await;
}

#[tokio::test]
async fn the_stateid_becomes_the_current_one() {
    let mut world = world().await;
    let share = world.session.share().await;
    let compound = put(world.session.compound(), &share)
        .op::<GetDirDelegation>(&args())
        .op::<DelegReturn>(&Delegreturn4Args { deleg_stateid: Stateid::CURRENT });
    assert_eq!(world.session.run(compound).await.status, NFS4_OK);
    world.stop().await;
}

#[rstest]
#[case::symlink(Object::Symlink)]
#[case::fifo(Object::Fifo)]
#[case::socket(Object::Socket)]
#[case::block(Object::Block)]
#[case::character(Object::Char)]
#[tokio::test]
async fn only_directories_have_them(#[case] object: Object) {
    let mut world = world().await;
    let fh = world.object(object).await;
    assert_eq!(ask(&mut world.session, &fh).await, Err(NFS4ERR_NOTDIR));
    let file = world.file.fh.clone();
    assert_eq!(ask(&mut world.session, &file).await, Err(NFS4ERR_NOTDIR));
    world.stop().await;
}

#[rstest]
#[case::negative(NfsTime { seconds: -1, nseconds: 0 })]
#[case::too_many_nanoseconds(NfsTime { seconds: 1, nseconds: 1_000_000_000 })]
#[tokio::test]
async fn a_delay_that_is_none_is_invalid(#[case] time: NfsTime) {
    let mut world = world().await;
    let share = world.session.share().await;
    for args in [
        GetDirDelegation4Args { child_attr_delay: time, ..args() },
        GetDirDelegation4Args { dir_attr_delay: time, ..args() },
    ] {
        assert_eq!(world.run_on::<GetDirDelegation>(&share, &args).await, Err(NFS4ERR_INVAL));
    }
    world.stop().await;
}

#[tokio::test]
async fn who_may_not_list_a_directory_gets_no_delegation_of_it() {
    let mut world = world().await;
    let dir = world.object(Object::Dir).await;
    world.chmod_of(&dir, 0o700).await;
    world.session.act_as(1000, 1000, &[]);
    assert_eq!(ask(&mut world.session, &dir).await, Err(NFS4ERR_ACCESS));
    world.session.act_as(0, 0, &[]);
    world.stop().await;
}

#[tokio::test]
async fn a_directory_that_is_gone_has_none() {
    let mut world = world().await;
    let dir = world.object(Object::Dir).await;
    world.remove("object").await;
    assert_eq!(ask(&mut world.session, &dir).await, Err(NFS4ERR_STALE));
    world.stop().await;
}

/// Section 18.51.3: a delegation is a lock.
#[tokio::test]
async fn nobody_gets_one_before_it_has_said_that_it_reclaimed_all() {
    let server = TestServer::start_with(options()).await;
    let client = Client::connect(&server).await;
    let mut session = client.session_to_reclaim("client", SessionOptions::default()).await;
    let share = session.share().await;
    assert_eq!(ask(&mut session, &share).await, Err(NFS4ERR_GRACE));
    server.stop().await;
}

/// Section 18.25.4, and so all others that change a directory: until the delegation is back.
#[tokio::test]
async fn other_clients_wait_until_it_is_back() {
    let mut world = world().await;
    let share = world.session.share().await;
    let granted = granted(ask(&mut world.session, &share).await.unwrap());
    let mut other = world.client("other client").await;
    let remove = Remove4Args { target: component("file") };
    for _ in 0..2 {
        assert_eq!(other.run_on::<Remove>(&share, &remove).await.err(), Some(NFS4ERR_DELAY));
    }
    let back = Delegreturn4Args { deleg_stateid: granted.stateid };
    world.run_on::<DelegReturn>(&share, &back).await.unwrap();
    other.run_on::<Remove>(&share, &remove).await.unwrap();
    world.stop().await;
}

/// Section 5.11.
#[rstest]
#[case::of_the_directory(FATTR4_DIR_NOTIF_DELAY)]
#[case::of_entries(FATTR4_DIRENT_NOTIF_DELAY)]
#[tokio::test]
async fn the_delay_is_an_attribute(#[case] number: u32) {
    let notifications = NotifyLimits { delay: Duration::from_millis(1250), ..NotifyLimits::default() };
    let limits = Limits { notifications, ..Limits::default() };
    let mut world = World::with(TestServerOptions { limits, ..options() }, SessionOptions::default()).await;
    let share = world.session.share().await;
    let delay: NfsTime = world.session.attribute(&share, number).await;
    assert_eq!(delay, NfsTime { seconds: 1, nseconds: 250_000_000 });
    world.stop().await;
}

#[tokio::test]
async fn arguments_are_checked() {
    let mut world = world().await;
    world.refuses_without_handle_and_cut_short::<GetDirDelegation>(&args()).await;
    // A boolean that is none.
    world.refuses_word::<GetDirDelegation>(&args(), 0, 2).await;
    assert_eq!(world.fill_reply::<GetDirDelegation>(&args()).await, NFS4ERR_NOTDIR);
    world.stop().await;
}

/// A file system that does not know the places of entries cannot tell of them.
#[tokio::test]
async fn without_places_of_entries_nobody_is_told_of_them() {
    let options = TestServerOptions { fs: Arc::new(Plain::default()), ..options() };
    let server = TestServer::start_with(options).await;
    let mut session = Client::connect(&server).await.session("client").await;
    let share = session.share().await;
    let args = asking(&[ADD, REMOVE, RENAME, OF_DIR], &[FATTR4_SIZE], &[FATTR4_CHANGE]);
    let granted = granted(session.run_on::<GetDirDelegation>(&share, &args).await.unwrap());
    assert_eq!(granted.notification, Bitmap::of(&[OF_DIR]));
    assert_eq!(granted.child_attributes, Bitmap::EMPTY);
    server.stop().await;
}
