//! Directory delegations: who is told of a change with CB_NOTIFY, and who is asked for the delegation instead.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 10.9, 18.4.3, 18.9.3, 18.16.4, 18.25.4, 18.26.4, 18.30.4 and 20.4.

use std::time::Duration;

use dittofs_framework::attr::{
    Bitmap, FATTR4_CHANGE, FATTR4_FILEHANDLE, FATTR4_FILEID, FATTR4_MODE, FATTR4_TYPE,
};
use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    AtMostOne, CbOp, ChannelAttrs4, ChannelDirFromClient, Fattr4, FileType, Minor, NFS4ERR_DELAY,
    NFS4ERR_INVAL, NfsTime, Notification, NotifyAdd4, NotifyEntry4, NotifyType, component,
};
use dittofs_framework::state::NotifyLimits;
use dittofs_ops::get_dir_delegation::{GetDirDelegation, GetDirDelegation4Args, GetDirDelegation4Res};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_tests::callbacks::{Answer, BackOptions, DelegClient};
use dittofs_tests::{TestServer, TestServerOptions, fattr};
use rstest::rstest;

use crate::dir_world::{Change, ENTRIES, World, delegated, make_change, options};

/// "Unless the situation can be resolved by sending a notification, the directory delegation MUST be recalled, and the operation
/// MUST NOT proceed until the delegation is returned or revoked."
#[rstest]
#[case::create(Change::Create)]
#[case::open_create(Change::OpenCreate)]
#[case::remove(Change::Remove)]
#[case::rename(Change::Rename)]
#[case::rename_over(Change::RenameOver)]
#[case::move_out(Change::MoveOut)]
#[case::move_in(Change::MoveIn)]
#[case::move_over(Change::MoveOver)]
#[case::link(Change::Link)]
#[case::chmod(Change::Chmod)]
#[case::set_xattr(Change::SetXattr)]
#[case::rename_of_the_directory(Change::RenameDir)]
#[tokio::test]
async fn a_change_waits_for_the_delegation_of_who_is_not_told(#[case] change: Change) {
    let mut world = World::new().await;
    let delegation = world.watch(&[]).await;
    let fhs = (&world.share, &world.at, &world.elsewhere);
    tokio::join!(
        make_change(&mut world.other, change, fhs),
        world.holder.give_back_when_recalled(&delegation)
    );
    assert_eq!((world.recalls(), world.notices()), (1, 0));
    world.stop().await;
}

/// Likewise for a directory that goes, whatever its holder is told of.
#[tokio::test]
async fn the_removal_of_a_directory_waits_for_its_delegation() {
    let mut world = World::new().await;
    let empty = world.elsewhere.clone();
    world.run::<Remove>(&empty, &Remove4Args { target: component("stranger") }).await;
    let delegation = delegated(&mut world.holder, &empty, &NotifyType::ALL).await;
    let share = world.share.clone();
    let target = Remove4Args { target: component("elsewhere") };
    let (removed, ()) = tokio::join!(
        world.other.run_on::<Remove>(&share, &target),
        world.holder.give_back_when_recalled(&delegation)
    );
    removed.unwrap();
    world.stop().await;
}

/// "If a client tries to remove the directory for which a delegation has been granted, the server will recall all associated
/// delegations": its own too, without waiting for it.
#[tokio::test]
async fn who_removes_a_directory_is_asked_for_its_delegation() {
    let mut world = World::new().await;
    let empty = world.elsewhere.clone();
    world.run::<Remove>(&empty, &Remove4Args { target: component("stranger") }).await;
    let delegation = delegated(&mut world.holder, &empty, &NotifyType::ALL).await;
    let target = Remove4Args { target: component("elsewhere") };
    world.holder.run_on::<Remove>(&world.share.clone(), &target).await.unwrap();
    world.holder.give_back_when_recalled(&delegation).await;
    world.stop().await;
}

/// Whoever is told keeps the delegation, and knows what has changed.
#[rstest]
#[case::create(Change::Create)]
#[case::open_create(Change::OpenCreate)]
#[case::move_in(Change::MoveIn)]
#[case::link(Change::Link)]
#[tokio::test]
async fn a_new_entry_is_told_with_its_place_and_attributes(#[case] change: Change) {
    let mut world = World::new().await;
    let delegation = world.watch(ENTRIES).await;
    world.change(change).await;
    let told = world.told(&delegation).await;
    let [Notification::AddEntry(add)] = &told[..] else { panic!("{told:?}") };
    let (cookie, previous, is_last) = world.place("new").await;
    assert_eq!(&*add.new_entry.file, b"new");
    assert_eq!(add.new_entry_cookie, AtMostOne(Some(cookie)));
    assert_eq!(add.last_entry, is_last);
    let before = add.prev_entry.0.as_ref().map(|entry| {
        let name = String::from_utf8(entry.prev_entry.file.to_vec()).unwrap();
        (name, entry.prev_entry_cookie)
    });
    assert_eq!(before, previous);
    assert_eq!(add.old_entry, AtMostOne(None));
    assert_attributes(&mut world, add).await;
    assert_eq!(world.recalls(), 0);
    world.stop().await;
}

/// The attributes of the entry are those that GETATTR shows.
async fn assert_attributes(world: &mut World, add: &NotifyAdd4) {
    let session = world.other.session();
    let fh = session.lookup(&["export", "at", "new"]).await;
    let file_type: FileType = session.attribute(&fh, FATTR4_TYPE).await;
    let fileid: u64 = session.attribute(&fh, FATTR4_FILEID).await;
    let expected: Fattr4 =
        fattr(&[(FATTR4_TYPE, &file_type), (FATTR4_FILEHANDLE, &fh), (FATTR4_FILEID, &fileid)]);
    assert_eq!(add.new_entry.attrs, expected);
}

#[rstest]
#[case::remove(Change::Remove)]
#[case::move_out(Change::MoveOut)]
#[tokio::test]
async fn an_entry_that_goes_is_told_with_its_cookie(#[case] change: Change) {
    let mut world = World::new().await;
    let delegation = world.watch(ENTRIES).await;
    let (cookie, _, _) = world.place("there").await;
    world.change(change).await;
    let told = world.told(&delegation).await;
    let [Notification::RemoveEntry(gone)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&gone.old_entry, gone.old_entry_cookie), (&nothing_but("there"), cookie));
    assert_eq!(world.recalls(), 0);
    world.stop().await;
}

fn nothing_but(name: &str) -> NotifyEntry4 {
    NotifyEntry4 { file: component(name), attrs: Fattr4::default() }
}

/// "When a file is removed because it has the same name as the target [..] the deletion of the file will be reported as part of the"
/// notification of the rename, or of the new entry.
#[rstest]
#[case::free_name(Change::Rename, "new", false)]
#[case::name_in_use(Change::RenameOver, "other", true)]
#[tokio::test]
async fn a_rename_is_told_as_one(#[case] change: Change, #[case] name: &str, #[case] replaces: bool) {
    let mut world = World::new().await;
    let delegation = world.watch(ENTRIES).await;
    let (cookie, _, _) = world.place("there").await;
    let replaced = if replaces { Some(world.place(name).await.0) } else { None };
    world.change(change).await;
    let told = world.told(&delegation).await;
    let [Notification::RenameEntry(renamed)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(
        (&renamed.old_entry.old_entry, renamed.old_entry.old_entry_cookie),
        (&nothing_but("there"), cookie)
    );
    assert_eq!(&*renamed.new_entry.new_entry.file, name.as_bytes());
    assert_eq!(renamed.new_entry.new_entry_cookie, AtMostOne(Some(world.place(name).await.0)));
    assert_eq!(renamed.new_entry.old_entry.0.as_ref().map(|old| old.old_entry_cookie), replaced);
    world.stop().await;
}

#[tokio::test]
async fn an_entry_that_takes_the_place_of_another_is_told_with_it() {
    let mut world = World::new().await;
    let delegation = world.watch(ENTRIES).await;
    let (cookie, _, _) = world.place("other").await;
    world.change(Change::MoveOver).await;
    let told = world.told(&delegation).await;
    let [Notification::AddEntry(add)] = &told[..] else { panic!("{told:?}") };
    let old = add.old_entry.0.as_ref().expect("the one before");
    assert_eq!((&old.old_entry, old.old_entry_cookie), (&nothing_but("other"), cookie));
    world.stop().await;
}

/// The change attribute moves with every change of the directory.
#[rstest]
#[tokio::test]
async fn attributes_of_the_directory_are_told_with_what_changes_them(
    #[values(Change::Chmod, Change::Create, Change::Remove)] change: Change,
) {
    let mut world = World::new().await;
    let types = [ENTRIES, &[NotifyType::ChangeDirAttrs]].concat();
    let delegation = world.watch(&types).await;
    world.change(change).await;
    let told = world.told(&delegation).await;
    let Some(Notification::ChangeDirAttrs(changed)) = told.last() else { panic!("{told:?}") };
    let at = world.at.clone();
    let session = world.other.session();
    let (now, mode): (u64, u32) =
        (session.attribute(&at, FATTR4_CHANGE).await, session.attribute(&at, FATTR4_MODE).await);
    let expected =
        NotifyEntry4 { file: component(""), attrs: fattr(&[(FATTR4_CHANGE, &now), (FATTR4_MODE, &mode)]) };
    assert_eq!(changed.changed_entry, expected);
    assert_eq!(told.len(), if change == Change::Chmod { 1 } else { 2 });
    assert_eq!(world.recalls(), 0);
    world.stop().await;
}

/// "If the client holding the delegation makes any changes in the directory that cause files or sub-directories to be added or
/// removed, the server will notify that client"; of attributes it need not. It is never asked for the delegation.
#[rstest]
#[tokio::test]
async fn the_holder_is_told_of_its_own_changes_of_entries(#[values(false, true)] asked: bool) {
    for change in Change::TOLD {
        let mut world = World::new().await;
        let delegation = world.watch(if asked { &NotifyType::ALL } else { &[] }).await;
        let fhs = (&world.share, &world.at, &world.elsewhere);
        make_change(&mut world.holder, change, fhs).await;
        if asked && change != Change::Chmod {
            let told = world.told(&delegation).await;
            assert_eq!(told[0].kind(), change.kind(), "{change:?}");
        }
        world.holder.give_back(&delegation).await;
        assert_eq!(world.recalls(), 0, "{change:?}");
        assert_eq!(world.notices(), usize::from(asked && change != Change::Chmod), "{change:?}");
        world.stop().await;
    }
}

#[tokio::test]
async fn to_open_what_is_there_is_no_change() {
    let mut world = World::new().await;
    let delegation = world.watch(&[]).await;
    world.open("file").await;
    world.holder.give_back(&delegation).await;
    assert_eq!(world.recalls(), 0);
    world.stop().await;
}

/// "The order in which the client receives these notifications needs to be the same as the order in which the corresponding operations
/// occurred on the server"; and what comes within the delay comes together.
#[tokio::test]
async fn changes_within_the_delay_are_told_together_and_in_order() {
    let delay = Duration::from_secs(1);
    let mut world = World::with(options(delay), BackOptions::default()).await;
    let delegation = world.watch(ENTRIES).await;
    for change in [Change::Create, Change::Remove, Change::MoveIn, Change::RenameOver] {
        if change == Change::MoveIn {
            let at = world.at.clone();
            world.run::<Remove>(&at, &Remove4Args { target: component("new") }).await;
            world.make(&at, "there").await;
        }
        world.change(change).await;
    }
    world.server.clock.advance(delay);
    let told = world.told(&delegation).await;
    let kinds: Vec<_> = told.iter().map(Notification::kind).collect();
    let (add, remove, rename) = (NotifyType::AddEntry, NotifyType::RemoveEntry, NotifyType::RenameEntry);
    assert_eq!(kinds, [add, remove, remove, add, add, rename]);
    assert_eq!((world.notices(), world.recalls()), (1, 0));
    world.stop().await;
}

/// What the client does not learn in one way it learns in the other.
#[rstest]
#[case::refused(Answer::Status(NFS4ERR_INVAL))]
#[case::connection_lost(Answer::DropBefore)]
#[tokio::test]
async fn what_cannot_be_delivered_is_recalled_for(#[case] answer: Answer) {
    let mut world = World::new().await;
    let is_lost = matches!(answer, Answer::DropBefore);
    if is_lost {
        // Another connection to be recalled by.
        world.holder.bind(&world.server, ChannelDirFromClient::BackOrBoth).await;
    }
    let delegation = world.watch(ENTRIES).await;
    world.holder.callbacks().answer_once(CbOp::Notify, answer);
    world.change(Change::Create).await;
    if is_lost {
        // It is sent again by the other.
        let told = world.told(&delegation).await;
        assert_eq!(told[0].kind(), NotifyType::AddEntry);
    } else {
        let recall = world.holder.callbacks().recall().await;
        assert_eq!(recall.stateid, delegation.stateid);
    }
    world.stop().await;
}

/// With room for two CB_NOTIFYs in all, and one client that answers none.
#[tokio::test]
async fn who_does_not_answer_keeps_nobody_else_waiting() {
    let notifications = NotifyLimits {
        delay: Duration::ZERO,
        in_flight: 2,
        in_flight_per_client: 1,
        ..NotifyLimits::default()
    };
    let limits = Limits { notifications, ..Limits::default() };
    let options = TestServerOptions { limits, ..options(Duration::ZERO) };
    let mut world = World::with(options, BackOptions::default()).await;
    let mut dead = DelegClient::unproven(&world.server, "dead", &BackOptions::default()).await;
    dead.callbacks().answer(CbOp::Notify, Answer::Never);
    for dir in [world.share.clone(), world.elsewhere.clone()] {
        delegated(&mut dead, &dir, ENTRIES).await;
        world.make(&dir, "first").await;
    }
    dead.callbacks().nth(CbOp::Notify, 1).await;
    let delegation = world.watch(ENTRIES).await;
    for name in ["one", "two", "three"] {
        let at = world.at.clone();
        world.make(&at, name).await;
        assert_eq!(world.told(&delegation).await.len(), 1);
    }
    assert_eq!(dead.callbacks().arrived(CbOp::Notify), 1);
    world.stop().await;
}

#[tokio::test]
async fn who_is_busy_is_told_again() {
    let mut world = World::new().await;
    let delegation = world.watch(ENTRIES).await;
    world.holder.callbacks().answer_once(CbOp::Notify, Answer::Status(NFS4ERR_DELAY));
    world.change(Change::Create).await;
    let first = world.told(&delegation).await;
    assert_eq!(world.told(&delegation).await, first);
    assert_eq!(world.recalls(), 0);
    world.stop().await;
}

#[tokio::test]
async fn what_is_too_long_for_the_back_channel_is_recalled_for() {
    let defaults = BackOptions::default();
    let narrow = ChannelAttrs4 { max_request_size: 1100, ..defaults.back_channel };
    let back = BackOptions { back_channel: narrow, ..defaults };
    let mut world = World::with(options(Duration::ZERO), back).await;
    let delegation = world.watch(ENTRIES).await;
    world.change(Change::Create).await;
    assert_eq!(world.holder.callbacks().recall().await.stateid, delegation.stateid);
    assert_eq!(world.notices(), 0);
    world.stop().await;
}

/// With the policy that a server has by itself, in either minor version: the client has answered a callback.
#[rstest]
#[tokio::test]
async fn who_answers_callbacks_is_given_one(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut client = DelegClient::of(&server, "client", minor).await;
    let share = client.session().share().await;
    let zero = NfsTime { seconds: 0, nseconds: 0 };
    let args = GetDirDelegation4Args {
        signal_deleg_avail: false,
        notification_types: Bitmap::EMPTY,
        child_attr_delay: zero,
        dir_attr_delay: zero,
        child_attributes: Bitmap::EMPTY,
        dir_attributes: Bitmap::EMPTY,
    };
    // That the call came says not yet that the answer has come back.
    let given = async {
        loop {
            let answer = client.run_on::<GetDirDelegation>(&share, &args).await.unwrap();
            if answer != GetDirDelegation4Res::Unavail(false) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), given).await.expect("a delegation");
    server.stop().await;
}
